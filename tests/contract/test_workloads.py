"""Health of deployed workloads: rollouts, crashing pods, and the events about them."""

from __future__ import annotations

from typing import Any

from tests.contract.api import ARGO, REFRESH, conditions, synced, until
from tests.contract.place import Place, config_map, deployment
from tests.contract.worlds import World


def pods(world: World, place: Place, app: str = "web") -> list[dict[str, Any]]:
    return world.api.items(f"/api/v1/namespaces/{place.namespace}/pods", labelSelector=f"app={app}")


def waiting(pod: dict[str, Any]) -> str:
    status = (pod.get("status") or {}).get("containerStatuses") or [{}]
    return str(((status[0].get("state") or {}).get("waiting") or {}).get("reason", ""))


def test_a_deployment_gets_ready_and_its_pod_runs(world: World, place: Place) -> None:
    name, _ = place.deployed({"web.yaml": deployment()})
    (pod,) = pods(world, place)
    assert pod["status"]["phase"] == "Running"
    assert [(c["ready"], c["restartCount"]) for c in pod["status"]["containerStatuses"]] == [(True, 0)]
    owner = pod["metadata"]["ownerReferences"][0]
    assert owner["kind"] == "ReplicaSet" and owner["name"].startswith("web-") and pod["metadata"]["name"].startswith(owner["name"] + "-")
    found = [(r["kind"], r["name"], r["status"], "health" in r) for r in world.api.application(name)["status"]["resources"]]
    assert found == [("Deployment", "web", "Synced", False)], "no health of single resources since 3.0"


def test_a_rollout_that_never_gets_ready_is_progressing_then_degraded(world: World, place: Place) -> None:
    name, old = place.deployed({"web.yaml": deployment()})
    bad = place.repo.commit({"app/web.yaml": deployment(image="web:2", behaviour="never-ready", deadline=3)})
    place.repo.tag("stable", bad)
    world.api.refresh(name)
    app = world.api.wait(name, lambda a: a["status"]["sync"]["revision"] == bad and a["status"]["health"]["status"] == "Progressing")
    assert "message" not in app["status"]["health"], "only the tree of resources knows why"
    stamp = app["status"]["reconciledAt"]
    degraded = world.api.wait(name, lambda a: a["status"]["health"]["status"] == "Degraded")
    assert degraded["status"]["sync"]["status"] == "Synced", "Synced does not cover health"
    assert degraded["status"]["operationState"]["phase"] == "Succeeded"
    assert degraded["status"]["reconciledAt"] >= stamp
    live = world.api.get(f"/apis/apps/v1/namespaces/{place.namespace}/deployments/web")
    late = [c for c in live["status"]["conditions"] if c["type"] == "Progressing"]
    assert [(c["status"], c["reason"]) for c in late] == [("False", "ProgressDeadlineExceeded")]
    place.repo.tag("stable", old)
    world.api.wait(name, synced(old), refresh=True)


def test_just_after_a_sync_the_health_is_the_old_one_and_the_look_is_older(world: World, place: Place) -> None:
    """A client that reads phase and health alone is fooled for a moment; the sync status and `reconciledAt` are of before the sync as well."""
    name, old = place.deployed({"web.yaml": deployment()})
    lagging: list[dict[str, Any]] = []
    for n in range(20):
        bad = place.repo.commit({"app/web.yaml": deployment(image=f"web:bad-{n}", behaviour="never-ready")})
        place.repo.tag("stable", bad)
        ended = synced_but_degraded(world, name, bad, lagging)
        assert ended["health"]["status"] == "Progressing"
        place.repo.tag("stable", old)
        world.api.wait(name, synced(old), refresh=True)
        if lagging:
            break
    assert lagging, "seen nearly every time; 20 times is enough"
    for status in lagging:
        assert status["sync"]["status"] == "OutOfSync"
        assert status["reconciledAt"] <= status["operationState"]["finishedAt"]


def synced_but_degraded(world: World, name: str, commit: str, lagging: list[dict[str, Any]]) -> dict[str, Any]:
    """Looks without a pause until it is Synced at the commit; looks that show the sync as over and the old health are kept."""
    world.api.patch(f"{ARGO}/applications/{name}", {"metadata": {"annotations": {REFRESH: "normal"}}})

    def look() -> dict[str, Any] | None:
        while True:
            status = world.api.application(name)["status"]
            state = status.get("operationState") or {}
            over = state.get("phase") == "Succeeded" and (state.get("syncResult") or {}).get("revision") == commit
            if over and status["health"]["status"] == "Healthy":
                lagging.append(status)
            elif over and status["sync"]["status"] == "Synced":
                return status
            elif not over:
                return None

    return until(look, f"{name} to be synced at {commit}", pause=0)


def test_the_old_pod_serves_while_the_new_one_does_not_get_ready(world: World, place: Place) -> None:
    name, _ = place.deployed({"web.yaml": deployment()})
    bad = place.repo.commit({"app/web.yaml": deployment(image="web:2", behaviour="never-ready", deadline=3)})
    place.repo.tag("stable", bad)
    world.api.wait(name, synced(bad, "Degraded"), refresh=True)
    found = sorted((p["spec"]["containers"][0]["image"], p["status"]["phase"]) for p in pods(world, place))
    assert found == [("web:1", "Running"), ("web:2", "Pending")]
    assert world.api.get(f"/apis/apps/v1/namespaces/{place.namespace}/deployments/web")["status"]["readyReplicas"] == 1


def test_a_crashing_pod_shows_its_reason_restart_count_and_events(world: World, place: Place) -> None:
    commit = place.repo.commit({"app/web.yaml": deployment(behaviour="crash-loop", deadline=3)})
    place.repo.tag("stable", commit)
    name = place.app("app", "stable")
    world.api.wait(name, synced(commit, "Degraded"))
    (pod,) = until(lambda: [p for p in pods(world, place) if waiting(p) == "CrashLoopBackOff"], "a crashing pod")
    first = pod["status"]["containerStatuses"][0]["restartCount"]
    until(lambda: pods(world, place)[0]["status"]["containerStatuses"][0]["restartCount"] > first, "it to be started again")
    events = world.api.items(f"/api/v1/namespaces/{place.namespace}/events", fieldSelector="type=Warning")
    mine = [e for e in events if e["involvedObject"]["name"] == pod["metadata"]["name"] and e["reason"] == "BackOff"]
    assert mine and all(e["involvedObject"]["kind"] == "Pod" for e in mine)
    assert {e["message"] for e in mine} == {"Back-off restarting failed container"}


def test_a_health_that_argo_cd_ignores_leaves_its_application_healthy(world: World, place: Place) -> None:
    """The application's status does not show that one of its pods crashes: only the pods do."""
    name, _ = place.deployed({"web.yaml": deployment()})
    unseen = {"argocd.argoproj.io/ignore-healthcheck": "true"}
    bad = place.repo.commit({"app/web.yaml": deployment(image="web:2", behaviour="crash-loop", deadline=3, **unseen)})
    place.repo.tag("stable", bad)
    app = world.api.wait(name, synced(bad, "Healthy"), refresh=True)
    assert conditions(app) == {}
    until(lambda: [p for p in pods(world, place) if waiting(p) == "CrashLoopBackOff"], "a crashing pod")
    live = f"/apis/apps/v1/namespaces/{place.namespace}/deployments/web"
    until(lambda: "ProgressDeadlineExceeded" in [c.get("reason") for c in world.api.get(live)["status"].get("conditions") or ()], "it to be late")
    assert synced(bad, "Healthy")(world.api.refresh(name))


def test_an_image_that_cannot_be_pulled_leaves_the_pod_pending(world: World, place: Place) -> None:
    commit = place.repo.commit({"app/web.yaml": deployment(behaviour="image-pull", deadline=3)})
    place.repo.tag("stable", commit)
    world.api.wait(place.app("app", "stable"), synced(commit, "Degraded"))
    (pod,) = pods(world, place)
    assert (pod["status"]["phase"], waiting(pod)) == ("Pending", "ImagePullBackOff")


def test_a_changed_rollout_replaces_the_pod(world: World, place: Place) -> None:
    name, _ = place.deployed({"web.yaml": deployment(), "map.yaml": config_map()})
    (before,) = pods(world, place)
    new = place.repo.commit({"app/web.yaml": deployment(image="web:2")})
    place.repo.tag("stable", new)
    world.api.wait(name, synced(new), refresh=True)
    until(lambda: [p["spec"]["containers"][0]["image"] for p in pods(world, place)] == ["web:2"], "only the new pod")
    assert pods(world, place)[0]["metadata"]["name"] != before["metadata"]["name"]
