"""The sign of life on real git: renewed under lease, silent without a lock, and never over the beat of the new owner."""

from __future__ import annotations

import errno
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from promote.core.deadline import Clock
from promote.core.model import Tag
from promote.git.remote import GitRemote
from promote.tags.heartbeat import HEARTBEAT, beating, sign_of, silent
from promote.tags.lock import LOCK, Lock, acquire, take_over
from tests.robustness.harness import Remote, lock_of, remote
from tests.support.repos import git

BEAT_S = 0.05


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Remote]:
    with remote(tmp_path, clones=2, versions=1) as made:
        yield made


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "the moment never came"
        time.sleep(0.01)


def _lock(there: Remote) -> Lock:
    return acquire(there.clones[0], lock_of(0, "v1.1.0", there.commits["v1.1.0"], there.start))


def _says(there: Remote, oid: str) -> dict[str, str]:
    said: dict[str, str] = json.loads(git(there.server.path, "cat-file", "tag", oid).partition("\n\n")[2])
    return said


def test_it_is_renewed_again_and_again(there: Remote) -> None:
    lock = _lock(there)
    with beating(there.clones[0], lambda: lock, every_s=BEAT_S):
        _until(lambda: there.holds(HEARTBEAT) != "")
        first = there.holds(HEARTBEAT)
        _until(lambda: there.holds(HEARTBEAT) != first)
    assert _says(there, first)["request_id"] == lock.request_id
    there.clones[1].fetch(LOCK)
    assert sign_of(there.clones[1], lock).objects == (lock.oid, there.holds(HEARTBEAT)), "another clone reads it"


def test_without_a_lock_there_is_no_beat(there: Remote) -> None:
    asked: list[int] = []

    def nobody() -> Lock | None:
        asked.append(1)
        return None

    with beating(there.clones[0], nobody, every_s=BEAT_S):
        _until(lambda: len(asked) > 3)
    assert there.holds(HEARTBEAT) == ""


def test_the_beat_of_the_new_owner_is_never_overwritten(there: Remote) -> None:
    """The former owner lives on, and has not learned it yet: its next beat meets the other's, and is its last."""
    mine = _lock(there)
    there.clones[1].fetch(LOCK)
    theirs, beats = take_over(there.clones[1], mine), list[str]()

    def held() -> Lock:
        """Asked before every beat; after the first one the other machine beats."""
        if there.holds(HEARTBEAT) and not beats:
            beats.append(_beat(there, theirs, datetime.now(UTC)))
        return mine

    with beating(there.clones[0], held, every_s=BEAT_S):
        _until(lambda: bool(beats) and (there.holds(HEARTBEAT) != beats[0] or all(thread.name != "heartbeat" for thread in threading.enumerate())))
    assert there.holds(HEARTBEAT) == beats[0]


def _beat(there: Remote, lock: Lock, at: datetime) -> str:
    """Another user's beat, pushed without a lease."""
    said = {"request_id": lock.request_id, "at": at.isoformat(timespec="seconds"), "nonce": secrets.token_hex(4)}
    beat = there.clones[1].make_tag(name="promote-heartbeat", commit=lock.candidate, message=json.dumps(said))
    git(there.clones[1].root, "push", "-q", "--force", "origin", f"{beat}:{HEARTBEAT}")
    return beat


def test_the_beat_of_another_promotion_is_no_sign_of_this_one(there: Remote) -> None:
    lock = _lock(there)
    other = replace(lock, request_id="another-user")
    with beating(there.clones[1], lambda: other, every_s=BEAT_S):
        _until(lambda: there.holds(HEARTBEAT) != "")
    assert sign_of(there.clones[0], lock).objects == (lock.oid,)


def test_a_promoter_that_beats_while_it_is_watched_is_not_silent(there: Remote) -> None:
    """Two machines' clocks differ: what counts is that something changed, not the time written in it."""
    lock, passed = _lock(there), [0.0]

    def sleep(seconds: float) -> None:
        passed[0] += seconds
        if lives:
            _beat(there, lock, datetime.now(UTC) - timedelta(hours=3))

    clock = Clock(monotonic=lambda: passed[0], sleep=sleep)
    for lives in (True, False):
        assert silent(there.clones[0], lock, seconds=3, clock=clock, every_s=1) is not lives


def test_a_beat_for_which_there_is_no_process_is_not_the_last(there: Remote) -> None:
    """The machine has no process to give just now (EAGAIN): the heart goes on with the next beat."""

    class Poor(GitRemote):
        refused = 0

        def ref(self, name: str) -> Tag | None:
            Poor.refused += 1
            if Poor.refused < 3:
                raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
            return super().ref(name)

    lock = _lock(there)
    with beating(Poor(there.clones[0].root, "origin"), lambda: lock, every_s=BEAT_S):
        _until(lambda: there.holds(HEARTBEAT) != "")
    assert Poor.refused == 3
