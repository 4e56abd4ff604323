"""Running another program (bd, kustomize, a team's tests) with a deadline, without stdin and without the forge's token. Does not interpret its
result.

Each child leads its own process group, so that one signal ends it with its descendants, and stays in our session, so that the suite runner
(`checklist/runner.py`) finds it.
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
from promote.core.foreign import split_lines

PIPES_S = 1.0  # how long to wait for the remaining output of a command that has ended
SECRET = ("GITHUB_TOKEN", "GH_TOKEN", "PROMOTE_GIT_TOKEN")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """A finished program: its exit code, stdout and stderr."""

    code: int
    out: str
    err: str


def apart() -> dict[str, Any]:
    """Popen arguments for a child that may prompt the user (git, gh): its own process group, and with a terminal also its own session."""
    # ssh prompts on the terminal even when stdin is closed; in its own session it finds none. A suite has no terminal: its children stay in its
    # session, so that they die with it.
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return {"process_group": 0}
    return {"start_new_session": True}


def kill_group(pid: int) -> None:
    """Kill a child that leads its own process group, with its descendants: they hold our pipes and must not outlive it."""
    with suppress(ProcessLookupError, PermissionError):  # macOS refuses to signal a group that consists of a zombie
        os.killpg(pid, signal.SIGKILL)


def kill_and_collect(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """Kill a command that leads its own group; returns its stdout and stderr so far. Waits at most PIPES_S for the pipes to close."""
    kill_group(process.pid)
    try:
        out, err = process.communicate(timeout=PIPES_S)
        return out or b"", err or b""
    except subprocess.TimeoutExpired as held_open:  # a credential helper's daemon, in its own session, survives the group and holds the pipes
        return held_open.output or b"", held_open.stderr or b""
    finally:
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                with suppress(OSError):
                    pipe.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(PIPES_S)


def run_program(argv: Sequence[str], *, cwd: Path, seconds: float, together: bool = False) -> Ended:
    """Run a program and wait for its end; its descendants die with it.

    `together`: stderr goes into `out`, in order. Raises NotFound when the program cannot be started, Unreachable when it runs longer than `seconds`.
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
        out, errors = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as late:
        ended = child.poll() is not None  # a descendant still holds its pipes
        out, errors = kill_and_collect(child)
        if not ended:
            tail = " | ".join(split_lines(out.decode(errors="replace"))[-3:])
            what = f"did not end within {seconds:.0f} s" + (f"; its last output: {tail}" if tail else "")
            raise Unreachable(argv[0], what, hint="run it by hand to see what it waits for") from late
    finally:
        kill_group(child.pid)
    return Ended(code=child.returncode, out=out.decode(errors="replace"), err=(errors or b"").decode(errors="replace"))
