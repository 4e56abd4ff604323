"""The live view of a terminal: finished steps above, and below them a foot with the current step. Only this module imports rich, lazily."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Any, TextIO, cast

from promote.core.deadline import Clock
from promote.core.model import CheckResult, Verdict
from promote.core.redact import Redactor
from promote.report.plain import Looked, Plain
from promote.report.words import WIDTH, clock, counted, not_converged

STYLES = {"✓": "green", "✔": "bold green", "✗": "bold red", "⛔": "bold red", "?": "yellow"}
PER_SECOND = 8
NARROW = 60  # columns; on a narrower terminal, names start at the left
BAR = 30


class Live(Plain):
    """Like Plain, but counts passed checks instead of listing them, and shows applications in the foot. Use it within `with live.screen:`."""

    def __init__(
        self, out: TextIO, *, redact: Redactor | None = None, clock: Clock | None = None, width: int | None = None, force: bool | None = None
    ) -> None:
        """`width` and `force` (treat `out` as a terminal) are for recordings; by default both are read from the terminal."""
        from rich.console import Console
        from rich.live import Live as Screen

        super().__init__(out, redact=redact, clock=clock)
        self._console = Console(file=cast(IO[str], self.sink), highlight=False, width=width, force_terminal=force)
        self._name, self._look = "", cast(Looked | None, None)
        self.screen = Screen(console=self._console, get_renderable=self.render, refresh_per_second=PER_SECOND, transient=True)

    def line(self, text: str) -> None:
        # soft_wrap: the terminal wraps long lines itself, so that a user can copy a command in one piece.
        self._console.print(self._styled(self.sink.clean(text)), soft_wrap=True)

    def step_started(self, name: str) -> None:
        super().step_started(name)
        self._name, self._look = name, None

    def check(self, check: CheckResult) -> None:
        if check.verdict is Verdict.PASSED and not check.evidence.get("warning"):
            self._checks = [*(c for c in self._checks if c.id != check.id), check]
        else:
            super().check(check)

    def step_finished(self, step: Any) -> None:
        self._name, self._look = "", None
        super().step_finished(step)

    def applications(self, look: Looked) -> None:
        for note in look.notes:
            self.note(note)
        self._look = look

    def render(self) -> Any:
        """The current foot; rich calls this several times a second, from its own thread."""
        from rich.text import Text

        name, look = self._name, self._look
        if not name:
            return Text("")
        passed = sum(r.verdict is Verdict.PASSED for r in self._checks)
        lines = foot(name, self._clock.monotonic() - self._since, width=self._console.width, passed=passed, look=look)
        return Text("\n".join(map(self.sink.clean, lines)), no_wrap=True, overflow="crop")

    def _styled(self, text: str) -> Any:
        """The line with its mark in colour and the step's name in bold. Colours only repeat the meaning of the marks."""
        from rich.text import Text

        styled = Text(text)
        lead = text[: WIDTH + 2]
        marks = {self.sink.clean(mark): style for mark, style in STYLES.items()}
        at = next((i for i in (0, WIDTH + 1) if lead[i : i + 1] in marks and lead[i + 1 : i + 2] in ("", " ")), None)
        if at is not None:
            styled.stylize(marks[lead[at]], at, at + 1)
        if at == WIDTH + 1 and lead[:1].strip():
            styled.stylize("bold", 0, WIDTH)
        return styled


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
