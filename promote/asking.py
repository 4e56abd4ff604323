"""Who is being asked right now: for the words of a row that its deadline cuts off in the middle of a question."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_now: list[str] = []


@contextmanager
def asking(whom: str) -> Iterator[None]:
    """Around a request. What ends it from outside (pytest-timeout, ^C: no `Exception`) leaves it to be told by `cut_off`."""
    _now.append(whom)
    try:
        yield
    except Exception:
        _now.remove(whom)
        raise
    _now.remove(whom)


def cut_off() -> str:
    """Whom this process was asking, "" for nobody; forgets it."""
    told = ", ".join(dict.fromkeys(_now))
    _now.clear()
    return told
