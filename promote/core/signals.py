"""Stop requests: ^C, SIGTERM and SIGHUP become one exception, `Interrupted`, in the main thread.

Our own signal handler must not interrupt a push that moves a tag, so `defer_signals()` postpones the exception to the end of a short block. A whole
promotion is such a block as well, and each of its steps runs inside `allow_signals()`. So a stop request that arrives between two steps, or after
the last one, is answered by the next step or at the end, and none is lost.
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
    """Process-wide, because signals are. Only the main thread writes it."""

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
    """Within the block, stop signals raise `Interrupted`. Does nothing outside the main thread, where no signals arrive."""
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
    """Postpone a stop request to the end of the block: for the seconds in which an effect is in progress and its result unknown.

    When the block raises an exception, that exception passes through, because it describes the effect's result; the stop request stays pending.
    `drop`: discard the request at the end, because the promotion is over and must still report how it ended. Main thread only.
    """
    if not _on_main_thread():
        yield
        return
    kept = _State.deferred
    try:  # starts before the counter changes: a signal between the two statements must still restore it
        _State.deferred = kept + 1
        yield
    finally:
        if drop:
            _State.pending = None
        _State.deferred = kept
    _raise_pending()


@contextmanager
def allow_signals() -> Iterator[None]:
    """Within a `defer_signals` block, let stop requests raise at once. A request that is already pending raises at the start."""
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
    """Drop a pending stop request: a rollback is what the user asked for, so the request that caused it must not interrupt it."""
    _State.pending = None


def _raise_pending() -> None:
    if not _State.deferred and _State.pending:
        name, _State.pending = _State.pending, None
        raise Interrupted(name)
