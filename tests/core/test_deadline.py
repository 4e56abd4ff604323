"""Waiting: exact calls and seconds on a clock of the test's own."""

from __future__ import annotations

import pytest

from promote.core.deadline import Clock, Deadline
from promote.core.retry import DeadlineExceeded, retry_until, wait_until


class Time:
    """A clock that moves only when a caller sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    @property
    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.now, sleep=self.sleep)


@pytest.fixture
def time() -> Time:
    return Time()


def test_it_returns_what_it_saw_first_ready(time: Time) -> None:
    seen = iter([1, 2, 3])
    assert wait_until("three", lambda: next(seen), ready=lambda n: n == 3, deadline=Deadline(10, time.clock), every_s=2) == 3
    assert time.slept == [2, 2]


def test_the_last_sleep_is_clipped_and_the_last_sight_is_in_the_error(time: Time) -> None:
    with pytest.raises(DeadlineExceeded) as caught:
        wait_until("never", lambda: "still no", ready=lambda _: False, deadline=Deadline(5, time.clock), every_s=2)
    assert time.slept == [2, 2, 1]
    assert (caught.value.last, caught.value.seconds) == ("still no", 5)


def test_an_expired_deadline_still_gets_one_look(time: Time) -> None:
    assert wait_until("now", lambda: 1, ready=bool, deadline=Deadline(0, time.clock)) == 1


def test_a_call_limit_never_becomes_zero_which_means_for_ever(time: Time) -> None:
    deadline = Deadline(1, time.clock)
    assert deadline.limit(30) == 1
    time.now += 50
    assert deadline.limit(30) == 0.1
    assert deadline.left == 0


def test_insisting_ends_with_the_last_error(time: Time) -> None:
    calls = []

    def fails() -> None:
        calls.append(1)
        raise ConnectionError(len(calls))

    with pytest.raises(ConnectionError):
        retry_until(fails, on=ConnectionError, deadline=Deadline(4, time.clock), every_s=2)
    assert len(calls) == 3
