"""The driver's own checks: each fails when its subject is wrong and is unknown when its evidence is unreadable. Read from the report and from JUnit."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from promote.cli.sandbox_session import repository_files
from promote.sandbox.http_server import Fault
from promote.sandbox.sandbox import Sandbox
from promote.sandbox.scenarios import SCENARIOS
from promote.sandbox.scenarios.scenario import once_moved, once_there
from tests.support.declared import proves_verdicts, saw_verdicts
from tests.support.junit import outcomes, read

BIN = Path(sys.executable).parent
WORKING = "refs/tags/prod-working"


@dataclass(frozen=True)
class Case:
    """`begin` makes it wrong; `checks` are the driver's checks that do not pass, `text` is a part of the first one's text."""

    via: str
    begin: Callable[[Sandbox], object]
    outcome: str
    checks: dict[str, str]
    text: str


def refuses_working(sandbox: Sandbox) -> None:
    """Only prod-working is protected: the move itself goes through."""
    sandbox.git.protect(WORKING)


def silent(sandbox: Sandbox) -> None:
    """The remote answers nothing any more."""
    sandbox.git.fault(Fault(kind="status", status=500))


def elsewhere(sandbox: Sandbox, ref: str) -> None:
    sandbox.writer.git("update-ref", ref, sandbox.writer.holds("refs/tags/prod-v1.7.3"))


def works_until_moved(sandbox: Sandbox, act: Callable[[], None]) -> None:
    """`act` happens in the moment in which prod-working has been moved."""
    before = sandbox.writer.holds(WORKING)

    def look() -> None:
        if sandbox.writer.holds(WORKING) != before:
            sandbox.git.after_push.remove(look)
            act()

    sandbox.git.after_push.append(look)


DEV = "refs/tags/dev-v1.8.0"
CASES = {
    "the dev tag is gone as soon as it was there": Case(
        via="git",
        begin=lambda s: once_there(s, DEV, lambda: s.writer.git("update-ref", "-d", DEV)),
        outcome="superseded",
        checks={"dev-tag-created": "failed", "prod-tags-created": "failed"},
        text="dev-v1.8.0 is not there",
    ),
    "nothing answers when the dev tag was pushed": Case(
        via="git",
        begin=lambda s: once_there(s, DEV, lambda: silent(s)),
        outcome="unchecked",
        checks={"dev-tag-created": "errored"},
        text="500",
    ),
    "production's tag is another user's when it is read back": Case(
        via="git",
        begin=lambda s: once_moved(s, lambda: elsewhere(s, "refs/tags/prod-stable")),
        outcome="superseded",
        checks={"prod-tags-created": "failed"},
        text="and this promotion did not put it there",
    ),
    "prod-working is moved on at once": Case(
        via="git",
        begin=lambda s: works_until_moved(s, lambda: elsewhere(s, WORKING)),
        outcome="verified",
        checks={"prod-working-updated": "failed"},
        text="prod-working is at",
    ),
    "nothing answers when prod-working was moved": Case(
        via="git",
        begin=lambda s: works_until_moved(s, lambda: silent(s)),
        outcome="verified",
        checks={"prod-working-updated": "errored"},
        text="",
    ),
    "the dispatch is refused": Case(
        via="workflow",
        begin=lambda s: s.github.fault(Fault(kind="status", status=403, method="POST", path="/dispatches", body=b'{"message": "no rights"}')),
        outcome="refused",
        checks={"workflow-dispatched": "failed", "prod-tags-created": "failed"},
        text="no rights",
    ),
    "the dispatch gets no reply": Case(
        via="workflow",
        begin=lambda s: s.github.fault(Fault(kind="status", status=502, method="POST", path="/dispatches")),
        outcome="unchecked",
        checks={"workflow-dispatched": "errored", "prod-tags-created": "failed"},
        text="",
    ),
    "the run fails": Case(
        via="workflow",
        begin=lambda s: s.github.fail_run("##[error]the runner has no network"),
        outcome="refused",
        checks={"workflow-succeeded": "failed", "prod-tags-created": "failed"},
        text="it concluded failure",
    ),
    "the run does not end": Case(
        via="workflow",
        begin=lambda s: s.github.hang_run(),
        outcome="unchecked",
        checks={"workflow-succeeded": "errored", "prod-tags-created": "failed"},
        text="not within 6 s",
    ),
    "prod-working may not be moved": Case(
        via="git",
        begin=refuses_working,
        outcome="verified",
        checks={"prod-working-updated": "failed"},
        text="promote mark-working",
    ),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=proves_verdicts(case.checks)) for name, case in CASES.items()])
def test_the_checks_that_are_about_it_do_not_pass(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    files = repository_files(case.via)
    files["promotion.toml"] = files["promotion.toml"].replace(b'\ntimeout = "60s"', b'\ntimeout = "6s"')
    with Sandbox(tmp_path / "world", files=files, act=False, commands=[BIN]) as sandbox:
        version = SCENARIOS["good"].prepare(sandbox)
        case.begin(sandbox)
        argv = [sys.executable, "-m", "promote", "run", version, "--json"]
        done = subprocess.run(argv, cwd=sandbox.clone(tmp_path / "clone"), env=sandbox.env, capture_output=True, text=True, check=False)
        sandbox.git.protect()
    said = json.loads(done.stdout)
    saw_verdicts((check["id"], check["verdict"]) for check in said["checks"])
    assert said["outcome"] == case.outcome, done.stderr
    unread = "could not be read now" in done.stderr
    assert unread == (case.outcome == "unchecked" and said["stable_after"] is None), "an unread tag is not reported"
    checks = {check["id"]: check for check in said["checks"] if check["suite"] in ("during", "after")}
    assert {i: r["verdict"] for i, r in checks.items() if r["verdict"] not in ("passed", "disabled")} == case.checks, checks
    assert case.text in checks[next(iter(case.checks))]["detail"]
    (file,) = [path for path in said["junit"] if path.endswith("during.xml")]
    forms = {"passed": "passed", "disabled": "skipped", "failed": "failure", "errored": "error"}
    assert outcomes(file, "during") == {i: forms[check["verdict"]] for i, check in checks.items()}
    assert all(set(read(path)) <= {"pre", "post", "smoke", "during"} for path in said["junit"])
