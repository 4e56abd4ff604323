"""Whole promotions on two real API servers and two real Argo CDs, with the documented rights alone; what they claim is checked from outside (seen.py).

One world for all of them: each settles it, puts right what it broke, and can be run alone.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from promote.cli.sandbox_session import repository_files
from promote.sandbox import seed
from promote.sandbox.github.processes import kill_tree
from promote.sandbox.sandbox import Sandbox
from promote.sandbox.scenarios.basics import GITEA_DOWN, in_production_only
from promote.sandbox.scenarios.scenario import once_moved
from tests.contract.place import refused_service
from tests.realstack.journey import BIN, Journey, Measured, begun, least_rights
from tests.realstack.plugin import measured, programs
from tests.realstack.seen import LOCK, STABLE, UNDO

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
FILES = repository_files("git")


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    started = time.monotonic()
    with Sandbox(tmp_path_factory.mktemp("world") / "world", files=FILES, commands=[BIN], real=programs(request.config)) as made:
        measured(request.config, f"two clusters with 13 applications each at rest after {time.monotonic() - started:.0f} s")
        yield made


@pytest.fixture(scope="module")
def least(world: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return least_rights(world, tmp_path_factory.mktemp("least"))


@pytest.fixture(scope="module")
def versions() -> Iterator[str]:
    return (f"v1.{minor}.0" for minor in range(8, 100))


@pytest.fixture
def here(world: Sandbox, least: dict[str, str], versions: Iterator[str], tmp_path: Path, record_property: Measured) -> Iterator[Journey]:
    with begun(world, least, next(versions), tmp_path, record_property) as made:
        yield made


def test_just_send_to_prod_has_the_workflow_move_the_tag_and_proves_it(here: Journey) -> None:
    here.settings(('via = "git"', 'via = "workflow"'))
    commit = here.ships({"apps/vault/base/deployment.yaml": seed.deployment("vault", image="1.18.0")}, "feat(vault): 1.18")
    code, out, err = here.type("just", "SendToProd", here.version)
    assert code == 0, out + err
    assert "proven for 12 of 13 applications" in out, out
    (run,) = here.world.github.runs
    assert (run.conclusion, run.inputs["version"], run.inputs["expected_commit"]) == ("success", here.version, commit)
    assert {s.name: s.conclusion for s in run.steps}["Move the tags"] == "success"
    assert shutil.which("act", path=here.env["PATH"]) and "passed over" not in run.log, "act ran it"
    here.seen.proven(here.version, commit)
    live = here.world.prod.get("Deployment", "vault", "vault") or {}
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/vault:1.18.0"


def test_what_only_the_post_suite_sees_is_rolled_back_and_proven(here: Journey) -> None:
    """A Deployment whose health Argo CD ignores by configuration: it is Synced and Healthy, and its pod crashes."""
    ignored = yaml.safe_load(next(iter(in_production_only("immich", "crash-loop").values())))
    ignored["metadata"]["annotations"] = {"argocd.argoproj.io/ignore-healthcheck": "true"}
    folder = "apps/immich/overlays/prod"
    here.ships({**in_production_only("immich", "crash-loop"), f"{folder}/deployment.yaml": yaml.safe_dump(ignored).encode()})
    said = here.promote("run", here.version, outcome="rolled_back")
    first = {s["name"]: s["verdict"] for s in reversed(said["steps"])}  # the first of each name
    assert (first["converge"], first["after"]) == ("passed", "failed"), "Argo CD itself had no objection"
    failed = [c["detail"] for c in said["checks"] if c["verdict"] == "failed"]
    assert any("CrashLoopBackOff" in detail for detail in failed), failed
    here.back()
    pods = here.seen.api.items("/api/v1/namespaces/immich/pods")
    assert [c["ready"] for p in pods for c in p["status"]["containerStatuses"] if "deletionTimestamp" not in p["metadata"]] == [True]


def test_a_stuck_retry_is_ended_and_rolled_back_within_it(here: Journey) -> None:
    here.settings(('converge_timeout = "60s"', 'converge_timeout = "15s"'))
    kustomization = b"resources:\n- ../../base\n- service.yaml\n- bad.yaml\n"
    bad = here.ships({"apps/immich/overlays/prod/bad.yaml": refused_service(), "apps/immich/overlays/prod/kustomization.yaml": kustomization})
    said = here.promote("run", here.version, outcome="rolled_back")
    assert "immich: operation " in said["reason"], said["reason"]
    here.back()
    state = here.seen.applications()["immich"]["status"]["operationState"]
    assert (state["phase"], state["syncResult"]["revision"]) == ("Failed", bad), "its last operation is that of the bad commit, and it is over"
    ended = re.match(r"Operation terminated(?: \(retried (\d+) times\))?", state["message"])
    assert ended and int(ended[1] or 0) < state["operation"]["retry"]["limit"], state["message"]
    assert here.seen.api.call("GET", "/api/v1/namespaces/immich/services/bad")[0] == 404


def test_what_does_not_start_in_dev_is_refused(here: Journey) -> None:
    here.ships({"apps/homepage/base/deployment.yaml": seed.deployment("homepage", behaviour="crash-loop")})
    said = here.promote("run", here.version, outcome="refused")
    assert any("homepage" in c["detail"] for c in said["checks"] if c["verdict"] == "failed")
    refs = here.seen.refs()
    assert (refs[STABLE], LOCK in refs, f"refs/tags/prod-{here.version}" in refs) == (here.before[STABLE], False, False)
    assert here.seen.late(here.before[f"{STABLE}^{{}}"]) == []


def test_a_driver_killed_after_the_move_is_resumed_to_its_end(here: Journey) -> None:
    commit = here.ships({"apps/paperless/base/deployment.yaml": seed.deployment("paperless", image="2.12.0")}, "feat(paperless): 2.12")
    driver = subprocess.Popen(["promote", "run", here.version], cwd=here.clone, env=here.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while here.seen.refs()[STABLE] == here.before[STABLE]:
        assert driver.poll() is None and time.monotonic() < end, "it never moved the tag"
        time.sleep(0.05)
    kill_tree(driver.pid)
    assert driver.wait() == -9
    left = here.seen.refs()
    assert (left[f"{STABLE}^{{}}"], LOCK in left) == (commit, True), "moved, and no process is left"
    here.promote("resume", outcome="verified")
    here.seen.proven(here.version, commit)


def test_a_nested_tag_is_replaced_by_a_plain_one_and_given_back_as_it_was_when_smoke_fails(here: Journey) -> None:
    """A user once tagged a tag: prod-stable leads to a tag that leads to a commit."""
    for args in (["tag", "-a", "-m", "outer", "-f", "prod-stable", "prod-stable"], ["push", "-qf", "origin", STABLE]):
        subprocess.run(["git", *args], cwd=here.clone, env=here.env, check=True, capture_output=True)
    nested = here.seen.refs()
    assert _leads_to(here, nested[STABLE]) == f"tag {here.before[STABLE]}"
    commit = here.ships(GITEA_DOWN)
    said = here.promote("run", here.version, outcome="rolled_back")
    assert [c["id"] for c in said["checks"] if c["verdict"] == "failed"] == ["smoke-url[gitea]"]
    refs = here.seen.refs()
    assert _leads_to(here, refs[f"refs/tags/prod-{here.version}"]) == f"commit {commit}", "what production's tag held in between"
    here.seen.back(nested, here.degraded)
    assert here.seen.api.get("/api/v1/namespaces/gitea/configmaps/gitea-service")["data"]["status"] == "200"


def _leads_to(here: Journey, tag: str) -> str:
    """Type and id of what a tag object of the remote is about, fetched and read by git."""
    subprocess.run(["git", "fetch", "-q", "origin", "refs/tags/*:refs/seen/*"], cwd=here.clone, env=here.env, check=True)
    text = subprocess.run(["git", "cat-file", "tag", tag], cwd=here.clone, env=here.env, check=True, capture_output=True, text=True).stdout
    about, kind = text.splitlines()[:2]
    return f"{kind.removeprefix('type ')} {about.removeprefix('object ')}"


def test_a_tag_moved_by_another_user_after_us_is_left_where_it_is(here: Journey) -> None:
    """The other one pushes when production has begun to follow us."""
    commit = here.ships({"apps/immich/base/deployment.yaml": seed.deployment("immich", image="1.113.0")}, "feat(immich): 1.113")
    theirs = here.before["refs/tags/prod-v1.7.3^{}"]
    colleague = here.world.clone(here.clone.parent / "colleague")

    def push() -> None:
        while not here.world.git.stopping.wait(0.05) and here.seen.applications()["immich"]["status"]["sync"]["revision"] != commit:
            pass
        for args in (["tag", "-f", "-a", "-m", "hotfix by hand", "prod-stable", theirs], ["push", "-qf", "origin", STABLE]):
            subprocess.run(["git", *args], cwd=colleague, env=here.world.env, check=True, capture_output=True)

    once_moved(here.world, lambda: here.world.meanwhile(push))
    said = here.promote("run", here.version, outcome="superseded")
    refs = here.seen.refs()
    ours = refs[f"refs/tags/prod-{here.version}"]
    assert (refs[f"refs/tags/prod-{here.version}^{{}}"], refs[UNDO]) == (commit, here.before[STABLE]), "our move came first"
    assert (refs[f"{STABLE}^{{}}"], refs[STABLE] == ours, LOCK in refs) == (theirs, False, False)
    assert {s["name"]: s["verdict"] for s in said["steps"]}["promote"] == "passed"
