"""Which failed pods stand for their workload as it is now, and which running ones are not ready."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from promote.core.errors import Denied
from promote.kube.current import Attempt, OwnedPod, outdated
from promote.kube.ownership import Claims, Ownership
from promote.kube.workloads import Pod, newly_failing, none_serve, parse_pod

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
GROUPS = {"Job": "batch/v1", "ReplicaSet": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1"}
CLAIMS = Claims(objects={("apps", "Deployment", "shop", "web"): "argocd/shop", ("", "Pod", "shop", "alone"): "argocd/shop"})


def stamp(seconds: float) -> str:
    return (T0 + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(name: str, phase: str = "Running", *, owner: str = "ReplicaSet/web-5d6", at: float = 0, **status: Any) -> dict[str, Any]:
    kind, _, of = owner.partition("/")
    owners = [{"apiVersion": GROUPS[kind], "kind": kind, "name": of, "uid": f"uid-{of}", "controller": True}] if owner else []
    meta = {"name": name, "namespace": "shop", "creationTimestamp": stamp(at), "ownerReferences": owners, "labels": {"pod-template-hash": "5d6"}}
    return {"metadata": meta, "status": {"phase": phase, **status}}


def ended(code: int, name: str = "main") -> dict[str, Any]:
    return {"name": name, "restartCount": 0, "state": {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed"}}}


def ready(status: str, since: float = 0) -> dict[str, Any]:
    return {"conditions": [{"type": "Ready", "status": status, "lastTransitionTime": stamp(since)}]}


def over(*pods: dict[str, Any], jobs: list[dict[str, Any]] | None = None, attempt: Attempt | None = None) -> tuple[dict[str, str], dict[str, str]]:
    def items(path: str) -> list[dict[str, Any]]:
        if jobs is None:
            raise Denied("cluster prod", "cannot list jobs", hint="grant it")
        return jobs

    ownership = Ownership(CLAIMS, items)
    return outdated([OwnedPod(pod=parse_pod(p), manifest=p, owner=ownership.of(p)) for p in pods], ownership, attempt)


def keyed(*pods: dict[str, Any]) -> Mapping[str, Pod]:
    return {p.key: p for p in map(parse_pod, pods)}


def failing(now: Mapping[str, Pod], before: Mapping[str, Pod], at: float) -> list[str]:
    return newly_failing(now, before, at=T0 + timedelta(seconds=at), pending_grace_s=120)


def job(name: str, *conditions: str, at: float = 0) -> dict[str, Any]:
    meta = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "creationTimestamp": stamp(at)}
    return {"metadata": meta, "status": {"conditions": [{"type": c, "status": "True"} for c in conditions]}}


@pytest.mark.parametrize("reason", ["Evicted", "Terminated", "NodeShutdown", "NodeLost", "Preempting", "UnexpectedAdmissionError", "OutOfcpu"])
def test_a_pod_that_its_node_ended_does_not_count_once_another_took_its_place(reason: str) -> None:
    gone = pod("web-5d6-a", "Failed", reason=reason, conditions=[{"type": "Ready", "status": "False", "lastTransitionTime": stamp(50)}])
    assert over(gone, pod("web-5d6-b", at=51))[0] == {"shop/web-5d6-a": f"{reason}, replaced by web-5d6-b"}
    assert over(gone)[0] == {}, "none took its place"
    assert over(gone, pod("web-5d6-b", at=5))[0] == {}, "the other ran beside it all the time"
    assert over(gone, pod("web-5d6-b", "Failed", at=51, reason=reason))[0] == {}, "its successor ended as well"


def test_a_bare_pod_is_replaced_by_none() -> None:
    assert over(pod("alone", "Failed", owner="", reason="Evicted"), pod("web-5d6-b", at=51))[0] == {}


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        ([job("migrate", "Complete")], "its Job succeeded"),
        ([job("migrate", "SuccessCriteriaMet")], "its Job succeeded"),
        ([job("migrate")], "its Job has tries left"),
        ([], "its Job no longer exists"),
        ([job("migrate", "Failed")], None),
        ([job("migrate", "FailureTarget")], None),
    ],
)
def test_a_failed_try_of_a_job(jobs: list[dict[str, Any]], expected: str | None) -> None:
    tried = pod("migrate-a", "Failed", owner="Job/migrate", containerStatuses=[ended(1)])
    assert over(tried, jobs=jobs)[0] == ({"shop/migrate-a": expected} if expected else {})


def test_a_pod_of_a_job_that_cannot_start_is_no_failed_try() -> None:
    pulls = pod("migrate-a", "Pending", owner="Job/migrate", containerStatuses=[{"state": {"waiting": {"reason": "ImagePullBackOff"}}}])
    assert over(pulls, jobs=[job("migrate")]) == ({}, {})


def test_jobs_are_read_only_for_a_pod_of_a_job_that_failed() -> None:
    assert over(pod("migrate-a", "Succeeded", owner="Job/migrate"), pod("web-5d6-a")) == ({}, {})
    assert "cannot list jobs" in over(pod("migrate-a", "Failed", owner="Job/migrate"))[1]["shop/migrate-a"]


def test_what_the_failed_attempt_started_does_not_count_after_it() -> None:
    attempt = Attempt(start=T0 + timedelta(seconds=10), end=T0 + timedelta(seconds=90))
    tried = pod("migrate-a", "Failed", owner="Job/migrate", at=95, containerStatuses=[ended(1)])
    for at, left in ((5, False), (20, True), (91, False)):
        assert bool(over(tried, jobs=[job("migrate", "Failed", at=at)], attempt=attempt)[0]) is left, at
    assert over(pod("alone", "Failed", owner="", at=20), attempt=attempt)[0] == {"shop/alone": "left by the version that was rolled back"}
    assert over(pod("web-5d6-a", "Failed", at=20), attempt=attempt)[0] == {}, "a Deployment's pod is of the present"


@pytest.mark.parametrize(
    ("phase", "codes", "trouble"),
    [("Failed", (0, 143), ""), ("Succeeded", (0, 143), ""), ("Failed", (1, 143), "Error"), ("Failed", (143,), "Error"), ("Failed", (0, 1), "Error")],
)
def test_a_sidecar_that_is_stopped_after_the_work_is_no_trouble(phase: str, codes: tuple[int, ...], trouble: str) -> None:
    found = parse_pod(pod("a", phase, owner="Job/migrate", containerStatuses=[ended(code) for code in codes]))
    assert found.trouble == trouble


def test_a_pod_that_runs_and_is_not_ready_fails_after_the_grace() -> None:
    now = keyed(pod("web-5d6-a", **ready("False", 30)))
    assert failing(now, {}, 140) == []
    assert failing(now, {}, 151) == ["shop/web-5d6-a: running and not Ready since 12:00:30 UTC"]
    assert failing(keyed(pod("migrate-a", owner="Job/migrate", **ready("False"))), {}, 999) == [], "a Job serves no requests"


def test_as_many_pods_without_readiness_as_before_are_no_new_failure() -> None:
    before = keyed(pod("web-111-a", owner="ReplicaSet/web-111", **ready("False")), pod("web-111-b", owner="ReplicaSet/web-111", **ready("True")))
    now = keyed(pod("web-5d6-a", **ready("False")), pod("web-5d6-b", **ready("True")))
    assert failing(now, before, 999) == []
    both = keyed(pod("web-5d6-a", **ready("False")), pod("web-5d6-b", **ready("False")))
    assert len(failing(both, before, 999)) == 2


def test_a_workload_without_a_ready_pod_is_waited_for_unless_it_had_none_before() -> None:
    young = keyed(pod("web-5d6-a", **ready("False")))
    assert list(none_serve(young, {})) == ["shop/ReplicaSet/web"]
    assert none_serve(young, keyed(pod("web-111-a", owner="ReplicaSet/web-111", **ready("False")))) == {}
    assert none_serve(keyed(pod("web-5d6-a", **ready("False")), pod("web-5d6-b", **ready("True"))), {}) == {}
