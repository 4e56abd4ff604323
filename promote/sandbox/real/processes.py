"""Children of one guard process: each in a process group of its own, none outlives the guard. Knows no program by name."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1  # from linux/prctl.h
STOP_S = 5.0
LOWEST = 10_000


class StartError(Exception):
    """A program did not come up; the message ends with the last lines of its log."""


def free_ports(count: int) -> list[int]:
    """Loopback ports that were free a moment ago, all different. None from the range that the kernel assigns to programs that bind or connect without
    a port.

    Now and then, another process takes such a port before its program listens (seen: a scheduler that found its port in use).
    """
    found: list[int] = []
    for port in random.sample(range(LOWEST, _first_given_out()), k=_first_given_out() - LOWEST):
        if len(found) == count:
            break
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return found


def _first_given_out() -> int:
    try:
        return max(int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]), LOWEST + 1000)
    except OSError:
        return 32768  # not Linux: the others begin later


class Processes:
    """Starts children with a log file each in `folder` and ends them all, the youngest first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, argv: Sequence[str | Path | int], env: Mapping[str, str]) -> None:
        """Start one child. On Linux the kernel kills it when the guard dies, however that happens."""
        # A file and not a pipe: nothing here reads, and a full pipe would stop the program.
        with (self.folder / f"{name}.log").open("ab") as log:
            self._children[name] = subprocess.Popen(
                [str(a) for a in argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=self.folder,
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - the guard has one thread
            )

    def pids(self) -> dict[str, int]:
        return {name: child.pid for name, child in self._children.items()}

    def dead(self) -> list[str]:
        """What ended by itself."""
        return [name for name, child in self._children.items() if child.poll() is not None]

    def wait_port(self, name: str, port: int, seconds: float = 60) -> None:
        """Until the child accepts connections. Raises StartError when it ends first or takes too long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._children[name].poll() is None:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            time.sleep(0.05)
        raise StartError(f"{name} did not come up:\n{self.tail(name)}")

    def tail(self, name: str) -> str:
        log = self.folder / f"{name}.log"
        return log.read_text(errors="replace")[-2000:] if log.is_file() else "(no log)"

    def stop(self) -> None:
        """Send SIGTERM to every group, and SIGKILL to the remaining ones after a moment."""
        children = list(reversed(self._children.values()))
        for child in children:
            _signal(child, signal.SIGCONT)  # a frozen one does not hear anything else
            _signal(child, signal.SIGTERM)
        end = time.monotonic() + STOP_S
        for child in children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(max(0.0, end - time.monotonic()))
            _signal(child, signal.SIGKILL)  # the group: also what the child started and left behind
            child.wait()


def _signal(child: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
