"""Whether the pods run a workload's newest spec: each kind when it is complete, not observed, half replaced, held by its own design, failed."""

from __future__ import annotations

from typing import Any

import pytest

from promote.kube.rollout_status import RolloutState, old_pods, rollout_status, same_image

UPDATED, ROLLING, HELD, FAILED = RolloutState.UPDATED, RolloutState.ROLLING, RolloutState.HELD, RolloutState.FAILED
VERSIONS = {"Job": "batch/v1", "Pod": "v1", "Rollout": "argoproj.io/v1alpha1"}
TEMPLATE = {"spec": {"containers": [{"name": "main", "image": "shop:2"}]}}
FULL = {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
ONE = {"currentRevision": "db-b", "updateRevision": "db-b"}
TWO = {"currentRevision": "db-a", "updateRevision": "db-b"}
LATE = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]
ON_DELETE = {"updateStrategy": {"type": "OnDelete"}}
STEPS = {"strategy": {"canary": {"steps": [{"setWeight": 20}, {"pause": {}}]}}}
DAEMON = {"observedGeneration": 3, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 3}


def workload(kind: str, spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None) -> dict[str, Any]:
    made = {"replicas": 2, "template": TEMPLATE} | (spec or {})
    meta = {"name": "shop", "namespace": "n", "generation": 3}
    return {"apiVersion": VERSIONS.get(kind, "apps/v1"), "kind": kind, "metadata": meta, "spec": made, "status": status or {}}


def pod(name: str = "shop-0", image: str = "shop:2", *, revision: str = "db-b", phase: str = "Running", **meta: Any) -> dict[str, Any]:
    labels = {"controller-revision-hash": revision}
    spec = {"containers": [{"name": "main", "image": image}, {"name": "proxy", "image": "mesh:9"}]}
    return {"metadata": {"name": name, "namespace": "n", "labels": labels, **meta}, "spec": spec, "status": {"phase": phase}}


def condition(kind: str) -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": "True"}]}


NEW, OLD = [pod("shop-0"), pod("shop-1")], [pod("shop-0", "shop:1", revision="db-a"), pod("shop-1")]
CASES: list[tuple[str, dict[str, Any] | None, dict[str, Any], list[dict[str, Any]], RolloutState, str]] = [
    ("Deployment", None, FULL, NEW, UPDATED, ""),
    ("Deployment", None, {**FULL, "observedGeneration": 2}, NEW, ROLLING, "not observed its newest spec (generation 3, observed 2)"),
    ("Deployment", None, {**FULL, "updatedReplicas": 1}, OLD, ROLLING, "1 of 2 replicas updated: shop-0 runs shop:1, not shop:2"),
    ("Deployment", None, {**FULL, "replicas": 3}, NEW, ROLLING, "1 old replica still exists"),
    ("Deployment", None, {**FULL, "availableReplicas": 1}, NEW, ROLLING, "1 of 2 replicas available"),
    ("Deployment", None, FULL, OLD, ROLLING, "1 pod of an older spec: shop-0 runs shop:1, not shop:2"),
    ("Deployment", None, {**FULL, "availableReplicas": 1, "conditions": LATE}, NEW, FAILED, "exceeded its progress deadline"),
    ("Deployment", {"paused": True}, {**FULL, "updatedReplicas": 0}, OLD, HELD, "is paused: 0 of 2 replicas updated: shop-0 runs shop:1"),
    ("Deployment", {"paused": True}, FULL, NEW, UPDATED, ""),
    ("Deployment", {"replicas": 0}, {"observedGeneration": 3}, [], UPDATED, "it wants no replicas"),
    ("StatefulSet", None, {**FULL, **ONE}, NEW, UPDATED, ""),
    ("StatefulSet", None, {**FULL, **ONE, "observedGeneration": 2}, NEW, ROLLING, "not observed"),
    ("StatefulSet", None, {**FULL, **TWO, "updatedReplicas": 1}, OLD, ROLLING, "1 of 2 replicas updated"),
    ("StatefulSet", None, {**FULL, **ONE, "readyReplicas": 1}, NEW, ROLLING, "1 of 2 replicas ready"),
    ("StatefulSet", ON_DELETE, {**FULL, **TWO, "updatedReplicas": 1}, OLD, HELD, "updateStrategy OnDelete: 1 of 2 replicas updated"),
    ("StatefulSet", ON_DELETE, {**FULL, **TWO, "updatedReplicas": 0}, [], HELD, "updateStrategy OnDelete: 0 of 2"),
    ("StatefulSet", ON_DELETE, {**FULL, **TWO}, NEW, UPDATED, ""),
    ("StatefulSet", ON_DELETE, {**FULL, **ONE}, NEW, UPDATED, ""),
    ("StatefulSet", None, {**FULL, **ONE}, [pod("shop-0", revision="db-a"), pod("shop-1")], ROLLING, "shop-0 is of revision db-a, not db-b"),
    ("StatefulSet", {"updateStrategy": {"rollingUpdate": {"partition": 1}}}, {**FULL, **TWO, "updatedReplicas": 1}, OLD, HELD, "partition 1: 1 of 2"),
    ("StatefulSet", {"updateStrategy": {"rollingUpdate": {"partition": 1}}}, {**FULL, **TWO, "updatedReplicas": 0}, OLD, ROLLING, "0 of 2"),
    ("StatefulSet", {"updateStrategy": {"rollingUpdate": {"partition": 2}}}, {**FULL, **TWO, "updatedReplicas": 0}, OLD, HELD, "partition 2"),
    ("StatefulSet", {"updateStrategy": {"rollingUpdate": {"partition": 2}}}, {**FULL, **ONE}, NEW, UPDATED, ""),
    ("DaemonSet", None, DAEMON, NEW, UPDATED, ""),
    ("DaemonSet", None, {**DAEMON, "observedGeneration": 2}, NEW, ROLLING, "not observed"),
    ("DaemonSet", None, {**DAEMON, "updatedNumberScheduled": 1}, OLD, ROLLING, "1 of 3 replicas updated"),
    ("DaemonSet", None, {**DAEMON, "numberAvailable": 1}, NEW, ROLLING, "1 of 3 replicas available"),
    ("DaemonSet", ON_DELETE, {**DAEMON, "updatedNumberScheduled": 0}, OLD, HELD, "updateStrategy OnDelete: 0 of 3 pods updated"),
    ("DaemonSet", ON_DELETE, DAEMON, OLD, HELD, "shop-0 runs shop:1, not shop:2"),
    ("ReplicaSet", None, FULL, NEW, UPDATED, ""),
    ("ReplicaSet", None, FULL, OLD, HELD, "a ReplicaSet never replaces its pods: shop-0 runs shop:1"),
    ("ReplicaSet", None, {**FULL, "availableReplicas": 0}, NEW, ROLLING, "0 of 2 replicas available"),
    ("Rollout", STEPS, {"observedGeneration": "3", "phase": "Healthy"}, [], UPDATED, ""),
    ("Rollout", STEPS, {"observedGeneration": "2", "phase": "Healthy"}, [], ROLLING, "not observed"),
    ("Rollout", STEPS, {"observedGeneration": "3", "phase": "Paused", "currentStepIndex": 1}, OLD, HELD, "pauses at step 2 of 2: shop-0 runs shop:1"),
    ("Rollout", STEPS, {"observedGeneration": "3", "phase": "Progressing", "currentStepIndex": 0}, OLD, ROLLING, "is Progressing at step 1 of 2"),
    ("Rollout", STEPS, {"observedGeneration": "3", "phase": "Healthy", "currentPodHash": "b", "stableRS": "a"}, NEW, ROLLING, "not the stable one"),
    ("Rollout", STEPS, {"observedGeneration": "3", "phase": "Healthy", "updatedReplicas": 1}, NEW, ROLLING, "1 of 2 replicas updated"),
    ("Rollout", STEPS, {"observedGeneration": "3", "phase": "Healthy"}, OLD, ROLLING, "shop-0 runs shop:1"),
    ("Rollout", STEPS, {"observedGeneration": "3", "phase": "Degraded", "abort": True}, OLD, FAILED, "the rollout was aborted"),
    ("Rollout", STEPS, {"observedGeneration": "3"}, [], ROLLING, "is without a phase"),
    ("Job", None, condition("Complete"), [], UPDATED, ""),
    ("Job", None, condition("Failed"), [], FAILED, "failed"),
    ("Job", None, condition("Suspended"), [], HELD, "is suspended"),
    ("Job", None, {"active": 1}, NEW, ROLLING, "has not completed"),
    ("Pod", None, {"phase": "Running", **condition("Ready")}, [], UPDATED, ""),
    ("Pod", None, {"phase": "Succeeded"}, [], UPDATED, ""),
    ("Pod", None, {"phase": "Running"}, [], ROLLING, "is Running and not ready"),
    ("Pod", None, {"phase": "Failed"}, [], FAILED, "has failed"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "spec", "status", "pods", "state", "text"), CASES, ids=[f"{n} {c[0]} {c[4]}" for n, c in enumerate(CASES)])
def test_a_workload_is_updated_only_when_its_pods_run_its_newest_spec(
    kind: str, spec: dict[str, Any] | None, status: dict[str, Any], pods: list[dict[str, Any]], state: RolloutState, text: str
):
    found = rollout_status(workload(kind, spec, status), pods)
    assert (found.state, text in found.text) == (state, True), found
    assert bool(found.text) is bool(text)


@pytest.mark.parametrize("other", [pod("shop-9", "shop:1", deletionTimestamp="2026-03-01T12:00:00Z"), pod("shop-9", "shop:1", phase="Succeeded"),
                                   pod("shop-9", "shop:1", phase="Failed")], ids=["being deleted", "succeeded", "failed"])  # fmt: skip
def test_pods_that_end_or_have_ended_are_not_looked_at(other: dict[str, Any]):
    assert old_pods(workload("Deployment"), [other]) == []
    assert old_pods(workload("Deployment"), [pod("shop-9", "shop:1")]) == ["shop-9 runs shop:1, not shop:2"]


def test_a_pod_without_a_container_of_the_template_is_an_old_one():
    bare = {**pod(), "spec": {"containers": [{"name": "other", "image": "shop:2"}]}}
    assert old_pods(workload("Deployment"), [bare]) == ["shop-0 has no container main"]


def test_init_containers_count():
    template = {"spec": {**TEMPLATE["spec"], "initContainers": [{"name": "migrate", "image": "migrate:2"}]}}
    started = {**pod(), "spec": {**pod()["spec"], "initContainers": [{"name": "migrate", "image": "migrate:1"}]}}
    assert old_pods(workload("Deployment", {"template": template}), [started]) == ["shop-0 runs migrate:1, not migrate:2"]


A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


@pytest.mark.parametrize(
    ("running", "wanted", "same"),
    [
        ("shop:2", "shop:2", True),
        ("shop:1", "shop:2", False),
        ("harbor.example/proxy/acme/shop:2", "docker.io/acme/shop:2", True),
        ("harbor.example:5000/shop:2", "shop:2", True),
        ("shop", "shop:latest", True),
        (f"shop:2@{A}", "shop:2", True),
        (f"shop@{A}", f"shop:2@{A}", True),
        (f"shop:2@{A}", f"shop:2@{B}", False),
        (f"shop@{A}", f"shop@{B}", False),
        (f"shop@{A}", "shop:2", False),
        ("basket:2", "shop:2", False),
    ],
)
def test_a_mirror_or_a_pinned_digest_is_the_same_image(running: str, wanted: str, same: bool):
    assert same_image(running, wanted) is same
