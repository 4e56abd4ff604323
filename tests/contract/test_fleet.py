"""Roots and children, sync windows, deletion, charts."""

from __future__ import annotations

import time
import uuid

from promote.sandbox.real.charts import Charts
from tests.contract.api import ARGO, Object, conditions, synced, until
from tests.contract.place import Place, config_map, dump, waiting_hook
from tests.contract.worlds import CHART, World


def root_of(place: Place, children: dict[str, str]) -> dict[str, bytes | None]:
    """Files of an app-of-apps: child → the path it deploys."""
    return {f"root/{word}.yaml": dump(place.manifest(word, "stable", path)) for word, path in children.items()}


def started_root(world: World, place: Place, children: dict[str, str]) -> tuple[str, str]:
    maps = {f"{path}/map.yaml": config_map(path.replace("/", "-")) for path in ("one", "two", "three")}
    commit = place.repo.commit(root_of(place, children) | maps)
    place.repo.tag("stable", commit)
    destination = {"server": "https://kubernetes.default.svc", "namespace": "argocd"}
    root = place.app("root", "stable", "root", destination=destination)
    world.api.wait(root, synced(commit))
    for word in children:
        world.api.wait(place.track(word), synced(commit))
    return root, commit


def exists(world: World, name: str) -> bool:
    return world.api.call("GET", f"{ARGO}/applications/{name}")[0] == 200


def test_a_root_makes_its_children_and_lists_them_as_resources(world: World, place: Place) -> None:
    root, _ = started_root(world, place, {"a": "one", "b": "two"})
    app = world.api.application(root)
    found = [(r["group"], r["kind"], r["namespace"], r["name"], r["status"]) for r in app["status"]["resources"]]
    assert found == [("argoproj.io", "Application", "argocd", place.name(w), "Synced") for w in ("a", "b")]
    child = world.api.application(place.name("a"))
    made_by = child["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"]
    assert made_by == f"{root}:argoproj.io/Application:argocd/{place.name('a')}"


def test_a_root_adds_a_child_and_drops_another_with_what_it_deployed(world: World, place: Place) -> None:
    root, _ = started_root(world, place, {"a": "one", "b": "two"})
    changed = place.repo.commit({**root_of(place, {"c": "three"}), "root/b.yaml": None})
    place.repo.tag("stable", changed)
    world.api.refresh(root)
    place.track("c")
    until(lambda: exists(world, place.name("c")), "the new child")
    world.api.wait(place.name("c"), synced(changed))
    until(lambda: not exists(world, place.name("b")), "the dropped child to go")
    assert world.api.call("GET", f"/api/v1/namespaces/{place.namespace}/configmaps/two")[0] == 404
    world.api.wait(root, synced(changed), refresh=True)


def test_a_re_pointed_child_is_looked_at_without_being_asked(world: World, place: Place) -> None:
    root, _ = started_root(world, place, {"a": "one"})
    changed = place.repo.commit(root_of(place, {"a": "two"}))
    place.repo.tag("stable", changed)
    world.api.refresh(root)
    child = world.api.wait(place.name("a"), lambda a: synced(changed)(a) and a["spec"]["source"]["path"] == "two")
    assert [r["name"] for r in child["status"]["resources"]] == ["two"], "the old path's object is pruned"


def test_a_roots_health_ignores_its_children(world: World, place: Place) -> None:
    root, _old = started_root(world, place, {"a": "one"})
    broken = place.repo.commit({**root_of(place, {"a": "nowhere"})})
    place.repo.tag("stable", broken)
    world.api.refresh(root)
    world.api.wait(place.name("a"), lambda a: "ComparisonError" in conditions(a))
    assert world.api.wait(root, synced(broken), refresh=True)["status"]["health"]["status"] == "Healthy"


def test_a_denied_window_leaves_it_out_of_sync_without_a_word(world: World, place: Place) -> None:
    project = f"p{uuid.uuid4().hex[:8]}"
    window = {"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["*"]}
    spec: Object = {
        "sourceRepos": ["*"],
        "destinations": [{"namespace": "*", "server": "*"}],
        "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
    }
    body = {"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": project, "namespace": "argocd"}, "spec": spec}
    world.api.create(f"{ARGO}/appprojects", body)
    commit = place.repo.commit({"app/map.yaml": config_map()})
    place.repo.tag("stable", commit)
    name = place.app("app", "stable", project=project)
    before = world.api.wait(name, synced(commit))["status"]["operationState"]
    world.api.patch(f"{ARGO}/appprojects/{project}", {"spec": {"syncWindows": [window]}})
    new = place.repo.commit({"app/map.yaml": config_map(key="two")})
    place.repo.tag("stable", new)
    denied = world.api.wait(name, lambda a: a["status"]["sync"]["revision"] == new, refresh=True)
    again = world.api.refresh(name)
    for app in (denied, again):
        assert (app["status"]["sync"]["status"], conditions(app), app.get("operation")) == ("OutOfSync", {}, None)
        assert app["status"]["operationState"] == before
    world.api.patch(f"{ARGO}/appprojects/{project}", {"spec": {"syncWindows": None}})
    world.api.wait(name, synced(new), refresh=True)


def test_a_deleted_application_takes_what_it_deployed_along(world: World, place: Place) -> None:
    name, _ = place.deployed({"map.yaml": config_map()})
    world.api.delete(f"{ARGO}/applications/{name}")
    until(lambda: not exists(world, name), "the application to go")
    status, said = world.api.call("GET", f"{ARGO}/applications/{name}")
    assert (status, said["reason"], said["message"]) == (404, "NotFound", f'applications.argoproj.io "{name}" not found')
    assert world.api.call("GET", f"/api/v1/namespaces/{place.namespace}/configmaps/settings")[0] == 404


def test_deleted_while_it_syncs_it_stays_until_the_operation_is_over(world: World, place: Place) -> None:
    name, _ = place.deployed({"map.yaml": config_map()})
    place.repo.tag("stable", place.repo.commit({"app/hook.yaml": waiting_hook(), "app/map.yaml": config_map(key="two")}))
    world.api.refresh(name)
    world.api.wait(name, lambda a: "waiting for completion" in ((a["status"].get("operationState") or {}).get("message") or ""))
    world.api.delete(f"{ARGO}/applications/{name}")
    time.sleep(2.5)
    app = world.api.application(name)
    assert app["metadata"]["deletionTimestamp"] and app["operation"] is not None
    assert (app["status"]["operationState"]["phase"], conditions(app)) == ("Running", {})
    assert world.api.get(f"/api/v1/namespaces/{place.namespace}/configmaps/settings")["data"] == {"key": "one"}
    until(lambda: ended(world, name), "the application to go once its operation is ended")
    assert world.api.call("GET", f"/api/v1/namespaces/{place.namespace}/configmaps/settings")[0] == 404


def ended(world: World, name: str) -> bool:
    """Whether it is gone; while it is there, its operation is ended."""
    status, app = world.api.call("GET", f"{ARGO}/applications/{name}")
    if status == 200 and app.get("operation") is not None:
        body = {"metadata": {"resourceVersion": app["metadata"]["resourceVersion"]}, "status": {"operationState": {"phase": "Terminating"}}}
        said, answer = world.api.call("PATCH", f"{ARGO}/applications/{name}", body, content="application/merge-patch+json")
        assert said in (200, 404, 409), answer
    return status == 404


def test_without_the_finalizer_what_it_deployed_stays(world: World, place: Place) -> None:
    commit = place.repo.commit({"app/map.yaml": config_map()})
    place.repo.tag("stable", commit)
    name = place.app("app", "stable", finalizer=False)
    world.api.wait(name, synced(commit))
    world.api.delete(f"{ARGO}/applications/{name}")
    until(lambda: not exists(world, name), "the application to go")
    assert world.api.get(f"/api/v1/namespaces/{place.namespace}/configmaps/settings")["data"] == {"key": "one"}


def test_a_chart_shows_its_version_where_others_show_a_commit(world: World, place: Place, charts: Charts) -> None:
    chart, version = CHART
    source = {"repoURL": charts.url, "chart": chart, "targetRevision": version}
    name = place.app("chart", "", source=source)
    app = world.api.wait(name, synced(version))
    assert app["status"]["operationState"]["syncResult"]["revision"] == version
    assert [(r["kind"], r["name"]) for r in app["status"]["resources"]] == [("Deployment", name)]


def test_a_chart_beside_a_directory_shows_both(world: World, place: Place, charts: Charts) -> None:
    chart, version = CHART
    commit = place.repo.commit({"app/map.yaml": config_map()})
    place.repo.tag("stable", commit)
    sources = [{"repoURL": charts.url, "chart": chart, "targetRevision": version}, place.source("stable")]
    app = world.api.wait(place.app("both", "", sources=sources), synced(commit))
    assert app["status"]["sync"]["revisions"] == [version, commit]
