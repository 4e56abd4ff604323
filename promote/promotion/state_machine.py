"""The state machine of a promotion: one table, one loop. No transition knows another; whatever escapes one becomes a result here.

Every outcome is decided by `next_state`: also those of an asked-for rollback, of what is in production already, and of `resume` and `abort`, which
begin in states of their own.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum

from promote.core.errors import Interrupted, PromoteError, Superseded, os_error_message
from promote.core.model import End
from promote.core.signals import allow_signals, clear_pending, defer_signals
from promote.promotion.context import Moved, PromotionContext, StepResult, StepStatus
from promote.promotion.move import promote, record_after_all
from promote.promotion.precheck import precheck
from promote.promotion.recovery.resume import abort, leave, resume
from promote.promotion.requested_rollback import roll_back_as_requested
from promote.promotion.rollback import roll_back
from promote.promotion.verify import verify
from promote.promotion.verify_current import verify_current


class State(StrEnum):
    START = "start"
    PRECHECKED = "prechecked"
    PROMOTED = "promoted"
    ROLLING_BACK = "rolling_back"
    # Where the other commands begin.
    CURRENT = "current"  # production's tag holds the version already: only to be proven
    REQUESTED = "requested"  # a person asked for a rollback
    RESUMING = "resuming"
    ABORTING = "aborting"
    LEAVING = "leaving"  # abort --keep


Place = State | End
STEPS: Mapping[State, Callable[[PromotionContext], StepResult]] = {
    State.START: precheck,
    State.PRECHECKED: promote,
    State.PROMOTED: verify,
    State.ROLLING_BACK: roll_back,
    State.CURRENT: verify_current,
    State.REQUESTED: roll_back_as_requested,
    State.RESUMING: resume,
    State.ABORTING: abort,
    State.LEAVING: leave,
}

# What follows, by the state and the result. SUPERSEDED ends it from anywhere.
TRANSITIONS: Mapping[tuple[State, StepStatus], Place] = {
    (State.START, StepStatus.PASSED): State.PRECHECKED,
    (State.START, StepStatus.FAILED): End.REFUSED,
    (State.START, StepStatus.ERRORED): End.UNCHECKED,
    (State.START, StepStatus.INTERRUPTED): End.INTERRUPTED,
    (State.PRECHECKED, StepStatus.PASSED): State.PROMOTED,
    (State.PRECHECKED, StepStatus.FAILED): End.REFUSED,
    (State.PRECHECKED, StepStatus.ERRORED): End.UNCHECKED,
    (State.PRECHECKED, StepStatus.INTERRUPTED): End.INTERRUPTED,
    (State.PROMOTED, StepStatus.PASSED): End.VERIFIED,
    (State.PROMOTED, StepStatus.FAILED): State.ROLLING_BACK,
    (State.PROMOTED, StepStatus.ERRORED): State.ROLLING_BACK,
    (State.PROMOTED, StepStatus.INTERRUPTED): State.ROLLING_BACK,
    (State.ROLLING_BACK, StepStatus.PASSED): End.ROLLED_BACK,
    (State.ROLLING_BACK, StepStatus.FAILED): End.STUCK,
    (State.ROLLING_BACK, StepStatus.ERRORED): End.STUCK,
    (State.ROLLING_BACK, StepStatus.INTERRUPTED): End.STUCK,
    (State.CURRENT, StepStatus.PASSED): End.VERIFIED,
    (State.CURRENT, StepStatus.FAILED): End.REFUSED,
    (State.CURRENT, StepStatus.ERRORED): End.UNCHECKED,
    (State.CURRENT, StepStatus.INTERRUPTED): End.INTERRUPTED,
    (State.REQUESTED, StepStatus.PASSED): End.ROLLED_BACK,
    (State.REQUESTED, StepStatus.FAILED): End.UNCHECKED,
    (State.REQUESTED, StepStatus.ERRORED): End.UNCHECKED,
    (State.REQUESTED, StepStatus.INTERRUPTED): End.INTERRUPTED,
    (State.RESUMING, StepStatus.PASSED): State.PROMOTED,
    (State.RESUMING, StepStatus.FAILED): State.ROLLING_BACK,
    (State.RESUMING, StepStatus.ERRORED): End.UNCHECKED,
    (State.RESUMING, StepStatus.INTERRUPTED): End.INTERRUPTED,
    (State.ABORTING, StepStatus.PASSED): State.ROLLING_BACK,
    (State.ABORTING, StepStatus.FAILED): End.STUCK,
    (State.ABORTING, StepStatus.ERRORED): End.UNCHECKED,
    (State.ABORTING, StepStatus.INTERRUPTED): End.INTERRUPTED,
    (State.LEAVING, StepStatus.PASSED): End.STUCK,
    (State.LEAVING, StepStatus.FAILED): End.STUCK,
    (State.LEAVING, StepStatus.ERRORED): End.STUCK,
    (State.LEAVING, StepStatus.INTERRUPTED): End.STUCK,
}
FORWARD = (State.START, State.PRECHECKED, State.PROMOTED)
CUT_SHORT = (StepStatus.ERRORED, StepStatus.INTERRUPTED)


def next_state(state: State, status: StepStatus, moved: Moved, *, hold_on_unknown: bool = False, hold: bool = False, is_back: bool = False) -> Place:
    """Where to go from here. Pure: the whole decision of a promotion.

    A move that went wrong is decided by what is true of the tag: moved → it goes back; not known → manual action is needed. `is_back`: the tag holds
    what a rollback restores.
    """
    if status is StepStatus.SUPERSEDED:
        return End.SUPERSEDED
    if state is State.PRECHECKED and status is not StepStatus.PASSED:
        if moved is Moved.YES:
            return End.STUCK if hold else State.ROLLING_BACK
        if moved is Moved.UNKNOWN:
            return End.STUCK
    if state is State.REQUESTED and status is not StepStatus.PASSED and (is_back or moved is Moved.UNKNOWN):
        return End.STUCK
    if state in (State.RESUMING, State.ABORTING) and status in CUT_SHORT and moved is not Moved.NO:
        return End.STUCK
    if state is State.PROMOTED and status is StepStatus.ERRORED and hold_on_unknown:
        return End.STUCK
    if hold and TRANSITIONS[state, status] is State.ROLLING_BACK:  # a one-way migration: the old version may not run any more
        return End.STUCK
    return TRANSITIONS[state, status]


def exit_code(ctx: PromotionContext, begun: State, end: End) -> int:
    """The exit code of a command that began in this state. An asked-for rollback or an abort that did what was asked is a success."""
    aborted = begun is State.ABORTING and end in (End.ROLLED_BACK, End.INTERRUPTED)
    return 0 if aborted or (ctx.asked_rollback and end is End.ROLLED_BACK) else end.exit_code


def run_promotion(
    ctx: PromotionContext, state: State = State.START, transitions: Mapping[State, Callable[[PromotionContext], StepResult]] = STEPS
) -> tuple[End, StepResult]:
    """Go through the transitions until an end, which is always one of the table. A stop request between two of them is answered by the next one; one
    after the last is raised unless a caller defers it."""
    with defer_signals():
        return _advance(ctx, state, transitions)


def _advance(ctx: PromotionContext, state: State, transitions: Mapping[State, Callable[[PromotionContext], StepResult]]) -> tuple[End, StepResult]:
    while True:
        ctx.journal.write("state", state.value)
        if state is State.ROLLING_BACK:
            clear_pending()
        result = _timely(run_transition(transitions[state], ctx), ctx, state)
        unknown = ctx.settings.promotion.on_unknown == "hold" if result.hold is None else result.hold
        place = next_state(state, result.status, ctx.moved, hold_on_unknown=unknown, hold=bool(ctx.hold), is_back=ctx.is_back)
        ctx.journal.write("note", "transition", state=state, status=result.status, reason=result.reason, moved=ctx.moved, next=place)
        if isinstance(place, End):
            return place, result
        if place is State.ROLLING_BACK:
            ctx.cause = result.reason
            if state in (State.PRECHECKED, State.PROMOTED):
                ctx.deps.report.note(f"rolling back automatically: {result.reason}")
        if state is State.RESUMING and place is State.PROMOTED:
            record_after_all(ctx)
        state = place


def _timely(result: StepResult, ctx: PromotionContext, state: State) -> StepResult:
    """With the reason behind the reason, when the promotion's own deadline cut short what went wrong."""
    if result.status in (StepStatus.PASSED, StepStatus.SUPERSEDED) or state not in FORWARD or not ctx.ends.expired:
        return result
    return replace(result, reason=f"{result.reason} (promotion.timeout, {ctx.ends.seconds:.0f} s, is over)")


def run_transition(transition: Callable[[PromotionContext], StepResult], ctx: PromotionContext) -> StepResult:
    """Run one transition and turn whatever escapes it into a result: an unknown is ERRORED, never a pass."""
    try:
        with allow_signals():
            return transition(ctx)
    except Superseded as gone:
        return StepResult(status=StepStatus.SUPERSEDED, reason=gone.what, hint=gone.hint)
    except Interrupted as stop:
        return StepResult(status=StepStatus.INTERRUPTED, reason=f"stopped by {stop.signal_name}")
    except PromoteError as error:
        return StepResult(status=StepStatus.ERRORED, reason=error.what, hint=error.hint)
    except OSError as error:  # of this machine: a full disk, a folder that may not be written; clients turn theirs into our own
        return StepResult(
            status=StepStatus.ERRORED, reason=os_error_message(error), hint="free space or make it writable, then look: `promote status`"
        )
    except Exception as bug:  # a bug of ours must not leave a moved tag behind
        ctx.journal.write("note", "unexpected", traceback=traceback.format_exc())
        return StepResult(
            status=StepStatus.ERRORED,
            reason=f"unexpected {type(bug).__name__}: {str(bug)[:200]}",
            hint=f"the traceback is in {ctx.journal.path}; please report it",
        )
