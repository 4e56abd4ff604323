"""Plain lines for pipes and CI logs: in order, nothing repeated, nothing that moves."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from typing import TextIO

from promote.core.deadline import Clock
from promote.core.model import AppState, CheckResult, End, Step
from promote.core.redact import Redactor
from promote.report.events import Looked
from promote.report.sink import Sink
from promote.report.words import WIDTH, check_lines, clock, counted, grouped, not_there, step_line

HEARTBEAT_S = 15.0
QUIET_S = 5.0  # between two tellings of who is not there, unless one failed
AT_ONCE = 8  # lines of one telling
ENDS = {End.VERIFIED: "✔", End.STUCK: "⛔", End.UNCHECKED: "?"}
_NUMBER = re.compile(r"\d+")


class Plain:
    """A reporter. Reasons are written when they change in more than a number, grouped, at most every 5 s; a count every 15 s."""

    def __init__(self, out: TextIO | None, *, redact: Redactor | None = None, clock: Clock | None = None) -> None:
        self.sink = Sink(out, redact)
        self._redact, self._clock = redact, clock or Clock()
        self._step, self._checks, self._said = "", list[CheckResult](), dict[str, str]()
        self._since = self._beat = self._quiet_until = 0.0

    def line(self, text: str) -> None:
        """One or more whole lines."""
        self.sink.line(text)

    def headline(self, text: str) -> None:
        self.line(text + "\n")

    def step_started(self, name: str) -> None:
        self._step, self._checks, self._said = name, [], {}
        self._since = self._beat = self._quiet_until = self._clock.monotonic()

    def check(self, check: CheckResult) -> None:
        self._checks.append(check)
        for text in check_lines(check):
            self.under(text)

    def step_finished(self, step: Step) -> None:
        self.line(step_line(step, self._checks))
        self._step, self._checks = "", []

    def applications(self, look: Looked) -> None:
        for note in look.notes:
            self.note(note)
        now = self._clock.monotonic()
        changed = [(n, r) for n, r in not_there(look.applications, most=len(look.applications)) if self._said.get(n) != _NUMBER.sub("", r)]
        failed = {a.name for a in look.applications if a.state is AppState.FAILED}
        if changed and (now >= self._quiet_until or any(n in failed for n, _ in changed)):
            self._tell(changed, now)
        elif now - self._beat >= HEARTBEAT_S:
            self._heartbeat(look)

    def _tell(self, changed: list[tuple[str, str]], now: float) -> None:
        said = grouped(changed)
        for text in said[:AT_ONCE]:
            self.under(f"  {text}")
        if len(said) > AT_ONCE:
            self.under(f"  … and {len(said) - AT_ONCE} other reasons")
        self._said.update((n, _NUMBER.sub("", r)) for n, r in changed)
        self._quiet_until = now + QUIET_S

    def _heartbeat(self, look: Looked) -> None:
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

    def end(self, end: End, lines: Sequence[str], *, code: int | None = None) -> None:
        """The first line says what is true now, with the exit code where it is not 0."""
        first, *rest = [part for text in lines for part in text.splitlines()] or [end.value]
        code = end.exit_code if code is None else code
        mark = ENDS.get(end, "✗") if code else ENDS[End.VERIFIED]
        self.line(f"{mark} {first}" + (f"{'' if first.endswith('.') else '.'} Exit {code}." if code else ""))
        for text in rest:
            self.line(f"  {text}")

    def document(self, document: object) -> None:
        """One JSON document on stdout, whatever else went to stderr."""
        out = Sink(sys.stdout, self._redact)
        out.write(json.dumps(out.value(document), indent=2, default=str) + "\n")
        out.flush()
