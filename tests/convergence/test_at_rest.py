"""What keeps an application from being proven, and which OutOfSync a declaration covers."""

from __future__ import annotations

from typing import Any

import pytest

from promote.argocd.application import Application, parse_application
from promote.convergence.application_status import Limits
from promote.convergence.at_rest import accepted_out_of_sync, dropped_and_kept, obstacles, oldest
from tests.support.manifests import NEW, OLD, application, at, goal, manifest, operation, stamp

SKIP = "argocd.argoproj.io/skip-reconcile"
LIMITS = Limits(degraded_grace_s=60, successes=1, accept_out_of_sync={"web": "legacy"})
UNPRUNED = {"syncPolicy": {"automated": {"prune": False}}}


def resource(name: str, *, pruned: bool = False, sync: str = "OutOfSync") -> dict[str, Any]:
    entry = {"kind": "ConfigMap", "namespace": "web", "name": name, "status": sync}
    return entry | ({"requiresPruning": True} if pruned else {})


def found(*, accepted: bool = False, root: str = "argocd", second: float = 60, **changes: Any) -> str:
    data = manifest("web", **changes)
    return "\n".join(obstacles(data, parse_application(data), root=root, accepted=accepted, now=at(second), limit_s=600))


def test_an_application_at_rest_has_no_obstacle():
    assert found() == ""


def test_one_that_is_deleted_names_what_holds_it():
    sentence = found(meta={"deletionTimestamp": stamp(-900), "finalizers": ["example.com/held"]})
    assert sentence.startswith(f"web has been deleting since {stamp(-900)}, held by example.com/held\n")
    assert "kubectl -n argocd patch applications.argoproj.io web" in sentence


@pytest.mark.parametrize(("value", "skipped"), [("true", True), ("True", True), ("1", True), ("false", False), ("", False)])
def test_an_annotation_that_stops_its_reconciliation_is_an_obstacle(value: str, skipped: bool):
    sentence = found(annotations={SKIP: value})
    assert bool(sentence) is skipped
    assert not skipped or f"annotate applications.argoproj.io web {SKIP}-" in sentence


def test_an_operation_that_never_ends_is_an_obstacle_and_a_young_one_is_not():
    running = {"operation": {"sync": {}}, "state": operation("Running", finished=None, message="waiting for completion of hook")}
    assert found(**running) == ""
    sentence = found(second=3600, **running)
    assert sentence.startswith("web has had an operation in progress for 60 min: waiting for completion of hook\n")
    assert '"phase":"Terminating"' in sentence


def test_a_sync_that_fails_and_is_retried_is_an_obstacle_at_once():
    sentence = found(operation={"sync": {}}, state=operation("Running", finished=4, message="one or more objects failed to apply"))
    assert sentence.startswith("web has a sync that fails and is retried: one or more objects failed to apply\n")


def test_out_of_sync_names_the_resources_and_the_declaration_that_accepts_it():
    sentence = found(sync="OutOfSync", resources=[resource("a"), resource("b", sync="Synced")])
    assert sentence.startswith("web is OutOfSync now: ConfigMap web/a\n")
    assert '[[argocd.accept_out_of_sync]] application = "web"' in sentence
    assert found(sync="OutOfSync", resources=[resource("a")], accepted=True) == ""
    assert "accept" not in found(sync="OutOfSync", resources=[resource("a")], root="web"), "the root is never accepted"


@pytest.mark.parametrize(
    ("prunes", "option", "app_options", "why"),
    [
        (True, "", [], ""),
        (False, "", [], "because pruning is off: ConfigMap web/a"),
        (True, "Prune=false", [], "because they are kept from pruning: ConfigMap web/a (Prune=false)"),
        (True, "", ["Prune=false"], "because its syncOptions have Prune=false: ConfigMap web/a"),
        (True, "", ["Prune=confirm"], "because its syncOptions have Prune=confirm: ConfigMap web/a"),
    ],
)
def test_dropped_objects_that_stay_are_named(prunes: bool, option: str, app_options: list[str], why: str):
    app = application("web", spec={"syncPolicy": {"syncOptions": app_options}})
    sentence = dropped_and_kept(app, [("ConfigMap web/a", option)], root="argocd", prunes=prunes)
    assert why in sentence and bool(sentence) is bool(why)
    assert dropped_and_kept(app, [], root="argocd", prunes=False) == ""


def accepted(*, before: Application | None = None, name: str = "web", **changes: Any) -> str:
    app = application(name, **{"sync": "OutOfSync", "spec": UNPRUNED, **changes})
    return accepted_out_of_sync(app, before, goal(), LIMITS)


def test_a_leftover_that_is_not_pruned_is_accepted_when_declared():
    left = {"resources": [resource("old", pruned=True)], "state": operation(revision=OLD)}
    assert accepted(**left) == "legacy"
    assert accepted(name="db", **left) == ""
    assert accepted(revision=OLD, **left) == "", "only at the goal"
    assert accepted(conditions=[("ComparisonError", "x")], **left) == ""


def test_a_leftover_that_will_be_pruned_is_awaited():
    pruning = {"syncPolicy": {"automated": {"prune": True}}}
    left = {"resources": [resource("old", pruned=True)], "spec": pruning}
    assert accepted(state=operation(revision=OLD), **left) == ""
    assert accepted(state=operation(revision=NEW), **left) == "legacy", "the sync is over: it is kept by Prune=false"


def test_what_differed_before_is_accepted_only_after_the_goal_was_synced():
    before = application("web", revision=OLD, sync="OutOfSync", resources=[resource("drift")])
    now = {"before": before, "resources": [resource("drift")]}
    assert accepted(state=operation(revision=OLD), **now) == "", "this is how it looks before the new version is applied"
    assert accepted(state=operation("Failed", revision=NEW), **now) == ""
    assert accepted(state=operation(revision=NEW), **now) == "legacy"


def test_another_resource_than_before_is_not_accepted():
    before = application("web", revision=OLD, sync="OutOfSync", resources=[resource("drift")])
    assert accepted(before=before, resources=[resource("drift"), resource("new")]) == ""
    assert accepted(before=None, resources=[resource("drift")]) == ""


def test_each_destination_is_asked_through_its_longest_unreconciled_application():
    def one(name: str, server: str, reconciled: float | None) -> Application:
        return application(name, reconciled=reconciled, spec={"destination": {"server": server, "namespace": "x"}})

    apps = [one("root", "a", 9), one("young", "a", 5), one("old", "a", 1), one("far", "b", 7), one("never", "c", None)]
    assert {a.name for a in oldest(apps, "root")} == {"root", "old", "far", "never"}
    assert {a.name for a in oldest(apps, "")} == {"old", "far", "never"}
