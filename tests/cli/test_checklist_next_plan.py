"""`promote checklist`, `next`, `plan`: the preview before anything is decided; and the driver's own checks after it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from promote.sandbox.seed import deployment
from tests.support.checking import Desk, desk
from tests.support.json_documents import read_document
from tests.support.junit import outcomes

SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"password": "hunter2-old"}}


def promote(world: Desk, *argv: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "promote", *argv], cwd=world.clone, env=world.sandbox.env, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def document(world: Desk, *argv: str) -> Any:
    code, out, err = promote(world, *argv, "--json")
    assert code == 0, err
    return read_document(argv[0], out)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("ahead")) as it:
        yield it


def test_the_checklist_names_every_check_without_a_request(world: Desk) -> None:
    world.sandbox.github.requests.clear()
    checks = {check["id"]: check for check in document(world, "checklist")}
    assert not world.sandbox.github.requests
    assert {"tasks-closed", "tests-passed", "promql[scraped]", "smoke-url[vault]", "dev-tag-created", "prod-working-updated"} <= set(checks)
    assert checks["candidate"]["counts"] == "protected" and checks["tasks-closed"]["counts"] == "required"
    assert all(check["title"] and check["evidence"] for check in checks.values())
    code, out, _ = promote(world, "checklist")
    assert code == 0 and f"{len(checks)} checks: " in out
    (world.clone / "checks").rename(world.clone / "away")
    try:
        assert {check["id"] for check in document(world, "checklist")} == set(checks), "a file that is gone takes no check away"
    finally:
        (world.clone / "away").rename(world.clone / "checks")


def test_the_checklist_shows_what_does_not_count_and_why(world: Desk) -> None:
    before = world.show("promotion.toml") or b""
    more = b'\n[checklist]\nadvisory = ["events"]\n\n[[checklist.disabled]]\nid = "tests-passed"\nreason = "none yet"\n'
    more += b'\n[[waivers]]\nid = "documentation"\nreason = "later"\nauthor = "Ada"\nuntil = 2099-01-01\n'
    (world.clone / "promotion.toml").write_bytes(before + more)
    try:
        checks = {check["id"]: (check["counts"], check["why"]) for check in document(world, "checklist")}
    finally:
        (world.clone / "promotion.toml").write_bytes(before)
    assert checks["events"] == ("advisory", "") and checks["tests-passed"] == ("disabled", "none yet")
    assert checks["documentation"] == ("waived", "waived by Ada until 2099-01-01: later")


def test_next_is_the_version_alone_on_stdout(world: Desk) -> None:
    assert promote(world, "next") == (0, "v1.8.0\n", "v1.7.4, and minor: 1 feat, 2 other\n")
    assert promote(world, "next", "--major")[1] == "v2.0.0\n"
    assert promote(world, "next", "--patch")[1] == "v1.7.5\n"
    assert promote(world, "next", "--major", "--patch")[0] == 2


def test_a_plan_shows_the_commits_the_changes_and_the_rollback_target(world: Desk) -> None:
    plan = document(world, "plan", "v1.8.0")
    assert [c["subject"] for c in plan["commits"]] == ["fix(traefik): access log", "feat(gitea): 1.22", "docs: runbook for velero"]
    assert {a["name"]: a["changed"] for a in plan["applications"]} == {"gitea": ["Deployment gitea/gitea"], "traefik": ["Deployment traefik/traefik"]}
    assert plan["fitting"] == "v1.8.0" and plan["breaking"] == [] and plan["back_to"].startswith("v1.7.4 (")
    code, out, _ = promote(world, "plan", "v1.9.0", "--diff")
    assert code == 0 and "the smallest version that fits is v1.8.0" in out
    assert "-      - image: registry.example/gitea:1.0.0" in out and "+      - image: registry.example/gitea:1.22.0" in out
    assert "nothing was done" in out


@pytest.mark.parametrize(
    ("version", "message"),
    [("v1.7.3", "v1.7.3 was promoted already (prod-v1.7.3 at "), ("v0.9.0", "v0.9.0 is not greater than v1.7.4"), ("v1.7.9", "is a step of patch")],
)
def test_a_plan_that_would_be_refused_names_the_reason_and_suggests_no_promotion(world: Desk, version: str, message: str) -> None:
    code, out, _ = promote(world, "plan", version)
    assert code == 0 and "\nrefused       " in out and message in out
    assert "would be refused" in out.splitlines()[-1] and "promote next" in out.splitlines()[-1]
    assert document(world, "plan", "v1.8.0")["refused"] == []


def test_a_plan_for_what_production_runs_moves_nothing(tmp_path: Path) -> None:
    with desk(tmp_path) as world:
        writer = world.sandbox.writer
        writer.git("update-ref", "refs/tags/prod-stable", writer.holds("refs/tags/prod-v1.7.4"))
        plan = document(world, "plan", "v1.7.4")
    assert plan["refused"] == [] and len(plan["steps"]) == 1 and "nothing is moved" in plan["steps"][0]


def test_a_version_that_was_rolled_back_is_not_suggested_again(tmp_path: Path) -> None:
    with desk(tmp_path) as world:
        world.sandbox.writer.tag("prod-v1.8.0", world.sandbox.writer.holds("main"), "rolled back since")
        assert promote(world, "next")[:2] == (0, "v1.8.1\n")
        assert "v1.8.0 was promoted already, and production is not at it" in promote(world, "next")[2]
        plan = document(world, "plan", "v1.8.0")
        assert "--again" in plan["refused"][0] and plan["fitting"] == "v1.8.1"
        assert document(world, "plan", "v1.8.1")["refused"] == []


def test_a_clone_that_is_behind_is_shown_what_a_run_would_take(tmp_path: Path) -> None:
    with desk(tmp_path) as world:
        seen = document(world, "plan", "v1.8.0")["commits"]
        world.sandbox.commit({"docs/new.md": b"# New\n"}, "feat!: newest\n\nBREAKING CHANGE: all of it")
        code, out, err = promote(world, "next")
        assert (code, out) == (0, "v2.0.0\n") and "main is 1 commit ahead of this clone" in err
        plan = document(world, "plan", "v2.0.0")
        assert [c["subject"] for c in plan["commits"]][1:] == [c["subject"] for c in seen] and "pulls them first" in plan["remark"]


def test_a_plan_for_nonsense_is_refused(world: Desk) -> None:
    code, _, err = promote(world, "plan", "soon")
    assert code == 2 and "is not a semver version" in err


def test_a_plan_shows_that_a_secret_changes_and_never_its_content(tmp_path: Path) -> None:
    with desk(tmp_path) as world:
        folder = "apps/homepage/overlays/prod"
        lists = yaml.safe_dump({"resources": ["../../base", "service.yaml", "secret.yaml"]}).encode()
        world.commit("fix: a secret", {f"{folder}/secret.yaml": yaml.safe_dump(SECRET).encode(), f"{folder}/kustomization.yaml": lists})
        code, out, err = promote(world, "plan", "v1.8.0", "--diff")
        assert code == 0 and "Secret homepage/s" in out and "(hidden)" in out and "hunter2" not in out + err


def test_a_plan_writes_a_migration_plan_once(tmp_path: Path) -> None:
    with desk(tmp_path) as world:
        world.commit("feat(gitea)!: the database moves")
        assert document(world, "plan", "v2.0.0")["migration"] == "migrations/v2.0.0.md is not there yet"
        code, out, _ = promote(world, "plan", "v2.0.0", "--write")
        written = (world.clone / "migrations/v2.0.0.md").read_text()
        assert code == 0 and "migrations/v2.0.0.md" in out
        assert "the database moves" in written and "## Rollback" in written
        code, _, err = promote(world, "plan", "v2.0.0", "--write")
        assert code == 2 and "exists" in err and (world.clone / "migrations/v2.0.0.md").read_text() == written


def test_the_drivers_own_checks_are_in_report_and_junit(tmp_path: Path) -> None:
    with desk(tmp_path) as world:
        world.commit("feat(grafana): more", {"apps/grafana/base/deployment.yaml": deployment("grafana", memory="256Mi")})
        said = document(world, "run", "v1.8.0")
        checks = {check["id"]: check for check in said["checks"]}
        assert checks["dev-tag-created"]["evidence"]["commit"] == said["commit"] == checks["prod-tags-created"]["evidence"]["commit"]
        assert checks["workflow-dispatched"]["verdict"] == "disabled"
        (file,) = [path for path in said["junit"] if path.endswith("during.xml")]
        assert outcomes(file, "during") == {
            "dev-tag-created": "passed", "workflow-dispatched": "skipped", "workflow-succeeded": "skipped", "prod-tags-created": "passed",
            "prod-working-updated": "passed",
        }  # fmt: skip


def test_a_waived_check_lets_the_promotion_through_and_stays_on_record(tmp_path: Path) -> None:
    with desk(tmp_path) as world:
        world.sandbox.github.records.add_issue(12, "Raise the limit")
        world.commit("feat(grafana): more (#12)", {"apps/grafana/base/deployment.yaml": deployment("grafana", memory="256Mi")})
        code, out, _ = promote(world, "run", "v1.8.0", "--json")
        assert code == 1 and json.loads(out)["outcome"] == "refused", "an open task"
        code, out, _ = promote(world, "run", "v1.8.0", "--waive", "candidate=I know", "--json")
        assert code == 2, "what guards the tag is never waived"
        said = document(world, "run", "v1.8.0", "--waive", "tasks-closed=Ada closes it tomorrow", "--waive", "documentation=none needed")
        assert said["outcome"] == "verified"
        assert {w["id"]: (w["reason"], w["used"]) for w in said["waivers"]} == {
            "tasks-closed": ("Ada closes it tomorrow", True),
            "documentation": ("none needed", False),
        }
        check = next(r for r in said["checks"] if r["id"] == "tasks-closed")
        assert check["verdict"] == "waived" and "#12 (open)" in check["detail"]
        (entry,) = world.sandbox.writer.git("ls-tree", "--name-only", "refs/promote/ledger").splitlines()
        kept = json.loads(world.sandbox.writer.git("show", f"refs/promote/ledger:{entry}"))
        assert kept["waivers"] == said["waivers"]


@pytest.mark.parametrize(
    ("toml", "argv", "message"),
    [
        ('[[waivers]]\nid = "events"\nreason = "x"\nauthor = "a"\nuntil = "soon"\n', ("checklist",), "waivers[0].until: 'soon' is not a day"),
        ('[checklist]\nadvisory = ["candidate"]\n', ("checklist",), "candidate protects the tag itself"),
        ('[[checklist.disabled]]\nid = "events"\n', ("checklist",), "checklist.disabled: every entry needs an id and a reason"),
        ('[[waivers]]\nid = "evnts"\nreason = "x"\nauthor = "a"\nuntil = 2099-01-01\n', ("run", "v1.8.0"), "did you mean events?"),
        ("", ("run", "v1.8.0", "--waive", "events="), "gives no reason"),
        ("", ("check", "pre", "--waive", "nope=x"), "there is no check 'nope'"),
        ("", ("plan", "v1; rm -rf"), "is not a semver version"),
        ("", ("plan", "--force"), "VERSION"),
    ],
)
def test_usage_errors_are_reported_before_anything_happens(world: Desk, toml: str, argv: tuple[str, ...], message: str) -> None:
    before = world.show("promotion.toml") or b""
    if toml:
        (world.clone / "promotion.toml").write_text(toml)
    try:
        code, out, err = promote(world, *argv)
    finally:
        (world.clone / "promotion.toml").write_bytes(before)
    assert (code, out) == (2, "") and message in err, err


def test_a_shallow_clone_cannot_list_the_commits_to_ship(world: Desk, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    world.git("clone", "-q", "--depth", "1", world.git("remote", "get-url", "origin"), str(shallow))
    for argv in (["next"], ["plan", "v1.8.0"]):
        done = subprocess.run(
            [sys.executable, "-m", "promote", *argv], cwd=shallow, env=world.sandbox.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 5 and "git fetch --unshallow" in done.stderr and "Traceback" not in done.stderr
