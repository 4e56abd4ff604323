"""R4: a reader that asks for the stable tag all the while, through promotions and rollbacks, never finds it missing."""

from __future__ import annotations

import sys
import threading

from promote.tags.lock import acquire, release
from promote.tags.publish import move_back, publish
from tests.robustness.harness import STABLE, Figures, Remote, lock_of, main, remote, request_of, scratch, settings


def run(seed: int, count: int, figures: Figures) -> None:
    with scratch() as folder, remote(folder, clones=2, versions=1) as there:
        over, seen = threading.Event(), set[str]()
        poller = threading.Thread(target=_poll, args=(there, over, seen, figures))
        poller.start()
        for number in range(seed, seed + count):
            there.put("refs/tags/prod-v1.1.0", "")
            there.put("refs/promote/undo", "")
            seen_objects = _there_and_back(there, number)
            figures.counts["promotions"] += 1
            figures.counts["rollbacks"] += 1
            for name in seen_objects:
                if not name:
                    figures.breach(number, "a move ended without a stable tag")
        over.set()
        poller.join()
        figures.counts["values seen"] = len(seen)


def _there_and_back(there: Remote, who: int) -> list[str]:
    git = there.clones[0]
    lock = acquire(git, lock_of(who, "v1.1.0", there.commits["v1.1.0"], there.start))
    moved = publish(git, settings(git), request_of(lock))
    assert moved.lock is not None
    forward = there.holds(STABLE)
    back = move_back(git, settings(git), moved.lock, to=there.start, replacing=moved.stable.object)
    release(git, back)
    return [forward, there.holds(STABLE)]


def _poll(there: Remote, over: threading.Event, seen: set[str], figures: Figures) -> None:
    """As Argo CD does: over HTTP, from a clone of its own; and in the repository's own files, which is faster."""
    reader = there.clones[1]
    while not over.is_set():
        far = reader.ref(STABLE)
        near = there.holds(STABLE)
        figures.counts["reads"] += 2
        seen |= {near, far.object if far else ""}
        if far is None or not near:
            figures.breach(0, f"a read found no stable tag (over HTTP: {far}, in its files: {near!r})")


if __name__ == "__main__":
    sys.exit(main(__doc__, run, name="R4 continuity", count=40, full=200))
