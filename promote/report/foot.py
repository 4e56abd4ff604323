"""The live foot of a terminal as lines of text: the current step, its time, and the applications that have not converged. Pure, for any width."""

from __future__ import annotations

from collections.abc import Sequence

from promote.report.events import Looked
from promote.report.words import WIDTH, clock, counted, not_converged

NARROW = 60  # columns; on a narrower terminal, names start at the left
BAR = 30


def foot(step: str, elapsed_s: float, *, width: int, passed: int = 0, look: Looked | None = None) -> list[str]:
    """The foot in lines of at most `width` - 1 columns. Reasons are truncated, never the count or the time."""
    if look is None:
        count = f"{counted(passed, 'check')} passed  " if passed else ""
        return [_cut(f"{step:<{WIDTH}} … {count}{clock(elapsed_s)}", width)]
    total = len(look.applications)
    count, times = f"{look.done} / {total}", f"{clock(elapsed_s)} of {clock(look.limit_s)}"
    room = min(BAR, width - 1 - WIDTH - 1 - len(count) - len(times) - 4)
    bar = f"{_bar(look.done, total, room)}  " if room >= 8 else ""
    return [_cut(f"{step:<{WIDTH}} {bar}{count}  {times}", width), *_named(not_converged(look.applications), width)]


def _named(named: Sequence[tuple[str, str]], width: int) -> list[str]:
    indent = WIDTH + 1 if width >= NARROW else 1
    column = min(max((len(name) for name, _ in named), default=0), max(12, width // 3))
    return [_cut(f"{'':<{indent}}{_cut(name, column + 1):<{column}}  {reason}", width) for name, reason in named]


def _bar(done: int, total: int, columns: int) -> str:
    full = columns * done // total if total else 0
    return "━" * full + "─" * (columns - full)


def _cut(text: str, width: int) -> str:
    return text if len(text) < width else text[: max(0, width - 2)] + "…"
