"""The reporters: plain lines for pipes and CI logs, the same lines with a live foot on a terminal. Progress is on stderr when stdout carries JSON."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from promote.model import End, Row, Step, Verdict
from promote.report.events import Looked, Reporter
from promote.report.words import ASCII, WIDTH, clock, not_there, row_lines, step_line

HEARTBEAT_S = 15.0
SIGNS = {End.VERIFIED: "✔", End.ROLLED_BACK: "✗", End.STUCK: "⛔"}


class Plain:
    """Lines, in order, nothing repeated: an application's reason is written when it changes, and a count at most every 15 s."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self._ascii = "utf" not in (getattr(out, "encoding", "") or "").lower()
        self._rows: list[Row] = []
        self._said: dict[str, str] = {}
        self._beat = 0.0

    def line(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # a closed pipe must not stop a promotion
            print(text.translate(ASCII) if self._ascii else text, file=self.out, flush=True)

    def headline(self, text: str) -> None:
        self.line(text + "\n")

    def step_started(self, name: str) -> None:
        del name  # plain lines name a step when it is finished
        self._rows, self._said, self._beat = [], {}, time.monotonic()

    def row(self, row: Row) -> None:
        self._rows.append(row)
        if row.verdict is Verdict.PASSED:
            self.line(f"{'':<{WIDTH}} ✓ {row.id}")
        else:
            for text in row_lines(row):
                self.line(text)

    def step_finished(self, step: Step) -> None:
        self.line(step_line(step, self._rows))
        self._rows = []

    def applications(self, look: Looked) -> None:
        for note in look.notes:
            self.note(note)
        changed = [(n, r) for n, r in not_there(look.applications, most=1000) if self._said.get(n) != r]
        for name, reason in changed[:8]:
            self.line(f"{'':<{WIDTH}}   {name:<16} {reason}")
        if len(changed) > 8:
            self.line(f"{'':<{WIDTH}}   … and {len(changed) - 8} more")
        self._said.update(changed)
        if time.monotonic() - self._beat >= HEARTBEAT_S:
            self._beat = time.monotonic()
            self.line(f"{'':<{WIDTH}}   {look.done} of {len(look.applications)} there, {clock(look.elapsed_s)} of {clock(look.limit_s)}")

    def note(self, text: str) -> None:
        self.line(f"{'':<{WIDTH}}   {text}")

    def undo(self, lines: Sequence[str]) -> None:
        for text in lines:
            self.line(f"to undo at any time: {text}")

    def end(self, end: End, lines: Sequence[str]) -> None:
        first, *rest = lines
        self.line(f"{SIGNS.get(end, '✗')} {first}  Exit {end.exit_code}." if end is not End.VERIFIED else f"{SIGNS[end]} {first}")
        for text in rest:
            for part in text.splitlines():
                self.line(f"  {part}")

    def document(self, document: object) -> None:
        json.dump(document, sys.stdout, indent=2, default=str)
        sys.stdout.write("\n")


class Live(Plain):
    """On a terminal: passed rows are counted instead of listed, and a foot shows the step under way, its time and who is not there yet."""

    def __init__(self, out: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live as Foot

        super().__init__(out)
        self._console = Console(file=out, highlight=False, soft_wrap=False)
        self._ascii = self._console.options.ascii_only
        self._look: Looked | None = None
        self._step, self._since = "", time.monotonic()
        self.foot = Foot(console=self._console, get_renderable=self._render, refresh_per_second=8, transient=True)

    def line(self, text: str) -> None:
        from rich.text import Text

        style = "red" if "✗" in text[: WIDTH + 3] else "green" if "✔" in text[:2] else ""
        with contextlib.suppress(OSError, ValueError):
            self._console.print(Text(text.translate(ASCII) if self._ascii else text, style=style))

    def step_started(self, name: str) -> None:
        super().step_started(name)
        self._step, self._since, self._look = name, time.monotonic(), None

    def step_finished(self, step: Step) -> None:
        super().step_finished(step)
        self._step, self._look = "", None

    def row(self, row: Row) -> None:
        if row.verdict is Verdict.PASSED:
            self._rows.append(row)
        else:
            super().row(row)

    def applications(self, look: Looked) -> None:
        for note in look.notes:
            self.note(note)
        self._look = look

    def end(self, end: End, lines: Sequence[str]) -> None:
        self._step = ""
        super().end(end, lines)

    def _render(self) -> Any:
        from rich.console import Group
        from rich.text import Text

        if not self._step:
            return Text("")
        elapsed = time.monotonic() - self._since
        look = self._look
        if look is None:
            passed = sum(r.verdict is Verdict.PASSED for r in self._rows)
            return Text(f"{self._step:<{WIDTH}} … {f'{passed} rows passed, ' if passed else ''}{clock(elapsed)}")
        total = max(1, len(look.applications))
        full = round(30 * look.done / total)
        bar = "━" * full + "─" * (30 - full)
        head = f"{self._step:<{WIDTH}} {bar} {look.done} / {len(look.applications)}   {clock(elapsed)} of {clock(look.limit_s)}"
        lines = [head, *(f"{'':<{WIDTH}} {name:<16} {reason}" for name, reason in not_there(look.applications))]
        width = self._console.width
        return Group(*(Text((text.translate(ASCII) if self._ascii else text)[: width - 1]) for text in lines))


@contextlib.contextmanager
def reporter(*, json: bool) -> Iterator[Reporter]:
    """The right reporter for where we are: live on a terminal, plain elsewhere."""
    out = sys.stderr if json else sys.stdout
    if not out.isatty() or os.environ.get("TERM") == "dumb":
        yield Plain(out)
        return
    live = Live(out)
    with live.foot:
        yield live
