"""R1: promotions and rollbacks at once over real git HTTP. Exactly one wins, the others change nothing and name the holder.

Kinds, by seed: all take the lock at once; all hold the same lock and move (a workflow's run and the promotion's new owner); all move back;
one gives up (fences) while the others move.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from promote.core.errors import PromoteError, Rejected, Superseded
from promote.tags.lock import Lock, acquire
from promote.tags.publish import Published, fence, move_back, publish
from tests.robustness.harness import LOCK, STABLE, Figures, Remote, at_once, dice, lock_of, main, remote, request_of, scratch, settings

KINDS = ("lock", "same-lock", "back", "fence")


def run(seed: int, count: int, figures: Figures, *, ways: int = 2) -> None:
    with scratch() as folder, remote(folder, clones=ways, versions=ways) as there:
        for number in range(seed, seed + count):
            there.fresh()
            kind = dice(number).choice(KINDS)
            figures.counts[f"{ways}-way {kind}"] += 1
            for what in RACES[kind](there, number):
                figures.breach(number, f"{kind}: {what}")


def _for_the_lock(there: Remote, seed: int) -> list[str]:
    order = dice(seed).sample(range(1, len(there.clones) + 1), len(there.clones))

    def promotion(end: int, version: str) -> Callable[[], Published]:
        git = there.clones[end]

        def act() -> Published:
            lock = acquire(git, lock_of(end, version, there.commits[version], there.start))
            return publish(git, settings(git), request_of(lock))

        return act

    answers = at_once([promotion(end, f"v1.{number}.0") for end, number in enumerate(order)])
    found = _one_winner(there, answers)
    winner = next((f"v1.{order[end]}.0" for end, a in enumerate(answers) if isinstance(a, Published)), "")
    losers = [a for a in answers if isinstance(a, PromoteError)]
    found += [f"a loser does not name {winner}: {a.what}" for a in losers if isinstance(a, Rejected) and winner not in a.what and "lock" in a.what]
    found += [f"{v} has a prod tag" for v in there.commits if v not in (winner, "v1.0.0") and there.holds(f"refs/tags/prod-{v}")]
    return found


def _with_one_lock(there: Remote, seed: int) -> list[str]:
    lock = _taken(there, "v1.1.0")
    answers = at_once([lambda git=git: publish(git, settings(git), request_of(lock)) for git in there.clones])  # type: ignore[misc]
    return _one_winner(there, answers)


def _back(there: Remote, seed: int) -> list[str]:
    first = there.clones[0]
    moved = publish(first, settings(first), request_of(_taken(there, "v1.1.0")))
    assert moved.lock is not None
    lock, replacing = moved.lock, moved.stable.object
    for git in there.clones:
        git.fetch(LOCK, STABLE)
    answers = at_once(
        [lambda git=git: move_back(git, settings(git), lock, to=there.start, replacing=replacing) for git in there.clones]  # type: ignore[misc]
    )
    won = [a for a in answers if isinstance(a, Lock)]
    found = [] if len(won) == 1 else [f"{len(won)} moved back: {answers}"]
    found += [] if there.holds(STABLE) == there.start else [f"stable holds {there.holds(STABLE)}"]
    return found + _strange(answers)


def _fenced(there: Remote, seed: int) -> list[str]:
    lock = _taken(there, "v1.1.0")
    acts: list[Callable[[], object]] = [lambda: fence(there.clones[0], lock)]
    acts += [lambda git=git: publish(git, settings(git), request_of(lock)) for git in there.clones[1:]]  # type: ignore[misc]
    answers = at_once(acts)
    moved, gave_up = [a for a in answers if isinstance(a, Published)], isinstance(answers[0], Lock)
    found = [] if len(moved) + gave_up == 1 else [f"{len(moved)} moved, fenced: {gave_up}"]
    expected = moved[0].stable.object if moved else there.start
    found += [] if there.holds(STABLE) == expected else [f"stable holds {there.holds(STABLE)}, {expected} was reported"]
    return found + _strange(answers)


RACES: dict[str, Callable[[Remote, int], list[str]]] = {"lock": _for_the_lock, "same-lock": _with_one_lock, "back": _back, "fence": _fenced}


def _taken(there: Remote, version: str) -> Lock:
    lock = acquire(there.clones[0], lock_of(0, version, there.commits[version], there.start))
    for git in there.clones:
        git.fetch(LOCK)
    return lock


def _one_winner(there: Remote, answers: list[object]) -> list[str]:
    """From outside: the stable tag and its prod tag are the one object that the one winner reported."""
    won = [a for a in answers if isinstance(a, Published)]
    if len(won) != 1:
        return [f"{len(won)} winners: {answers}"]
    stable, found = won[0].stable, _strange(answers)
    if there.holds(STABLE) != stable.object:
        found.append(f"stable holds {there.holds(STABLE)}, the winner reported {stable.object}")
    return found


def _strange(answers: list[object]) -> list[str]:
    """A loser is refused or superseded; anything else is no clean answer."""
    return [f"{type(a).__name__}: {a}" for a in answers if isinstance(a, Exception) and not isinstance(a, Rejected | Superseded)]


def both(seed: int, count: int, figures: Figures) -> None:
    """Two-way, and a tenth as many eight-way ones."""
    run(seed, count, figures)
    run(seed, max(1, count // 10), figures, ways=8)


if __name__ == "__main__":
    sys.exit(main(__doc__, both, name="R1 races", count=100, full=1000))
