"""Whether a failed pod stands for its workload as it is now, or for an attempt that is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from promote.core.deadline import parse_time
from promote.core.errors import Denied
from promote.kube.health import Manifest
from promote.kube.ownership import Owner, Ownership, controller
from promote.kube.workloads import Pod

_REPLACE = ("ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController")  # controllers that replace a pod which ended
_SKEW = timedelta(seconds=10)  # a node's clock and the API server's


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnedPod:
    """A pod with its manifest and its owner."""

    pod: Pod
    manifest: Manifest
    owner: Owner


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """The time between two moves of the tag: what a version that was rolled back started in it is no longer wanted."""

    start: datetime
    end: datetime

    def started(self, moment: datetime | None) -> bool:
        return moment is not None and self.start.replace(microsecond=0) <= moment <= self.end


def outdated(pods: Iterable[OwnedPod], ownership: Ownership, attempt: Attempt | None) -> tuple[dict[str, str], dict[str, str]]:
    """(pods that do not count: key → why, pods of which that is unknown: key → why), of those that failed or restarted. Raises Unreachable."""
    every = tuple(pods)
    siblings: dict[str, list[Pod]] = {}
    for owned in every:
        siblings.setdefault(owned.pod.owner, []).append(owned.pod)
    over, unclear = {}, {}
    for owned in every:
        pod = owned.pod
        if not (pod.trouble or pod.restarts or pod.phase in ("Failed", "Unknown")):
            continue
        kind = (controller(owned.manifest["metadata"]) or {}).get("kind")
        try:
            why = _job_is_over(owned, ownership, attempt) if kind == "Job" else ""
        except Denied as error:
            unclear[pod.key] = f"unknown whether its Job succeeded later: {error.what}"
            continue
        if not why and kind is None and attempt and attempt.started(pod.created):
            why = "left by the version that was rolled back"
        if not why and kind in _REPLACE and pod.phase in ("Failed", "Unknown"):
            why = _replaced(owned, siblings[pod.owner])
        if why:
            over[pod.key] = why
    return over, unclear


def _job_is_over(owned: OwnedPod, ownership: Ownership, attempt: Attempt | None) -> str:
    """Why a pod of a Job does not count; "" when it does: its Job failed, or the pod cannot start."""
    uid = str((controller(owned.manifest["metadata"]) or {}).get("uid", ""))
    job = ownership.jobs().get(uid)
    if job is None:
        return "its Job no longer exists"
    if attempt and attempt.started(parse_time(job["metadata"].get("creationTimestamp"))):
        return "left by the version that was rolled back"
    status: Mapping[str, object] = job.get("status") or {}
    conditions = status.get("conditions")
    true = {c.get("type") for c in conditions if c.get("status") == "True"} if isinstance(conditions, list) else set()
    if true & {"Complete", "SuccessCriteriaMet"}:
        return "its Job succeeded"
    # A pod that cannot start is no failed try: its Job waits for it without an end.
    return "" if true & {"Failed", "FailureTarget"} or owned.pod.phase == "Pending" else "its Job has tries left"


def _replaced(owned: OwnedPod, siblings: Iterable[Pod]) -> str:
    """Whether a newer pod of the workload took the place of one that ended: evicted, shut down with its node, refused by its node, or lost."""
    pod, status = owned.pod, owned.manifest.get("status") or {}
    times = [t for c in status.get("conditions") or () if (t := parse_time(c.get("lastTransitionTime")))]
    ended = max(times, default=pod.created)
    for other in siblings:
        newer = other.created and pod.created and other.created > pod.created and (ended is None or other.created >= ended - _SKEW)
        if newer and other.phase in ("Pending", "Running"):
            return f"{pod.trouble or pod.phase}, replaced by {other.name}"
    return ""
