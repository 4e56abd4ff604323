"""One real cluster in the place of the embedded one: the same surface (cluster.py), with real programs behind it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from promote.sandbox.kube_store import Object
from promote.sandbox.real.programs import Ports, Programs
from promote.sandbox.real.rest import Rest

START_S = 120.0
STOP_S = 30.0
SOURCE = Path(__file__).resolve().parents[3]  # where this very code is importable from


class RealStackError(Exception):
    """The real stack cannot be had; the message says why and what to do."""


class RealCluster:
    """`binaries` is what `just real-stack` built. Everything else lives in a temporary folder, on free ports, until `stop`.

    A guard process owns the programs and ends them when this process ends, in whatever way.
    """

    def __init__(self, name: str, binaries: Path) -> None:
        self.name, self.binaries = name, binaries
        self.folder = Path()
        self.pids: dict[str, int] = {}
        self.ports: dict[str, int] = {}
        self.seconds = 0.0
        self.rest: Rest
        self._guard: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return self.rest.url

    @property
    def access(self) -> Object:
        """The `cluster` entry of a kubeconfig."""
        return {"server": self.url, "certificate-authority": str(self.folder / "certs" / "apiserver.crt")}

    @property
    def tokens(self) -> dict[str, str]:
        """User name → token: `admin`, and some without rights."""
        found: dict[str, str] = json.loads((self.folder / "users.json").read_text())
        return found

    @property
    def token(self) -> str:
        return self.tokens["admin"]

    def launch(self) -> None:
        """Start it and do not wait: `wait` does."""
        lacking = Programs(binaries=self.binaries, state=self.folder, ports=Ports.free()).missing()
        if lacking:
            raise RealStackError(f"{self.binaries} has no {', '.join(lacking)}: build the real stack first (just real-stack)")
        self.folder = Path(tempfile.mkdtemp(prefix=f"promote-real-{self.name}-"))
        self._guard = subprocess.Popen(
            [sys.executable, "-m", "promote.sandbox.real.guard", str(self.binaries), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
        )

    def wait(self) -> None:
        """Until Argo CD reconciles. Raises RealStackError with the log of what did not come up."""
        guard = self._guard
        assert guard and guard.stdout
        line = guard.stdout.readline() if select.select([guard.stdout], [], [], START_S)[0] else ""
        said: dict[str, Any] = json.loads(line) if line else {"error": f"nothing was heard for {START_S:.0f} s"}
        if "error" in said:
            self.stop()
            raise RealStackError(f"the real stack did not start: {said['error']}")
        self.pids, self.ports, self.seconds = said["pids"], said["ports"], said["ready"]
        self.rest = Rest(said["url"], self.token, self.folder / "certs" / "apiserver.crt")

    def start(self) -> None:
        self.launch()
        self.wait()

    def stop(self) -> None:
        """Idempotent. Returns when every program has ended and the folder is gone."""
        guard, self._guard = self._guard, None
        if guard is None:
            return
        if hasattr(self, "rest"):
            self.rest.close()
        with contextlib.suppress(OSError):
            guard.stdin.close()  # type: ignore[union-attr]
        try:
            guard.wait(STOP_S)
        except subprocess.TimeoutExpired:
            guard.terminate()
            guard.wait(STOP_S)
        guard.stdout.close()  # type: ignore[union-attr]

    def apply(self, manifest: Object) -> None:
        """Create or replace any object, as a cluster admin."""
        self.rest.apply(manifest)

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        return self.rest.get(kind, namespace, name)

    def list(self, kind: str, namespace: str | None = None) -> list[Object]:
        return self.rest.list(kind, namespace)

    def delete(self, kind: str, namespace: str, name: str) -> None:
        self.rest.delete(kind, namespace, name)

    def patch(self, kind: str, namespace: str, name: str, change: Object) -> None:
        self.rest.patch(kind, namespace, name, change)

    def freeze(self) -> None:
        """Argo CD stops looking at anything."""
        os.kill(self.pids["argocd-application-controller"], signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pids["argocd-application-controller"], signal.SIGCONT)
