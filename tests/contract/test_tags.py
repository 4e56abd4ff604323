"""When Argo CD sees a tag, and which commit it then shows."""

from __future__ import annotations

import time

import pytest

from tests.contract.api import ARGO, REFRESH, conditions, synced, until
from tests.contract.place import Place, config_map
from tests.contract.worlds import World


def test_a_moved_tag_is_seen_after_a_refresh_and_not_before(world: World, place: Place) -> None:
    name, old = place.deployed({"map.yaml": config_map()})
    before = world.api.application(name)["status"]
    new = place.repo.commit({"app/map.yaml": config_map(key="two")})
    place.repo.tag("stable", new)
    time.sleep(2.5)  # twice a second's stamp: a look would show
    unseen = world.api.application(name)["status"]
    assert (unseen["sync"]["revision"], unseen["reconciledAt"]) == (old, before["reconciledAt"])
    world.api.wait(name, synced(new), refresh=True)
    live = world.api.get(f"/api/v1/namespaces/{place.namespace}/configmaps/settings")
    assert live["data"] == {"key": "two"}


def test_the_annotations_removal_is_the_receipt_and_the_stamp_moves(world: World, place: Place) -> None:
    name, _ = place.deployed({"map.yaml": config_map()})
    before = world.api.application(name)["status"]["reconciledAt"]
    until(lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) > before, "the next second")
    world.api.patch(f"{ARGO}/applications/{name}", {"metadata": {"annotations": {REFRESH: "normal"}}})
    after = world.api.wait(name, lambda a: REFRESH not in (a["metadata"].get("annotations") or {}) and a["status"]["reconciledAt"] > before)
    assert after["status"]["sync"]["status"] == "Synced"
    assert len(after["status"]["reconciledAt"]) == len("2026-01-01T00:00:00Z"), "whole seconds"


def ask(world: World, name: str, value: str | None = "normal") -> None:
    world.api.patch(f"{ARGO}/applications/{name}", {"metadata": {"annotations": {REFRESH: value}}})


def test_a_request_made_while_a_reconcile_runs_may_be_taken_away_with_the_one_before(world: World, place: Place) -> None:
    name, _ = place.deployed({"map.yaml": config_map()})
    second, third = (place.repo.commit({"app/map.yaml": config_map(key=k)}) for k in ("two", "three"))
    with world.mid_reconcile(place.repo, name) as reached:
        place.repo.tag("stable", second)
        ask(world, name)
        reached()
        place.repo.tag("stable", third)
        for value in (None, "normal"):
            ask(world, name, value)
    answered = third if world.argocd.keeps_late_requests else second
    app = world.api.wait(name, lambda a: REFRESH not in (a["metadata"].get("annotations") or {}) and synced(answered)(a))
    time.sleep(2.5)  # twice a second's stamp: a second answer would show
    later = world.api.application(name)
    assert later["status"]["sync"]["revision"] == answered, "the receipt came, and the tag was not read again"
    assert later["status"]["reconciledAt"] >= app["status"]["reconciledAt"]
    world.api.wait(name, synced(third), refresh=True)


@pytest.mark.parametrize("kind", ["annotated", "lightweight", "nested"])
def test_every_kind_of_tag_shows_the_commit(world: World, place: Place, kind: str) -> None:
    commit = place.repo.commit({"app/map.yaml": config_map()})
    if kind == "annotated":
        assert place.repo.tag("stable", commit) != commit
    elif kind == "nested":
        assert place.repo.nested_tag("stable", commit) != commit
    else:
        place.repo.ref("refs/tags/stable", commit)
    app = world.api.wait(place.app("app", "stable"), synced(commit))
    assert app["status"]["operationState"]["syncResult"]["revision"] == commit
    assert [h["revision"] for h in app["status"]["history"]] == [commit]


def test_with_a_branch_of_the_same_name_it_is_either_at_every_look_and_a_full_ref_is_immune(world: World, place: Place) -> None:
    name, tagged = place.deployed({"map.yaml": config_map()})
    full = place.app(
        "full", "refs/tags/stable", path="app", destination={"server": "https://kubernetes.default.svc", "namespace": f"{place.namespace}-b"}
    )
    branch = place.repo.commit({"app/map.yaml": config_map(key="branch")})
    place.repo.ref("refs/heads/stable", branch)
    for either in (branch, tagged, branch):  # nothing moves meanwhile: each look picks one of the two
        world.api.wait(name, lambda a, wanted=either: a["status"]["sync"]["revision"] == wanted, refresh=True)
    world.api.wait(full, synced(tagged), refresh=True)
    place.repo.ref("refs/heads/stable", "")
    world.api.wait(name, synced(tagged), refresh=True)


def test_a_missing_tag_is_a_comparison_error_with_the_old_health(world: World, place: Place) -> None:
    name, commit = place.deployed({"map.yaml": config_map()})
    place.repo.ref("refs/tags/stable", "")
    app = world.api.wait(name, lambda a: a["status"]["sync"]["status"] == "Unknown", refresh=True)
    assert app["status"]["sync"].get("revision") == world.argocd.shown_on_error, "the tag's own name, or nothing"
    assert app["status"]["health"]["status"] == "Healthy"
    assert set(conditions(app)) == {"ComparisonError"}
    assert "unable to resolve 'stable' to a commit SHA" in conditions(app)["ComparisonError"]
    place.repo.tag("stable", commit)
    back = world.api.wait(name, synced(commit), refresh=True)
    assert conditions(back) == {}


def test_unchanged_manifests_advance_the_revision_and_no_operation(world: World, place: Place) -> None:
    name, old = place.deployed({"map.yaml": config_map()})
    before = world.api.application(name)["status"]
    new = place.repo.commit({"elsewhere.txt": b"x"})
    place.repo.tag("stable", new)
    after = world.api.wait(name, synced(new), refresh=True)["status"]
    assert after["operationState"] == before["operationState"]
    assert after["operationState"]["syncResult"]["revision"] == old
    assert after["history"] == before["history"]


def test_several_sources_show_a_revision_each_in_their_order(world: World, place: Place) -> None:
    tagged = place.repo.commit({"one/map.yaml": config_map("one"), "two/map.yaml": config_map("two")})
    place.repo.tag("stable", tagged)
    newest = place.repo.commit({"two/map.yaml": config_map("two", key="later")})
    sources = [place.source("main", "two"), place.source("stable", "one")]
    name = place.app("many", "", sources=sources)
    app = world.api.wait(name, lambda a: synced(tagged)(a) and synced(newest)(a), refresh=True)
    sync, state = app["status"]["sync"], app["status"]["operationState"]
    assert sync["revisions"] == [newest, tagged]
    assert sync.get("revision", "") == ""
    assert state["syncResult"]["revisions"] == [newest, tagged]
    assert state["syncResult"].get("revision", "") == ""


def test_a_tag_that_moves_back_and_forth_ends_where_it_is(world: World, place: Place) -> None:
    name, old = place.deployed({"map.yaml": config_map()})
    new = place.repo.commit({"app/map.yaml": config_map(key="two")})
    for commit in (new, old, new):
        place.repo.tag("stable", commit)
        world.api.wait(name, synced(commit), refresh=True)
    history = [h["revision"] for h in world.api.application(name)["status"]["history"]]
    assert history == [old, new, old, new]
