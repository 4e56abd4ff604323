"""The journal: intent before, result after, an error is remembered, a torn line is survived."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from promote.checklist.recorder import Recorder
from promote.core.errors import PromoteError
from promote.core.redact import Redactor
from promote.promotion.journal import Journal, read_journal


def test_an_effect_is_written_before_and_after(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, "r1")
    seen: list[int] = []
    journal.effect("push", {"to": "abc"}, lambda: seen.append(len(read_journal(journal.path))))
    assert seen == [1], "the intent is on disk before the act"
    assert [line["event"] for line in read_journal(journal.path)] == ["intent", "result"]


def _disk_calls(act: Callable[[list[str]], object]) -> list[str]:
    """Writes to the disk, in order. The interpreter's calls are watched, nothing is replaced."""
    calls: list[str] = []

    def watch(_frame: object, event: str, called: object) -> None:
        if event == "c_call" and called in (os.write, os.fsync):
            calls.append(called.__name__)  # type: ignore[attr-defined]

    sys.setprofile(watch)
    try:
        act(calls)
    finally:
        sys.setprofile(None)
    return calls


def test_each_line_is_on_the_disk_before_the_next_thing_happens(tmp_path: Path) -> None:
    """Written is not enough: the machine may lose its power."""
    journal = Journal.open(tmp_path, "r1")
    assert _disk_calls(lambda calls: journal.effect("push", {}, lambda: calls.append("act"))) == ["write", "fsync", "act", "write", "fsync"]


def test_a_suites_verdict_is_on_the_disk_before_the_next_check(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "checks.jsonl")
    assert _disk_calls(lambda _: recorder.write("check", id="a")) == ["write", "fsync"]


def test_a_failing_effect_is_remembered_and_passes_on(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, "r1")
    with pytest.raises(ZeroDivisionError):
        journal.effect("push", {}, lambda: 1 / 0)
    assert [line["event"] for line in read_journal(journal.path)] == ["intent", "error"]


def test_what_cannot_be_remembered_is_not_done(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "absent" / "j.jsonl")
    done: list[int] = []
    with pytest.raises(PromoteError):
        journal.effect("push", {}, lambda: done.append(1))
    assert not done


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, "r1")
    journal.write("state", "start")
    with journal.path.open("ab") as file:
        file.write(b'{"schema": 1, "ev')
    assert len(read_journal(journal.path)) == 1


def test_secrets_are_masked_wherever_they_stand(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, "r1", Redactor(("hunter2hunter2",)))
    with pytest.raises(PromoteError):
        journal.effect("push", {"url": "https://x:hunter2hunter2@git", "more": ["hunter2hunter2"]}, lambda: fail("no: hunter2hunter2"))
    assert "hunter2" not in journal.path.read_text()


def fail(why: str) -> None:
    raise PromoteError(why, hint="x")


def test_it_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, "r1")
    journal.write("state", "start")
    assert journal.path.stat().st_mode & 0o077 == 0


def test_what_puts_production_back_is_done_unremembered(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "absent" / "j.jsonl")
    assert journal.effect("move the stable tag back", {}, lambda: "done", best_effort_journal=True) == "done"
    assert "cannot be written: No such file or directory" in journal.trouble


def test_an_effect_whose_result_cannot_be_remembered_still_has_one(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, "r1")

    def act() -> str:
        journal.path.unlink()
        journal.path.mkdir()
        return "the lock"

    assert journal.effect("take the lock", {}, act) == "the lock"
    assert "Is a directory" in journal.trouble
    with pytest.raises(PromoteError):
        journal.effect("move the stable tag", {}, lambda: "never")
