"""Ending a child with everything it started, also what left its process group (act gives every step a session of its own)."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path


def kill_tree(root: int) -> None:
    """SIGKILL to `root` and all its descendants. The root is stopped first, so that it starts nothing while the others are counted."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(root, signal.SIGSTOP)
    family = descendants(root)
    groups = {group for pid, group in family.items() if group != os.getpgrp()}
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    for pid in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def descendants(root: int) -> dict[int, int]:
    """`root` and what descends from it now: process id → process group."""
    rows = _table()
    family = {pid: group for pid, _, group in rows if pid == root}
    fresh = family
    while fresh:
        fresh = {pid: group for pid, parent, group in rows if parent in family and pid not in family}
        family |= fresh
    return family


def _table() -> list[tuple[int, int, int]]:
    """(process, parent, group) of everything that runs: from /proc, and from `ps` where there is none (a slim Linux has no ps, macOS no /proc)."""
    if not Path("/proc/self/stat").exists():
        lines = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,pgid="], capture_output=True, text=True, check=True).stdout.splitlines()
        return [(int(pid), int(parent), int(group)) for pid, parent, group in (line.split() for line in lines)]
    rows = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # ended meanwhile
                _, parent, group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
                rows.append((int(entry.name), int(parent), int(group)))
    return rows
