"""Values as text: marks, durations, times, counts, and the lines of a step, a check and the applications that have not converged. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import datetime

from promote.core.foreign import split_lines
from promote.core.model import AppState, AppVerdict, CheckResult, Step, Verdict

MARKS = {Verdict.PASSED: "✓", Verdict.FAILED: "✗", Verdict.ERRORED: "?", Verdict.DISABLED: "-", Verdict.WARNING: "!", Verdict.WAIVED: "~"}
_ASCII = {
    "✓": "+", "✗": "x", "✔": "+", "⛔": "!", "→": "->", "·": "-", "…": "...", "━": "=", "─": "-", "╸": "-", "“": '"', "”": '"', "—": "-",
}  # fmt: skip
ASCII = str.maketrans(_ASCII)
SIGNS = "".join(_ASCII)
WIDTH = 10  # columns for the step's name
CONVERGED = (AppState.PROVEN, AppState.TOLERATED)


def duration(seconds: float) -> str:
    """A duration for tables: `4.1 s`, `48 s`, `2:04`, `1:02:03`."""
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def spoken(seconds: float) -> str:
    """A duration for sentences, in its two largest units: `4 s`, `1 min 41 s`, `2 h 5 min`, `3 days`."""
    whole = round(seconds)
    units = (("day", 86400), ("h", 3600), ("min", 60), ("s", 1))
    at = next((i for i, (_, size) in enumerate(units) if whole >= size), 3)
    first, rest = divmod(whole, units[at][1])
    if at == 0:
        return counted(first, "day")
    second = f" {rest // units[at + 1][1]} {units[at + 1][0]}" if at < 3 and rest >= units[at + 1][1] else ""
    return f"{first} {units[at][0]}{second}"


def clock(seconds: float) -> str:
    """A running time: `00:48`, from one hour on `1:02:03`."""
    whole = int(seconds)
    return f"{whole // 60:02}:{whole % 60:02}" if whole < 3600 else f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def local_time(when: datetime) -> str:
    """`14:02:31 CET`: the time in the local zone, with the zone's name."""
    return f"{when.astimezone():%H:%M:%S %Z}"


def counted(count: int, noun: str) -> str:
    """A count with its noun, in the plural unless it is one: `1 commit`, `2 commits`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listed(items: Sequence[str], most: int = 3, separator: str = ", ") -> str:
    """At most so many items on one line, and the count of the others: `argocd, gitea and 9 more`."""
    return separator.join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")


def step_line(step: Step, checks: Sequence[CheckResult] = ()) -> str:
    """One finished step: mark, counts of its checks, detail (with checks only when one did not pass), time. Further lines are indented."""
    text = step.detail
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
        text = count if step.verdict is Verdict.PASSED or not step.detail else f"{count}: {step.detail}"
    took = f"  {duration(step.seconds)}" if step.seconds >= 0.05 else ""
    first, *rest = split_lines(text) or [""]
    head = f"{step.name:<{WIDTH}} {MARKS[step.verdict]} {first}".rstrip() + took
    return "\n".join([head, *(_indented(line) for line in _outdented(rest))])


def check_lines(check: CheckResult) -> list[str]:
    """A check with its full detail, without the step's column; for a passed check only its warning, if any."""
    if check.verdict is Verdict.PASSED:
        return [f"{MARKS[check.verdict]} {check.id}" + (f": {check.evidence['warning']}" if check.evidence.get("warning") else "")]
    head, *rest = split_lines(check.detail) or ["gave no reason"]
    return [f"{MARKS[check.verdict]} {check.id}: {head}", *(f"  {line}" for line in _outdented(rest))]


def not_converged(applications: Sequence[AppVerdict], most: int = 6) -> list[tuple[str, str]]:
    """(name, reason) of the applications that have not converged, failed ones first; at most `most`, then a count; then the tolerated ones."""
    waiting = sorted((a for a in applications if a.state not in CONVERGED), key=lambda a: a.state is not AppState.FAILED)
    shown = [(a.name, a.reason or a.state.value) for a in waiting[:most]]
    if len(waiting) > most:
        shown.append(("…", f"and {len(waiting) - most} more"))
    return shown + tolerated(applications)


def tolerated(applications: Sequence[AppVerdict], most: int = 3) -> list[tuple[str, str]]:
    """(name, reason) of the tolerated applications; at most `most`, then a count."""
    found = [(a.name, a.reason or "was already unhealthy (ignored)") for a in applications if a.state is AppState.TOLERATED]
    return [*found[:most], *([("…", f"and {len(found) - most} more ignored")] if len(found) > most else [])]


def grouped(named: Sequence[tuple[str, str]], most: int = 3) -> list[str]:
    """One line per reason: `grafana          still at 9c1d2e7`, `argocd, gitea, loki and 9 more: not reconciled since the tag moved`."""
    groups: dict[str, list[str]] = {}
    for name, reason in named:
        groups.setdefault(reason, []).append(name)
    return [_group(names, reason, most) for reason, names in groups.items()]


def _group(names: Sequence[str], reason: str, most: int) -> str:
    if len(names) == 1:
        return f"{names[0]:<16} {reason}"
    return f"{listed(names, most)}: {reason}"


def _indented(line: str) -> str:
    return f"{'':<{WIDTH}}   {line}".rstrip()


def _outdented(rest: Sequence[str]) -> list[str]:
    return split_lines(textwrap.dedent("\n".join(rest)))
