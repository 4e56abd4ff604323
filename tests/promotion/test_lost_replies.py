"""Moves whose answer is lost while a user presses ^C, or with an unreachable remote: the result is read, never guessed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace

import pytest

from promote.cli.summary import final_lines
from promote.core.deadline import Deadline
from promote.core.errors import Interrupted, PromoteError, Unreachable
from promote.core.model import End
from promote.core.retry import PAUSES_S
from promote.core.signals import as_interrupts, defer_signals
from promote.core.version import parse_version
from promote.git.remote import GitRemote
from promote.promotion.context import Moved, PromotionContext
from promote.promotion.finalize import finalize
from promote.promotion.journal import Journal
from promote.promotion.outcome import Direction, resolve_outcome
from promote.promotion.rollback import PUSH_FOR_S, _push_back
from promote.promotion.state_machine import State, run_promotion
from promote.sandbox.http_server import Fault
from promote.sandbox.http_server import Request as HttpRequest
from promote.tags.lock import LOCK, read_lock
from promote.tags.move_back import BackRequest, publish_back
from promote.tags.observation import RefState
from promote.tags.publish import Request, move_back, publish
from tests.promotion.test_rollback_by_workflow import STABLE, Hurry, Place, asked_for, lines, place, push_back
from tests.robustness.harness import silence

__all__ = ["place"]  # the fixture
Weather = Callable[[HttpRequest], Fault | None]


def and_stop(weather: Weather) -> Weather:
    """The same, and a ^C when it strikes for the first time."""
    struck = False

    def worse(request: HttpRequest) -> Fault | None:
        nonlocal struck
        fault = weather(request)
        if fault and not struck:
            struck = True
            os.kill(os.getpid(), signal.SIGINT)
        return fault

    return worse


def test_stopped_while_a_push_back_gets_no_reply_the_tag_is_read_all_the_same(place: Place) -> None:
    place.git.protect()
    time = Hurry()
    place.git.weather = and_stop(silence(over=lambda _: time.passed > PUSH_FOR_S and "fence: " in " ".join(lines(place))))
    with as_interrupts(), pytest.raises(Interrupted):
        push_back(place, time)
    assert place.run.stable and place.run.stable.object == place.holds(STABLE) == place.old
    assert place.run.lock == read_lock(place.end) and place.run.moved is Moved.YES


def test_stopped_while_a_push_back_never_gets_a_reply_its_result_is_reported_as_unknown(place: Place) -> None:
    place.git.protect()
    place.run.cause = "smoke failed"
    place.git.weather = and_stop(silence(over=lambda _: False))
    place.run.deps = replace(place.run.deps, clock=Hurry().clock)
    with as_interrupts(), defer_signals(drop=True):
        end, result = run_promotion(place.run, State.ROLLING_BACK)
    assert (end, place.run.moved) == (End.STUCK, Moved.UNKNOWN)
    assert "whether the tag is back is not known" in result.reason
    place.git.weather = None
    assert "stays so" not in "\n".join(final_lines(place.run, end, result))


def test_stopped_while_a_requested_rollback_gets_no_reply_it_knows_that_it_moved(place: Place) -> None:
    asked = asked_for(place)
    place.git.weather = and_stop(silence(over=lambda looks: looks > 3))
    assert asked.target.stable
    with as_interrupts(), pytest.raises(Interrupted):
        _push_back(asked, asked.target.stable)
    assert asked.stable is asked.target.stable and asked.stable.object == place.holds(STABLE)
    assert asked.lock == read_lock(place.end)


def lost_once() -> Weather:
    lost = False

    def weather(request: HttpRequest) -> Fault | None:
        nonlocal lost
        if lost or not (request.method == "POST" and request.path.endswith("/git-receive-pack")):
            return None
        lost = True
        return Fault(kind="drop_after")

    return weather


def test_with_a_lock_that_is_kept_here_a_lost_answer_is_no_refusal(place: Place) -> None:
    """lock.store = "local": the remote's part has landed, so the part that this clone keeps follows."""
    end = GitRemote(place.end.root, "origin", keeps="refs/promote/")
    asked = asked_for(place, end)
    place.git.weather = lost_once()
    assert asked.target.stable and asked.lock
    to = asked.target.stable.object
    lock = move_back(end, asked.settings, asked.lock, to=to, replacing=place.bad)
    assert place.holds(STABLE) == to
    assert lock == read_lock(end) != asked.lock


def test_stopped_without_a_reply_about_the_lock_the_lock_is_reported_as_possibly_taken(place: Place) -> None:
    place.git.protect()
    place.writer.git("update-ref", "-d", LOCK)
    before = place.run
    run = PromotionContext(
        deps=before.deps, target=before.target, version=before.version, request_id="r9", journal=Journal.open(place.end.git_dir, "r9")
    )
    run.remember()
    place.git.weather = and_stop(silence(over=lambda _: False))
    with as_interrupts(), defer_signals(drop=True):
        end, result = run_promotion(run)
        place.git.weather = None
        finalize(run, end, {})
    assert place.holds(LOCK) and "the lock may have been taken all the same" in result.hint
    assert end is End.UNCHECKED


def by_hand(place: Place) -> None:
    """No promotion runs, and production is where it was before v1.1.0."""
    place.git.protect()
    place.writer.git("update-ref", "-d", LOCK)
    place.writer.git("update-ref", STABLE, place.old)
    place.writer.git("update-ref", "-d", "refs/tags/prod-v1.1.0")


def forward(place: Place, patience: Deadline | None = None) -> str:
    request = Request(version=parse_version("v1.1.0"), request_id="h", promoted_by="ada")
    published = publish(place.end, place.run.settings, request, patience=patience)
    assert published.left == "" and published.lock is None
    return published.stable.object


def backward(place: Place) -> str:
    done = publish_back(place.end, place.run.settings, BackRequest(request_id="h", to=parse_version("v1.0.0")))
    assert done.left == ""
    return done.stable.object


@pytest.mark.parametrize("move", [forward, backward])
def test_a_move_by_hand_without_reply_is_looked_for_before_its_lock_goes(place: Place, move: Callable[[Place], str]) -> None:
    """Silence for as long as its look is asked again; then the remote is there again, and so is the move."""
    by_hand(place)
    if move is backward:
        place.writer.git("update-ref", STABLE, place.bad)
    place.git.weather = silence(over=lambda met: met > 1 + len(PAUSES_S), push=2)  # the push itself is sent again, once
    assert move(place) == place.holds(STABLE)
    assert place.holds(LOCK) == ""


def test_a_move_by_hand_that_never_gets_a_reply_is_not_reported_as_failed(place: Place) -> None:
    by_hand(place)
    place.git.weather = silence(over=lambda _: False, push=2)
    with pytest.raises(Unreachable) as silent:
        forward(place, Deadline(60, Hurry().clock))
    assert "whether the tag was moved is not known" in silent.value.hint and "--break-lock" in silent.value.hint
    place.git.weather = None
    assert place.holds(STABLE) not in (place.old, place.bad) and place.holds(LOCK)


def test_an_exception_in_a_held_block_is_passed_on_and_the_request_kept() -> None:
    with as_interrupts():
        with pytest.raises(PromoteError), defer_signals():
            os.kill(os.getpid(), signal.SIGINT)
            raise PromoteError("what became of it", hint="")
        with pytest.raises(Interrupted), defer_signals():
            pass


def test_a_move_that_a_user_undid_before_the_tags_were_read_back_was_made(place: Place) -> None:
    """Its fence keeps the lock's state: with any other the tag at its former value would read as never moved, and production would not be proven."""
    place.writer.git("update-ref", STABLE, place.old)
    reading = resolve_outcome(place.run, Unreachable("git", "no answer", hint="try again"), Direction.FORWARD)
    assert (reading.state, place.run.moved) == (RefState.PUT_BACK, Moved.YES)
    assert reading.problem
    lock = read_lock(place.end)
    assert lock == place.run.lock and lock is not None and lock.state == "promoted"
