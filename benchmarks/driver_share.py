"""The driver's own share of a sandbox promotion: CPU of the driver and its pytest children, worlds and git not counted; goal at most 5 s.

    python benchmarks/driver_share.py

The worlds live in this process; git's CPU is taken off by reading the accounting of every process of the driver's tree while it runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from promote.cli.sandbox_session import repository_files
from promote.sandbox.sandbox import Sandbox
from promote.sandbox.scenarios import SCENARIOS

TICK = os.sysconf("SC_CLK_TCK")


def stat(pid: int) -> tuple[int, str, float] | None:
    """(parent, command, own CPU seconds) from /proc."""
    try:
        head, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    except OSError:
        return None
    fields = rest.split()
    return int(fields[1]), head.partition("(")[2], (int(fields[11]) + int(fields[12])) / TICK


def watch(root: int, seen: dict[int, tuple[str, float]], stop: threading.Event) -> None:
    while not stop.wait(0.01):
        table = {int(p.name): s for p in Path("/proc").iterdir() if p.name.isdigit() and (s := stat(int(p.name)))}
        family = {root}
        for pid in sorted(table):
            if table[pid][0] in family:
                family.add(pid)
        for pid in family & table.keys():
            seen[pid] = table[pid][1:]


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        sandbox = Sandbox(Path(scratch) / "world", files=repository_files("git"), act=False, commands=[Path(sys.executable).parent])
        with sandbox:
            version = SCENARIOS["good"].prepare(sandbox)
            clone = sandbox.clone(Path(scratch) / "clone")
            started = time.monotonic()
            child = subprocess.Popen([sys.executable, "-m", "promote", "run", version], cwd=clone, env=sandbox.env, stdout=subprocess.DEVNULL)
            seen: dict[int, tuple[str, float]] = {}
            stop = threading.Event()
            watcher = threading.Thread(target=watch, args=(child.pid, seen, stop))
            watcher.start()
            code = child.wait()
            stop.set()
            watcher.join()
    ours = sum(cpu for command, cpu in seen.values() if not command.startswith("git"))
    print(f"exit {code} · wall {time.monotonic() - started:.1f} s · driver and pytest children {ours:.1f} s of CPU (goal 5)")
    return code


if __name__ == "__main__":
    sys.exit(main())
