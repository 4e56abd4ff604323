"""Promotion and rollback in a fleet made of Argo CD's own manifests and test applications, broken ones included: the baseline to live with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.contract.api import Object, until
from tests.contract.place import config_map, refused_service
from tests.realstack.fleet import DEGRADED, HOPELESS, Fleet, argo_cds_own, running
from tests.realstack.journey import Measured
from tests.realstack.plugin import measured, programs
from tests.realstack.seen import STABLE

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
DATA = "test/e2e/testdata"


@pytest.fixture(scope="module")
def fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    started = time.monotonic()
    folder, built = tmp_path_factory.mktemp("fleet"), programs(request.config)
    with running(folder, built, lambda url: argo_cds_own(url, built / "argo-cd-source"), smoke="guestbook-ui", degraded=DEGRADED) as made:
        measured(request.config, f"one cluster with the fleet of Argo CD's own at rest after {time.monotonic() - started:.0f} s")
        yield made


@pytest.fixture
def promote(fleet: Fleet, record_property: Measured) -> Callable[..., dict[str, Any]]:
    """Runs a version and gives its JSON document, whose outcome is as it should be."""

    def run(version: str, outcome: str) -> dict[str, Any]:
        said, progress, figures = fleet.promote("run", version)
        record_property("measured", figures)
        assert said["outcome"] == outcome, (said["reason"], progress[-3000:])
        return said

    return run


def test_the_broken_ones_are_broken_and_the_others_are_at_rest(fleet: Fleet) -> None:
    """The base of the other tests: these applications come from outside, so their behaviour is checked first."""
    assert fleet.seen.degraded() == dict.fromkeys(DEGRADED, "Progressing")
    expected = {
        "failure-during-sync": "retried",
        "hook": "running",
        "networking": "retried",
        "post-delete-hook": "never synced",
        "ssa-revision-history": "retried",
    }

    def broken() -> dict[str, str]:
        apps = replace(fleet.seen, selector="").applications()
        return {name: trouble(apps[name]) for name in HOPELESS}

    until(lambda: broken() == expected, lambda: str(broken()))


def trouble(app: Object) -> str:
    state = app["status"].get("operationState")
    if state is None:
        return "never synced"
    return "retried" if state.get("retryCount") or state.get("finishedAt") else state["phase"].lower()


def test_a_good_version_is_proven_beside_them(fleet: Fleet, promote: Callable[..., dict[str, Any]]) -> None:
    commit = fleet.commit({f"{DATA}/service/extra.yaml": config_map("extra")}, "feat(service): one more")
    said = promote("v1.1.0", "verified")
    fleet.seen.proven("v1.1.0", commit)
    assert {a["name"] for a in said["applications"] if a["verdict"] == "tolerated"} == set(DEGRADED)
    assert not {a["name"] for a in said["applications"]} & set(HOPELESS)
    assert fleet.seen.api.get("/api/v1/namespaces/fleet-service/configmaps/extra")["data"] == {"key": "one"}


def test_a_stuck_retry_is_ended_and_the_endless_ones_are_left_alone(fleet: Fleet, promote: Callable[..., dict[str, Any]]) -> None:
    before, degraded = fleet.seen.refs(), fleet.seen.degraded()
    bad = fleet.commit({f"{DATA}/one-deployment/bad.yaml": refused_service()}, "feat(one-deployment): a Service that no API server takes")
    promote("v1.2.0", "rolled_back")
    fleet.seen.back(before, degraded)
    apps = replace(fleet.seen, selector="").applications()
    ended = apps["one-deployment"]["status"]["operationState"]
    assert (ended["phase"], ended["syncResult"]["revision"]) == ("Failed", bad)
    assert ended["message"].startswith("Operation terminated")
    assert apps["hook"]["status"]["operationState"]["phase"] == "Running", "not ours to end"
    assert before[STABLE] == fleet.seen.refs()[STABLE]
