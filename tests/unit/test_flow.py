"""The flow table: every place and every word has exactly one way on, and what a person is told is never better than what is known."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from promote.core.deadline import Deadline
from promote.core.errors import Interrupted, Rejected, Superseded, Unreachable
from promote.core.model import End
from promote.promotion.context import Moved, Result, Said
from promote.promotion.journal import Journal, read_journal
from promote.promotion.state_machine import State, attempt, following, walk


def test_every_combination_has_a_way_on() -> None:
    for state, said, moved, hold in itertools.product(State, Said, Moved, (True, False)):
        assert isinstance(following(state, said, moved, hold_unknown=hold), State | End)


@pytest.mark.parametrize(
    ("state", "said", "moved", "place"),
    [
        (State.START, Said.FAILED, Moved.NO, End.REFUSED),
        (State.START, Said.ERRORED, Moved.NO, End.UNCHECKED),
        (State.START, Said.INTERRUPTED, Moved.NO, End.INTERRUPTED),
        (State.PRECHECKED, Said.FAILED, Moved.NO, End.REFUSED),
        (State.PRECHECKED, Said.ERRORED, Moved.NO, End.UNCHECKED),
        (State.PRECHECKED, Said.ERRORED, Moved.YES, State.ROLLING_BACK),
        (State.PRECHECKED, Said.INTERRUPTED, Moved.YES, State.ROLLING_BACK),
        (State.PRECHECKED, Said.ERRORED, Moved.UNKNOWN, End.STUCK),
        (State.PRECHECKED, Said.INTERRUPTED, Moved.UNKNOWN, End.STUCK),
        (State.PROMOTED, Said.PASSED, Moved.YES, End.VERIFIED),
        (State.PROMOTED, Said.FAILED, Moved.YES, State.ROLLING_BACK),
        (State.PROMOTED, Said.ERRORED, Moved.YES, State.ROLLING_BACK),
        (State.PROMOTED, Said.INTERRUPTED, Moved.YES, State.ROLLING_BACK),
        (State.ROLLING_BACK, Said.PASSED, Moved.YES, End.ROLLED_BACK),
        (State.ROLLING_BACK, Said.ERRORED, Moved.YES, End.STUCK),
    ],
)
def test_the_ways_of_the_protocol(state: State, said: Said, moved: Moved, place: State | End) -> None:
    assert following(state, said, moved) is place


def test_superseded_ends_it_from_anywhere() -> None:
    assert {following(s, Said.SUPERSEDED, m) for s in State for m in Moved} == {End.SUPERSEDED}


def test_hold_leaves_what_nobody_can_judge_to_a_person() -> None:
    assert following(State.PROMOTED, Said.ERRORED, Moved.YES, hold_unknown=True) is End.STUCK
    assert following(State.PROMOTED, Said.FAILED, Moved.YES, hold_unknown=True) is State.ROLLING_BACK


def test_only_two_roads_lead_to_exit_0_and_3() -> None:
    good = [(s, w, m) for s in State for w in Said for m in Moved if following(s, w, m) is End.VERIFIED]
    back = [(s, w, m) for s in State for w in Said for m in Moved if following(s, w, m) is End.ROLLED_BACK]
    assert {(s, w) for s, w, _ in good} == {(State.PROMOTED, Said.PASSED)}
    assert {(s, w) for s, w, _ in back} == {(State.ROLLING_BACK, Said.PASSED)}


def fake_run(tmp_path: Path) -> Any:
    said: list[str] = []
    settings = SimpleNamespace(promotion=SimpleNamespace(on_unknown="rollback"))
    return SimpleNamespace(
        journal=Journal(tmp_path / "j.jsonl"),
        settings=settings,
        moved=Moved.NO,
        cause="",
        hold="",
        ends=Deadline(60),
        tools=SimpleNamespace(report=SimpleNamespace(note=said.append)),
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Superseded("gone", hint="look"), Said.SUPERSEDED),
        (Interrupted("SIGINT"), Said.INTERRUPTED),
        (Unreachable("git", "no answer", hint="again"), Said.ERRORED),
        (Rejected("git", "no", hint="x"), Said.ERRORED),
        (ZeroDivisionError("bug"), Said.ERRORED),
    ],
)
def test_what_escapes_a_transition_is_never_a_pass(tmp_path: Path, error: BaseException, said: Said) -> None:
    def transition(_run: object) -> Result:
        raise error

    assert attempt(transition, fake_run(tmp_path)).said is said


def test_a_bug_after_the_move_still_rolls_back_and_is_remembered(tmp_path: Path) -> None:
    run = fake_run(tmp_path)

    def moves(run: Any) -> Result:
        run.moved = Moved.YES
        return Result(said=Said.PASSED)

    def breaks(_run: object) -> Result:
        raise KeyError("bug")

    steps: Any = {
        State.START: lambda _r: Result(said=Said.PASSED), State.PRECHECKED: moves, State.PROMOTED: breaks,
        State.ROLLING_BACK: lambda _r: Result(said=Said.PASSED),
    }  # fmt: skip
    end, _ = walk(run, transitions=steps)
    assert end is End.ROLLED_BACK
    assert "KeyError" in run.cause
    states = [line["name"] for line in read_journal(run.journal.path) if line["event"] == "state"]
    assert states == ["start", "prechecked", "promoted", "rolling_back"]
