"""A read is asked again after a passing fault, a few times and within its deadline; anything else comes back at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from promote.core.deadline import Clock
from promote.core.retry import PAUSES_S, retry_transient


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
