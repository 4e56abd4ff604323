"""Who is being asked right now: for the words of a check that its deadline cuts off in the middle of a question."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_now: list[str] = []
_last: list[str] = []  # one at most: whoever was asked last


@contextmanager
def in_flight(whom: str) -> Iterator[None]:
    """Around a request. What ends it from outside (pytest-timeout, ^C: no `Exception`) leaves it to be told by `cut_off`."""
    _now.append(whom)
    _last[:] = [whom]
    try:
        yield
    except Exception:
        _now.remove(whom)
        raise
    _now.remove(whom)


def waiting_on() -> str:
    """What this process was doing with others, "" when nothing; forgets it. Slow answers use a check's time up between two questions too."""
    now, last = ", ".join(dict.fromkeys(_now)), ", ".join(_last)
    clear()
    return f"it was waiting for {now}" if now else f"it had just asked {last}" if last else ""


def clear() -> None:
    """Another check begins."""
    _now.clear()
    _last.clear()
