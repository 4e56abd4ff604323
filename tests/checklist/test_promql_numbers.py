"""One rule under a clock of the test's own: waiting for fresh samples, wrong twice on different ones, unreachable in between."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from promote.checklist.monitoring import Numbers
from promote.config.schema import PromqlQuery
from promote.core.deadline import Clock, Deadline
from promote.core.errors import Rejected, Unreachable
from promote.core.retry import DeadlineExceeded, wait_until
from promote.monitoring.clients import Sample

MOVED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Server:
    """Scrapes every `every` seconds; `value` is what a scrape at a time since the move gives, None for no series."""

    def __init__(self, value: Callable[[float], float | None], every: float = 10, down_until: float = -1) -> None:
        self.value, self.every, self.down_until, self.now = value, every, down_until, 3.0
        self.asked: list[tuple[str, float | None]] = []

    def _scraped(self) -> float:
        return math.floor(self.now / self.every) * self.every - 0.5  # half a second before each tenth second

    def ages(self, selector: str, *, lookback_s: float | None = None) -> dict[str, float]:
        self._up()
        return {} if self.value(self._scraped()) is None else {"{}": self.now - self._scraped()}

    def query(self, expression: str, *, lookback_s: float | None = None) -> list[Sample]:
        self._up()
        self.asked.append((expression, lookback_s))
        found = self.value(self._scraped())
        return [] if found is None else [Sample(series="x", value=found)]

    def _up(self) -> None:
        if self.now < self.down_until:
            raise Unreachable("prometheus", "no answer", hint="wait")


def judge(server: Server, *, wait: float = 45, query: str = "sum(rate(x[5m]))") -> Numbers:
    clock = Clock(
        monotonic=lambda: server.now, sleep=lambda s: setattr(server, "now", server.now + s), now=lambda: MOVED + timedelta(seconds=server.now)
    )
    rule = PromqlQuery(name="r", query=query, expect="< 5")
    numbers = Numbers(server, rule, lambda: server.now, clock)  # type: ignore[arg-type]
    wait_until("r", numbers.look, ready=bool, deadline=Deadline(wait, clock), every_s=1)
    return numbers


def test_it_waits_for_a_sample_newer_than_the_move() -> None:
    server = Server(lambda at: 1)
    assert judge(server).wrong() == []
    assert 9.5 < server.now <= 11, "the first scrape after the move was half a second before the tenth second"
    assert server.asked == [("sum(rate(x[10000ms]))", 10.0)]


def test_a_number_wrong_on_one_scrape_and_right_on_the_next_passes() -> None:
    server = Server(lambda at: 9 if at < 15 else 1)
    assert judge(server).wrong() == []
    assert 19.5 < server.now <= 21


def test_a_number_wrong_on_two_scrapes_fails_without_waiting_longer() -> None:
    server = Server(lambda at: 9)
    assert judge(server).wrong() == ["x is 9"]
    assert 19.5 < server.now <= 21


@pytest.mark.parametrize(("value", "message"), [(lambda at: None, "no data: no series for x"), (lambda at: math.nan, "not a number for x")])
def test_what_gives_no_number_is_unknown_at_the_deadline(value: Callable[[float], float | None], message: str) -> None:
    server = Server(value)
    with pytest.raises(DeadlineExceeded):
        judge(server)
    assert server.now == pytest.approx(48)
    numbers = Numbers(server, PromqlQuery(name="r", query="x", expect="< 5"), lambda: server.now, Clock())  # type: ignore[arg-type]
    assert not numbers.look()
    assert message in numbers.unknown


def test_a_server_that_comes_back_within_the_wait_is_asked_again() -> None:
    server = Server(lambda at: 1, down_until=30)
    assert judge(server).wrong() == []
    assert server.now == pytest.approx(30)
    with pytest.raises(DeadlineExceeded):
        judge(Server(lambda at: 1, down_until=100))


def test_what_prometheus_rejects_is_not_asked_again() -> None:
    class Rejecting(Server):
        def ages(self, selector: str, *, lookback_s: float | None = None) -> dict[str, float]:
            raise Rejected("prometheus", "parse error", hint="correct it")

    server = Rejecting(lambda at: 1)
    with pytest.raises(Rejected):
        judge(server)
    assert server.now == 3.0


def test_a_constant_proves_nothing() -> None:
    with pytest.raises(DeadlineExceeded):
        judge(Server(lambda at: 1), query="vector(1)")
