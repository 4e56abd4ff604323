"""Production down to the pods, on the embedded cluster: a Healthy application whose pods are old is named, waited for, or tolerated by a rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from promote.argocd.application import Application
from promote.argocd.client import ArgoCD, Destination
from promote.checklist.outcome import Undetermined
from promote.checklist.workloads import SPEC, find_outdated
from promote.config.schema import Settings
from promote.config.schema_checklist import AcceptedWorkload, Running
from promote.convergence.application_status import Goal
from promote.convergence.baseline import take_baseline
from promote.convergence.wait import ConvergenceResult, converge
from promote.core.deadline import Clock, Deadline
from promote.core.model import AppState, Verdict
from promote.core.retry import wait_until
from promote.kube.client import connect
from promote.sandbox.cluster import Cluster
from promote.sandbox.http_server import Fault
from tests.support.production import QUICK as TIMING
from tests.support.production import SETTINGS, Production, app_manifest, deployment, kubeconfig, production
from tests.support.repos import git

QUICK = replace(SETTINGS, running=Running(timeout=2.0))  # type: ignore[arg-type]
PATIENT = replace(SETTINGS, running=Running(timeout=20.0))  # type: ignore[arg-type]
CRON = {
    "apiVersion": "batch/v1",
    "kind": "CronJob",
    "metadata": {"name": "report"},
    "spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "m", "image": "report:1"}]}}}}},
}
FAILED_RUN = {"status": {"lastScheduleTime": "2026-03-02T03:00:00Z", "lastSuccessfulTime": "2026-03-01T03:00:00Z"}}


@pytest.fixture
def prod(tmp_path: Path) -> Iterator[Production]:
    with production(tmp_path, timing=replace(TIMING, progress_deadline_s=4.0)) as world:
        settled(world, world.move(git(world.clone, "rev-parse", "HEAD")))
        yield world


def settled(world: Production, goal: Goal, *, seconds: float = 20, **how: Any) -> ConvergenceResult:
    result = converge(world.argocd, goal, **{"baseline": {}, "t_before": None, "settings": SETTINGS, "deadline": Deadline(seconds), **how})
    assert result.verdict is Verdict.PASSED, result.reason
    return result


def workload(kind: str, version: str, **spec: Any) -> dict[str, Any]:
    made = deployment("web", version)
    return {**made, "kind": kind, "spec": {**made["spec"], "replicas": 2, **spec}}


def outdated(
    world: Production, goal: Goal, settings: Settings = QUICK, before: tuple[Application, ...] = ()
) -> tuple[dict[str, str], dict[str, object]]:
    seen: dict[str, object] = {}
    return find_outdated(world.argocd, goal, settings, before, seen.__setitem__), seen


def test_production_whose_pods_run_the_newest_spec_passes_and_says_what_it_was_compared_with(prod: Production):
    found, seen = outdated(prod, prod.move(prod.commit({"apps/web/d.yaml": deployment("web", "1")})))
    assert found == {}
    assert (seen["workloads"], seen["compared with"]) == (2, SPEC)


HELD = {
    "OnDelete": ("StatefulSet", {"updateStrategy": {"type": "OnDelete"}}, "updateStrategy OnDelete: 0 of 2 replicas updated"),
    "partition": ("StatefulSet", {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}}, "partition 1: 1 of 2 replicas updated"),
    "OnDelete of a DaemonSet": ("DaemonSet", {"updateStrategy": {"type": "OnDelete"}}, "updateStrategy OnDelete: 0 of 2 pods updated"),
}  # fmt: skip


@pytest.mark.parametrize("name", HELD)
def test_pods_that_no_update_replaces_are_named_although_argo_cd_calls_it_healthy_and_pass_after_the_rollback(prod: Production, name: str):
    kind, spec, text = HELD[name]
    first = prod.commit({"apps/web/d.yaml": workload(kind, "1", **spec)})
    goal = prod.move(first)
    settled(prod, goal)
    assert outdated(prod, goal)[0] == {}
    goal = prod.move(prod.commit({"apps/web/d.yaml": workload(kind, "2", **spec)}))
    settled(prod, goal)
    found, _ = outdated(prod, goal)
    assert list(found) == [f"{kind} shop/web of web"]
    assert text in found[f"{kind} shop/web of web"]
    assert "runs web:1, not web:2" in found[f"{kind} shop/web of web"]
    back = prod.move(first)
    settled(prod, back)
    assert outdated(prod, back)[0] == {}, "the old images are the template's again"


def test_a_rule_tolerates_what_it_names_with_its_reason_until_its_last_day(prod: Production):
    spec = {"updateStrategy": {"type": "OnDelete"}}
    goal = prod.move(prod.commit({"apps/web/d.yaml": workload("StatefulSet", "1", **spec)}))
    settled(prod, goal)
    goal = prod.move(prod.commit({"apps/web/d.yaml": workload("StatefulSet", "2", **spec)}))
    settled(prod, goal)
    rule = AcceptedWorkload(application="w*", kind="StatefulSet", name="web", reason="the team deletes the pods")

    def late(rule: AcceptedWorkload) -> tuple[dict[str, str], dict[str, object]]:
        return outdated(prod, goal, replace(QUICK, running=replace(QUICK.running, accept=[rule])))

    found, seen = late(rule)
    assert found == {}
    assert "(accepted: the team deletes the pods)" in str(seen["accepted (running.accept)"])
    for other in (
        replace(rule, application="db"),
        replace(rule, kind="DaemonSet"),
        replace(rule, name="x*"),
        replace(rule, expires=date(2026, 1, 1)),
    ):
        assert list(late(other)[0]) == ["StatefulSet shop/web of web"]


def test_a_rollout_in_progress_is_waited_for(prod: Production):
    goal = prod.move(prod.commit({"apps/web/d.yaml": deployment("web", "2", "slow=1.5")}))
    prod.argocd.refresh([prod.app("web")])
    wait_until("the new image", lambda: _image(prod) == "web:2", ready=bool, deadline=Deadline(10), every_s=0.05)
    assert outdated(prod, goal, PATIENT)[0] == {}
    assert prod.cluster.get("Deployment", "shop", "web")["status"]["availableReplicas"] == 1  # type: ignore[index]


def _image(prod: Production) -> str:
    found = prod.cluster.get("Deployment", "shop", "web")
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"]) if found else ""


def test_a_workload_that_stays_unavailable_is_named_when_the_time_is_over(prod: Production):
    goal = prod.move(prod.commit({"apps/web/d.yaml": deployment("web", "2", "slow=60")}))
    prod.argocd.refresh([prod.app("web")])
    wait_until("the new image", lambda: _image(prod) == "web:2", ready=bool, deadline=Deadline(10), every_s=0.05)
    found, _ = outdated(prod, goal, replace(SETTINGS, running=Running(timeout=0.1)))  # type: ignore[arg-type]
    assert list(found) == ["Deployment shop/web of web"]


def test_a_workload_that_was_as_unhealthy_before_is_reported_and_does_not_count(prod: Production):
    bad = prod.move(prod.commit({"apps/web/d.yaml": deployment("web", "1", "never-ready")}))
    prod.argocd.refresh([prod.app("web")])
    wait_until("Degraded", lambda: prod.app("web").health == "Degraded", ready=bool, deadline=Deadline(15), every_s=0.1)
    before = tuple(take_baseline(prod.argocd).applications(bad).values())
    found, seen = outdated(prod, bad, before=before)
    assert found == {}
    assert "Deployment shop/web of web" in str(seen["as unhealthy as before"])
    assert list(outdated(prod, bad)[0]) == ["Deployment shop/web of web"], "without a baseline nothing is tolerated"


def test_nothing_to_look_at_is_undetermined(prod: Production):
    maps = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "b"}}
    goal = prod.move(prod.commit({"apps/web/d.yaml": maps, "apps/db/d.yaml": {**maps, "metadata": {"name": "n"}}}))
    settled(prod, goal)
    with pytest.raises(Undetermined, match="none of the 3 applications that belong to this promotion deploys a workload"):
        outdated(prod, goal)


def test_a_kind_that_may_not_be_listed_is_undetermined(prod: Production):
    goal = prod.move(prod.commit({"apps/web/d.yaml": deployment("web", "1")}))
    prod.cluster.api.fault(Fault(kind="status", path="/apis/apps/v1/deployments", status=403))
    with pytest.raises(Undetermined, match="not every workload can be read") as caught:
        outdated(prod, goal)
    assert "docs/rbac.md" in (caught.value.hint or "")


def test_an_application_of_another_cluster_is_undetermined_by_name(prod: Production):
    far = app_manifest("far", "apps/web", destination={"server": "https://spoke.example.org", "namespace": "shop"})
    goal = prod.move(prod.commit({"root/far.yaml": far}))
    prod.argocd.refresh([prod.app("argocd")])
    wait_until(
        "its resources",
        lambda: any(a.name == "far" and a.resources for a in prod.argocd.applications()),
        ready=bool,
        deadline=Deadline(10),
        every_s=0.05,
    )
    with pytest.raises(Undetermined, match=r"far: it deploys to https://spoke\.example\.org, which no entry of prod.clusters names"):
        outdated(prod, goal)


@pytest.fixture
def spoke() -> Iterator[Cluster]:
    """A second cluster, without an Argo CD at work."""
    cluster = Cluster("spoke", repositories={}, timing=TIMING)
    cluster.start()
    yield cluster
    cluster.stop()


def test_an_application_of_a_named_cluster_is_judged_by_what_runs_there(prod: Production, spoke: Cluster, tmp_path: Path):
    """The objects of the same names in Argo CD's own cluster are all right."""
    goal = prod.move(prod.commit({"apps/web/d.yaml": deployment("web", "1")}))
    settled(prod, goal)
    prod.cluster.freeze()
    prod.cluster.patch("Application", "argocd", "web", {"spec": {"destination": {"server": "https://spoke.example.org"}}})
    (tmp_path / "spoke").mkdir()
    names = frozenset({"https://spoke.example.org", "spoke"})
    there = Destination(label="spoke", names=names, connect=lambda: connect("spoke", kubeconfig(tmp_path / "spoke", spoke.url), ""))
    world = replace(prod, argocd=ArgoCD(prod.kube, ["argocd"], destinations=[there]))
    assert outdated(world, goal)[0] == {"Deployment shop/web of web in spoke": "does not exist"}
    found = prod.cluster.get("Deployment", "shop", "web")
    assert found
    spoke.apply(found)
    assert outdated(world, goal)[0] == {}
    spoke.api.fault(Fault(kind="status", path="/api/v1/pods", status=403))
    with pytest.raises(Undetermined, match="not every workload can be read: web: "):
        outdated(world, goal)


def test_a_workload_of_a_cluster_that_is_read_fails_although_another_cluster_cannot_be_read(prod: Production):
    goal = prod.move(prod.commit({"apps/web/d.yaml": workload("StatefulSet", "1", updateStrategy={"type": "OnDelete"})}))
    settled(prod, goal)
    goal = prod.move(prod.commit({"apps/web/d.yaml": workload("StatefulSet", "2", updateStrategy={"type": "OnDelete"})}))
    settled(prod, goal)
    prod.cluster.freeze()
    prod.cluster.patch("Application", "argocd", "db", {"spec": {"destination": {"server": "https://spoke.example.org"}}})
    assert list(outdated(prod, goal)[0]) == ["StatefulSet shop/web of web"]


def test_a_failed_job_of_an_application_that_was_left_unchanged_is_evidence_only(prod: Production):
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "load"}, "spec": {"template": deployment("load", "1")["spec"]["template"]}}
    first = prod.move(prod.commit({"apps/web/j.yaml": job}))
    prod.argocd.refresh([prod.app("web")])
    wait_until("the Job", lambda: prod.cluster.get("Job", "shop", "load"), ready=bool, deadline=Deadline(10), every_s=0.05)
    prod.cluster.patch("Job", "shop", "load", {"status": {"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]}})
    settled(prod, first)
    before = tuple(take_baseline(prod.argocd).applications(first).values())
    goal = prod.move(prod.commit({"apps/db/d.yaml": deployment("db", "2")}))
    settled(prod, goal)
    prod.cluster.freeze()
    failed = {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "m"}], "succeeded": 0}
    prod.cluster.patch("Job", "shop", "load", {"status": failed})
    found, seen = outdated(prod, goal, before=before)
    assert (found, "Job shop/load of web" in str(seen["unchanged by this promotion (ignored)"])) == ({}, True)
    assert list(outdated(prod, goal)[0]) == ["Job shop/load of web"], "without a baseline it counts as changed"


def test_the_excuse_of_a_failed_cron_job_does_not_cover_a_deployment_that_was_ready(prod: Production):
    good = prod.commit({"apps/web/c.yaml": CRON})
    goal = prod.move(good)
    settled(prod, goal)
    prod.cluster.patch("CronJob", "shop", "report", FAILED_RUN)
    wait_until("Degraded", lambda: prod.app("web").health == "Degraded", ready=bool, deadline=Deadline(15), every_s=0.1)
    before, t_before = take_baseline(prod.argocd), Clock().now()
    assert before.troubles == {"argocd/web": [{"group": "batch", "kind": "CronJob", "namespace": "shop", "name": "report", "health": "Degraded"}]}
    broken = prod.move(prod.commit({"apps/web/d.yaml": deployment("web", "2", "never-ready")}))
    how: dict[str, Any] = {"baseline": before.applications(broken), "t_before": t_before, "settings": SETTINGS}
    bad = converge(prod.argocd, broken, deadline=Deadline(15), **how)
    assert bad.verdict is Verdict.FAILED
    assert "was already Degraded before, but not for this: Deployment web Degraded" in bad.reason
    back = settled(prod, prod.move(good), **{**how, "rollback": True, "t_before": Clock().now()})
    (web,) = [a for a in back.applications if a.name == "web"]
    assert (web.state, "CronJob report Degraded" in web.reason) == (AppState.TOLERATED, True)
