"""Running another program (bd, kustomize, a team's tests): a deadline, no stdin, no forge token. Judges nothing.

It has a process group of its own, so that all of it dies at once, in our session, so that what ends a suite finds it (`suite.py`).
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promote.core.errors import NotFound, Unreachable

PIPES_S = 1.0  # how long the last words of a command that is over are waited for
SECRET = ("GITHUB_TOKEN", "GH_TOKEN", "PROMOTE_GIT_TOKEN")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How it ended. `both` is stdout and stderr as they came, when they were asked for together."""

    code: int
    out: str
    err: str


def apart() -> dict[str, Any]:
    """How to start a child that may want to ask somebody (git, gh): as a group of its own, and where there is a terminal in a session of its own
    too, for ssh asks there past stdin. A suite has no terminal: what it asks stays in its session, and dies with it.
    """
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return {"process_group": 0}
    return {"start_new_session": True}


def kill_group(pid: int) -> None:
    """End a child that leads its own process group, with everything it started: what it left running holds our pipes and must not outlive it."""
    with suppress(ProcessLookupError, PermissionError):  # macOS refuses a group of which only a zombie is left
        os.killpg(pid, signal.SIGKILL)


def last_words(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """End a command that leads its own group, and what it has said. Its pipes may never end: a helper's daemon in a session of its own holds them and
    outlives the group."""
    kill_group(process.pid)
    try:
        out, err = process.communicate(timeout=PIPES_S)
        return out or b"", err or b""
    except subprocess.TimeoutExpired as held_open:
        return held_open.output or b"", held_open.stderr or b""
    finally:
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                with suppress(OSError):
                    pipe.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(PIPES_S)


def run_program(argv: Sequence[str], *, cwd: Path, seconds: float, together: bool = False) -> Ended:
    """Run it and wait for its end; whatever it started dies with it.

    `together`: stderr goes into `out`, in order. Raises NotFound when it cannot be started, Unreachable when it does not end within `seconds`.
    """
    env = {name: value for name, value in os.environ.items() if name not in SECRET}
    err = subprocess.STDOUT if together else subprocess.PIPE
    try:
        child = subprocess.Popen(
            list(argv), cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err, process_group=0
        )  # fmt: skip
    except OSError as error:
        raise NotFound(argv[0], f"cannot be started: {error.strerror}", hint="is it installed, executable and spelled right?") from error
    try:
        said, complained = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as late:
        over = child.poll() is not None  # and something that it started holds its pipes
        said, complained = last_words(child)
        if not over:
            tail = " | ".join(said.decode(errors="replace").splitlines()[-3:])
            what = f"did not end within {seconds:.0f} s" + (f"; its last words: {tail}" if tail else "")
            raise Unreachable(argv[0], what, hint="run it by hand to see what it waits for") from late
    finally:
        kill_group(child.pid)
    return Ended(code=child.returncode, out=said.decode(errors="replace"), err=(complained or b"").decode(errors="replace"))
