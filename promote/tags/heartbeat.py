"""The sign of life of the process that holds the lock: `refs/promote/heartbeat`, renewed under lease while a promotion runs.

A ref of its own and not the lock: a workflow run carries the lock's object id as its permission to move the tag, so a lock renewed meanwhile would
fence off our own run. It decides nothing by itself: a takeover is decided by the lock's lease, whatever the heartbeat shows.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from promote.core.deadline import Clock, Deadline
from promote.core.errors import PromoteError, ServiceError
from promote.core.foreign import time_of
from promote.core.retry import DeadlineExceeded, wait_until
from promote.git.push import RefUpdate
from promote.git.remote import GitRemote
from promote.tags.lock import Lock, brought, read_lock
from promote.tags.shapes import beat_fields

HEARTBEAT = "refs/promote/heartbeat"
BEAT_S = 10.0  # how long one git command of a beat may take; who ends a promotion waits for it
MISSED = 3  # beats that may be missed (a slow push, a short outage) before an owner counts as gone


@dataclass(frozen=True, kw_only=True, slots=True)
class Sign:
    """The newest sign of life of a lock's owner: when, by its own clock, and the objects that say so."""

    at: datetime
    objects: tuple[str, ...]

    def age(self, now: datetime) -> timedelta:
        """Never negative: a clock that is ahead of ours counts as alive."""
        return max(now - self.at, timedelta())


def sign_of(git: GitRemote, lock: Lock) -> Sign:
    """When the owner of this lock was last heard of: at its last transition, or its last beat if that is newer."""
    signs = [(time_of(lock.at or lock.since), lock.oid)]
    ref = brought(git, git.ref(HEARTBEAT))
    if ref is not None:
        try:
            request_id, at = beat_fields(git.read_tag(ref.object).message)
            if request_id == lock.request_id:
                signs.append((time_of(at), ref.object))
        except (ValueError, ServiceError):  # not one of ours: no evidence about this owner
            pass
    return Sign(at=max(at for at, _ in signs), objects=tuple(oid for _, oid in signs))


def silent(git: GitRemote, lock: Lock, *, seconds: float, clock: Clock, every_s: float) -> bool:
    """Watch for so long: whether neither the lock nor the heartbeat changed. Evidence of our own, since clocks of two machines differ."""
    first = sign_of(git, lock)

    def changed() -> bool:
        now = read_lock(git)
        return now is None or now.oid != lock.oid or sign_of(git, lock).objects != first.objects

    try:
        wait_until("a sign of life", changed, ready=bool, deadline=Deadline(seconds, clock), every_s=every_s)
    except DeadlineExceeded:
        return True
    return False


@contextmanager
def beating(git: GitRemote, lock: Callable[[], Lock | None], *, every_s: float, at_once: bool = False) -> Iterator[None]:
    """Beat in the background for as long as the block runs and `lock()` is held. The first beat comes after `every_s`, for taking the lock was one;
    or `at_once`: a lock that was taken over still carries its former owner's time.

    Neither a missing network nor a fault of this machine is reported: a promotion does not depend on it, and one that lost its lock learns it
    from the lock.
    """
    stop = threading.Event()
    thread = threading.Thread(target=_beat, args=(git, lock, every_s, stop, at_once), name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _beat(git: GitRemote, lock: Callable[[], Lock | None], every_s: float, stop: threading.Event, at_once: bool) -> None:
    known: str | None = None  # what the ref holds as far as we know
    ours: set[str] = set()  # a push whose answer was lost may land later
    while not stop.wait(0 if at_once else every_s):
        held, at_once = lock(), False
        if held is None:
            continue
        beat = {"request_id": held.request_id, "at": datetime.now(UTC).isoformat(timespec="seconds")}
        try:
            if known is None:
                before = git.ref(HEARTBEAT)
                known = before.object if before else ""
            new = git.make_tag(name="promote-heartbeat", commit=held.candidate, message=json.dumps(beat))
            ours.add(new)
            landed, _, seen = git.push_and_look(RefUpdate(ref=HEARTBEAT, new=new, expected=known))
        except (PromoteError, OSError):
            continue  # no network, or no process to be had just now: the next one
        holds = new if landed else seen[HEARTBEAT].object if HEARTBEAT in seen else ""
        if holds not in ours | {known}:
            return  # the process that took over beats now
        known = holds
