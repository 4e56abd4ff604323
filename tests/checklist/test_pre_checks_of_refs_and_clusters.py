"""Every check of the pre suite that looks at refs, the clone or a cluster: alone in failing when its matter is wrong, unknown when its source is down.

The checks about commits, files and tests have theirs in test_pre_checks.py and test_tasks_closed.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from promote.checklist.context import SuiteContext
from promote.git.remote import GitRemote
from promote.sandbox import seed
from promote.sandbox.http_server import Fault
from promote.tags.lock import new_lock, write_lock
from tests.support.checking import Desk, desk, verdicts
from tests.support.declared import proves, proves_verdicts

DOWN = Fault(kind="status", status=503)


WORKFLOW = ".github/workflows/promote-prod.yaml"
PROJECT: dict[str, Any] = {"kind": "AppProject", "metadata": {"name": "default", "namespace": "argocd"}, "spec": {}}
OLDER = b"on:\n  workflow_dispatch:\n    inputs:\n      version: {required: true}\njobs: {}\n"


@dataclass(frozen=True)
class Case:
    """`begin` makes it wrong, `lift` fixes it; `checks`: exactly these do not pass."""

    id: str
    begin: Callable[[Desk], object]
    lift: Callable[[Desk], object]
    checks: dict[str, str]
    version: str = "v1.8.0"


def window(world: Desk, windows: list[dict[str, Any]]) -> None:
    project: dict[str, Any] = world.sandbox.prod.get("AppProject", "argocd", "default") or {}
    project["spec"]["syncWindows"] = windows
    world.sandbox.prod.apply(project)


def elsewhere(url: str) -> dict[str, Any]:
    """An Application that follows the stable tag's name of a repository whose address says nothing."""
    source = {"repoURL": url, "targetRevision": "prod-stable", "path": "apps/vault"}
    destination = {"server": "https://kubernetes.default.svc", "namespace": "alias"}
    meta = {"name": "alias", "namespace": "argocd"}
    return {"kind": "Application", "metadata": meta, "spec": {"project": "default", "source": source, "destination": destination}}


def in_another_cluster(world: Desk) -> None:
    """The application grafana is deployed to a cluster that no settings name; Argo CD, which knows it, is not part of this."""
    prod = world.sandbox.prod
    prod.freeze()
    prod.patch("Application", "argocd", "grafana", {"spec": {"destination": {"server": "https://10.1.2.3:6443"}}})


def in_this_cluster(world: Desk) -> None:
    prod = world.sandbox.prod
    prod.patch("Application", "argocd", "grafana", {"spec": {"destination": {"server": "https://kubernetes.default.svc"}}})
    prod.thaw()


def dev_sick(world: Desk) -> None:
    """In dev only: the trunk's vault never gets ready, production's stays as it is."""
    world.commit(
        "fix(vault): sick",
        {"apps/vault/overlays/dev/deployment.yaml": seed.deployment("vault", behaviour="never-ready"), **overlay("deployment.yaml")},
    )


def dev_well(world: Desk) -> None:
    world.commit("fix(vault): well", {"apps/vault/overlays/dev/deployment.yaml": None, **overlay("../../base")})
    world.sandbox.refresh()
    world.sandbox.wait_settled()


def overlay(first: str) -> dict[str, bytes]:
    return {"apps/vault/overlays/dev/kustomization.yaml": yaml.safe_dump({"resources": [first, "service.yaml"]}).encode()}


def another_user_promotes(world: Desk) -> None:
    commit = world.git("rev-parse", "HEAD")
    lock = new_lock(request_id="r", version="v9.9.9", candidate=commit, stable_before=commit, state="prechecking")
    world.git("push", "-q", "origin", f"{write_lock(GitRemote(world.clone, 'origin'), lock).oid}:refs/promote/lock")


def tagged_and_softened(world: Desk) -> None:
    world.sandbox.writer.tag("dev-v1.8.0", world.git("rev-parse", "HEAD"), "by hand")
    (world.clone / "checks/pre/test_tree.py").write_text("# nothing to see\n")


def tagged_and_conftest(world: Desk, path: str) -> None:
    world.sandbox.writer.tag("dev-v1.8.0", world.git("rev-parse", "HEAD"), "by hand")
    (world.clone / path).write_text("import pytest\n\n@pytest.fixture\ndef changes():\n    return []\n")


def untagged_again(world: Desk, path: str) -> None:
    (world.clone / path).unlink()
    world.git("push", "-q", "origin", ":refs/tags/dev-v1.8.0")


CASES = (
    Case(
        id="a-feature-branch",
        begin=lambda w: w.git("switch", "-q", "-c", "feature"),
        lift=lambda w: w.git("switch", "-q", "main"),
        checks={"on-the-branch": "failed"},
    ),
    Case(
        id="an-untracked-file",
        begin=lambda w: (w.clone / "left-over.txt").write_text("x"),
        lift=lambda w: (w.clone / "left-over.txt").unlink(),
        checks={"clean-tree": "failed"},
    ),
    Case(
        id="behind-the-trunk",
        begin=lambda w: w.sandbox.commit({"docs/other.md": b"# other\n"}, "docs: other"),
        lift=lambda w: w.git("pull", "-q", "--ff-only"),
        checks={"up-to-date": "failed"},
    ),
    Case(
        id="a-version-of-before",
        begin=lambda w: None,
        lift=lambda w: None,
        checks={"version-new": "failed"},
        version="v1.7.2",
    ),
    Case(
        id="a-branch-of-the-tags-name",
        begin=lambda w: w.git("push", "-q", "origin", "prod-stable^{commit}:refs/heads/prod-stable"),
        lift=lambda w: w.git("push", "-q", "origin", ":refs/heads/prod-stable"),
        checks={"stable-tag": "failed"},
    ),
    Case(
        id="another-users-lock",
        begin=another_user_promotes,
        lift=lambda w: w.git("push", "-q", "origin", ":refs/promote/lock"),
        checks={"no-other-promotion": "failed"},
    ),
    Case(
        id="an-unreadable-lock",
        begin=lambda w: w.git("push", "-q", "origin", "HEAD:refs/promote/lock"),
        lift=lambda w: w.git("push", "-q", "origin", ":refs/promote/lock"),
        checks={"no-other-promotion": "errored"},
    ),
    Case(
        id="a-sync-window",
        begin=lambda w: window(w, [{"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["grafana"]}]),
        lift=lambda w: window(w, []),
        checks={"sync-windows": "failed"},
    ),
    Case(
        id="a-project-that-does-not-exist",
        begin=lambda w: w.sandbox.prod.delete("AppProject", "argocd", "default"),
        lift=lambda w: w.sandbox.prod.apply(PROJECT),
        checks={"sync-windows": "errored", "provable": "errored"},
    ),
    Case(
        id="no-application-is-seen",
        begin=lambda w: w.settings(('root_app = "argocd"', 'root_app = "argocd"\nselector = "team=absent"')),
        lift=lambda w: w.settings(('\nselector = "team=absent"', "")),
        checks={"production-baseline": "errored", "auto-sync": "errored", "sync-windows": "errored", "provable": "errored"},
    ),
    Case(
        id="too-much-is-sick-already",
        begin=lambda w: w.settings(("[argocd]", "[baseline]\nmax_unhealthy = 0.0\n\n[argocd]")),
        lift=lambda w: w.settings(("[baseline]\nmax_unhealthy = 0.0\n\n[argocd]", "[argocd]")),
        checks={"production-baseline": "failed"},
    ),
    Case(
        id="an-application-at-an-address-that-may-be-ours",
        begin=lambda w: w.sandbox.prod.apply(elsewhere("http://127.0.0.1:9/acme/gitops")),
        lift=lambda w: w.sandbox.prod.delete("Application", "argocd", "alias"),
        checks={"production-baseline": "errored"},
    ),
    Case(
        id="an-application-in-another-cluster",
        begin=in_another_cluster,
        lift=in_this_cluster,
        checks={"production-baseline": "errored", "provable": "failed"},
    ),
    Case(
        id="rules-unreachable",
        begin=lambda w: w.sandbox.github.fault(Fault(kind="status", status=500, path="/rulesets")),
        lift=lambda w: w.sandbox.github.clear_faults(),
        checks={"way-back": "warning"},
    ),
    Case(id="dev-is-sick", begin=dev_sick, lift=dev_well, checks={"dev-converged": "failed"}),
    Case(
        id="dev-does-not-answer",
        begin=lambda w: w.sandbox.dev.api.fault(DOWN),
        lift=lambda w: w.sandbox.dev.api.clear_faults(),
        checks={"dev-converged": "errored"},
    ),
    Case(
        id="production-does-not-answer",
        begin=lambda w: w.sandbox.prod.api.fault(DOWN),
        lift=lambda w: w.sandbox.prod.api.clear_faults(),
        checks={"production-baseline": "errored", "auto-sync": "errored", "sync-windows": "errored", "provable": "errored"},
    ),
    Case(
        id="prometheus-does-not-answer",
        begin=lambda w: w.sandbox.prometheus.fault(DOWN),
        lift=lambda w: w.sandbox.prometheus.clear_faults(),
        checks={"monitoring-ready": "errored"},
    ),
    Case(
        id="softened-checks-of-a-tagged-version",
        begin=tagged_and_softened,
        lift=lambda w: (w.git("checkout", "-q", "."), w.git("push", "-q", "origin", ":refs/tags/dev-v1.8.0")),
        checks={"policy-unchanged": "failed"},
    ),
    Case(
        id="a-conftest-beside-the-suites-of-a-tagged-version",
        begin=lambda w: tagged_and_conftest(w, "checks/conftest.py"),
        lift=lambda w: untagged_again(w, "checks/conftest.py"),
        checks={"policy-unchanged": "failed"},
    ),
    Case(
        id="a-conftest-at-the-top-of-a-tagged-version",
        begin=lambda w: tagged_and_conftest(w, "conftest.py"),
        lift=lambda w: untagged_again(w, "conftest.py"),
        checks={"policy-unchanged": "failed"},
    ),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("each")) as it:
        it.git("fetch", "-q", "--tags", "origin")
        yield it


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id, marks=proves_verdicts(case.checks)) for case in CASES])
def test_exactly_these_checks_do_not_pass(world: Desk, case: Case) -> None:
    case.begin(world)
    try:
        checks = world.check(version=case.version)
    finally:
        case.lift(world)
    assert verdicts(checks) == case.checks, {i: checks[i]["detail"][:200] for i in verdicts(checks)}
    assert all(re.search(r"\n\s*do\b|; do: ", checks[check]["detail"]) for check, verdict in case.checks.items() if verdict != "warning"), {
        check: checks[check]["detail"] for check in case.checks
    }
    assert all(re.search(r"\n\s*why\b", checks[check]["detail"]) for check, verdict in case.checks.items() if verdict == "failed"), (
        "the consequence is printed"
    )


def test_afterwards_everything_passes_again(world: Desk) -> None:
    assert verdicts(world.check()) == {}


@proves("check", "candidate", "failed")
def test_a_dev_tag_that_was_re_created_since_the_promotion_began_fails(world: Desk, tmp_path: Path) -> None:
    head = world.git("rev-parse", "HEAD")
    told = SuiteContext(
        version="v1.8.0", commit=head, from_tree=False, dev_tag=None, previous=None, stable=None, request_id="r", lock="", state="before",
        baseline_file=None, trunk=head,
    ).write(tmp_path / "context.json")  # fmt: skip
    world.sandbox.writer.tag("dev-v1.8.0", world.git("rev-parse", "HEAD~1"), "meanwhile")
    try:
        checks = world.check(f"--promote-context={told}")
    finally:
        world.git("push", "-q", "origin", ":refs/tags/dev-v1.8.0")
    assert verdicts(checks) == {"candidate": "failed"} and "the dev tag was re-created" in checks["candidate"]["detail"]


@proves("check", "workflow", "failed")
def test_an_older_workflow_fails(world: Desk) -> None:
    settings, workflow = world.show("promotion.toml") or b"", world.show(WORKFLOW)
    page = world.show("docs/promotion.md")
    world.commit(
        "chore: by workflow",
        {
            "promotion.toml": settings.replace(b'via = "git"', b'via = "workflow"'),
            WORKFLOW: OLDER,
            "docs/promotion.md": (page or b"") + b"\nAs of old.\n",
        },
    )
    try:
        assert verdicts(world.check()) == {"workflow": "failed"}
    finally:
        world.commit("chore: by git", {"promotion.toml": settings, WORKFLOW: workflow, "docs/promotion.md": page})


@proves("check", "auto-sync", "failed")
def test_auto_sync_off_in_production_fails(tmp_path_factory: pytest.TempPathFactory) -> None:
    with desk(tmp_path_factory.mktemp("auto")) as world:
        manifest = yaml.safe_load(seed.application("homepage", "prod", world.sandbox.git.repository_url))
        del manifest["spec"]["syncPolicy"]["automated"]
        commit = world.commit("feat(homepage): by hand", {"argocd/prod/homepage.yaml": yaml.safe_dump(manifest).encode()})
        world.sandbox.writer.tag("prod-v1.8.0", commit)
        world.sandbox.writer.tag("prod-stable", commit, "yesterday")
        world.sandbox.refresh()
        world.sandbox.wait_settled()
        assert verdicts(world.check(version="v1.8.1")) == {"auto-sync": "failed"}


@proves("check", "trunk", "failed")
def test_what_production_has_and_the_candidate_lacks_is_a_downgrade(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A user put a hotfix into production past the trunk."""
    with desk(tmp_path_factory.mktemp("trunk")) as world:
        world.git("switch", "-q", "-c", "hotfix", "HEAD~1")
        world.git("commit", "-q", "--allow-empty", "-m", "fix: past the trunk")
        world.git("push", "-q", "origin", "hotfix")
        world.sandbox.writer.tag("prod-stable", world.git("rev-parse", "HEAD"), "at night")
        world.git("switch", "-q", "main")
        world.sandbox.refresh()
        world.sandbox.wait_settled()
        checks = world.check()
        assert verdicts(checks) == {"trunk": "failed"} and "this would be a downgrade" in checks["trunk"]["detail"]
