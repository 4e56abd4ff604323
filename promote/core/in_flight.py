"""The requests in flight: when a deadline ends a check in the middle of a request, the message names the service it was waiting for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_now: list[str] = []
_last: list[str] = []  # at most one: the service that was asked last


@contextmanager
def in_flight(service: str) -> Iterator[None]:
    """Wrap a request to `service`, so that `waiting_on` can name it."""
    _now.append(service)
    _last[:] = [service]
    try:
        yield
    except Exception:  # pytest-timeout and ^C are no `Exception`: they leave the entry, and `waiting_on` reports it
        _now.remove(service)
        raise
    _now.remove(service)


def waiting_on() -> str:
    """The services this process is waiting for, else the one it asked last, as a clause for a message; "" when none. Clears the record."""
    # The last one counts too: when slow answers use up a check's time, the deadline may fall between two requests.
    now, last = ", ".join(dict.fromkeys(_now)), ", ".join(_last)
    clear()
    return f"it was waiting for {now}" if now else f"it had just asked {last}" if last else ""


def clear() -> None:
    """Forget all requests, at the start of a check."""
    _now.clear()
    _last.clear()
