"""Real programs as their starter sees them: launched through a guard, waited for, stopped. They end with this process, however it ends."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

START_S = 120.0
STOP_S = 30.0
SOURCE = Path(__file__).resolve().parents[3]  # where this very code is importable from


class RealStackError(Exception):
    """The real stack is not available; the message contains the reason and the fix."""


class Guarded:
    """One guard (guard.py) and the set of programs that it owns: `what` is one of its sets, `folder` their state, until `stop`."""

    build = "just real-stack"

    def __init__(self, what: str, name: str, binaries: Path) -> None:
        self.what, self.name, self.binaries = what, name, binaries
        self.folder = Path()
        self.pids: dict[str, int] = {}
        self.ports: dict[str, int] = {}
        self.seconds = 0.0
        self._guard: subprocess.Popen[str] | None = None

    def lacking(self) -> list[str]:
        """What the folder of binaries lacks."""
        raise NotImplementedError

    def launch(self) -> None:
        """Start it and do not wait: `wait` does."""
        if lacking := self.lacking():
            raise RealStackError(f"{self.binaries} has no {', '.join(lacking)}: build the real stack first ({self.build})")
        self.folder = Path(tempfile.mkdtemp(prefix=f"promote-real-{self.name}-"))
        self._guard = subprocess.Popen(
            [sys.executable, "-m", "promote.sandbox.real.guard", self.what, str(self.binaries), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
        )

    def wait(self) -> dict[str, Any]:
        """Wait until the guard reports that everything runs; returns its answer. Raises RealStackError with the log of a program that did not
        start."""
        guard = self._guard
        assert guard and guard.stdout
        line = guard.stdout.readline() if select.select([guard.stdout], [], [], START_S)[0] else ""
        answer: dict[str, Any] = json.loads(line) if line else {"error": f"no answer for {START_S:.0f} s"}
        if "error" in answer:
            self.stop()
            raise RealStackError(f"the real stack did not start: {answer['error']}")
        self.pids, self.ports, self.seconds = answer["pids"], answer["ports"], answer["ready"]
        return answer

    def start(self) -> None:
        self.launch()
        self.wait()

    def stop(self) -> None:
        """Idempotent. Returns when every program has ended and the folder is gone."""
        guard, self._guard = self._guard, None
        if guard is None:
            return
        with contextlib.suppress(OSError):
            guard.stdin.close()  # type: ignore[union-attr]
        try:
            guard.wait(STOP_S)
        except subprocess.TimeoutExpired:
            guard.terminate()
            guard.wait(STOP_S)
        guard.stdout.close()  # type: ignore[union-attr]
