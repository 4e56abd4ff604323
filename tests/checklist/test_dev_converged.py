"""The check `dev-converged` when dev has gone on: what it shows counts as the candidate only if nothing that it renders differs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from tests.support.checking import Desk, desk, verdicts
from tests.support.declared import proves

OVERLAY = "apps/vault/overlays/dev/kustomization.yaml"
SHARED: dict[str, bytes | None] = {
    OVERLAY: yaml.safe_dump({"resources": ["../../base", "service.yaml", "../../../../shared"]}).encode(),
    "shared/kustomization.yaml": b"resources: [map.yaml]\n",
    "shared/map.yaml": b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shared}\n",
    "shared/app.conf": b"workers 1\n",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The candidate carries its dev tag; it reaches out of apps/ into a folder of its own."""
    with desk(tmp_path_factory.mktemp("dev")) as it:
        it.settings(('context = "dev"\n', 'context = "dev"\nconverge_timeout = "2s"\n'))
        it.sandbox.writer.tag("dev-v1.8.0", it.commit("feat: shared", SHARED), "by hand")
        yield it


@proves("check", "dev-converged", "failed")
def test_a_later_commit_that_dev_renders_nothing_of_counts_and_one_that_it_does_not(world: Desk) -> None:
    world.commit("docs: later", {"docs/later.md": b"# later\n"})
    world.sandbox.refresh()
    world.sandbox.wait_settled()
    assert verdicts(world.check()) == {}
    world.commit("fix: more workers", {"shared/app.conf": b"workers 2\n"})
    world.sandbox.refresh()
    world.sandbox.wait_settled()
    checks = world.check()
    assert verdicts(checks) == {"dev-converged": "failed"}
    assert "a commit that dev has not run is not validated" in checks["dev-converged"]["detail"]


def test_a_candidate_that_no_application_renders_is_reported_as_such(world: Desk) -> None:
    world.git("fetch", "-q", "--tags", "origin")
    stable = world.git("rev-parse", "dev-v1.8.0^{commit}")
    world.sandbox.writer.tag("prod-v1.8.0", stable)
    world.sandbox.writer.tag("prod-stable", stable, "yesterday")
    world.commit("fix: workers as they were", {"shared/app.conf": SHARED["shared/app.conf"]})
    world.sandbox.refresh()
    world.sandbox.wait_settled()
    check = world.check(version="v1.8.1")["dev-converged"]
    assert (check["verdict"], check["evidence"].get("changes", "")[:36]) == ("passed", "nothing that an application renders:")
    assert "warning" not in check["evidence"]


def test_a_change_that_only_production_renders_is_reported_as_untested_on_dev(world: Desk) -> None:
    path = "apps/vault/overlays/prod/kustomization.yaml"
    world.commit("fix(vault): in production", {path: (world.show(path) or b"") + b"# reviewed\n"})
    world.sandbox.refresh()
    world.sandbox.wait_settled()
    check = world.check(version="v1.8.1")["dev-converged"]
    assert (check["verdict"], check["evidence"].get("warning")) == ("passed", f"dev could not show what production alone renders: {path}")
