"""A suite or a check that is cut off, by a user or its deadline: no child is left, no secret is on disk, and the system that a check asked is named."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from promote.core.errors import Interrupted
from promote.core.model import Verdict
from promote.core.signals import as_interrupts
from promote.git.process import run_git
from tests.checklist.test_suites import QUICK, judge
from tests.support.processes import NAME, left, mark

SECRET = "token-of-the-forge-4711"
# Shows what it does as it does it, past pytest's capturing, and then its driver is asked to stop.
LOUD = f"""
    import os, signal, time

    def test_loud(capfd):
        with capfd.disabled():
            print("progress {SECRET}", flush=True)
        time.sleep(0.3)
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(60)
"""


def test_what_a_stopped_suite_leaves_on_disk_holds_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", SECRET)
    with as_interrupts(), pytest.raises(Interrupted):
        judge(tmp_path, {"test_x.py": LOUD}, seconds=50)
    written = {p.name: p.read_bytes() for p in (tmp_path / "reports").iterdir()}
    assert b"progress ***" in written["smoke.log"], written["smoke.log"]
    assert [name for name, text in written.items() if SECRET.encode() in text] == []


@pytest.mark.parametrize("what", ["suite", "git"])
def test_a_stop_request_while_a_child_starts_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    marked = mark()
    monkeypatch.setenv(NAME, marked[NAME])  # of this process it shows only in what it starts

    def at_the_fork(frame: FrameType, event: str, arg: object) -> Any:
        if frame.f_code.co_name == "_execute_child" and event == "return":
            sys.settrace(None)
            os.kill(os.getpid(), signal.SIGINT)
        return at_the_fork

    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "config", "alias.slow", "!sleep 30"], check=True)
    assert run_git(tmp_path, "--version").code == 0  # GitPython asks for it by itself the first time
    with as_interrupts(), pytest.raises(Interrupted):
        try:
            sys.settrace(at_the_fork)
            if what == "git":
                run_git(tmp_path, "slow")
            else:
                judge(tmp_path, {"test_x.py": "import time\n\n\ndef test_x():\n    time.sleep(60)\n"})
        finally:
            sys.settrace(None)
    assert left(marked) == []


@pytest.mark.parametrize(("own", "killed"), [("sleep 60", True), ("echo done", False)])
def test_a_daemon_that_holds_gits_pipes_costs_no_more_than_the_deadline(tmp_path: Path, own: str, killed: bool) -> None:
    """A credential helper may start one, in a session of its own, and git itself ends or is ended."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "config", "alias.does", f"!setsid sleep 20 & {own}"], check=True)
    started = time.monotonic()
    done = run_git(tmp_path, "does", timeout_s=2)
    assert time.monotonic() - started < 6
    assert (done.killed, done.out) == (killed, "" if killed else "done\n")
    assert killed or done.code == 0, "it did what it was asked to do"


# A program of git's that does not end; its check is cut off before git's own deadline comes.
ASKS_GIT = """
    import pathlib
    from promote.git.process import run_git
    from promote.github.credentials import from_gh

    def test_git():
        run_git(pathlib.Path({clone!r}), "slow", timeout_s=60)

    def test_gh():
        from_gh("forge.example", {{"PATH": {clone!r} + ":/usr/bin:/bin"}})
"""


@pytest.mark.parametrize("check", ["test_git", "test_gh"])
def test_what_a_suite_asks_dies_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: str) -> None:
    marked, clone = mark(), tmp_path / "clone"
    monkeypatch.setenv(NAME, marked[NAME])
    subprocess.run(["git", "init", "-q", str(clone)], check=True)
    subprocess.run(["git", "-C", str(clone), "config", "alias.slow", "!sleep 60"], check=True)
    (clone / "gh").write_text(f"#!/bin/sh\n{NAME}={marked[NAME]} exec sleep 60\n")
    (clone / "gh").chmod(0o755)
    text = ASKS_GIT.format(clone=str(clone))
    result = judge(tmp_path, {"test_x.py": text.replace(f"def {check}", "def test_x").replace("def test_g", "def not_g")}, seconds=4)
    assert result.verdict is Verdict.ERRORED
    assert left(marked) == []


@pytest.mark.parametrize(("slow", "words"), [("asked", "it had just asked the cluster"), ("asking", "it was waiting for the cluster")])
def test_a_check_that_is_cut_off_names_the_system_it_asked(tmp_path: Path, slow: str, words: str) -> None:
    """Also when slow answers, one after the other, use its time up, and never what a check before it asked."""
    text = """
        import time

        import pytest

        from promote.core.in_flight import in_flight

        @pytest.mark.check("asked")
        def test_asked():
            with in_flight("the cluster"):
                time.sleep(0.1)
            time.sleep(30)

        @pytest.mark.check("asking")
        def test_asking():
            with in_flight("the cluster"):
                time.sleep(30)

        def test_before():
            with in_flight("the forge"):
                pass

        @pytest.mark.check("alone")
        def test_alone():
            time.sleep(30)
        """
    found = {check.id: check.detail for check in judge(tmp_path, {"test_x.py": text}, settings=QUICK).checks}
    assert words in found[slow]
    assert " ask" not in found["alone"] and "waiting for" not in found["alone"]
