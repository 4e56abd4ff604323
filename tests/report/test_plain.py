"""Plain lines as exact text: what a CI log or a pipe shows of a run."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from promote.core.deadline import Clock
from promote.core.model import AppState, AppVerdict, CheckResult, End, Step, Verdict
from promote.core.redact import Redactor
from promote.report.plain import Plain

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Look:
    applications: tuple[AppVerdict, ...]
    elapsed_s: float = 0.0
    limit_s: float = 600.0
    notes: tuple[str, ...] = ()

    @property
    def done(self) -> int:
        return sum(a.state in (AppState.PROVEN, AppState.TOLERATED) for a in self.applications)


class Time:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    @property
    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.now)


def app(name: str, reason: str = "", state: AppState = AppState.WAITING) -> AppVerdict:
    return AppVerdict(name=name, state=state if reason else AppState.PROVEN, reason=reason)


def ok(name: str, suite: str = "pre") -> CheckResult:
    return CheckResult(id=name, suite=suite, verdict=Verdict.PASSED)


def shown(out: io.StringIO) -> str:
    text = out.getvalue()
    out.seek(0)
    out.truncate()
    return text


def lines(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n")


def plain(time: Time | None = None) -> tuple[Plain, io.StringIO]:
    out = io.StringIO()
    return Plain(out, clock=(time or Time()).clock), out


def test_a_good_run_from_headline_to_end() -> None:
    report, out = plain()
    report.headline("promote v1.8.0 · acme/gitops · prod-stable is v1.7.4 (9c1d2e7, 3 days old, 27 commits behind)")
    report.step_started("before")
    report.check(ok("on-branch"))
    report.check(ok("version-new"))
    report.step_finished(Step(name="before", verdict=Verdict.PASSED, seconds=4.13, detail="all 2 passed"))
    report.step_finished(Step(name="candidate", verdict=Verdict.PASSED, seconds=0.0, detail="dev-v1.8.0 → 4f0a9b1"))
    report.undo(["promote rollback"])
    report.step_started("promote")
    report.note("run 8123: queued")
    report.step_finished(Step(name="promote", verdict=Verdict.PASSED, seconds=33.2, detail="one push"))
    report.end(End.VERIFIED, ["production runs v1.8.0 (4f0a9b1)", "journal: x.jsonl"])
    assert shown(out) == lines("""
        promote v1.8.0 · acme/gitops · prod-stable is v1.7.4 (9c1d2e7, 3 days old, 27 commits behind)

        before     ✓ on-branch
                   ✓ version-new
        before     ✓ 2 passed  4.1 s
        candidate  ✓ dev-v1.8.0 → 4f0a9b1
        to undo at any time: promote rollback
        promote      run 8123: queued
        promote    ✓ one push  33 s
        ✔ production runs v1.8.0 (4f0a9b1)
          journal: x.jsonl
        """)


def test_a_check_that_passed_with_a_warning_shows_it() -> None:
    report, out = plain()
    report.step_started("smoke")
    report.check(CheckResult(id="smoke-url[web]", suite="smoke", verdict=Verdict.PASSED, evidence={"warning": "slow: 0.81 s, more than 0.5 s"}))
    assert shown(out) == "smoke      ✓ smoke-url[web]: slow: 0.81 s, more than 0.5 s\n"


def test_a_failing_check_shows_its_whole_text() -> None:
    report, out = plain()
    report.step_started("smoke")
    report.check(ok("smoke-url[web]", "smoke"))
    detail = "https://git.acme.dev/healthz\n  expected  200 within 2 s\n  got       503 after 0.2 s\ndo: kubectl -n git logs gitea-0"
    report.check(CheckResult(id="smoke-url[gitea]", suite="smoke", verdict=Verdict.FAILED, detail=detail))
    report.check(CheckResult(id="smoke-url[x]", suite="smoke", verdict=Verdict.ERRORED))
    report.step_finished(Step(name="smoke", verdict=Verdict.FAILED, seconds=20.4, detail="1 of 3 failed"))
    report.end(End.ROLLED_BACK, ["v1.8.0 was rolled back: production runs v1.7.4 again."])
    assert shown(out) == lines("""
        smoke      ✓ smoke-url[web]
                   ✗ smoke-url[gitea]: https://git.acme.dev/healthz
                       expected  200 within 2 s
                       got       503 after 0.2 s
                     do: kubectl -n git logs gitea-0
                   ? smoke-url[x]: gave no reason
        smoke      ✗ 1 of 3 passed: 1 of 3 failed  20 s
        ✗ v1.8.0 was rolled back: production runs v1.7.4 again. Exit 3.
        """)


def test_a_step_with_a_long_story_keeps_its_column() -> None:
    report, out = plain()
    report.step_finished(Step(name="promote", verdict=Verdict.FAILED, seconds=31, detail="run 1 concluded failure\n    a / b: one\n      two"))
    assert shown(out) == lines("""
        promote    ✗ run 1 concluded failure  31 s
                     a / b: one
                       two
        """)


def test_a_reason_is_printed_when_it_changes_in_more_than_a_number_and_not_too_often() -> None:
    time = Time()
    report, out = plain(time)
    report.step_started("converge")
    report.applications(Look((app("root"), app("grafana", "rolling out: 1 of 3 ready"), app("velero", "still at 9c1d2e7"))))
    assert shown(out) == lines("""
        converge     grafana          rolling out: 1 of 3 ready
                     velero           still at 9c1d2e7
        """)
    time.now += 10
    report.applications(Look((app("root"), app("grafana", "rolling out: 2 of 3 ready"), app("velero", "still at 9c1d2e7"))))
    assert shown(out) == ""
    report.applications(Look((app("root"), app("grafana"), app("velero", "OutOfSync")), notes=("velero: sync ended",)))
    assert shown(out) == lines("""
        ...........  velero: sync ended
        ...........  velero           OutOfSync
        """).replace(".", " ")
    time.now += 4
    report.applications(Look((app("root"), app("velero", "rolling out"))))
    assert shown(out) == ""
    time.now += 1
    report.applications(Look((app("root"), app("velero", "rolling out"))))
    assert shown(out).split() == ["velero", "rolling", "out"]


def test_a_failed_application_is_printed_at_once() -> None:
    report, out = plain()
    report.step_started("converge")
    report.applications(Look((app("root"), app("velero", "rolling out"))))
    shown(out)
    report.applications(Look((app("root"), app("velero", "Degraded: crash loop", AppState.FAILED))))
    assert shown(out).split()[0] == "velero"


def test_applications_with_one_reason_share_a_line() -> None:
    report, out = plain()
    report.step_started("converge")
    apps = [*(app(f"app-{n}", "not reconciled since the tag moved") for n in range(12)), app("x", "OutOfSync"), app("y", "OutOfSync")]
    report.applications(Look(tuple(apps)))
    assert shown(out) == lines("""
        converge     app-0, app-1, app-2 and 9 more: not reconciled since the tag moved
                     x, y: OutOfSync
        """)


def test_a_heartbeat_comes_every_15_s_and_only_after_silence() -> None:
    time = Time()
    report, out = plain(time)
    report.step_started("converge")
    waiting = tuple(app(f"app-{n}", "not reconciled since the tag moved") for n in range(5))
    report.applications(Look((app("root"), *waiting)))
    shown(out)
    beats = []
    for second in range(1, 46):
        time.now = 100.0 + second
        report.applications(Look((app("root"), *waiting), elapsed_s=second))
        beats += [(second, text) for text in shown(out).splitlines()]
    assert [second for second, _ in beats] == [15, 30, 45]
    assert beats[0][1] == "             1 of 6 applications converged, 00:15 of 10:00; not yet: app-0, app-1, app-2"


def test_of_very_many_reasons_the_first_eight_are_printed() -> None:
    report, out = plain()
    report.step_started("converge")
    report.applications(Look(tuple(app(f"app-{n}", f"still at {n}") for n in range(101))))
    said = shown(out).splitlines()
    assert len(said) == 9
    assert said[-1].strip() == "… and 93 other reasons"


def test_failed_applications_come_before_waiting_ones() -> None:
    report, out = plain()
    apps = [*(app(f"app-{n}", "still at 9c1d2e7") for n in range(20)), app("zeta", "Degraded", AppState.FAILED)]
    report.applications(Look(tuple(apps)))
    assert shown(out).splitlines()[0].split() == ["zeta", "Degraded"]


def test_every_end_shows_its_exit_code_unless_it_is_0() -> None:
    for end in End:
        report, out = plain()
        report.end(end, ["one\ntwo", "three"])
        first, *rest = shown(out).splitlines()
        assert first.endswith(f"Exit {end.exit_code}.") is bool(end.exit_code)
        assert rest == ["  two", "  three"]


def test_a_stream_without_unicode_gets_ascii() -> None:
    raw = io.BytesIO()
    report = Plain(io.TextIOWrapper(raw, encoding="ascii"))
    report.step_started("before")
    report.check(ok("a"))
    report.check(CheckResult(id="b", suite="pre", verdict=Verdict.FAILED, detail="“x” → José…"))
    report.end(End.STUCK, ["⛔ stopped"])
    assert raw.getvalue().decode("ascii") == lines("""
        before     + a
                   x b: "x" -> Jos?...
        ! ! stopped. Exit 4.
        """)


def test_foreign_text_cannot_drive_the_terminal() -> None:
    report, out = plain()
    report.note("pod prints \x1b[2J\x1b]0;owned\x07bad\r\x08 things")
    assert shown(out) == "             pod prints \\x1b[2J\\x1b]0;owned\\x07bad\\x0d\\x08 things\n"


def test_secrets_are_masked_in_lines_and_in_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    report = Plain(out, redact=Redactor(["hunter2secret"]))
    report.note("push to https://ada:pw123@git.acme.dev/x.git with hunter2secret failed")
    assert shown(out).strip() == "push to https://***@git.acme.dev/x.git with *** failed"
    report.document({"reason": "token hunter2secret", "n": 1, "none": None})
    assert capsys.readouterr().out == '{\n  "reason": "token ***",\n  "n": 1,\n  "none": null\n}\n'


CHILD = """
import sys
from promote.core.model import End
from promote.report.screen import reporter
with reporter(json={json}) as report:
    for n in range(3000):
        report.note(f"line {{n}} " + "x" * 60)
    report.end(End.ROLLED_BACK, ["rolled back"])
report.document({{"outcome": "rolled_back"}})
sys.exit(3)
"""


def run_child(*, json: bool, stdout: int | None, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-c", CHILD.format(json=json)]
    return subprocess.Popen(argv, cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, env={**os.environ, **(env or {})})


def test_a_reader_that_goes_away_changes_neither_the_run_nor_its_exit_code() -> None:
    for json, unbuffered in itertools.product((False, True), ("", "1")):
        child = run_child(json=json, stdout=subprocess.PIPE, env={"PYTHONUNBUFFERED": unbuffered})
        assert child.stdout is not None and child.stderr is not None
        child.stdout.close()
        err = child.stderr.read().decode()
        child.stderr.close()
        assert child.wait(30) == 3
        assert "Traceback" not in err and "BrokenPipe" not in err


def test_a_stdout_that_was_closed_from_the_start_is_survived() -> None:
    argv = ["bash", "-c", 'exec "$@" >&-', "bash", sys.executable, "-c", CHILD.format(json=False)]
    done = subprocess.run(argv, cwd=ROOT, stderr=subprocess.PIPE, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (3, b"")


def test_json_alone_is_on_stdout() -> None:
    child = run_child(json=True, stdout=subprocess.PIPE)
    out, err = child.communicate(timeout=30)
    assert out == b'{\n  "outcome": "rolled_back"\n}\n'
    assert err.count(b"\n") == 3001
