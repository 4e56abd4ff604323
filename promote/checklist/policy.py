"""Which rows count: off, advisory, waived. Turns a row's verdict into what it means for the suite; judges no row itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from promote.checklist import waivers
from promote.checklist.registry import NO_URL, ROWS, TOLD_AFTER_ROLLBACK, advising_rows, protected_rows
from promote.checklist.waivers import Waiver
from promote.config.schema import Settings
from promote.core.errors import UsageError
from promote.core.model import Verdict

MANY = frozenset(r.id for r in ROWS if r.each) | {"smoke-url"}  # names of rows that stand several times, each with a name of its own
_MARKER = re.compile(r"""mark\.row\(\s*["']([^"']+)["']""")


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What promotion.toml and the command line decided about rows, as of `today` (UTC)."""

    waived: Mapping[str, Waiver]
    expired: Mapping[str, Waiver]
    advisory: frozenset[str]
    told: frozenset[str]

    @classmethod
    def of(cls, settings: Settings, typed: Sequence[Waiver] = (), *, back: bool = False, today: date | None = None) -> Policy:
        """`back`: a rollback is being proven, so some rows only tell."""
        today = today or datetime.now(UTC).date()
        waived = waivers.in_force(settings, typed, today, protected_rows())
        expired = {w.id: w for w in waivers.declared(settings, today)[1] if w.id not in waived}
        advisory = frozenset(settings.checklist.advisory) - protected_rows()
        return cls(waived=waived, expired=expired, advisory=advisory, told=TOLD_AFTER_ROLLBACK if back else frozenset())

    def stands(self, row: str, verdict: Verdict, detail: str) -> tuple[Verdict, str]:
        """What a row's verdict comes to. Only what blocks can be waived: a pass stays a pass. Advice of a row that may give none is no answer."""
        if verdict is Verdict.ADVICE and row not in advising_rows():
            verdict = Verdict.ERRORED
        if not verdict.blocks:
            return verdict, detail
        if waiver := self.waived.get(row):
            return Verdict.WAIVED, f"{waiver.words()}\nit {'failed' if verdict is Verdict.FAILED else 'could not be judged'}: {detail}"
        if row.partition("[")[0] in self.told:
            return Verdict.ADVICE, f"{detail}\nnot counted: it is no part of what proves a rollback"
        if row in self.advisory or row.partition("[")[0] in self.advisory:
            return Verdict.ADVICE, detail
        if waiver := self.expired.get(row):
            return verdict, f"{detail}\nnote the waiver of {waiver.author} ({waiver.reason}) ended on {waiver.until}"
        return verdict, detail


def validate(settings: Settings, typed: Sequence[Waiver] = ()) -> None:
    """Raises UsageError for a waiver that has ended, and when a waiver, `checklist.off` or `checklist.advisory` names a row that is not there or that
    protects the tag.

    Asked before a promotion and by a suite, never before a rollback: a wrong line in a file must not keep production from going back.
    """
    known = known_rows(settings)
    for old in waivers.declared(settings, datetime.now(UTC).date())[1]:
        raise UsageError(
            f"promotion.toml: waivers: that of {old.author} for {old.id} ended on {old.until} ({old.reason})",
            hint="take the entry out: the row is judged again; or have it renewed and reviewed",
        )
    for what, ids in (
        ("--waive", [w.id for w in typed]),
        ("promotion.toml: waivers", [w.id for w in settings.waivers]),
        ("promotion.toml: checklist.advisory", settings.checklist.advisory),
    ):
        many = MANY if what.endswith("advisory") else frozenset()
        waivers.refuse_impossible(ids, known | many | {i for i in ids if _own_test(settings, i)}, protected_rows(), what=what)
    off = [o.id for o in settings.checklist.off]
    for row in off:
        if row in known and row not in {r.id for r in ROWS}:
            raise UsageError(
                f"promotion.toml: checklist.off: {row} is this repository's own",
                hint="take its entry or its file away; or put it on checklist.advisory",
            )
    waivers.refuse_impossible(off, {r.id for r in ROWS}, protected_rows(), what="promotion.toml: checklist.off")


def _own_test(settings: Settings, row: str) -> bool:
    """Whether an id may be one of the repository's own tests: by node id without a marker, or one of several that share a marker."""
    file, _, test = row.partition("::")
    own = {name for suite in ("pre", "post", "smoke") for name in own_rows(settings, suite)}
    return (settings.root / file).is_file() if test else "[" in row and row.partition("[")[0] in own - {r.id for r in ROWS} - MANY


def own_rows(settings: Settings, suite: str) -> dict[str, str]:
    """The rows that a suite's files mark, each with the file: as text, nothing is run."""
    folder = settings.root / getattr(settings.suites, suite)
    return {
        row: path.relative_to(settings.root).as_posix()
        for path in sorted(folder.rglob("*.py"))
        for row in _MARKER.findall(path.read_text(errors="replace"))
    }


def known_rows(settings: Settings) -> frozenset[str]:
    """Every row that some suite may have, by its own name: the registered ones, the declared URLs, and what the repository's own checks mark."""
    own = {row for suite in ("pre", "post", "smoke") for row in own_rows(settings, suite)}
    registered = {row for spec in ROWS for row in spec.ids(settings)}
    urls = [f"smoke-url[{u.name}]" for u in settings.smoke.urls] or [NO_URL]
    return frozenset([*registered, *urls, *(own - MANY)])
