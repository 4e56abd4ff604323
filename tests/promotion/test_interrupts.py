"""A user stops a promotion: before the move nothing is left behind, after it production is put back first and proven back."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from promote.cli.sandbox_session import repository_files
from promote.sandbox.http_server import Fault
from promote.sandbox.sandbox import Sandbox
from promote.sandbox.scenarios import SCENARIOS
from tests.support.declared import proves
from tests.support.json_documents import saw_document
from tests.support.processes import left, mark

BIN = Path(sys.executable).parent


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the moment to interrupt never came"
        time.sleep(0.02)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "world", files=repository_files("git"), act=False, commands=[BIN]) as world:
        yield world


MARKS: dict[int, dict[str, str]] = {}


def children_of(child: subprocess.Popen[str]) -> list[str]:
    return left(MARKS[child.pid])


def driver(sandbox: Sandbox, clone: Path, version: str) -> subprocess.Popen[str]:
    argv, marked = [sys.executable, "-m", "promote", "run", version, "--json"], mark()
    child = subprocess.Popen(
        argv, cwd=clone, env={**sandbox.env, **marked}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    MARKS[child.pid] = marked
    return child


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_after_the_move_it_goes_back_first_and_is_proven_back(sandbox: Sandbox, tmp_path: Path, stop: signal.Signals) -> None:
    old = sandbox.writer.holds("refs/tags/prod-stable")
    version = SCENARIOS["good"].prepare(sandbox)
    child = driver(sandbox, sandbox.clone(tmp_path / "clone"), version)
    until(lambda: sandbox.writer.holds("refs/tags/prod-stable") != old)
    child.send_signal(stop)
    out, err = child.communicate(timeout=90)
    said = json.loads(out)
    assert (child.returncode, said["outcome"]) == (3, "rolled_back"), err
    assert stop.name in said["reason"] or stop.name in err
    assert sandbox.writer.holds("refs/tags/prod-stable") == old
    assert sandbox.writer.holds("refs/promote/lock") == ""


@proves("ending", "interrupted", "130")
def test_before_the_move_nothing_is_left_behind(sandbox: Sandbox, tmp_path: Path) -> None:
    old = sandbox.writer.holds("refs/tags/prod-stable")
    version = SCENARIOS["good"].prepare(sandbox)
    child = driver(sandbox, sandbox.clone(tmp_path / "clone"), version)
    until(lambda: sandbox.writer.holds("refs/promote/lock") != "")
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    saw_document("run", json.loads(out))
    assert (child.returncode, json.loads(out)["outcome"]) == (130, "interrupted"), err
    assert sandbox.writer.holds("refs/tags/prod-stable") == old
    assert [sandbox.writer.holds(ref) for ref in ("refs/promote/lock", "refs/tags/prod-v1.8.0", "refs/tags/dev-v1.8.0")] == ["", "", ""]
    assert not children_of(child), "no child is left"


def test_while_the_workflow_runs_it_is_fenced_off_and_cancelled(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "world", files=repository_files("workflow"), act=False, commands=[BIN]) as sandbox:
        old = sandbox.writer.holds("refs/tags/prod-stable")
        version = SCENARIOS["good"].prepare(sandbox)
        sandbox.github.hang_run()
        child = driver(sandbox, sandbox.clone(tmp_path / "clone"), version)
        until(lambda: any(run.status == "in_progress" for run in sandbox.github.runs))
        child.send_signal(signal.SIGTERM)
        out, err = child.communicate(timeout=60)
        assert (child.returncode, json.loads(out)["outcome"]) == (130, "interrupted"), err
        assert [run.conclusion for run in sandbox.github.runs] == ["cancelled"]
        assert (sandbox.writer.holds("refs/tags/prod-stable"), sandbox.writer.holds("refs/promote/lock")) == (old, "")
        assert not children_of(child)


def test_while_production_converges_it_goes_back(sandbox: Sandbox, tmp_path: Path) -> None:
    old = sandbox.writer.holds("refs/tags/prod-stable")
    version = SCENARIOS["good"].prepare(sandbox)
    child = driver(sandbox, sandbox.clone(tmp_path / "clone"), version)
    until(lambda: sandbox.writer.holds("refs/tags/prod-stable") != old)
    sandbox.prod.freeze()  # it would wait for ever
    asked = ("Application", "argocd", "grafana")
    until(lambda: "argocd.argoproj.io/refresh" in ((sandbox.prod.get(*asked) or {})["metadata"].get("annotations") or {}))
    child.send_signal(signal.SIGHUP)
    until(lambda: sandbox.writer.holds("refs/tags/prod-stable") == old)
    sandbox.prod.thaw()
    out, err = child.communicate(timeout=90)
    assert (child.returncode, json.loads(out)["outcome"]) == (3, "rolled_back"), err
    assert sandbox.writer.holds("refs/promote/lock") == ""
    assert not children_of(child)


def test_while_the_suites_look_it_goes_back(sandbox: Sandbox, tmp_path: Path) -> None:
    old = sandbox.writer.holds("refs/tags/prod-stable")
    version = SCENARIOS["good"].prepare(sandbox)
    child = driver(sandbox, sandbox.clone(tmp_path / "clone"), version)
    until(lambda: sandbox.writer.holds("refs/tags/prod-stable") != old)
    asked = len(sandbox.services.requests)
    hang = sandbox.services.fault(Fault(kind="hang", path="/grafana", seconds=60))
    until(lambda: len(sandbox.services.requests) > asked)
    child.send_signal(signal.SIGINT)
    hang.times = 0
    out, err = child.communicate(timeout=90)
    assert (child.returncode, json.loads(out)["outcome"]) == (3, "rolled_back"), err
    assert (sandbox.writer.holds("refs/tags/prod-stable"), sandbox.writer.holds("refs/promote/lock")) == (old, "")
    assert not children_of(child)
