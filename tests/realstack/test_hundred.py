"""One hundred applications on a real cluster: that they are proven, that they are proven back, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from promote.sandbox.seed import deployment
from tests.realstack.fleet import Fleet, many, running
from tests.realstack.journey import Measured
from tests.realstack.plugin import measured, programs
from tests.realstack.seen import STABLE

pytestmark = [pytest.mark.real, pytest.mark.large, pytest.mark.timeout(900)]
COUNT = 100
CHANGED = ("service-001", "service-050", "service-100")


@pytest.fixture
def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fleet]:
    started = time.monotonic()
    with running(tmp_path, programs(request.config), lambda url: many(url, COUNT), smoke=CHANGED[0], limit="2m") as made:
        measured(request.config, f"one cluster with {COUNT} applications at rest after {time.monotonic() - started:.0f} s")
        yield made


def test_a_hundred_applications_are_proven_and_proven_back(fleet: Fleet, record_property: Measured) -> None:
    before = fleet.seen.refs()
    commit = fleet.commit({f"apps/{name}/deployment.yaml": deployment(name, image="2.0.0") for name in CHANGED}, "feat: three of a hundred")
    said, progress, figures = fleet.promote("run", "v1.1.0")
    record_property("measured", figures)
    assert said["outcome"] == "verified", (said["reason"], progress[-3000:])
    fleet.seen.proven("v1.1.0", commit)
    assert sum(a["verdict"] == "proven" for a in said["applications"]) == COUNT + 1, "and the root"
    for name in CHANGED:
        live = fleet.seen.api.get(f"/apis/apps/v1/namespaces/{name}/deployments/{name}")
        assert live["spec"]["template"]["spec"]["containers"][0]["image"] == f"registry.example/{name}:2.0.0"
    said, progress, figures = fleet.promote("rollback")
    record_property("measured", figures)
    assert said["outcome"] == "rolled_back", (said["reason"], progress[-3000:])
    assert fleet.seen.refs()[STABLE] == before[STABLE]
    assert fleet.seen.late(before[f"{STABLE}^{{}}"]) == []
