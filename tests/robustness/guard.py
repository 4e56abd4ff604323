"""One guard of the code, and the tests that must miss it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Guard:
    """`before` is the guard's exact text in `file` (once), `after` what stands there without it; one of `tests` (files or tests, then -k words) must
    go red."""

    name: str
    file: str
    before: str
    after: str
    tests: str
    words: str = ""
