"""The lock deleted by a user who may push a branch: it ends no promotion that has moved the tag, and keeps production from going back at no moment."""

from __future__ import annotations

import pytest

from promote.core.errors import Superseded
from promote.git.push import RefUpdate
from promote.promotion.context import Moved
from promote.promotion.outcome import Direction, read_outcome
from promote.tags.lock import LOCK, advance, read_lock
from promote.tags.publish import move_back
from tests.robustness.harness import STABLE
from tests.support.prechecked import PROD, Make, Place, make

__all__ = ["make"]


def moved(make: Make) -> Place:
    """The tag is at the new version, by this promotion's doing, and this process knows it."""
    place = make()
    place.publish()
    assert read_outcome(place.run, Direction.FORWARD).problem == ""
    return place


def forget(place: Place) -> None:
    place.remote.put(LOCK, "")


def test_it_is_taken_again_while_the_tag_is_ours(make: Make) -> None:
    place = moved(make)
    assert place.run.lock
    before = place.run.lock
    forget(place)
    place.run.still_ours()
    assert place.run.lock and place.remote.holds(LOCK) == place.run.lock.oid != before.oid
    assert (place.run.lock.request_id, place.run.lock.holder, place.run.lock.state) == (before.request_id, before.holder, "promoted")
    assert [w for w in place.run.warnings if "was deleted while this promotion ran" in w]


def test_a_run_that_was_authorised_by_the_deleted_lock_still_moves_nothing(make: Make) -> None:
    place = moved(make)
    assert place.run.lock
    old = place.run.lock
    forget(place)
    place.run.still_ours()
    there = place.remote.clones[1]
    there.fetch(LOCK)
    with pytest.raises(Superseded, match="no longer this promotion's"):
        advance(there, old, RefUpdate(ref="refs/tags/other", new=old.oid, expected=""), retake=True)


def test_the_way_back_is_one_push_that_makes_it_again(make: Make) -> None:
    place = moved(make)
    run, stable = place.run, place.remote.holds(STABLE)
    assert run.lock and run.target.stable
    forget(place)
    lock = move_back(run.deps.git, run.settings, run.lock, to=run.target.stable.object, replacing=stable, retake=True)
    assert (place.remote.holds(STABLE), place.remote.holds(LOCK), lock.state) == (place.remote.start, lock.oid, "rolling_back")


def test_deleted_before_the_move_nothing_is_moved(make: Make) -> None:
    place = make()
    forget(place)
    with pytest.raises(Superseded, match="it was deleted"):
        place.run.still_ours()
    assert not place.remote.holds(LOCK)


def test_deleted_right_after_the_move_it_is_still_our_move(make: Make) -> None:
    place = make()
    place.publish()
    forget(place)
    assert read_outcome(place.run, Direction.FORWARD).problem == ""
    assert place.run.moved is Moved.YES and place.run.stable and place.run.stable.object == place.remote.holds(PROD)
    now = read_lock(place.remote.clones[1])
    assert now and (now.request_id, now.state) == ("r1", "promoted")


def test_another_promotions_move_is_not_taken_for_ours(make: Make) -> None:
    place = make()
    place.publish()
    forget(place)
    place.run.request_id = "r2"
    with pytest.raises(Superseded, match="this promotion did not put it there"):
        read_outcome(place.run, Direction.FORWARD)


def test_it_is_not_taken_from_the_next_promoter(make: Make) -> None:
    place = moved(make)
    other = place.remote.clones[1]
    assert place.run.lock
    other.fetch(LOCK)
    theirs = other.make_tag(name="promote-lock", commit=place.run.target.commit, message='{"request_id": "next"}')
    assert other.push_and_look(RefUpdate(ref=LOCK, new=theirs, expected=place.run.lock.oid))[0]
    with pytest.raises(Superseded):
        place.run.still_ours()
    assert place.remote.holds(LOCK) == theirs


def test_a_promotion_that_another_process_has_ended_as_proven_is_over(make: Make) -> None:
    """A laptop that slept: its promotion was taken over, proven and released meanwhile."""
    place = moved(make)
    place.remote.put("refs/tags/prod-working", place.remote.holds(STABLE))
    forget(place)
    with pytest.raises(Superseded, match="another process has ended this promotion"):
        place.run.still_ours()
    assert not place.remote.holds(LOCK)
