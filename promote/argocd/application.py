"""An Argo CD Application as a frozen value, and which Applications follow the stable tag. No I/O.

The meaning of the fields comes from Argo CD's API types and was confirmed on 3.2.11 (docs/argocd.md).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from promote.argocd.source import (
    Hydration,
    Source,
    follows,
    in_range,
    parse_hydration,
    parse_sources,
    unclear_addresses,
    unknown_sources,
)  # fmt: skip
from promote.core.deadline import parse_time
from promote.git.errors import mask
from promote.git.url import Addresses

GROUP = "argoproj.io"
REFRESH = "argocd.argoproj.io/refresh"


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """`status.operationState`. `phase` Running with `finished` set means a failed sync that waits for its retry. `revisions` in source order.

    `touched`: group, kind, namespace and name of the objects in its result, hooks included, which `status.resources` does not list while they run.
    """

    phase: str
    message: str = ""
    revisions: tuple[str, ...] = ()
    started: datetime | None = None
    finished: datetime | None = None
    failed_resources: tuple[str, ...] = ()
    touched: tuple[tuple[str, str, str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """One entry of `status.resources`: an object that Argo CD compares and applies. `health` is "" where Argo CD does not show it (3.0 and later by
    default) or does not know the kind. `hook`: it runs during a sync and is never compared. `pruned`: no longer in git, waits for its removal.
    """

    group: str
    kind: str
    namespace: str
    name: str
    sync: str = ""
    health: str = ""
    health_message: str = ""
    hook: bool = False
    pruned: bool = False

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Group, kind, namespace, name: unique in its cluster."""
        return self.group, self.kind, self.namespace, self.name

    @property
    def label(self) -> str:
        """`Deployment shop/web`."""
        return f"{self.kind or '?'} {f'{self.namespace}/' if self.namespace else ''}{self.name or '?'}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Application:
    """One Application. `in_progress`: its top-level `operation` is set, the only sign that a sync is running or will be retried.

    `spec` is a digest that changes with any field of the spec. `managed_by` is the application that created it, `owner` its ApplicationSet.
    `children` are its resources that are Applications or ApplicationSets. `healthy_since` is the time of the last change of its health.
    `unknown_sources` are keys of its spec that name sources in an unknown shape.
    """

    namespace: str
    name: str
    resource_version: str
    spec: str
    sources: tuple[Source, ...]
    hydration: Hydration | None
    unknown_sources: tuple[str, ...]
    sync: str
    health: str
    health_message: str
    healthy_since: datetime | None
    reconciled: datetime | None
    in_progress: bool
    operation: Operation | None
    conditions: tuple[tuple[str, str], ...]
    auto_sync: bool
    prune: bool
    sync_options: tuple[str, ...]
    project: str
    destination_namespace: str
    destination_server: str
    out_of_sync: tuple[str, ...]
    resources: tuple[Resource, ...]
    children: tuple[Resource, ...]
    refresh_pending: bool
    deleting: bool
    managed_by: str
    owner: str
    labels: Mapping[str, str]

    @property
    def key(self) -> str:
        """`namespace/name`: unique in its cluster."""
        return f"{self.namespace}/{self.name}"

    @property
    def errors(self) -> tuple[tuple[str, str], ...]:
        """The conditions whose type ends with Error, which is how Argo CD itself distinguishes errors from warnings."""
        return tuple(c for c in self.conditions if c[0].endswith("Error"))


def tracks(app: Application, repository: Addresses, names: Collection[str]) -> bool:
    """Whether any source of the application follows one of the names in our repository."""
    return any(follows(source, repository, names) for source in app.sources)


def unclear(app: Application, repository: Addresses, names: Collection[str], templates: Collection[str]) -> str:
    """Why it cannot be said whether the tag decides what an application deploys; "" when it can. `templates`: of our version tags."""
    if app.unknown_sources:
        return f"its sources are written in a way that is not known here (spec.{', spec.'.join(app.unknown_sources)})"
    if addresses := unclear_addresses(app.sources, repository, names):
        # The user and the password of an address are no part of the message.
        shown = ", ".join(map(mask, addresses))
        return f"follows {min(names, key=len)} of {shown}, which may be this repository under another address"
    if ranges := [s for s in app.sources if in_range(s, repository, templates)]:
        return f"follows the newest of our version tags in {ranges[0].target}, not the stable tag"
    return ""


def parse_application(data: Mapping[str, Any]) -> Application:
    """Parse one manifest. Missing parts (a new Application has no status) become empty values, never a guess."""
    meta, spec, status = data["metadata"], data.get("spec") or {}, data.get("status") or {}
    sync, health, destination = status.get("sync") or {}, status.get("health") or {}, spec.get("destination") or {}
    automated = (spec.get("syncPolicy") or {}).get("automated")
    resources = tuple(map(_parse_resource, status.get("resources") or ()))
    return Application(
        namespace=meta.get("namespace", ""),
        name=meta["name"],
        resource_version=meta.get("resourceVersion", ""),
        spec=hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16],
        sources=parse_sources(spec, sync),
        hydration=parse_hydration(spec, status),
        unknown_sources=unknown_sources(spec),
        sync=sync.get("status") or "Unknown",
        health=health.get("status") or "Unknown",
        health_message=health.get("message") or "",
        healthy_since=parse_time(health.get("lastTransitionTime")),
        reconciled=parse_time(status.get("reconciledAt")),
        in_progress=data.get("operation") is not None,
        operation=_operation(status.get("operationState")),
        conditions=tuple((c.get("type", ""), c.get("message", "")) for c in status.get("conditions") or ()),
        auto_sync=automated is not None and automated.get("enabled", True) is not False,
        prune=bool((automated or {}).get("prune")),
        sync_options=tuple((spec.get("syncPolicy") or {}).get("syncOptions") or ()),
        project=spec.get("project") or "default",
        destination_namespace=destination.get("namespace") or "",
        destination_server=destination.get("server") or destination.get("name") or "",
        out_of_sync=tuple(r.label for r in resources if _differs(r, sync.get("status"))),
        resources=resources,
        children=tuple(_child(r, meta) for r in resources if r.group == GROUP and r.kind in ("Application", "ApplicationSet")),
        refresh_pending=REFRESH in (meta.get("annotations") or {}),
        deleting="deletionTimestamp" in meta,
        managed_by=_managed_by(meta),
        owner=next((o.get("name", "") for o in meta.get("ownerReferences") or () if o.get("kind") == "ApplicationSet"), ""),
        labels=meta.get("labels") or {},
    )


def _parse_resource(entry: Mapping[str, Any]) -> Resource:
    health = entry.get("health") or {}
    return Resource(
        group=entry.get("group") or "",
        kind=entry.get("kind") or "",
        namespace=entry.get("namespace") or "",
        name=entry.get("name") or "",
        sync=entry.get("status") or "",
        health=health.get("status") or "",
        health_message=health.get("message") or "",
        hook=bool(entry.get("hook")),
        pruned=bool(entry.get("requiresPruning")),
    )


def _differs(resource: Resource, sync: object) -> bool:
    """Whether a resource is OutOfSync and counts for its application."""
    # An extra resource with the compare option IgnoreExtraneous stays OutOfSync although its application is Synced.
    ignored = resource.pruned and sync == "Synced"
    return resource.sync == "OutOfSync" and not resource.hook and not ignored


def _child(resource: Resource, parent: Mapping[str, Any]) -> Resource:
    return resource if resource.namespace else replace(resource, namespace=parent.get("namespace", ""))


def _managed_by(meta: Mapping[str, Any]) -> str:
    """The application that created this one: by tracking annotation (default since 3.0; `namespace_name` outside Argo CD's own) or label."""
    tracking = str((meta.get("annotations") or {}).get("argocd.argoproj.io/tracking-id", "")).partition(":")[0]
    return tracking.rpartition("_")[2] or str((meta.get("labels") or {}).get("app.kubernetes.io/instance", ""))


def _operation(state: Mapping[str, Any] | None) -> Operation | None:
    if not state:
        return None
    result = state.get("syncResult") or {}
    requested = (state.get("operation") or {}).get("sync") or {}
    return Operation(
        phase=state.get("phase") or "",
        message=state.get("message") or "",
        revisions=_revisions(result) or _revisions(requested),
        started=parse_time(state.get("startedAt")),
        finished=parse_time(state.get("finishedAt")),
        failed_resources=tuple(f"{_parse_resource(r).label}: {r.get('message', '')}" for r in result.get("resources") or () if _sync_failed(r)),
        touched=tuple(_parse_resource(r).key for r in result.get("resources") or ()),
    )


def _revisions(sync: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sync.get("revisions") or ()) or ((sync["revision"],) if sync.get("revision") else ())


def _sync_failed(resource: Mapping[str, Any]) -> bool:
    return resource.get("status") == "SyncFailed" or resource.get("hookPhase") in ("Failed", "Error")
