"""Our clients and the convergence loop against the sandbox's API server with an Argo CD that follows a real repository."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promote.argocd.client import ArgoCD
from promote.convergence.application_status import Goal
from promote.convergence.baseline import Baseline, take_baseline
from promote.convergence.wait import ConvergenceResult, Progress, converge, last_look
from promote.core.deadline import Clock, Deadline
from promote.core.errors import Superseded
from promote.core.model import AppState, Verdict
from promote.core.retry import wait_until
from promote.git.url import Addresses
from promote.kube.client import connect
from promote.kube.workloads import log_tail, newly_failing, pods, warnings
from promote.sandbox.http_server import Fault
from tests.support.production import QUICK, SETTINGS, Production, app_manifest, deployment, production, with_argocd
from tests.support.repos import git

HOOK = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "migrate", "annotations": {"argocd.argoproj.io/hook": "PreSync", "sandbox.promote/behaviour": "hook-waits"}},
    "spec": {"template": {"spec": {"containers": [{"name": "main", "image": "migrate:1"}]}}},
}


@pytest.fixture
def prod(tmp_path: Path) -> Iterator[Production]:
    """Root, web and db, all Healthy at the first commit."""
    with production(tmp_path) as world:
        assert settle(world, world.move(git(world.clone, "rev-parse", "HEAD"))).verdict is Verdict.PASSED
        yield world


def settle(world: Production, goal: Goal, *, seconds: float = 15, baseline: Baseline | None = None, **how: Any) -> ConvergenceResult:
    how = {"settings": SETTINGS, "t_before": None, **how}
    known = baseline.applications(goal) if baseline else {}
    return converge(world.argocd, goal, baseline=known, deadline=Deadline(seconds), **how)


def now() -> Any:
    return Clock().now()


def reasons(result: ConvergenceResult) -> dict[str, str]:
    return {v.name: v.reason for v in result.applications}


def test_a_good_commit_is_proven_with_the_root_first(prod: Production):
    before, t_before, looks = take_baseline(prod.argocd), now(), list[Progress]()
    goal = prod.move(prod.commit({"apps/web/d.yaml": deployment("web", "2")}))
    result = settle(prod, goal, baseline=before, t_before=t_before, on_progress=looks.append)
    assert (result.verdict, result.reason) == (Verdict.PASSED, f"3 of 3 at {goal.commit[:7]} and healthy")
    assert result.proven_at is not None
    first = {
        v.name: next(n for n, p in enumerate(looks) if {a.name: a for a in p.applications}[v.name].state is AppState.PROVEN)
        for v in result.applications
    }
    assert first["argocd"] < min(first["web"], first["db"])
    assert prod.cluster.get("Deployment", "shop", "web")["spec"]["template"]["spec"]["containers"][0]["image"] == "web:2"  # type: ignore[index]
    assert (
        last_look(prod.argocd, goal, baseline=before.applications(goal), t_before=t_before, settings=SETTINGS, deadline=Deadline(10)).verdict
        is Verdict.PASSED
    )


def test_a_commit_that_degrades_fails_and_comes_back(prod: Production):
    before, t_before, old = take_baseline(prod.argocd), now(), git(prod.clone, "rev-parse", "HEAD")
    bad = settle(prod, prod.move(prod.commit({"apps/web/d.yaml": deployment("web", "2", "crash-loop")})), baseline=before, t_before=t_before)
    assert bad.verdict is Verdict.FAILED
    assert bad.reason.startswith("web: Degraded")
    back = settle(prod, prod.move(old), baseline=before, t_before=now(), rollback=True)
    assert back.verdict is Verdict.PASSED, back.reason


def test_a_rollback_ends_the_sync_that_keeps_retrying_the_bad_commit(prod: Production):
    before, t_before, old = take_baseline(prod.argocd), now(), git(prod.clone, "rev-parse", "HEAD")
    bad_goal = prod.move(prod.commit({"apps/web/d.yaml": deployment("web", "2", "sync-fails")}))
    bad = settle(prod, bad_goal, seconds=3, baseline=before, t_before=t_before)
    assert bad.verdict is Verdict.FAILED
    assert "operation retrying: " in reasons(bad)["web"]
    goal, notes = prod.move(old), list[str]()
    stuck = settle(prod, goal, seconds=3, baseline=before, t_before=now(), rollback=True, settings=with_argocd(terminate_stuck=False))
    assert reasons(stuck)["web"].startswith(f"operation retrying another commit {bad_goal.commit[:7]}")
    assert (prod.app("web").sync, prod.app("web").health) == ("Synced", "Healthy")  # what others would believe
    back = settle(prod, goal, baseline=before, t_before=now(), rollback=True, on_progress=lambda p: notes.extend(p.notes))
    assert back.verdict is Verdict.PASSED, back.reason
    assert notes == [f"web: a sync of {bad_goal.commit[:7]} was still running; stopped it"]


def test_forward_no_operation_is_ever_ended(prod: Production):
    bad_goal = prod.move(prod.commit({"apps/web/d.yaml": deployment("web", "2", "sync-fails")}))
    settle(prod, bad_goal, seconds=2)
    settle(prod, prod.move(prod.commit({"apps/web/d.yaml": deployment("web", "3")})), seconds=2)
    operation = prod.app("web").operation
    assert operation is not None
    assert operation.revisions == (bad_goal.commit,)
    assert prod.app("web").in_progress


def test_added_applications_must_come_and_on_the_way_back_go(prod: Production):
    before, old = take_baseline(prod.argocd), git(prod.clone, "rev-parse", "HEAD")
    files = {"root/cart.yaml": app_manifest("cart", "apps/cart"), "apps/cart/d.yaml": deployment("cart", "1"), "root/db.yaml": None}
    forward = settle(prod, prod.move(prod.commit(files)), baseline=before, t_before=now())
    assert forward.verdict is Verdict.PASSED, forward.reason
    assert set(reasons(forward)) == {"argocd", "cart", "web"}
    back = settle(prod, prod.move(old), baseline=before, t_before=now(), rollback=True)
    assert back.verdict is Verdict.PASSED, back.reason
    assert set(reasons(back)) == {"argocd", "db", "web"}


def test_a_rollback_ends_the_sync_that_keeps_an_added_application_from_going(prod: Production):
    before, old = take_baseline(prod.argocd), git(prod.clone, "rev-parse", "HEAD")
    cart = app_manifest("cart", "apps/cart")
    cart["metadata"]["finalizers"] = ["resources-finalizer.argocd.argoproj.io"]
    files = {"root/cart.yaml": cart, "apps/cart/job.yaml": HOOK, "apps/cart/d.yaml": deployment("cart", "1")}
    bad = settle(prod, prod.move(prod.commit(files)), seconds=3, baseline=before, t_before=now())
    assert "waiting for completion of hook" in reasons(bad)["cart"]
    goal, notes = prod.move(old), list[str]()
    kept = settle(prod, goal, seconds=3, baseline=before, t_before=now(), rollback=True, settings=with_argocd(terminate_stuck=False))
    assert reasons(kept)["cart"] == "was added by the version that is rolled back and still exists: it is being deleted and waits for its sync to end"
    back = settle(prod, goal, baseline=before, t_before=now(), rollback=True, on_progress=lambda p: notes.extend(p.notes))
    assert back.verdict is Verdict.PASSED, back.reason
    assert set(notes) == {"cart: its sync kept it from being deleted; stopped it"}
    assert set(reasons(back)) == {"argocd", "db", "web"}


def test_a_window_that_denies_is_named(prod: Production):
    window = {"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["web"]}
    prod.cluster.apply({"kind": "AppProject", "metadata": {"name": "default", "namespace": "argocd"}, "spec": {"syncWindows": [window]}})
    result = settle(prod, prod.move(prod.commit({"apps/web/d.yaml": deployment("web", "2")})), seconds=3)
    assert result.verdict is Verdict.FAILED
    assert reasons(result)["web"].startswith("OutOfSync, window denies until ")


def test_promote_starts_the_syncs_when_the_settings_allow_it(prod: Production):
    assert settle(prod, prod.move(prod.commit({"root/web.yaml": app_manifest("web", "apps/web", syncPolicy={})}))).verdict is Verdict.PASSED
    goal = prod.move(prod.commit({"apps/web/d.yaml": deployment("web", "2")}))
    left = settle(prod, goal, seconds=3)
    assert reasons(left)["web"].startswith("OutOfSync and auto-sync is off")
    notes: list[str] = []
    done = settle(prod, goal, settings=with_argocd(sync="request"), on_progress=lambda p: notes.extend(p.notes))
    assert done.verdict is Verdict.PASSED, done.reason
    assert notes == ["web: sync started"]


def test_a_lost_refresh_is_asked_again(prod: Production):
    prod.cluster.controller.drop_next_refresh("web")
    assert settle(prod, prod.move(prod.commit({}))).verdict is Verdict.PASSED


def test_an_unhandled_refresh_annotation_is_written_again(prod: Production):
    prod.cluster.controller.overlook_next_refresh("web")
    assert settle(prod, prod.move(prod.commit({}))).verdict is Verdict.PASSED


def test_an_argo_cd_that_does_not_look_is_never_believed(prod: Production):
    prod.cluster.freeze()
    goal = Goal.for_tag([git(prod.clone, "rev-parse", "HEAD")], SETTINGS, Addresses.of(prod.app("web").sources[0].repository))
    result = settle(prod, goal, seconds=2)
    assert result.verdict is Verdict.FAILED
    assert reasons(result)["argocd"] == "not reconciled since the tag moved"


def test_a_cluster_that_comes_back_in_time_costs_only_time(prod: Production):
    prod.cluster.api.fault(Fault(kind="status", status=503, times=4))
    prod.cluster.api.fault(Fault(kind="drop_before", times=2))
    assert settle(prod, prod.move(prod.commit({}))).verdict is Verdict.PASSED


def test_a_cluster_that_does_not_come_back_is_no_failure_of_production(prod: Production):
    prod.cluster.api.fault(Fault(kind="status", status=503))
    result = settle(prod, prod.move(prod.commit({})), seconds=1)
    assert result.verdict is Verdict.ERRORED
    assert "answered 503" in result.reason


def test_a_blind_repo_server_is_no_failure_of_production_and_nothing_is_done_about_it(prod: Production):
    before, old = take_baseline(prod.argocd), git(prod.clone, "rev-parse", "HEAD")
    settle(prod, prod.move(prod.commit({"apps/web/d.yaml": deployment("web", "2", "sync-fails")})), seconds=2)
    prod.repositories.clear()
    prod.argocd.refresh(prod.argocd.applications())
    wait_until("blind", prod.argocd.applications, ready=lambda apps: all(a.sync == "Unknown" for a in apps), deadline=Deadline(10), every_s=0.05)
    notes: list[str] = []
    result = settle(prod, prod.move(old), seconds=2, baseline=before, t_before=now(), rollback=True, on_progress=lambda p: notes.extend(p.notes))
    assert result.verdict is Verdict.ERRORED
    assert "3 applications are Unknown at once" in result.reason
    assert notes == []
    assert prod.app("web").in_progress


def test_nothing_to_look_at_is_not_a_pass(prod: Production):
    nobody = replace(prod, argocd=ArgoCD(prod.kube, ["argocd"], "team=absent"))
    goal = replace(prod.move(prod.commit({})), root="")
    result = settle(nobody, goal, seconds=0.3)
    assert (result.verdict, result.reason) == (
        Verdict.ERRORED,
        "no application that follows the tag could be proven; check prod.selector",
    )


def test_the_guard_ends_the_wait_before_anything_is_written(prod: Production):
    def lost() -> None:
        raise Superseded("moved by another user", hint="look")

    asked = len([r for r in prod.cluster.api.requests if r[0] == "PATCH"])
    with pytest.raises(Superseded):
        settle(prod, prod.move(prod.commit({})), guard=lost)
    assert len([r for r in prod.cluster.api.requests if r[0] == "PATCH"]) == asked


def test_terminate_is_guarded_by_the_resource_version(prod: Production):
    settle(prod, prod.move(prod.commit({"apps/web/d.yaml": deployment("web", "2", "sync-fails")})), seconds=2)
    seen = prod.app("web")
    assert seen.in_progress
    assert not prod.argocd.terminate(replace(seen, resource_version="1"))
    assert prod.app("web").in_progress
    assert prod.argocd.terminate(prod.app("web"))
    wait_until("it ends", lambda: prod.app("web"), ready=lambda a: not a.in_progress, deadline=Deadline(5), every_s=0.05)


def test_terminate_is_never_sent_without_an_operation(prod: Production):
    assert not prod.argocd.terminate(prod.app("web"))
    operation = prod.app("web").operation
    assert operation is not None
    assert operation.phase == "Succeeded"


def test_a_sync_is_not_requested_over_another(prod: Production):
    settle(prod, prod.move(prod.commit({"apps/web/d.yaml": deployment("web", "2", "sync-fails")})), seconds=2)
    assert not prod.argocd.request_sync(prod.app("web"), who="me")
    assert not prod.argocd.request_sync(replace(prod.app("db"), resource_version="1"), who="me")


def test_refreshing_one_that_is_gone_is_no_error(prod: Production):
    seen = prod.app("db")
    prod.argocd.refresh([replace(seen, name="absent"), seen])
    wait_until("answered", lambda: prod.app("db"), ready=lambda a: not a.refresh_pending, deadline=Deadline(5), every_s=0.05)


def test_lists_are_read_page_by_page_and_begun_again_when_they_expire(prod: Production):
    for n in range(1100):
        prod.cluster.apply({"kind": "ConfigMap", "metadata": {"name": f"c{n}", "namespace": "default"}})
    path = "/api/v1/namespaces/default/configmaps"
    assert len(prod.kube.items(path)) == 1100
    assert len([r for r in prod.cluster.api.requests if path in r[1]]) == 3
    expired = prod.cluster.api.fault(Fault(kind="status", status=410, times=1, body=b"{}"))
    assert len(prod.kube.items(path)) == 1100
    assert expired.times == 0


def test_failing_pods_their_events_and_their_words(prod: Production):
    before, since = take_baseline(prod.argocd), now()
    goal = prod.move(prod.commit({"apps/web/d.yaml": deployment("web", "2", "crash-loop")}))
    settle(prod, goal, baseline=before, t_before=since)
    seen = {p.key: p for p in pods(prod.kube, "shop")}
    (sentence,) = newly_failing(seen, before.pods(), at=now(), pending_grace_s=120)
    assert "CrashLoopBackOff" in sentence
    assert log_tail(prod.kube, seen[sentence.partition(": ")[0]])
    assert newly_failing(seen, seen, at=now(), pending_grace_s=120) == []
    assert any(e.namespace == "shop" and "web" in e.about for e in warnings(prod.kube, since=since.replace(microsecond=0)))


def test_two_clusters_do_not_share_a_client(prod: Production, tmp_path: Path):
    (tmp_path / "two").mkdir()
    with production(tmp_path / "two", names=("other",), timing=QUICK) as second:
        wait_until("there", second.argocd.applications, ready=lambda apps: len(apps) == 2, deadline=Deadline(10), every_s=0.05)
        assert {a.name for a in prod.argocd.applications()} == {"argocd", "web", "db"}
        assert connect("prod", tmp_path / "kubeconfig", "").items("/api/v1/namespaces")
