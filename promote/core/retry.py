"""Repeating a call within a deadline: `wait_until` for a state, `retry_until` past an exception, `retry_transient` past a passing network fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from promote.core.deadline import Clock, Deadline

T = TypeVar("T")

PAUSES_S = (0.1, 0.2, 0.4, 0.8, 1.6)  # with one read in five failing, six tries in a row fail once in 15,000 reads
GATEWAY = frozenset({502, 503, 504})  # HTTP statuses that a retry may get past


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


def retry_transient(ask: Callable[[float], T], *, passing: Callable[[T], bool], within_s: float, clock: Clock | None = None) -> T:
    """Repeat a read that met a passing fault (a dropped connection, a gateway's 502); returns the first answer that `passing` rejects, or the last
    one.

    `ask` gets the remaining seconds and returns its failures as values. For reads only: after a failed write the caller reads the state instead.
    """
    deadline = Deadline(within_s, clock or Clock())
    answer = ask(within_s)
    for pause in PAUSES_S:
        if not passing(answer) or deadline.left <= pause:
            break
        deadline.sleep(pause)
        answer = ask(deadline.limit(within_s))
    return answer
