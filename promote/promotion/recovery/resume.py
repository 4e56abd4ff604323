"""Going on with a promotion that was cut short, or giving it up: always by the refs on the remote, as they are now."""

from __future__ import annotations

from promote.convergence.baseline import take_baseline
from promote.core.deadline import Deadline
from promote.core.errors import PromoteError, Superseded
from promote.core.model import End, Tag, short
from promote.git.remote import GitRemote
from promote.promotion.context import Moved, Result, Run, Said
from promote.promotion.forge.legacy_workflow import compare, made_by_our_run
from promote.promotion.forge.workflow_run import cancel_run, stop_run
from promote.promotion.move import is_legacy
from promote.promotion.precheck import unsafe_rollback
from promote.promotion.recording import catch_up_record, expect_record
from promote.promotion.state_machine import State, attempt, following, walk
from promote.promotion.steps import keep_baseline
from promote.tags.publish import trailers_of

STOP_S = 60.0
KEEP = "`promote abort --keep` gives up the lock and leaves the tag"
KEPT = "given up as it is: nothing was proven and the tag was left where it is; only the lock is given up"


def where(run: Run) -> State | None:
    """Read the world again: where this promotion stands, None when it moved nothing (and, the lock being ours now, never will).

    Raises Superseded when the stable tag holds what this promotion did not put there, Unreachable when a run of an older workflow may still come.
    """
    run.moved = Moved.UNKNOWN
    lock, git, back = run.lock, run.tools.git, run.target.back
    assert lock is not None
    if not run.asked_rollback and is_legacy(run) and lock.state == "prechecked":
        stop_run(run, Deadline(STOP_S, run.tools.clock))
        compare(run)
        return _forward(run) if run.moved is Moved.YES else None
    refs = git.refs(run.names.stable, run.names.prod)
    now = refs.get(run.names.stable)
    if now:
        git.fetch(now.ref)
    if lock.state == "rolling_back":
        return _going_back(run, now)
    moved = lock.state == "promoted"  # entered in the push that moved the tag, or after it: what it holds now was put there since
    if now and back and moved and now.object == back.object:  # somebody used the undo that was printed
        run.cause = run.cause or f"{run.settings.tags.stable} was put back by hand"
        run.moved, run.stable, run.bad_since = Moved.YES, now, run.t_before
        return State.ROLLING_BACK
    if not moved and (now.object if now else "") == lock.stable_before:
        run.moved = Moved.NO
        return None
    if now and moved and is_legacy(run):
        made_by_our_run(run, now, refs.get(run.names.prod))
    elif now is None or _made_by(git, now) != run.request_id:
        raise Superseded(
            f"{run.settings.tags.stable} is {f'at {short(now.commit)}' if now else 'gone'}, which this promotion did not do",
            hint="nothing was overwritten; see who: `promote status`",
        )
    run.moved, run.stable = Moved.YES, now
    return _forward(run)


def _made_by(git: GitRemote, tag: Tag) -> str:
    """The id of the promotion that made this tag object, as it says itself."""
    return trailers_of(git.read_tag(tag.object).message).get("Request-Id", "") if tag.object != tag.commit else ""


def _forward(run: Run) -> State:
    """The tag was moved, and what it holds is to be proven, unless that is not the candidate: an older workflow may have tagged anything."""
    run.bad_since, now, wanted = run.t_before, run.stable, run.target.commit
    if now is None or now.commit == wanted:
        run.cause = ""  # a rollback that had been decided on, and had not begun: what is true now decides anew
        return State.PROMOTED
    run.cause = f"{run.settings.tags.stable} was moved to {short(now.commit)} instead of {short(wanted)}"
    return State.ROLLING_BACK


def _going_back(run: Run, now: Tag | None) -> State:
    """On the way back: the tag is there already, or (an asked-for rollback that had not pushed yet) still at what is to be replaced."""
    back, lock = run.target.back, run.lock
    assert back is not None and lock is not None
    still = run.asked_rollback and now is not None and now.object == lock.stable_before
    if now is None or not (still or now.object == back.object):
        raise Superseded(
            f"{run.settings.tags.stable} is {f'at {short(now.commit)}' if now else 'gone'}, neither what was to be replaced nor what it goes back to",
            hint="nothing was overwritten; see who: `promote status`",
        )
    run.moved, run.stable, run.bad_since = Moved.YES, now, run.t_before
    if still and run.baseline is None:  # nothing has moved, so what is seen now is what was before
        keep_baseline(run, take_baseline(run.tools.production()), smoke_passed=None)
    return State.ROLLING_BACK


def resume(run: Run) -> tuple[End, Result]:
    """Finish it, roll it back, or let it go."""
    place: list[State | None] = []
    result = attempt(lambda run: _found(place, where(run)), run)
    if not place:
        return _unknown(run, result), result
    state = place[0]
    if state is None:
        cancel_run(run)
        reason = "it had been cut short before the move; the lock is given up"
        return End.UNCHECKED, Result(said=Said.ERRORED, reason=reason, hint="start it again")
    if state is State.PROMOTED:
        _record(run)
    run.hold = "" if run.asked_rollback else _hold(run)
    if run.hold and state is State.ROLLING_BACK and run.stable != run.target.back:
        return End.STUCK, Result(said=Said.FAILED, reason=f"{run.cause}; {run.hold}", hint=KEEP)
    return walk(run, state)


def _hold(run: Run) -> str:
    """As at the move. What cannot be read does not allow the old version to run: a person must look."""
    try:
        return unsafe_rollback(run)
    except PromoteError as error:
        return f"whether this version may be rolled back is not known: {error.what}"


def abort(run: Run, *, keep: bool) -> tuple[End, Result]:
    """Put production's tag back to the recorded object if this promotion moved it, and prove that. `keep`: leave the tag, give up the lock alone."""
    place: list[State | None] = []
    run.moved, run.let_go = Moved.UNKNOWN, keep
    if keep and is_legacy(run) and run.lock and run.lock.state == "prechecked":  # to look would be to stop its run, and to put the tag back
        return End.STUCK, Result(said=Said.FAILED, reason=KEPT)
    result = attempt(lambda run: _found(place, where(run)), run)
    if run.asked_rollback and run.stable and run.stable != run.target.back:
        run.moved, place[:] = Moved.NO, [None]  # the rollback had not pushed yet
    if keep and result.said is not Said.SUPERSEDED:
        unread = "" if place else f" (which could not be read: {result.reason})"
        return End.STUCK, Result(said=Said.FAILED, reason=f"{KEPT}{unread}")
    if not place:
        return _unknown(run, result), result
    if place[0] is None:
        cancel_run(run)
        return End.INTERRUPTED, Result(said=Said.INTERRUPTED, reason="given up before the move")
    if run.target.back is None:
        run.let_go = True
        reason = f"there is no earlier {run.settings.tags.stable} to go back to: the tag stays where it is, unproven, and the lock is given up"
        return End.STUCK, Result(said=Said.FAILED, reason=reason, hint="fix forward with a new version")
    there = run.asked_rollback or run.stable == run.target.back  # nothing but the proof is left to do
    if not there and (why := _hold(run)):
        return End.STUCK, Result(
            said=Said.FAILED,
            reason=f"{why}: the tag stays where it is",
            hint=f"`promote resume` proves it again; {KEEP}",
        )
    run.cause = run.cause or "given up by `promote abort`"
    return walk(run, State.ROLLING_BACK)


def _record(run: Run) -> None:
    """The record of the move on the branch: an older workflow writes none, and ours may have been let or not."""
    if run.settings.promotion.via == "git":
        catch_up_record(run)
    elif not is_legacy(run):
        expect_record(run)


def _found(place: list[State | None], state: State | None) -> Result:
    place.append(state)
    return Result(said=Said.PASSED)


def _unknown(run: Run, result: Result) -> End:
    end = following(State.PRECHECKED, result.said, run.moved)
    return end if isinstance(end, End) else End.STUCK
