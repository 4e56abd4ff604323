"""An Argo CD Application as this project reads it: a frozen value, and which ones follow the stable tag. No input or output.

Field meanings were read from Argo CD's API types and seen on 3.2.11 (docs/argocd.md).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

_SCP = re.compile(r"^(?:[^@/]+@)?([^:/]+):(?!//)(.+)$")
ERROR_CONDITIONS = frozenset({"ComparisonError", "InvalidSpecError", "SyncError", "UnknownError", "DeletionError", "OrphanedResourceError"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One source. `revision` is what status shows for it now: a commit, a chart version, on errors even the tag's name, or ""."""

    repository: str
    target: str
    chart: str = ""
    path: str = ""
    revision: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """`status.operationState`. `phase` Running with `finished` set is a failed sync that waits for its retry."""

    phase: str
    message: str = ""
    revisions: tuple[str, ...] = ()
    started: datetime | None = None
    finished: datetime | None = None
    failed_resources: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Application:
    """One Application as listed. `in_progress` = its top-level `operation` is set, the only sign that a sync is running or will be retried."""

    namespace: str
    name: str
    resource_version: str
    sources: tuple[Source, ...]
    sync: str
    health: str
    health_message: str
    reconciled: datetime | None
    in_progress: bool
    operation: Operation | None
    conditions: tuple[tuple[str, str], ...]
    auto_sync: bool
    project: str
    destination_namespace: str
    destination_server: str
    out_of_sync: tuple[str, ...]
    refresh_pending: bool
    managed_by: str
    labels: Mapping[str, str]

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def errors(self) -> tuple[tuple[str, str], ...]:
        return tuple(c for c in self.conditions if c[0] in ERROR_CONDITIONS)


def parse_time(text: object) -> datetime | None:
    """An RFC 3339 stamp of Kubernetes (whole seconds, UTC)."""
    return datetime.fromisoformat(text).astimezone(UTC) if isinstance(text, str) and text else None


def normalise_repository(url: str) -> str:
    """The same repository written differently compares equal: scheme, user, port default, `.git`, trailing slash and case of the host are dropped."""
    text = url.strip().rstrip("/")
    if (scp := _SCP.match(text)) and "://" not in text:
        host, path = scp[1], scp[2]
    else:
        parts = urlsplit(text)
        if not parts.hostname:
            return text.removesuffix(".git")
        port = "" if parts.port in (None, 22, 80, 443) else f":{parts.port}"
        host, path = parts.hostname + port, parts.path
    return f"{host.lower()}/{path.strip('/').removesuffix('.git')}"


def follows(source: Source, repository: str, names: Collection[str]) -> bool:
    """Whether a source is ours and tracks one of the names (`prod-stable`, `refs/tags/prod-stable`)."""
    return not source.chart and source.target in names and normalise_repository(source.repository) == normalise_repository(repository)


def parse_application(data: Mapping[str, Any]) -> Application:
    """Read one manifest. Missing parts (a fresh Application has no status) become empty values, never a guess."""
    meta, spec, status = data["metadata"], data.get("spec") or {}, data.get("status") or {}
    sync, health, destination = status.get("sync") or {}, status.get("health") or {}, spec.get("destination") or {}
    automated = (spec.get("syncPolicy") or {}).get("automated")
    return Application(
        namespace=meta.get("namespace", ""),
        name=meta["name"],
        resource_version=meta.get("resourceVersion", ""),
        sources=_sources(spec, sync),
        sync=sync.get("status", "Unknown"),
        health=health.get("status", "Unknown"),
        health_message=health.get("message", ""),
        reconciled=parse_time(status.get("reconciledAt")),
        in_progress=data.get("operation") is not None,
        operation=_operation(status.get("operationState")),
        conditions=tuple((c.get("type", ""), c.get("message", "")) for c in status.get("conditions") or ()),
        auto_sync=automated is not None and automated.get("enabled", True) is not False,
        project=spec.get("project", "default"),
        destination_namespace=destination.get("namespace", ""),
        destination_server=destination.get("server", "") or destination.get("name", ""),
        out_of_sync=tuple(_resource(r) for r in status.get("resources") or () if r.get("status") == "OutOfSync" and not r.get("hook")),
        refresh_pending="argocd.argoproj.io/refresh" in (meta.get("annotations") or {}),
        managed_by=_managed_by(meta),
        labels=meta.get("labels") or {},
    )


def _managed_by(meta: Mapping[str, Any]) -> str:
    """The application that created this one: by tracking annotation (default since 3.0) or label."""
    tracking = (meta.get("annotations") or {}).get("argocd.argoproj.io/tracking-id", "")
    return str(tracking).partition(":")[0] or str((meta.get("labels") or {}).get("app.kubernetes.io/instance", ""))


def _sources(spec: Mapping[str, Any], sync: Mapping[str, Any]) -> tuple[Source, ...]:
    many = spec.get("sources")
    entries = many or ([spec["source"]] if spec.get("source") else [])
    shown = list(sync.get("revisions") or []) if many else [sync.get("revision", "")]
    shown += [""] * (len(entries) - len(shown))
    return tuple(
        Source(
            repository=e.get("repoURL", ""),
            target=e.get("targetRevision", "") or "HEAD",
            chart=e.get("chart", ""),
            path=e.get("path", ""),
            revision=r or "",
        )
        for e, r in zip(entries, shown, strict=False)
    )


def _operation(state: Mapping[str, Any] | None) -> Operation | None:
    if not state:
        return None
    result = state.get("syncResult") or {}
    revisions = tuple(result.get("revisions") or ()) or ((result["revision"],) if result.get("revision") else ())
    if not revisions:
        asked = (state.get("operation") or {}).get("sync") or {}
        revisions = tuple(asked.get("revisions") or ()) or ((asked["revision"],) if asked.get("revision") else ())
    return Operation(
        phase=state.get("phase", ""),
        message=state.get("message", ""),
        revisions=revisions,
        started=parse_time(state.get("startedAt")),
        finished=parse_time(state.get("finishedAt")),
        failed_resources=tuple(f"{_resource(r)}: {r.get('message', '')}" for r in result.get("resources") or () if r.get("status") == "SyncFailed"),
    )


def _resource(entry: Mapping[str, Any]) -> str:
    namespace = f"{entry['namespace']}/" if entry.get("namespace") else ""
    return f"{entry.get('kind', '?')} {namespace}{entry.get('name', '?')}"
