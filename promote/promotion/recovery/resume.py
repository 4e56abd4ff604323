"""Going on with a promotion that was cut short, or giving it up: always by the refs on the remote, as they are now."""

from __future__ import annotations

from promote.convergence.baseline import take_baseline
from promote.core.deadline import Deadline
from promote.core.errors import PromoteError, Superseded
from promote.core.model import End, Tag, short
from promote.git.remote import GitRemote
from promote.promotion.context import Moved, PromotionContext, StepResult, StepStatus
from promote.promotion.forge.legacy_workflow import compare, made_by_our_run
from promote.promotion.forge.workflow_run import cancel_run, stop_run
from promote.promotion.move import is_legacy
from promote.promotion.precheck import unsafe_rollback
from promote.promotion.recording import catch_up_record, expect_record
from promote.promotion.state_machine import State, next_state, run_promotion, run_transition
from promote.promotion.steps import keep_baseline
from promote.tags.publish import trailers_of

STOP_S = 60.0
KEEP = "`promote abort --keep` gives up the lock and leaves the tag"
KEPT = "given up as it is: nothing was proven and the tag was left where it is; only the lock is given up"


def where(ctx: PromotionContext) -> State | None:
    """Read the world again: where this promotion stands, None when it moved nothing (and, the lock being ours now, never will).

    Raises Superseded when the stable tag holds what this promotion did not put there, Unreachable when a run of an older workflow may still come.
    """
    ctx.moved = Moved.UNKNOWN
    lock, git, back = ctx.lock, ctx.deps.git, ctx.target.back
    assert lock is not None
    if not ctx.asked_rollback and is_legacy(ctx) and lock.state == "prechecked":
        stop_run(ctx, Deadline(STOP_S, ctx.deps.clock))
        compare(ctx)
        return _forward(ctx) if ctx.moved is Moved.YES else None
    refs = git.refs(ctx.names.stable, ctx.names.prod)
    now = refs.get(ctx.names.stable)
    if now:
        git.fetch(now.ref)
    if lock.state == "rolling_back":
        return _going_back(ctx, now)
    moved = lock.state == "promoted"  # entered in the push that moved the tag, or after it: what it holds now was put there since
    if now and back and moved and now.object == back.object:  # somebody used the undo that was printed
        ctx.cause = ctx.cause or f"{ctx.settings.tags.stable} was put back by hand"
        ctx.moved, ctx.stable, ctx.bad_since = Moved.YES, now, ctx.t_before
        return State.ROLLING_BACK
    if not moved and (now.object if now else "") == lock.stable_before:
        ctx.moved = Moved.NO
        return None
    if now and moved and is_legacy(ctx):
        made_by_our_run(ctx, now, refs.get(ctx.names.prod))
    elif now is None or _made_by(git, now) != ctx.request_id:
        raise Superseded(
            f"{ctx.settings.tags.stable} is {f'at {short(now.commit)}' if now else 'gone'}, which this promotion did not do",
            hint="nothing was overwritten; see who: `promote status`",
        )
    ctx.moved, ctx.stable = Moved.YES, now
    return _forward(ctx)


def _made_by(git: GitRemote, tag: Tag) -> str:
    """The id of the promotion that made this tag object, as it says itself."""
    return trailers_of(git.read_tag(tag.object).message).get("Request-Id", "") if tag.object != tag.commit else ""


def _forward(ctx: PromotionContext) -> State:
    """The tag was moved, and what it holds is to be proven, unless that is not the candidate: an older workflow may have tagged anything."""
    ctx.bad_since, now, wanted = ctx.t_before, ctx.stable, ctx.target.commit
    if now is None or now.commit == wanted:
        ctx.cause = ""  # a rollback that had been decided on, and had not begun: what is true now decides anew
        return State.PROMOTED
    ctx.cause = f"{ctx.settings.tags.stable} was moved to {short(now.commit)} instead of {short(wanted)}"
    return State.ROLLING_BACK


def _going_back(ctx: PromotionContext, now: Tag | None) -> State:
    """On the way back: the tag is there already, or (an asked-for rollback that had not pushed yet) still at what is to be replaced."""
    back, lock = ctx.target.back, ctx.lock
    assert back is not None and lock is not None
    still = ctx.asked_rollback and now is not None and now.object == lock.stable_before
    if now is None or not (still or now.object == back.object):
        raise Superseded(
            f"{ctx.settings.tags.stable} is {f'at {short(now.commit)}' if now else 'gone'}, neither what was to be replaced nor what it goes back to",
            hint="nothing was overwritten; see who: `promote status`",
        )
    ctx.moved, ctx.stable, ctx.bad_since = Moved.YES, now, ctx.t_before
    if still and ctx.baseline is None:  # nothing has moved, so what is seen now is what was before
        keep_baseline(ctx, take_baseline(ctx.deps.production()), smoke_passed=None)
    return State.ROLLING_BACK


def resume(ctx: PromotionContext) -> tuple[End, StepResult]:
    """Finish it, roll it back, or let it go."""
    place: list[State | None] = []
    result = run_transition(lambda run: _found(place, where(run)), ctx)
    if not place:
        return _unknown(ctx, result), result
    state = place[0]
    if state is None:
        cancel_run(ctx)
        reason = "it had been cut short before the move; the lock is given up"
        return End.UNCHECKED, StepResult(status=StepStatus.ERRORED, reason=reason, hint="start it again")
    if state is State.PROMOTED:
        _record(ctx)
    ctx.hold = "" if ctx.asked_rollback else _hold(ctx)
    if ctx.hold and state is State.ROLLING_BACK and ctx.stable != ctx.target.back:
        return End.STUCK, StepResult(status=StepStatus.FAILED, reason=f"{ctx.cause}; {ctx.hold}", hint=KEEP)
    return run_promotion(ctx, state)


def _hold(ctx: PromotionContext) -> str:
    """As at the move. What cannot be read does not allow the old version to run: a person must look."""
    try:
        return unsafe_rollback(ctx)
    except PromoteError as error:
        return f"whether this version may be rolled back is not known: {error.what}"


def abort(ctx: PromotionContext, *, keep: bool) -> tuple[End, StepResult]:
    """Put production's tag back to the recorded object if this promotion moved it, and prove that. `keep`: leave the tag, give up the lock alone."""
    place: list[State | None] = []
    ctx.moved, ctx.release_anyway = Moved.UNKNOWN, keep
    if keep and is_legacy(ctx) and ctx.lock and ctx.lock.state == "prechecked":  # to look would be to stop its run, and to put the tag back
        return End.STUCK, StepResult(status=StepStatus.FAILED, reason=KEPT)
    result = run_transition(lambda run: _found(place, where(run)), ctx)
    if ctx.asked_rollback and ctx.stable and ctx.stable != ctx.target.back:
        ctx.moved, place[:] = Moved.NO, [None]  # the rollback had not pushed yet
    if keep and result.status is not StepStatus.SUPERSEDED:
        unread = "" if place else f" (which could not be read: {result.reason})"
        return End.STUCK, StepResult(status=StepStatus.FAILED, reason=f"{KEPT}{unread}")
    if not place:
        return _unknown(ctx, result), result
    if place[0] is None:
        cancel_run(ctx)
        return End.INTERRUPTED, StepResult(status=StepStatus.INTERRUPTED, reason="given up before the move")
    if ctx.target.back is None:
        ctx.release_anyway = True
        reason = f"there is no earlier {ctx.settings.tags.stable} to go back to: the tag stays where it is, unproven, and the lock is given up"
        return End.STUCK, StepResult(status=StepStatus.FAILED, reason=reason, hint="fix forward with a new version")
    there = ctx.asked_rollback or ctx.stable == ctx.target.back  # nothing but the proof is left to do
    if not there and (why := _hold(ctx)):
        return End.STUCK, StepResult(
            status=StepStatus.FAILED,
            reason=f"{why}: the tag stays where it is",
            hint=f"`promote resume` proves it again; {KEEP}",
        )
    ctx.cause = ctx.cause or "given up by `promote abort`"
    return run_promotion(ctx, State.ROLLING_BACK)


def _record(ctx: PromotionContext) -> None:
    """The record of the move on the branch: an older workflow writes none, and ours may have been let or not."""
    if ctx.settings.promotion.via == "git":
        catch_up_record(ctx)
    elif not is_legacy(ctx):
        expect_record(ctx)


def _found(place: list[State | None], state: State | None) -> StepResult:
    place.append(state)
    return StepResult(status=StepStatus.PASSED)


def _unknown(ctx: PromotionContext, result: StepResult) -> End:
    end = next_state(State.PRECHECKED, result.status, ctx.moved)
    return end if isinstance(end, End) else End.STUCK
