"""Plain lines for pipes and CI logs: in order, nothing repeated, nothing that moves."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from typing import TextIO

from promote.deadline import Clock
from promote.model import End, Row, Step, Verdict
from promote.report.events import Looked
from promote.report.redact import Redactor
from promote.report.sink import Sink
from promote.report.words import MARKS, WIDTH, clock, counted, not_there, row_lines, step_line

HEARTBEAT_S = 15.0
AT_ONCE = 8  # applications named after one look
ENDS = {End.VERIFIED: "✔", End.STUCK: "⛔", End.UNCHECKED: "?"}
_NUMBER = re.compile(r"\d+")


class Plain:
    """A reporter. An application's reason is written when it changes in more than a number; a count at most every 15 s."""

    def __init__(self, out: TextIO | None, *, redact: Redactor | None = None, clock: Clock | None = None) -> None:
        self.sink = Sink(out, redact)
        self._redact, self._clock = redact, clock or Clock()
        self._step, self._rows, self._said, self._since, self._beat = "", list[Row](), dict[str, str](), 0.0, 0.0

    def line(self, text: str) -> None:
        """One or more whole lines."""
        self.sink.line(text)

    def headline(self, text: str) -> None:
        self.line(text + "\n")

    def step_started(self, name: str) -> None:
        self._step, self._rows, self._said = name, [], {}
        self._since = self._beat = self._clock.monotonic()

    def row(self, row: Row) -> None:
        self._rows.append(row)
        for text in [f"{MARKS[row.verdict]} {row.id}"] if row.verdict is Verdict.PASSED else row_lines(row):
            self.under(text)

    def step_finished(self, step: Step) -> None:
        self.line(step_line(step, self._rows))
        self._step, self._rows = "", []

    def applications(self, look: Looked) -> None:
        for note in look.notes:
            self.note(note)
        changed = [(n, r) for n, r in not_there(look.applications, most=len(look.applications)) if self._said.get(n) != _NUMBER.sub("", r)]
        for name, reason in changed[:AT_ONCE]:
            self.under(f"  {name:<16} {reason}")
        if len(changed) > AT_ONCE:
            self.under(f"  … and {len(changed) - AT_ONCE} more")
        self._said.update((n, _NUMBER.sub("", r)) for n, r in changed)
        if changed or self._clock.monotonic() - self._beat < HEARTBEAT_S:
            return
        waiting = ", ".join(name for name, _ in not_there(look.applications, most=3) if name != "…")
        there = f"{look.done} of {counted(len(look.applications), 'application')} there, {clock(look.elapsed_s)} of {clock(look.limit_s)}"
        self.under(f"  {there}" + (f"; not yet: {waiting}" if look.done < len(look.applications) else ""))

    def note(self, text: str) -> None:
        for part in text.splitlines():
            self.under(f"  {part}")

    def under(self, text: str) -> None:
        """A line below the step's name, which is said once, when the step first has something to say."""
        name, self._step = self._step, ""
        self._beat = self._clock.monotonic()
        self.line(f"{name:<{WIDTH}} {text}")

    def undo(self, lines: Sequence[str]) -> None:
        for text in lines:
            self.line(f"to undo at any time: {text}")

    def end(self, end: End, lines: Sequence[str]) -> None:
        """The first line says what is true now, with the exit code where it is not 0."""
        first, *rest = [part for text in lines for part in text.splitlines()] or [end.value]
        self.line(f"{ENDS.get(end, '✗')} {first}" + (f" Exit {end.exit_code}." if end.exit_code else ""))
        for text in rest:
            self.line(f"  {text}")

    def document(self, document: object) -> None:
        """One JSON document on stdout, whatever else went to stderr."""
        out = Sink(sys.stdout, self._redact)
        out.write(json.dumps(out.value(document), indent=2, default=str) + "\n")
        out.flush()
