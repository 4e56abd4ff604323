"""Operations: failure and retry, termination, what auto-sync does by itself and what it leaves alone."""

from __future__ import annotations

from tests.contract.api import ARGO, Object, conditions, synced, until
from tests.contract.place import AUTOMATED, Place, config_map, deployment, refused_service, waiting_hook
from tests.contract.worlds import World

WAITS = "waiting for completion of hook batch/Job/migrate"
GIVE_UP = {**AUTOMATED, "retry": {"limit": 0}}


def terminate(world: World, name: str) -> None:
    """End the operation that is there now, guarded as the driver does, and repeated: the controller's own write can undo it (seen)."""
    first = world.api.application(name).get("operation")

    def over() -> bool:
        app = world.api.application(name)
        if app.get("operation") != first:
            return True
        if app["status"]["operationState"]["phase"] != "Terminating":
            body = {"metadata": {"resourceVersion": app["metadata"]["resourceVersion"]}, "status": {"operationState": {"phase": "Terminating"}}}
            status, said = world.api.call("PATCH", f"{ARGO}/applications/{name}", body, content="application/merge-patch+json")
            assert status in (200, 409), said
        return False

    until(over, f"the operation of {name} to end")


def waits_for_retry(app: Object) -> bool:
    state = app["status"].get("operationState") or {}
    return bool(app.get("operation") is not None and state.get("phase") == "Running" and state.get("finishedAt"))


def test_a_sync_succeeds_and_the_look_is_not_before_its_end(world: World, place: Place) -> None:
    name, commit = place.deployed({"web.yaml": deployment()})
    status = world.api.application(name)["status"]
    state = status["operationState"]
    assert (state["phase"], state["syncResult"]["revision"]) == ("Succeeded", commit)
    assert status["reconciledAt"] >= state["finishedAt"] >= state["startedAt"]
    assert state["operation"]["initiatedBy"] == {"automated": True}
    wanted = {"prune": True, "revision": commit, "syncOptions": ["CreateNamespace=true"]}
    wanted |= {"source": place.source("stable")} if world.argocd.source_in_operation else {}
    assert wanted.items() <= state["operation"]["sync"].items(), "a self-heal right after it adds what it healed"
    assert state["operation"]["retry"] == {"limit": 5}
    assert state["message"] == "successfully synced (all tasks run)"


def test_a_failed_sync_waits_for_its_retry_as_running_with_an_end(world: World, place: Place) -> None:
    name, _good = place.deployed({"map.yaml": config_map()})
    bad = place.repo.commit({"app/bad.yaml": refused_service()})
    place.repo.tag("stable", bad)
    app = world.api.wait(name, waits_for_retry, refresh=True)
    state = app["status"]["operationState"]
    assert state["syncResult"]["revision"] == bad
    assert "one or more objects failed to apply" in state["message"] and "Retrying attempt #1 at" in state["message"]
    assert "must be between 1 and 65535" in state["message"]
    assert app["status"]["sync"]["status"] == "OutOfSync"
    refused = [r for r in state["syncResult"]["resources"] if r["status"] == "SyncFailed"]
    assert [(r["kind"], r["name"]) for r in refused] == [("Service", "bad")]


def test_a_stuck_retry_reads_synced_and_healthy_when_the_tag_is_back(world: World, place: Place) -> None:
    name, good = place.deployed({"map.yaml": config_map()})
    bad = place.repo.commit({"app/bad.yaml": refused_service()})
    place.repo.tag("stable", bad)
    world.api.wait(name, waits_for_retry, refresh=True)
    place.repo.tag("stable", good)
    fooled = world.api.wait(name, lambda a: a["status"]["sync"] == {**a["status"]["sync"], "status": "Synced", "revision": good}, refresh=True)
    assert fooled["status"]["health"]["status"] == "Healthy"
    assert conditions(fooled) == {}
    assert fooled["operation"]["sync"]["revision"] == bad, "only this is true"
    assert fooled["status"]["operationState"]["phase"] == "Running"


def test_terminating_a_retry_ends_it_as_failed_and_nothing_follows(world: World, place: Place) -> None:
    name, good = place.deployed({"map.yaml": config_map()})
    bad = place.repo.commit({"app/bad.yaml": refused_service()})
    place.repo.tag("stable", bad)
    world.api.wait(name, waits_for_retry, refresh=True)
    place.repo.tag("stable", good)
    world.api.wait(name, lambda a: a["status"]["sync"]["revision"] == good, refresh=True)
    terminate(world, name)
    app = world.api.wait(name, lambda a: a.get("operation") is None)
    state = app["status"]["operationState"]
    assert (state["phase"], state["message"], state["syncResult"]["revision"]) == ("Failed", "Operation terminated (retried 1 times).", bad)
    later = world.api.refresh(name)
    assert later.get("operation") is None and later["status"]["operationState"] == state, "the live state is the target's already"
    assert later["status"]["sync"]["status"] == "Synced"


def test_terminating_without_an_operation_leaves_the_phase_there(world: World, place: Place) -> None:
    name, _commit = place.deployed({"map.yaml": config_map()})
    world.api.patch(f"{ARGO}/applications/{name}", {"status": {"operationState": {"phase": "Terminating"}}})
    app = world.api.refresh(name)
    assert app["status"]["operationState"]["phase"] == "Terminating"
    assert app.get("operation") is None and app["status"]["sync"]["status"] == "Synced"
    new = place.repo.commit({"app/map.yaml": config_map(key="two")})
    place.repo.tag("stable", new)
    after = world.api.wait(name, synced(new), refresh=True)
    assert after["status"]["operationState"]["phase"] == "Succeeded", "the next operation clears it"


def test_a_failed_revision_is_not_tried_again_and_the_old_one_reads_synced(world: World, place: Place) -> None:
    commit = place.repo.commit({"app/map.yaml": config_map()})
    place.repo.tag("stable", commit)
    name = place.app("app", "stable", syncPolicy=GIVE_UP)
    world.api.wait(name, synced(commit))
    bad = place.repo.commit({"app/bad.yaml": refused_service()})
    place.repo.tag("stable", bad)
    world.api.wait(name, lambda a: (a["status"].get("operationState") or {}).get("phase") == "Failed" and a.get("operation") is None, refresh=True)
    failed = world.api.wait(name, lambda a: "SyncError" in conditions(a), refresh=True)
    state = failed["status"]["operationState"]
    assert conditions(failed)["SyncError"].startswith(
        f"{world.argocd.gives_up} {world.argocd.revision.format(bad)}: one or more objects failed to apply"
    )
    assert world.api.refresh(name)["status"]["operationState"] == state, "no second attempt"
    place.repo.tag("stable", commit)
    back = world.api.wait(name, synced(commit), refresh=True)
    assert conditions(back) == {}
    assert back["status"]["operationState"] == state, "the failed operation stays in the status"


def test_a_newer_good_revision_syncs_after_a_failed_one(world: World, place: Place) -> None:
    commit = place.repo.commit({"app/map.yaml": config_map()})
    place.repo.tag("stable", commit)
    name = place.app("app", "stable", syncPolicy=GIVE_UP)
    world.api.wait(name, synced(commit))
    place.repo.tag("stable", place.repo.commit({"app/bad.yaml": refused_service(), "app/map.yaml": config_map(key="two")}))
    # On a slow machine the application is Synced before it shows an operation at all.
    world.api.wait(name, lambda a: a["status"].get("operationState", {}).get("phase") == "Failed" and a.get("operation") is None, refresh=True)
    mended = place.repo.commit({"app/bad.yaml": None, "app/map.yaml": config_map(key="three")})
    place.repo.tag("stable", mended)
    app = world.api.wait(name, synced(mended), refresh=True)
    assert app["status"]["operationState"]["phase"] == "Succeeded"
    assert world.api.get(f"/api/v1/namespaces/{place.namespace}/configmaps/settings")["data"] == {"key": "three"}


def test_a_failed_sync_has_applied_its_valid_part(world: World, place: Place) -> None:
    name, _ = place.deployed({"map.yaml": config_map(), "gone.yaml": config_map("gone"), "web.yaml": deployment()})
    half = {"app/bad.yaml": refused_service(), "app/map.yaml": config_map(key="two"), "app/web.yaml": deployment(image="web:2")}
    place.repo.tag("stable", place.repo.commit({**half, "app/gone.yaml": None}))
    app = world.api.wait(name, waits_for_retry, refresh=True)
    assert world.api.get(f"/api/v1/namespaces/{place.namespace}/configmaps/settings")["data"] == {"key": "two"}
    live = world.api.get(f"/apis/apps/v1/namespaces/{place.namespace}/deployments/web")
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "web:2"
    results = {r["name"]: (r["status"], r["message"]) for r in app["status"]["operationState"]["syncResult"]["resources"]}
    assert world.api.call("GET", f"/api/v1/namespaces/{place.namespace}/configmaps/gone")[0] == 404, "it has pruned, too"
    assert results["settings"] == ("Synced", "configmap/settings configured")
    assert results["web"] == ("Synced", "deployment.apps/web configured")
    assert results["bad"][0] == "SyncFailed" and results["bad"][1].startswith('Service "bad" is invalid: [spec.ports[0].port: Invalid value')


def test_a_retry_holds_back_a_newer_revision_until_it_is_ended(world: World, place: Place) -> None:
    name, _ = place.deployed({"map.yaml": config_map()})
    bad = place.repo.commit({"app/bad.yaml": refused_service()})
    place.repo.tag("stable", bad)
    world.api.wait(name, waits_for_retry, refresh=True)
    newer = place.repo.commit({"app/bad.yaml": None, "app/map.yaml": config_map(key="three")})
    place.repo.tag("stable", newer)
    held = world.api.wait(name, lambda a: a["status"]["sync"]["revision"] == newer, refresh=True)
    assert held["status"]["sync"]["status"] == "OutOfSync"
    assert held["operation"]["sync"]["revision"] == bad
    terminate(world, name)
    app = world.api.wait(name, synced(newer), refresh=True)
    assert app["status"]["operationState"]["syncResult"]["revision"] == newer


def test_a_hook_that_never_completes_keeps_the_operation_running(world: World, place: Place) -> None:
    name, _ = place.deployed({"map.yaml": config_map()})
    stuck = place.repo.commit({"app/hook.yaml": waiting_hook(), "app/map.yaml": config_map(key="two")})
    place.repo.tag("stable", stuck)
    app = world.api.wait(
        name, lambda a: "waiting for completion of hook" in ((a["status"].get("operationState") or {}).get("message") or ""), refresh=True
    )
    state = app["status"]["operationState"]
    assert (state["phase"], state.get("finishedAt")) == ("Running", None)
    assert state["message"] in (WAITS, f"{WAITS} and 1 more hooks"), "the namespace that is being made counts too, for a moment"
    live = world.api.get(f"/api/v1/namespaces/{place.namespace}/configmaps/settings")
    assert live["data"] == {"key": "one"}, "nothing is applied before the hook"
    terminate(world, name)
    over = world.api.wait(name, lambda a: a.get("operation") is None)
    assert over["status"]["operationState"]["phase"] == "Failed"
    assert over["status"]["operationState"]["message"] == "Operation terminated"


def test_a_hook_that_completes_lets_the_sync_go_on(world: World, place: Place) -> None:
    name, _commit = place.deployed({"hook.yaml": waiting_hook(behaviour=""), "map.yaml": config_map()})
    app = world.api.application(name)
    assert app["status"]["operationState"]["phase"] == "Succeeded"
    entry = next(r for r in app["status"]["resources"] if r["kind"] == "Job")
    assert (entry["hook"], entry["requiresPruning"], "status" in entry) == (True, True, False), "its Job is listed without a sync status"
    assert app["status"]["sync"]["status"] == "Synced"


def test_an_operation_asked_for_while_one_runs_is_lost(world: World, place: Place) -> None:
    name, _ = place.deployed({"map.yaml": config_map()})
    stuck = place.repo.commit({"app/hook.yaml": waiting_hook(), "app/map.yaml": config_map(key="two")})
    place.repo.tag("stable", stuck)
    world.api.wait(name, lambda a: "waiting for completion" in ((a["status"].get("operationState") or {}).get("message") or ""), refresh=True)
    asked = {"operation": {"initiatedBy": {"username": "grace"}, "sync": {"syncStrategy": {"hook": {}}}}}
    world.api.patch(f"{ARGO}/applications/{name}", asked)
    terminate(world, name)
    over = world.api.wait(name, lambda a: a.get("operation") is None and a["status"]["operationState"]["phase"] == "Failed")
    assert over["status"]["operationState"]["operation"]["initiatedBy"] == {"automated": True}
    later = world.api.refresh(name)
    assert later.get("operation") is None
    assert later["status"]["operationState"]["operation"]["initiatedBy"] == {"automated": True}


def test_an_operation_by_patch_syncs_the_tracked_revision(world: World, place: Place) -> None:
    commit = place.repo.commit({"app/map.yaml": config_map()})
    place.repo.tag("stable", commit)
    name = place.app("app", "stable", syncPolicy={"syncOptions": ["CreateNamespace=true"]})
    idle = world.api.wait(name, lambda a: (a["status"].get("sync") or {}).get("status") == "OutOfSync")
    assert idle.get("operation") is None and "operationState" not in idle["status"] and conditions(idle) == {}
    assert idle["status"]["health"]["status"] == "Healthy", "a ConfigMap has no health, so it cannot be missed"
    asked: Object = {"initiatedBy": {"username": "promote"}, "sync": {"syncStrategy": {"hook": {}}}}
    world.api.patch(f"{ARGO}/applications/{name}", {"operation": asked})
    homeless = world.api.wait(name, lambda a: (a["status"].get("operationState") or {}).get("phase") == "Failed")["status"]["operationState"]
    expected = f'one or more objects failed to apply, reason: namespaces "{place.namespace}" not found'
    assert homeless["message"] == expected, "the options of the policy are not those of an operation that names none"
    asked["sync"]["syncOptions"] = ["CreateNamespace=true"]
    world.api.patch(f"{ARGO}/applications/{name}", {"operation": asked})
    app = world.api.wait(name, synced(commit))
    state = app["status"]["operationState"]
    assert (state["phase"], state["operation"]["initiatedBy"]) == ("Succeeded", {"username": "promote"})
    assert state["syncResult"]["revision"] == commit


def test_pruning_removes_what_left_the_repository(world: World, place: Place) -> None:
    name, _ = place.deployed({"map.yaml": config_map(), "gone.yaml": config_map("gone")})
    less = place.repo.commit({"app/gone.yaml": None})
    place.repo.tag("stable", less)
    app = world.api.wait(name, synced(less), refresh=True)
    assert [r["name"] for r in app["status"]["resources"]] == ["settings"]
    pruned = [r for r in app["status"]["operationState"]["syncResult"]["resources"] if r["status"] == "Pruned"]
    assert [(r["name"], r["message"]) for r in pruned] == [("gone", "pruned")]
    assert world.api.call("GET", f"/api/v1/namespaces/{place.namespace}/configmaps/gone")[0] == 404


def test_without_pruning_what_left_stays_out_of_sync(world: World, place: Place) -> None:
    commit = place.repo.commit({"app/map.yaml": config_map(), "app/gone.yaml": config_map("gone")})
    place.repo.tag("stable", commit)
    name = place.app("app", "stable", syncPolicy={**AUTOMATED, "automated": {"selfHeal": True}})
    world.api.wait(name, synced(commit))
    less = place.repo.commit({"app/gone.yaml": None})
    place.repo.tag("stable", less)
    app = world.api.wait(name, lambda a: a["status"]["sync"]["revision"] == less, refresh=True)
    assert app["status"]["sync"]["status"] == "OutOfSync" and app.get("operation") is None
    found = {r["name"]: (r["status"], r.get("requiresPruning", False)) for r in app["status"]["resources"]}
    assert found == {"settings": ("Synced", False), "gone": ("OutOfSync", True)}


def test_self_heal_reverts_a_manual_change(world: World, place: Place) -> None:
    name, commit = place.deployed({"map.yaml": config_map()})
    world.api.delete(f"/api/v1/namespaces/{place.namespace}/configmaps/settings")
    world.api.refresh(name)
    until(lambda: world.api.call("GET", f"/api/v1/namespaces/{place.namespace}/configmaps/settings")[0] == 200, "the object to come back")
    world.api.wait(name, synced(commit), refresh=True)


def test_an_empty_revision_is_not_synced_and_the_reason_is_reported(world: World, place: Place) -> None:
    name, _ = place.deployed({"map.yaml": config_map()})
    empty = place.repo.commit({"app/map.yaml": b"# nothing\n"})
    place.repo.tag("stable", empty)
    app = world.api.wait(name, lambda a: "SyncError" in conditions(a), refresh=True)
    assert (app["status"]["sync"]["status"], app["status"]["sync"]["revision"]) == ("OutOfSync", empty)
    assert app["status"]["health"]["status"] == "Healthy"
    assert conditions(app)["SyncError"] == f"Skipping sync attempt to {world.argocd.revision.format(empty)}: auto-sync will wipe out all resources"


def test_a_broken_manifest_is_a_comparison_error_and_nothing_is_applied(world: World, place: Place) -> None:
    name, _ = place.deployed({"map.yaml": config_map()})
    broken = place.repo.commit({"app/map.yaml": b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: [\n"})
    place.repo.tag("stable", broken)
    app = world.api.wait(name, lambda a: "ComparisonError" in conditions(a), refresh=True)
    assert conditions(app)["ComparisonError"].startswith("Failed to load target state: failed to generate manifest for source 1 of 1: ")
    assert app["status"]["sync"]["status"] == "Unknown"
    assert app["status"]["sync"].get("revision") == world.argocd.shown_on_error
    assert app["status"]["health"]["status"] == "Healthy"
    assert app.get("operation") is None


def test_a_file_that_is_neither_yaml_nor_like_a_manifest_is_passed_over(world: World, place: Place) -> None:
    name, _commit = place.deployed({"map.yaml": config_map(), "notes.yaml": b"kind: x\n  apiVersion: [\n"})
    assert [r["name"] for r in world.api.application(name)["status"]["resources"]] == ["settings"]


def test_a_hook_alone_is_no_reason_to_sync(world: World, place: Place) -> None:
    name, _ = place.deployed({"map.yaml": config_map()})
    before = world.api.application(name)["status"]["operationState"]
    hooked = place.repo.commit({"app/hook.yaml": waiting_hook()})
    place.repo.tag("stable", hooked)
    app = world.api.wait(name, synced(hooked), refresh=True)
    assert app["status"]["operationState"] == before


def test_a_missing_deployment_makes_its_application_missing(world: World, place: Place) -> None:
    place.repo.tag("stable", place.repo.commit({"app/web.yaml": deployment()}))
    name = place.app("app", "stable", syncPolicy={"syncOptions": ["CreateNamespace=true"]})
    app = world.api.wait(name, lambda a: (a["status"].get("sync") or {}).get("status") == "OutOfSync")
    assert app["status"]["health"]["status"] == "Missing"


def test_a_path_that_is_not_there_is_a_comparison_error(world: World, place: Place) -> None:
    commit = place.repo.commit({"app/map.yaml": config_map()})
    place.repo.tag("stable", commit)
    app = world.api.wait(place.app("app", "stable", path="nowhere"), lambda a: "ComparisonError" in conditions(a))
    assert conditions(app)["ComparisonError"].endswith("nowhere: app path does not exist")
    assert (app["status"].get("sync") or {}).get("status") == ("Unknown" if world.argocd.compared_on_error else None)
