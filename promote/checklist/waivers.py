"""Checks that may fail: the responsible person, the reason, and the last day. Checks that protect the tag are never waived."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from promote.config.schema import Settings
from promote.core.errors import UsageError


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiver:
    """One check that may fail or stay unknown. `until` is the last day it counts (ISO date), "" for this promotion only."""

    id: str
    reason: str
    author: str
    until: str = ""

    def describe(self) -> str:
        """`waived by Ada until 2026-12-01: ADR follows Monday`."""
        return f"waived by {self.author} {f'until {self.until}' if self.until else 'for this promotion'}: {self.reason}"


def given(texts: Iterable[str], author: str) -> tuple[Waiver, ...]:
    """`ID=reason` as typed after --waive. Raises UsageError for a missing reason or a check that stands twice."""
    found: dict[str, Waiver] = {}
    for text in texts:
        check, _, reason = (part.strip() for part in text.partition("="))
        if not check or not reason:
            raise UsageError(f"--waive {text!r} gives no reason", hint='write it as --waive CHECK="why this check may fail this time"')
        if check in found:
            raise UsageError(f"--waive {check} is given twice", hint="give one reason for it")
        found[check] = Waiver(id=check, reason=reason, author=author)
    return tuple(found.values())


def declared(settings: Settings, today: date) -> tuple[tuple[Waiver, ...], tuple[Waiver, ...]]:
    """The [[waivers]] of promotion.toml: (in force today, expired)."""
    entries = [Waiver(id=w.id, reason=w.reason, author=w.author, until=w.until.isoformat()) for w in settings.waivers]
    return tuple(w for w in entries if w.until >= today.isoformat()), tuple(w for w in entries if w.until < today.isoformat())


def in_force(settings: Settings, typed: Sequence[Waiver], today: date, protected: Collection[str]) -> dict[str, Waiver]:
    """The waivers that count, by check; what was typed for this promotion comes before what promotion.toml says."""
    found = {w.id: w for w in (*declared(settings, today)[0], *typed)}
    return {check: w for check, w in found.items() if check not in protected}


def refuse_impossible(ids: Collection[str], known: Collection[str], protected: Collection[str], *, what: str) -> None:
    """Raises UsageError for a check that may not be waived, or that no suite has: a misspelt id would look like a decision that was taken."""
    for check in ids:
        if check in protected:
            raise UsageError(f"{what}: {check} protects the tag itself and always counts", hint="correct what it finds; there is no way round it")
        if check not in known:
            near = difflib.get_close_matches(check, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"the checks are: {', '.join(sorted(known))}"
            raise UsageError(f"{what}: there is no check {check!r}", hint=hint)
