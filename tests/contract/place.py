"""What the contract tests deploy: manifests, and applications of one test in a namespace of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from tests.contract.api import ARGO, Api, Object, synced
from tests.contract.worlds import Repository

AUTOMATED = {"automated": {"prune": True, "selfHeal": True}, "syncOptions": ["CreateNamespace=true"]}
FINALIZER = "resources-finalizer.argocd.argoproj.io"


def dump(*documents: Object) -> bytes:
    return yaml.safe_dump_all(documents, sort_keys=False).encode()


def config_map(name: str = "settings", **data: str) -> bytes:
    return dump({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data or {"key": "one"}})


def deployment(name: str = "web", *, image: str = "web:1", behaviour: str = "", deadline: int = 600, **annotations: str) -> bytes:
    """A Deployment whose pods follow `behaviour` (docs/testing.md); `deadline` in seconds; `annotations` are its own."""
    meta: Object = {"labels": {"app": name}} | ({"annotations": {"sandbox.promote/behaviour": behaviour}} if behaviour else {})
    spec = {
        "replicas": 1,
        "progressDeadlineSeconds": deadline,
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": meta, "spec": {"containers": [{"name": "main", "image": image}]}},
    }
    own: Object = {"name": name} | ({"annotations": annotations} if annotations else {})
    return dump({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": own, "spec": spec})


def refused_service(name: str = "bad") -> bytes:
    """What no API server takes."""
    spec = {"selector": {"app": "web"}, "ports": [{"port": 9999999}]}
    return dump({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})


def waiting_hook(name: str = "migrate", behaviour: str = "hook-waits") -> bytes:
    """A Job before the sync; with this behaviour it never completes."""
    meta = {"name": name, "annotations": {"argocd.argoproj.io/hook": "PreSync", "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation"}}
    pod = {"metadata": {"annotations": {"sandbox.promote/behaviour": behaviour}} if behaviour else {},
           "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "migrate:1"}]}}  # fmt: skip
    return dump({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": {"template": pod}})


@dataclass
class Place:
    """Creates applications named after the test's own prefix, and removes them with what they deployed."""

    api: Api
    repo: Repository
    namespace: str
    made: list[str] = field(default_factory=list)

    def name(self, word: str) -> str:
        return f"{self.namespace}-{word}"

    def source(self, target: str, path: str = "app") -> Object:
        return {"repoURL": self.repo.url, "targetRevision": target, "path": path}

    def manifest(self, word: str, target: str, path: str = "app", *, finalizer: bool = True, labels: Object | None = None, **spec: Any) -> Object:
        meta: Object = {"name": self.name(word), "namespace": "argocd"} | ({"labels": labels} if labels else {})
        if finalizer:
            meta["finalizers"] = [FINALIZER]
        source = {} if "sources" in spec or "source" in spec else {"source": self.source(target, path)}
        destination = {"server": "https://kubernetes.default.svc", "namespace": self.namespace}
        body = {"project": "default", "destination": destination, "syncPolicy": AUTOMATED, **source, **spec}
        return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": meta, "spec": body}

    def app(self, word: str, target: str, path: str = "app", **spec: Any) -> str:
        """Create an application; its name."""
        manifest = self.manifest(word, target, path, **spec)
        self.api.create(f"{ARGO}/applications", manifest)
        return self.track(word)

    def track(self, word: str) -> str:
        """Remember an application that another user creates."""
        self.made.append(self.name(word))
        return self.made[-1]

    def deployed(self, files: dict[str, bytes], tag: str = "stable") -> tuple[str, str]:
        """One application at rest on a tag with these files under app/: (its name, the commit)."""
        commit = self.repo.commit({f"app/{path}": content for path, content in files.items()})
        self.repo.tag(tag, commit)
        name = self.app("app", tag)
        self.api.wait(name, synced(commit))
        return name, commit

    def clear(self) -> None:
        for name in self.made:
            path = f"{ARGO}/applications/{name}"
            status, app = self.api.call("GET", path)
            if status == 200 and app.get("operation") is not None:
                self.api.call("PATCH", path, {"status": {"operationState": {"phase": "Terminating"}}}, content="application/merge-patch+json")
            self.api.delete(path)
