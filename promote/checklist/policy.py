"""Which checks count: disabled, advisory, waived. Turns a check's verdict into what it means for the suite; judges no check itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from promote.checklist import waivers
from promote.checklist.registry import CHECKS, INFORMATIVE_AFTER_ROLLBACK, NO_URL, advice, on_undetermined, protected_checks, warning_checks
from promote.checklist.waivers import Waiver
from promote.config.schema import Settings
from promote.core.errors import UsageError
from promote.core.model import Verdict

MANY = frozenset(r.id for r in CHECKS if r.each) | {"smoke-url"}  # names of checks that stand several times, each with a name of its own
_MARKER = re.compile(r"""mark\.check\(\s*["']([^"']+)["']""")


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What promotion.toml and the command line decided about checks, as of `today` (UTC)."""

    waived: Mapping[str, Waiver]
    expired: Mapping[str, Waiver]
    advisory: frozenset[str]
    informative: frozenset[str]
    unimportant: frozenset[str] = frozenset()  # ids and names of checks that count when they fail, and not when they are undetermined

    @classmethod
    def of(cls, settings: Settings, typed: Sequence[Waiver] = (), *, back: bool = False, today: date | None = None) -> Policy:
        """`back`: a rollback is being verified, so some checks are informative only."""
        today = today or datetime.now(UTC).date()
        waived = waivers.in_force(settings, typed, today, protected_checks())
        expired = {w.id: w for w in waivers.declared(settings, today)[1] if w.id not in waived}
        advisory = (frozenset(settings.checklist.advisory) - protected_checks()) | advice(settings)
        # Production is proven by its own evidence: one of its observers being away must not keep a proven rollback from being one.
        silent = {"warning", "hold"} if back else {"warning"}
        observers = {spec.id for spec in CHECKS if spec.on_undetermined} | {entry.id for entry in settings.checklist.on_undetermined}
        return cls(
            waived=waived,
            expired=expired,
            advisory=advisory,
            informative=INFORMATIVE_AFTER_ROLLBACK if back else frozenset(),
            unimportant=frozenset(check for check in observers if on_undetermined(check, settings) in silent) - protected_checks(),
        )

    def stands(self, check: str, verdict: Verdict, detail: str) -> tuple[Verdict, str]:
        """What a check's verdict comes to. Only what blocks can be waived; a pass stays one. A warning of a check that may not warn is ERRORED."""
        if verdict is Verdict.WARNING and check not in warning_checks():
            verdict = Verdict.ERRORED
        if not verdict.blocks:
            return verdict, detail
        if waiver := self.waived.get(check):
            return Verdict.WAIVED, f"{waiver.describe()}\nit {'failed' if verdict is Verdict.FAILED else 'could not be judged'}: {detail}"
        if check.partition("[")[0] in self.informative:
            return Verdict.WARNING, f"{detail}\nignored: this check is no part of the proof of a rollback"
        if check in self.advisory or check.partition("[")[0] in self.advisory:
            return Verdict.WARNING, detail
        if verdict is Verdict.ERRORED and (check in self.unimportant or check.partition("[")[0] in self.unimportant):
            return Verdict.WARNING, f"{detail}\nnot counted: it is undetermined, and no part of production"
        if waiver := self.expired.get(check):
            return verdict, f"{detail}\nnote the waiver of {waiver.author} ({waiver.reason}) ended on {waiver.until}"
        return verdict, detail


def validate(settings: Settings, typed: Sequence[Waiver] = ()) -> None:
    """Raises UsageError for a waiver that has ended, and when a waiver, `checklist.disabled` or `checklist.advisory` names a check that does not
    exist or that protects the tag.

    Asked before a promotion and by a suite, never before a rollback: a wrong line in a file must not keep production from going back.
    """
    known = known_checks(settings)
    for old in waivers.declared(settings, datetime.now(UTC).date())[1]:
        raise UsageError(
            f"promotion.toml: waivers: that of {old.author} for {old.id} ended on {old.until} ({old.reason})",
            hint="take the entry out: the check is judged again; or have it renewed and reviewed",
        )
    for what, ids in (
        ("--waive", [w.id for w in typed]),
        ("promotion.toml: waivers", [w.id for w in settings.waivers]),
        ("promotion.toml: checklist.advisory", settings.checklist.advisory),
        ("promotion.toml: checklist.on_undetermined", [entry.id for entry in settings.checklist.on_undetermined]),
    ):
        many = MANY if what.endswith(("advisory", "on_undetermined")) else frozenset()
        waivers.refuse_impossible(ids, known | many | {i for i in ids if _own_test(settings, i)}, protected_checks(), what=what)
    early = {r.id for r in CHECKS if r.suite != "post"} | set(own_checks(settings, "pre"))
    if wrong := next((entry.id for entry in settings.checklist.on_undetermined if entry.id.partition("[")[0] in early), ""):
        raise UsageError(
            f"promotion.toml: checklist.on_undetermined: {wrong} is not asked after the move, and an undetermined check of before it moves nothing",
            hint="take the entry out; checklist.advisory lets a check of the pre suite not count",
        )
    off = [o.id for o in settings.checklist.disabled]
    for check in off:
        if check in known and check not in {r.id for r in CHECKS}:
            raise UsageError(
                f"promotion.toml: checklist.disabled: {check} is this repository's own",
                hint="take its entry or its file away; or put it on checklist.advisory",
            )
    waivers.refuse_impossible(off, {r.id for r in CHECKS}, protected_checks(), what="promotion.toml: checklist.disabled")


def _own_test(settings: Settings, check: str) -> bool:
    """Whether an id may be one of the repository's own tests: by node id without a marker, or one of several that share a marker."""
    file, _, test = check.partition("::")
    own = {name for suite in ("pre", "post", "smoke") for name in own_checks(settings, suite)}
    return (settings.checks_root / file).is_file() if test else "[" in check and check.partition("[")[0] in own - {r.id for r in CHECKS} - MANY


def own_checks(settings: Settings, suite: str) -> dict[str, str]:
    """The checks that a suite's files mark, each with the file: as text, nothing is run."""
    folder = settings.checks_root / getattr(settings.suites, suite)
    return {
        check: path.relative_to(settings.checks_root).as_posix()
        for path in sorted(folder.rglob("*.py"))
        for check in _MARKER.findall(path.read_text(errors="replace"))
    }


def known_checks(settings: Settings) -> frozenset[str]:
    """Every check that some suite may have, by its own name: the registered ones, the declared URLs, and what the repository's own checks mark."""
    own = {check for suite in ("pre", "post", "smoke") for check in own_checks(settings, suite)}
    registered = {check for spec in CHECKS for check in spec.ids(settings)}
    urls = [f"smoke-url[{u.name}]" for u in settings.smoke.urls] or [NO_URL]
    return frozenset([*registered, *urls, *(own - MANY)])
