"""Deployments and their pods: rollouts that take a moment, crash, fail to pull or never get ready, as the deployed manifest demands.

The annotation `sandbox.promote/behaviour` on a Deployment (or its pod template) decides: never-ready, crash-loop, image-pull, degrade-after=SECONDS,
slow=SECONDS; without it pods become ready after `ready_s`. sync-fails and hook-waits belong to the sync (argocd/sync.py).
"""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from promote.sandbox.kube.store import Object, Store, stamp

BEHAVIOUR = "sandbox.promote/behaviour"
_REASONS = {"crash-loop": "CrashLoopBackOff", "image-pull": "ImagePullBackOff"}


@dataclass(frozen=True, slots=True)
class Rollout:
    """One generation of one workload: when it started and how it will go."""

    started: float
    behaviour: str
    pods: tuple[str, ...]
    old: tuple[str, ...] = ()  # ready pods of the generation before, which serve until the new ones do
    kept: tuple[str, ...] = ()  # pods that no generation replaces: updateStrategy OnDelete, or ordinals below a partition


def behaviour_of(obj: Object) -> str:
    template = ((obj.get("spec") or {}).get("template") or {}).get("metadata") or {}
    for meta in (obj["metadata"], template):
        if value := (meta.get("annotations") or {}).get(BEHAVIOUR):
            return str(value)
    return ""


class Workloads:
    """Drives the workloads of one cluster. `tick` advances time and returns whether anything is still changing."""

    def __init__(self, store: Store, *, ready_s: float, deadline_s: float) -> None:
        self.store, self.ready_s, self.deadline_s = store, ready_s, deadline_s
        self.logs: dict[tuple[str, str], str] = {}
        self._rollouts: dict[tuple[str, str, str], Rollout] = {}
        self._events: dict[tuple[str, str], float] = {}
        self._lock = threading.RLock()

    def applied(self, obj: Object, now: float) -> None:
        """A workload was created or its spec changed: new pods, from the beginning."""
        key = (obj["kind"], obj["metadata"]["namespace"], obj["metadata"]["name"])
        with self._lock:
            kept = self._kept(obj, key)
            old = self._left_serving(key)
            names = tuple(f"{key[2]}-{digest_of(obj)}-{i}" for i in range(len(kept), int(obj["spec"].get("replicas", 1))))
            old = tuple(p for p in old if p not in names)
            for name in names:
                self._pod(obj, name, ready=False, behaviour="")
            self._rollouts[key] = Rollout(now, behaviour_of(obj), names, old, kept)

    def _kept(self, obj: Object, key: tuple[str, str, str]) -> tuple[str, ...]:
        """The pods that an update does not replace. Takes them out of the rollout that is replaced, so that they stay."""
        strategy, before = obj["spec"].get("updateStrategy") or {}, self._rollouts.get(key)
        if before is None or key[0] == "Deployment":
            return ()
        every = (*before.kept, *before.pods)
        kept = every if strategy.get("type") == "OnDelete" else every[: int((strategy.get("rollingUpdate") or {}).get("partition") or 0)]
        self._rollouts[key] = replace(before, pods=tuple(p for p in every if p not in kept), kept=())
        return kept

    def _left_serving(self, key: tuple[str, str, str]) -> tuple[str, ...]:
        """The ready pods of the rollout that is replaced; its others go at once."""
        before = self._rollouts.pop(key, None)
        left = []
        for pod in (*before.old, *before.pods) if before else ():
            statuses = ((self.store.get("Pod", key[1], pod) or {}).get("status") or {}).get("containerStatuses") or []
            # A rolling Deployment keeps ready pods until the new ones are ready; the other kinds replace a pod in its place.
            if key[0] == "Deployment" and statuses and all(s.get("ready") for s in statuses):
                left.append(pod)
            else:
                self.store.delete("Pod", key[1], pod)
        return tuple(left)

    def canary(self, obj: Object) -> None:
        """An Argo Rollout with a new template stops at the first pause of its steps that has no duration; back at the stable template, or without
        such a pause, it is complete at once. It has no pods here.
        """
        steps = ((obj["spec"].get("strategy") or {}).get("canary") or {}).get("steps") or []
        digest, stable = digest_of(obj), (obj.get("status") or {}).get("stableRS")
        pause = next((i for i, step in enumerate(steps) if "pause" in step and not (step["pause"] or {}).get("duration")), None)
        half = stable not in (None, digest) and pause is not None
        status: Object = {
            "observedGeneration": str(obj["metadata"]["generation"]),
            "phase": "Paused" if half else "Healthy",
            "currentPodHash": digest,
        }
        status |= {"stableRS": stable if half else digest, "currentStepIndex": pause if half else len(steps)}
        self.store.update(obj["kind"], obj["metadata"]["namespace"], obj["metadata"]["name"], lambda o: o.update(status=status))

    def removed(self, kind: str, namespace: str, name: str) -> None:
        with self._lock:
            old = self._rollouts.pop((kind, namespace, name), None)
            for pod in (*old.old, *old.kept, *old.pods) if old else ():
                self.store.delete("Pod", namespace, pod)

    def tick(self, now: float) -> bool:
        moving = False
        with self._lock:
            for (kind, namespace, name), rollout in list(self._rollouts.items()):
                obj = self.store.get(kind, namespace, name)
                if obj is None:
                    self.removed(kind, namespace, name)
                    continue
                moving |= self._advance(obj, rollout, now - rollout.started)
        return moving

    def _advance(self, obj: Object, rollout: Rollout, age: float) -> bool:
        word, _, value = rollout.behaviour.partition("=")
        ready_at = float(value) if word == "slow" else self.ready_s
        ready = age >= ready_at and word not in ("never-ready", "crash-loop", "image-pull")
        if word == "degrade-after" and age >= float(value):
            ready, word = False, "crash-loop"
        failing = age >= ready_at and word in _REASONS
        for name in rollout.pods:
            self._pod(obj, name, ready=ready, behaviour=word if failing else "", age=age)
        deadline = min(self.deadline_s, float(obj["spec"].get("progressDeadlineSeconds", self.deadline_s)))
        late = not ready and age >= max(deadline, float(value or 0) if word == "degrade-after" else 0)
        if ready and rollout.old:
            for name in rollout.old:
                self.store.delete("Pod", obj["metadata"]["namespace"], name)
            key = (obj["kind"], obj["metadata"]["namespace"], obj["metadata"]["name"])
            self._rollouts[key] = rollout = replace(rollout, old=())
        self._status(obj, rollout, ready=ready, late=late)
        settled = ready if word != "degrade-after" else late
        return not (settled or (late and word in ("never-ready", "image-pull")))

    def _status(self, obj: Object, rollout: Rollout, *, ready: bool, late: bool) -> None:
        wanted, old, kept = int(obj["spec"].get("replicas", 1)), len(rollout.old), len(rollout.kept)
        stale = [r for p in rollout.kept if (r := self._revision(obj, p)) != digest_of(obj)]
        updated, serving = wanted - len(stale), wanted if ready else old + kept
        status: Object = {"observedGeneration": obj["metadata"].get("generation", 1), "replicas": wanted + old, "updatedReplicas": updated}
        status |= {"readyReplicas": serving, "availableReplicas": serving}
        if obj["kind"] == "StatefulSet":
            status |= {"currentRevision": stale[0] if stale else digest_of(obj), "updateRevision": digest_of(obj)}
        if obj["kind"] == "DaemonSet":
            status |= {"desiredNumberScheduled": wanted, "updatedNumberScheduled": updated, "numberReady": serving, "numberAvailable": serving}
        if late:
            text = f'{obj["kind"]} "{obj["metadata"]["name"]}" exceeded its progress deadline'
            status["conditions"] = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": text}]
        if obj["kind"] == "Job":
            status = {"succeeded": 1 if ready else 0, "active": 0 if ready else 1}
        if obj.get("status") != status:
            meta = obj["metadata"]
            self.store.update(obj["kind"], meta["namespace"], meta["name"], lambda o: o.update(status=status))

    def _revision(self, owner: Object, pod: str) -> str:
        found = self.store.get("Pod", owner["metadata"]["namespace"], pod) or {}
        return str(((found.get("metadata") or {}).get("labels") or {}).get("controller-revision-hash", ""))

    def _pod(self, owner: Object, name: str, *, ready: bool, behaviour: str, age: float = 0.0) -> None:
        namespace = owner["metadata"]["namespace"]
        restarts = int(max(0.0, age - self.ready_s) // 2) + 1 if behaviour == "crash-loop" else 0
        state: Object = {"running": {"startedAt": stamp()}} if ready else {"waiting": {"reason": _REASONS.get(behaviour, "ContainerCreating")}}
        phase = "Running" if ready or behaviour == "crash-loop" else "Pending"
        container = {"name": "main", "ready": ready, "restartCount": restarts, "state": state}
        through = owner["kind"] == "Deployment"
        maker = (
            ("ReplicaSet", name.rpartition("-")[0], "0") if through else (owner["kind"], owner["metadata"]["name"], owner["metadata"].get("uid", "0"))
        )
        owners = [{"apiVersion": "apps/v1", "kind": maker[0], "name": maker[1], "uid": maker[2], "controller": True}]
        before = self.store.get("Pod", namespace, name)
        shape = (ready, behaviour, restarts)
        if before and (before["metadata"].get("annotations") or {}).get("shape") == str(shape):
            return
        labels = (((owner["spec"].get("template") or {}).get("metadata")) or {}).get("labels") or {}
        labels = {**labels, "pod-template-hash" if through else "controller-revision-hash": digest_of(owner)}
        meta = {"name": name, "namespace": namespace, "labels": labels, "ownerReferences": owners, "annotations": {"shape": str(shape)}}
        self.store.put(
            {
                "kind": "Pod",
                "metadata": meta,
                "spec": {"containers": _containers(owner), "nodeName": "node-0"},
                "status": {"phase": phase, "containerStatuses": [container]},
            }
        )
        if behaviour:
            self._trouble(namespace, name, behaviour, restarts)

    def _trouble(self, namespace: str, pod: str, behaviour: str, count: int) -> None:
        self.logs.setdefault((namespace, pod), f"{pod}: starting\n{pod}: fatal: configuration key missing\n")
        reason, text = ("BackOff", "Back-off restarting failed container") if behaviour == "crash-loop" else ("Failed", "Failed to pull image")
        self.event(namespace, f"{pod}.{reason.lower()}", "Pod", pod, reason, text, max(1, count))

    def event(self, namespace: str, name: str, kind: str, about: str, reason: str, message: str, count: int) -> None:
        """A Warning event, counted up like the real recorder does."""
        now = stamp(datetime.now(UTC))
        body: dict[str, Any] = {
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {"kind": kind, "namespace": namespace, "name": about},
            "type": "Warning",
            "reason": reason,
            "message": message,
            "count": count,
            "firstTimestamp": now,
            "lastTimestamp": now,
        }
        self.store.put(body)


def digest_of(obj: Object) -> str:
    """The part of a pod's name that differs between the generations of its workload; of a StatefulSet or DaemonSet its revision."""
    part = obj["spec"] if obj["kind"] == "Deployment" else obj["spec"].get("template") or {}
    return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:8]


def _containers(owner: Object) -> list[Object]:
    """Names and images of the pod template."""
    given = ((owner["spec"].get("template") or {}).get("spec") or {}).get("containers") or []
    return [{"name": c.get("name", "main"), "image": c.get("image", "")} for c in given] or [{"name": "main", "image": ""}]


def health_of(obj: Object) -> tuple[str, str]:
    """Argo CD's assessment of one live object: (status, message)."""
    kind, status = obj["kind"], obj.get("status") or {}
    strategy = (obj.get("spec") or {}).get("updateStrategy") or {}
    by_hand = strategy.get("type") == "OnDelete" or (strategy.get("rollingUpdate") or {}).get("partition")
    if kind in ("Deployment", "StatefulSet", "DaemonSet"):
        wanted, ready = int((obj.get("spec") or {}).get("replicas", 1)), int(status.get("readyReplicas", 0))
        old = int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))
        # Before the counts: a rollout over its deadline is Degraded although the old pods still serve.
        for condition in status.get("conditions") or []:
            if condition.get("reason") == "ProgressDeadlineExceeded":
                return "Degraded", condition["message"]
        if old > 0 and not by_hand:
            return "Progressing", f"Waiting for rollout to finish: {old} old replicas are pending termination..."
        if ready < wanted:
            return "Progressing", f"Waiting for rollout to finish: {ready} of {wanted} updated replicas are available..."
    if kind == "Job" and not status.get("succeeded"):
        return "Progressing", "Job is running"
    if kind == "CronJob" and str(status.get("lastSuccessfulTime", "9")) < str(status.get("lastScheduleTime", "")):
        return "Degraded", "CronJob has not completed its last execution successfully"
    if kind == "Rollout" and status.get("phase") == "Paused":
        return "Suspended", "CanaryPauseStep"
    return "Healthy", ""
