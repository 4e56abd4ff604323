"""promote in CI: the check workflow (plain and under act), and a promotion from a detached checkout without a terminal."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from promote.cli.sandbox_session import repository_files
from promote.sandbox.github.world import WorkflowRun
from promote.sandbox.sandbox import TOKEN, Sandbox
from promote.sandbox.scenarios import SCENARIOS
from tests.support.junit import outcomes
from tests.support.processes import left, mark

BIN = Path(sys.executable).parent
ACT = shutil.which("act", path=str(BIN)) or shutil.which("act")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Sandbox]]:
    running: list[Sandbox] = []

    def begin(*, act: bool = False, clusters: bool = False) -> Sandbox:
        sandbox = Sandbox(tmp_path / "world", files=repository_files("workflow"), act=act, commands=[BIN])
        running.append(sandbox)
        if clusters:
            sandbox.runner_env |= {"KUBECONFIG": str(tmp_path / "world" / "kubeconfig"), "GRAFANA_TOKEN": TOKEN}
        sandbox.start()
        sandbox.wait_settled()
        return sandbox

    yield begin
    for sandbox in running:
        sandbox.stop()


def check(sandbox: Sandbox) -> WorkflowRun:
    """The check workflow, dispatched and waited for."""
    url = f"{sandbox.github.url}/repos/acme/gitops/actions/workflows/promote-check.yaml/dispatches"
    token = {"Authorization": f"Bearer {sandbox.env['GITHUB_TOKEN']}"}
    assert requests.post(url, json={"ref": "main"}, headers=token, timeout=10).status_code == 204
    end = time.monotonic() + 120
    while not sandbox.github.runs or sandbox.github.runs[-1].status != "completed":
        assert time.monotonic() < end
        time.sleep(0.05)
    return sandbox.github.runs[-1]


@pytest.mark.parametrize("act", [False, True], ids=["plain", "act"])
def test_without_a_cluster_the_check_is_unknown_and_red(start: Callable[..., Sandbox], act: bool) -> None:
    if act and not ACT:
        pytest.skip("not run: needs act")
    sandbox = start(act=act)
    run = check(sandbox)
    assert run.conclusion == "failure", run.log
    assert "? dev-converged" in run.log
    assert "✓ trunk" in run.log
    assert sandbox.env["GITHUB_TOKEN"] not in run.log
    if act:
        assert "##[error]" in run.log, "checks are annotations"
        checks = outcomes(sandbox.directory / "runs" / "artifacts" / "promote-pre" / "pre.xml", "pre")
        assert (checks["trunk"], checks["dev-converged"]) == ("passed", "error")


@pytest.mark.parametrize("act", [False, True], ids=["plain", "act"])
def test_with_both_clusters_it_is_green(start: Callable[..., Sandbox], act: bool) -> None:
    if act and not ACT:
        pytest.skip("not run: needs act")
    sandbox = start(act=act, clusters=True)
    run = check(sandbox)
    assert run.conclusion == "success", run.log
    assert sandbox.writer.holds("refs/promote/lock") == ""


def test_a_commit_message_is_never_obeyed_as_a_command(start: Callable[..., Sandbox], tmp_path: Path) -> None:
    """Everything a check prints is between stop-commands and its token; annotations are escaped."""
    sandbox = start()
    clone = sandbox.clone(tmp_path / "clone")
    sandbox.commit({"docs/x.md": b"x"}, "::error::not mine\n\n::set-output name=a::b")
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "::error::mine"], cwd=clone, env=sandbox.env, check=True)
    page = tmp_path / "summary.md"
    env = {**sandbox.env, "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(page)}
    done = subprocess.run([sys.executable, "-m", "pytest", "checks/pre", "-q"], cwd=clone, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    token = lines[0].removeprefix("::stop-commands::")
    assert len(token) == 32
    after = lines[lines.index(f"::{token}::") + 1 :]
    commands = [line for line in after if line.startswith("::")]
    assert commands
    assert all(line.startswith("::error title=") for line in commands)
    assert "| ✗ | `up-to-date` |" in page.read_text()


def test_a_promotion_from_a_detached_checkout_without_a_terminal(start: Callable[..., Sandbox], tmp_path: Path) -> None:
    sandbox = start()
    version = SCENARIOS["good"].prepare(sandbox)
    tagged = sandbox.writer.holds("refs/heads/main")
    sandbox.writer.tag(f"dev-{version}", tagged, "Dev release")
    clone = sandbox.clone(tmp_path / "checkout")
    subprocess.run(["git", "checkout", "-q", "--detach", tagged], cwd=clone, env=sandbox.env, check=True)
    marked = mark()
    env = {**sandbox.env, **marked, "CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "ada", "GITHUB_RUN_ID": "77"}
    argv = [sys.executable, "-m", "promote", "run", version, "--tagged"]
    done = subprocess.run(argv, cwd=clone, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert "?\n" not in done.stderr, "nothing is asked"
    assert sandbox.writer.holds("refs/tags/prod-stable^{commit}") == tagged
    assert [p.name for p in sorted((clone / "reports" / version).rglob("*.xml"))]
    record = json.loads(sandbox.writer.git("show", f"main:.promotions/prod-{version}.json"))
    assert record["commit"] == tagged
    assert left(marked) == []
