"""A reporter that shows nothing and keeps everything: for a program that drives a promotion, and for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from promote.core.model import CheckResult, End, Step
from promote.report.plain import Looked


@dataclass(kw_only=True, slots=True)
class Silent:
    """All reports, in order and by kind. `ended` is None until the run reported its end."""

    headlines: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    checks: list[CheckResult] = field(default_factory=list)
    looks: list[Looked] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    undone_by: list[str] = field(default_factory=list)
    ended: tuple[End, tuple[str, ...]] | None = None
    documents: list[object] = field(default_factory=list)

    def headline(self, text: str) -> None:
        self.headlines.append(text)

    def step_started(self, name: str) -> None:
        self.started.append(name)

    def step_finished(self, step: Step) -> None:
        self.steps.append(step)

    def check(self, check: CheckResult) -> None:
        self.checks.append(check)

    def applications(self, look: Looked) -> None:
        self.looks.append(look)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def undo(self, lines: Sequence[str]) -> None:
        self.undone_by.extend(lines)

    def end(self, end: End, lines: Sequence[str], *, code: int | None = None) -> None:
        self.ended = (end, tuple(lines))

    def document(self, document: object) -> None:
        self.documents.append(document)
