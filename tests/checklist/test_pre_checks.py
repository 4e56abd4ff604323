"""Checks of the pre suite in a whole run of it: each fails alone when its subject is wrong, and is unknown when its source cannot answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from promote.core.deadline import Deadline
from promote.sandbox.http_server import Fault
from promote.sandbox.seed import application, deployment
from tests.support.checking import Desk, desk, verdicts
from tests.support.declared import proves

DOWN = Fault(kind="status", status=503, path="/check-runs")
PLAN = "# {0}\n\n## What breaks\n\nthe volume\n\n## Steps\n\n1. copy it\n\n## Rollback\n\ncopy it back\n"
PVC = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
RESOURCES = ["../../base", "service.yaml"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("checks")) as it:
        yield it


@contextmanager
def changed(world: Desk, message: str, files: dict[str, bytes | None]) -> Iterator[str]:
    """A commit that is taken back by another one. Its message stays in the history: breaking words are for a world of their own."""
    before = {path: world.show(path) for path in files}
    world.commit(message, files)
    yield world.git("rev-parse", "HEAD")
    world.commit("chore: back", before)


@contextmanager
def settings(world: Desk, *pairs: tuple[str, str], more: str = "") -> Iterator[None]:
    before = world.show("promotion.toml")
    world.settings(*pairs, more=more)
    yield
    world.commit("chore: settings back", {"promotion.toml": before})


# -- tests-passed -------------------------------------------------------------------------------------------------------------------------


def head(world: Desk) -> str:
    return world.git("rev-parse", "HEAD")


def test_everything_passes_as_the_world_stands(world: Desk) -> None:
    assert verdicts(world.check(fresh=True)) == {}


@proves("check", "tests-passed", "failed")
def test_a_failed_check_of_this_commit_fails(world: Desk) -> None:
    world.commit("fix: a")
    world.sandbox.github.records.add_check(head(world), "ci / functional", "failure")
    checks = world.check()
    assert verdicts(checks) == {"tests-passed": "failed"}
    assert "ci / functional: failure http" in checks["tests-passed"]["detail"]


def test_a_failed_status_of_this_commit_fails_until_a_newer_one_passes(world: Desk) -> None:
    world.commit("fix: b")
    world.sandbox.github.records.add_status(head(world), "legacy-ci", "failure")
    assert verdicts(world.check()) == {"tests-passed": "failed"}
    world.sandbox.github.records.add_status(head(world), "legacy-ci", "success")
    assert verdicts(world.check()) == {}


def test_one_name_in_two_workflows_counts_as_the_worse(world: Desk) -> None:
    world.commit("fix: two builds")
    world.sandbox.github.records.add_check(head(world), "ci / build", "failure", suite=2)
    world.sandbox.github.records.add_check(head(world), "ci / build", "success", suite=3)
    assert verdicts(world.check()) == {"tests-passed": "failed"}
    world.sandbox.github.records.add_check(head(world), "ci / build", "success", suite=2)
    assert verdicts(world.check()) == {}, "run again"


def test_another_commits_checks_do_not_count_for_this_one(world: Desk) -> None:
    world.sandbox.github.records.add_check(head(world), "ci / functional", "failure")
    world.commit("fix: c")
    assert verdicts(world.check()) == {}


@pytest.mark.parametrize(("state", "message"), [("cancelled", "neither passed nor failed"), ("stale", "neither passed nor failed")])
def test_a_check_that_ended_without_a_word_is_unknown(world: Desk, state: str, message: str) -> None:
    world.commit("fix: d")
    world.sandbox.github.records.add_check(head(world), "ci / functional", state)
    checks = world.check()
    assert verdicts(checks) == {"tests-passed": "errored"} and message in checks["tests-passed"]["detail"]


def test_a_required_check_that_is_missing_or_pending_is_waited_for_and_then_unknown(world: Desk) -> None:
    with settings(world, ('timeout = "20s"', 'timeout = "1s"\nrequired = ["ci / build", "e2e"]')):
        checks = world.check()
        assert verdicts(checks) == {"tests-passed": "errored"} and "e2e: required of" in checks["tests-passed"]["detail"]
        world.sandbox.github.records.add_check(head(world), "e2e", status="in_progress")
        checks = world.check()
        assert verdicts(checks) == {"tests-passed": "errored"} and "e2e: pending" in checks["tests-passed"]["detail"]
        world.sandbox.github.records.add_check(head(world), "e2e")
        world.sandbox.github.records.add_check(head(world), "lint", "failure")
        assert verdicts(world.check()) == {}, "an optional check does not count"
        world.sandbox.github.records.add_check(head(world), "e2e", "skipped")
        assert verdicts(world.check()) == {"tests-passed": "errored"}, "a required check that was skipped has not passed"


def test_the_checklists_own_job_is_no_test_of_the_candidate(world: Desk) -> None:
    world.commit("fix: e")
    world.sandbox.github.records.add_check(head(world), "promote-check", status="in_progress")
    assert verdicts(world.check()) == {}


@proves("check", "tests-passed", "errored")
def test_a_forge_that_does_not_answer_is_unknown(world: Desk) -> None:
    world.sandbox.github.fault(DOWN)
    try:
        checks = world.check()
    finally:
        world.sandbox.github.clear_faults()
    assert verdicts(checks) == {"tests-passed": "errored"} and "503" in checks["tests-passed"]["detail"]


def test_no_check_at_all_is_unknown(world: Desk) -> None:
    automatic, world.sandbox.github.records.automatic = world.sandbox.github.records.automatic, ()
    world.commit("fix: f")
    try:
        checks = world.check()
    finally:
        world.sandbox.github.records.automatic = automatic
    assert verdicts(checks) == {"tests-passed": "errored"} and "it was not tested" in checks["tests-passed"]["detail"]


def test_without_a_source_it_is_unknown_and_off_with_a_reason(world: Desk) -> None:
    with settings(world, ("github = true ", "github = false")):
        checks = world.check()
        assert verdicts(checks) == {"tests-passed": "errored"} and "not configured" in checks["tests-passed"]["detail"]
    with settings(world, ("github = true ", "github = false"), more='\n[[checklist.disabled]]\nid = "tests-passed"\nreason = "no tests yet"\n'):
        assert "tests-passed" not in world.check()


@pytest.mark.parametrize(
    ("command", "verdict", "message"),
    [
        ("true", "", ""),
        ("sh -c 'echo one; echo two; exit 3'", "failed", "ended with 3"),
        ("sleep 60", "errored", "did not end within 1 s"),
        ("no-such-program-here", "errored", "cannot be started"),
    ],
)
def test_a_command_of_the_team(world: Desk, command: str, verdict: str, message: str) -> None:
    with settings(world, ("github = true ", f'command = "{command}"'), ('timeout = "20s"', 'timeout = "1s"')):
        checks = world.check()
        assert verdicts(checks) == ({"tests-passed": verdict} if verdict else {})
        assert message in checks["tests-passed"]["detail"]


def test_a_command_is_not_run_on_another_tree_than_the_candidates(world: Desk) -> None:
    with settings(world, ("github = true ", 'command = "true"')):
        (world.clone / "README.md").write_text("changed\n")
        checks = world.check()
        world.git("checkout", "-q", "README.md")
    assert verdicts(checks) == {"tests-passed": "errored", "clean-tree": "failed"}
    assert "would test a changed tree" in checks["tests-passed"]["detail"]


JUNIT = '<testsuite><properties><property name="commit" value="{0}"/></properties><testcase name="a"/>{1}</testsuite>'


def test_a_junit_file_counts_for_the_commit_it_names(world: Desk) -> None:
    file = world.sandbox.directory / "tests.xml"
    with settings(world, ("github = true ", f'junit = "{file}"')):
        assert "there is no tests.xml" in world.check()["tests-passed"]["detail"]
        file.write_text(JUNIT.format(head(world), ""))
        assert verdicts(world.check()) == {}
        file.write_text(JUNIT.format(head(world), '<testcase name="b"><failure/></testcase>'))
        checks = world.check()
        assert verdicts(checks) == {"tests-passed": "failed"} and "1 of 2 tests did not pass: b" in checks["tests-passed"]["detail"]
        file.write_text(JUNIT.format(head(world), "").replace("<testsuite>", '<testsuite errors="1" failures="0">'))
        checks = world.check()
        assert verdicts(checks) == {"tests-passed": "failed"} and "1 that the file counts and does not name" in checks["tests-passed"]["detail"]
        for text in (JUNIT.format("f" * 40, ""), '<testsuite><testcase name="a"/></testsuite>', "<html/>"):
            file.write_text(text)
            assert verdicts(world.check()) == {"tests-passed": "errored"}, text


def test_a_junit_file_named_after_one_commit_with_the_id_of_another_is_unknown(world: Desk) -> None:
    with settings(world, ("github = true ", f'junit = "{world.sandbox.directory}/{{commit}}.xml"')):
        file = world.sandbox.directory / f"{head(world)}.xml"
        file.write_text('<testsuite><testcase name="a"/></testsuite>')
        assert verdicts(world.check()) == {}
        file.write_text(JUNIT.format("f" * 40, ""))
        checks = world.check()
        assert verdicts(checks) == {"tests-passed": "errored"} and "it is about ffffffffffff" in checks["tests-passed"]["detail"]


# -- documentation ------------------------------------------------------------------------------------------------------------------------

RULE = '\n[[documentation.rules]]\npaths = "apps/{app}/base/**"\ndocument = "docs/apps/{app}.md"\n'


@proves("check", "documentation", "failed")
def test_a_change_without_its_document_fails(world: Desk) -> None:
    with settings(world, more=RULE), changed(world, "fix(homepage): x", {"apps/homepage/base/deployment.yaml": deployment("homepage", image="9")}):
        checks = world.check()
        assert verdicts(checks) == {"documentation": "failed"}
        assert "apps/homepage/base/deployment.yaml changed, and there is no docs/apps/homepage.md" in checks["documentation"]["detail"]
        written = {f"docs/apps/{name}.md": b"# x\n" for name in ("homepage", "gitea", "traefik")}
        world.commit("docs: x", written)
        assert verdicts(world.check()) == {}


def test_a_link_that_leads_nowhere_fails(world: Desk) -> None:
    with changed(world, "docs: links", {"docs/new.md": b"# new\n\nSee [promotion](promotion.md) and [gone](gone.md).\n"}):
        checks = world.check()
        assert verdicts(checks) == {"documentation": "failed"} and "docs/new.md: the link gone.md leads nowhere" in checks["documentation"]["detail"]


def test_a_changelog_without_the_version_fails(world: Desk) -> None:
    with settings(world, ('changelog = "" ', 'changelog = "CHANGELOG.md" ')):
        checks = world.check()
        assert verdicts(checks) == {"documentation": "failed"} and "CHANGELOG.md has no entry for v1.8.0" in checks["documentation"]["detail"]
        with changed(world, "docs: changelog", {"CHANGELOG.md": b"# Changelog\n\n## v1.8.0\n- gitea 1.22\n"}):
            assert verdicts(world.check()) == {}


@proves("check", "documentation", "errored")
def test_without_rules_documentation_is_unknown(world: Desk) -> None:
    with settings(world, ('[[documentation.rules]]\npaths = ".github/workflows/**"\ndocument = "docs/promotion.md"\n', "")):
        checks = world.check()
        assert verdicts(checks) == {"documentation": "errored"} and "[[documentation.rules]]" in checks["documentation"]["detail"]


# -- manifests ----------------------------------------------------------------------------------------------------------------------------


@proves("check", "manifests", "failed")
def test_manifests_that_do_not_build_fail_with_their_place(world: Desk) -> None:
    with changed(world, "fix(vault): y", {"apps/vault/overlays/prod/kustomization.yaml": b"resources: [../../base, gone.yaml]\n"}):
        checks = world.check()
    assert checks["manifests"]["verdict"] == "failed"
    assert "apps/vault/overlays/prod: kustomize: does not build" in checks["manifests"]["detail"] and "gone.yaml" in checks["manifests"]["detail"]
    assert verdicts(checks) == {"manifests": "failed"}, "dev renders its own overlay, which is well"


def test_a_production_application_that_follows_the_trunk_by_accident_is_found(world: Desk) -> None:
    path = "argocd/prod/homepage.yaml"
    wrong = (world.show(path) or b"").replace(b"targetRevision: prod-stable", b"targetRevision: main")
    with changed(world, "fix(homepage): z", {path: wrong}):
        checks = world.check()
    assert verdicts(checks) == {"manifests": "failed"}
    assert "homepage (argocd/prod) follows main, production follows prod-stable" in checks["manifests"]["detail"]


@proves("check", "manifests", "errored")
def test_what_cannot_be_rendered_here_is_unknown_unless_accepted(world: Desk) -> None:
    far = b"resources: [../../base, 'https://manifests.example/x.yaml']\n"
    with changed(world, "chore(immich): far", {"apps/immich/overlays/prod/kustomization.yaml": far}):
        checks = world.check()
        assert checks["manifests"]["verdict"] == "errored" and "fetches https://manifests.example/x.yaml" in checks["manifests"]["detail"]
        assert set(verdicts(checks)) == {"manifests"}
        with settings(world, more='\n[manifests]\non_unrendered = "accepted"\n'):
            checks = world.check()
            assert checks["manifests"]["verdict"] == "passed"
            assert checks["manifests"]["evidence"]["could not be rendered here"]


# -- breaking-changes and version-bump ----------------------------------------------------------------------------------------------------


def overlay(*more: str) -> bytes:
    return yaml.safe_dump({"resources": [*RESOURCES, *more]}).encode()


@proves("check", "breaking-changes", "failed")
def test_a_removed_volume_needs_a_plan(tmp_path_factory: pytest.TempPathFactory) -> None:
    """In production today, gone in the candidate."""
    with desk(tmp_path_factory.mktemp("volume")) as world:
        folder = "apps/homepage/overlays/prod"
        world.commit("fix: a volume", {f"{folder}/pvc.yaml": yaml.safe_dump(PVC).encode(), f"{folder}/kustomization.yaml": overlay("pvc.yaml")})
        world.git("tag", "-f", "-a", "-m", "stable", "prod-v1.8.0", "HEAD")
        world.git("push", "-q", "-f", "origin", "prod-v1.8.0", "prod-v1.8.0:refs/tags/prod-stable")
        world.version = "v1.8.1"
        world.commit("fix: no volume", {f"{folder}/pvc.yaml": None, f"{folder}/kustomization.yaml": overlay()})
        checks = world.check("--deselect", "checks/pre/test_clusters.py")
        assert verdicts(checks) == {"breaking-changes": "failed"}
        detail = checks["breaking-changes"]["detail"]
        assert any("homepage/data is removed" in line for line in checks["way-back"]["evidence"]["not restored by a rollback"])
        assert "homepage: PersistentVolumeClaim homepage/data is removed: its volume may be deleted with it" in detail
        assert "there is no migrations/v1.8.1.md" in detail and "promote plan v1.8.1" in detail
        world.commit("docs: half a plan", {"migrations/v1.8.1.md": PLAN.format("v1.8.1").replace("copy it back", "TODO").encode()})
        assert "is empty under Rollback" in world.check("--deselect", "checks/pre/test_clusters.py")["breaking-changes"]["detail"]
        world.commit("docs: a plan", {"migrations/v1.8.1.md": PLAN.format("v1.8.1").encode()})
        assert verdicts(world.check("--deselect", "checks/pre/test_clusters.py")) == {}


@proves("check", "breaking-changes", "errored")
def test_what_production_has_and_cannot_be_rendered_here_is_unknown_unless_accepted(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Production's overlay fetches something from afar, the candidate's does not any more: its removals are unknown here."""
    with desk(tmp_path_factory.mktemp("far")) as world:
        path = "apps/homepage/overlays/prod/kustomization.yaml"
        world.commit("fix: far", {path: overlay("https://manifests.example/pvc.yaml")})
        world.git("tag", "-f", "-a", "-m", "stable", "prod-v1.8.0", "HEAD")
        world.git("push", "-q", "-f", "origin", "prod-v1.8.0", "prod-v1.8.0:refs/tags/prod-stable")
        world.version = "v1.8.1"
        world.commit("fix: near", {path: overlay()})
        checks = world.check("--deselect", "checks/pre/test_clusters.py")
        assert verdicts(checks) == {"breaking-changes": "errored"}
        assert (
            "removals are unknown: homepage: production's apps/homepage/overlays/prod: its kustomization fetches https"
            in (checks["breaking-changes"]["detail"])
        )
        world.settings(more='\n[manifests]\non_unrendered = "accepted"\n')
        assert verdicts(world.check("--deselect", "checks/pre/test_clusters.py")) == {}


def test_a_breaking_commit_asks_for_a_major_version_and_a_plan(tmp_path_factory: pytest.TempPathFactory) -> None:
    with desk(tmp_path_factory.mktemp("breaking")) as world:
        world.commit("feat(gitea)!: the database moves")
        checks = world.check()
        assert verdicts(checks) == {"version-bump": "failed", "breaking-changes": "failed"}
        assert "v1.7.4 → v1.8.0 is a step of minor, expected major" in checks["version-bump"]["detail"]
        assert "promote run v2.0.0" in checks["version-bump"]["detail"]
        assert verdicts(world.check(version="v2.0.0")) == {"breaking-changes": "failed"}
        world.commit("docs: a plan", {"migrations/v2.0.0.md": PLAN.format("v2.0.0").encode()})
        assert verdicts(world.check(version="v2.0.0")) == {}
        assert verdicts(world.check(version="v1.9.0")) == {"version-bump": "failed", "breaking-changes": "failed"}


@proves("check", "version-bump", "failed")
def test_a_version_that_is_too_small_fails_and_the_fitting_one_is_named(world: Desk) -> None:
    checks = world.check(version="v1.7.5")
    assert verdicts(checks) == {"version-bump": "failed"}
    assert "is a step of patch, expected minor" in checks["version-bump"]["detail"] and "promote run v1.8.0" in checks["version-bump"]["detail"]
    assert verdicts(world.check(version="v3.0.0")) == {}, "the user may choose a greater step than needed"


@proves("check", "version-bump", "errored")
def test_the_version_to_step_from_is_the_greatest_that_production_contains(tmp_path_factory: pytest.TempPathFactory) -> None:
    with desk(tmp_path_factory.mktemp("unnamed")) as world:
        world.git("push", "-q", "origin", ":refs/tags/prod-v1.7.4")
        assert world.check()["version-bump"]["evidence"]["production"] == "v1.7.3"
        world.git("push", "-q", "origin", *(f":refs/tags/prod-v1.7.{n}" for n in range(4)), "HEAD:refs/tags/prod-v1.7.9")
        checks = world.check()
        assert verdicts(checks) == {"version-bump": "errored"} and "contains no commit with a tag prod-vX" in checks["version-bump"]["detail"]
        world.git("push", "-q", "origin", ":refs/tags/prod-v1.7.9")
        assert verdicts(world.check()) == {}, "no version was ever promoted: any may be the first"


# -- dev, and the way back ----------------------------------------------------------------------------------------------------------------


def test_dev_has_to_have_been_well_for_the_soak(world: Desk) -> None:
    with settings(world, ('context = "dev"\n', 'context = "dev"\nsoak = "1h"\n')):
        checks = world.check()
        assert verdicts(checks) == {"dev-converged": "failed"}
        assert (
            "expected 1 h (dev.soak); the latest was " in checks["dev-converged"]["detail"] and "start again at " in checks["dev-converged"]["detail"]
        )
    with settings(world, ('context = "dev"\n', 'context = "dev"\nsoak = "1s"\n')):
        world.check()  # whatever its result, dev has been at it for a while afterwards
        deadline = Deadline(20)
        while (checks := world.check())["dev-converged"]["verdict"] != "passed" and not deadline.expired:
            deadline.sleep(0.5)
        assert verdicts(checks) == {} and checks["dev-converged"]["evidence"]["healthy since"]


@pytest.mark.parametrize(("status", "verdict"), [(200, ""), (418, "failed")])
def test_dev_has_to_answer_as_declared(world: Desk, status: int, verdict: str) -> None:
    url = next(line for line in (world.show("promotion.toml") or b"").decode().splitlines() if line.startswith("url = ") and "/grafana/" in line)
    with settings(world, more=f'\n[[dev.urls]]\nname = "grafana"\n{url}\nstatus = {status}\n'):
        checks = world.check()
    assert verdicts(checks) == ({"dev-converged": verdict} if verdict else {})
    assert verdict == "" or "dev does not answer as declared" in checks["dev-converged"]["detail"]


@proves("check", "way-back", "failed")
def test_a_rule_against_the_rollback_fails_and_what_would_be_lost_is_named(world: Desk) -> None:
    world.sandbox.protect("refs/tags/prod-stable")
    try:
        checks = world.check()
    finally:
        world.sandbox.protect()
    assert verdicts(checks) == {"way-back": "failed"} and "would refuse the rollback" in checks["way-back"]["detail"]


def test_a_rule_that_only_the_workflow_passes_by_needs_a_workflow_that_can_roll_back(world: Desk) -> None:
    def way_back() -> dict[str, Any]:
        return world.check("-k", "way_back")["way-back"]

    path = ".github/workflows/promote-prod.yaml"
    world.sandbox.protect("refs/tags/prod-stable", but_workflow=True)
    try:
        with settings(world, ('via = "git"', 'via = "workflow"')):
            check = way_back()
            assert check["verdict"] == "passed" and "action: rollback" in check["evidence"]["second way"]
            with changed(world, "ci: an older one", {path: (world.show(path) or b"").replace(b"      action:\n", b"      other:\n")}):
                check = way_back()
                assert check["verdict"] == "failed" and "the input `action`" in check["detail"]
            (ruleset,) = (world.sandbox.github.rulesets or {}).values()
            ruleset["rules"] = [{"type": "non_fast_forward"}]
            check = way_back()
            assert check["verdict"] == "failed", "the way forward passes that rule, the way back does not"
    finally:
        world.sandbox.protect()


def test_a_calendar_version_is_not_ahead_of_the_calendar(world: Desk) -> None:
    today = datetime.now(UTC).date()
    with settings(world, ("[version]\n", '[version]\nscheme = "calver"\n')):
        assert verdicts(world.check(version=f"v{today.year}.{today.month:02}.1")) == {}
        checks = world.check(version=f"v{today.year + 1}.12.1")
        assert verdicts(checks) == {"version-bump": "failed"}
        assert "lies in the future" in checks["version-bump"]["detail"] and f"promote run v{today.year}." in checks["version-bump"]["detail"]


def test_a_new_application_is_no_break(world: Desk) -> None:
    url = world.git("remote", "get-url", "origin")
    files: dict[str, bytes | None] = {
        "argocd/prod/extra.yaml": application("extra", "prod", url),
        "apps/extra/overlays/prod/x.yaml": deployment("extra"),
    }
    with changed(world, "feat: extra", files):
        assert verdicts(world.check()) == {}
