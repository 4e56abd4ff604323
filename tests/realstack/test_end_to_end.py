"""Whole promotions on two real API servers and two real Argo CDs, with the documented rights alone; what they claim is checked from outside."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from promote.commands.world import repository_files
from promote.sandbox.sandbox import Sandbox
from promote.sandbox.scenarios import SCENARIOS
from tests.contract.test_rbac import documented
from tests.realstack.plugin import stack_of

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
BIN = Path(sys.executable).parent
USER = "user-0"


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    folder, binaries = tmp_path_factory.mktemp("world"), Path(str(stack_of(request.config)["binaries"]))
    with Sandbox(folder / "world", files=repository_files("git"), commands=[BIN], real=binaries, act=False) as made:
        yield made


@pytest.fixture(scope="module")
def least(world: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The world's environment with a kubeconfig that has the documented rights and nothing else."""
    for cluster, role in ((world.prod, "promote"), (world.dev, "promote-dev")):
        group = "rbac.authorization.k8s.io"
        cluster.apply({"kind": "ClusterRole", "metadata": {"name": role}, "rules": documented(role)})
        reference, subject = {"apiGroup": group, "kind": "ClusterRole", "name": role}, {"apiGroup": group, "kind": "User", "name": USER}
        cluster.apply({"kind": "ClusterRoleBinding", "metadata": {"name": role}, "roleRef": reference, "subjects": [subject]})
    document = yaml.safe_load(Path(world.env["KUBECONFIG"]).read_text())
    document["users"] = [{"name": c.name, "user": {"token": c.tokens[USER]}} for c in (world.prod, world.dev)]
    file = tmp_path_factory.mktemp("least") / "kubeconfig"
    file.write_text(json.dumps(document))
    return {**world.env, "KUBECONFIG": str(file)}


def promoted(world: Sandbox, folder: Path, env: dict[str, str], scenario: str, version: str = "") -> dict[str, Any]:
    version = version or SCENARIOS[scenario].prepare(world)
    clone = world.clone(folder / "clone")
    argv = [sys.executable, "-m", "promote", "run", version, "--json"]
    done = subprocess.run(argv, cwd=clone, env=env, capture_output=True, text=True, check=False, timeout=400)
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["outcome"] == SCENARIOS[scenario].outcome, done.stderr[-3000:]
    return said


def stable(world: Sandbox, folder: Path) -> str:
    """The stable tag's commit, as git itself says."""
    argv = ["git", "ls-remote", world.git.repository_url, "refs/tags/prod-stable^{}"]
    return subprocess.run(argv, cwd=folder, env=world.env, capture_output=True, text=True, check=True).stdout.split()[0]


def shown(world: Sandbox) -> set[str]:
    """What production's applications that follow the tag show, as the API server itself says."""
    apps = world.prod.list("Application")
    ours = [(s["repoURL"], r) for a in apps for s, r in zip(a["spec"].get("sources") or [a["spec"]["source"]],
            a["status"]["sync"].get("revisions") or [a["status"]["sync"]["revision"]], strict=True)]  # fmt: skip
    return {revision for url, revision in ours if url == world.git.repository_url}


def test_a_good_promotion_is_verified(world: Sandbox, least: dict[str, str], tmp_path: Path) -> None:
    said = promoted(world, tmp_path, least, "good")
    head = world.writer.holds("refs/tags/dev-v1.8.0^{commit}")
    assert stable(world, tmp_path) == said["commit"] == head
    assert shown(world) == {head}
    live = world.prod.get("Deployment", "vault", "vault") or {}
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/vault:1.18.0"


def test_a_failing_smoke_test_is_rolled_back(world: Sandbox, least: dict[str, str], tmp_path: Path) -> None:
    before = stable(world, tmp_path)
    promoted(world, tmp_path, least, "smoke-fails")
    assert stable(world, tmp_path) == before
    assert shown(world) == {before}
    live = world.prod.get("ConfigMap", "gitea", "gitea-service") or {}
    assert live["data"]["status"] == "200"


def test_what_does_not_start_in_dev_is_refused(world: Sandbox, least: dict[str, str], tmp_path: Path) -> None:
    before = stable(world, tmp_path)
    said = promoted(world, tmp_path, least, "precheck-fails")
    assert stable(world, tmp_path) == before == said["stable_before"]["commit"]
    failed = [c["id"] for c in said["checks"] if c["verdict"] == "failed"]
    assert failed and shown(world) == {before}


def test_a_tag_moved_by_somebody_else_is_superseded(world: Sandbox, least: dict[str, str], tmp_path: Path) -> None:
    mended = {"apps/homepage/base/deployment.yaml": world.writer.git("show", "prod-stable:apps/homepage/base/deployment.yaml").encode() + b"\n"}
    world.commit(mended, "fix(homepage): as it was")
    SCENARIOS["superseded"].prepare(world)
    promoted(world, tmp_path, least, "superseded", "v1.10.0")
    theirs = world.writer.holds("refs/tags/prod-v1.7.3^{commit}")
    assert stable(world, tmp_path) == theirs, "somebody else's tag is left where it is"
