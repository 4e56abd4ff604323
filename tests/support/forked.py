"""A Python child process of a test without the cost of its imports: forked from a server that has imported promote's libraries once.

Importing pytest, PyGithub, the Kubernetes client and promote takes half of such a child's CPU time. The forked child has its own process, folder,
environment and output. /proc shows the server's environment for it: a test that looks for processes there starts a new interpreter.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import DEVNULL, CompletedProcess, run
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
# Not promote.checklist.plugin: pytest rewrites the assertions of a plugin when it imports it.
_IMPORTED = (
    "pytest", "pytest_timeout", "_pytest.doctest", "_pytest.junitxml", "git", "github", "kubernetes.client", "kubernetes.config", "rich.console",
    "promote.checklist.conclusion", "promote.checklist.fixtures", "promote.checks", "promote.connect", "promote.monitoring.clients",
    "tests.support.forked",
)  # fmt: skip
_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(list(_IMPORTED))


def run_module(module: str, args: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> CompletedProcess[str]:
    """`python -m module args` in a new interpreter."""
    return run([sys.executable, "-m", module, *args], cwd=cwd, env=env, stdin=DEVNULL, capture_output=True, text=True, check=False)


def run_forked(module: str, args: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> CompletedProcess[str]:
    """The same in a forked child. Everything that it wrote is in `stdout`."""
    with TemporaryDirectory() as folder:
        output = Path(folder) / "output"
        child = _server.Process(target=_run, args=(module, list(args), cwd, dict(env), output))
        child.start()
        child.join()
        code = child.exitcode
        child.close()
        return CompletedProcess([module, *args], -1 if code is None else code, output.read_text(errors="replace"), "")


def _run(module: str, args: list[str], cwd: Path, env: dict[str, str], output: Path) -> None:
    """In the child: what a new interpreter would find."""
    for number, (path, flags) in enumerate([(os.devnull, os.O_RDONLY), (output, os.O_WRONLY | os.O_CREAT)]):
        os.dup2(os.open(path, flags), number)
    os.dup2(1, 2)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = [module, *args]
    sys.path[:] = [str(cwd), *(entry for entry in sys.path if entry not in ("", str(ROOT))), str(ROOT)]
    sys.dont_write_bytecode = bool(env.get("PYTHONDONTWRITEBYTECODE"))
    runpy.run_module(module, run_name="__main__", alter_sys=True)
