"""Application manifests for the tests: one that is well at a commit, and what can be changed about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from promote.argocd.application import Application, parse_application
from promote.config.schema import ArgoCD, Baseline, ProdCluster, Settings
from promote.convergence.application_status import Goal
from promote.git.url import Addresses

REPOSITORY = "https://git.example.org/acme/gitops.git"
OLD, NEW, OTHER = "0" * 39 + "1", "a" * 40, "b" * 40
TAG_OBJECT = "c" * 40
T0 = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)  # the move: all times are seconds from here
SETTINGS = Settings(
    root=Path(),
    prod=ProdCluster(root_app=""),
    argocd=ArgoCD(successes=3, degraded_grace=60.0, poll_interval=2.0, refresh_interval=5.0),  # type: ignore[arg-type]
    baseline=Baseline(max_unhealthy=0.1),
)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def stamp(seconds: float) -> str:
    return at(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def goal(commit: str = NEW, *, root: str = "", accepted: tuple[str, ...] = (TAG_OBJECT,)) -> Goal:
    names = frozenset({"prod-stable", "refs/tags/prod-stable"})
    return Goal(commit=commit, accepted=frozenset({commit, *accepted}), names=names, repository=Addresses.of(REPOSITORY), root=root)


def operation(phase: str = "Succeeded", revision: str = NEW, *, finished: float | None = 3, message: str = "", **result: Any) -> dict[str, Any]:
    state: dict[str, Any] = {"phase": phase, "message": message, "startedAt": stamp(2), "syncResult": {"revision": revision, **result}}
    return state | ({"finishedAt": stamp(finished)} if finished is not None else {})


def manifest(name: str = "web", *, revision: str = NEW, reconciled: float | None = 5, **changes: Any) -> dict[str, Any]:
    """Synced and Healthy at the new commit, reconciled 5 s after the move. `changes`: sync, health, operation, state, conditions, resources…

    An application that is not Healthy has one resource, its Deployment, with that health, unless `resources` are given.
    """
    spec = {
        "project": "default",
        "source": {"repoURL": REPOSITORY, "path": f"apps/{name}", "targetRevision": "prod-stable"},
        "destination": {"namespace": name, "server": "https://kubernetes.default.svc"},
        "syncPolicy": {"automated": {"prune": True, "selfHeal": True}},
    }
    health, message = changes.pop("health", "Healthy"), changes.pop("health_message", "")
    if health != "Healthy":
        changes.setdefault("resources", [unhealthy_resource(name, health, message=message)])
    status: dict[str, Any] = {
        "sync": {"status": changes.pop("sync", "Synced"), "revision": revision},
        "health": {"status": health, "message": message},
        "operationState": changes.pop("state", operation()),
        "conditions": [{"type": kind, "message": text} for kind, text in changes.pop("conditions", ())],
        "resources": changes.pop("resources", []),
    }
    if reconciled is not None:
        status["reconciledAt"] = stamp(reconciled)
    meta = {"name": name, "namespace": "argocd", "resourceVersion": "7", "annotations": changes.pop("annotations", {}), **changes.pop("meta", {})}
    asked = changes.pop("operation", None)
    return {
        "metadata": meta,
        "spec": spec | changes.pop("spec", {}),
        "status": status | changes,
        **({"operation": asked} if asked is not None else {}),
    }


def application(name: str = "web", **changes: Any) -> Application:
    return parse_application(manifest(name, **changes))


def unhealthy_resource(name: str, health: str, kind: str = "Deployment", *, message: str = "") -> dict[str, Any]:
    """An entry of status.resources with its health, as Argo CD before 3.0 shows it."""
    group = "batch" if kind in ("Job", "CronJob") else "apps"
    return {"group": group, "kind": kind, "namespace": "shop", "name": name, "status": "Synced", "health": {"status": health, "message": message}}


def child(name: str, *, pruned: bool = False, kind: str = "Application") -> dict[str, Any]:
    """An entry of an app-of-apps' status.resources."""
    entry = {"group": "argoproj.io", "kind": kind, "namespace": "argocd", "name": name, "status": "OutOfSync" if pruned else "Synced"}
    return entry | ({"requiresPruning": True} if pruned else {})


def made_by(parent: str) -> dict[str, str]:
    return {"argocd.argoproj.io/tracking-id": f"{parent}:argoproj.io/Application:argocd/x"}
