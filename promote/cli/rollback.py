"""`promote rollback`: put production's tag back to a recorded object, and prove that production followed."""

from __future__ import annotations

import argparse
import secrets as random
from datetime import UTC, datetime

from promote.cli.bootstrap import open_repository, tools
from promote.cli.summary import describe_stable, document, final_lines, version_carried
from promote.connect import secrets
from promote.convergence.baseline import take_baseline
from promote.core.errors import NotFound, PromoteError, UsageError
from promote.core.model import End, Tag, short
from promote.core.signals import defer_signals
from promote.core.version import UNVERSIONED, parse_version, recorded_version
from promote.promotion.context import Dependencies, Moved, PromotionContext, StepResult, StepStatus
from promote.promotion.finalize import finalize
from promote.promotion.journal import Journal
from promote.promotion.rollback import roll_back
from promote.promotion.state_machine import run_transition
from promote.promotion.steps import keep_baseline
from promote.report.screen import reporter
from promote.report.words import counted
from promote.tags.heartbeat import BEAT_S, beating
from promote.tags.lock import UNDO, acquire, new_lock
from promote.tags.names import ref_names
from promote.tags.publish import known_tags
from promote.tags.target import Target


def main(args: argparse.Namespace) -> int:
    settings, git = open_repository(args.folder)
    with reporter(json=args.json, secrets=secrets()) as report:
        deps = tools(settings, git, report)
        ctx = _prepare(deps, args)
        with defer_signals(drop=True):  # from before the lock is there until what it ended as is said
            with beating(git.hurried(BEAT_S), lambda: ctx.lock, every_s=settings.lock.heartbeat):
                end, result = _go(ctx)
            code = 0 if end is End.ROLLED_BACK else end.exit_code
            finalize(ctx, end, document(ctx, end, result, code=code))
            report.end(end, final_lines(ctx, end, result), code=code)
            if args.json:
                report.document(document(ctx, end, result, code=code))
    return code


def _prepare(deps: Dependencies, args: argparse.Namespace) -> PromotionContext:
    settings, git = deps.settings, deps.git
    names = ref_names(settings, "")
    wanted = names.working if args.to_working else UNDO
    if args.to:
        wanted = ref_names(settings, parse_version(args.to, settings.version.scheme).text).prod
    refs = git.refs(names.stable, names.branch, wanted)
    stable, back, branch = refs.get(names.stable), refs.get(wanted), refs.get(names.branch)
    if back is None or stable is None or branch is None:
        raise _missing(deps, args, names.stable if stable is None else wanted if back is None else names.branch)
    git.fetch(*refs)
    if stable.object == back.object or stable.commit == back.commit:
        raise UsageError(
            f"{settings.tags.stable} is there already: {short(stable.commit)} is what {wanted} says",
            hint="name another version with --to; what production really runs: `promote status`",
        )
    target = Tag(ref=names.stable, object=back.object, commit=git.commit_of(back.object))
    carried = version_carried(deps, target)
    version = recorded_version(carried or UNVERSIONED.text, settings.version.scheme)
    request_id = f"rollback-{datetime.now(UTC):%Y%m%d-%H%M%S}-{random.token_hex(3)}"
    deps.report.headline(f"rollback · {describe_stable(deps, stable, branch.commit)}")
    named, forward = f"{carried or wanted} {git.describe(target.commit)}", git.is_ancestor(stable.commit, target.commit)
    older, newer = (stable.commit, target.commit) if forward else (target.commit, stable.commit)
    distance = counted(git.count(f"{older}..{newer}"), "commit")
    if forward and args.to_working:
        raise UsageError(
            f"{settings.tags.working} is {named}, {distance} ahead of what production runs: that is no way back, production was taken off it",
            hint="to go there all the same: promote rollback --to VERSION, or promote run VERSION --again with its checks",
        )
    way, side = ("forward", "after") if forward else ("back", "before")
    deps.report.note(f"{way} to {named}: {distance} {side} the one in production")
    return PromotionContext(
        deps=deps,
        target=Target(version=version, commit=target.commit, from_tree=False, dev_tag=None, stable=target, branch=branch),
        version=version,
        request_id=request_id,
        journal=Journal.open(git.git_dir, request_id, deps.redact),
        stable=stable,
        moved=Moved.YES,
        cause="asked for",
        undo_moves=bool(args.to or args.to_working),
        asked_rollback=True,
    )


def _missing(deps: Dependencies, args: argparse.Namespace, ref: str) -> PromoteError:
    promoted = known_tags(deps.git, deps.settings, deps.settings.tags.prod)
    hint = f"name one that was promoted: --to VERSION; there are: {promoted}"
    if args.to and ref.startswith("refs/tags/") and ref != ref_names(deps.settings, "").stable:
        return UsageError(f"{args.to} was never promoted: there is no tag {ref.removeprefix('refs/tags/')} on the remote", hint=hint)
    if ref == UNDO:
        return UsageError(f"there is no move to undo: the remote has no {UNDO}, where a promotion leaves what it replaced", hint=hint)
    return NotFound(f"git remote {deps.git.remote}", f"there is no {ref}", hint=hint)


def _go(ctx: PromotionContext) -> tuple[End, StepResult]:
    git, stable = ctx.deps.git, ctx.stable
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
    ctx.lock = ctx.journal.effect("take the lock", {"stable": stable.object, "holder": lock.holder}, lambda: acquire(git, lock))

    def transition(ctx: PromotionContext) -> StepResult:
        keep_baseline(ctx, take_baseline(ctx.deps.production()), smoke_passed=None)
        return roll_back(ctx)

    result = run_transition(transition, ctx)
    if result.status is StepStatus.PASSED:
        return End.ROLLED_BACK, result
    if result.status is StepStatus.SUPERSEDED:
        return End.SUPERSEDED, result
    if ctx.stable is ctx.target.stable or ctx.moved is Moved.UNKNOWN:
        return End.STUCK, result
    return (End.INTERRUPTED if result.status is StepStatus.INTERRUPTED else End.UNCHECKED), result
