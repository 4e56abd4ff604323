"""The live view, recorded: the foot as exact text at three widths, and the rest on the screen when a run is over."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from promote.core.model import AppState, CheckResult, End, Step, Verdict
from promote.core.redact import Redactor
from promote.report.screen import reporter
from promote.report.terminal import Live, foot
from tests.report.test_plain import Look, Time, app, lines, ok

APPS = (
    *(app(f"app-{n}") for n in range(92)),
    app("grafana", "rolling out: 1 of 2 new replicas ready"),
    app("cert-manager", "not reconciled since the tag moved"),
    app("velero", "was already Degraded before this promotion (ignored)", AppState.TOLERATED),
    *(app(f"late-{n}", "still at 9c1d2e7") for n in range(6)),
)
LOOK = Look(APPS, limit_s=600.0)


def on_screen(stream: str) -> list[str]:
    """What a terminal shows after these bytes: carriage return, cursor up, erase line; colours are dropped."""
    rows, at, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", stream):
        if part == "\n":
            at, column = at + 1, 0
            rows += [""] * (at + 1 - len(rows))
        elif part == "\r":
            column = 0
        elif part.startswith("\x1b["):
            count = int(part[2:-1]) if part[2:-1].isdigit() else 1
            at -= count if part[-1] == "A" else 0
            rows[at] = "" if part[-1] == "K" else rows[at]
        else:
            rows[at] = rows[at][:column] + part + rows[at][column + len(part) :]
            column += len(part)
    return [row.rstrip() for row in rows]


def recorded(live: Live, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, record=True)
    console.print(live.render())
    return "\n".join(line.rstrip() for line in console.export_text().splitlines())


def terminal(width: int = 80, *, redact: Redactor | None = None, encoding: str = "utf-8") -> tuple[Live, io.BytesIO, Time]:
    raw, time = io.BytesIO(), Time()
    out = io.TextIOWrapper(raw, encoding=encoding, newline="")
    return Live(out, redact=redact, clock=time.clock, width=width, force=True), raw, time


@pytest.fixture(autouse=True)
def a_plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def test_the_foot_at_80_columns() -> None:
    assert "\n".join(foot("converge", 48.4, width=80, look=LOOK)) + "\n" == lines("""
        converge   ━━━━━━━━━━━━━━━━━━━━━━━━━━━───  93 / 101  00:48 of 10:00
                   grafana       rolling out: 1 of 2 new replicas ready
                   cert-manager  not reconciled since the tag moved
                   late-0        still at 9c1d2e7
                   late-1        still at 9c1d2e7
                   late-2        still at 9c1d2e7
                   late-3        still at 9c1d2e7
                   …             and 2 more
                   velero        was already Degraded before this promotion (ignored)
        """)


def test_the_foot_at_40_columns_keeps_count_time_and_names() -> None:
    assert "\n".join(foot("converge", 48.4, width=40, look=LOOK)[:3]) + "\n" == lines("""
        converge   93 / 101  00:48 of 10:00
         grafana       rolling out: 1 of 2 new…
         cert-manager  not reconciled since th…
        """)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 250])
def test_the_foot_never_reaches_the_last_column(width: int) -> None:
    long = (*APPS, app("a-very-long-application-name-of-another-unrelated-team-in-eu-central-1", "reason " * 30))
    for look in (None, LOOK, Look(long, limit_s=7300), Look(())):
        assert max(map(len, foot("converge", 3700, width=width, passed=12, look=look))) < width


def test_the_foot_of_a_suite_counts_its_checks() -> None:
    assert foot("before", 4.2, width=80) == ["before     … 00:04"]
    assert foot("before", 4.2, width=80, passed=1) == ["before     … 1 check passed  00:04"]


def test_the_foot_follows_the_step_and_the_clock() -> None:
    live, _, time = terminal()
    assert recorded(live, 80) == ""
    live.step_started("before")
    live.check(ok("on-branch"))
    time.now += 3
    assert recorded(live, 80) == "before     … 1 check passed  00:03"
    live.step_started("converge")
    live.applications(Look((app("root"), app("grafana", "still at 9c1d2e7")), limit_s=600))
    time.now += 65
    assert recorded(live, 80) == ("converge   ━━━━━━━━━━━━━━━───────────────  1 / 2  01:05 of 10:00\n           grafana  still at 9c1d2e7")
    live.step_finished(Step(name="converge", verdict=Verdict.PASSED, seconds=66))
    assert recorded(live, 80) == ""


def drive(live: Live) -> None:
    with live.screen:
        live.headline("promote v1.8.0")
        live.step_started("before")
        live.check(ok("on-branch"))
        live.check(CheckResult(id="policy", suite="pre", verdict=Verdict.FAILED, detail="checks/ differ\ndo: pull"))
        live.screen.refresh()
        live.step_finished(Step(name="before", verdict=Verdict.FAILED, seconds=4))
        live.undo(["promote rollback       (or, without this tool: git fetch origin refs/promote/undo && git push -f origin FETCH_HEAD:refs/tags/x)"])
        live.step_started("converge")
        live.applications(LOOK)
        live.screen.refresh()
        live.step_finished(Step(name="converge", verdict=Verdict.PASSED, seconds=66, detail="101 of 101"))
        live.end(End.REFUSED, ["nothing was moved."])


def test_what_stays_on_the_screen_is_the_story_without_the_foot() -> None:
    live, raw, _ = terminal()
    drive(live)
    live.sink.flush()
    stream = raw.getvalue().decode()
    assert "━━━" in stream  # the foot was there
    assert "\n".join(on_screen(stream)).rstrip("\n") + "\n" == lines("""
        promote v1.8.0

        before     ✗ policy: checks/ differ
                     do: pull
        before     ✗ 1 of 2 passed  4.0 s
        to undo at any time: promote rollback       (or, without this tool: git fetch origin refs/promote/undo && git push -f origin FETCH_HEAD:refs/tags/x)
        converge   ✓ 101 of 101  1:06
        ✗ nothing was moved. Exit 1.
        """)


def test_marks_are_coloured_and_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    coloured, raw, _ = terminal()
    drive(coloured)
    assert b"\x1b[1;31m\xe2\x9c\x97\x1b[0m" in raw.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    plain, raw, _ = terminal()
    drive(plain)
    assert re.search(rb"\x1b\[[0-9;]*3[0-7]m", raw.getvalue()) is None
    assert "before     ✗ policy: checks/ differ" in on_screen(raw.getvalue().decode())


def test_a_terminal_without_unicode_gets_ascii() -> None:
    live, raw, _ = terminal(encoding="latin-1")
    drive(live)
    text = raw.getvalue().decode("ascii")
    assert "before     x policy: checks/ differ" in on_screen(text)
    assert "=====" in text


def test_secrets_are_masked_in_lines_and_in_the_foot() -> None:
    live, raw, _ = terminal(redact=Redactor(["hunter2secret"]))
    with live.screen:
        live.step_started("converge")
        live.applications(Look((app("grafana", "cannot pull with hunter2secret"),)))
        live.screen.refresh()
        live.note("token hunter2secret")
    text = raw.getvalue().decode()
    assert "hunter2secret" not in text
    assert "cannot pull with ***" in text and "token ***" in text


def test_brackets_in_foreign_text_are_no_markup() -> None:
    live, raw, _ = terminal()
    live.note("[bold]row[/bold] smoke-url[web] [/nothing]")
    live.sink.flush()
    assert "[bold]row[/bold] smoke-url[web] [/nothing]" in raw.getvalue().decode()


class Gone(io.StringIO):
    """A terminal that was closed."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")

    def isatty(self) -> bool:
        return True


def test_a_terminal_that_was_closed_does_not_stop_the_run() -> None:
    drive(Live(Gone(), clock=Time().clock, width=80, force=True))


def test_the_reporter_is_live_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", Gone())
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with reporter(json=False) as report:
        assert isinstance(report, Live)
    with reporter(json=True) as report:
        assert not isinstance(report, Live)
    monkeypatch.setenv("TERM", "dumb")
    with reporter(json=False) as report:
        assert not isinstance(report, Live)


def test_a_step_that_was_cut_short_leaves_no_foot() -> None:
    live, raw, _ = terminal()
    with live.screen:
        live.step_started("converge")
        live.applications(LOOK)
        live.screen.refresh()
        live.note("stopping")
    assert [row for row in on_screen(raw.getvalue().decode()) if row] == ["converge     stopping"]
