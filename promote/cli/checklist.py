"""`promote checklist`: every row, what it is about, where its evidence comes from, and whether it counts here. Runs nothing, asks nobody."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from promote.checklist.policy import Policy, own_rows, validate
from promote.checklist.registry import NO_URL, ROWS
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
    """One row as it stands here. `counts`: required, protected, advisory, waived or off; `why` for the last two."""

    id: str
    suite: str
    title: str
    evidence: str
    counts: str
    why: str = ""


def main(args: argparse.Namespace) -> int:
    settings = settings_of(args.folder)
    validate(settings)
    lines = rows(settings)
    answer(*text(lines), document=[asdict(line) for line in lines] if args.json else None)
    return 0


def text(lines: list[Line]) -> Iterator[str]:
    """The table for a person."""
    for suite in SUITES:
        yield f"{suite:<7}  {WHEN[suite]}"
        for line in (row for row in lines if row.suite == suite):
            counts = "" if line.counts == "required" else f" · {line.counts}" + (f": {line.why}" if line.why else "")
            yield f"  {_mark(line)} {line.id:<24} {line.title}"
            yield f"    {'':<24} from {line.evidence}{counts}"
    yield _summary(lines)


def rows(settings: Settings) -> list[Line]:
    """The registered rows and the repository's own."""
    policy = Policy.of(settings)
    found = []
    for spec in ROWS:
        why = spec.off(settings)
        for row in (spec.id,) if why else spec.ids(settings):
            counts, reason = ("off", why) if why else ("protected", "") if spec.protected else _stands(policy, row)
            found.append(Line(id=row, suite=spec.suite, title=spec.title, evidence=spec.evidence, counts=counts, why=reason))
    for each in [f"smoke-url[{u.name}]" for u in settings.smoke.urls] or [NO_URL]:
        counts, reason = _stands(policy, each)
        found.append(Line(id=each, suite="smoke", title="it answers as declared", evidence="the address itself", counts=counts, why=reason))
    known = {line.id.partition("[")[0] for line in found}
    for suite in ("pre", "post", "smoke"):
        for row, where in own_rows(settings, suite).items():
            if row not in known:
                counts, reason = _stands(policy, row)
                found.append(Line(id=row, suite=suite, title="this repository's own", evidence=where, counts=counts, why=reason))
    return sorted(found, key=lambda line: SUITES.index(line.suite))


def _stands(policy: Policy, row: str) -> tuple[str, str]:
    if waiver := policy.waived.get(row):
        return "waived", waiver.words()
    if row in policy.advisory or row.partition("[")[0] in policy.advisory:
        return "advisory", ""
    return "required", ""


def _mark(line: Line) -> str:
    return {"off": "-", "advisory": "!", "waived": "~"}.get(line.counts, "*")


def _summary(lines: list[Line]) -> str:
    counts = {word: sum(line.counts == word for line in lines) for word in ("required", "protected", "advisory", "waived", "off")}
    return f"{len(lines)} rows: " + ", ".join(f"{n} {word}" for word, n in counts.items() if n)
