"""What a finished run tells: the last lines for people and the document for machines."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from promote.checklist.policy import Policy
from promote.core.errors import PromoteError
from promote.core.model import AppState, End, Tag, Verdict, short
from promote.core.version import UNVERSIONED
from promote.promotion.context import Moved, PromotionContext, StepResult
from promote.promotion.describe import version_carried
from promote.report.document import run_document


def document(ctx: PromotionContext, end: End, result: StepResult, *, code: int | None = None) -> dict[str, object]:
    """The run as one JSON document; the stable tag's value after it is read from the remote, not remembered."""
    return run_document(
        end=end,
        reason=result.reason or ctx.cause,
        version="" if ctx.version is UNVERSIONED else ctx.version.text,
        commit=ctx.target.commit,
        stable_before=_stable_before(ctx),
        stable_after=_stable_now(ctx)[0],
        steps=ctx.steps,
        checks=ctx.checks,
        applications=ctx.applications,
        junit=_junit(ctx),
        record=ctx.record,
        warnings=ctx.warnings,
        request_id=ctx.request_id,
        code=code,
        waivers=_waivers(ctx),
    )


def _stable_before(ctx: PromotionContext) -> Tag | None:
    """What the stable tag held before this run. In an asked-for rollback that is what its lock was taken over: its target is where it goes."""
    if not ctx.asked_rollback:
        return ctx.target.stable
    if ctx.lock is None:
        return ctx.stable
    held = ctx.lock.stable_before
    try:
        return Tag(ref=ctx.names.stable, object=held, commit=ctx.deps.git.commit_of(held))
    except PromoteError:  # it is in no clone but the one that saw it
        return None


def _junit(ctx: PromotionContext) -> list[str]:
    return [path for path in (*(s.junit for s in ctx.suites), ctx.driver_junit) if path]


def _waivers(ctx: PromotionContext) -> list[dict[str, object]]:
    """Every waiver in force with who answers for it; `used`: the check did not pass and was let through."""
    used = {check.id for check in ctx.checks if check.verdict is Verdict.WAIVED}
    return [{**asdict(waiver), "used": check in used} for check, waiver in Policy.of(ctx.settings, ctx.waivers).waived.items()]


def _stable_now(ctx: PromotionContext) -> tuple[Tag | None, bool]:
    """(the stable tag as the remote says now, whether it could be asked): a silent remote must not cost the end its words."""
    try:
        return ctx.deps.git.ref(ctx.names.stable), True
    except PromoteError as error:
        warning = f"the stable tag could not be read at the end: {error.what}"
        if warning not in ctx.warnings:
            ctx.warnings.append(warning)
        return None, False


def final_lines(ctx: PromotionContext, end: End, result: StepResult) -> list[str]:
    """The last lines: what is true in production now, how that is known, and what to do."""
    lines = [_truth(ctx, end, result)]
    if end is End.STUCK:
        lines += _stuck(ctx)
    if result.hint and end is not End.VERIFIED:
        lines.append(f"do: {result.hint}")
    lines += [f"warning: {warning}" for warning in ctx.warnings]
    if junit := _junit(ctx):
        lines.append("junit: " + " ".join(junit))
    lines.append(f"journal: {ctx.journal.path}")
    return lines


def proof(ctx: PromotionContext) -> str:
    """`proven for 11 of 12 applications at 14:02:31 CET, ignored: velero (already unhealthy before)`."""
    apps = ctx.applications
    tolerated = [a.name for a in apps if a.state is AppState.TOLERATED]
    proven = sum(a.state is AppState.PROVEN for a in apps)
    text = f"proven for {proven} of {len(apps)} applications at {_proven_at(ctx).astimezone():%H:%M:%S %Z}"
    return text + (f", ignored: {', '.join(tolerated)} (already unhealthy before)" if tolerated else "")


def _proven_at(ctx: PromotionContext) -> datetime:
    """When production was last seen to be there: the suites, the ledger and the lock may have taken a while since."""
    return ctx.proven_at or ctx.deps.clock.now()


def _truth(ctx: PromotionContext, end: End, result: StepResult) -> str:
    version, before = ctx.version, ctx.target.back
    was = _named(ctx, before)
    if end is End.VERIFIED:
        done = f", record {ctx.record}" if ctx.record else ""
        gone = f", removed: {', '.join(ctx.removed)}" if ctx.removed else ""
        moved = "nothing to do: " if ctx.moved is Moved.NO else ""
        return f"{moved}production runs {version} ({short(ctx.target.commit)}): {proof(ctx)}{gone}{done}"
    if end is End.ROLLED_BACK and ctx.asked_rollback:
        now = ctx.settings.tags.stable if ctx.version is UNVERSIONED else ctx.version
        return f"production runs {now} ({short(ctx.target.commit)}): {proof(ctx)}"
    if end is End.ROLLED_BACK:
        bad = f" Bad for {(_proven_at(ctx) - ctx.bad_since).total_seconds():.0f} s." if ctx.bad_since else ""
        return f"{version} was rolled back: production runs {was} again, {proof(ctx)}.{bad} Why: {ctx.cause}."
    if end in (End.REFUSED, End.UNCHECKED, End.INTERRUPTED):
        return f"nothing was moved: {_unmoved(ctx)}. {result.reason}."
    if end is End.SUPERSEDED:
        return f"superseded: {result.reason}."
    return f"STUCK: {result.reason}" + (f" (rolling back because: {ctx.cause})" if ctx.cause else "")


def _named(ctx: PromotionContext, tag: Tag | None) -> str:
    return f"{version_carried(ctx.deps, tag) or ctx.settings.tags.stable} ({short(tag.commit)})" if tag else "nothing"


def _unmoved(ctx: PromotionContext) -> str:
    """Where production's tag is after a promotion that did not move it: as read now, never as remembered.

    What it held before is not what a rollback goes to: that may be a fallback, or the version that a person asked for.
    """
    stable, before = ctx.settings.tags.stable, ctx.stable if ctx.asked_rollback else ctx.target.stable
    was, (now, known) = _named(ctx, before), _stable_now(ctx)
    if not known:
        return f"{stable} was {was} before, and could not be read now"
    if (now.object if now else "") == (before.object if before else ""):
        return f"{stable} is still {was}"
    return f"{stable} was {was}, and another user has moved it to {short(now.commit) if now else 'nothing'}"


def _followed(ctx: PromotionContext) -> str:
    """Of a tag that is back: whether production followed it, by the applications as `promote status` shows them."""
    if ctx.proven_at and (not ctx.bad_since or ctx.proven_at > ctx.bad_since):
        return f"was moved back by us, and production followed, {proof(ctx)}; the checks named above did not pass"
    return "was moved back by us, but it is not proven that production followed"


def _not_known(ctx: PromotionContext) -> str:
    if ctx.release_anyway:
        return "was left there; whether this promotion moved it is not known, and it may still be moved by a run of its own"
    if ctx.stable and (ctx.cause or ctx.asked_rollback):
        return "was last seen there; the rollback push got no reply and may still take effect"
    return "may still be moved by a run that could not be fenced"


def _stuck(ctx: PromotionContext) -> list[str]:
    stable, here = ctx.settings.tags.stable, ctx.stable or (_stable_now(ctx)[0] if ctx.release_anyway else None)
    back = here is not None and ctx.target.back is not None and here.object == ctx.target.back.object
    runs = f"; production runs it, {proof(ctx)}" if ctx.proven_at else ""
    moved = {
        Moved.YES: _followed(ctx) if back else "was moved by this promotion and stays so" + runs,
        Moved.NO: "was not moved",
        Moved.UNKNOWN: _not_known(ctx),
    }
    lines = [f"true now: {stable}" + (f" → {ctx.deps.git.describe(here.commit)}" if here else "") + f": it {moved[ctx.moved]}"]
    lines += [f"not there: {a.name}: {a.reason}" for a in ctx.applications if a.state not in (AppState.PROVEN, AppState.TOLERATED)]
    if ctx.lock and not ctx.release_anyway:
        remote = ctx.settings.repository.remote
        free = f"git push --force-with-lease=refs/promote/lock:{ctx.lock.oid} {remote} :refs/promote/lock"
        lines.append(f"the lock stays yours until `promote resume` or `promote abort` (without this tool: {free})")
    return lines
