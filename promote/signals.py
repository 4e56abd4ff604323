"""Stop requests: ^C, SIGTERM and SIGHUP become one exception, `Interrupted`, in the main thread.

A push that moves a tag must not be cut in the middle by our own doing, so `held()` postpones the exception to the end of a short block.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from promote.errors import Interrupted

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _State:
    """Signals are process-wide by nature, so is this; only the main thread ever writes it."""

    held = 0
    pending: str | None = None


def _on_signal(number: int, _frame: FrameType | None) -> None:
    name = signal.Signals(number).name
    if _State.held:
        _State.pending = name
        return
    raise Interrupted(name)


@contextmanager
def as_interrupts() -> Iterator[None]:
    """Within the block, stop signals raise `Interrupted`. Outside the main thread it does nothing (signals arrive only there)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _on_signal) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def held(*, drop: bool = False) -> Iterator[None]:
    """Postpone a stop request to the end of the block: for the seconds in which an effect is under way and its result unknown.

    With `drop` it is forgotten there: the promotion is over, and what it ended as must still be said.
    """
    _State.held += 1
    try:
        yield
    finally:
        _State.held -= 1
        if drop:
            _State.pending = None
        if not _State.held and _State.pending:
            name, _State.pending = _State.pending, None
            raise Interrupted(name)
