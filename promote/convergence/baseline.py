"""Production's state before the move: verification compares with it, and a rollback must restore it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from promote.argocd.application import Application, Resource, parse_application
from promote.argocd.client import ArgoCD
from promote.argocd.resource_health import read_resource_health, unhealthy
from promote.argocd.source import parse_hydration, unknown_sources
from promote.config.schema import Settings
from promote.convergence.application_status import Goal, Limits, healthy
from promote.convergence.fleet import select
from promote.convergence.running import readable_pods
from promote.core.errors import UsageError
from promote.core.foreign import Fields, one_line, time_of
from promote.kube.workloads import Pod, parse_pod
from promote.monitoring.alerts import Alert, parse_alert
from promote.report.words import listed


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """The state as raw manifests, so that a child process reads exactly the cluster's answer. Without managed fields and the specs of pods.

    `smoke_passed`: the smoke checks that passed then; after a rollback these must pass again, and no others. `troubles`: for each application that
    was unhealthy, by namespace/name, its resources that were, each with group, kind, namespace, name and health. `unread`: why some are not known.
    """

    taken: datetime
    manifests: tuple[dict[str, Any], ...]
    pod_manifests: tuple[dict[str, Any], ...]
    smoke_passed: tuple[str, ...] = ()
    alert_manifests: tuple[dict[str, Any], ...] | None = None
    troubles: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)

    def alerts(self) -> tuple[Alert, ...] | None:
        """The alerts that fired then, including silenced ones; None when they were not read."""
        return None if self.alert_manifests is None else tuple(map(parse_alert, self.alert_manifests))

    def applications(self, goal: Goal) -> Mapping[str, Application]:
        """The applications that belong to this goal, by namespace/name, with the health of the resources that were unhealthy."""
        return {key: self._with_troubles(app) for key, app in select(map(parse_application, self.manifests), goal).items()}

    def _with_troubles(self, app: Application) -> Application:
        """With the resources that were unhealthy, and without any other health: a slim baseline does not list the others."""
        found = tuple(
            Resource(group=t["group"], kind=t["kind"], namespace=t["namespace"], name=t["name"], health=t["health"])
            for t in self.troubles.get(app.key, ())
        )
        keys = {r.key for r in found}
        return replace(app, resources=(*(replace(r, health="") for r in app.resources if r.key not in keys), *found))

    def unhealthy(self, goal: Goal, limits: Limits) -> frozenset[str]:
        """The names of the applications that were already unhealthy."""
        return frozenset(a.name for a in self.applications(goal).values() if not healthy(a, limits))

    def pods(self) -> Mapping[str, Pod]:
        return {p.key: p for p in map(parse_pod, self.pod_manifests)}

    def to_json(self) -> str:
        data = {"taken": self.taken.isoformat(), "applications": self.manifests, "pods": self.pod_manifests, "smoke_passed": self.smoke_passed}
        return json.dumps({**data, "alerts": self.alert_manifests, "troubles": dict(self.troubles), "unread": dict(self.unread)})

    def slim(self, goal: Goal) -> Baseline:
        """The part that resuming on another machine needs: the applications of this goal, the pods that fail or are not ready, the alerts' labels.

        Every reader of the repository may see it, so it holds no parameters of applications and no messages.
        """
        keys = self.applications(goal)
        return replace(
            self,
            manifests=tuple(_public(m) for m in self.manifests if f"{m['metadata'].get('namespace', '')}/{m['metadata']['name']}" in keys),
            pod_manifests=tuple(_public_pod(m) for m in self.pod_manifests if not parse_pod(m).serves),
            alert_manifests=None
            if self.alert_manifests is None
            else tuple({**a, "annotations": {}, "generatorURL": ""} for a in self.alert_manifests),
            troubles={key: found for key, found in self.troubles.items() if key in keys},
            unread={key: why for key, why in self.unread.items() if key in keys},
        )

    @classmethod
    def from_json(cls, text: str) -> Baseline:
        """Read `to_json`'s text. Raises ValueError when it is not a baseline."""
        return cls.of(json.loads(text))

    @classmethod
    def of(cls, value: object) -> Baseline:
        """The same from a JSON value. Raises ValueError."""
        data = Fields(value, "the baseline")
        troubles, unread = data.inner("troubles"), Fields(data.inner("unread"), "unread")
        return cls(
            taken=time_of(data.line("taken")),
            manifests=tuple(data.objects("applications")),
            pod_manifests=tuple(data.objects("pods")),
            smoke_passed=tuple(data.texts("smoke_passed")),
            alert_manifests=tuple(data.objects("alerts")) if data.has("alerts") else None,
            troubles={key: [_trouble(one) for one in Fields(troubles, "troubles").objects(key)] for key in troubles},
            unread={name: unread.line(name) for name in data.inner("unread")},
        )

    def checked(self) -> Baseline:
        """Itself, when each manifest in it can be parsed: no reader of it finds another shape later. Raises ValueError."""
        try:
            for manifest in self.manifests:
                parse_application(manifest)
                Fields(manifest["metadata"], "metadata").line("name")
            self.pods()
            self.alerts()
        except (AttributeError, KeyError, TypeError, OverflowError) as error:
            raise ValueError(f"the baseline holds what is no application, pod or alert: {one_line(str(error), 160)}") from error
        return self

    @classmethod
    def read(cls, path: Path) -> Baseline:
        """Read a baseline file. Raises UsageError when it is not one."""
        try:
            return cls.from_json(path.read_text())
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: not a baseline: {error}", hint="`promote run` writes this file; start it again") from error


def take_baseline(argocd: ArgoCD, alerts: Callable[[], list[dict[str, Any]]] | None = None, *, pods: bool = True) -> Baseline:
    """Read the applications, the pods of their clusters unless `pods` is False and, when `alerts` is given, the firing alerts.

    Where an application is unhealthy, the health of its resources is read too: one paged list for each kind that Argo CD shows no health of. Raises
    the clients' errors.
    """
    manifests = argocd.manifests()
    listed = readable_pods(argocd, map(parse_application, manifests)) if pods else ()
    troubles, unread = _read_troubles(argocd, manifests)
    return Baseline(
        taken=datetime.now(UTC),
        manifests=tuple(map(_slim, manifests)),
        pod_manifests=tuple(map(_slim_pod, listed)),
        alert_manifests=tuple(alerts()) if alerts else None,
        troubles=troubles,
        unread=unread,
    )


def _read_troubles(argocd: ArgoCD, manifests: list[dict[str, Any]]) -> tuple[dict[str, Sequence[Mapping[str, str]]], dict[str, str]]:
    """By key of an unhealthy application: its unhealthy resources, without messages (they may hold confidential values), and why some are unread."""
    apps = list(map(parse_application, manifests))
    judged, unread = read_resource_health(argocd, apps, [a for a in apps if a.health != "Healthy"])
    troubles = {
        key: [dict(zip(("group", "kind", "namespace", "name"), where, strict=True), health=health) for where, health in unhealthy(app).items()]
        for key, app in judged.items()
    }
    return {key: found for key, found in troubles.items() if found}, unread


def _slim(manifest: dict[str, Any]) -> dict[str, Any]:
    meta = {k: v for k, v in manifest["metadata"].items() if k != "managedFields"}
    status = {k: v for k, v in (manifest.get("status") or {}).items() if k != "history"}
    return {**manifest, "metadata": meta, "status": status}


def _trouble(value: object) -> Mapping[str, str]:
    fields = Fields(value, "a trouble")
    return {part: fields.line(part, default="") for part in ("group", "kind", "namespace", "name", "health")}


_SOURCE = ("repoURL", "targetRevision", "path", "chart", "ref", "tagPrefix")
_USER = re.compile(r"(?<=://)[^/@\s]+@")


def _public_source(source: dict[str, Any]) -> dict[str, Any]:
    return {k: _USER.sub("", str(v)) for k, v in source.items() if k in _SOURCE}


def _public(manifest: dict[str, Any]) -> dict[str, Any]:
    """An application without its parameters and messages, which may contain confidential values."""
    spec, status = manifest.get("spec") or {}, manifest.get("status") or {}
    meta = {k: v for k, v in manifest["metadata"].items() if k in ("name", "namespace", "uid", "labels", "ownerReferences")}
    meta["annotations"] = {k: v for k, v in (manifest["metadata"].get("annotations") or {}).items() if k == "argocd.argoproj.io/tracking-id"}
    kept: dict[str, Any] = {k: spec[k] for k in ("destination", "project") if k in spec}
    if spec.get("source"):
        kept["source"] = _public_source(spec["source"])
    if spec.get("sources"):
        kept["sources"] = [_public_source(source) for source in spec["sources"]]
    if hydrator := spec.get("sourceHydrator"):
        kept["sourceHydrator"] = {"drySource": _public_source(hydrator.get("drySource") or {})}
    kept |= {k: {"repoURL": ""} for k in unknown_sources(spec) if k not in kept}
    shown = {k: status[k] for k in ("reconciledAt",) if k in status}
    shown["sync"] = {k: v for k, v in (status.get("sync") or {}).items() if k in ("status", "revision", "revisions")}
    shown["health"] = {k: v for k, v in (status.get("health") or {}).items() if k in ("status", "lastTransitionTime")}
    shown["conditions"] = [{"type": c.get("type", "")} for c in status.get("conditions") or []]
    shown["resources"] = [r for r in status.get("resources") or [] if r.get("kind") in ("PersistentVolumeClaim", "Application", "ApplicationSet")]
    if hydration := parse_hydration(spec, status):
        shown["sourceHydrator"] = {"lastSuccessfulOperation": {"drySHA": hydration.dry, "hydratedSHA": hydration.hydrated}}
    operation = status.get("operationState") or {}
    if operation:
        result = operation.get("syncResult") or {}
        shown["operationState"] = {k: operation[k] for k in ("phase", "startedAt", "finishedAt") if k in operation}
        shown["operationState"]["syncResult"] = {k: result[k] for k in ("revision", "revisions") if k in result}
    return {"metadata": meta, "spec": kept, "status": shown}


def _slim_pod(manifest: dict[str, Any]) -> dict[str, Any]:
    keep = ("name", "namespace", "creationTimestamp", "deletionTimestamp", "ownerReferences")
    where = {k: manifest[k] for k in ("cluster",) if k in manifest}
    return {**where, "metadata": {k: v for k, v in manifest["metadata"].items() if k in keep}, "status": manifest.get("status") or {}}


def _public_pod(manifest: dict[str, Any]) -> dict[str, Any]:
    """A pod with its states and reasons but without messages, which may contain the last lines of a container's log."""

    def container(status: dict[str, Any]) -> dict[str, Any]:
        state = {name: {"reason": details.get("reason", "")} for name, details in (status.get("state") or {}).items()}
        shown = {"name": status.get("name", ""), "restartCount": status.get("restartCount", 0), "state": state}
        return shown | {k: status[k] for k in ("ready",) if k in status}

    status = manifest.get("status") or {}
    shown: dict[str, Any] = {k: status[k] for k in ("phase", "reason") if k in status}
    shown |= {k: [container(c) for c in status[k]] for k in ("initContainerStatuses", "containerStatuses") if status.get(k)}
    ready = [c for c in status.get("conditions") or () if c.get("type") == "Ready"]
    shown |= {"conditions": [{k: c[k] for k in ("type", "status", "lastTransitionTime") if k in c} for c in ready]} if ready else {}
    return {**{k: manifest[k] for k in ("cluster",) if k in manifest}, "metadata": manifest["metadata"], "status": shown}


def problems(baseline: Baseline, goal: Goal, settings: Settings, *, first: bool = False) -> list[str]:
    """Why production is not in a state to promote from; empty when it is. An unhealthy application is tolerated, except the root.

    `goal` selects the applications that follow the tag; its commit is ignored. `first`: the tag does not exist yet, so no application can be healthy.
    """
    limits = Limits.of(settings)
    apps = {k: a for k, a in baseline.applications(goal).items() if not goal.unclear(a)}  # the others may be foreign: no fault of ours
    tracked = [a for a in apps.values() if goal.tracks(a)]
    where = f"namespaces {', '.join(settings.prod.namespaces)}"
    if not tracked:  # `undetermined_members` names what was found instead
        return []
    if first:
        return _root_problems(tracked, goal, limits, where, expect_healthy=False)
    return [*_root_problems(tracked, goal, limits, where), *_unknown(apps), *_too_many_unhealthy(apps, limits, settings.baseline.max_unhealthy)]


def _root_problems(tracked: list[Application], goal: Goal, limits: Limits, where: str, *, expect_healthy: bool = True) -> list[str]:
    if not goal.root:
        return []
    root = next((a for a in tracked if a.name == goal.root), None)
    if root is None:
        name = 'its name is prod.root_app in promotion.toml, "" where there is none'
        return [f"the root application {goal.root} is not in {where} or does not follow the tag; {name}"]
    return (
        []
        if healthy(root, limits) or not expect_healthy
        else [f"the root application {root.name} is {root.health}: {root.health_message}".rstrip(": ")]
    )


def _unknown(apps: Mapping[str, Application]) -> list[str]:
    """Applications whose state Argo CD cannot determine now: verification could not prove them afterwards."""
    found = []
    for app in apps.values():
        comparison = [(kind, message) for kind, message in app.errors if kind in ("ComparisonError", "InvalidSpecError")]
        if comparison:
            found.append(f"{app.name}: {comparison[0][0]}: {' '.join(comparison[0][1].split())[:160]}")
        elif app.hydration and app.hydration.phase == "Failed":
            found.append(f"{app.name}: hydration Failed: {' '.join(app.hydration.message.split())[:160]}")
        elif app.sync == "Unknown":
            found.append(f"{app.name}: its sync status is Unknown")
    return found


def _too_many_unhealthy(apps: Mapping[str, Application], limits: Limits, share: float) -> list[str]:
    unhealthy = sorted(a.name for a in apps.values() if not healthy(a, limits))
    if len(unhealthy) <= share * len(apps):
        return []
    shown = listed(unhealthy, 5)
    return [f"{len(unhealthy)} of {len(apps)} applications are already unhealthy ({shown}), more than baseline.max_unhealthy = {share:g} allows"]
