"""A read is asked again after a passing fault, a few times and within its deadline; anything else comes back at once."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from promote.core.deadline import Clock, Deadline
from promote.core.retry import LATER_S, PAUSES_S, is_passing, patience, retry_after, retry_transient


@dataclass
class Time:
    """A clock that only moves when a caller sleeps or an answer takes its time."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.now, sleep=self.sleep)


def _asked(answers: list[str], *, within_s: float = 60.0, each_s: float = 0.0) -> tuple[str, Time, list[float]]:
    time, lefts = Time(), []

    def ask(left_s: float) -> str:
        lefts.append(left_s)
        time.now += each_s
        return answers.pop(0)

    return retry_transient(ask, passing=lambda a: a == "lost", within_s=within_s, clock=time.clock()), time, lefts


def test_a_good_answer_and_a_refusal_are_asked_for_once() -> None:
    for answer in ("good", "refused"):
        got, time, lefts = _asked([answer, "never"])
        assert (got, time.slept, lefts) == (answer, [], [60.0])


def test_a_passing_fault_is_followed_by_the_next_answer() -> None:
    got, time, lefts = _asked(["lost", "lost", "good", "never"])
    assert (got, time.slept, len(lefts)) == ("good", list(PAUSES_S[:2]), 3)


def test_after_so_many_the_last_failure_is_the_answer() -> None:
    got, time, lefts = _asked(["lost"] * (len(PAUSES_S) + 1))
    assert (got, time.slept, len(lefts)) == ("lost", list(PAUSES_S), len(PAUSES_S) + 1)


def test_it_never_goes_on_past_its_deadline() -> None:
    got, time, lefts = _asked(["lost"] * 9, within_s=5.0, each_s=2.0)
    assert (got, len(lefts)) == ("lost", 3)
    assert all(left <= 5.0 for left in lefts) and lefts == sorted(lefts, reverse=True)
    assert time.now <= 7.0


def _patiently(time: Time, answers: list[str], *, service: str, check_s: float = 60.0, wait_s: float = 0.0) -> str:
    """A read in a check that has `check_s` seconds; an answer `lost` asks for a pause of `wait_s`."""
    with patience(Deadline(check_s, time.clock())):
        return retry_transient(
            lambda _: answers.pop(0), passing=lambda a: a == "lost", within_s=15.0, service=service, wait_s=lambda _: wait_s, clock=time.clock()
        )


def test_a_read_of_a_check_is_asked_again_for_its_whole_time() -> None:
    time = Time()
    assert _patiently(time, ["lost"] * 12 + ["good"], service="a") == "good"
    assert time.slept == [*PAUSES_S, *[LATER_S] * 7]


def test_at_the_checks_deadline_the_last_failure_is_the_answer_and_the_next_check_does_not_wait_as_long() -> None:
    time, answers = Time(), ["lost"] * 99
    assert _patiently(time, answers, service="b") == "lost"
    assert 60.0 - LATER_S <= time.now < 60.0
    before = time.now
    assert _patiently(time, answers, service="b") == "lost"
    assert time.now - before == pytest.approx(sum(PAUSES_S))


def test_a_service_that_recovered_has_a_checks_whole_time_again() -> None:
    time = Time()
    assert _patiently(time, ["lost"] * 99, service="c") == "lost"
    assert _patiently(time, ["good"], service="c") == "good"
    assert _patiently(time, ["lost"] * 12 + ["good"], service="c") == "good"


def test_the_pause_is_the_one_that_the_server_asks_for() -> None:
    time = Time()
    assert _patiently(time, ["lost", "good"], service="d", wait_s=7.0) == "good"
    assert time.slept == [7.0]


def test_a_pause_that_the_server_asks_for_beyond_the_deadline_is_not_waited_for() -> None:
    time = Time()
    assert _patiently(time, ["lost", "good"], service="e", wait_s=61.0) == "lost"
    assert time.slept == []


@pytest.mark.parametrize(
    ("status", "text", "headers", "passes"),
    [
        (429, "", {}, True), (502, "", {}, True), (503, "", {}, True), (504, "", {}, True), (500, "etcdserver: leader changed", {}, True),
        (500, "etcdserver: request timed out, possibly due to previous leader failure", {}, True), (500, "nil pointer", {"Retry-After": "1"}, True),
        (500, "rpc error: code = Unavailable desc = transport is closing", {}, True), (500, "nil pointer", {}, False), (500, "", {}, False),
        (403, "", {"Retry-After": "1"}, False), (200, "etcdserver: leader changed", {}, False),
    ],
)  # fmt: skip
def test_which_answers_report_a_passing_fault(status: int, text: str, headers: dict[str, str], passes: bool) -> None:
    assert is_passing(status, text, headers) is passes


def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    assert retry_after({"retry-after": " 12 "}) == 12.0
    assert retry_after({"Retry-After": "Fri, 31 Dec 2199 23:59:59 GMT"}) > 1e9
    assert retry_after({"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}) == 0.0
    assert [retry_after(given) for given in ({}, {"Retry-After": "soon"}, {"Retry-After": ""}, {"Retry-After": "-3"})] == [0.0] * 4
