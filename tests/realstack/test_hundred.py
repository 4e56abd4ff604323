"""One hundred applications in production and as many in dev, on two real clusters: that it is proven, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from promote.commands.world import repository_files
from promote.sandbox import seed
from promote.sandbox.sandbox import Sandbox
from tests.realstack.journey import BIN, Journey, Measured, begun, least_rights
from tests.realstack.plugin import measured, programs
from tests.realstack.seen import STABLE

pytestmark = [pytest.mark.real, pytest.mark.large, pytest.mark.timeout(900)]
COUNT = 100
CHANGED = ("service-001", "service-050", "vault")


@pytest.fixture
def here(request: pytest.FixtureRequest, tmp_path: Path, record_property: Measured) -> Iterator[Journey]:
    started = time.monotonic()
    with Sandbox(tmp_path / "world", files=repository_files("git"), apps=COUNT, commands=[BIN], real=programs(request.config)) as world:
        measured(request.config, f"two clusters with {COUNT} applications each at rest after {time.monotonic() - started:.0f} s")
        with begun(world, least_rights(world, tmp_path), "v1.8.0", tmp_path, record_property) as made:
            yield made


def test_a_hundred_applications_are_proven_and_given_back(here: Journey) -> None:
    commit = here.ships({f"apps/{name}/base/deployment.yaml": seed.deployment(name, image="2.0.0") for name in CHANGED}, "feat: three of a hundred")
    said = here.promote("run", here.version, outcome="verified")
    here.seen.proven(here.version, commit)
    assert sum(a["verdict"] == "proven" for a in said["applications"]) >= COUNT - 1  # and one that was Degraded before
    for name in CHANGED:
        live = here.world.prod.get("Deployment", name, name) or {}
        assert live["spec"]["template"]["spec"]["containers"][0]["image"] == f"registry.example/{name}:2.0.0"
    here.promote("rollback", outcome="rolled_back")
    assert here.seen.refs()[STABLE] == here.before[STABLE]
    assert here.seen.late(here.before[f"{STABLE}^{{}}"]) == []
