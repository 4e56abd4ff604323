"""Text that other people wrote on its way out: no line of it begins one of ours, controls a terminal, or is a command of GitHub Actions."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promote.cli.main import main
from promote.core.errors import PromoteError
from promote.core.foreign import one_line
from promote.core.model import AppState, AppVerdict, CheckResult, End, Step, Verdict
from promote.core.redact import Redactor
from promote.report.github_actions import commands, inert, inert_json, summary
from promote.report.plain import Plain
from promote.report.screen import answer
from promote.report.sink import Sink
from tests.support.repos import git, make_repos

EVIL = "a\n::error title=X::production was deleted\n  ::stop-commands::x\r\n\u3000::set-env::y ##[add-mask]b \x1b]0;t\x07\u2028::warning::z\u202egnp"
COMMAND = re.compile(r"^\s*::|##\[", re.MULTILINE)  # as the runner recognises it, after its own trim
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
OURS = ("before ", "✗ ", "⛔ ", "to undo at any time: ", "promote: ")
LOCKED = (
    '{"request_id": "r1", "state": "prechecked", "version": "v1", "candidate": "%s", "stable_before": "", "owner": %s, "host": "h", "since": "%s"}'
)


@pytest.fixture
def on_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")


class Look:
    applications = (AppVerdict(name="web", state=AppState.FAILED, reason=EVIL),)
    notes = (EVIL,)
    done, elapsed_s, limit_s = 0, 1.0, 2.0


def told(text: str) -> str:
    """Everything that a reporter may be asked to print, with this text in every place."""
    out = io.StringIO()
    report = Plain(out)
    report.headline(text)
    report.step_started("before")
    report.check(CheckResult(id="x", suite="pre", verdict=Verdict.FAILED, detail=text))
    report.applications(Look())
    report.note(text)
    report.step_finished(Step(name="before", verdict=Verdict.FAILED, seconds=1, detail=text))
    report.undo([text])
    report.end(End.STUCK, [text, text])
    report.sink.error(PromoteError(text, hint=text))
    return out.getvalue()


@given(st.text() | st.just(EVIL))
def test_no_text_begins_a_line_of_a_report(text: str) -> None:
    """Only our own words stand at the left: a quoted text is indented, or behind them."""
    headline, *rest = told(text).split("\n")
    assert headline == one_line(text)
    assert [line for line in rest if line[:1].strip() and not line.startswith(OURS)] == []
    assert not UNSEEN.search("".join([headline, *rest]))


def test_under_github_actions_no_line_of_a_report_is_a_command(on_actions: None) -> None:
    assert COMMAND.search(EVIL) and not COMMAND.search(told(EVIL))
    assert "  : :stop-commands::x" in told(EVIL) and "## [add-mask]b" in told(EVIL)


@pytest.mark.usefixtures("on_actions")
@given(st.text(st.sampled_from(" \n\t:#[e\u3000\xa0\x85")) | st.text())
def test_no_text_is_a_command(text: str) -> None:
    out = io.StringIO()
    Sink(out).line(text)
    assert not COMMAND.search(out.getvalue())
    assert inert(inert(text)) == inert(text)


@given(st.dictionaries(st.text(st.sampled_from("#[:a")), st.text(st.sampled_from('#[:\\"\n'))))
def test_a_document_is_the_same_value_without_a_command(value: dict[str, str]) -> None:
    text = inert_json(json.dumps(value, indent=2))
    assert json.loads(text) == value and not COMMAND.search(text)


def test_an_answer_has_a_line_for_each_of_its_lines(capsys: pytest.CaptureFixture[str], on_actions: None) -> None:
    answer(f"lock  {EVIL}", "free")
    first, second, *rest = capsys.readouterr().out.split("\n")
    assert first.startswith("lock  a\\n::error title=X::") and (second, rest) == ("free", [""]) and "## [add-mask]" in first


def test_a_document_keeps_its_values(capsys: pytest.CaptureFixture[str], on_actions: None) -> None:
    answer(document={"subject": EVIL})
    out = capsys.readouterr().out
    assert json.loads(out) == {"subject": EVIL} and not COMMAND.search(out) and out.isascii()


def test_a_colour_in_the_middle_of_a_secret_hides_no_part_of_it() -> None:
    out = io.StringIO()
    Sink(out, Redactor(["hunter2secret"])).line("a hunter2\x1b[1msecret b")
    assert out.getvalue() == "a *** b\n"


def test_the_summary_and_annotations_show_escapes() -> None:
    checks = [("x", Verdict.FAILED, EVIL)]
    (command,), table = commands(checks), summary(EVIL, checks)
    assert "\\u2028::warning::z\\u202egnp" in command and "\n" not in command
    assert "\\u202egnp" in table and not re.search("[\x1b\u2028\u202e]", table)


def test_a_locks_text_is_neither_a_line_nor_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], on_actions: None) -> None:
    repos = make_repos(tmp_path)
    (repos.clone / "promotion.toml").write_text("")
    head = git(repos.clone, "rev-parse", "HEAD")
    message = LOCKED % (head, json.dumps(f"eve{EVIL}"), "2026-11-28T08:00:00+00:00")
    (repos.clone / "tag").write_text(f"object {head}\ntype commit\ntag promote-lock\ntagger a <a@b> 1700000000 +0000\n\n{message}\n")
    oid = git(repos.clone, "hash-object", "-t", "tag", "-w", "tag")
    git(repos.clone, "push", "-q", "origin", f"{oid}:refs/promote/lock")
    for argv, code in ((["abort", "--break-lock"], 2), (["abort", "--break-lock", "--yes"], 0)):
        assert main([*argv, "-C", str(repos.clone)]) == code
        said = capsys.readouterr()
        assert "evea\\n" in said.out + said.err and not COMMAND.search(said.out + said.err) and "\x1b" not in said.out + said.err
