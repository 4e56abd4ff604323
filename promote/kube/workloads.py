"""Pods and events of a cluster as values: which pods fail, since when, and the last lines of their logs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from promote.core.deadline import parse_time
from promote.core.errors import PromoteError
from promote.core.foreign import split_lines
from promote.kube.client import Kube

_POD_HASH = re.compile(r"-(?:[a-z0-9]{6,10}-[a-z0-9]{1,5}|[a-z0-9]{5}|[0-9]+)$")
BAD_REASONS = frozenset(
    {
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "ErrImagePull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "Error",
        "OOMKilled",
        "StartError",
        "ContainerCannotRun",
        "ErrImageNeverPull",
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pod:
    """One pod. `trouble` is its failing waiting or terminated reason; "" when it has none, or when it is being deleted, which explains its end."""

    namespace: str
    name: str
    phase: str
    created: datetime | None
    restarts: int
    trouble: str
    owner: str  # its workload, the same for the pod that replaces it

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One Warning event with its newest time and its count."""

    namespace: str
    about: str
    reason: str
    message: str
    count: int
    last: datetime | None


def parse_pod(data: Mapping[str, Any]) -> Pod:
    meta, status = data["metadata"], data.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return Pod(
        namespace=meta.get("namespace", ""),
        name=meta["name"],
        phase=status.get("phase", "Unknown"),
        created=parse_time(meta.get("creationTimestamp")),
        restarts=sum(c.get("restartCount", 0) for c in containers),
        trouble="" if "deletionTimestamp" in meta else next((r for c in containers if (r := _trouble(c))), _failed(status)),
        owner=_owner(meta),
    )


def _owner(meta: Mapping[str, Any]) -> str:
    """The workload of a pod: namespace/kind/name, the same for all versions of the workload."""
    # The names of ReplicaSets and Jobs end with a hash or a time that changes with every version.
    owner: Mapping[str, Any] = (meta.get("ownerReferences") or [{}])[0]
    name, kind = str(owner.get("name", "")), owner.get("kind", "")
    stem = name.rpartition("-")[0] if kind in ("ReplicaSet", "Job") else name
    return f"{meta.get('namespace', '')}/{kind}/{stem or name}" if name else ""


def _failed(status: Mapping[str, Any]) -> str:
    return str(status.get("reason") or "Failed") if status.get("phase") == "Failed" else ""


def _trouble(container: Mapping[str, Any]) -> str:
    state = container.get("state") or {}
    reason = (state.get("waiting") or {}).get("reason", "") or (state.get("terminated") or {}).get("reason", "")
    return reason if reason in BAD_REASONS else ""


def pods(kube: Kube, namespace: str = "") -> tuple[Pod, ...]:
    """The pods of a namespace, or of the whole cluster, from one paged list."""
    return tuple(map(parse_pod, kube.items(f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods")))


def newly_failing(now: Mapping[str, Pod], before: Mapping[str, Pod], *, at: datetime, pending_grace_s: float) -> list[str]:
    """Pods that fail now and did not in the baseline, one line each. A pod that replaced a failing one of the same owner is not a new failure."""
    old = {p.owner for p in before.values() if p.trouble and p.owner}
    found = []
    for pod in now.values():
        earlier = before.get(pod.key)
        known = bool(earlier and earlier.trouble) or (not earlier and pod.owner in old)
        if pod.trouble and not known:
            found.append(f"{pod.key}: {pod.trouble}, {pod.restarts} restarts")
        elif earlier and pod.restarts > earlier.restarts and not known:
            found.append(f"{pod.key}: restarted {pod.restarts - earlier.restarts} times since the baseline")
        elif pod.phase == "Unknown" and not (earlier and earlier.phase == "Unknown"):
            found.append(f"{pod.key}: Unknown: its node does not answer")
        elif (
            pod.phase == "Pending"
            and not (earlier and earlier.phase == "Pending")
            and pod.created
            and (at - pod.created).total_seconds() > pending_grace_s
        ):
            found.append(f"{pod.key}: Pending since {pod.created:%H:%M:%S} UTC")
    return sorted(found)


def warnings(kube: Kube, *, since: datetime) -> tuple[Event, ...]:
    """Warning events seen at or after `since`, newest first."""
    found = []
    for data in kube.items("/api/v1/events", fieldSelector="type=Warning"):
        last = parse_time(data.get("lastTimestamp") or (data.get("series") or {}).get("lastObservedTime") or data.get("eventTime"))
        if last is None or last < since:
            continue
        about = data.get("involvedObject") or {}
        found.append(
            Event(
                namespace=about.get("namespace", ""),
                about=f"{about.get('kind', '?')} {about.get('name', '?')}",
                reason=data.get("reason", ""),
                message=str(data.get("message", ""))[:200],
                count=int(data.get("count") or (data.get("series") or {}).get("count") or 1),
                last=last,
            )
        )
    return tuple(sorted(found, key=lambda e: str(e.last), reverse=True))


def grouped(events: Iterable[Event]) -> tuple[Event, ...]:
    """Merge events with the same reason about pods of one workload: `Pod gitea-*`, summed counts, the newest time and message. Newest first."""
    groups: dict[tuple[str, str, str], list[Event]] = {}
    for event in events:
        groups.setdefault((event.namespace, stem(event.about), event.reason), []).append(event)
    merged = [
        replace(max(g, key=_when), about=g[0].about if len({e.about for e in g}) == 1 else about, count=sum(e.count for e in g))
        for (_, about, _), g in groups.items()
    ]
    return tuple(sorted(merged, key=_when, reverse=True))


def repeats(first: Event, again: Iterable[Event]) -> bool:
    """Whether the fault of a grouped event was seen again in the grouped events of a later read."""
    return any(e.count > first.count or _when(e) > _when(first) for e in again if same_trouble(e, first))


def same_trouble(one: Event, other: Event) -> bool:
    """Whether both events have the same reason and are about pods of one workload."""
    return (one.namespace, stem(one.about), one.reason) == (other.namespace, stem(other.about), other.reason)


def _when(event: Event) -> str:
    return str(event.last)


def stem(about: str) -> str:
    """`Pod gitea-*`: a pod's name without the part that differs between the pods of one workload; other names unchanged."""
    return _POD_HASH.sub("-*", about) if about.startswith("Pod ") else about


def log_tail(kube: Kube, pod: Pod, lines: int = 8) -> list[str]:
    """The last lines of a pod's log (of its previous container when it restarted); one line with the reason when there is no log."""
    for previous in ("true", "false") if pod.restarts else ("false",):
        try:
            return split_lines(kube.text(f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/log?tailLines={lines}&previous={previous}"))[-lines:]
        except PromoteError as error:
            reason = error.what
    return [f"(no log: {reason})"]
