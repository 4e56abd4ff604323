"""Pods and events of a cluster as values: which pods fail, since when, and the last lines of their logs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from promote.core.deadline import parse_time
from promote.core.errors import PromoteError
from promote.core.foreign import split_lines
from promote.kube.client import Kube
from promote.kube.ownership import controller

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
    """One pod. `trouble` is its failing waiting or terminated reason; "" when it has none, or when it is being deleted, which explains its end.

    `cluster` is "" in Argo CD's own cluster. `not_ready` is the time since when a running pod of a workload that serves is not Ready; None when it
    is, or need not be. `note` is what a report adds to its reason.
    """

    namespace: str
    name: str
    phase: str
    created: datetime | None
    restarts: int
    trouble: str
    owner: str  # its workload, the same for the pod that replaces it
    cluster: str = ""
    not_ready: datetime | None = None
    note: str = ""

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}" + (f" in {self.cluster}" if self.cluster else "")

    @property
    def serves(self) -> bool:
        """Whether it is ready, or has no need to be."""
        return not self.trouble and not self.not_ready and self.phase in ("Running", "Succeeded")


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One Warning event with its newest time and its count."""

    namespace: str
    about: str
    reason: str
    message: str
    count: int
    last: datetime | None
    object: Mapping[str, Any] = field(default_factory=dict, compare=False)  # involvedObject


def parse_pod(data: Mapping[str, Any]) -> Pod:
    meta, status = data["metadata"], data.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return Pod(
        namespace=meta.get("namespace", ""),
        name=meta["name"],
        phase=status.get("phase", "Unknown"),
        created=parse_time(meta.get("creationTimestamp")),
        restarts=sum(c.get("restartCount", 0) for c in containers),
        trouble="" if "deletionTimestamp" in meta or _finished(status) else next((r for c in containers if (r := _trouble(c))), _failed(status)),
        owner=_owner(meta, data.get("cluster", "")),
        cluster=data.get("cluster", ""),
        not_ready=_not_ready(meta, status),
    )


def _finished(status: Mapping[str, Any]) -> bool:
    """Whether the pod ended well. A sidecar that is stopped after the work was done ends with 143 (SIGTERM) and makes its pod Failed."""
    codes = [((c.get("state") or {}).get("terminated") or {}).get("exitCode") for c in status.get("containerStatuses") or ()]
    return status.get("phase") == "Succeeded" or (status.get("phase") == "Failed" and 0 in codes and set(codes) <= {0, 143})


def _not_ready(meta: Mapping[str, Any], status: Mapping[str, Any]) -> datetime | None:
    """Since when a running pod is not Ready. A Job's pod serves no requests, and one that is being deleted no longer has to."""
    if status.get("phase") != "Running" or "deletionTimestamp" in meta or (controller(meta) or {}).get("kind") == "Job":
        return None
    ready: Mapping[str, Any] = next((c for c in status.get("conditions") or () if c.get("type") == "Ready"), {})
    if ready.get("status", "True") == "True" and all(c.get("ready", True) for c in status.get("containerStatuses") or ()):
        return None
    return parse_time(ready.get("lastTransitionTime") or meta.get("creationTimestamp"))


def _owner(meta: Mapping[str, Any], cluster: str = "") -> str:
    """The workload of a pod: cluster, namespace/kind/name; the same for all versions of the workload."""
    # The names of ReplicaSets and Jobs end with a hash or a time that changes with every version.
    owner: Mapping[str, Any] = controller(meta) or {}
    name, kind = str(owner.get("name", "")), owner.get("kind", "")
    stem = name.rpartition("-")[0] if kind in ("ReplicaSet", "Job") else name
    return f"{cluster}{meta.get('namespace', '')}/{kind}/{stem or name}" if name else ""


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
    """Pods that fail now and did not in the baseline, one line each.

    A pod that replaced a failing one of the same owner is not a new failure, nor are as many pods without readiness as the owner had before.
    """
    old = {p.owner for p in before.values() if p.trouble and p.owner}
    not_ready = more_not_ready(now, before)
    found = []
    for pod in now.values():
        earlier = before.get(pod.key)
        known = bool(earlier and earlier.trouble) or (not earlier and pod.owner in old)
        if pod.trouble and not known:
            found.append(f"{pod.key}: {pod.trouble}, {pod.restarts} restarts{pod.note}")
        elif earlier and pod.restarts > earlier.restarts and not known:
            found.append(f"{pod.key}: restarted {pod.restarts - earlier.restarts} times since the baseline{pod.note}")
        elif pod.phase == "Unknown" and not (earlier and earlier.phase == "Unknown"):
            found.append(f"{pod.key}: Unknown: its node does not answer{pod.note}")
        elif (
            pod.phase == "Pending"
            and not (earlier and earlier.phase == "Pending")
            and pod.created
            and (at - pod.created).total_seconds() > pending_grace_s
        ):
            found.append(f"{pod.key}: Pending since {pod.created:%H:%M:%S} UTC{pod.note}")
        elif pod.not_ready and pod.key in not_ready and not known and (at - pod.not_ready).total_seconds() > pending_grace_s:
            found.append(f"{pod.key}: running and not Ready since {pod.not_ready:%H:%M:%S} UTC{pod.note}")
    return sorted(found)


def more_not_ready(now: Mapping[str, Pod], before: Mapping[str, Pod]) -> frozenset[str]:
    """The keys of running pods that are not Ready now and were before, of workloads that have more such pods than before."""
    count = Counter(p.owner or p.key for p in now.values() if p.not_ready)
    count.subtract(p.owner or p.key for p in before.values() if p.not_ready)
    return frozenset(k for k, p in now.items() if p.not_ready and count[p.owner or k] > 0 and not (k in before and before[k].not_ready))


def none_serve(now: Mapping[str, Pod], before: Mapping[str, Pod]) -> dict[str, list[Pod]]:
    """Workloads whose pods all start, or run without being Ready, while one served before or none existed: owner → these pods."""
    groups: dict[str, list[Pod]] = {}
    for pod in now.values():
        groups.setdefault(pod.owner or pod.key, []).append(pod)
    known = {p.owner or p.key for p in before.values()}
    served = {p.owner or p.key for p in before.values() if p.serves}
    waits = {k: g for k, g in groups.items() if any(p.not_ready for p in g) and not any(p.serves or p.trouble for p in g)}
    return {k: g for k, g in waits.items() if k in served or k not in known}


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
                object=about,
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
