"""The objects that Applications list: their resources, and the hooks of their last operation."""

from __future__ import annotations

from promote.argocd.application import parse_application
from promote.argocd.claims import claims
from tests.support.manifests import application, manifest, operation

HOOK = {"group": "batch", "version": "v1", "kind": "Job", "namespace": "web", "name": "migrate", "hookPhase": "Succeeded", "hookType": "PreSync"}
DEPLOYMENT = {"group": "apps", "version": "v1", "kind": "Deployment", "namespace": "web", "name": "web", "status": "Synced"}


def test_resources_and_the_hooks_of_the_last_operation_are_listed() -> None:
    found = claims([application(resources=[DEPLOYMENT], state=operation(resources=[HOOK]))])
    assert found.objects == {("apps", "Deployment", "web", "web"): "argocd/web", ("batch", "Job", "web", "migrate"): "argocd/web"}
    assert found.namespaces == {"web"}


def test_an_application_outside_of_the_argo_cd_namespace_tracks_under_both_names() -> None:
    first, second = manifest("web"), manifest("web")
    second["metadata"]["namespace"] = "team-a"
    found = claims(map(parse_application, (first, second)))
    assert found.trackers == {"argocd_web": "argocd/web", "team-a_web": "team-a/web"}, "the name alone is ambiguous"
    assert claims([parse_application(second)]).trackers == {"team-a_web": "team-a/web", "web": "team-a/web"}
