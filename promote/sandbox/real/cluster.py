"""One real cluster in the place of the embedded one: the same surface (cluster.py), with real programs behind it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from promote.sandbox.kube.store import Object
from promote.sandbox.real.guarded import Guarded, RealStackError
from promote.sandbox.real.programs import Ports, Programs
from promote.sandbox.real.rest import Rest

__all__ = ["RealCluster", "RealStackError"]


class RealCluster(Guarded):
    """`binaries` is what `just real-stack` built. Everything else lives in a temporary folder, on free ports, until `stop`.

    A guard process owns the programs and ends them when this process ends, in whatever way.
    """

    def __init__(self, name: str, binaries: Path) -> None:
        super().__init__("cluster", name, binaries)
        self.rest: Rest

    def lacking(self) -> list[str]:
        return Programs(binaries=self.binaries, state=self.folder, ports=Ports.free()).missing()

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

    def wait(self) -> dict[str, Any]:
        """Until Argo CD reconciles."""
        ready = super().wait()
        self.rest = Rest(ready["url"], self.token, self.folder / "certs" / "apiserver.crt")
        return ready

    def stop(self) -> None:
        if self._guard and hasattr(self, "rest"):
            self.rest.close()
        super().stop()

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
