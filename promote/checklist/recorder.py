"""The suite's memory: JSON lines on disk before the next check starts. The verdict comes from here, never from an exit code or JUnit."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class Recorder:
    """Appends events: collected (ids), begin (the check that runs now), check (one judged), finish (pytest's exit status, only at a regular end)."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def write(self, event: str, **fields: object) -> None:
        if self._path is None:
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, json.dumps({"event": event, **fields}, default=str).encode() + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_events(path: Path) -> list[dict[str, Any]]:
    """All whole lines so far; [] while there is no file."""
    if not path.exists():
        return []
    found = []
    for line in path.read_bytes().split(b"\n"):
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found
