"""The check `tasks-closed` in a whole pre suite: alone in failing when a task is open, unknown when its tracker cannot be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from promote.sandbox.http_server import Fault
from tests.support.checking import Desk, desk, verdicts
from tests.support.declared import proves

CHECK = "tasks-closed"
BD = '''#!/usr/bin/env python3
"""Stands in for Beads' own `bd`, which no package index here has: `bd show ID --json` in the shape that $BD_SHAPE names."""
import json, os, sys
task = {"acme-7x2": ("raise the limit", "in_progress"), "acme-7x2.1": ("ask Grace", "closed")}.get(sys.argv[2])
shape = os.environ["BD_SHAPE"]
if shape == "broken":
    sys.exit("Error: database is locked")
if task is None:
    if shape == "object":
        sys.exit(f"Error fetching {sys.argv[2]}: no issue found matching {sys.argv[2]!r}")
    print(json.dumps({"error": "no issue found matching"}))
    sys.exit(1)
entry = {"id": sys.argv[2], "title": task[0], "status": task[1]}
print(json.dumps({"array": [entry], "object": entry, "envelope": {"schema_version": 1, "data": [entry]}}[shape]))
'''


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("tasks")) as it:
        it.sandbox.github.records.add_issue(12, "Raise the limit")
        it.sandbox.github.records.add_issue(13, "Merged", pull_request=True)
        it.commit("feat(grafana): raise the limit (#13)\n\nPlain words about #99.\n\nCloses: #12\n")
        it.commit("fix: for acme-prod, see acme-7x2 and acme-7x2.1")
        yield it


@pytest.fixture
def beads(world: Desk) -> Iterator[Desk]:
    world.settings(('source = "github"', 'source = "beads"'))
    yield world
    world.path, world.env = [], {}
    world.settings(('source = "beads"', 'source = "github"'))


@proves("check", "tasks-closed", "failed")
def test_an_open_issue_fails_this_check_and_no_other(world: Desk) -> None:
    checks = world.check()
    assert verdicts(checks) == {CHECK: "failed"}
    detail = checks[CHECK]["detail"]
    assert '#12 (open) "Raise the limit"' in detail and "/acme/gitops/issues/12" in detail and "feat(grafana)" in detail
    assert checks[CHECK]["evidence"]["tasks"] == {"#12": "open"}, "a pull request and what no subject or trailer names are no tasks"


def test_a_closed_issue_passes_and_commits_without_a_task_are_listed(world: Desk) -> None:
    world.sandbox.github.records.add_issue(12, "Raise the limit", "closed")
    try:
        checks = world.check()
    finally:
        world.sandbox.github.records.add_issue(12, "Raise the limit")
    assert verdicts(checks) == {}
    assert any("acme-7x2" in line for line in checks[CHECK]["evidence"]["commits that name no task"])


@proves("check", "tasks-closed", "errored")
@pytest.mark.parametrize(
    ("fault", "message"), [(Fault(kind="status", status=503, path="/issues"), "503"), (Fault(kind="refuse", path="/issues"), "")]
)
def test_a_tracker_that_does_not_answer_is_unknown(world: Desk, fault: Fault, message: str) -> None:
    world.sandbox.github.fault(fault)
    try:
        checks = world.check()
    finally:
        world.sandbox.github.clear_faults()
    assert verdicts(checks) == {CHECK: "errored"}
    assert message in checks[CHECK]["detail"]


def test_a_token_that_sees_nothing_is_unknown_not_without_tasks(world: Desk) -> None:
    """GitHub answers 404 to what a token may not see."""
    world.sandbox.github.fault(Fault(kind="status", status=404, path="/repos/acme/gitops(/issues.*)?$", body=b'{"message": "Not Found"}'))
    try:
        checks = world.check()
    finally:
        world.sandbox.github.clear_faults()
    assert verdicts(checks) == {CHECK: "errored"}


def test_without_a_decision_the_check_is_unknown_and_with_none_it_is_off(world: Desk) -> None:
    world.settings(('source = "github"', 'source = ""'))
    checks = world.check()
    assert verdicts(checks) == {CHECK: "errored"} and "not configured" in checks[CHECK]["detail"]
    world.settings(('source = ""', 'source = "none"'))
    try:
        assert CHECK not in world.check()
    finally:
        world.settings(('source = "none"', 'source = "github"'))


@pytest.mark.parametrize("shape", ["array", "object", "envelope"])
def test_bd_is_asked_in_each_of_its_shapes(beads: Desk, tmp_path: Path, shape: str) -> None:
    program = tmp_path / "bd"
    program.write_text(BD)
    program.chmod(0o755)
    beads.path, beads.env = [tmp_path], {"BD_SHAPE": shape}
    checks = beads.check()
    assert verdicts(checks) == {CHECK: "failed"}
    assert checks[CHECK]["evidence"]["tasks"] == {"acme-7x2": "in_progress", "acme-7x2.1": "closed"}, "acme-prod only looks like one"


def test_a_bd_that_breaks_is_unknown(beads: Desk, tmp_path: Path) -> None:
    program = tmp_path / "bd"
    program.write_text(BD)
    program.chmod(0o755)
    beads.path, beads.env = [tmp_path], {"BD_SHAPE": "broken"}
    checks = beads.check()
    assert verdicts(checks) == {CHECK: "errored"}
    assert "database is locked" in checks[CHECK]["detail"]


def test_the_export_is_read_from_its_branch(beads: Desk) -> None:
    tasks = [{"id": "acme-7x2", "title": "raise", "status": "closed"}, {"id": "acme-7x2.1", "title": "gone", "status": "tombstone"}]
    checks = beads.check()
    assert verdicts(checks) == {CHECK: "errored"}, "neither bd nor an export"
    export = "\n".join(map(json.dumps, tasks)).encode() + b"\n"
    beads.commit("chore: export", {".beads/issues.jsonl": export})
    checks = beads.check()
    assert verdicts(checks) == {} and checks[CHECK]["evidence"]["tasks"] == {"acme-7x2": "closed"}
    beads.git("push", "-q", "origin", "HEAD:refs/heads/beads-sync")
    beads.settings(('source = "beads"', 'source = "beads"\nbranch = "beads-sync"'))
    beads.commit("chore: export with a conflict", {".beads/issues.jsonl": b"<<<<<<< HEAD\n" + export})
    assert verdicts(beads.check()) == {}, "the branch's export counts"
    beads.settings(('\nbranch = "beads-sync"', ""))
    assert verdicts(beads.check()) == {CHECK: "errored"}, "half an export would hide open tasks"


def test_commits_must_name_a_task_when_that_is_the_rule(world: Desk) -> None:
    world.sandbox.github.records.add_issue(12, "Raise the limit", "closed")
    world.settings(('source = "github"', 'source = "github"\nrequire = true\nexempt = ["chore*"]'))
    try:
        checks = world.check()
        assert verdicts(checks) == {CHECK: "failed"} and "names no task" in checks[CHECK]["detail"]
    finally:
        world.settings(('\nrequire = true\nexempt = ["chore*"]', ""))
        world.sandbox.github.records.add_issue(12, "Raise the limit")


def test_a_list_of_many_ids_is_read_in_pages(world: Desk) -> None:
    for number in range(100, 400):
        world.sandbox.github.records.add_issue(number, f"Task {number}", "closed")
    world.sandbox.github.records.add_issue(12, "Raise the limit", "closed")
    world.commit("fix: many\n\n" + "\n".join(f"Fixes: #{n}" for n in range(101, 131)))
    world.sandbox.github.requests.clear()
    checks = world.check()
    asked = [path for _, path in world.sandbox.github.requests if "/issues" in path]
    assert verdicts(checks) == {} and len(checks[CHECK]["evidence"]["tasks"]) == 31
    assert len(asked) <= 4, asked
