"""What became of a move of the stable tag, forward or back: fence off what may still come, read the refs, and write what is true into the context.

Only then may a promotion report that nothing was moved, or that production's tag is back.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from promote.core.deadline import Deadline
from promote.core.errors import Interrupted, PromoteError, Unreachable
from promote.core.model import Tag
from promote.core.retry import retry_until
from promote.core.signals import defer_signals
from promote.promotion.context import Moved, PromotionContext
from promote.promotion.forge.legacy_workflow import complete
from promote.promotion.forge.workflow_run import FENCE_FOR_S, fence_off, stop_run
from promote.tags.lock import LOCK, Lock
from promote.tags.observation import Move, Observation, Reading, RefState, Sign, classify, observe, superseded, with_lock, with_maker

MADE = (RefState.OURS, RefState.OTHER_COMMIT, RefState.PUT_BACK)  # the move was made


class Direction(StrEnum):
    FORWARD = "forward"
    BACK = "back"


class OutcomeUnknown(PromoteError):
    """A late move could not be fenced off, or the refs could not be read: neither "moved" nor "not moved" may be reported."""


def read_outcome(ctx: PromotionContext, direction: Direction, *, taken_over: bool = False) -> Reading:
    """Read what became of the move and write it into the context. `taken_over`: another process asked for it, and left only the lock.

    Raises Superseded when another user or process changed the refs, PromoteError when the lock cannot be read.
    """
    git, expected = ctx.deps.git, expectation(ctx, direction, taken_over=taken_over)
    seen = observe(git, ctx.names)
    if taken_over and expected.reads_lock:
        seen = with_maker(git, seen)
    if seen.lock is None and expected.reads_lock and not taken_over and _is_as_asked(ctx, seen, expected):
        ctx.update(moved=Moved.YES, stable=seen.stable, lock=replace(_lock(ctx), state=expected.entered or "rolling_back"))
        ctx.retake_lock()
        seen = replace(seen, lock=Tag(ref=LOCK, object=_lock(ctx).oid, commit=_lock(ctx).candidate))
    reading = classify(with_lock(git, seen, known=ctx.lock), expected)
    if reading.state is RefState.UNKNOWN:
        assert reading.seen.unreadable is not None
        raise reading.seen.unreadable
    if reading.state in MADE:
        ctx.update(moved=Moved.YES, stable=reading.seen.stable, lock=reading.seen.says)
    elif reading.state is RefState.UNMOVED:
        # Going back, the tag is where this promotion put it, or where it was to be replaced.
        ctx.update(moved=Moved.NO) if direction is Direction.FORWARD else ctx.update(moved=Moved.YES, stable=reading.seen.stable)
    elif reading.state is not RefState.DELETED:
        raise superseded(git, reading)
    if not expected.reads_lock:
        complete(ctx, reading)
    return reading


def _lock(ctx: PromotionContext) -> Lock:
    assert ctx.lock is not None
    return ctx.lock


def _is_as_asked(ctx: PromotionContext, seen: Observation, expected: Move) -> bool:
    """Whether the tag is where this promotion asked for, although nothing but the tag says so: the lock was deleted after the move."""
    stable, prod = seen.stable, seen.prod
    if stable is None or stable.object == expected.before:
        return False
    if expected.sign is Sign.OBJECT:
        return stable.object == expected.to
    return prod is not None and prod.object == stable.object and with_maker(ctx.deps.git, seen).made_by == ctx.request_id


def expectation(ctx: PromotionContext, direction: Direction, *, taken_over: bool = False) -> Move:
    """How this promotion recognises its own move, and what counts as "not moved"."""
    lock, target = ctx.lock, ctx.target
    assert lock is not None
    back = target.back.object if target.back else ""
    if direction is Direction.BACK:
        replaced = ctx.stable.object if ctx.stable else None
        if taken_over:  # only an asked-for rollback enters its lock's state before it moves the tag
            replaced = lock.stable_before if ctx.asked_rollback else None
        return Move(request_id=ctx.request_id, holder=lock.holder, before=replaced, sign=Sign.OBJECT, to=back)
    older = ctx.legacy and (not taken_over or lock.state in ("prechecked", "promoted"))
    return Move(
        request_id=ctx.request_id,
        holder=lock.holder,
        before=lock.stable_before,
        sign=Sign.OLDER_WORKFLOW if older else Sign.TRAILER if taken_over else Sign.PROD_TAG,
        commit=target.commit,
        entered="promoted",
        back=back,
        prod_before=target.prod_tag.object if target.prod_tag else "",
        reads_lock=not (older and (not taken_over or lock.state == "prechecked")),
    )


def resolve_outcome(ctx: PromotionContext, error: BaseException, direction: Direction) -> Reading:
    """Give up a move that `error` cut short: fence it off, then read what is true. Stop requests wait until that is known.

    Raises Superseded, and OutcomeUnknown when neither is known; other PromoteErrors mean the same.
    """
    patience = Deadline(FENCE_FOR_S, ctx.deps.clock)
    lock = ctx.lock
    assert lock is not None
    # On the way back the lock's state stays: a resume still has to go back.
    state = lock.state if direction is Direction.BACK else "promoted" if ctx.moved is Moved.YES else "fenced"
    ctx.update(moved=Moved.UNKNOWN)
    with defer_signals():
        try:
            if ctx.legacy and direction is Direction.FORWARD:  # it does not read the lock: only a run that is over can move nothing any more
                stop_run(ctx, patience)
            else:
                fence_off(ctx, error, patience, state=state)
        except PromoteError as unfenced:
            raise OutcomeUnknown(f"a late move could not be fenced off: {unfenced.what}", hint=unfenced.hint) from error
        try:
            return retry_until(lambda: read_outcome(ctx, direction), on=Unreachable, deadline=Deadline(FENCE_FOR_S, ctx.deps.clock))
        except Unreachable as unread:
            ctx.update(moved=Moved.UNKNOWN)
            raise OutcomeUnknown(f"the tag could not be read: {unread.what}", hint=unread.hint) from error


def cause_of(error: BaseException) -> str:
    """Why something was cut short, in one sentence."""
    return f"stopped by {error.signal_name}" if isinstance(error, Interrupted) else str(getattr(error, "what", error))
