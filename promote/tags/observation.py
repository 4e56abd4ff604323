"""The refs of a promotion, read in one look and judged in one place.

`observe` reads them with one `ls-remote`. `classify` compares what was read with what a promotion expects; it is pure, and the model of the protocol
(tests/model) is checked against it. `describe` puts the answer into words, and `require` turns an unwelcome one into `Superseded`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from promote.core.errors import Superseded
from promote.core.foreign import split_lines
from promote.core.model import Tag, short
from promote.git.remote import GitRemote
from promote.tags.lock import LOCK, UNDO, Lock, UnreadableLock, lock_at, lock_lost
from promote.tags.names import TagNames

WHO_MOVED_IT = "another user or process moved production's tag; nothing was overwritten. To see who: `promote status`"


class RefState(StrEnum):
    """What the refs mean for one promotion. Each is a fact about the remote; what follows from it is decided in the state machine."""

    OURS = "ours"  # as this promotion left it, or as it asked for
    OTHER_COMMIT = "ours, at another commit"  # the move is ours and did not go where it was to go
    UNMOVED = "unmoved"  # still what the move was to replace
    PUT_BACK = "put back by hand"  # the move was made, and a person undid it
    DELETED = "deleted"  # an older workflow deleted the tag and died before it pushed the new one
    FOREIGN = "foreign"  # another user or process moved or deleted the tag
    LOCK_LOST = "lock lost"  # another process replaced or deleted the lock
    SHADOWED = "shadowed"  # a branch has the tag's name
    UNKNOWN = "unknown"  # the lock cannot be read


class Sign(StrEnum):
    """How a move that this promotion asked for is recognised."""

    PROD_TAG = "stable and the version's prod tag are one object"
    TRAILER = "the tag object names the promotion that made it"
    OBJECT = "stable is the very object that was asked for"
    OLDER_WORKFLOW = "the version's prod tag was made meanwhile, at the same commit"


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """The refs as the remote had them at one moment; None where there is none.

    `says` is the content of the lock and `made_by` the request id in the stable tag's trailers: both need objects, so they are read only where they
    are asked for (`with_lock`, `with_maker`). `unreadable`: why the lock's content is not known.
    """

    names: TagNames
    stable: Tag | None = None
    prod: Tag | None = None
    lock: Tag | None = None
    shadow: Tag | None = None
    undo: Tag | None = None
    says: Lock | None = None
    unreadable: UnreadableLock | None = None
    made_by: str = ""

    @classmethod
    def of(cls, refs: Mapping[str, Tag], names: TagNames) -> Observation:
        """From refs that were listed together, perhaps with others."""
        return cls(
            names=names,
            stable=refs.get(names.stable),
            prod=refs.get(names.prod),
            lock=refs.get(LOCK),
            shadow=refs.get(names.shadow),
            undo=refs.get(UNDO),
        )


def watched(names: TagNames) -> tuple[str, ...]:
    """The refs that an observation is made of."""
    return names.stable, names.prod, names.shadow, LOCK, UNDO


def observe(git: GitRemote, names: TagNames) -> Observation:
    """Read the refs in one look."""
    return Observation.of(git.refs(*watched(names)), names)


def with_lock(git: GitRemote, seen: Observation, *, known: Lock | None = None) -> Observation:
    """The same with the lock's content, fetched unless it is the lock that is known already. A lock that was replaced before it could be fetched is
    observed as it is then."""
    if seen.lock and known and seen.lock.object == known.oid:
        return replace(seen, says=known)
    try:
        says = lock_at(git, seen.lock)
    except UnreadableLock as error:
        return replace(seen, unreadable=error)
    return replace(seen, says=says, lock=Tag(ref=LOCK, object=says.oid, commit=says.candidate) if says else None)


def with_maker(git: GitRemote, seen: Observation) -> Observation:
    """The same with the request id that the stable tag's object carries, which is fetched for that."""
    if seen.stable is None:
        return seen
    git.fetch(seen.stable.ref)
    if seen.stable.object == seen.stable.commit:  # a lightweight tag carries no trailers
        return seen
    return replace(seen, made_by=trailers_of(git.read_tag(seen.stable.object).message).get("Request-Id", ""))


def trailers_of(message: str) -> dict[str, str]:
    """The trailers of a prod tag's message; empty for tags not made by publish."""
    found = (line.partition(": ") for line in split_lines(message))
    return {key: value for key, sep, value in found if sep and key.replace("-", "").isalpha()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """Nothing may have changed since it was last known: the objects of the stable tag and of the lock, "" for an absent tag, None for "not compared".

    `shadow`: whether a branch that has the tag's name counts. A rollback pushes the tag back all the same: production is broken meanwhile.
    """

    stable: str | None
    lock: str | None = None
    shadow: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """A move of the stable tag that this promotion asked for may or may not have happened.

    `before` is the object that it replaces ("" = the tag is absent, None = no value means "unmoved"), `sign` how it is recognised, `to` the object
    asked for (with `Sign.OBJECT`), `commit` the commit asked for ("" = any). `entered` is the lock's state that only the move's own push enters,
    `back` the object that a rollback restores, `prod_before` the prod tag's object before the move.
    `reads_lock`: whether what moves the tag is fenced off by a lock that was replaced; an older workflow is not.
    """

    request_id: str
    holder: str
    before: str | None
    sign: Sign
    to: str = ""
    commit: str = ""
    entered: str = ""
    back: str = ""
    prod_before: str = ""
    reads_lock: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The answer with its evidence."""

    state: RefState
    seen: Observation
    expected: Kept | Move

    @property
    def problem(self) -> str:
        """ "" when the refs are as they should be, else one sentence."""
        return "" if self.state is RefState.OURS else describe(self)


def classify(seen: Observation, expected: Kept | Move) -> Reading:
    """What the refs mean for a promotion that expects this. Pure."""
    state = _kept(seen, expected) if isinstance(expected, Kept) else _moved(seen, expected)
    return Reading(state=state, seen=seen, expected=expected)


def _kept(seen: Observation, expected: Kept) -> RefState:
    if expected.shadow and seen.shadow:
        return RefState.SHADOWED
    if expected.stable is not None and _object(seen.stable) != expected.stable:
        return RefState.FOREIGN
    if expected.lock is not None and _object(seen.lock) != expected.lock:
        return RefState.LOCK_LOST
    return RefState.OURS


def _moved(seen: Observation, expected: Move) -> RefState:
    if seen.unreadable:
        return RefState.UNKNOWN
    lock, now = seen.says, _object(seen.stable)
    ours = lock is not None and lock.request_id == expected.request_id
    held = ours and lock is not None and lock.holder == expected.holder  # a takeover keeps the id and enters another holder
    if not expected.reads_lock and not held:
        return RefState.LOCK_LOST  # nothing fences an older workflow off, so "unmoved" would be no lasting truth
    if not expected.reads_lock and not now and expected.before:
        return RefState.DELETED
    entered = ours and lock is not None and lock.state == expected.entered
    if now == expected.before and not entered:
        return RefState.UNMOVED
    put_back = entered and now != "" and now == expected.back
    if not ours or not (put_back or _recognised(seen, expected)):
        return RefState.FOREIGN
    if not held:
        return RefState.LOCK_LOST
    if put_back:
        return RefState.PUT_BACK
    return RefState.OURS if seen.stable and expected.commit in ("", seen.stable.commit) else RefState.OTHER_COMMIT


def _recognised(seen: Observation, expected: Move) -> bool:
    stable, prod = seen.stable, seen.prod
    if stable is None:
        return False
    if expected.sign is Sign.OBJECT:
        return stable.object == expected.to
    if expected.sign is Sign.TRAILER:
        return seen.made_by == expected.request_id
    if prod is None:
        return False
    if expected.sign is Sign.PROD_TAG:
        return prod.object == stable.object
    return prod.object != expected.prod_before and prod.commit == stable.commit


def _object(tag: Tag | None) -> str:
    return tag.object if tag else ""


def require(git: GitRemote, reading: Reading) -> None:
    """Raise Superseded, with what is there now, unless the refs are still as they were left."""
    if reading.state is RefState.OURS:
        return
    if reading.state is RefState.LOCK_LOST:  # only now: while all is well its content is not needed
        reading = replace(reading, seen=with_lock(git, reading.seen))
    raise superseded(git, reading)


def superseded(git: GitRemote, reading: Reading) -> Superseded:
    """The exception for refs that another user or process changed."""
    if reading.state is RefState.LOCK_LOST:
        return lock_lost(_holder(reading.seen))
    if reading.state is RefState.SHADOWED:
        return Superseded(describe(reading), hint=f"delete or rename the branch: git push {git.remote} :{reading.seen.names.shadow}")
    return Superseded(describe(reading), hint=WHO_MOVED_IT)


def describe(reading: Reading) -> str:
    """One sentence about the refs."""
    seen, expected = reading.seen, reading.expected
    name, now = seen.names.stable.removeprefix("refs/tags/"), seen.stable
    at = f"at {short(now.commit)}" if now else "absent"
    if isinstance(expected, Kept) and reading.state is RefState.FOREIGN:
        holds = f"{short(now.object)} (commit {short(now.commit)})" if now else "absent"
        return f"{name} is {holds} now, not {short(expected.stable or '') or 'absent'} as expected: another user or process moved it"
    commit = short(expected.commit) if isinstance(expected, Move) else ""
    return {
        RefState.OURS: f"{name} is {at}, as this promotion left it",
        RefState.OTHER_COMMIT: f"{name} was moved {at.replace('at ', 'to ')} instead of {commit}",
        RefState.UNMOVED: f"{name} is still {at}" + ("" if _goes_back(expected) else ": nothing was moved"),
        RefState.PUT_BACK: f"{name} was moved, and put back by hand ({at})",
        RefState.DELETED: f"the workflow died after it had deleted {name}; the tag was put back, so nothing was moved",
        RefState.FOREIGN: f"{name} is {at}, and this promotion did not put it there",
        RefState.LOCK_LOST: lock_lost(_holder(seen)).what,
        RefState.SHADOWED: f"a branch named {name} exists on the remote: Argo CD follows either of the two",
        RefState.UNKNOWN: seen.unreadable.what if seen.unreadable else "",
    }[reading.state]


def _goes_back(expected: Kept | Move) -> bool:
    return isinstance(expected, Move) and expected.sign is Sign.OBJECT


def _holder(seen: Observation) -> str:
    if seen.unreadable:
        return seen.unreadable.what
    return seen.says.describe() if seen.says else "another process replaced it" if seen.lock else "it was deleted"
