"""How values read: marks, durations, the few lines that tell about many applications."""

from __future__ import annotations

from collections.abc import Sequence

from promote.model import AppState, AppVerdict, Row, Step, Verdict

MARKS = {Verdict.PASSED: "✓", Verdict.FAILED: "✗", Verdict.ERRORED: "?"}
ASCII = str.maketrans({"✓": "+", "✗": "x", "✔": "+", "⛔": "!", "→": ">", "·": "-", "…": ".", "━": "=", "─": "-", "╸": "=", "“": '"', "”": '"'})
WIDTH = 10  # of the column that names the step


def duration(seconds: float) -> str:
    """`4.1 s`, `48 s`, `2:04`, `1:02:03`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def clock(seconds: float) -> str:
    """`00:48`."""
    return f"{int(seconds) // 60:02}:{int(seconds) % 60:02}"


def step_line(step: Step, rows: Sequence[Row] = ()) -> str:
    """One finished step: mark, counts of its rows, detail, time."""
    said = step.detail
    if rows:
        passed = sum(r.verdict is Verdict.PASSED for r in rows)
        said = f"{passed} passed" if passed == len(rows) else f"{passed} of {len(rows)} passed"
    took = f"  {duration(step.seconds)}" if step.seconds >= 0.05 else ""
    return f"{step.name:<{WIDTH}} {MARKS[step.verdict]} {said}{took}"


def row_lines(row: Row) -> list[str]:
    """A row that did not pass, with everything it said."""
    head, *rest = row.detail.splitlines() or [""]
    return [f"{'':<{WIDTH}} {MARKS[row.verdict]} {row.id}: {head}", *(f"{'':<{WIDTH}}   {line}" for line in rest)]


def not_there(applications: Sequence[AppVerdict], most: int = 6) -> list[tuple[str, str]]:
    """Who is not there yet and why; the excused last; beyond `most`, how many more."""
    waiting = [a for a in applications if a.state not in (AppState.PROVEN, AppState.EXCUSED)]
    shown = [(a.name, a.reason) for a in waiting[:most]]
    if len(waiting) > most:
        shown.append(("…", f"and {len(waiting) - most} more"))
    return shown + [(a.name, a.reason) for a in applications if a.state is AppState.EXCUSED][:3]
