"""The health of single live objects, kind by kind, as Argo CD judges them."""

from __future__ import annotations

from typing import Any

import pytest

from promote.kube.health import health_of, severity

LAST, NEXT = "2026-03-01T03:00:00Z", "2026-03-02T03:00:00Z"
KINDS = {
    "Deployment": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1", "ReplicaSet": "apps/v1", "Job": "batch/v1", "CronJob": "batch/v1",
    "Pod": "v1", "PersistentVolumeClaim": "v1", "Service": "v1", "Ingress": "networking.k8s.io/v1", "Rollout": "argoproj.io/v1alpha1",
}  # fmt: skip
LATE = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]
READY = [{"type": "Ready", "status": "True"}]
SERVED = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
FULL = {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}


def obj(kind: str, spec: dict[str, Any], status: dict[str, Any], **meta: Any) -> dict[str, Any]:
    return {
        "apiVersion": KINDS[kind],
        "kind": kind,
        "metadata": {"name": "x", "namespace": "n", "generation": 3, **meta},
        "spec": spec,
        "status": status,
    }


def seen(**status: Any) -> dict[str, Any]:
    return {"observedGeneration": 3, **status}


CASES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("Deployment", {"replicas": 2}, seen(**FULL), "Healthy"),
    ("Deployment", {"replicas": 2}, {**FULL, "observedGeneration": 2}, "Progressing"),
    ("Deployment", {"replicas": 2}, {}, "Progressing"),
    ("Deployment", {"replicas": 2, "paused": True}, seen(**FULL), "Suspended"),
    ("Deployment", {"replicas": 2}, seen(**{**FULL, "updatedReplicas": 1}), "Progressing"),
    ("Deployment", {"replicas": 2}, seen(**{**FULL, "replicas": 3}), "Progressing"),
    ("Deployment", {"replicas": 2}, seen(**{**FULL, "availableReplicas": 1}), "Progressing"),
    ("Deployment", {"replicas": 2}, seen(**{**FULL, "availableReplicas": 1}, conditions=LATE), "Degraded"),
    ("Deployment", {"replicas": 0}, seen(), "Healthy"),
    ("StatefulSet", {"replicas": 2}, seen(**FULL, currentRevision="a", updateRevision="a"), "Healthy"),
    ("StatefulSet", {"replicas": 2}, seen(**FULL, currentRevision="a", updateRevision="b"), "Progressing"),
    ("StatefulSet", {"replicas": 2}, seen(readyReplicas=1), "Progressing"),
    ("StatefulSet", {"replicas": 2, "updateStrategy": {"type": "OnDelete"}}, seen(readyReplicas=2, currentRevision="a", updateRevision="b"), "Healthy"),
    ("StatefulSet", {"replicas": 2, "updateStrategy": {"rollingUpdate": {"partition": 1}}}, seen(readyReplicas=2, updatedReplicas=1), "Healthy"),
    ("StatefulSet", {"replicas": 2, "updateStrategy": {"rollingUpdate": {"partition": 1}}}, seen(readyReplicas=2), "Progressing"),
    ("DaemonSet", {}, seen(desiredNumberScheduled=3, updatedNumberScheduled=3, numberAvailable=3), "Healthy"),
    ("DaemonSet", {}, seen(desiredNumberScheduled=3, updatedNumberScheduled=2, numberAvailable=3), "Progressing"),
    ("DaemonSet", {}, seen(desiredNumberScheduled=3, updatedNumberScheduled=3, numberAvailable=2), "Progressing"),
    ("DaemonSet", {"updateStrategy": {"type": "OnDelete"}}, seen(desiredNumberScheduled=3), "Healthy"),
    ("ReplicaSet", {"replicas": 1}, seen(availableReplicas=1), "Healthy"),
    ("ReplicaSet", {"replicas": 1}, seen(conditions=[{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}]), "Degraded"),
    ("Job", {}, {"conditions": [{"type": "Complete", "status": "True"}]}, "Healthy"),
    ("Job", {}, {"conditions": [{"type": "Failed", "status": "True"}]}, "Degraded"),
    ("Job", {}, {"conditions": [{"type": "Suspended", "status": "True"}]}, "Suspended"),
    ("Job", {}, {"active": 1}, "Progressing"),
    ("CronJob", {}, {"lastScheduleTime": NEXT, "lastSuccessfulTime": LAST}, "Degraded"),
    ("CronJob", {}, {"lastScheduleTime": NEXT, "lastSuccessfulTime": LAST, "active": [{"name": "j"}]}, "Healthy"),
    ("CronJob", {}, {"lastScheduleTime": LAST, "lastSuccessfulTime": NEXT}, "Healthy"),
    ("CronJob", {}, {"lastScheduleTime": LAST}, "Healthy"),
    ("CronJob", {"suspend": True}, {"lastScheduleTime": NEXT, "lastSuccessfulTime": LAST}, "Suspended"),
    ("Pod", {}, {"phase": "Running", "conditions": READY}, "Healthy"),
    ("Pod", {}, {"phase": "Running"}, "Progressing"),
    ("Pod", {}, {"phase": "Running", "containerStatuses": [{"lastState": {"terminated": {"reason": "Error"}}}]}, "Degraded"),
    ("Pod", {}, {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]}, "Degraded"),
    ("Pod", {"restartPolicy": "Never"}, {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]}, "Progressing"),
    ("Pod", {"restartPolicy": "Never"}, {"phase": "Succeeded"}, "Healthy"),
    ("Pod", {"restartPolicy": "Never"}, {"phase": "Failed"}, "Degraded"),
    ("PersistentVolumeClaim", {}, {"phase": "Bound"}, "Healthy"),
    ("PersistentVolumeClaim", {}, {"phase": "Pending"}, "Progressing"),
    ("PersistentVolumeClaim", {}, {"phase": "Lost"}, "Degraded"),
    ("Service", {"type": "ClusterIP"}, {}, "Healthy"),
    ("Service", {"type": "LoadBalancer"}, {}, "Progressing"),
    ("Service", {"type": "LoadBalancer"}, SERVED, "Healthy"),
    ("Ingress", {}, {}, "Progressing"),
    ("Ingress", {}, SERVED, "Healthy"),
    ("Rollout", {}, {"observedGeneration": "3", "phase": "Healthy"}, "Healthy"),
    ("Rollout", {}, {"observedGeneration": "2", "phase": "Healthy"}, "Progressing"),
    ("Rollout", {}, {"observedGeneration": "3", "phase": "Paused"}, "Suspended"),
    ("Rollout", {}, {"observedGeneration": "3", "phase": "Degraded"}, "Degraded"),
    ("Rollout", {}, {"conditions": [{"type": "InvalidSpec"}]}, "Degraded"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "spec", "status", "expected"), CASES, ids=[f"{number} {case[0]} {case[3]}" for number, case in enumerate(CASES)])
def test_a_live_object_has_the_health_that_argo_cd_gives_it(kind: str, spec: dict[str, Any], status: dict[str, Any], expected: str):
    found = health_of(obj(kind, spec, status))
    assert found is not None
    assert found.status == expected
    assert bool(found.message) is (expected != "Healthy"), "the reason is given whenever there is one"


def test_an_object_that_argo_cd_is_asked_to_ignore_is_healthy():
    ignored = obj("Deployment", {"replicas": 2}, {}, annotations={"argocd.argoproj.io/ignore-healthcheck": "true"})
    found = health_of(ignored)
    assert found is not None and found.status == "Healthy"


def test_a_kind_without_a_rule_has_no_health():
    assert health_of({"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "c"}}) is None
    assert health_of({"apiVersion": "example.org/v1", "kind": "Deployment", "metadata": {"name": "c"}}) is None, "the group counts too"


def test_healths_are_ordered_as_argo_cd_orders_them():
    assert sorted(["Degraded", "Healthy", "Missing", "Other", "Progressing", "Suspended"], key=severity) == [
        "Healthy", "Suspended", "Progressing", "Missing", "Degraded", "Other",
    ]  # fmt: skip
