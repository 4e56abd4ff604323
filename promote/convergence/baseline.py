"""Production as it was before the move: what a failure afterwards is measured against, and what a rollback has to bring back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from promote.argocd.application import Application, parse_application
from promote.argocd.client import ArgoCD
from promote.config.schema import Settings
from promote.convergence.application_status import Goal, Limits, healthy
from promote.convergence.fleet import select
from promote.core.errors import UsageError
from promote.kube.workloads import Pod, parse_pod
from promote.monitoring.alerts import Alert, parse_alert


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """Raw manifests, so the file a child process reads is exactly what the cluster said. Managed fields and specs of pods are left out.

    `smoke_passed`: the smoke checks that passed then; a rollback has to bring these back, and no others.
    """

    taken: datetime
    manifests: tuple[dict[str, Any], ...]
    pod_manifests: tuple[dict[str, Any], ...]
    smoke_passed: tuple[str, ...] = ()
    alert_manifests: tuple[dict[str, Any], ...] | None = None

    def alerts(self) -> tuple[Alert, ...] | None:
        """What fired then, silenced ones included; None: nobody asked."""
        return None if self.alert_manifests is None else tuple(map(parse_alert, self.alert_manifests))

    def applications(self, goal: Goal) -> Mapping[str, Application]:
        """Those of interest for this goal, by namespace/name."""
        return select(map(parse_application, self.manifests), goal)

    def unhealthy(self, goal: Goal, limits: Limits) -> frozenset[str]:
        """The names of those that were unhealthy already."""
        return frozenset(a.name for a in self.applications(goal).values() if not healthy(a, limits))

    def pods(self) -> Mapping[str, Pod]:
        return {p.key: p for p in map(parse_pod, self.pod_manifests)}

    def to_json(self) -> str:
        data = {"taken": self.taken.isoformat(), "applications": self.manifests, "pods": self.pod_manifests, "smoke_passed": self.smoke_passed}
        return json.dumps({**data, "alerts": self.alert_manifests})

    def slim(self, goal: Goal) -> Baseline:
        """What a promotion that is picked up on another machine needs of it, fit to be read by all who can read the repository: the applications of
        this goal with nothing of their parameters, the pods in trouble, the alerts' labels."""
        keys = self.applications(goal)
        return replace(
            self,
            manifests=tuple(_public(m) for m in self.manifests if f"{m['metadata'].get('namespace', '')}/{m['metadata']['name']}" in keys),
            pod_manifests=tuple(_public_pod(p) for p in self.pod_manifests if parse_pod(p).trouble),
            alert_manifests=None
            if self.alert_manifests is None
            else tuple({**a, "annotations": {}, "generatorURL": ""} for a in self.alert_manifests),
        )

    @classmethod
    def from_json(cls, text: str) -> Baseline:
        """Raises ValueError, KeyError, TypeError when it is not one of ours."""
        data = json.loads(text)
        return cls(
            taken=datetime.fromisoformat(data["taken"]),
            manifests=tuple(data["applications"]),
            pod_manifests=tuple(data["pods"]),
            smoke_passed=tuple(data.get("smoke_passed") or ()),
            alert_manifests=None if data.get("alerts") is None else tuple(data["alerts"]),
        )

    @classmethod
    def read(cls, path: Path) -> Baseline:
        """Raises UsageError when the file is not one of ours."""
        try:
            return cls.from_json(path.read_text())
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path}: not a baseline: {error}", hint="it is written by `promote run`; start that again") from error


def take_baseline(argocd: ArgoCD, alerts: Callable[[], list[dict[str, Any]]] | None = None) -> Baseline:
    """One paged look at the applications, one at the pods, one at the alerts where somebody keeps them. Raises what the clients raise."""
    manifests = argocd.manifests()
    pods = argocd.kube.items("/api/v1/pods")
    return Baseline(
        taken=datetime.now(UTC),
        manifests=tuple(map(_slim, manifests)),
        pod_manifests=tuple(map(_slim_pod, pods)),
        alert_manifests=tuple(alerts()) if alerts else None,
    )


def _slim(manifest: dict[str, Any]) -> dict[str, Any]:
    meta = {k: v for k, v in manifest["metadata"].items() if k != "managedFields"}
    status = {k: v for k, v in (manifest.get("status") or {}).items() if k != "history"}
    return {**manifest, "metadata": meta, "status": status}


_SOURCE = ("repoURL", "targetRevision", "path", "chart", "ref")
_USER = re.compile(r"(?<=://)[^/@\s]+@")


def _public_source(source: dict[str, Any]) -> dict[str, Any]:
    return {k: _USER.sub("", str(v)) for k, v in source.items() if k in _SOURCE}


def _public(manifest: dict[str, Any]) -> dict[str, Any]:
    """An application without its parameters and messages, which may hold what only the cluster should know."""
    spec, status = manifest.get("spec") or {}, manifest.get("status") or {}
    meta = {k: v for k, v in manifest["metadata"].items() if k in ("name", "namespace", "uid", "labels", "ownerReferences")}
    meta["annotations"] = {k: v for k, v in (manifest["metadata"].get("annotations") or {}).items() if k == "argocd.argoproj.io/tracking-id"}
    kept: dict[str, Any] = {k: spec[k] for k in ("destination", "project") if k in spec}
    if spec.get("source"):
        kept["source"] = _public_source(spec["source"])
    if spec.get("sources"):
        kept["sources"] = [_public_source(source) for source in spec["sources"]]
    told = {k: status[k] for k in ("reconciledAt",) if k in status}
    told["sync"] = {k: v for k, v in (status.get("sync") or {}).items() if k in ("status", "revision", "revisions")}
    told["health"] = {k: v for k, v in (status.get("health") or {}).items() if k in ("status", "lastTransitionTime")}
    told["conditions"] = [{"type": c.get("type", "")} for c in status.get("conditions") or []]
    told["resources"] = [r for r in status.get("resources") or [] if r.get("kind") in ("PersistentVolumeClaim", "Application", "ApplicationSet")]
    operation = status.get("operationState") or {}
    if operation:
        result = operation.get("syncResult") or {}
        told["operationState"] = {k: operation[k] for k in ("phase", "startedAt", "finishedAt") if k in operation}
        told["operationState"]["syncResult"] = {k: result[k] for k in ("revision", "revisions") if k in result}
    return {"metadata": meta, "spec": kept, "status": told}


def _slim_pod(manifest: dict[str, Any]) -> dict[str, Any]:
    keep = ("name", "namespace", "creationTimestamp", "deletionTimestamp", "ownerReferences")
    return {"metadata": {k: v for k, v in manifest["metadata"].items() if k in keep}, "status": manifest.get("status") or {}}


def _public_pod(manifest: dict[str, Any]) -> dict[str, Any]:
    """A pod with the words that say what is the matter, and without messages: the last lines of a container's log may be one."""

    def container(status: dict[str, Any]) -> dict[str, Any]:
        state = {name: {"reason": said.get("reason", "")} for name, said in (status.get("state") or {}).items()}
        return {"name": status.get("name", ""), "restartCount": status.get("restartCount", 0), "state": state}

    status = manifest["status"]
    told: dict[str, Any] = {k: status[k] for k in ("phase", "reason") if k in status}
    told |= {k: [container(c) for c in status[k]] for k in ("initContainerStatuses", "containerStatuses") if status.get(k)}
    return {"metadata": manifest["metadata"], "status": told}


def problems(baseline: Baseline, goal: Goal, settings: Settings, *, first: bool = False) -> list[str]:
    """Why production is no ground to promote from; empty when it is. The baseline excuses health only, and never the root's.

    `goal` says which applications follow the tag; its commit is not looked at. `first`: the tag does not exist yet, so none of them can be well.
    """
    apps, limits = baseline.applications(goal), Limits.of(settings)
    tracked = [a for a in apps.values() if goal.tracks(a)]
    where = f"namespaces {', '.join(settings.prod.namespaces)}"
    if not tracked:
        return [f"no application in {where} follows {settings.tags.stable} of {goal.repository}"]
    if first:
        return _root_problems(tracked, goal, limits, where, well=False)
    return [*_root_problems(tracked, goal, limits, where), *_unknown(apps), *_too_many_unhealthy(apps, limits, settings.baseline.max_unhealthy)]


def _root_problems(tracked: list[Application], goal: Goal, limits: Limits, where: str, *, well: bool = True) -> list[str]:
    if not goal.root:
        return []
    root = next((a for a in tracked if a.name == goal.root), None)
    if root is None:
        name = 'its name is prod.root_app in promotion.toml, "" where there is none'
        return [f"the root application {goal.root} is not in {where} or does not follow the tag; {name}"]
    return [] if healthy(root, limits) or not well else [f"the root application {root.name} is {root.health}: {root.health_message}".rstrip(": ")]


def _unknown(apps: Mapping[str, Application]) -> list[str]:
    """What Argo CD itself cannot tell now cannot be proven afterwards."""
    found = []
    for app in apps.values():
        comparison = [(kind, message) for kind, message in app.errors if kind in ("ComparisonError", "InvalidSpecError")]
        if comparison:
            found.append(f"{app.name}: {comparison[0][0]}: {' '.join(comparison[0][1].split())[:160]}")
        elif app.sync == "Unknown":
            found.append(f"{app.name}: its sync status is Unknown")
    return found


def _too_many_unhealthy(apps: Mapping[str, Application], limits: Limits, share: float) -> list[str]:
    unhealthy = sorted(a.name for a in apps.values() if not healthy(a, limits))
    if len(unhealthy) <= share * len(apps):
        return []
    shown = ", ".join(unhealthy[:5]) + (f" and {len(unhealthy) - 5} more" if len(unhealthy) > 5 else "")
    return [f"{len(unhealthy)} of {len(apps)} applications are unhealthy already ({shown}), more than baseline.max_unhealthy = {share:g} allows"]
