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
from promote.promotion.state_machine import State, exit_code, next_state, run_promotion, run_transition


def test_every_combination_has_a_way_on() -> None:
    for state, status, moved, hold, back in itertools.product(State, StepStatus, Moved, (True, False), (True, False)):
        assert isinstance(next_state(state, status, moved, hold_on_unknown=hold, hold=hold, is_back=back), State | End)


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
        (State.CURRENT, StepStatus.PASSED, Moved.NO, End.VERIFIED),
        (State.CURRENT, StepStatus.FAILED, Moved.NO, End.REFUSED),
        (State.CURRENT, StepStatus.ERRORED, Moved.NO, End.UNCHECKED),
        (State.CURRENT, StepStatus.INTERRUPTED, Moved.NO, End.INTERRUPTED),
        (State.REQUESTED, StepStatus.PASSED, Moved.YES, End.ROLLED_BACK),
        (State.REQUESTED, StepStatus.ERRORED, Moved.YES, End.UNCHECKED),
        (State.REQUESTED, StepStatus.INTERRUPTED, Moved.YES, End.INTERRUPTED),
        (State.REQUESTED, StepStatus.ERRORED, Moved.UNKNOWN, End.STUCK),
        (State.RESUMING, StepStatus.PASSED, Moved.YES, State.PROMOTED),
        (State.RESUMING, StepStatus.FAILED, Moved.YES, State.ROLLING_BACK),
        (State.RESUMING, StepStatus.ERRORED, Moved.NO, End.UNCHECKED),
        (State.RESUMING, StepStatus.ERRORED, Moved.UNKNOWN, End.STUCK),
        (State.RESUMING, StepStatus.ERRORED, Moved.YES, End.STUCK),
        (State.RESUMING, StepStatus.INTERRUPTED, Moved.UNKNOWN, End.STUCK),
        (State.ABORTING, StepStatus.PASSED, Moved.YES, State.ROLLING_BACK),
        (State.ABORTING, StepStatus.FAILED, Moved.YES, End.STUCK),
        (State.ABORTING, StepStatus.INTERRUPTED, Moved.NO, End.INTERRUPTED),
        (State.ABORTING, StepStatus.INTERRUPTED, Moved.UNKNOWN, End.STUCK),
        (State.LEAVING, StepStatus.FAILED, Moved.NO, End.STUCK),
    ],
)
def test_the_ways_of_the_protocol(state: State, status: StepStatus, moved: Moved, place: State | End) -> None:
    assert next_state(state, status, moved) is place


def test_superseded_ends_it_from_anywhere() -> None:
    assert {next_state(s, StepStatus.SUPERSEDED, m) for s in State for m in Moved} == {End.SUPERSEDED}


def test_hold_leaves_an_undetermined_state_to_the_operator() -> None:
    assert next_state(State.PROMOTED, StepStatus.ERRORED, Moved.YES, hold_on_unknown=True) is End.STUCK
    assert next_state(State.PROMOTED, StepStatus.FAILED, Moved.YES, hold_on_unknown=True) is State.ROLLING_BACK


@pytest.mark.parametrize(("hold", "end"), [(True, End.STUCK), (False, End.ROLLED_BACK), (None, End.ROLLED_BACK)])
def test_an_undetermined_result_may_decide_by_itself_whether_it_is_held(tmp_path: Path, hold: bool | None, end: End) -> None:
    steps = {
        State.PROMOTED: lambda _: StepResult(status=StepStatus.ERRORED, reason="x", hold=hold),
        State.ROLLING_BACK: lambda _: StepResult(status=StepStatus.PASSED),
    }
    assert run_promotion(fake_run(tmp_path), State.PROMOTED, steps)[0] is end


def test_only_two_roads_lead_to_exit_0_and_3() -> None:
    good = [(s, w, m) for s in State for w in StepStatus for m in Moved if next_state(s, w, m) is End.VERIFIED]
    back = [(s, w, m) for s in State for w in StepStatus for m in Moved if next_state(s, w, m) is End.ROLLED_BACK]
    assert {(s, w) for s, w, _ in good} == {(State.PROMOTED, StepStatus.PASSED), (State.CURRENT, StepStatus.PASSED)}
    assert {(s, w) for s, w, _ in back} == {(State.ROLLING_BACK, StepStatus.PASSED), (State.REQUESTED, StepStatus.PASSED)}


@pytest.mark.parametrize("status", [StepStatus.FAILED, StepStatus.ERRORED, StepStatus.INTERRUPTED])
def test_an_asked_for_rollback_that_is_not_proven_back_is_stuck_once_the_tag_is_back(status: StepStatus) -> None:
    assert next_state(State.REQUESTED, status, Moved.YES, is_back=True) is End.STUCK
    assert next_state(State.REQUESTED, status, Moved.YES) is not End.STUCK


def test_what_may_not_be_rolled_back_is_not_rolled_back_by_a_resume_either() -> None:
    assert next_state(State.RESUMING, StepStatus.FAILED, Moved.YES, hold=True) is End.STUCK


@pytest.mark.parametrize(
    ("begun", "end", "asked", "code"),
    [
        (State.START, End.ROLLED_BACK, False, 3),
        (State.REQUESTED, End.ROLLED_BACK, True, 0),
        (State.REQUESTED, End.INTERRUPTED, True, 130),
        (State.RESUMING, End.ROLLED_BACK, False, 3),
        (State.RESUMING, End.ROLLED_BACK, True, 0),
        (State.ABORTING, End.ROLLED_BACK, False, 0),
        (State.ABORTING, End.INTERRUPTED, False, 0),
        (State.LEAVING, End.STUCK, False, 4),
    ],
)
def test_what_was_asked_for_and_done_is_a_success(begun: State, end: End, asked: bool, code: int) -> None:
    run: Any = SimpleNamespace(asked_rollback=asked)
    assert exit_code(run, begun, end) == code


def fake_run(tmp_path: Path) -> Any:
    notes: list[str] = []
    settings = SimpleNamespace(promotion=SimpleNamespace(on_unknown="rollback"))
    run = SimpleNamespace(
        journal=Journal(tmp_path / "j.jsonl"),
        settings=settings,
        moved=Moved.NO,
        cause="",
        hold="",
        is_back=False,
        ends=Deadline(60),
        deps=SimpleNamespace(report=SimpleNamespace(note=notes.append)),
    )
    run.update = lambda **changes: run.__dict__.update(changes)
    return run


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
        run.update(moved=Moved.YES)
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
