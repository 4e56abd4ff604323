"""A rollback on request: which recorded object production's tag goes to, and the way there."""

from __future__ import annotations

import secrets as random
from dataclasses import dataclass
from datetime import UTC, datetime

from promote.convergence.baseline import take_baseline
from promote.core.errors import NotFound, PromoteError, Rejected, UsageError
from promote.core.model import Tag, short
from promote.core.version import UNVERSIONED, Version, recorded_version
from promote.promotion.context import Dependencies, Moved, PromotionContext, StepResult, Tracked
from promote.promotion.describe import describe_stable, version_carried
from promote.promotion.journal import Journal
from promote.promotion.rollback import roll_back
from promote.promotion.steps import keep_baseline
from promote.report.words import counted
from promote.tags.authority import WayBack
from promote.tags.lock import UNDO, acquire, new_lock
from promote.tags.names import ref_names
from promote.tags.target import Target, known_tags


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """Where to: a promoted version, prod-working, or (neither) what the last move replaced."""

    version: Version | None = None
    working: bool = False


def prepare(deps: Dependencies, to: Destination) -> PromotionContext:
    """The context of a rollback to this object; nothing is written yet.

    Raises UsageError or NotFound when there is no such object, or no way back to it.
    """
    settings, git = deps.settings, deps.git
    names = ref_names(settings, "")
    wanted = ref_names(settings, to.version.text).prod if to.version else names.working if to.working else UNDO
    refs = git.refs(names.stable, names.branch, wanted)
    stable, back, branch = refs.get(names.stable), refs.get(wanted), refs.get(names.branch)
    if back is None or stable is None or branch is None:
        raise _missing(deps, to, names.stable if stable is None else wanted if back is None else names.branch)
    git.fetch(*refs)
    if stable.object == back.object or stable.commit == back.commit:
        raise UsageError(
            f"{settings.tags.stable} is there already: {short(stable.commit)} is where {wanted} leads",
            hint="name another version with --to; what production really runs: `promote status`",
        )
    target = Tag(ref=names.stable, object=back.object, commit=git.commit_of(back.object))
    try:
        WayBack.read(git, settings, stable).require(git, settings, target)
    except Rejected as no:
        raise UsageError(no.what, hint=no.hint) from no
    carried = version_carried(deps, target)
    version = recorded_version(carried or UNVERSIONED.text, settings.version.scheme)
    request_id = f"rollback-{datetime.now(UTC):%Y%m%d-%H%M%S}-{random.token_hex(3)}"
    deps.report.headline(f"rollback · {describe_stable(deps, stable, branch.commit)}")
    _announce(deps, stable, target, carried or wanted)
    return PromotionContext(
        deps=deps,
        target=Target(version=version, commit=target.commit, from_tree=False, dev_tag=None, stable=target, branch=branch),
        version=version,
        request_id=request_id,
        journal=Journal.open(git.git_dir, request_id, deps.redact),
        tracked=Tracked(moved=Moved.YES, stable=stable),  # where an earlier promotion put it
        cause="asked for",
        undo_moves=to.working or to.version is not None,
        asked_rollback=True,
    )


def _announce(deps: Dependencies, stable: Tag, target: Tag, name: str) -> None:
    """How far back it is."""
    distance = counted(deps.git.count(f"{target.commit}..{stable.commit}"), "commit")
    deps.report.note(f"back to {name} {deps.git.describe(target.commit)}: {distance} before the one in production")


def _missing(deps: Dependencies, to: Destination, ref: str) -> PromoteError:
    promoted = known_tags(deps.git, deps.settings, deps.settings.tags.prod)
    hint = f"name one that was promoted: --to VERSION; there are: {promoted}"
    if to.version and ref.startswith("refs/tags/") and ref != ref_names(deps.settings, "").stable:
        return UsageError(f"{to.version} was never promoted: there is no tag {ref.removeprefix('refs/tags/')} on the remote", hint=hint)
    if ref == UNDO:
        return UsageError(f"there is no move to undo: the remote has no {UNDO}, where a promotion leaves what it replaced", hint=hint)
    return NotFound(f"git remote {deps.git.remote}", f"there is no {ref}", hint=hint)


def take_lock(ctx: PromotionContext) -> None:
    """Remember the plan and take the lock, before the first step. Raises Rejected when another promotion holds it: then nothing was begun."""
    stable = ctx.stable
    assert stable is not None
    lock = new_lock(
        request_id=ctx.request_id,
        version=ctx.version.text,
        candidate=ctx.target.commit,
        stable_before=stable.object,
        state="rolling_back",
        plan=ctx.plan(),
    )
    ctx.remember()
    detail = {"stable": stable.object, "holder": lock.holder}
    ctx.update(lock=ctx.journal.effect("take the lock", detail, lambda: acquire(ctx.deps.git, lock)))


def roll_back_as_requested(ctx: PromotionContext) -> StepResult:
    """The transition: production as it is becomes the baseline, then back, proven as any rollback."""
    keep_baseline(ctx, take_baseline(ctx.deps.production()), smoke_passed=None)
    return roll_back(ctx)
