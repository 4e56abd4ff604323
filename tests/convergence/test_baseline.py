"""The required state of production before the move, and the baseline that a child process reads exactly as written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promote.argocd.resource_health import unhealthy
from promote.argocd.source import Hydration
from promote.convergence.application_status import Limits
from promote.convergence.baseline import Baseline, problems
from promote.core.errors import UsageError
from tests.support.manifests import SETTINGS, T0, goal, manifest

WITH_ROOT = replace(SETTINGS, prod=replace(SETTINGS.prod, root_app="argocd"))


def baseline(*manifests: dict[str, Any]) -> Baseline:
    return Baseline(taken=T0, manifests=manifests, pod_manifests=({"metadata": {"name": "p", "namespace": "n"}, "status": {"phase": "Running"}},))


def fleet(count: int, **first: Any) -> list[dict[str, Any]]:
    return [manifest("app0", **first), *(manifest(f"app{n}") for n in range(1, count))]


def test_a_fleet_that_is_well_has_no_problems():
    assert problems(baseline(manifest("argocd"), *fleet(5)), goal(root="argocd"), WITH_ROOT) == []


def test_without_an_application_at_the_tag_nothing_is_judged():
    """That is undetermined, not a fault of production: tests/convergence/test_membership.py."""
    stranger = manifest(health="Degraded", spec={"source": {"repoURL": "https://git.example.org/x/y", "targetRevision": "prod-stable"}})
    assert problems(baseline(stranger), goal(root="argocd"), WITH_ROOT) == []


def test_a_hydration_that_failed_before_is_named():
    data = manifest("app1")
    data["spec"]["sourceHydrator"] = {"drySource": data["spec"].pop("source"), "syncSource": {"targetBranch": "env/prod", "path": "x"}}
    data["status"]["sourceHydrator"] = {"currentOperation": {"phase": "Failed", "message": "cannot\npush"}}
    assert problems(baseline(manifest("app0"), data), goal(), SETTINGS) == ["app1: hydration Failed: cannot push"]


def test_the_baseline_ref_keeps_what_the_shapes_of_sources_need():
    data = manifest("web")
    data["spec"]["sourceHydrator"] = {"drySource": data["spec"].pop("source"), "syncSource": {"targetBranch": "env/prod", "path": "x"}}
    data["status"]["sourceHydrator"] = {
        "currentOperation": {"phase": "Failed", "message": "token hunter22"},
        "lastSuccessfulOperation": {"drySHA": "1" * 40, "hydratedSHA": "2" * 40},
    }
    odd = manifest("odd")
    odd["spec"]["ociSource"] = {"password": "hunter22"}
    handed = baseline(data, odd).slim(goal())
    assert "hunter22" not in handed.to_json()
    before, after = baseline(data, odd).applications(goal()), handed.applications(goal())
    assert after["argocd/web"].sources == before["argocd/web"].sources
    assert after["argocd/web"].hydration == Hydration(dry="1" * 40, hydrated="2" * 40)
    assert after["argocd/odd"].unknown_sources == ("ociSource",)


def test_the_root_is_not_there():
    assert problems(baseline(*fleet(3)), goal(root="argocd"), WITH_ROOT) == [
        "the root application argocd is not in namespaces argocd or does not follow the tag; "
        'its name is prod.root_app in promotion.toml, "" where there is none'
    ]


def test_a_root_that_follows_something_else_is_no_root():
    other = manifest("argocd", spec={"source": {"repoURL": "https://git.example.org/acme/gitops", "targetRevision": "main"}})
    assert "does not follow the tag" in problems(baseline(other, *fleet(3)), goal(root="argocd"), WITH_ROOT)[0]


def test_the_root_is_unhealthy_however_many_others_are_well():
    found = problems(baseline(manifest("argocd", health="Degraded", health_message="x"), *fleet(30)), goal(root="argocd"), WITH_ROOT)
    assert found == ["the root application argocd is Degraded: x"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conditions": [("ComparisonError", "no such\npath")]}, "app0: ComparisonError: no such path"),
        ({"conditions": [("InvalidSpecError", "no project")]}, "app0: InvalidSpecError: no project"),
        ({"sync": "Unknown"}, "app0: its sync status is Unknown"),
    ],
)
def test_an_undetermined_baseline_names_the_reason(changes, message):
    assert problems(baseline(*fleet(30, **changes)), goal(), SETTINGS) == [message]


def test_a_few_unhealthy_are_lived_with_and_named():
    known = baseline(*fleet(10, health="Degraded"))
    assert problems(known, goal(), SETTINGS) == []
    assert known.unhealthy(goal(), Limits.of(SETTINGS)) == {"app0"}


def test_too_many_unhealthy():
    found = problems(baseline(*fleet(9, health="Degraded")), goal(), SETTINGS)
    assert found == ["1 of 9 applications are already unhealthy (app0), more than baseline.max_unhealthy = 0.1 allows"]


def test_it_reads_back_as_it_was_written(tmp_path: Path):
    written = replace(baseline(*fleet(3)), smoke_passed=("smoke-url[shop]",))
    (tmp_path / "b.json").write_text(written.to_json())
    assert Baseline.read(tmp_path / "b.json") == written
    assert set(written.pods()) == {"n/p"}


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"taken": 3, "applications": [], "pods": []}'])
def test_an_invalid_baseline_is_refused(tmp_path: Path, text: str):
    (tmp_path / "b.json").write_text(text)
    with pytest.raises(UsageError, match="not a baseline"):
        Baseline.read(tmp_path / "b.json")


def test_the_baseline_ref_has_no_message_of_a_pod():
    """All who can read the repository can read it, and a container's last log lines may be its message."""
    crashing = {
        "name": "shop",
        "restartCount": 3,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off, of postgres://app:hunter22@db"}},
        "lastState": {"terminated": {"reason": "Error", "message": "cannot connect to postgres://app:hunter22@db/prod"}},
    }
    pod = {"metadata": {"name": "p", "namespace": "n"}, "status": {"phase": "Running", "message": "hunter22", "containerStatuses": [crashing]}}
    whole = replace(baseline(*fleet(1)), pod_manifests=(pod,))
    handed = whole.slim(goal())
    assert "hunter22" not in handed.to_json()
    assert handed.pods() == whole.pods() and handed.pods()["n/p"].trouble == "CrashLoopBackOff"


def test_the_baseline_ref_has_the_unhealthy_resources_without_their_messages():
    """What another machine needs to excuse exactly these afterwards; a health message may hold a confidential value."""
    app = manifest("app0", health="Degraded", health_message="hunter22")
    kept = [{"group": "batch", "kind": "CronJob", "namespace": "shop", "name": "report", "health": "Degraded"}]
    whole = replace(baseline(app), troubles={"argocd/app0": kept, "argocd/foreign": kept}, unread={"argocd/foreign": "refused"})
    handed = Baseline.from_json(whole.slim(goal()).to_json())
    assert (handed.troubles, handed.unread) == ({"argocd/app0": kept}, {}), "only of the applications of this goal"
    assert "hunter22" not in handed.to_json()
    (before,) = handed.applications(goal()).values()
    assert unhealthy(before) == {("batch", "CronJob", "shop", "report"): "Degraded"}
