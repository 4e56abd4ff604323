"""`promote plan VERSION`: what a promotion would ship, change and do. Moves nothing; --write makes a migration plan to fill in."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from promote.candidate import migration_plan
from promote.candidate.commits import Change, breaking
from promote.checklist.candidate import builder, expected_of, trees
from promote.checklist.history import UNKNOWN_VERSION, bump_suggestion, changes_of, production_version, report, version_bump_problem
from promote.checklist.policy import Policy
from promote.checklist.promotion import Promotion
from promote.checklist.registry import required_checks
from promote.cli.bootstrap import open_repository
from promote.cli.next import preview
from promote.config.schema import Settings
from promote.connect import secrets
from promote.core.errors import PromoteError, UsageError
from promote.core.foreign import split_lines
from promote.core.model import Choices, short
from promote.core.version import parse_version
from promote.manifests.change import AppChange, app_changes
from promote.manifests.compare import compare
from promote.promotion.choose_candidate import only_records
from promote.promotion.describe import age
from promote.report.screen import answer
from promote.report.words import counted

MARKS = {"added": "+", "changed": "~", "removed": "-", "re-pointed": "~"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What would happen. `tasks`: id → words; `breaking`: what needs a migration plan; `fitting`: the smallest version that fits.

    `refused`: what the pre suite would refuse, as far as a look at git tells; `remark`: that this clone is behind.
    """

    version: str
    commit: str
    subject: str
    production: str
    fitting: str
    refused: tuple[str, ...]
    commits: tuple[dict[str, str], ...]
    tasks: dict[str, str]
    applications: tuple[AppChange, ...]
    production_applications: int
    breaking: tuple[str, ...]
    migration: str
    steps: tuple[str, ...]
    back_to: str
    waived: tuple[str, ...]
    remark: str = ""


def main(args: argparse.Namespace) -> int:
    settings, _ = open_repository(args.folder)
    version = parse_version(args.wanted, settings.version.scheme)
    promotion, remark = preview(settings, version, Choices(first=args.first))
    plan = replace(make(promotion, version.text), remark=remark)
    lines = [f"written: {write(settings, plan)}"] if args.write else text(plan, diff=args.diff)
    answer(*lines, document=asdict(plan) if args.json else None, secrets=secrets())
    return 0


def make(promotion: Promotion, version: str) -> Plan:
    """Raises what git raises; what a tracker cannot tell is said in the plan."""
    settings, git = promotion.settings, promotion.remote
    changes = changes_of(promotion)
    candidate, production = trees(promotion)
    with builder(promotion) as build:
        expected = expected_of(promotion)
        apps = app_changes(candidate, production, expected, build)
        seen = compare(candidate, production, expected, build)
        broken = (*(f"{c.describe()}: {c.breaking}" for c in breaking(changes)), *seen.breaking)
    path = settings.promotion.plan_file(version)
    there = git.file(promotion.commit, path)
    stable, old = promotion.target.stable, production_version(promotion)
    planned = "" if not broken or not stable else f"{path} {'is there' if there is not None else 'is not there yet'}"
    return Plan(
        version=version,
        commit=promotion.commit,
        subject=git.describe(promotion.commit),
        production=f"{old or 'no version'} at {git.describe(stable.commit)}, {age(git, stable.commit)}" if stable else "nothing",
        fitting=bump_suggestion(promotion, changes) if stable else version,
        refused=_refused(promotion, changes, unplanned=planned if there is None else ""),
        commits=tuple({"commit": short(c.oid), "subject": c.subject, "author": c.author} for c in changes),
        tasks=_tasks(promotion, changes),
        applications=tuple(apps),
        production_applications=seen.prod,
        breaking=broken if stable else (),
        migration=planned,
        steps=_steps(promotion, version),
        back_to=f"{old or settings.tags.stable} ({short(stable.commit)}, {age(git, stable.commit)})" if stable else "",
        waived=tuple(f"{check}: {w.describe()}" for check, w in Policy.of(settings).waived.items()),
    )


def _refused(promotion: Promotion, changes: list[Change], *, unplanned: str) -> tuple[str, ...]:
    if promotion.target.in_production:
        return ()
    return tuple(filter(None, (_taken(promotion), _too_small(promotion, changes), unplanned, _meant(promotion))))


def _taken(promotion: Promotion) -> str:
    """What the check `version-new` would say of it."""
    version, promoted = promotion.version, promotion.promoted_versions()
    if version is None or not promoted:
        return ""
    if was := promoted.get(version):
        stable = promotion.target.stable
        away = "" if stable and stable.commit == was.commit else ", and production is not at it now"
        again = "; to ship the very same commit once more: --again" if was.commit == promotion.commit else ""
        return f"{version} was promoted already ({was.name} at {short(was.commit)}){away}{again}"
    newest = max(promoted)
    return "" if version > newest else f"{version} is not greater than {newest}, the newest promoted one"


def _too_small(promotion: Promotion, changes: list[Change]) -> str:
    """What the check `version-bump` would say first."""
    try:
        return version_bump_problem(promotion, changes, lambda *_: None).partition("\n")[0]
    except PromoteError as error:
        return error.what


def _meant(promotion: Promotion) -> str:
    """What a run would ask, because the dev tag is not at HEAD."""
    dev, git, settings = promotion.target.dev_tag, promotion.remote, promotion.settings
    if dev is None or git.branch() != settings.repository.branch or dev.commit == git.head() or only_records(git, settings, dev):
        return ""
    return f"{dev.name} is at {short(dev.commit)}, HEAD at {short(git.head())}: say which is meant, --tagged or --recreate-dev"


def _tasks(promotion: Promotion, changes: list[Change]) -> dict[str, str]:
    if promotion.settings.tasks.source in ("", "none"):
        return {}
    try:
        return {i: task.describe() for i, (task, _) in report(promotion, changes).named.items()}
    except PromoteError as error:
        return {"?": f"could not be read: {error.what}"}


def _steps(promotion: Promotion, version: str) -> tuple[str, ...]:
    settings = promotion.settings
    if promotion.target.in_production:
        return (f"{settings.tags.stable} is {version} already: nothing is moved, production is looked at and proven once more",)
    names = {part: getattr(settings.tags, part).format(version=version) for part in ("dev", "prod", "stable", "working")}
    checks = len(required_checks("pre", settings, from_tree=True))
    move = f"the workflow {settings.workflow.file}" if settings.promotion.via == "workflow" else "one push from here"
    soak = f", a soak of {settings.post.soak:.0f} s" if settings.post.soak else ""
    return (
        f"take the lock, remember production as it is, run the pre suite ({counted(checks, 'check')}); nothing moves unless all of it passes",
        f"{names['dev']} on the candidate, by a push of its own if it is not there",
        f"{names['prod']} and {names['stable']} to the candidate, both in one leased push, by {move}",
        f"every application proven at it (within {settings.argocd.converge_timeout:.0f} s), then the post and smoke suites{soak}, a last look",
        f"{names['working']} to the same object, the ledger written, the lock released",
        f"on a failure after the move: {names['stable']} goes back automatically, and production is proven to follow",
    )


def write(settings: Settings, plan: Plan) -> Path:
    """A migration plan with what was found. Raises UsageError when there is one already."""
    path = settings.root / settings.promotion.plan_file(plan.version)
    if path.exists():
        raise UsageError(f"{path} exists", hint="fill it in; nothing was written")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(migration_plan.skeleton(plan.version, settings.migration.sections, plan.breaking))
    return path


def text(plan: Plan, *, diff: bool) -> Iterator[str]:
    """The plan for a person."""
    yield f"plan {plan.version} · {plan.subject}"
    yield f"production    {plan.production}"
    if plan.remark:
        yield f"behind        {plan.remark}"
    fits = bump_note(plan)
    yield f"commits       {len(plan.commits)}" + (f" · {fits}" if fits else "")
    for commit in plan.commits[:20]:
        yield f"  {commit['commit']} {commit['subject']}  ({commit['author']})"
    if len(plan.commits) > 20:
        yield f"  and {len(plan.commits) - 20} more: git log {plan.commits[-1]['commit']}..{plan.commits[0]['commit']}"
    if plan.tasks:
        yield f"tasks         {len(plan.tasks)}"
        yield from (f"  {words}" for words in plan.tasks.values())
    yield f"applications  {len(plan.applications)} of {plan.production_applications} of production's would change"
    if not plan.production_applications:
        yield "  none of the Applications in this repository is production's (manifests.prod in promotion.toml): the changes are unknown"
    for app in plan.applications:
        yield from _application(app, diff=diff)
    if plan.breaking:
        yield f"breaking      {plan.migration}"
        yield from (f"  {line}" for line in plan.breaking)
    if plan.waived:
        yield "waived        " + "; ".join(plan.waived)
    yield "what would happen"
    yield from (f"  {number}. {step}" for number, step in enumerate(plan.steps, 1))
    yield f"back to       {plan.back_to or 'nothing: a first promotion, its failure leaves the tag for a person'}"
    yield from _last_words(plan)


def _last_words(plan: Plan) -> Iterator[str]:
    yield from (f"refused       {reason}" for reason in plan.refused)
    if plan.refused:
        yield f"nothing was done; promote run {plan.version} would be refused for that (a version that fits: promote next)"
    else:
        yield f"nothing was done; to do it: promote run {plan.version}"


def bump_note(plan: Plan) -> str:
    """A remark when the version is not the smallest that fits."""
    return "" if plan.fitting in (plan.version, UNKNOWN_VERSION) or not plan.commits else f"the smallest version that fits is {plan.fitting}"


def _application(app: AppChange, *, diff: bool) -> Iterator[str]:
    objects = [*(f"+ {o}" for o in app.added), *(f"~ {o}" for o in app.changed), *(f"- {o}" for o in app.removed)]
    yield f"  {MARKS[app.what]} {app.name} ({app.what})" + (f": {app.note}" if app.note else "")
    if diff:
        yield from (f"      {line}" for line in split_lines(app.diff))
        return
    yield from (f"      {line}" for line in objects[:8])
    if len(objects) > 8:
        yield f"      and {len(objects) - 8} more (--diff shows all of it)"
