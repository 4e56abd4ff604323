"""The driver's own rows: which of them say no when its matter is wrong, and unknown when nobody could tell. Read from the report and from JUnit."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from promote.commands.world import repository_files
from promote.sandbox.http_world import Fault
from promote.sandbox.sandbox import Sandbox
from promote.sandbox.scenarios import SCENARIOS

BIN = Path(sys.executable).parent
WORKING = "refs/tags/prod-working"


@dataclass(frozen=True)
class Case:
    """`begin` makes it wrong; `rows` are the driver's rows that do not pass, and `says` a part of the first one's text."""

    via: str
    begin: Callable[[Sandbox], object]
    outcome: str
    rows: dict[str, str]
    says: str


def refuses_working(sandbox: Sandbox) -> None:
    """Only prod-working is protected: the move itself goes through."""
    sandbox.git.protect(WORKING)


CASES = {
    "the dispatch is refused": Case(
        via="workflow",
        begin=lambda s: s.github.fault(Fault(kind="status", status=403, method="POST", path="/dispatches", body=b'{"message": "no rights"}')),
        outcome="refused",
        rows={"workflow-dispatched": "failed", "prod-tags-created": "failed"},
        says="no rights",
    ),
    "nobody knows whether the dispatch arrived": Case(
        via="workflow",
        begin=lambda s: s.github.fault(Fault(kind="status", status=502, method="POST", path="/dispatches")),
        outcome="unchecked",
        rows={"workflow-dispatched": "errored", "prod-tags-created": "failed"},
        says="",
    ),
    "the run fails": Case(
        via="workflow",
        begin=lambda s: s.github.fail_run("##[error]the runner has no network"),
        outcome="refused",
        rows={"workflow-succeeded": "failed", "prod-tags-created": "failed"},
        says="it concluded failure",
    ),
    "the run does not end": Case(
        via="workflow",
        begin=lambda s: s.github.hang_run(),
        outcome="unchecked",
        rows={"workflow-succeeded": "errored", "prod-tags-created": "failed"},
        says="not within 6 s",
    ),
    "prod-working may not be moved": Case(
        via="git",
        begin=refuses_working,
        outcome="verified",
        rows={"prod-working-updated": "failed"},
        says="promote mark-working",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_rows_that_are_about_it_do_not_pass(tmp_path: Path, name: str) -> None:
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
    assert said["outcome"] == case.outcome, done.stderr
    rows = {row["id"]: row for row in said["checks"] if row["suite"] in ("during", "after")}
    assert {i: r["verdict"] for i, r in rows.items() if r["verdict"] not in ("passed", "off")} == case.rows, rows
    assert case.says in rows[next(iter(case.rows))]["detail"]
    (file,) = [path for path in said["junit"] if path.endswith("during.xml")]
    tags = {"failure": "failed", "error": "errored"}
    bad = {c.get("name"): tags[e.tag] for c in ElementTree.parse(file).iter("testcase") for e in c if e.tag in tags}
    assert bad == case.rows
