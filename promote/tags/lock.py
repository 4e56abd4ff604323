"""The lock `refs/promote/lock`: who is promoting, where they are, and the fence against a late run.

It is an annotated tag object with JSON in its message, unique by its nonce (pushing an equal object would not be a compare-and-swap), and is
replaced under lease at every transition, in the same push as the tag that moves. Only the process that knows the current object id may write.
"""

from __future__ import annotations

import getpass
import json
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from promote.core.deadline import Deadline
from promote.core.errors import NotFound, PromoteError, Rejected, ServiceError, Superseded, Unreachable
from promote.core.model import Tag
from promote.core.retry import retry_until
from promote.core.signals import defer_signals
from promote.git.push import Pushed, PushResult, RefUpdate, refused
from promote.git.remote import GitRemote
from promote.tags.shapes import lock_fields

LOCK = "refs/promote/lock"
UNDO = "refs/promote/undo"
LOOK_FIRST = "look with `promote status` before anything else"
TRIES = 6  # how often a ref may be replaced while it is read; a promotion does so a few times in minutes


class UnreadableLock(PromoteError):
    """The lock's content is not one that this version understands."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lock:
    """The content of the lock. `oid` is the object that holds it; `stable_before` the stable tag's object when the move was authorised ("" = absent).

    `at` is when `state` was entered: made before the push that enters it, so never later than what that push moved.
    `holder` tells the processes of one promotion apart: a run keeps it when it moves the tag for us, a process that takes over enters its own.
    `plan` is all that another machine needs to pick the promotion up (`promote.promotion.context.Run.plan`); empty for a move made by hand.
    """

    request_id: str
    state: str
    version: str
    candidate: str
    stable_before: str
    owner: str
    host: str
    since: str
    prechecked: str = "no"
    replaces: str = ""  # the prod tag's object that this promotion may replace ("" = the prod tag must not exist)
    run: str = ""
    at: str = ""
    holder: str = ""
    plan: Mapping[str, object] = field(default_factory=dict)
    oid: str = ""

    @property
    def entered(self) -> datetime:
        """When its state was entered; a time that cannot be read counts as long ago."""
        try:
            return datetime.fromisoformat(self.at or self.since).astimezone(UTC)
        except (ValueError, TypeError):
            return datetime.min.replace(tzinfo=UTC)

    def describe(self) -> str:
        return f"{self.owner}@{self.host} has been promoting {self.version or self.candidate[:7]} since {self.since} ({self.state})"


def new_lock(
    *,
    request_id: str,
    version: str,
    candidate: str,
    stable_before: str,
    state: str,
    replaces: str = "",
    plan: Mapping[str, object] | None = None,
) -> Lock:
    """A lock of this process, not yet written anywhere."""
    owner, host = _me()
    now = _now()
    return Lock(
        request_id=request_id, state=state, version=version, candidate=candidate, stable_before=stable_before,
        replaces=replaces, owner=owner, host=host, since=now, at=now, holder=secrets.token_hex(4),
        plan=plan or {},
    )  # fmt: skip


def _me() -> tuple[str, str]:
    """(user, host) of this process."""
    try:
        return getpass.getuser(), socket.gethostname()
    except (KeyError, OSError):  # a container without a passwd entry
        return "unknown", socket.gethostname()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_lock(git: GitRemote, lock: Lock) -> Lock:
    """Make the object with this content (unpushed) and return the lock with its id."""
    fields = {k: v for k, v in asdict(lock).items() if k != "oid"} | {"nonce": secrets.token_hex(8)}
    return replace(lock, oid=git.make_tag(name="promote-lock", commit=lock.candidate, message=json.dumps(fields, indent=1)))


def read_lock(git: GitRemote) -> Lock | None:
    """The lock as the remote has it now. Raises PromoteError when its content is not ours to understand."""
    return lock_at(git, git.ref(LOCK))


def lock_at(git: GitRemote, ref: Tag | None) -> Lock | None:
    """The lock that was read together with other refs: what all of them were at one moment (or a later one, if it was replaced since)."""
    ref = brought(git, ref)
    if ref is None:
        return None
    try:
        fields: dict[str, Any] = lock_fields(git.read_tag(ref.object).message)
        return Lock(**{**fields, "oid": ref.object})
    except (ValueError, TypeError, ServiceError) as error:  # TypeError: a field that this version lacks; ServiceError: not even a tag object
        raise UnreadableLock(
            f"{LOCK} on the remote ({ref.object[:7]}) is not a lock this version can read",
            hint="upgrade promote, or look at it with `git show`; when it is not needed: `promote abort --break-lock`",
        ) from error


def brought(git: GitRemote, ref: Tag | None) -> Tag | None:
    """A ref as it was read, with its object in this clone. It may be replaced before it can be fetched: then as it is now, None when it is gone."""
    for _ in range(TRIES):
        if ref is None or git.has(ref.object):
            return ref
        try:
            git.fetch(ref.ref)
        except NotFound:
            return None
        if not git.has(ref.object):
            ref = git.ref(ref.ref)
    return ref


def lock_lost(holder: str) -> Superseded:
    """The exception for a lock that another process replaced or deleted; `holder` names what is there now."""
    return Superseded(f"{LOCK} is no longer this promotion's: {holder}", hint=LOOK_FIRST)


def lock_words(git: GitRemote) -> tuple[Lock | None, str]:
    """The lock and a sentence about it, also when it cannot be read: then who pushed it last is all there is to say."""
    try:
        lock = read_lock(git)
    except PromoteError as error:
        return None, error.what
    return lock, lock.describe() if lock else "the lock is free"


def remove_lock(git: GitRemote, oid: str) -> str:
    """Delete the lock if it is still this object. Returns "" or why not."""
    done, result, seen = git.push_and_look(RefUpdate(ref=LOCK, new="", expected=oid))
    if done:
        return ""
    return "another process replaced it meanwhile" if LOCK in seen and seen[LOCK].object != oid else result.text


def acquire(git: GitRemote, lock: Lock) -> Lock:
    """Take the lock; it must not exist. Raises Rejected naming the owner when the lock is held."""
    lock = write_lock(git, lock)
    try:
        taken, result, _ = git.push_and_look(RefUpdate(ref=LOCK, new=lock.oid, expected=""))
    except Unreachable as silence:
        way = "`promote resume` lets it go" if lock.plan else "look with `promote status`, then `promote abort --break-lock`"
        silence.hint += f"; the lock may have been taken all the same: {way}"
        raise
    if taken:
        return lock
    other = read_lock(git)
    if other:
        raise Rejected(
            "lock",
            other.describe(),
            hint="wait for it to end; if it was cut short: `promote resume` or `promote abort`",
        )
    raise refused(git.remote, result, f"take the lock ({LOCK})")


def advance(git: GitRemote, lock: Lock, *others: RefUpdate, patience: Deadline | None = None, retake: bool = False, **changes: str) -> Lock:
    """Replace the lock by its next state, together with other refs in one push. Raises Superseded when the lock is not ours any more.

    With `patience` an unreachable remote is retried until then, always with the same object: it identifies a push of ours whose answer was lost.
    `retake`: a lock that was deleted is made again, in the same push: an account that may push a branch may delete it, and that must not
    keep production from going back.
    """
    if changes.get("state", lock.state) != lock.state:
        changes["at"] = _now()
    following = write_lock(git, replace(lock, **changes))  # type: ignore[arg-type]  # `plan` is never among the changes
    expected = [lock.oid]

    def push() -> Lock:
        updates = (*others, RefUpdate(ref=LOCK, new=following.oid, expected=expected[-1]))
        done, result, seen = git.push_and_look(*updates)
        if done:
            return following
        holds = seen.get(LOCK)
        if holds is None and others and all(u.is_done(seen) for u in others):
            return following  # all or nothing: it landed, and the lock was deleted after it
        if holds is None and retake and len(expected) < TRIES and result.outcome is Pushed.STALE:
            expected.append("")
            return push()
        if holds is not None and holds.object == following.oid:  # all or nothing: it landed
            changed = ", ".join(u.ref for u in others if not u.is_done(seen))
            raise Superseded(f"another user or process changed {changed} just after this promotion wrote it", hint=LOOK_FIRST)
        if holds is None or holds.object != lock.oid:
            other = read_lock(git)
            raise lock_lost(other.describe() if other else "it was deleted")
        raise refused(git.remote, result, "write " + ", ".join(u.ref for u in others) if others else f"renew the lock ({LOCK})")

    return retry_until(push, on=Unreachable, deadline=patience)


def take_over(git: GitRemote, lock: Lock, holder: str = "") -> Lock:
    """Make another process's lock ours, in the state it is in: it carries our name from now on, and its former owner can write nothing any more.

    Raises Superseded when another process was first.
    """
    owner, host = _me()
    return advance(git, lock, owner=owner, host=host, holder=holder or secrets.token_hex(4))


def release(git: GitRemote, lock: Lock, *others: RefUpdate) -> PushResult:
    """Delete the lock (if it is still ours), together with other refs in one push."""
    done, result, seen = git.push_and_look(*others, RefUpdate(ref=LOCK, new="", expected=lock.oid))
    # All or nothing: where the others are as wanted it landed, and the lock that is there is the next promoter's.
    theirs = LOCK in seen and seen[LOCK].object != lock.oid
    landed = theirs and bool(others) and all(u.is_done(seen) for u in others)
    return PushResult(outcome=Pushed.DONE) if done or landed else result


def move_once(git: GitRemote, lock: Lock, move: Callable[[], Lock]) -> str:
    """One move, made by hand under a lock that this process took for it; the lock is released whatever the result. Returns the report of `release`.

    A move that was sent and not answered is looked for: it may have landed. A stop request meanwhile comes too late: what was done is reported.
    Raises what `move` raises, with what is left in its hint.
    """
    try:
        with defer_signals(drop=True):
            moved = move()
    except Unreachable as silence:
        moved = _landed(git, lock, silence)
    except BaseException as error:
        _leave(git, lock, error)
        raise
    return release_anyway(git, moved)


def _landed(git: GitRemote, lock: Lock, silence: Unreachable) -> Lock:
    """The lock as the move has left it, although no answer came. Raises `silence`, with what is known, when no move is seen."""
    try:
        here = _ours_by_now(git, lock)
    except PromoteError:
        here = None
    if here is None:
        silence.hint = f"whether the tag was moved is not known: look with `promote status`; {LOCK} may be left: `promote abort --break-lock`"
        raise silence
    if here.oid == lock.oid:  # the move is its only change: it has not come, and without the lock it never will
        _leave(git, lock, silence)
        raise silence
    return here


def _leave(git: GitRemote, lock: Lock, error: BaseException) -> None:
    if (left := release_anyway(git, lock)) and isinstance(error, PromoteError):
        error.hint += f"; {left}"


def _ours_by_now(git: GitRemote, lock: Lock) -> Lock | None:
    """A lock of this process as the remote has it now, in whatever state; None when it is gone or another process's."""
    here = read_lock(git)
    return here if here and here.holder == lock.holder else None


def release_anyway(git: GitRemote, lock: Lock) -> str:
    """Release a lock that this process took for one move of its own, whatever object it is by now. Returns "", or what is left and what to do."""
    try:
        here = _ours_by_now(git, lock)
        if here is None:
            return ""
        result = release(git, here)
        why = "" if result.outcome is Pushed.DONE else result.text or "no clear answer"
    except PromoteError as error:
        why = error.what
    return why and f"{LOCK} may be left ({why}): look with `promote status`, then `promote abort --break-lock`"
