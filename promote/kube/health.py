"""The health of one live object, judged as Argo CD judges it. Pure: a manifest in, a health out.

Argo CD from 3.0 on does not write the health of single resources into `status.resources`, so it is computed here from the live objects. The rules
follow Argo CD's own assessment of the same kinds. A kind without a rule has no health here, which is not the same as Healthy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Manifest = Mapping[str, Any]
GroupKind = tuple[str, str]

IGNORED = "argocd.argoproj.io/ignore-healthcheck"
SEVERITY = ("Healthy", "Suspended", "Progressing", "Missing", "Degraded")  # Argo CD's own order; any other value is worse


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """`status` is one of `SEVERITY` or "Unknown"; `message` says why, "" when there is nothing to say."""

    status: str
    message: str = ""


HEALTHY = Health(status="Healthy")


def severity(status: str) -> int:
    """The rank of a health: 0 for Healthy, and greater the worse it is."""
    return SEVERITY.index(status) if status in SEVERITY else len(SEVERITY)


def health_of(obj: Manifest) -> Health | None:
    """The health of a live object; None when its kind has no rule here. An object that Argo CD is asked to ignore is Healthy."""
    judge = _RULES.get(group_kind(obj))
    if judge is None:
        return None
    ignored = (obj["metadata"].get("annotations") or {}).get(IGNORED) == "true"
    return HEALTHY if ignored else judge(obj)


def group_kind(obj: Manifest) -> GroupKind:
    """The API group ("" for the core group) and the kind of a manifest."""
    group, _, version = str(obj.get("apiVersion", "")).partition("/")
    return (group if version else ""), str(obj.get("kind", ""))


def unobserved(obj: Manifest) -> bool:
    """Whether the object's controller has not seen its newest spec yet, so that its status describes an older one."""
    generation, observed = obj["metadata"].get("generation"), (obj.get("status") or {}).get("observedGeneration")
    # A Rollout writes the number as text. Without a generation (a kind that has none) there is nothing to compare.
    return generation is not None and (observed is None or int(str(observed) or 0) < int(generation))


def condition(obj: Manifest, kind: str) -> Manifest | None:
    """The condition of this type, if the status has one."""
    return next((c for c in (obj.get("status") or {}).get("conditions") or () if c.get("type") == kind), None)


def number(part: Manifest, name: str, default: int = 0) -> int:
    """A count of a spec or a status; `default` where it is not written, as the API server leaves zeros out."""
    value = part.get(name)
    return default if value is None else int(value)


def _of(status: str, message: str) -> Health:
    return Health(status=status, message=message)


def _deployment(obj: Manifest) -> Health:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if spec.get("paused"):
        return _of("Suspended", "is paused")
    if unobserved(obj):
        return _of("Progressing", "its newest spec is not observed yet")
    progressing = condition(obj, "Progressing")
    if progressing and progressing.get("reason") == "ProgressDeadlineExceeded":
        return _of("Degraded", "exceeded its progress deadline")
    wanted, updated = number(spec, "replicas", 1), number(status, "updatedReplicas")
    if updated < wanted:
        return _of("Progressing", f"{updated} of {wanted} replicas updated")
    if number(status, "replicas") > updated:
        return _of("Progressing", f"{number(status, 'replicas') - updated} old replicas still exist")
    if number(status, "availableReplicas") < updated:
        return _of("Progressing", f"{number(status, 'availableReplicas')} of {updated} updated replicas available")
    return HEALTHY


def _stateful_set(obj: Manifest) -> Health:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if unobserved(obj):
        return _of("Progressing", "its newest spec is not observed yet")
    wanted, ready = number(spec, "replicas", 1), number(status, "readyReplicas")
    if ready < wanted:
        return _of("Progressing", f"{ready} of {wanted} replicas ready")
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return HEALTHY
    partition = (strategy.get("rollingUpdate") or {}).get("partition")
    if partition:
        updated = number(status, "updatedReplicas")
        return _of("Progressing", f"{updated} of {wanted - partition} replicas updated") if updated < wanted - partition else HEALTHY
    if status.get("updateRevision") != status.get("currentRevision"):
        return _of("Progressing", f"{number(status, 'updatedReplicas')} of {wanted} replicas updated")
    return HEALTHY


def _daemon_set(obj: Manifest) -> Health:
    status = obj.get("status") or {}
    if unobserved(obj):
        return _of("Progressing", "its newest spec is not observed yet")
    wanted = number(status, "desiredNumberScheduled")
    if ((obj.get("spec") or {}).get("updateStrategy") or {}).get("type") == "OnDelete":
        return HEALTHY
    for name, word in (("updatedNumberScheduled", "updated"), ("numberAvailable", "available")):
        if number(status, name) < wanted:
            return _of("Progressing", f"{number(status, name)} of {wanted} pods {word}")
    return HEALTHY


def _replica_set(obj: Manifest) -> Health:
    if unobserved(obj):
        return _of("Progressing", "its newest spec is not observed yet")
    failure = condition(obj, "ReplicaFailure")
    if failure and failure.get("status") == "True":
        return _of("Degraded", str(failure.get("reason") or "ReplicaFailure"))
    wanted, available = number(obj.get("spec") or {}, "replicas", 1), number(obj.get("status") or {}, "availableReplicas")
    return _of("Progressing", f"{available} of {wanted} replicas available") if available < wanted else HEALTHY


def _job(obj: Manifest) -> Health:
    for kind, status, message in (("Failed", "Degraded", "failed"), ("Complete", "Healthy", ""), ("Suspended", "Suspended", "is suspended")):
        found = condition(obj, kind)
        if found and found.get("status") == "True":
            return _of(status, message)
    return _of("Progressing", "runs")


def _cron_job(obj: Manifest) -> Health:
    status = obj.get("status") or {}
    if (obj.get("spec") or {}).get("suspend"):
        return _of("Suspended", "is suspended")
    scheduled, succeeded = status.get("lastScheduleTime"), status.get("lastSuccessfulTime")
    # Without any success Argo CD cannot tell a job that fails from one that has not ended yet, and a running one is not judged either.
    if scheduled and succeeded and not status.get("active") and succeeded < scheduled:
        return _of("Degraded", "its last run did not succeed")
    return HEALTHY


def _pod(obj: Manifest) -> Health:
    status = obj.get("status") or {}
    always = (obj.get("spec") or {}).get("restartPolicy", "Always") == "Always"
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    waiting = [str(((c.get("state") or {}).get("waiting") or {}).get("reason") or "") for c in containers]
    trouble = next((r for r in waiting if r.startswith("Err") or r.endswith(("Error", "BackOff"))), "")
    if always and trouble:
        return _of("Degraded", trouble)
    phase = status.get("phase")
    if phase == "Running" and always:
        ready = condition(obj, "Ready")
        if ready and ready.get("status") == "True":
            return HEALTHY
        ended = any((c.get("lastState") or {}).get("terminated") for c in containers)
        return _of("Degraded" if ended else "Progressing", "is not ready")
    found = {"Pending": "Progressing", "Running": "Progressing", "Succeeded": "Healthy", "Failed": "Degraded"}.get(str(phase), "Unknown")
    return HEALTHY if found == "Healthy" else _of(found, str(phase or "no phase"))


def _claim(obj: Manifest) -> Health:
    phase = str((obj.get("status") or {}).get("phase") or "")
    found = {"Lost": "Degraded", "Pending": "Progressing", "Bound": "Healthy"}.get(phase, "Unknown")
    return HEALTHY if found == "Healthy" else _of(found, phase or "no phase")


def _rollout(obj: Manifest) -> Health:
    invalid = condition(obj, "InvalidSpec")
    if invalid:
        return _of("Degraded", "its spec is invalid")
    if unobserved(obj):
        return _of("Progressing", "its newest spec is not observed yet")
    phase = (obj.get("status") or {}).get("phase")
    found = {"Healthy": "Healthy", "Progressing": "Progressing", "Degraded": "Degraded", "Paused": "Suspended"}.get(str(phase), "Unknown")
    return HEALTHY if found == "Healthy" else _of(found, "pauses between its steps" if found == "Suspended" else str(phase or "no phase"))


def _service(obj: Manifest) -> Health:
    balanced = (obj.get("spec") or {}).get("type") == "LoadBalancer"
    return _of("Progressing", "has no load balancer") if balanced and not _balancer(obj) else HEALTHY


def _ingress(obj: Manifest) -> Health:
    return HEALTHY if _balancer(obj) else _of("Progressing", "has no load balancer")


def _balancer(obj: Manifest) -> object:
    return ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress")


def _application(obj: Manifest) -> Health:
    found = (obj.get("status") or {}).get("health") or {}
    return _of(str(found.get("status") or "Unknown"), str(found.get("message") or ""))


_RULES: Mapping[GroupKind, Callable[[Manifest], Health]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "ReplicaSet"): _replica_set,
    ("batch", "Job"): _job,
    ("batch", "CronJob"): _cron_job,
    ("", "Pod"): _pod,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Service"): _service,
    ("networking.k8s.io", "Ingress"): _ingress,
    ("argoproj.io", "Rollout"): _rollout,
    ("argoproj.io", "Application"): _application,
}
