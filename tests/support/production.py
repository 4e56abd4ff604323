"""A small production for the tests: a bare repository, the sandbox's cluster with an Argo CD that follows its tag, and our client to it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from promote.argocd.application import Application
from promote.argocd.client import ArgoCD
from promote.config.schema import ArgoCD as ArgoCDSettings
from promote.config.schema import ProdCluster, Settings
from promote.convergence.application_status import Goal
from promote.git.url import Addresses
from promote.kube.client import Kube, connect
from promote.sandbox.cluster import Cluster, Timing
from tests.support.repos import git

URL = "https://git.example.org/acme/gitops.git"
QUICK = Timing(
    reconcile_s=0.01, sync_s=0.02, ready_s=0.05, health_lag_s=0.02, progress_deadline_s=0.2, terminate_s=0.02, ref_cache_s=0.05, poll_s=600
)
SETTINGS = Settings(
    root=Path(),
    prod=ProdCluster(root_app="argocd"),
    argocd=ArgoCDSettings(successes=2, poll_interval=0.1, refresh_interval=0.5, degraded_grace=0.5),  # type: ignore[arg-type]
)


def oidc_user(issuer: str) -> dict[str, Any]:
    """A kubeconfig's user of OpenID Connect whose token ran out."""
    head, claims = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "none"}, {"exp": 1}))
    config = {"idp-issuer-url": issuer, "client-id": "c", "client-secret": "s", "id-token": f"{head}.{claims}.x", "refresh-token": "r"}
    return {"auth-provider": {"name": "oidc", "config": config}}


def kubeconfig(folder: Path, server: str, user: dict[str, Any] | None = None) -> Path:
    path = folder / "kubeconfig"
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": server}}],
                "users": [{"name": "u", "user": user or {"token": "secret-token"}}],
                "contexts": [{"name": "prod", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "prod",
            }
        )
    )
    return path


def app_manifest(name: str, path: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd"},
        "spec": {
            "project": "default",
            "source": {"repoURL": URL, "path": path, "targetRevision": "prod-stable"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "argocd" if path == "root" else "shop"},
            "syncPolicy": {"automated": {"prune": True, "selfHeal": True}},
            **spec,
        },
    }


def deployment(name: str, version: str, behaviour: str = "") -> dict[str, Any]:
    labels = {"app": name}
    noted = {"annotations": {"sandbox.promote/behaviour": behaviour}} if behaviour else {}
    template = {"metadata": {"labels": labels, **noted}, "spec": {"containers": [{"name": "main", "image": f"{name}:{version}"}]}}
    meta = {"name": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
    }


@dataclass
class Production:
    cluster: Cluster
    repositories: dict[str, Path]  # what the repo-server can reach
    clone: Path
    kube: Kube
    argocd: ArgoCD

    def commit(self, files: dict[str, dict[str, Any] | None]) -> str:
        """Write manifests (None removes one) and return the commit."""
        for path, data in files.items():
            target = self.clone / path
            if data is None:
                target.unlink()
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(json.dumps(data))
        git(self.clone, "add", "-A")
        git(self.clone, "commit", "-qm", "change", "--allow-empty")
        return git(self.clone, "rev-parse", "HEAD")

    def move(self, commit: str) -> Goal:
        """Move the tag, in one push, and set what production must show now."""
        git(self.clone, "tag", "-a", "-f", "prod-stable", commit, "-m", "x")
        git(self.clone, "push", "-q", "-f", "origin", "HEAD:main", "refs/tags/prod-stable")
        return Goal.for_tag([git(self.clone, "rev-parse", "prod-stable"), commit], SETTINGS, Addresses.of(URL))

    def app(self, name: str) -> Application:
        return next(a for a in self.argocd.applications() if a.name == name)


@contextmanager
def production(folder: Path, names: tuple[str, ...] = ("web", "db"), timing: Timing = QUICK) -> Iterator[Production]:
    """Root and applications are created by Argo CD from the repository; nothing has been waited for."""
    remote, clone = folder / "remote.git", folder / "clone"
    git(folder, "init", "-q", "--bare", "-b", "main", str(remote))
    git(folder, "clone", "-q", str(remote), str(clone))
    repositories = {URL: remote}
    cluster = Cluster("prod", repositories=repositories, timing=timing)
    cluster.start()
    try:
        kube = connect("prod", kubeconfig(folder, cluster.url), "")
        world = Production(cluster, repositories, clone, kube, ArgoCD(kube, ["argocd"]))
        files = {f"root/{n}.yaml": app_manifest(n, f"apps/{n}") for n in names} | {f"apps/{n}/d.yaml": deployment(n, "1") for n in names}
        world.move(world.commit(files))
        cluster.apply({"kind": "Namespace", "metadata": {"name": "shop"}})
        cluster.apply(app_manifest("argocd", "root"))
        yield world
    finally:
        cluster.stop()


def with_argocd(settings: Settings = SETTINGS, **changes: Any) -> Settings:
    return replace(settings, argocd=replace(settings.argocd, **changes))
