"""The API server itself: pages, guards, refusals and who may do what."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.contract.api import ARGO, until
from tests.contract.place import Place, config_map
from tests.contract.worlds import World

Bind = Callable[[str, list[dict[str, Any]]], None]
MAPS = "/api/v1/namespaces/{}/configmaps"


@pytest.fixture
def namespace(world: World) -> Iterator[str]:
    name = f"n{uuid.uuid4().hex[:8]}"
    world.api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    for n in range(7):
        world.api.create(MAPS.format(name), {"metadata": {"name": f"m{n}", "labels": {"half": str(n % 2)}}, "data": {"n": str(n)}})
    yield name
    world.api.delete(f"/api/v1/namespaces/{name}")


def test_a_list_comes_in_pages_that_a_token_continues(world: World, namespace: str) -> None:
    path, found, token, sizes = MAPS.format(namespace), [], "", []
    while True:
        page = world.api.get(path, limit="3", **({"continue": token} if token else {}))
        found += [i["metadata"]["name"] for i in page["items"]]
        sizes.append(len(page["items"]))
        token = page["metadata"].get("continue", "")
        if not token:
            break
        assert page["metadata"]["remainingItemCount"] == 7 - len(found)
    assert (found, sizes) == ([f"m{n}" for n in range(7)], [3, 3, 1])


def test_an_expired_page_token_is_answered_410(world: World, namespace: str) -> None:
    path = MAPS.format(namespace)
    token = world.api.get(path, limit="3")["metadata"]["continue"]
    world.expire_pages()
    status, said = world.api.call("GET", path, limit="3", **{"continue": token})
    assert (status, said["reason"], said["code"]) == (410, "Expired", 410)
    assert "continue parameter is too old" in said["message"]


def test_labels_select(world: World, namespace: str) -> None:
    found = world.api.items(MAPS.format(namespace), labelSelector="half=1")
    assert [i["metadata"]["name"] for i in found] == ["m1", "m3", "m5"]
    assert world.api.items(MAPS.format(namespace), labelSelector="half in (2),half") == []


def test_a_merge_patch_merges_and_null_removes(world: World, namespace: str) -> None:
    path = f"{MAPS.format(namespace)}/m0"
    changed = world.api.patch(path, {"data": {"n": None, "new": "x"}, "metadata": {"annotations": {"a": "b"}}})
    assert (changed["data"], changed["metadata"]["annotations"]) == ({"new": "x"}, {"a": "b"})
    assert changed["metadata"]["labels"] == {"half": "0"}


def test_a_patch_that_changes_nothing_is_no_change(world: World, namespace: str) -> None:
    path = f"{MAPS.format(namespace)}/m0"
    asked = {"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}
    first = world.api.patch(path, asked)["metadata"]["resourceVersion"]
    assert world.api.patch(path, asked)["metadata"]["resourceVersion"] == first, "a watcher gets no event"


def test_a_stale_resource_version_is_a_conflict_and_changes_nothing(world: World, namespace: str) -> None:
    path = f"{MAPS.format(namespace)}/m0"
    old = world.api.get(path)["metadata"]["resourceVersion"]
    world.api.patch(path, {"data": {"n": "later"}})
    body = {"metadata": {"resourceVersion": old}, "data": {"n": "lost"}}
    status, said = world.api.call("PATCH", path, body, content="application/merge-patch+json")
    assert (status, said["reason"]) == (409, "Conflict")
    assert said["message"].startswith('Operation cannot be fulfilled on configmaps "m0": ')
    assert world.api.get(path)["data"] == {"n": "later"}


def test_a_missing_resource_is_named_in_the_404(world: World) -> None:
    status, said = world.api.call("GET", f"{ARGO}/applications/absent")
    assert (status, said["kind"], said["reason"], said["message"]) == (404, "Status", "NotFound", 'applications.argoproj.io "absent" not found')
    status, said = world.api.call("GET", "/apis/nothing.example/v1/things")
    assert status == 404 and "Status" not in str(said.get("kind", "")), "an unknown group has no Status"
    status, said = world.api.call("GET", "/apis/argoproj.io/v1alpha1/namespaces/argocd/nothings")
    assert status == 404 and "not found" in said.get("text", "")


def test_an_unknown_token_is_401(world: World) -> None:
    status, said = world.user("user-0", "wrong").call("GET", f"{ARGO}/applications")
    assert (status, said["kind"], said["reason"], said["message"]) == (401, "Status", "Unauthorized", "Unauthorized")


def test_without_rights_everything_is_403_and_names_the_right(world: World) -> None:
    nobody = world.user("user-1")
    status, said = nobody.call("GET", f"{ARGO}/applications")
    assert (status, said["reason"]) == (403, "Forbidden")
    expected = 'applications.argoproj.io is forbidden: User "user-1" cannot list resource "applications" in API group "argoproj.io" in the namespace "argocd"'
    assert said["message"] == expected
    status, said = nobody.call("GET", "/api/v1/pods")
    assert said["message"] == 'pods is forbidden: User "user-1" cannot list resource "pods" in API group "" at the cluster scope'
    status, said = nobody.call("GET", f"{ARGO}/appprojects/default")
    assert said["message"].startswith('appprojects.argoproj.io "default" is forbidden: User "user-1" cannot get resource "appprojects"')
    status, said = nobody.call("GET", "/api/v1/namespaces/argocd/pods/x/log")
    assert said["message"].startswith('pods "x" is forbidden: User "user-1" cannot get resource "pods/log" in API group "" in the namespace "argocd"')


def test_a_right_to_read_is_none_to_change(world: World, place: Place, rbac: Bind) -> None:
    name, _ = place.deployed({"map.yaml": config_map()})
    rbac("user-2", [{"apiGroups": ["argoproj.io"], "resources": ["applications"], "verbs": ["list", "get"]}])
    reader = world.user("user-2")
    until(lambda: reader.call("GET", f"{ARGO}/applications")[0] == 200, "the role to be known")
    assert name in [a["metadata"]["name"] for a in reader.items(f"{ARGO}/applications")]
    status, said = reader.call("PATCH", f"{ARGO}/applications/{name}", {"metadata": {}}, content="application/merge-patch+json")
    assert status == 403 and f'applications.argoproj.io "{name}" is forbidden' in said["message"] and "cannot patch" in said["message"]
