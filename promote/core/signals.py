"""Stop requests: ^C, SIGTERM and SIGHUP become one exception, `Interrupted`, in the main thread.

A push that moves a tag must not be cut in the middle by our own doing, so `held()` postpones the exception to the end of a short block. A
whole promotion is such a block as well, in which each step is `listening()`: so a request that comes between two steps, or after the last one, is
answered by a step or by the end, and never gets past both.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from promote.core.errors import Interrupted

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _State:
    """Signals are process-wide by nature, so is this; only the main thread ever writes it."""

    deferred = 0
    pending: str | None = None


def _on_signal(number: int, _frame: FrameType | None) -> None:
    name = signal.Signals(number).name
    if _State.deferred:
        _State.pending = name
        return
    raise Interrupted(name)


@contextmanager
def as_interrupts() -> Iterator[None]:
    """Within the block, stop signals raise `Interrupted`. Outside the main thread it does nothing (signals arrive only there)."""
    if not _on_main_thread():
        yield
        return
    before = {number: signal.signal(number, _on_signal) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _on_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def defer_signals(*, drop: bool = False) -> Iterator[None]:
    """Postpone a stop request to the end of the block: for the seconds in which an effect is under way and its result unknown.

    A block that ends by an exception passes that on, for it says what became of the effect; the request counts at the next place that can answer it.
    With `drop` it is forgotten: the promotion is over, and what it ended as must still be said. Signals arrive in the main thread only.
    """
    if not _on_main_thread():
        yield
        return
    kept = _State.deferred
    try:  # around the very change: a signal that comes just before or after it must find it undone again
        _State.deferred = kept + 1
        yield
    finally:
        if drop:
            _State.pending = None
        _State.deferred = kept
    _raise_pending()


@contextmanager
def allow_signals() -> Iterator[None]:
    """A part of a held block in which a stop request counts at once. One that came before it counts at its begin."""
    if not _on_main_thread():
        yield
        return
    kept = _State.deferred
    try:
        _State.deferred = 0
        _raise_pending()
        yield
    finally:
        _State.deferred = kept


def clear_pending() -> None:
    """What was asked for is being done anyway: a promotion that goes back is not to be stopped by the request that it should."""
    _State.pending = None


def _raise_pending() -> None:
    if not _State.deferred and _State.pending:
        name, _State.pending = _State.pending, None
        raise Interrupted(name)
