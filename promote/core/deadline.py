"""Time as a value: the clock, a deadline that is handed down, and the one loop that waits.

Every call inside a wait gets `deadline.limit(...)` as its own timeout and every sleep is clipped to what is left, so a hung call or a long
interval cannot pass the deadline unseen.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

T = TypeVar("T")


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """The seam for time: tests pass their own and assert exact call counts instead of sleeping."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = _utc_now


class DeadlineExceeded(Exception):
    """A wait ended without its condition; `last` is the last thing seen, for the message."""

    def __init__(self, what: str, seconds: float, last: object) -> None:
        super().__init__(f"{what}: not within {seconds:.0f} s")
        self.what, self.seconds, self.last = what, seconds, last


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point on the monotonic clock. `seconds` is what was granted when it was made."""

    seconds: float
    clock: Clock = field(default_factory=Clock)
    started: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "started", self.clock.monotonic())

    @property
    def elapsed(self) -> float:
        """Seconds since it was made."""
        return self.clock.monotonic() - self.started

    @property
    def left(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.seconds - self.elapsed)

    @property
    def expired(self) -> bool:
        return self.left <= 0

    def limit(self, call_s: float) -> float:
        """The timeout for one call: its own limit or what is left, whichever is shorter; at least 0.1 s, since 0 means "no limit" to many clients."""
        return max(0.1, min(call_s, self.left))

    def sleep(self, seconds: float) -> None:
        """Sleep, clipped to what is left."""
        if (pause := min(seconds, self.left)) > 0:
            self.clock.sleep(pause)


def wait_until(
    what: str,
    look: Callable[[], T],
    *,
    ready: Callable[[T], bool],
    deadline: Deadline,
    every_s: float | Callable[[float], float] = 2.0,
) -> T:
    """Look until `ready` holds for what was seen and return that; at least one look is always made.

    `every_s` is the pause between looks in seconds, or a function of the seconds waited so far.
    Raises DeadlineExceeded with the last thing seen. What `look` raises passes through.
    """
    while True:
        seen = look()
        if ready(seen):
            return seen
        if deadline.expired:
            raise DeadlineExceeded(what, deadline.seconds, seen)
        deadline.sleep(every_s(deadline.elapsed) if callable(every_s) else every_s)


def retry_until(act: Callable[[], T], *, on: type[Exception], deadline: Deadline | None, every_s: float = 2.0) -> T:
    """Do `act` until it does not raise `on`; at the deadline (None: at once) the last such exception passes through. `act` must be safe to repeat."""
    while True:
        try:
            return act()
        except on:
            if deadline is None or deadline.expired:
                raise
            deadline.sleep(every_s)
