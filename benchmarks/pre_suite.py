"""The pre suite's own CPU on a repository of 100 applications with 1,000 commits to look through; goal at most 5 s, kustomize and git not counted.

python -m benchmarks.pre_suite [APPS] [COMMITS]
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.driver_share import watch
from promote.cli.sandbox_session import repository_files
from promote.sandbox.sandbox import Sandbox
from promote.sandbox.seed import deployment, names

SETTLES_S = 400.0  # two hundred applications of the embedded clusters, on a machine that has other work too
OTHERS = ("git", "kubectl", "kustomize")


def history(clone: Path, count: int, apps: int, env: dict[str, str]) -> None:
    """Many small commits on the trunk, in one process; each changes one application's image."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, capture_output=True, text=True, check=True).stdout.strip()
    every = [n for n in names(apps) if n not in ("cert-manager", "external-dns")]
    stream = []
    for number in range(count):
        app = every[number % len(every)]
        text = deployment(app, image=f"2.{number}.0").decode()
        message = f"fix({app}): image 2.{number}.0, for acme-{number:x} (#{number + 1})\n"
        stream.append(
            f"commit refs/heads/main\ncommitter Ada <ada@acme.example> {1795000000 + number} +0000\ndata {len(message.encode())}\n{message}"
            + (f"from {head}\n" if number == 0 else "")
            + f"M 100644 inline apps/{app}/base/deployment.yaml\ndata {len(text.encode())}\n{text}\n"
        )
    subprocess.run(["git", "fast-import", "--quiet", "--force"], cwd=clone, input="".join(stream).encode(), check=True, env=env)
    subprocess.run(["git", "reset", "-q", "--hard", "main"], cwd=clone, check=True, env=env)
    subprocess.run(["git", "push", "-q", "origin", "main"], cwd=clone, check=True, env=env)


def main() -> int:
    given = [int(a) for a in sys.argv[1:]]
    apps, commits = (*given, *(100, 1000)[len(given) :])
    with tempfile.TemporaryDirectory() as scratch:
        sandbox = Sandbox(Path(scratch) / "world", files=repository_files("git"), apps=apps, act=False, commands=[Path(sys.executable).parent])
        with contextlib.ExitStack() as stack:
            stack.callback(sandbox.stop)
            sandbox.start()
            sandbox.wait_settled(SETTLES_S)
            clone = sandbox.clone(Path(scratch) / "clone")
            history(clone, commits, apps, sandbox.env)
            sandbox.refresh()
            sandbox.wait_settled(SETTLES_S)  # dev shows the candidate already: this wait is not measured
            started = time.monotonic()
            argv = [sys.executable, "-m", "pytest", "checks/pre", "-q", "-p", "no:cacheprovider", "--promote-version", "v1.8.0"]
            child = subprocess.Popen(argv, cwd=clone, env=sandbox.env, stdout=subprocess.PIPE, text=True)
            seen: dict[int, tuple[str, float]] = {}
            stop = threading.Event()
            watcher = threading.Thread(target=watch, args=(child.pid, seen, stop))
            watcher.start()
            said, _ = child.communicate()
            stop.set()
            watcher.join()
    print("\n".join(line for line in said.splitlines() if line[:1] in "✓✗?"))
    ours = sum(cpu for command, cpu in seen.values() if not command.startswith(OTHERS))
    theirs = sum(cpu for command, cpu in seen.values() if command.startswith(OTHERS))
    wall = time.monotonic() - started
    print(f"{apps} applications, {commits} commits · wall {wall:.1f} s · pytest's own CPU {ours:.1f} s (goal 5) · git and kustomize {theirs:.1f} s")
    return child.returncode


if __name__ == "__main__":
    sys.exit(main())
