"""`promote checklist`: lists every check, its subject, the source of its evidence, and whether it counts here. Runs no check."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from promote.checklist.policy import Policy, own_checks, validate
from promote.checklist.registry import CHECKS, NO_URL
from promote.cli.bootstrap import settings_of
from promote.config.schema import Settings
from promote.report.screen import answer

SUITES = ("pre", "during", "post", "smoke", "after")
WHEN = {
    "pre": "before the move",
    "during": "while it moves (the driver's own)",
    "post": "after the move",
    "smoke": "after the move, from outside",
    "after": "at the end (the driver's own)",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One check as it stands here. `counts`: required, protected, advisory, waived or disabled; `why` for the last two."""

    id: str
    suite: str
    title: str
    evidence: str
    counts: str
    why: str = ""


def main(args: argparse.Namespace) -> int:
    settings = settings_of(args.folder)
    validate(settings)
    lines = checks(settings)
    answer(*text(lines), document=[asdict(line) for line in lines] if args.json else None)
    return 0


def text(lines: list[Line]) -> Iterator[str]:
    """The table for a person."""
    for suite in SUITES:
        yield f"{suite:<7}  {WHEN[suite]}"
        for line in (check for check in lines if check.suite == suite):
            counts = "" if line.counts == "required" else f" · {line.counts}" + (f": {line.why}" if line.why else "")
            yield f"  {_mark(line)} {line.id:<24} {line.title}"
            yield f"    {'':<24} from {line.evidence}{counts}"
    yield _summary(lines)


def checks(settings: Settings) -> list[Line]:
    """The registered checks and the repository's own."""
    policy = Policy.of(settings)
    found = []
    for spec in CHECKS:
        why = spec.disabled_reason(settings)
        for check in (spec.id,) if why else spec.ids(settings):
            counts, reason = ("disabled", why) if why else ("protected", "") if spec.protected else _stands(policy, check)
            found.append(Line(id=check, suite=spec.suite, title=spec.title, evidence=spec.evidence, counts=counts, why=reason))
    for each in [f"smoke-url[{u.name}]" for u in settings.smoke.urls] or [NO_URL]:
        counts, reason = _stands(policy, each)
        found.append(Line(id=each, suite="smoke", title="it answers as declared", evidence="the address itself", counts=counts, why=reason))
    known = {line.id.partition("[")[0] for line in found}
    for suite in ("pre", "post", "smoke"):
        for check, where in own_checks(settings, suite).items():
            if check not in known:
                counts, reason = _stands(policy, check)
                found.append(Line(id=check, suite=suite, title="this repository's own", evidence=where, counts=counts, why=reason))
    return sorted(found, key=lambda line: SUITES.index(line.suite))


def _stands(policy: Policy, check: str) -> tuple[str, str]:
    if waiver := policy.waived.get(check):
        return "waived", waiver.describe()
    if check in policy.advisory or check.partition("[")[0] in policy.advisory:
        return "advisory", ""
    return "required", ""


def _mark(line: Line) -> str:
    return {"disabled": "-", "advisory": "!", "waived": "~"}.get(line.counts, "*")


def _summary(lines: list[Line]) -> str:
    counts = {word: sum(line.counts == word for line in lines) for word in ("required", "protected", "advisory", "waived", "disabled")}
    return f"{len(lines)} checks: " + ", ".join(f"{n} {word}" for word, n in counts.items() if n)
