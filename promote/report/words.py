"""How values read: marks, durations, times, counts, and the lines of a step, a check and the applications still missing. Pure text, no stream."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import datetime

from promote.core.model import AppState, AppVerdict, CheckResult, Step, Verdict

MARKS = {Verdict.PASSED: "✓", Verdict.FAILED: "✗", Verdict.ERRORED: "?", Verdict.DISABLED: "-", Verdict.WARNING: "!", Verdict.WAIVED: "~"}
_ASCII = {
    "✓": "+", "✗": "x", "✔": "+", "⛔": "!", "→": "->", "·": "-", "…": "...", "━": "=", "─": "-", "╸": "-", "“": '"', "”": '"', "—": "-",
}  # fmt: skip
ASCII = str.maketrans(_ASCII)
SIGNS = "".join(_ASCII)
WIDTH = 10  # of the column that names the step
CONVERGED = (AppState.PROVEN, AppState.TOLERATED)


def duration(seconds: float) -> str:
    """For columns: `4.1 s`, `48 s`, `2:04`, `1:02:03`."""
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def spoken(seconds: float) -> str:
    """For sentences, in the two units that matter: `4 s`, `1 min 41 s`, `2 h 5 min`, `3 days`."""
    whole = round(seconds)
    units = (("day", 86400), ("h", 3600), ("min", 60), ("s", 1))
    at = next((i for i, (_, size) in enumerate(units) if whole >= size), 3)
    first, rest = divmod(whole, units[at][1])
    if at == 0:
        return counted(first, "day")
    second = f" {rest // units[at + 1][1]} {units[at + 1][0]}" if at < 3 and rest >= units[at + 1][1] else ""
    return f"{first} {units[at][0]}{second}"


def clock(seconds: float) -> str:
    """`00:48`, past the hour `1:02:03`."""
    whole = int(seconds)
    return f"{whole // 60:02}:{whole % 60:02}" if whole < 3600 else f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def local_time(when: datetime) -> str:
    """`14:02:31 CET`: the reader's own zone, named."""
    return f"{when.astimezone():%H:%M:%S %Z}"


def counted(count: int, noun: str) -> str:
    """A count with its noun, in the plural unless it is one: `1 commit`, `2 commits`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def step_line(step: Step, checks: Sequence[CheckResult] = ()) -> str:
    """One finished step: mark, counts of its checks, detail (for checks only when they did not all pass), time. More lines are indented."""
    said = step.detail
    if checks:
        passed, apart = (
            sum(r.verdict is Verdict.PASSED for r in checks),
            [r for r in checks if r.verdict is not Verdict.PASSED and not r.verdict.blocks],
        )
        judged = len(checks) - len(apart)
        count = f"{passed} passed" if passed == judged else f"{passed} of {judged} passed"
        for verdict in (Verdict.WAIVED, Verdict.WARNING, Verdict.DISABLED):
            if number := sum(r.verdict is verdict for r in apart):
                count += f", {number} {verdict.value}"
        said = count if step.verdict is Verdict.PASSED or not step.detail else f"{count}: {step.detail}"
    took = f"  {duration(step.seconds)}" if step.seconds >= 0.05 else ""
    first, *rest = said.splitlines() or [""]
    head = f"{step.name:<{WIDTH}} {MARKS[step.verdict]} {first}".rstrip() + took
    return "\n".join([head, *(_indented(line) for line in _outdented(rest))])


def check_lines(check: CheckResult) -> list[str]:
    """A check with everything it said, without the step's column; one that passed: only its warning, when it has one."""
    if check.verdict is Verdict.PASSED:
        return [f"{MARKS[check.verdict]} {check.id}" + (f": {check.evidence['warning']}" if check.evidence.get("warning") else "")]
    head, *rest = check.detail.splitlines() or ["gave no reason"]
    return [f"{MARKS[check.verdict]} {check.id}: {head}", *(f"  {line}" for line in _outdented(rest))]


def not_there(applications: Sequence[AppVerdict], most: int = 6) -> list[tuple[str, str]]:
    """Who is not there yet and why, failed ones first; beyond `most`, how many more; then the excused."""
    waiting = sorted((a for a in applications if a.state not in CONVERGED), key=lambda a: a.state is not AppState.FAILED)
    shown = [(a.name, a.reason or a.state.value) for a in waiting[:most]]
    if len(waiting) > most:
        shown.append(("…", f"and {len(waiting) - most} more"))
    return shown + tolerated(applications)


def tolerated(applications: Sequence[AppVerdict], most: int = 3) -> list[tuple[str, str]]:
    """Who is not counted, and why."""
    found = [(a.name, a.reason or "was unhealthy before: not counted") for a in applications if a.state is AppState.TOLERATED]
    return [*found[:most], *([("…", f"and {len(found) - most} more not counted")] if len(found) > most else [])]


def grouped(named: Sequence[tuple[str, str]], most: int = 3) -> list[str]:
    """One line a reason: `grafana          still at 9c1d2e7`, `argocd, gitea, loki and 9 more: not reconciled since the tag moved`."""
    groups: dict[str, list[str]] = {}
    for name, reason in named:
        groups.setdefault(reason, []).append(name)
    return [_group(names, reason, most) for reason, names in groups.items()]


def _group(names: Sequence[str], reason: str, most: int) -> str:
    if len(names) == 1:
        return f"{names[0]:<16} {reason}"
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}: {reason}"


def _indented(line: str) -> str:
    return f"{'':<{WIDTH}}   {line}".rstrip()


def _outdented(lines: Sequence[str]) -> list[str]:
    return textwrap.dedent("\n".join(lines)).splitlines()
