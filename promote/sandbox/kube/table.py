"""What `kubectl get` prints: the server-side Table of a few kinds, with the columns people know."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]


def _age(obj: Object) -> str:
    made = datetime.fromisoformat(obj["metadata"]["creationTimestamp"])
    seconds = int((datetime.now(UTC) - made).total_seconds())
    return f"{seconds}s" if seconds < 120 else f"{seconds // 60}m" if seconds < 7200 else f"{seconds // 3600}h"


def _containers(pod: Object) -> list[Object]:
    return (pod.get("status") or {}).get("containerStatuses") or []


def _pod_status(pod: Object) -> str:
    for container in _containers(pod):
        for state in (container.get("state") or {}).values():
            if isinstance(state, dict) and state.get("reason"):
                return str(state["reason"])
    return str((pod.get("status") or {}).get("phase", ""))


def _about(event: Object) -> str:
    about = event.get("involvedObject") or {}
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


def _path(*names: str) -> Callable[[Object], Any]:
    def read(obj: Object) -> Any:
        here: Any = obj
        for name in names:
            here = (here or {}).get(name)
        return "" if here is None else here

    return read


_NAME = ("Name", _path("metadata", "name"))
_COLUMNS: dict[str, list[tuple[str, Callable[[Object], Any]]]] = {
    "Application": [_NAME, ("Sync Status", _path("status", "sync", "status")), ("Health Status", _path("status", "health", "status"))],
    "Pod": [
        _NAME,
        ("Ready", lambda o: f"{sum(bool(c.get('ready')) for c in _containers(o))}/{len(_containers(o))}"),
        ("Status", _pod_status),
        ("Restarts", lambda o: sum(c.get("restartCount", 0) for c in _containers(o))),
        ("Age", _age),
    ],
    "Event": [
        ("Last Seen", _path("lastTimestamp")),
        ("Type", _path("type")),
        ("Reason", _path("reason")),
        ("Object", _about),
        ("Message", _path("message")),
    ],
    "Deployment": [_NAME, ("Ready", lambda o: f"{(o.get('status') or {}).get('readyReplicas', 0)}/{o['spec'].get('replicas', 1)}"), ("Age", _age)],
}


def table(kind: str, items: list[Object], meta: Object) -> Object:
    """A meta.k8s.io/v1 Table of these objects."""
    columns = _COLUMNS.get(kind, [_NAME, ("Age", _age)])
    definitions = [{"name": n, "type": "string", "format": "name" if n == "Name" else "", "description": "", "priority": 0} for n, _ in columns]
    rows = [{"cells": [read(item) for _, read in columns], "object": _partial(item)} for item in items]
    return {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "columnDefinitions": definitions, "rows": rows}


def _partial(item: Object) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"]}
