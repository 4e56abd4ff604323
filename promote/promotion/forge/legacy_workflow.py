"""What an older workflow leaves to this process: it takes only a version, does not read the lock, and deletes the stable tag before it pushes the new
one.

Its outcome is read only when its run is over: between its two pushes the tag is absent, and that is not ours to repair then.
"""

from __future__ import annotations

from promote.core.signals import defer_signals
from promote.git.push import RefUpdate
from promote.promotion.context import Moved, PromotionContext
from promote.tags.lock import advance
from promote.tags.observation import Reading, RefState


def complete(ctx: PromotionContext, reading: Reading) -> None:
    """Enter the move into the lock, as a newer workflow does itself, or put a tag back that the run left deleted (under an empty lease)."""
    ctx.update(lock=reading.seen.says)  # perhaps an object that this process wrote without an answer: the older workflow does not touch it
    if reading.state in (RefState.OURS, RefState.OTHER_COMMIT):
        _enter(ctx, "promoted")
    if reading.state is not RefState.DELETED:
        return
    before = ctx.target.stable
    assert before is not None
    ctx.update(moved=Moved.UNKNOWN)
    _enter(ctx, "prechecked", RefUpdate(ref=ctx.names.stable, new=before.object, expected=""))
    ctx.update(moved=Moved.NO)


def _enter(ctx: PromotionContext, state: str, *updates: RefUpdate) -> None:
    lock, git = ctx.lock, ctx.deps.git
    assert lock is not None
    with defer_signals():
        ctx.update(lock=ctx.journal.effect("write the lock", {"state": state}, lambda: advance(git, lock, *updates, state=state)))
