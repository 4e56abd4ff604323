"""The fields read from an Application, and which ones follow the tag."""

from __future__ import annotations

import pytest

from promote.argocd.application import parse_application, tracks
from promote.git.url import Addresses, normalise_repository
from tests.support.manifests import NEW, OLD, REPOSITORY, application, at, child, made_by, manifest, operation

SAME = "git.example.org/acme/gitops"
NAMES = {"prod-stable", "refs/tags/prod-stable"}


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.org/acme/gitops",
        "https://git.example.org/acme/gitops.git",
        "https://git.example.org/acme/gitops/",
        "https://user:secret@git.example.org/acme/gitops.git",
        "https://GIT.Example.org:443/acme/gitops",
        "http://git.example.org:80/acme/gitops",
        "ssh://git@git.example.org:22/acme/gitops.git",
        "git@git.example.org:acme/gitops.git",
        "git.example.org:acme/gitops",
        "git@GIT.example.org:/acme/gitops.git",
        "git://git.example.org/acme/gitops",
    ],
)
def test_the_same_repository_written_differently_compares_equal(url):
    assert normalise_repository(url) == SAME


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.org/acme/gitops2",
        "https://git.example.org/other/gitops",
        "https://git.example.org:8443/acme/gitops",
        "https://example.org/acme/gitops",
        "https://git.example.org/acme/GitOps",
    ],
)
def test_another_repository_does_not(url):
    assert normalise_repository(url) != SAME


def test_a_local_repository_is_its_path():
    assert normalise_repository("file:///srv/git/gitops.git") == normalise_repository("/srv/git/gitops") == "/srv/git/gitops"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"source": {"repoURL": "git@git.example.org:acme/gitops", "targetRevision": "refs/tags/prod-stable"}}, True),
        ({"source": {"repoURL": REPOSITORY, "targetRevision": "main"}}, False),
        ({"source": {"repoURL": REPOSITORY}}, False),
        ({"source": {"repoURL": "https://charts.example.org", "chart": "redis", "targetRevision": "prod-stable"}}, False),
        ({"source": {"repoURL": REPOSITORY, "chart": "gitops", "targetRevision": "prod-stable"}}, False),
        ({"sources": [{"repoURL": "https://charts.example.org", "chart": "redis"}, {"repoURL": REPOSITORY, "targetRevision": "prod-stable"}]}, True),
    ],
)
def test_tracked_is_our_repository_at_the_tag_and_no_chart(spec, expected):
    data = manifest()
    data["spec"] = spec
    assert tracks(parse_application(data), Addresses.of(REPOSITORY), NAMES) is expected


def test_a_fresh_application_without_status_is_unknown_not_well():
    app = parse_application({"metadata": {"name": "web", "namespace": "argocd"}, "spec": manifest()["spec"]})
    assert (app.sync, app.health, app.reconciled, app.operation, app.in_progress) == ("Unknown", "Unknown", None, None, False)


def test_several_sources_take_their_revisions_in_order():
    chart = {"repoURL": "https://charts.example.org", "chart": "redis", "targetRevision": "1.2.3"}
    data = manifest()
    data["spec"]["sources"] = [chart, data["spec"].pop("source")]
    data["status"]["sync"] = {"status": "Synced", "revisions": ["1.2.3", NEW]}
    assert [(s.chart, s.revision) for s in parse_application(data).sources] == [("redis", "1.2.3"), ("", NEW)]


def test_a_missing_revision_is_empty_not_another_sources():
    data = manifest()
    data["spec"]["sources"] = [data["spec"].pop("source")] * 2
    data["status"]["sync"] = {"status": "Synced", "revisions": [NEW]}
    assert [s.revision for s in parse_application(data).sources] == [NEW, ""]


def test_the_operation_with_its_times_revision_and_failed_resources():
    failed = {"kind": "Job", "namespace": "web", "name": "migrate", "status": "SyncFailed", "message": "no such table"}
    found = application(state=operation("Failed", OLD, message="one failed", resources=[failed])).operation
    assert found is not None
    assert (found.phase, found.revisions, found.started, found.finished) == ("Failed", (OLD,), at(2), at(3))
    assert found.failed_resources == ("Job web/migrate: no such table",)


def test_the_revision_of_a_running_operation_is_what_it_was_asked_for():
    found = application(state={"phase": "Running", "operation": {"sync": {"revision": OLD}}}).operation
    assert found is not None
    assert found.revisions == (OLD,)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"automated": {}}, True),
        ({"automated": {"prune": True}}, True),
        ({"automated": {"enabled": False}}, False),
        ({}, False),
        (None, False),
    ],
)
def test_auto_sync(policy, expected):
    assert application(spec={"syncPolicy": policy}).auto_sync is expected


def test_any_top_level_operation_is_in_progress_even_an_empty_one():
    assert application(operation={}).in_progress
    assert not application().in_progress


def test_an_extra_resource_that_comparison_ignores_is_not_out_of_sync():
    extra = {"kind": "ConfigMap", "name": "x", "status": "OutOfSync", "requiresPruning": True}
    assert application(resources=[extra]).out_of_sync == ()
    assert application(resources=[extra], sync="OutOfSync").out_of_sync == ("ConfigMap x",)


def test_warnings_are_no_errors():
    app = application(conditions=[("OrphanedResourceWarning", "x"), ("SyncError", "y"), ("ComparisonError", "z")])
    assert app.errors == (("SyncError", "y"), ("ComparisonError", "z"))


def test_who_made_it():
    assert application(annotations=made_by("argocd")).managed_by == "argocd"
    assert application(annotations=made_by("team-a_root")).managed_by == "root"
    assert application(meta={"labels": {"app.kubernetes.io/instance": "argocd"}}).managed_by == "argocd"
    assert application(meta={"ownerReferences": [{"kind": "ApplicationSet", "name": "tenants"}]}).owner == "tenants"


def test_the_children_of_an_app_of_apps():
    app = application("argocd", resources=[child("web"), child("old", pruned=True), {"kind": "Service", "name": "x"}])
    assert [(c.name, c.pruned) for c in app.children] == [("web", False), ("old", True)]


def test_the_digest_changes_with_the_spec_only():
    plain = application()
    assert application(health="Degraded", reconciled=99).spec == plain.spec
    assert application(spec={"project": "other"}).spec != plain.spec
