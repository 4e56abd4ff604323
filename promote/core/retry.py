"""Repeating a call within a deadline: `wait_until` for a state, `retry_until` past an exception, `retry_transient` past a passing network fault."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import chain, repeat
from typing import TypeVar

from promote.core.deadline import Clock, Deadline

T = TypeVar("T")

PAUSES_S = (0.1, 0.2, 0.4, 0.8, 1.6)  # with one read in five failing, six tries in a row fail once in 15,000 reads
LATER_S = 3.0  # the pause after these, while a check has time left
PASSING = frozenset({429, 502, 503, 504})  # HTTP statuses that a retry may get past
# A 500 is a fault of the request or of the server, except for these. etcd: api/v3rpc/rpctypes/error.go (leader changed, no leader, request timed out,
# too many requests: all codes.Unavailable); gRPC's Unavailable behind the API server and in Thanos; apimachinery's NewServerTimeout; an API server
# that shuts down. client-go (rest/with_retry.go) repeats a 5xx with Retry-After, so that header is enough as well.
_PASSING_500 = re.compile(
    r"etcdserver: |code = Unavailable|could not be completed at this time, please try again|unable to return a response in the time allotted"
    r"|apiserver is shutting down|leader changed"
)
_patience: list[Deadline] = []  # at most one: that of the check in progress
_used_up: set[str] = set()  # services that stayed faulty for the whole time of a check


def is_passing(status: int, text: str, headers: Mapping[str, str]) -> bool:
    """Whether an HTTP answer reports a fault that a retry may get past. `text` is (the beginning of) its body."""
    return status in PASSING or (status >= 500 and (retry_after(headers) > 0 or bool(_PASSING_500.search(text))))


def retry_after(headers: Mapping[str, str]) -> float:
    """The seconds that a Retry-After header asks for, given as a number or a date; 0 without one or with one that cannot be read."""
    given = next((value.strip() for name, value in headers.items() if name.lower() == "retry-after"), "")
    try:
        at = None if given.isdecimal() else parsedate_to_datetime(given)
    except ValueError:
        return 0.0
    return float(given) if at is None else max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds())


@contextmanager
def patience(deadline: Deadline) -> Iterator[None]:
    """Within it `retry_transient` goes on until this deadline: that of the check, rather than that of the single read. One a process."""
    _patience[:] = [deadline]
    try:
        yield
    finally:
        _patience.clear()


def patience_left(service: str) -> Deadline | None:
    """The deadline of the check in progress; None outside of checks, and for a service that has used up an earlier check's whole time."""
    return _patience[0] if _patience and service not in _used_up else None


class DeadlineExceeded(Exception):
    """A wait ended and its condition did not hold. `last` is the last value seen, for the message."""

    def __init__(self, what: str, seconds: float, last: object) -> None:
        super().__init__(f"{what}: not within {seconds:.0f} s")
        self.what, self.seconds, self.last = what, seconds, last


def wait_until(
    what: str,
    look: Callable[[], T],
    *,
    ready: Callable[[T], bool],
    deadline: Deadline,
    every_s: float | Callable[[float], float] = 2.0,
) -> T:
    """Call `look` until `ready` accepts its value, and return that value. Calls it at least once, even after the deadline.

    `what` names the condition for the error. `every_s` is the pause between looks in seconds, or a function of the seconds waited so far.
    Raises DeadlineExceeded with the last value seen. Exceptions of `look` pass through.
    """
    while True:
        seen = look()
        if ready(seen):
            return seen
        if deadline.expired:
            raise DeadlineExceeded(what, deadline.seconds, seen)
        deadline.sleep(every_s(deadline.elapsed) if callable(every_s) else every_s)


def retry_until(act: Callable[[], T], *, on: type[Exception], deadline: Deadline | None, every_s: float = 2.0) -> T:
    """Call `act`, which must be safe to repeat, until it does not raise `on`. At the deadline (None: at once) the last such exception passes
    through."""
    while True:
        try:
            return act()
        except on:
            if deadline is None or deadline.expired:
                raise
            deadline.sleep(every_s)


def give_up(service: str) -> None:
    """A service was faulty for the whole time of a check: it gets a few tries in the later ones, because a suite must come to its end."""
    _used_up.add(service)


def retry_transient(
    ask: Callable[[float], T],
    *,
    passing: Callable[[T], bool],
    within_s: float,
    service: str = "",
    wait_s: Callable[[T], float] = lambda _: 0.0,
    clock: Clock | None = None,
) -> T:
    """Repeat a read that met a passing fault (a dropped connection, a 429, a gateway's 502); returns the first answer that `passing` rejects, or the
    last one.

    `ask` gets the seconds that it may take and returns its failures as values. `wait_s` gives the least pause that an answer asks for (Retry-After);
    one beyond the deadline is not waited for. Within `patience` it goes on until that deadline, but a `service` that was faulty for the whole time of
    one check gets a few tries in the later ones: a suite must come to its end. Elsewhere: six tries within `within_s`.
    For reads only: after a failed write the caller reads the state instead.
    """
    patient = patience_left(service)
    deadline = patient or Deadline(within_s, clock or Clock())
    answer = ask(deadline.limit(within_s))
    for usual in chain(PAUSES_S, repeat(LATER_S)) if patient else PAUSES_S:
        if not passing(answer):
            _used_up.discard(service)
            break
        pause = max(usual, wait_s(answer))
        if deadline.left <= pause:
            if patient:
                give_up(service)
            break
        deadline.sleep(pause)
        answer = ask(deadline.limit(within_s))
    return answer
