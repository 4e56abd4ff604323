"""The state machine of a promotion: one table, one loop. No transition knows another; what escapes one becomes a verdict here."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum

from promote.core.errors import Interrupted, PromoteError, Superseded, machine_words
from promote.core.model import End
from promote.core.signals import forget, held, listening
from promote.promotion.context import Moved, Result, Run, Said
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
TRANSITIONS: Mapping[State, Callable[[Run], Result]] = {
    State.START: precheck,
    State.PRECHECKED: promote,
    State.PROMOTED: verify,
    State.ROLLING_BACK: roll_back,
}

# What follows, by where we are and what was said. SUPERSEDED ends it from anywhere.
TABLE: Mapping[tuple[State, Said], Place] = {
    (State.START, Said.PASSED): State.PRECHECKED,
    (State.START, Said.FAILED): End.REFUSED,
    (State.START, Said.ERRORED): End.UNCHECKED,
    (State.START, Said.INTERRUPTED): End.INTERRUPTED,
    (State.PRECHECKED, Said.PASSED): State.PROMOTED,
    (State.PRECHECKED, Said.FAILED): End.REFUSED,
    (State.PRECHECKED, Said.ERRORED): End.UNCHECKED,
    (State.PRECHECKED, Said.INTERRUPTED): End.INTERRUPTED,
    (State.PROMOTED, Said.PASSED): End.VERIFIED,
    (State.PROMOTED, Said.FAILED): State.ROLLING_BACK,
    (State.PROMOTED, Said.ERRORED): State.ROLLING_BACK,
    (State.PROMOTED, Said.INTERRUPTED): State.ROLLING_BACK,
    (State.ROLLING_BACK, Said.PASSED): End.ROLLED_BACK,
    (State.ROLLING_BACK, Said.FAILED): End.STUCK,
    (State.ROLLING_BACK, Said.ERRORED): End.STUCK,
    (State.ROLLING_BACK, Said.INTERRUPTED): End.STUCK,
}


def following(state: State, said: Said, moved: Moved, *, hold_unknown: bool = False, hold: bool = False) -> Place:
    """Where to go from here. Pure: the whole decision of a promotion.

    A move that went wrong is decided by what is true of the tag: moved → back it goes; not known → a person must look.
    """
    if said is Said.SUPERSEDED:
        return End.SUPERSEDED
    if state is State.PRECHECKED and said is not Said.PASSED:
        if moved is Moved.YES:
            return End.STUCK if hold else State.ROLLING_BACK
        if moved is Moved.UNKNOWN:
            return End.STUCK
    if state is State.PROMOTED and said is Said.ERRORED and hold_unknown:
        return End.STUCK
    if hold and TABLE[state, said] is State.ROLLING_BACK:  # a one-way migration: the old version may not run any more
        return End.STUCK
    return TABLE[state, said]


def walk(run: Run, state: State = State.START, transitions: Mapping[State, Callable[[Run], Result]] = TRANSITIONS) -> tuple[End, Result]:
    """Go through the transitions until an end, which is always one of the table. A stop request between two of them is the next one's to answer; one
    after the last is raised when nobody above holds it."""
    with held():
        return _walk(run, state, transitions)


def _walk(run: Run, state: State, transitions: Mapping[State, Callable[[Run], Result]]) -> tuple[End, Result]:
    while True:
        run.journal.write("state", state.value)
        if state is State.ROLLING_BACK:
            forget()
        result = _timely(attempt(transitions[state], run), run, state)
        unknown = run.settings.promotion.on_unknown == "hold"
        place = following(state, result.said, run.moved, hold_unknown=unknown, hold=bool(run.hold))
        run.journal.write("note", "said", state=state, said=result.said, reason=result.reason, moved=run.moved, next=place)
        if isinstance(place, End):
            return place, result
        if place is State.ROLLING_BACK:
            run.cause = result.reason
            run.tools.report.note(f"rolling back by itself: {result.reason}")
        state = place


def _timely(result: Result, run: Run, state: State) -> Result:
    """With the reason behind the reason, when what went wrong was cut short by the promotion's own deadline."""
    if result.said in (Said.PASSED, Said.SUPERSEDED) or state is State.ROLLING_BACK or not run.ends.expired:
        return result
    return replace(result, reason=f"{result.reason} (promotion.timeout, {run.ends.seconds:.0f} s, is over)")


def attempt(transition: Callable[[Run], Result], run: Run) -> Result:
    """Run one transition and turn whatever escapes it into a verdict. Not being able to tell is ERRORED, never a pass."""
    try:
        with listening():
            return transition(run)
    except Superseded as gone:
        return Result(said=Said.SUPERSEDED, reason=gone.what, hint=gone.hint)
    except Interrupted as stop:
        return Result(said=Said.INTERRUPTED, reason=f"stopped by {stop.signal_name}")
    except PromoteError as error:
        return Result(said=Said.ERRORED, reason=error.what, hint=error.hint)
    except OSError as error:  # of this machine: a full disk, a folder that may not be written; clients turn theirs into our own
        return Result(said=Said.ERRORED, reason=machine_words(error), hint="free space or make it writable, then look: `promote status`")
    except Exception as bug:  # a bug of ours must not leave a moved tag behind
        run.journal.write("note", "unexpected", traceback=traceback.format_exc())
        return Result(
            said=Said.ERRORED,
            reason=f"unexpected {type(bug).__name__}: {str(bug)[:200]}",
            hint=f"the traceback is in {run.journal.path}; please report it",
        )
