"""What became of a move by an older workflow, which takes only a version, knows no lock, and deletes the stable tag before it pushes the new one.

It is looked at only when our run is over: between its two pushes the tag is absent, and that is not ours to mend then.
"""

from __future__ import annotations

from promote.core.errors import Superseded
from promote.core.model import Tag, short
from promote.core.signals import defer_signals
from promote.git.push import RefUpdate
from promote.promotion.context import Moved, PromotionContext
from promote.tags.lock import LOCK, advance, lock_at, lock_words


def compare(ctx: PromotionContext) -> str:
    """Read the tags, write what is true into the run. Returns "" when the candidate is in production's tag, else what is the matter.

    A tag that our run left deleted is put back under an empty lease. Raises Superseded when somebody else's value is there.
    """
    refs = ctx.deps.git.refs(ctx.names.stable, ctx.names.prod, LOCK)
    stable, before, lock = refs.get(ctx.names.stable), ctx.target.stable, lock_at(ctx.deps.git, refs.get(LOCK))
    if ctx.lock is None or lock is None or lock.holder != ctx.lock.holder:
        raise Superseded(f"{LOCK} is not ours any more: {lock_words(ctx.deps.git)[1]}", hint="look with `promote status` before anything else")
    ctx.lock = lock  # perhaps in an object that we wrote and never heard of: the older workflow does not touch it
    if stable is None:
        return _put_back(ctx, before)
    if before and stable.object == before.object:
        ctx.moved = Moved.NO
        return f"{ctx.settings.tags.stable} is still at {short(stable.commit)}: nothing was moved"
    made_by_our_run(ctx, stable, refs.get(ctx.names.prod))
    ctx.moved, ctx.stable = Moved.YES, Tag(ref=stable.ref, object=stable.object, commit=stable.commit)
    _step_on(ctx, "promoted")
    if stable.commit != ctx.target.commit:
        return f"the workflow moved {ctx.settings.tags.stable} to {short(stable.commit)} instead of {short(ctx.target.commit)}"
    return ""


def made_by_our_run(ctx: PromotionContext, stable: Tag, prod: Tag | None) -> None:
    """Raise Superseded unless the stable tag is at what was tagged as this version since we began: an older workflow's tags carry no trailers."""
    made_now = prod is not None and (ctx.target.prod_tag is None or prod.object != ctx.target.prod_tag.object)
    if prod is None or not made_now or prod.commit != stable.commit:
        raise Superseded(
            f"{ctx.settings.tags.stable} is at {short(stable.commit)}, which is not what the workflow tagged as {ctx.version}",
            hint="somebody else moved production's tag; nothing was overwritten. See who: `promote status`",
        )


def _put_back(ctx: PromotionContext, before: Tag | None) -> str:
    name = ctx.settings.tags.stable
    if before is None:
        ctx.moved = Moved.NO
        return f"{name} is still absent: nothing was moved"
    ctx.moved = Moved.UNKNOWN
    _step_on(ctx, "prechecked", RefUpdate(ref=ctx.names.stable, new=before.object, expected=""))
    ctx.moved = Moved.NO
    return f"the workflow died after it had deleted {name}; it was put back to {short(before.commit)}, so nothing was moved"


def _step_on(ctx: PromotionContext, state: str, *updates: RefUpdate) -> None:
    lock, git = ctx.lock, ctx.deps.git
    assert lock is not None
    with defer_signals():
        ctx.lock = ctx.journal.effect("write the lock", {"state": state}, lambda: advance(git, lock, *updates, state=state))
