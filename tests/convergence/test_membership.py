"""Before the move: every member of production can be judged, or is named with the setting that decides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from promote.argocd.application import parse_application
from promote.convergence.membership import undetermined_members
from promote.git.url import Addresses
from tests.support.manifests import REPOSITORY, SETTINGS, child, goal, made_by, manifest

IN_CLUSTER = "http://robot:secret@gitea.svc.cluster.local/acme/gitops"


def found(*manifests: dict[str, Any], known: Addresses | None = None, **prod: Any) -> tuple[list[str], str]:
    wanted = goal(root="argocd")
    return undetermined_members(
        [*map(parse_application, manifests)],
        replace(wanted, repository=known or wanted.repository),
        replace(SETTINGS, prod=replace(SETTINGS.prod, root_app="argocd", **prod)),
    )


def at(url: str, target: str = "prod-stable", **more: Any) -> dict[str, Any]:
    return {"source": {"repoURL": url, "targetRevision": target, "path": "apps/web", **more}}


def listed(name: str, namespace: str, **more: Any) -> dict[str, Any]:
    return {**child(name, **more), "namespace": namespace}


def test_a_fleet_of_known_members_has_none():
    fleet = [manifest("argocd", resources=[child("web")]), manifest("web"), manifest("other", spec=at("https://git.example.org/x/y", "main"))]
    assert found(*fleet) == ([], "")


def test_our_stable_tags_name_at_an_address_that_may_be_ours_is_named_with_the_line_to_add():
    texts, advice = found(manifest("argocd"), manifest("web", spec=at(IN_CLUSTER)))
    url = "http://gitea.svc.cluster.local/acme/gitops"
    assert texts == [f"web: follows prod-stable of {url}, which may be this repository under another address"]
    assert f'repository.addresses = ["{url}"]' in advice and f'repository.foreign = ["{url}"]' in advice


def test_an_alias_of_the_settings_is_ours_and_a_foreign_address_is_not():
    fleet = [manifest("argocd"), manifest("web", spec=at(IN_CLUSTER))]
    assert found(*fleet, known=Addresses.of(REPOSITORY, IN_CLUSTER)) == ([], "")
    assert found(*fleet, known=Addresses.of(REPOSITORY, foreign=[IN_CLUSTER])) == ([], "")


def test_when_nothing_is_ours_the_followed_addresses_are_listed():
    texts, advice = found(manifest("argocd", spec=at(IN_CLUSTER)), manifest("web", spec=at("git@bitbucket.org:acme/gitops.git")))
    assert texts[0] == (
        f"no application in namespaces argocd follows prod-stable of {REPOSITORY}; "
        "that name is followed at git@bitbucket.org:acme/gitops.git, http://gitea.svc.cluster.local/acme/gitops"
    )
    assert 'repository.addresses = ["git@bitbucket.org:acme/gitops.git", "http://gitea.svc.cluster.local/acme/gitops"]' in advice


def test_when_no_application_follows_the_name_the_settings_to_look_at_are_named():
    texts, advice = found(manifest("argocd", spec=at(REPOSITORY, "main")))
    assert texts == [f"no application in namespaces argocd follows prod-stable of {REPOSITORY}"]
    assert "prod.selector" in advice


def test_a_child_in_a_namespace_that_is_not_read_is_named_with_the_namespaces_to_set():
    root = manifest("argocd", resources=[listed("shop", "team-a"), child("web")])
    texts, advice = found(root, manifest("web"))
    assert texts == ["team-a/shop: argocd lists it in namespace team-a, which is not among prod.namespaces"]
    assert 'prod.namespaces = ["argocd", "team-a"]' in advice
    shop = manifest("shop", meta={"namespace": "team-a"}, annotations=made_by("argocd"))
    assert found(root, manifest("web"), shop, namespaces=["argocd", "team-a"]) == ([], "")


def test_a_child_of_a_child_is_a_member_too():
    fleet = [manifest("argocd", resources=[child("inner")]), manifest("inner", resources=[listed("leaf", "team-b")])]
    assert found(*fleet)[0] == ["team-b/leaf: inner lists it in namespace team-b, which is not among prod.namespaces"]


def test_a_child_that_git_dropped_need_not_be_read():
    assert found(manifest("argocd", resources=[listed("shop", "team-a", pruned=True)])) == ([], "")


def test_an_unknown_shape_of_sources_is_named_and_never_taken_for_a_chart():
    data = manifest("web")
    data["spec"]["ociSource"] = {"artifact": "registry/acme"}
    del data["spec"]["source"]
    texts, advice = found(manifest("argocd"), data)
    assert texts == ["web: its sources are written in a way that is not known here (spec.ociSource)"]
    assert advice


def test_a_range_of_our_version_tags_is_named():
    wanted = replace(goal(root="argocd"), templates=("prod-{version}", "dev-{version}"))
    data = manifest("web", spec=at(REPOSITORY, ">=1.0.0", tagPrefix="prod-"))
    apps = [parse_application(m) for m in (manifest("argocd"), data)]
    assert undetermined_members(apps, wanted, SETTINGS)[0] == ["web: follows the newest of our version tags in >=1.0.0, not the stable tag"]
