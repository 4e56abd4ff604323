"""R5: a third party moves, deletes or re-creates the stable tag, or hides it behind a branch, at a random moment of a move or a rollback.

Never overwritten: its change is there afterwards, unless our push came first, and then we report that.
"""

from __future__ import annotations

import sys
import threading

from promote.core.errors import PromoteError, Rejected, Superseded
from promote.tags.lock import acquire
from promote.tags.publish import move_back, publish
from tests.robustness.harness import STABLE, Figures, Remote, dice, lock_of, main, remote, request_of, scratch, settings

LONGEST_S = 0.25  # a move takes about as long
DEEDS = ("move", "delete", "recreate", "shadow")
# When the refs are listed for a push, when the push itself arrives (both before it is answered), or at any time.
MOMENTS = ("git-receive-pack", "pushed", "")
SHADOW = "refs/heads/prod-stable"


def run(seed: int, count: int, figures: Figures) -> None:
    with scratch() as folder, remote(folder, clones=1, versions=2) as there:
        for number in range(seed, seed + count):
            there.fresh()
            there.put(SHADOW, "")
            for what in _one(there, number, figures):
                figures.breach(number, what)


def _one(there: Remote, seed: int, figures: Figures) -> list[str]:
    roll, git = dice(seed), there.clones[0]
    deed, back = roll.choice(DEEDS), roll.random() < 0.4
    lock = acquire(git, lock_of(seed, "v1.1.0", there.commits["v1.1.0"], there.start))
    ours, expected = "", there.start
    if back:
        moved = publish(git, settings(git), request_of(lock))
        assert moved.lock is not None
        lock, expected = moved.lock, moved.stable.object
    moment = roll.choice(MOMENTS)
    figures.counts[f"at {moment or 'any time'}"] += 1
    stranger = Stranger(there, deed, _wanted(there, deed, expected), expected)
    there.server.meddle, there.server.moment = stranger.act, moment  # type: ignore[assignment]
    timer = threading.Timer(roll.random() * LONGEST_S, stranger.act if not moment else bool)
    timer.start()
    error: PromoteError | None = None
    try:
        if back:
            move_back(git, settings(git), lock, to=there.start, replacing=expected)
            ours = there.start
        else:
            ours = publish(git, settings(git), request_of(lock)).stable.object
    except PromoteError as no:
        error = no
    timer.join()
    there.server.moment = ""
    return _judge(there, stranger, ours, error, figures)


def _wanted(there: Remote, deed: str, expected: str) -> str:
    return {"move": there.commits["v1.2.0"], "delete": "", "recreate": there.commits["v1.0.0"], "shadow": expected}[deed]


class Stranger:
    """Writes once, and only over what it means to replace, as git does it: so it is known whose write came first."""

    def __init__(self, there: Remote, deed: str, theirs: str, expected: str) -> None:
        self.there, self.deed, self.theirs, self.expected, self.wrote = there, deed, theirs, expected, False

    def act(self) -> None:
        if self.deed == "shadow":
            self.there.put(SHADOW, self.there.commits["v1.0.0"])
        else:
            self.wrote = self.there.swap(STABLE, self.theirs, self.expected)


def _judge(there: Remote, stranger: Stranger, ours: str, error: PromoteError | None, figures: Figures) -> list[str]:
    now, deed = there.holds(STABLE), stranger.deed
    if deed == "shadow":
        figures.counts["shadowed" if error else "moved before the branch was seen"] += 1
        return [] if error is None or isinstance(error, Superseded) else [f"{type(error).__name__}: {error.what}"]
    figures.counts["theirs came first" if stranger.wrote else "ours came first"] += 1
    if not stranger.wrote:
        return [] if error is None and now == ours else [f"{deed}: no other push was in the way, and yet: {error or now}"]
    found = [] if now == stranger.theirs else [f"{deed}: theirs was overwritten: {now!r} instead of {stranger.theirs!r}"]
    if not isinstance(error, Superseded | Rejected):
        found.append(f"{deed}: theirs came first, and we report {type(error).__name__ if error else 'that we moved it'}")
    return found


if __name__ == "__main__":
    sys.exit(main(__doc__, run, name="R5 foreign moves", count=150, full=500))
