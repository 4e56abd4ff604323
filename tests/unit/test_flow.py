"""The transition table: every state and every status has exactly one way on, and a report is never better than the evidence."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from promote.core.deadline import Deadline
from promote.core.errors import Interrupted, Rejected, Superseded, Unreachable
from promote.core.model import End
from promote.promotion.context import Moved, StepResult, StepStatus
from promote.promotion.journal import Journal, read_journal
from promote.promotion.state_machine import State, next_state, run_promotion, run_transition


def test_every_combination_has_a_way_on() -> None:
    for state, status, moved, hold in itertools.product(State, StepStatus, Moved, (True, False)):
        assert isinstance(next_state(state, status, moved, hold_on_unknown=hold), State | End)


@pytest.mark.parametrize(
    ("state", "status", "moved", "place"),
    [
        (State.START, StepStatus.FAILED, Moved.NO, End.REFUSED),
        (State.START, StepStatus.ERRORED, Moved.NO, End.UNCHECKED),
        (State.START, StepStatus.INTERRUPTED, Moved.NO, End.INTERRUPTED),
        (State.PRECHECKED, StepStatus.FAILED, Moved.NO, End.REFUSED),
        (State.PRECHECKED, StepStatus.ERRORED, Moved.NO, End.UNCHECKED),
        (State.PRECHECKED, StepStatus.ERRORED, Moved.YES, State.ROLLING_BACK),
        (State.PRECHECKED, StepStatus.INTERRUPTED, Moved.YES, State.ROLLING_BACK),
        (State.PRECHECKED, StepStatus.ERRORED, Moved.UNKNOWN, End.STUCK),
        (State.PRECHECKED, StepStatus.INTERRUPTED, Moved.UNKNOWN, End.STUCK),
        (State.PROMOTED, StepStatus.PASSED, Moved.YES, End.VERIFIED),
        (State.PROMOTED, StepStatus.FAILED, Moved.YES, State.ROLLING_BACK),
        (State.PROMOTED, StepStatus.ERRORED, Moved.YES, State.ROLLING_BACK),
        (State.PROMOTED, StepStatus.INTERRUPTED, Moved.YES, State.ROLLING_BACK),
        (State.ROLLING_BACK, StepStatus.PASSED, Moved.YES, End.ROLLED_BACK),
        (State.ROLLING_BACK, StepStatus.ERRORED, Moved.YES, End.STUCK),
    ],
)
def test_the_ways_of_the_protocol(state: State, status: StepStatus, moved: Moved, place: State | End) -> None:
    assert next_state(state, status, moved) is place


def test_superseded_ends_it_from_anywhere() -> None:
    assert {next_state(s, StepStatus.SUPERSEDED, m) for s in State for m in Moved} == {End.SUPERSEDED}


def test_hold_leaves_an_undetermined_state_to_the_operator() -> None:
    assert next_state(State.PROMOTED, StepStatus.ERRORED, Moved.YES, hold_on_unknown=True) is End.STUCK
    assert next_state(State.PROMOTED, StepStatus.FAILED, Moved.YES, hold_on_unknown=True) is State.ROLLING_BACK


def test_only_two_roads_lead_to_exit_0_and_3() -> None:
    good = [(s, w, m) for s in State for w in StepStatus for m in Moved if next_state(s, w, m) is End.VERIFIED]
    back = [(s, w, m) for s in State for w in StepStatus for m in Moved if next_state(s, w, m) is End.ROLLED_BACK]
    assert {(s, w) for s, w, _ in good} == {(State.PROMOTED, StepStatus.PASSED)}
    assert {(s, w) for s, w, _ in back} == {(State.ROLLING_BACK, StepStatus.PASSED)}


def fake_run(tmp_path: Path) -> Any:
    notes: list[str] = []
    settings = SimpleNamespace(promotion=SimpleNamespace(on_unknown="rollback"))
    return SimpleNamespace(
        journal=Journal(tmp_path / "j.jsonl"),
        settings=settings,
        moved=Moved.NO,
        cause="",
        hold="",
        ends=Deadline(60),
        deps=SimpleNamespace(report=SimpleNamespace(note=notes.append)),
    )


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Superseded("gone", hint="look"), StepStatus.SUPERSEDED),
        (Interrupted("SIGINT"), StepStatus.INTERRUPTED),
        (Unreachable("git", "no answer", hint="again"), StepStatus.ERRORED),
        (Rejected("git", "no", hint="x"), StepStatus.ERRORED),
        (ZeroDivisionError("bug"), StepStatus.ERRORED),
    ],
)
def test_what_escapes_a_transition_is_never_a_pass(tmp_path: Path, error: BaseException, status: StepStatus) -> None:
    def transition(_run: object) -> StepResult:
        raise error

    assert run_transition(transition, fake_run(tmp_path)).status is status


def test_a_bug_after_the_move_still_rolls_back_and_is_remembered(tmp_path: Path) -> None:
    run = fake_run(tmp_path)

    def moves(run: Any) -> StepResult:
        run.moved = Moved.YES
        return StepResult(status=StepStatus.PASSED)

    def breaks(_run: object) -> StepResult:
        raise KeyError("bug")

    steps: Any = {
        State.START: lambda _r: StepResult(status=StepStatus.PASSED), State.PRECHECKED: moves, State.PROMOTED: breaks,
        State.ROLLING_BACK: lambda _r: StepResult(status=StepStatus.PASSED),
    }  # fmt: skip
    end, _ = run_promotion(run, transitions=steps)
    assert end is End.ROLLED_BACK
    assert "KeyError" in run.cause
    states = [line["name"] for line in read_journal(run.journal.path) if line["event"] == "state"]
    assert states == ["start", "prechecked", "promoted", "rolling_back"]
