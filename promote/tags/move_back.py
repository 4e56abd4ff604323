"""`action: rollback`: the stable tag back to where it was, where only the workflow's token may push it and the driver may not, or by hand.

The move is `move_back`: one push leased on stable and lock. Nothing is proven here: that is the driver's, or `promote status`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from promote.config.schema import Settings
from promote.core.deadline import Deadline
from promote.core.errors import Rejected, Superseded, UsageError
from promote.core.model import Tag, short
from promote.core.version import Version
from promote.git.remote import GitRemote
from promote.tags.authority import WayBack
from promote.tags.lock import UNDO, Lock, acquire, move_once, new_lock
from promote.tags.names import ref_names
from promote.tags.observation import Kept, Observation, classify, require, watched
from promote.tags.publish import bring, given_lock, move_back
from promote.tags.target import known_tags


@dataclass(frozen=True, kw_only=True, slots=True)
class BackRequest:
    """`to`: the promoted version to go back to; None: what the last move replaced. `lock_id`: the lock of the promotion (or asked-for rollback) that
    goes back, which contains where to; "" means by hand. `expected_commit`: refuse when that is another commit.
    """

    request_id: str
    to: Version | None = None
    expected_commit: str = ""
    lock_id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class MovedBack:
    """The stable tag as it is on the remote after the move, and the object that it held before. `left`: as of `Published`."""

    stable: Tag
    replaced: str
    left: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Move:
    """`to` and `replacing` are objects of the stable tag."""

    to: str
    replacing: str
    keep_undo: bool


def publish_back(git: GitRemote, settings: Settings, request: BackRequest, *, patience: Deadline | None = None) -> MovedBack:
    """Put the stable tag back. Raises Superseded, Rejected, Denied, Unreachable; UsageError when there is nothing to do.

    `patience`: as of `publish`.
    """
    names = ref_names(settings, request.to.text if request.to else "")
    wanted = names.prod if request.to else UNDO
    refs = git.refs(*dict.fromkeys((*watched(names), wanted)))
    seen = Observation.of(refs, names)
    require(git, classify(seen, Kept(stable=None)))
    if seen.stable is None:
        raise Rejected("publish", f"{names.stable} does not exist on the remote: there is nothing to put back", hint="look with `promote status`")
    if request.lock_id:
        lock = given_lock(git, seen, request.lock_id)
        move = _authorised(git, settings, lock)
    else:
        move = _by_hand(git, settings, request, refs.get(wanted), seen.stable)
    for oid in (move.to, move.replacing):  # the undo ref may be pushed with what goes
        bring(git, oid)
    commit = git.commit_of(move.to)
    require(git, classify(seen, Kept(stable=move.replacing)))  # before judging what another user put there
    WayBack.read(git, settings, seen.stable).require(git, settings, Tag(ref=names.stable, object=move.to, commit=commit))
    if request.expected_commit and commit != request.expected_commit:
        raise Superseded(
            f"production would go back to {short(commit)}, but {short(request.expected_commit)} was meant", hint="look with `promote status`"
        )
    if not request.lock_id:
        lock = _own_lock(git, request, move, commit)

    def push() -> Lock:
        return move_back(git, settings, lock, to=move.to, replacing=move.replacing, keep_undo=move.keep_undo, patience=patience)

    left = ""
    if request.lock_id:
        push()
    else:
        left = move_once(git, lock, push)
    return MovedBack(stable=Tag(ref=names.stable, object=move.to, commit=commit), replaced=move.replacing, left=left)


def _authorised(git: GitRemote, settings: Settings, lock: Lock) -> _Move:
    """What goes back according to this lock: the promotion that moved the tag, to what it replaced; or a rollback that a person asked for."""
    plan: Mapping[str, Any] = lock.plan
    if plan.get("asked_rollback") and plan.get("stable"):
        return _Move(to=plan["stable"]["object"], replacing=lock.stable_before, keep_undo=not plan.get("undo_moves"))
    to = lock.stable_before or (plan.get("fallback") or {}).get("object", "")
    prod = git.ref(ref_names(settings, lock.version).prod)
    if lock.state != "promoted" or prod is None or not to:
        raise Rejected(
            "publish",
            f"{lock.describe()}: only a promotion that has moved the tag, and knows what it replaced, can be put back",
            hint="look with `promote status`; by hand, without a lock: --action=rollback, or promote rollback --to VERSION",
        )
    return _Move(to=to, replacing=prod.object, keep_undo=True)


def _by_hand(git: GitRemote, settings: Settings, request: BackRequest, back: Tag | None, stable: Tag) -> _Move:
    if back is None:
        promoted = known_tags(git, settings, settings.tags.prod)
        missing = f"Tag {settings.tags.prod.format(version=request.to)}" if request.to else f"{UNDO}, which holds what the last move replaced,"
        raise Rejected(
            "publish", f"{missing} does not exist on the remote. Versions that were promoted: {promoted}", hint="name one of them as the version"
        )
    if back.commit == stable.commit:
        raise UsageError(
            f"{settings.tags.stable} is there already: {short(stable.commit)} is where {back.name} leads",
            hint="name another version; what production really runs: `promote status`",
        )
    return _Move(to=back.object, replacing=stable.object, keep_undo=request.to is None)


def _own_lock(git: GitRemote, request: BackRequest, move: _Move, commit: str) -> Lock:
    version = request.to.text if request.to else ""
    return acquire(
        git,
        new_lock(request_id=request.request_id, version=version, candidate=commit, stable_before=move.replacing, state="rolling_back"),
    )
