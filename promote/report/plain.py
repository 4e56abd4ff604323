"""What a reporter receives, and the one for pipes and CI logs: plain lines in order, without repetition or cursor movement."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Protocol, TextIO

from promote.core.deadline import Clock
from promote.core.foreign import one_line, split_lines
from promote.core.model import AppState, AppVerdict, CheckResult, End, Step
from promote.core.redact import Redactor
from promote.report.sink import Sink
from promote.report.words import WIDTH, check_lines, clock, counted, grouped, not_converged, step_line

HEARTBEAT_S = 15.0
QUIET_S = 5.0  # between two lists of the applications that have not converged, unless one failed
AT_ONCE = 8  # lines of one such list
ENDS = {End.VERIFIED: "✔", End.STUCK: "⛔", End.UNCHECKED: "?"}
_NUMBER = re.compile(r"\d+")


class Looked(Protocol):
    """The result of one look at the cluster while waiting."""

    @property
    def applications(self) -> tuple[AppVerdict, ...]: ...
    @property
    def done(self) -> int: ...
    @property
    def elapsed_s(self) -> float: ...
    @property
    def limit_s(self) -> float: ...
    @property
    def notes(self) -> tuple[str, ...]: ...


class Reporter(Protocol):
    """Receives the events of a run in order. No method may raise: a broken output must not stop a promotion."""

    def headline(self, text: str) -> None: ...
    def step_started(self, name: str) -> None: ...
    def step_finished(self, step: Step) -> None: ...
    def check(self, check: CheckResult) -> None: ...
    def applications(self, look: Looked) -> None: ...
    def note(self, text: str) -> None: ...
    def undo(self, lines: Sequence[str]) -> None: ...
    def end(self, end: End, lines: Sequence[str], *, code: int | None = None) -> None: ...
    def document(self, document: object) -> None: ...


class Plain:
    """A reporter. It lists reasons, grouped, when they change in more than a number, at most every QUIET_S; a count every HEARTBEAT_S."""

    def __init__(self, out: TextIO | None, *, redact: Redactor | None = None, clock: Clock | None = None) -> None:
        self.sink = Sink(out, redact)
        self._redact, self._clock = redact, clock or Clock()
        self._step, self._checks, self._shown = "", list[CheckResult](), dict[str, str]()
        self._since = self._beat = self._quiet_until = 0.0

    def line(self, text: str) -> None:
        """One or more whole lines."""
        self.sink.line(text)

    def headline(self, text: str) -> None:
        self.line(one_line(text) + "\n")

    def step_started(self, name: str) -> None:
        self._step, self._checks, self._shown = name, [], {}
        self._since = self._beat = self._quiet_until = self._clock.monotonic()

    def check(self, check: CheckResult) -> None:
        self._checks = [*(c for c in self._checks if c.id != check.id), check]  # asked again, its last verdict counts
        for text in check_lines(check):
            self.under(text)

    def step_finished(self, step: Step) -> None:
        self.line(step_line(step, self._checks))
        self._step, self._checks = "", []

    def applications(self, look: Looked) -> None:
        for note in look.notes:
            self.note(note)
        now = self._clock.monotonic()
        changed = [(n, r) for n, r in not_converged(look.applications, most=len(look.applications)) if self._shown.get(n) != _NUMBER.sub("", r)]
        failed = {a.name for a in look.applications if a.state is AppState.FAILED}
        if changed and (now >= self._quiet_until or any(n in failed for n, _ in changed)):
            self._list(changed, now)
        elif now - self._beat >= HEARTBEAT_S:
            self._heartbeat(look)

    def _list(self, changed: list[tuple[str, str]], now: float) -> None:
        lines = grouped(changed)
        for text in lines[:AT_ONCE]:
            self.under(f"  {text}")
        if len(lines) > AT_ONCE:
            self.under(f"  … and {len(lines) - AT_ONCE} other reasons")
        self._shown.update((n, _NUMBER.sub("", r)) for n, r in changed)
        self._quiet_until = now + QUIET_S

    def _heartbeat(self, look: Looked) -> None:
        waiting = ", ".join(name for name, _ in not_converged(look.applications, most=3) if name != "…")
        count = f"{look.done} of {counted(len(look.applications), 'application')} converged, {clock(look.elapsed_s)} of {clock(look.limit_s)}"
        self.under(f"  {count}" + (f"; not yet: {waiting}" if look.done < len(look.applications) else ""))

    def note(self, text: str) -> None:
        for part in split_lines(text):
            self.under(f"  {part}")

    def under(self, text: str) -> None:
        """Print a line of the current step; the step's name is printed once, before its first line."""
        name, self._step = self._step, ""
        self._beat = self._clock.monotonic()
        self.line(f"{name:<{WIDTH}} {text}".replace("\n", f"\n{'':<{WIDTH}}   "))  # a further line of a quoted text begins nothing

    def undo(self, lines: Sequence[str]) -> None:
        for text in lines:
            self.line(f"to undo at any time: {one_line(text)}")

    def end(self, end: End, lines: Sequence[str], *, code: int | None = None) -> None:
        """Print the final lines; the first states the result, with the exit code unless it is 0."""
        first, *rest = [part for text in lines for part in split_lines(text)] or [end.value]
        code = end.exit_code if code is None else code
        mark = ENDS.get(end, "✗") if code else ENDS[End.VERIFIED]
        self.line(f"{mark} {first}" + (f"{'' if first.endswith('.') else '.'} Exit {code}." if code else ""))
        for text in rest:
            self.line(f"  {text}")

    def document(self, document: object) -> None:
        """Print one JSON document on stdout; everything else is on stderr then."""
        Sink(sys.stdout, self._redact).document(document)
