"""The state machine of a promotion: one table, one loop. No transition knows another; what escapes one becomes a verdict here."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum

from promote.core.errors import Interrupted, PromoteError, Superseded, os_error_message
from promote.core.model import End
from promote.core.signals import allow_signals, clear_pending, defer_signals
from promote.promotion.context import Moved, PromotionContext, StepResult, StepStatus
from promote.promotion.move import promote
from promote.promotion.precheck import precheck
from promote.promotion.rollback import roll_back
from promote.promotion.verify import verify


class State(StrEnum):
    START = "start"
    PRECHECKED = "prechecked"
    PROMOTED = "promoted"
    ROLLING_BACK = "rolling_back"


Place = State | End
STEPS: Mapping[State, Callable[[PromotionContext], StepResult]] = {
    State.START: precheck,
    State.PRECHECKED: promote,
    State.PROMOTED: verify,
    State.ROLLING_BACK: roll_back,
}

# What follows, by where we are and what was said. SUPERSEDED ends it from anywhere.
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
}


def next_state(state: State, said: StepStatus, moved: Moved, *, hold_on_unknown: bool = False, hold: bool = False) -> Place:
    """Where to go from here. Pure: the whole decision of a promotion.

    A move that went wrong is decided by what is true of the tag: moved → back it goes; not known → a person must look.
    """
    if said is StepStatus.SUPERSEDED:
        return End.SUPERSEDED
    if state is State.PRECHECKED and said is not StepStatus.PASSED:
        if moved is Moved.YES:
            return End.STUCK if hold else State.ROLLING_BACK
        if moved is Moved.UNKNOWN:
            return End.STUCK
    if state is State.PROMOTED and said is StepStatus.ERRORED and hold_on_unknown:
        return End.STUCK
    if hold and TRANSITIONS[state, said] is State.ROLLING_BACK:  # a one-way migration: the old version may not run any more
        return End.STUCK
    return TRANSITIONS[state, said]


def run_promotion(
    ctx: PromotionContext, state: State = State.START, transitions: Mapping[State, Callable[[PromotionContext], StepResult]] = STEPS
) -> tuple[End, StepResult]:
    """Go through the transitions until an end, which is always one of the table. A stop request between two of them is the next one's to answer; one
    after the last is raised when nobody above holds it."""
    with defer_signals():
        return _advance(ctx, state, transitions)


def _advance(ctx: PromotionContext, state: State, transitions: Mapping[State, Callable[[PromotionContext], StepResult]]) -> tuple[End, StepResult]:
    while True:
        ctx.journal.write("state", state.value)
        if state is State.ROLLING_BACK:
            clear_pending()
        result = _timely(run_transition(transitions[state], ctx), ctx, state)
        unknown = ctx.settings.promotion.on_unknown == "hold"
        place = next_state(state, result.status, ctx.moved, hold_on_unknown=unknown, hold=bool(ctx.hold))
        ctx.journal.write("note", "said", state=state, said=result.status, reason=result.reason, moved=ctx.moved, next=place)
        if isinstance(place, End):
            return place, result
        if place is State.ROLLING_BACK:
            ctx.cause = result.reason
            ctx.deps.report.note(f"rolling back by itself: {result.reason}")
        state = place


def _timely(result: StepResult, ctx: PromotionContext, state: State) -> StepResult:
    """With the reason behind the reason, when what went wrong was cut short by the promotion's own deadline."""
    if result.status in (StepStatus.PASSED, StepStatus.SUPERSEDED) or state is State.ROLLING_BACK or not ctx.ends.expired:
        return result
    return replace(result, reason=f"{result.reason} (promotion.timeout, {ctx.ends.seconds:.0f} s, is over)")


def run_transition(transition: Callable[[PromotionContext], StepResult], ctx: PromotionContext) -> StepResult:
    """Run one transition and turn whatever escapes it into a verdict. Not being able to tell is ERRORED, never a pass."""
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
