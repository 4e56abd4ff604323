"""Production as it was before the move: what a failure afterwards is measured against, and what a rollback has to bring back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from promote.applications import Application, parse_application
from promote.clients.argocd import ArgoCD
from promote.clients.workloads import Pod, parse_pod
from promote.convergence import Goal, Limits, healthy, missing_sync, select
from promote.errors import UsageError
from promote.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """Raw manifests, so the file a child process reads is exactly what the cluster said. Managed fields and specs of pods are left out."""

    taken: datetime
    manifests: tuple[dict[str, Any], ...]
    pod_manifests: tuple[dict[str, Any], ...]

    def applications(self, goal: Goal) -> Mapping[str, Application]:
        """Those of interest for this goal, by namespace/name."""
        return {a.key: a for a in map(parse_application, self.manifests) if of_interest(a, goal)}

    def pods(self) -> Mapping[str, Pod]:
        return {p.key: p for p in map(parse_pod, self.pod_manifests)}

    def to_json(self) -> str:
        return json.dumps({"taken": self.taken.isoformat(), "applications": self.manifests, "pods": self.pod_manifests})

    @classmethod
    def read(cls, path: Path) -> Baseline:
        """Raises UsageError when the file is not one of ours."""
        try:
            data = json.loads(path.read_text())
            return cls(taken=datetime.fromisoformat(data["taken"]), manifests=tuple(data["applications"]), pod_manifests=tuple(data["pods"]))
        except (OSError, ValueError, KeyError) as error:
            raise UsageError(f"{path}: not a baseline: {error}", hint="it is written by `promote run`; start that again") from error


def take_baseline(argocd: ArgoCD) -> Baseline:
    """One paged look at the applications and one at the pods. Raises what the clients raise."""
    manifests = argocd.manifests()
    pods = argocd.kube.items("/api/v1/pods")
    return Baseline(taken=datetime.now(UTC), manifests=tuple(map(_slim, manifests)), pod_manifests=tuple(map(_slim_pod, pods)))


def _slim(manifest: dict[str, Any]) -> dict[str, Any]:
    meta = {k: v for k, v in manifest["metadata"].items() if k != "managedFields"}
    status = {k: v for k, v in (manifest.get("status") or {}).items() if k != "history"}
    return {**manifest, "metadata": meta, "status": status}


def _slim_pod(manifest: dict[str, Any]) -> dict[str, Any]:
    keep = ("name", "namespace", "creationTimestamp", "ownerReferences")
    return {"metadata": {k: v for k, v in manifest["metadata"].items() if k in keep}, "status": manifest.get("status") or {}}


def problems(baseline: Baseline, goal: Goal, settings: Settings) -> list[str]:
    """Why production is no ground to promote from; empty when it is. The baseline excuses health only, and never the root's."""
    apps, limits = baseline.applications(goal), Limits.of(settings)
    tracked = [a for a in apps.values() if goal.tracks(a)]
    where = f"namespaces {', '.join(settings.prod.namespaces)}"
    if not tracked:
        return [f"no application in {where} follows {settings.tags.stable} of {goal.repository}"]
    found = []
    roots = [a for a in apps.values() if a.name == goal.root]
    if goal.root and not roots:
        found.append(f"the root application {goal.root} is not in {where} or does not follow {settings.tags.stable}")
    found += [f"root application {a.name} is {a.health}: {a.health_message}" for a in roots if not healthy(a, limits)]
    found += [f"{a.name}: {a.errors[0][0]}: {a.errors[0][1][:160]}" for a in tracked if a.errors and a.errors[0][0] == "ComparisonError"]
    found += [f"{a.name}: sync status is Unknown" for a in tracked if a.sync == "Unknown" and not a.errors]
    unhealthy = sorted(a.name for a in apps.values() if not healthy(a, limits))
    if len(unhealthy) > settings.baseline.max_unhealthy * len(apps):
        share = f"{len(unhealthy)} of {len(apps)}"
        found.append(f"{share} applications are unhealthy already ({', '.join(unhealthy[:5])}): more than baseline.max_unhealthy allows")
    return found
