"""Time as a value: the clock, an API's timestamp, and a deadline that callers pass down to the calls they make.

Every call inside a wait gets `deadline.limit(...)` as its own timeout, and every sleep is clipped to the remaining time. So neither a hung call nor
a long interval can overrun the deadline.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """The functions that read and spend time. Tests pass their own and assert exact call counts instead of sleeping."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = _utc_now


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point on the monotonic clock, `seconds` after the deadline was created."""

    seconds: float
    clock: Clock = field(default_factory=Clock)
    started: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "started", self.clock.monotonic())

    @property
    def elapsed(self) -> float:
        """Seconds since the deadline was created."""
        return self.clock.monotonic() - self.started

    @property
    def left(self) -> float:
        """Remaining seconds, never negative."""
        return max(0.0, self.seconds - self.elapsed)

    @property
    def expired(self) -> bool:
        return self.left <= 0

    def later(self, seconds: float) -> Deadline:
        """The same beginning, and an end `seconds` from now."""
        moved = Deadline(self.elapsed + seconds, self.clock)
        object.__setattr__(moved, "started", self.started)
        return moved

    def limit(self, call_s: float) -> float:
        """The timeout for one call, in seconds: its own limit or the remaining time, whichever is shorter."""
        return max(0.1, min(call_s, self.left))  # never 0: many clients read 0 as "no limit"

    def sleep(self, seconds: float) -> None:
        """Sleep for `seconds` or the remaining time, whichever is shorter."""
        if (pause := min(seconds, self.left)) > 0:
            self.clock.sleep(pause)


def parse_time(text: object) -> datetime | None:
    """A Kubernetes timestamp (RFC 3339; whole seconds, or microseconds in events) in UTC; None for an empty or absent one."""
    return datetime.fromisoformat(text).astimezone(UTC) if isinstance(text, str) and text else None
