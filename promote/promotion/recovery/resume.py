"""Where a promotion that was cut short stands, by the refs on the remote as they are now: the first step of `resume`, `abort` and `abort --keep`."""

from __future__ import annotations

from promote.convergence.baseline import take_baseline
from promote.core.deadline import Deadline
from promote.core.errors import Interrupted, PromoteError, Superseded
from promote.core.signals import defer_signals
from promote.promotion.context import Moved, PromotionContext, StepResult, StepStatus
from promote.promotion.forge.workflow_run import cancel_run, stop_run
from promote.promotion.outcome import Direction, cause_of, read_outcome
from promote.promotion.precheck import unsafe_rollback
from promote.promotion.steps import keep_baseline
from promote.tags.observation import Reading, RefState

STOP_S = 60.0
KEEP = "`promote abort --keep` gives up the lock and leaves the tag"
KEPT = "abandoned as it is: nothing was proven, the tag stays where it is, and only the lock is released"


def resume(ctx: PromotionContext) -> StepResult:
    """RESUMING: PASSED when the move is to be proven, FAILED when it has to go back, ERRORED when nothing was moved.

    Nothing will be moved later either: the lock is ours now.
    """
    reading = locate(ctx)
    if ctx.moved is Moved.NO:
        _cancel(ctx)
        reason = "it was interrupted before the move; the lock is released"
        return StepResult(status=StepStatus.ERRORED, reason=reason, hint="start it again")
    if (
        reading.state is RefState.UNMOVED and ctx.baseline is None
    ):  # an asked-for rollback that has not pushed: what production is now is what was before
        keep_baseline(ctx, take_baseline(ctx.deps.production()), smoke_passed=None)
    ctx.hold = "" if ctx.asked_rollback or ctx.is_back else _hold(ctx)
    if not _going_back(ctx) and reading.state is RefState.OURS:
        return StepResult(status=StepStatus.PASSED)
    return StepResult(status=StepStatus.FAILED, reason="; ".join(filter(None, (ctx.cause, ctx.hold))), hint=KEEP if ctx.hold else "")


def abort(ctx: PromotionContext) -> StepResult:
    """ABORTING: PASSED when the tag has to go back, INTERRUPTED when nothing was moved, FAILED when it must not or cannot go back."""
    _locate_to_give_up(ctx)
    if ctx.moved is Moved.NO:
        _cancel(ctx)
        return StepResult(status=StepStatus.INTERRUPTED, reason="aborted before the move")
    if ctx.target.back is None:
        ctx.release_anyway = True
        reason = f"there is no earlier {ctx.settings.tags.stable} to go back to: the tag stays where it is, unproven, and the lock is released"
        return StepResult(status=StepStatus.FAILED, reason=reason, hint="fix forward with a new version")
    if not ctx.is_back and (why := _hold(ctx)):
        return StepResult(status=StepStatus.FAILED, reason=f"{why}: the tag stays where it is", hint=f"`promote resume` proves it again; {KEEP}")
    ctx.cause = ctx.cause or "ended by `promote abort`"
    return StepResult(status=StepStatus.PASSED, reason=ctx.cause)


def leave(ctx: PromotionContext) -> StepResult:
    """LEAVING: never PASSED. Gives up the lock and reports where the tag is, also when that cannot be read."""
    ctx.release_anyway = True
    ctx.update(moved=Moved.UNKNOWN)
    unread = ""
    if not _may_still_run(ctx):  # to look would be to stop its run, and to put the tag back
        try:
            _locate_to_give_up(ctx)
        except Superseded:
            raise
        except (Interrupted, Exception) as error:
            ctx.journal.write("note", "the tag could not be read", error=f"{type(error).__name__}: {error}")
            unread = f" (which could not be read: {cause_of(error)})"
    return StepResult(status=StepStatus.FAILED, reason=f"{KEPT}{unread}")


def locate(ctx: PromotionContext) -> Reading:
    """Read the refs again and write into the context what is true of the tag, and why it has to go back.

    Raises Superseded when the stable tag holds what this promotion did not put there, Unreachable when a run of an older workflow may still come.
    """
    ctx.update(moved=Moved.UNKNOWN)
    ctx.taken_up = True
    if _may_still_run(ctx):
        stop_run(ctx, Deadline(STOP_S, ctx.deps.clock))
    direction = Direction.BACK if _going_back(ctx) else Direction.FORWARD
    reading = read_outcome(ctx, direction, taken_over=True)
    if direction is Direction.FORWARD and ctx.moved is Moved.YES:
        if reading.state is RefState.OURS:
            ctx.cause = ""  # a rollback that was decided on but had not begun: the present state decides again
        elif reading.state is RefState.OTHER_COMMIT:
            ctx.cause = reading.problem
        else:
            ctx.cause = ctx.cause or f"{ctx.settings.tags.stable} was put back by hand"
    return reading


def _locate_to_give_up(ctx: PromotionContext) -> None:
    """The same for a promotion that ends here: of an asked-for rollback that has not pushed, nothing was moved."""
    if locate(ctx).state is RefState.UNMOVED:
        ctx.update(moved=Moved.NO)


def _may_still_run(ctx: PromotionContext) -> bool:
    """Whether a run of an older workflow, which no lock fences off, may be under way."""
    return ctx.legacy and ctx.lock is not None and ctx.lock.state == "prechecked"


def _going_back(ctx: PromotionContext) -> bool:
    return ctx.lock is not None and ctx.lock.state == "rolling_back"


def _cancel(ctx: PromotionContext) -> None:
    """A courtesy: the lock is ours now, so its run can move nothing any more. A stop request meanwhile asks for what is done already."""
    with defer_signals(drop=True):
        cancel_run(ctx)


def _hold(ctx: PromotionContext) -> str:
    """As at the move. What cannot be read does not allow the old version to run: manual action is needed."""
    try:
        return unsafe_rollback(ctx) or ctx.unconfirmed
    except PromoteError as error:
        return f"whether this version may be rolled back is not known: {error.what}"
