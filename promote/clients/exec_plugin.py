"""A kubeconfig's exec plugin runs inside the kubernetes client, which waits for it without end: this gives it a deadline, and ends what hangs."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import TypeVar

from promote.errors import Denied

T = TypeVar("T")


def within(seconds: float, act: Callable[[], T], name: str, plugin: str) -> T:
    """`act`, given up after so many seconds, with the processes it started. Without a plugin nothing can hang, and it is done right here.

    Raises Denied when it did not end; what `act` raises passes through.
    """
    if not plugin:
        return act()
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(act())
        except BaseException as error:
            done.set_exception(error)

    quiet, root = logging.NullHandler(), logging.getLogger()
    root.addHandler(quiet)  # the client logs a plugin's failure, with what the plugin printed; without any handler that lands on stderr
    thread = Thread(target=run, daemon=True, name=f"exec plugin {plugin}")
    thread.start()
    try:
        return done.result(timeout=seconds)
    except TimeoutError as error:
        for pid in list(_started_by(f"/proc/self/task/{thread.native_id}/children")):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        raise Denied(
            f"cluster {name}", f"the exec plugin {plugin} did not end within {seconds:.0f} s", hint=f"run {plugin} by hand: does it ask?"
        ) from error
    finally:
        root.removeHandler(quiet)


def _started_by(children: str) -> Iterator[int]:
    """Process ids from the kernel's list of a thread's children, and theirs. Empty where there is no such list (not Linux): then they stay."""
    try:
        pids = [int(pid) for pid in Path(children).read_text().split()]
    except OSError:
        return
    for pid in pids:
        yield pid
        yield from _started_by(f"/proc/{pid}/task/{pid}/children")
