"""Whether a workload's pods run its newest spec: observed, all replicas updated and available, and no pod with an older image. Pure.

Works on manifests as the API server returns them. The spec is the live one, which Argo CD calls Synced at the commit; it is not rendered again here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from promote.kube.health import GroupKind, Manifest, condition, group_kind, number, unobserved
from promote.report.words import counted, listed


class RolloutState(StrEnum):
    """UPDATED: the pods run the newest spec. ROLLING: they do not yet, and it can change by itself. HELD: they do not, and by the design of the
    workload's own spec they stay so until someone acts. FAILED: the controller gave up."""

    UPDATED = "updated"
    ROLLING = "rolling"
    HELD = "held"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutStatus:
    """`text` says what is missing, with the counts and the pods; for UPDATED it is a note, usually ""."""

    state: RolloutState
    text: str = ""


def rollout_status(workload: Manifest, pods: Sequence[Manifest]) -> RolloutStatus:
    """The status of a workload of one of `WORKLOADS`. `pods`: the manifests of the pods that it owns, itself for a bare Pod.

    Pods that are being deleted or have ended are not looked at. Raises KeyError for another kind.
    """
    # A Job has no observedGeneration, and a Pod has one only in new clusters.
    if group_kind(workload) not in (("batch", "Job"), ("", "Pod")) and unobserved(workload):
        seen = (workload.get("status") or {}).get("observedGeneration", "none")
        return _rolling(f"its controller has not observed its newest spec (generation {workload['metadata'].get('generation')}, observed {seen})")
    return WORKLOADS[group_kind(workload)](workload, old_pods(workload, pods))


def old_pods(workload: Manifest, pods: Sequence[Manifest]) -> list[str]:
    """The live pods that do not run the workload's newest spec, in words: "db-0 runs db:1, not db:2"."""
    live = sorted((p for p in pods if _lives(p)), key=lambda p: str(p["metadata"]["name"]))
    return [f"{p['metadata']['name']} {why}" for p in live if (why := _other_image(workload, p) or _other_revision(workload, p))]


def _lives(pod: Manifest) -> bool:
    return "deletionTimestamp" not in pod["metadata"] and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")


def _other_image(workload: Manifest, pod: Manifest) -> str:
    """The first container of the pod template that runs another image in the pod; containers that only the pod has (sidecars) are ignored."""
    template, running = _images((workload.get("spec") or {}).get("template") or {}), _images(pod)
    for name, image in template.items():
        if name not in running:
            return f"has no container {name}"
        if not same_image(running[name], image):
            return f"runs {running[name]}, not {image}"
    return ""


def _images(obj: Manifest) -> dict[str, str]:
    spec = obj.get("spec") or {}
    return {str(c.get("name")): str(c.get("image") or "") for part in ("initContainers", "containers") for c in spec.get(part) or ()}


def same_image(running: str, wanted: str) -> bool:
    """Whether both name one image: equal, or equal except for the registry and its folders (an admission webhook may put a mirror in front) or for a
    digest that only one of them has (a webhook may pin)."""
    if running == wanted:
        return True
    (name, tag, digest), (other, other_tag, other_digest) = _parts(running), _parts(wanted)
    if name != other or (digest and other_digest and digest != other_digest):
        return False
    return tag == other_tag or bool(digest and digest == other_digest)


def _parts(image: str) -> tuple[str, str, str]:
    """The last part of the name, the tag ("latest" where neither tag nor digest is given) and the digest."""
    path, _, digest = image.partition("@")
    name, _, tag = path.rpartition("/")[2].partition(":")
    return name, tag or ("" if digest else "latest"), digest


def _other_revision(workload: Manifest, pod: Manifest) -> str:
    """A StatefulSet names the revision of its newest spec, and each of its pods the revision that it was created from."""
    wanted = (workload.get("status") or {}).get("updateRevision")
    has = (pod["metadata"].get("labels") or {}).get("controller-revision-hash")
    return f"is of revision {has}, not {wanted}" if workload.get("kind") == "StatefulSet" and wanted and has and has != wanted else ""


def _rolling(text: str) -> RolloutStatus:
    return RolloutStatus(state=RolloutState.ROLLING, text=text)


def _held(text: str) -> RolloutStatus:
    return RolloutStatus(state=RolloutState.HELD, text=text)


def _failed(text: str) -> RolloutStatus:
    return RolloutStatus(state=RolloutState.FAILED, text=text)


def _updated(text: str = "") -> RolloutStatus:
    return RolloutStatus(state=RolloutState.UPDATED, text=text)


def _listed(old: Sequence[str]) -> str:
    return f": {listed(old, separator='; ')}" if old else ""


def _counts(wanted: int, counts: Mapping[str, int], old: Sequence[str]) -> RolloutStatus:
    """ROLLING while fewer than `wanted` replicas have one of the properties, or an old pod lives."""
    for word, count in counts.items():
        if count < wanted:
            return _rolling(f"{count} of {wanted} replicas {word}{_listed(old)}")
    return _rolling(f"{counted(len(old), 'pod')} of an older spec{_listed(old)}") if old else _updated("" if wanted else "it wants no replicas")


def _deployment(obj: Manifest, old: Sequence[str]) -> RolloutStatus:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    wanted, updated, total = number(spec, "replicas", 1), number(status, "updatedReplicas"), number(status, "replicas")
    if spec.get("paused") and (updated < wanted or total > updated or old):
        return _held(f"is paused: {updated} of {wanted} replicas updated{_listed(old)}")
    progressing = condition(obj, "Progressing")
    if progressing and progressing.get("reason") == "ProgressDeadlineExceeded":
        return _failed(f"exceeded its progress deadline: {updated} of {wanted} replicas updated, {number(status, 'availableReplicas')} available")
    if updated >= wanted and total > updated:
        left = total - updated
        return _rolling(f"{counted(left, 'old replica')} still {'exists' if left == 1 else 'exist'}{_listed(old)}")
    return _counts(wanted, {"updated": updated, "available": number(status, "availableReplicas")}, old)


def _stateful_set(obj: Manifest, old: Sequence[str]) -> RolloutStatus:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    wanted, updated = number(spec, "replicas", 1), number(status, "updatedReplicas")
    complete = status.get("updateRevision") == status.get("currentRevision")  # then updatedReplicas may be left out
    behind = bool(old) or (not complete and updated < wanted)
    strategy = spec.get("updateStrategy") or {}
    if behind and strategy.get("type") == "OnDelete":
        return _held(f"updateStrategy OnDelete: {updated} of {wanted} replicas updated, the others stay old until they are deleted{_listed(old)}")
    partition = number(strategy.get("rollingUpdate") or {}, "partition")
    if behind and partition and updated >= wanted - partition:
        return _held(f"partition {partition}: {updated} of {wanted} replicas updated, those below the partition stay old{_listed(old)}")
    return _counts(wanted, {"updated": wanted if complete else updated, "ready": number(status, "readyReplicas")}, old)


def _daemon_set(obj: Manifest, old: Sequence[str]) -> RolloutStatus:
    status = obj.get("status") or {}
    wanted, updated = number(status, "desiredNumberScheduled"), number(status, "updatedNumberScheduled")
    if ((obj.get("spec") or {}).get("updateStrategy") or {}).get("type") == "OnDelete" and (updated < wanted or old):
        return _held(f"updateStrategy OnDelete: {updated} of {wanted} pods updated, the others stay old until they are deleted{_listed(old)}")
    return _counts(wanted, {"updated": updated, "available": number(status, "numberAvailable")}, old)


def _replica_set(obj: Manifest, old: Sequence[str]) -> RolloutStatus:
    if old:
        return _held(f"a ReplicaSet never replaces its pods{_listed(old)}")
    return _counts(number(obj.get("spec") or {}, "replicas", 1), {"available": number(obj.get("status") or {}, "availableReplicas")}, old)


def _argo_rollout(obj: Manifest, old: Sequence[str]) -> RolloutStatus:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    phase, wanted = str(status.get("phase") or ""), number(spec, "replicas", 1)
    if condition(obj, "InvalidSpec"):
        return _failed("its spec is invalid")
    if phase == "Degraded" or status.get("abort"):
        return _failed("the rollout was aborted" if status.get("abort") else "is Degraded")
    if phase == "Paused" or spec.get("paused"):
        return _held(f"pauses{_step(spec, status)}{_listed(old)}")
    if phase != "Healthy":
        return _rolling(f"is {phase or 'without a phase'}{_step(spec, status)}{_listed(old)}")
    current, stable = status.get("currentPodHash"), status.get("stableRS")
    if current and stable and current != stable:
        return _rolling(f"the new ReplicaSet {current} is not the stable one ({stable}){_listed(old)}")
    counts = {"updated": "updatedReplicas", "available": "availableReplicas"}
    return _counts(wanted, {word: number(status, name) for word, name in counts.items() if name in status}, old)


def _step(spec: Manifest, status: Manifest) -> str:
    steps = ((spec.get("strategy") or {}).get("canary") or {}).get("steps") or ()
    index = status.get("currentStepIndex")
    return f" at step {min(int(index) + 1, len(steps))} of {len(steps)}" if steps and index is not None else ""


def _job(obj: Manifest, old: Sequence[str]) -> RolloutStatus:
    for kind, found in (("Failed", _failed("failed")), ("Complete", _updated()), ("Suspended", _held("is suspended"))):
        shown = condition(obj, kind)
        if shown and shown.get("status") == "True":
            return found
    return _rolling(f"runs and has not completed{_listed(old)}")


def _pod(obj: Manifest, _: Sequence[str]) -> RolloutStatus:
    phase, ready = str((obj.get("status") or {}).get("phase") or "no phase"), condition(obj, "Ready")
    if phase == "Failed":
        return _failed("has failed")
    done = phase == "Succeeded" or (phase == "Running" and ready is not None and ready.get("status") == "True")
    return _updated() if done else _rolling(f"is {phase} and not ready")


WORKLOADS: Mapping[GroupKind, Callable[[Manifest, Sequence[str]], RolloutStatus]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "ReplicaSet"): _replica_set,
    ("argoproj.io", "Rollout"): _argo_rollout,
    ("batch", "Job"): _job,
    ("", "Pod"): _pod,
}
