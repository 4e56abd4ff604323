"""Whole promotions in the embedded world, by a driver process, judged from outside: the bare repository and the cluster's own objects."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from promote.cli.sandbox_session import repository_files
from promote.promotion.journal import read_journal
from promote.sandbox.http_server import Fault
from promote.sandbox.sandbox import Sandbox
from promote.sandbox.scenarios import SCENARIOS
from tests.model.journal import problems
from tests.support.declared import proves, saw_verdicts
from tests.support.json_documents import read_document
from tests.support.junit import read

BIN = Path(sys.executable).parent
ACT = shutil.which("act", path=str(BIN)) or shutil.which("act")


@dataclass
class World:
    """A running sandbox with a clone, and what can be seen of it without our own code."""

    sandbox: Sandbox
    clone: Path

    def promote(self, *args: str) -> tuple[int, dict[str, Any], str]:
        done = subprocess.run(
            [sys.executable, "-m", "promote", *args, "--json"], cwd=self.clone, env=self.sandbox.env, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        document = read_document(args[0], done.stdout)
        saw_verdicts((check["id"], check["verdict"]) for check in document.get("checks", ()) if args[0] == "run")
        return done.returncode, document, done.stderr

    def at(self, ref: str) -> str:
        return self.sandbox.writer.holds(f"{ref}^{{commit}}")

    def holds(self, ref: str) -> str:
        return self.sandbox.writer.holds(ref)

    def shown(self, app: str) -> tuple[str, str]:
        """(commit, health) that production's Argo CD shows."""
        status = (self.sandbox.prod.get("Application", "argocd", app) or {})["status"]
        return status["sync"].get("revision") or status["sync"]["revisions"][-1], status["health"]["status"]

    def live(self, app: str) -> dict[str, Any]:
        found = self.sandbox.prod.get("Deployment", app, app)
        assert found is not None
        return found


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    running: list[Sandbox] = []

    def begin(*, via: str = "git", act: bool | None = False, patience: str = "60s", workflow_timeout: str = "60s") -> World:
        files = repository_files(via)
        files["promotion.toml"] = files["promotion.toml"].replace(b'converge_timeout = "60s"', f'converge_timeout = "{patience}"'.encode())
        files["promotion.toml"] = files["promotion.toml"].replace(b'\ntimeout = "60s"', f'\ntimeout = "{workflow_timeout}"'.encode())
        sandbox = Sandbox(tmp_path / "world", files=files, act=act, commands=[BIN])
        running.append(sandbox)
        sandbox.start()
        sandbox.wait_settled()
        return World(sandbox, sandbox.clone(tmp_path / "clone with späces"))

    yield begin
    for sandbox in running:
        sandbox.stop()
        assert problems([tmp_path / "clone with späces"]) == [], "every journal is a path of the model (tests/model)"
        assert sandbox.prod.controller.errors == sandbox.prod.api.errors == sandbox.git.errors == []


@pytest.mark.parametrize(("via", "act"), [("git", False), ("workflow", False), ("workflow", True)], ids=["direct", "workflow", "workflow-act"])
def test_a_good_version_is_shipped_proven_and_recorded(start: Any, via: str, act: bool) -> None:
    if act and not ACT:
        pytest.skip("not run: needs act")
    world = start(via=via, act=act)
    old = world.holds("refs/tags/prod-stable")
    version = SCENARIOS["good"].prepare(world.sandbox)
    candidate = world.at("refs/heads/main")
    code, said, progress = world.promote("run", version)
    assert (code, said["outcome"]) == (0, "verified"), progress
    stable = world.holds("refs/tags/prod-stable")
    assert world.at("refs/tags/prod-stable") == candidate == said["commit"] == said["stable_after"]["commit"]
    assert stable == world.holds("refs/tags/prod-v1.8.0") == world.holds("refs/tags/prod-working") == said["stable_after"]["object"]
    assert world.holds("refs/promote/undo") == old == said["stable_before"]["object"]
    assert world.holds("refs/promote/lock") == ""
    assert world.shown("grafana") == (candidate, "Healthy")
    assert world.live("grafana")["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] == "512Mi"
    record = json.loads(world.sandbox.writer.git("show", f"main:{said['record']}"))
    assert (record["version"], record["commit"], record["previous_stable_object"]) == ("v1.8.0", candidate, old)
    (entry,) = world.sandbox.writer.git("ls-tree", "--name-only", "refs/promote/ledger").splitlines()
    assert json.loads(world.sandbox.writer.git("show", f"refs/promote/ledger:{entry}"))["outcome"] == "verified"
    assert {a["verdict"] for a in said["applications"]} == {"proven", "tolerated"}
    assert [a["name"] for a in said["applications"] if a["verdict"] == "tolerated"] == ["velero"]
    assert {suite for file in said["junit"] for suite in read(file)} == {"pre", "post", "smoke", "during"}
    off = {c["id"] for c in said["checks"] if c["verdict"] == "disabled"}
    assert off == (set() if via == "workflow" else {"workflow-dispatched", "workflow-succeeded"})
    assert {c["verdict"] for c in said["checks"] if c["id"] not in off} == {"passed"}
    if via == "workflow":
        assert len(world.sandbox.github.runs) == 1


def test_a_version_whose_smoke_fails_is_rolled_back_and_proven_back(start: Any) -> None:
    world = start(via="workflow")
    old, old_commit = world.holds("refs/tags/prod-stable"), world.at("refs/tags/prod-stable")
    version = SCENARIOS["smoke-fails"].prepare(world.sandbox)
    candidate = world.at("refs/heads/main")
    code, said, progress = world.promote("run", version)
    assert (code, said["outcome"]) == (3, "rolled_back"), progress
    assert world.holds("refs/tags/prod-stable") == old
    assert world.at("refs/tags/prod-v1.9.0") == candidate, "the tried version keeps its name"
    assert world.holds("refs/promote/lock") == ""
    assert world.at("refs/tags/prod-working") != candidate
    assert world.shown("gitea") == (old_commit, "Healthy")
    assert world.live("gitea")["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":1.0.0")
    assert "db migration pending" in progress
    failed = [c["id"] for c in said["checks"] if c["verdict"] == "failed"]
    assert failed == ["smoke-url[gitea]"]


def test_every_push_of_a_promotion_is_made_inside_an_effect_of_its_journal(start: Any) -> None:
    """When a push arrives, the journal's last line is an intent whose result is not written yet. Heartbeats alone are not remembered."""
    world = start()
    version = SCENARIOS["smoke-fails"].prepare(world.sandbox)
    known, moved, outside = _refs(world), set[str](), list[tuple[set[str], object]]()

    def look() -> None:
        nonlocal known
        now = _refs(world)
        changed = {ref for ref in known.keys() | now.keys() if known.get(ref) != now.get(ref)} - {"refs/promote/heartbeat"}
        known = now
        lines = [line for path in (world.clone / ".git/promote/journal").glob("*.jsonl") for line in read_journal(path)]
        last = [line for line in lines if line["event"] in ("intent", "result", "error")][-1:]
        moved.update(changed)
        if changed and (not last or last[0]["event"] != "intent"):
            outside.append((changed, last))

    world.sandbox.git.after_push.append(look)
    code, _, progress = world.promote("run", version)
    assert code == 3, progress
    assert {"refs/promote/lock", "refs/promote/ledger", "refs/tags/dev-v1.9.0", "refs/tags/prod-v1.9.0", "refs/tags/prod-stable"} <= moved
    assert outside == []


def _refs(world: World) -> dict[str, str]:
    return dict(line.split(" ") for line in world.sandbox.writer.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines())


def test_what_dev_has_not_validated_is_refused_and_nothing_moves(start: Any) -> None:
    world = start()
    before = {ref: world.holds(ref) for ref in ("refs/tags/prod-stable", "refs/tags/prod-working")}
    version = SCENARIOS["precheck-fails"].prepare(world.sandbox)
    settings = world.clone / "promotion.toml"
    code, said, progress = world.promote("run", version)
    assert (code, said["outcome"]) == (1, "refused"), progress
    assert [c["id"] for c in said["checks"] if c["verdict"] != "passed"] == ["dev-converged"]
    assert "homepage" in progress
    assert {ref: world.holds(ref) for ref in before} == before
    assert [world.holds(ref) for ref in ("refs/tags/dev-v1.8.1", "refs/tags/prod-v1.8.1", "refs/promote/lock")] == ["", "", ""]
    assert settings.is_file()


def test_a_protected_branch_costs_the_record_and_nothing_else(start: Any) -> None:
    world = start()
    version = SCENARIOS["good"].prepare(world.sandbox)
    world.sandbox.git.protect("refs/heads/main")
    code, said, progress = world.promote("run", version)
    assert (code, said["outcome"]) == (0, "verified"), progress
    assert any(".promotions/prod-v1.8.0.json was not written" in w for w in said["warnings"])


def test_a_move_whose_answer_is_lost_is_found_out_and_proven(start: Any) -> None:
    """The push lands, the connection breaks: only the remote's refs show the result, and they are read before it is reported."""
    world = start()
    version = SCENARIOS["good"].prepare(world.sandbox)
    lost = Fault(kind="drop_after", path="git-receive-pack$", method="POST", times=1)

    def lose_the_next_answer() -> None:
        while not world.holds("refs/tags/dev-v1.8.0"):  # authorised: the next push is the move
            time.sleep(0.01)
        world.sandbox.git.fault(lost)

    threading.Thread(target=lose_the_next_answer, daemon=True).start()
    code, said, progress = world.promote("run", version)
    assert lost.times == 0, "the fault was met"
    assert (code, said["outcome"]) == (0, "verified"), progress
    assert world.at("refs/tags/prod-stable") == said["commit"]


@proves("check", "prod-tags-created", "errored")
@pytest.mark.timeout(300)  # a minute of looking what became of the push, then the fence, each read asked for again
def test_a_move_whose_result_is_unreadable_ends_stuck(start: Any) -> None:
    world = start()
    version = SCENARIOS["good"].prepare(world.sandbox)
    old = world.holds("refs/tags/prod-stable")

    def cut_the_remote_off() -> None:
        while world.holds("refs/tags/prod-stable") == old:
            time.sleep(0.01)
        world.sandbox.git.fault(Fault(kind="status", status=503))

    threading.Thread(target=cut_the_remote_off, daemon=True).start()
    code, said, progress = world.promote("run", version)
    assert (code, said["outcome"]) == (4, "stuck"), progress
    assert "nothing was moved" not in progress
    assert said["stable_after"] is None, "not known is not a value"


def test_rollback_by_hand_and_status(start: Any) -> None:
    world = start()
    old = world.holds("refs/tags/prod-stable")
    assert world.promote("run", SCENARIOS["good"].prepare(world.sandbox))[0] == 0
    newer = world.holds("refs/tags/prod-stable")
    code, said, progress = world.promote("rollback")
    assert (code, said["outcome"]) == (0, "rolled_back"), progress
    assert world.holds("refs/tags/prod-stable") == old
    assert (said["stable_before"]["object"], said["stable_after"]["object"]) == (newer, old)
    (last,) = [line for line in progress.splitlines() if "production runs v1.7.4" in line]
    assert last.startswith("✔") and "Exit" not in progress, "it did what it was asked to"
    code, said, _ = world.promote("rollback")
    assert (code, said["outcome"]) == (2, "usage"), "there is nothing to undo twice"
    code, said, _ = world.promote("status")
    assert (code, said["production"], said["tags"]["stable"]["version"], said["lock"]) == (0, "passed", "v1.7.4", None)
    assert {a["name"]: a["verdict"] for a in said["applications"] if a["verdict"] != "proven"} == {"velero": "tolerated"}, "as when it was proven"
    assert said["last"] == "v1.7.4: rolled back"
    code, said, _ = world.promote("rollback", "--to-working")
    assert code == 2 and "a rollback never goes forward" in said["error"]
    code, said, _ = world.promote("rollback", "--to", "v9.9.9")
    assert code == 2 and "v9.9.9 was never promoted" in said["error"] and "prod-v1.7.4" in said["hint"]
    code, said, progress = world.promote("rollback", "--to", "v1.8.0")
    assert (code, said["outcome"]) == (2, "usage") and "a rollback never goes forward" in said["error"], progress
    assert world.holds("refs/tags/prod-stable") == old


def test_the_manual_method_step_by_step(start: Any) -> None:
    world = start()
    code, said, _ = world.promote("tag-dev", "1.8.0")
    assert (code, said["tag"]) == (0, "dev-v1.8.0")
    code, said, _ = world.promote("publish", "v1.8.0")
    assert (code, said["outcome"]) == (0, "published")
    assert world.at("refs/tags/prod-stable") == world.at("refs/tags/dev-v1.8.0")
    code, said, progress = world.promote("publish", "v1.8.7")
    assert (code, said["outcome"]) == (1, "refused")
    assert "Available dev tags: dev-v1.7.4, dev-v1.8.0" in progress
    assert world.promote("status")[1]["prechecked"] == "no"


@pytest.mark.parametrize("act", [False, True], ids=["plain", "act"])
def test_the_workflow_by_hand_with_nothing_but_a_version(start: Any, act: bool) -> None:
    """What `gh workflow run promote-prod.yaml -f version=v1.8.0` or the Actions page sends."""
    if act and not ACT:
        pytest.skip("not run: needs act")
    world = start(via="workflow", act=act)
    assert world.promote("tag-dev", "v1.8.0")[0] == 0
    api, token = world.sandbox.github.url, world.sandbox.env["GITHUB_TOKEN"]
    for version in ("v1.8.0", "v9.9.9", "v1.8.0; touch /tmp/injected"):
        answer = requests.post(
            f"{api}/repos/acme/gitops/actions/workflows/promote-prod.yaml/dispatches",
            json={"ref": "main", "inputs": {"version": version}}, headers={"Authorization": f"Bearer {token}"}, timeout=10,
        )  # fmt: skip
        assert answer.status_code == 204
    runs = world.sandbox.github.runs
    end = time.monotonic() + 60
    while any(run.status != "completed" for run in runs):
        assert time.monotonic() < end
        time.sleep(0.05)
    by_title = {run.inputs["version"]: run for run in runs}
    assert by_title["v1.8.0"].conclusion in ("success", "cancelled"), by_title["v1.8.0"].log
    if by_title["v1.8.0"].conclusion == "success":
        assert world.at("refs/tags/prod-stable") == world.at("refs/tags/dev-v1.8.0")
        assert world.promote("status")[1]["prechecked"] == "no"
    assert by_title["v1.8.0; touch /tmp/injected"].conclusion == "failure"
    assert not Path("/tmp/injected").exists()
