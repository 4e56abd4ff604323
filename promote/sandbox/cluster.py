"""One cluster: API server, workloads and Argo CD around one store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from promote.sandbox.argocd.compare import Revisions
from promote.sandbox.argocd.controller import Controller
from promote.sandbox.argocd.sync import Timing
from promote.sandbox.kube.api import KubeApi
from promote.sandbox.kube.store import Object, Store
from promote.sandbox.kube.workloads import Workloads


class AnyCluster(Protocol):
    """What the rest of the sandbox needs of a cluster: the embedded one below, or real programs (real/cluster.py)."""

    name: str

    @property
    def access(self) -> Object:
        """The `cluster` entry of a kubeconfig."""

    @property
    def token(self) -> str:
        """An administrator's."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def apply(self, manifest: Object) -> None: ...

    def get(self, kind: str, namespace: str, name: str) -> Object | None: ...

    def list(self, kind: str, namespace: str | None = None) -> list[Object]: ...

    def delete(self, kind: str, namespace: str, name: str) -> None: ...

    def patch(self, kind: str, namespace: str, name: str, change: Object) -> None: ...


class Cluster:
    """`repositories` maps a repoURL as Applications write it to a bare repository on disk; every use reads it again."""

    def __init__(self, name: str, *, repositories: Mapping[str, Path], timing: Timing | None = None) -> None:
        timing = timing or Timing()
        self.name, self.timing = name, timing
        self.store = Store()
        self.api = KubeApi(name, self.store)
        self.workloads = Workloads(self.store, ready_s=timing.ready_s, deadline_s=timing.progress_deadline_s)
        self.workloads.logs = self.api.logs
        self.controller = Controller(self.store, Revisions(repositories, timing.ref_cache_s), self.workloads, timing)
        for namespace in ("default", "kube-system", "argocd"):
            self.apply({"kind": "Namespace", "metadata": {"name": namespace}})
        self.apply({"kind": "ConfigMap", "metadata": {"name": "argocd-cm", "namespace": "argocd"}})
        self.apply({"kind": "AppProject", "metadata": {"name": "default", "namespace": "argocd"}, "spec": {}})  # as Argo CD creates it at its start

    @property
    def url(self) -> str:
        return self.api.url

    @property
    def access(self) -> Object:
        return {"server": self.url}

    @property
    def token(self) -> str:
        return "sandbox-token"

    def start(self) -> None:
        self.api.start()
        self.controller.start()

    def stop(self) -> None:
        self.controller.stop()
        self.api.stop()

    def apply(self, manifest: Object) -> None:
        """Create or replace any object, as a cluster admin."""
        self.store.put(manifest)

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        return self.store.get(kind, namespace, name)

    def list(self, kind: str, namespace: str | None = None) -> list[Object]:
        return self.store.list(kind, namespace)

    def patch(self, kind: str, namespace: str, name: str, change: Object) -> None:
        """A merge-patch, as a cluster admin."""
        self.store.patch(kind, namespace, name, change)

    def delete(self, kind: str, namespace: str, name: str) -> None:
        self.store.delete(kind, namespace, name)

    def freeze(self) -> None:
        """Argo CD stops looking at anything."""
        self.controller.freeze()

    def thaw(self) -> None:
        self.controller.thaw()
