"""Every shape in which an Application names its sources, and which of them follow our tag."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from promote.argocd.application import Application, parse_application
from promote.convergence.application_status import Limits, pending_reason
from promote.git.url import Addresses
from tests.support.manifests import NEW, OLD, REPOSITORY, at, goal, manifest, operation

LIMITS = Limits(degraded_grace_s=60, successes=1)
HYDRATED, OLDER = "d" * 40, "e" * 40
OURS = {"repoURL": REPOSITORY, "targetRevision": "prod-stable", "path": "apps/web"}


def hydrated(*, dry: str, shown: str = HYDRATED, phase: str = "Hydrated", message: str = "", **changes: Any) -> Application:
    """As Argo CD 3.2.11 shows it: the dry commit rendered last and what became of it, the commit of the branch in `status.sync`."""
    data = manifest("web", revision=shown, state=operation(revision=shown), **changes)
    del data["spec"]["source"]
    data["spec"]["sourceHydrator"] = {"drySource": OURS, "syncSource": {"targetBranch": "env/prod", "path": "web"}}
    done = {"drySHA": dry, "hydratedSHA": HYDRATED, "sourceHydrator": data["spec"]["sourceHydrator"]}
    now = {"phase": phase, "message": message, "startedAt": "2026-03-01T12:00:02Z", "drySHA": dry if phase == "Hydrated" else NEW}
    data["status"]["sourceHydrator"] = {"currentOperation": now} | ({"lastSuccessfulOperation": done} if dry else {})
    return parse_application(data)


def reason(app: Application) -> str:
    found = pending_reason(app, goal(), LIMITS, fresh_after=None, t_before=at(-1))
    return found.text if found else ""


def test_a_hydrator_follows_the_tag_of_its_dry_source():
    app = hydrated(dry=NEW)
    assert goal().tracks(app)
    assert [(s.repository, s.path, s.revision) for s in app.sources] == [(REPOSITORY, "apps/web", HYDRATED)]


def test_it_is_at_the_commit_when_that_was_hydrated_and_the_hydrated_commit_is_applied():
    assert reason(hydrated(dry=NEW)) == ""


def test_a_hydrated_commit_that_is_not_applied_yet_is_waited_for():
    assert reason(hydrated(dry=NEW, shown=OLDER)) == f"still at {OLDER[:7]}"


def test_an_older_hydration_is_not_the_commit_however_well_it_looks():
    assert reason(hydrated(dry=OLD, phase="Hydrating")) == f"still at {HYDRATED[:7]}, rendered from {OLD[:7]} (hydration Hydrating)"


def test_a_failed_hydration_is_named_with_its_message():
    app = hydrated(dry=OLD, phase="Failed", message="Failed to hydrate: cannot push")
    assert reason(app) == f"still at {HYDRATED[:7]}, rendered from {OLD[:7]} (hydration Failed: Failed to hydrate: cannot push)"


def test_without_any_hydration_nothing_is_at_the_commit():
    assert reason(hydrated(dry="", phase="Failed", message="no")) == f"still at {HYDRATED[:7]}, rendered from nothing (hydration Failed: no)"


def test_a_sync_of_an_older_hydrated_commit_is_a_sync_of_another_one():
    app = hydrated(dry=NEW, operation={})
    assert app.operation is not None
    running = replace(app, operation=replace(app.operation, phase="Running", revisions=(OLDER,), finished=None))
    assert reason(running) == f"operation running another commit {OLDER[:7]}"
    assert reason(replace(running, operation=replace(app.operation, phase="Running", finished=None))) == "operation running"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"source": OURS}, ()),
        ({"sources": [{"repoURL": "https://charts.example.org", "chart": "x"}, OURS]}, ()),
        ({"source": OURS, "syncPolicy": {}, "info": [{"name": "x", "value": "y"}], "ignoreDifferences": [{"kind": "Deployment"}]}, ()),
        ({"sourceHydrator": {"drySource": OURS, "syncSource": {"targetBranch": "x", "path": "y"}}}, ()),
        ({"sourceHydrator": {"dryOrigin": OURS}}, ("sourceHydrator",)),
        ({"sourceHydrator": True}, ("sourceHydrator",)),
        ({"source": {"oci": "registry/acme"}}, ("source",)),
        ({"sources": [OURS, {"oci": "registry/acme"}]}, ("sources",)),
        ({"source": OURS, "ociSource": {"artifact": "x"}}, ("ociSource",)),
        ({"origins": [{"git": {"repoURL": REPOSITORY}}]}, ("origins",)),
    ],
)
def test_a_key_that_looks_like_a_source_and_is_not_known_is_unknown(spec, expected):
    data = manifest()
    data["spec"] = spec
    assert parse_application(data).unknown_sources == expected


def test_a_chart_with_values_from_our_repository_follows_the_tag_and_shows_both_revisions():
    data = manifest()
    chart = {"repoURL": "https://charts.example.org", "chart": "redis", "targetRevision": "1.2.3", "helm": {"valueFiles": ["$values/redis.yaml"]}}
    del data["spec"]["source"]
    data["spec"]["sources"] = [chart, {"repoURL": REPOSITORY, "targetRevision": "refs/tags/prod-stable", "ref": "values"}]
    data["status"]["sync"] = {"status": "Synced", "revisions": ["1.2.3", OLD]}
    data["status"]["operationState"] = {}
    app = parse_application(data)
    assert goal().tracks(app)
    assert reason(app) == f"still at {OLD[:7]}"
    data["status"]["sync"]["revisions"] = ["1.2.3", NEW]
    assert reason(parse_application(data)) == ""


RANGES = [
    ("*", "prod-", True), (">=1.0.0", "prod-", True), ("1.*", "prod-", True), ("v1.x", "prod-", True), ("^1.2", "prod-", True),
    (">=1.0.0 <2.0.0", "prod-", True), ("1.2 - 1.4", "prod-", True), ("~1.2 || 2.x", "prod-", True), ("*", "", False), ("*", "chart-", False),
    ("1.2.3", "prod-", False), ("main", "prod-", False), ("release-x", "prod-", False), ("prod-v1.2.3", "", False), ("feature/*x", "prod-", False),
]  # fmt: skip


@pytest.mark.parametrize(("target", "prefix", "expected"), RANGES)
def test_a_range_that_our_version_tags_can_satisfy_cannot_be_judged(target, prefix, expected):
    wanted = replace(goal(), templates=("prod-{version}", "dev-{version}"))
    data = manifest(spec={"source": {**OURS, "targetRevision": target, "tagPrefix": prefix}})
    assert bool(wanted.unclear(parse_application(data))) is expected


def test_a_range_in_another_repository_is_none_of_ours():
    wanted = replace(goal(), templates=("{version}",))
    data = manifest(spec={"source": {"repoURL": "https://git.example.org/x/y", "targetRevision": "1.*"}})
    assert wanted.unclear(parse_application(data)) == ""
    data = manifest(spec={"source": {"repoURL": REPOSITORY, "targetRevision": "1.*"}})
    assert wanted.unclear(parse_application(data)) != ""


def test_an_address_that_is_neither_ours_nor_foreign_is_unclear_at_our_tags_name_only():
    stranger = "https://git.example.org/x/y"
    assert goal().unclear(parse_application(manifest(spec={"source": {**OURS, "repoURL": stranger}})))
    assert not goal().unclear(parse_application(manifest(spec={"source": {**OURS, "repoURL": stranger, "targetRevision": "main"}})))
    declared = replace(goal(), repository=Addresses.of(REPOSITORY, foreign=[stranger]))
    assert not declared.unclear(parse_application(manifest(spec={"source": {**OURS, "repoURL": stranger}})))
