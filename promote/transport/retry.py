"""Asking again: a read that met a passing fault (a dropped connection, a gateway's 502) is repeated a few times within its own deadline.

For reads only: whoever writes re-reads the world instead. What is refused or silent is not asked again here: nobody is there, or the time is used up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from promote.core.deadline import Clock, Deadline

T = TypeVar("T")

PAUSES_S = (0.1, 0.2, 0.4, 0.8, 1.6)  # with one read in five failing, six tries in a row fail once in 15,000 reads
GATEWAY = frozenset({502, 503, 504})


def retry_transient(ask: Callable[[float], T], *, passing: Callable[[T], bool], within_s: float, clock: Clock | None = None) -> T:
    """The first answer that is not `passing`, or the last one. `ask` gets the seconds that are left and returns its failures as values."""
    deadline = Deadline(within_s, clock or Clock())
    answer = ask(within_s)
    for pause in PAUSES_S:
        if not passing(answer) or deadline.left <= pause:
            break
        deadline.sleep(pause)
        answer = ask(deadline.limit(within_s))
    return answer
