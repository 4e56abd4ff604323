"""Which processes a command left behind: found by a mark in their environment, whatever session or group they moved to."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from pathlib import Path

NAME = "PROMOTE_TEST_MARK"


def mark() -> dict[str, str]:
    """An environment variable that everything started with it inherits."""
    return {NAME: uuid.uuid4().hex}


def left(environment: Mapping[str, str], *, patience_s: float = 3.0) -> list[str]:
    """The command lines of those still alive after a moment (a killed process takes one to go)."""
    end = time.monotonic() + patience_s
    while (found := _with(environment)) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def is_marked(process: Path, environment: Mapping[str, str]) -> bool:
    """Whether the process of this folder in /proc has the mark. Raises OSError when it is gone, or another user's."""
    return f"{NAME}={environment[NAME]}".encode() in (process / "environ").read_bytes().split(b"\0")


def _with(environment: Mapping[str, str]) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if is_marked(process, environment):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue  # it has just gone, or it is another user's
    return found
