"""Another party writes between our reading of the refs and our push, at a moment that the server chooses: no race decides whether it is tried.

"looked": the refs were read, and the answer is on its way. "advertised": before the refs are listed for our push. "pushed": our push has arrived and is not
applied yet. The races of tests/robustness try the moments in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from promote.core.errors import Rejected, Superseded
from promote.core.model import Tag
from promote.tags.lock import LOCK, Lock, acquire, lock_at, take_over
from promote.tags.publish import move_back, publish
from tests.robustness.harness import STABLE, Remote, lock_of, remote, request_of, settings

MOMENTS = {"looked": "looked", "advertised": "git-receive-pack", "pushed": "pushed"}
PROD = "refs/tags/prod-v1.1.0"


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Remote]:
    with remote(tmp_path, clones=2, versions=2) as made:
        yield made


def forward(there: Remote) -> Callable[[], object]:
    """A promotion of v1.1.0 that holds the lock; calling it moves the tag."""
    end = there.clones[0]
    lock = acquire(end, lock_of(1, "v1.1.0", there.commits["v1.1.0"], there.start))
    return lambda: publish(end, settings(end), request_of(lock))


def backward(there: Remote) -> Callable[[], object]:
    """A promotion of v1.1.0 that has moved the tag; calling it moves the tag back."""
    end = there.clones[0]
    lock = acquire(end, lock_of(1, "v1.1.0", there.commits["v1.1.0"], there.start))
    moved = publish(end, settings(end), request_of(lock))
    assert moved.lock is not None
    held: Lock = moved.lock
    return lambda: move_back(end, settings(end), held, to=there.start, replacing=moved.stable.object)


def meddle(there: Remote, moment: str, act: Callable[[], object]) -> list[bool]:
    """Has the other party act at this moment; the list is empty until it did."""
    done: list[bool] = []

    def once() -> None:
        act()
        done.append(True)

    there.server.meddle, there.server.moment = once, MOMENTS[moment]
    return done


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("move", [forward, backward])
@pytest.mark.parametrize("deed", ["move", "delete"])
def test_a_foreign_move_is_never_overwritten(there: Remote, move: Callable[[Remote], Callable[[], object]], moment: str, deed: str) -> None:
    act = move(there)
    theirs = there.commits["v1.2.0"] if deed == "move" else ""
    lock, done = there.holds(LOCK), meddle(there, moment, lambda: there.put(STABLE, theirs))
    with pytest.raises((Rejected, Superseded)):
        act()
    assert done and there.holds(STABLE) == theirs
    assert there.holds(LOCK) == lock, "all or nothing"


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("move", [forward, backward])
@pytest.mark.parametrize("deed", ["take over", "break"])
def test_a_lock_that_is_replaced_lets_nothing_move(there: Remote, move: Callable[[Remote], Callable[[], object]], moment: str, deed: str) -> None:
    """The stable tag holds what the move is leased on: only the lock's lease stops it."""
    act, other = move(there), there.clones[1]
    stable = there.holds(STABLE)
    other.fetch(LOCK)

    def change() -> None:
        if deed == "break":
            there.put(LOCK, "")
        else:
            take_over(other, _lock(there))

    done = meddle(there, moment, change)
    with pytest.raises((Rejected, Superseded)):
        act()
    assert done and there.holds(STABLE) == stable
    if move is forward:
        assert there.holds(PROD) == ""


def _lock(there: Remote) -> Lock:
    """The lock as the other clone knows it, which has fetched it."""
    lock = lock_at(there.clones[1], Tag(ref=LOCK, object=there.holds(LOCK), commit=""))
    assert lock is not None
    return lock
