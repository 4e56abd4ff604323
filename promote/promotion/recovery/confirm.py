"""Whether a lock found on the remote describes a promotion truly. It is a hint: every account that may push a branch may have written it.

Production's own tags confirm it: the object that this promotion made, and the object that it replaced. This clone's journal is our own memory and
needs no confirmation, except for a promotion that has ended: its lock was pushed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from promote.core.errors import NotFound, Rejected, Unconfirmed
from promote.core.model import End, Tag, short
from promote.git.remote import GitRemote
from promote.promotion.context import PromotionContext
from promote.tags.authority import FIRST, WayBack
from promote.tags.lock import Lock
from promote.tags.publish import bring

LOOK = "look with `promote status`; when no promotion is under way: `promote abort --break-lock`"
TYPED = "waivers are confirmed only where they were typed: a failure is held, and production is not moved back automatically"


def confirm(ctx: PromotionContext, lock: Lock, lines: Iterable[Mapping[str, Any]]) -> None:
    """Raises Unconfirmed unless going on with this lock can move production only as its promotion would have. `lines`: the journal in this clone,
    empty where another machine began it."""
    git, names = ctx.deps.git, ctx.names
    refs = git.refs(names.stable, names.working, names.prod)
    stable, prod, working = refs.get(names.stable), refs.get(names.prod), refs.get(names.working)
    if stable is None or ctx.legacy:  # nothing to move back; or an older workflow, whose tags have no trailers
        return
    made = prod is not None and prod.object == stable.object
    proven = (made and working is not None and working.object == stable.object) or _ended_verified(lines)
    if lock.state == "rolling_back" and not ctx.asked_rollback and proven:
        raise Unconfirmed(
            f"{lock.describe()}, but {ctx.version} was proven: this lock does not undo it", hint=f"{LOOK}; to go back: promote rollback"
        )
    if not lines:
        _confirm_elsewhere(ctx, lock, git, stable, made=made)


def _ended_verified(lines: Iterable[Mapping[str, Any]]) -> bool:
    last = ""
    for line in lines:
        last = str(line.get("next", last)) if line.get("name") == "transition" else last
    return last == End.VERIFIED


def _confirm_elsewhere(ctx: PromotionContext, lock: Lock, git: GitRemote, stable: Tag, *, made: bool) -> None:
    """Only the lock describes it: each of its claims that leads to a move is compared with the tags."""
    back = ctx.target.back
    if ctx.asked_rollback:
        if back is None or stable.object != back.object:
            raise Unconfirmed(
                f"{lock.describe()}: it asks for a rollback that did not begin, and only the lock shows that a user asked for it",
                hint=f"to go back: `promote abort --break-lock`, then `promote rollback`; {LOOK}",
            )
        return
    if stable.object == lock.stable_before:
        return  # nothing was moved, and nothing will be
    if made:
        way = WayBack.read(git, ctx.settings, stable)
        if back is not None and ctx.target.stable is None and way.replaced == FIRST:
            _require(ctx, lock, git, way, back)
        elif (back.object if back else FIRST) != way.replaced:
            raise Unconfirmed(
                f"{lock.describe()}: it would go back to {short(back.object) if back else 'nothing'},"
                f" but {ctx.settings.tags.stable} replaced {short(way.replaced) or 'something unknown'}",
                hint=f"to go back to what it replaced: promote rollback; {LOOK}",
            )
    if ctx.waivers:
        ctx.waivers, ctx.unconfirmed = (), TYPED


def _require(ctx: PromotionContext, lock: Lock, git: GitRemote, way: WayBack, back: Tag) -> None:
    try:
        bring(git, back.object)
        way.require(git, ctx.settings, back)
    except (NotFound, Rejected) as error:
        raise Unconfirmed(f"{lock.describe()}: {error.what}", hint=LOOK) from error
