"""AppProjects are read in Argo CD's namespace, with what they inherit; one that cannot be read leaves its windows unknown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from promote.argocd.client import ArgoCD
from promote.argocd.projects import INHERITED, Project, read_projects, selects
from promote.core.errors import Denied, NotFound
from promote.kube.client import Kube, connect
from promote.sandbox.kube.api import KubeApi
from promote.sandbox.kube.store import Store
from tests.support.manifests import application
from tests.support.production import kubeconfig

DENY = {"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["*"]}
OTHER = {**DENY, "schedule": "0 0 * * *"}


class Cluster:
    """An API server with Argo CD's objects in the namespace argocd."""

    def __init__(self, api: KubeApi, kube: Kube) -> None:
        self.api, self.kube = api, kube
        self.inherit()

    def project(self, name: str, *windows: dict[str, Any], namespace: str = "argocd", labels: dict[str, str] | None = None, **spec: Any) -> None:
        meta = {"name": name, "namespace": namespace, "labels": labels or {}}
        self.api.store.put({"kind": "AppProject", "metadata": meta, "spec": {"syncWindows": list(windows), **spec}})

    def inherit(self, *entries: dict[str, Any], text: str | None = None) -> None:
        data = {"globalProjects": yaml.safe_dump(list(entries)) if text is None else text}
        self.api.store.put({"kind": "ConfigMap", "metadata": {"name": "argocd-cm", "namespace": "argocd"}, "data": data})

    def read(self, *names: str) -> dict[str, Project]:
        return read_projects(self.kube, "argocd", names)

    def schedules(self, name: str) -> list[tuple[str, str]]:
        return [(w["schedule"], w.get(INHERITED, "")) for w in self.read(name)[name].windows]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    api = KubeApi("prod", Store())
    api.start()
    try:
        yield Cluster(api, connect("prod", kubeconfig(tmp_path, api.url), ""))
    finally:
        api.stop()


def test_the_project_of_an_application_in_another_namespace_is_read_in_argo_cds_own(cluster: Cluster):
    cluster.project("team-a", DENY)
    cluster.project("team-a", namespace="team-a")  # Argo CD ignores this one
    argocd = ArgoCD(cluster.kube, ["argocd", "team-a"])
    assert argocd.projects([application("shop", meta={"namespace": "team-a"}, spec={"project": "team-a"})])["team-a"].windows == (DENY,)


def test_argo_cds_namespace_can_be_another_than_the_first(cluster: Cluster):
    cluster.project("team-a", DENY)
    assert ArgoCD(cluster.kube, ["team-a"], namespace="argocd").projects([application("shop", spec={"project": "team-a"})])["team-a"].windows == (
        DENY,
    )
    assert ArgoCD(cluster.kube, ["argocd", "team-a"]).namespace == "argocd"


def test_windows_of_several_projects_do_not_erase_one_another(cluster: Cluster):
    cluster.project("a", DENY)
    cluster.project("b")
    assert {name: len(p.windows) for name, p in cluster.read("b", "a", "a").items()} == {"a": 1, "b": 0}


def test_a_project_that_does_not_exist_is_named_and_is_not_one_without_windows(cluster: Cluster):
    cluster.project("a", DENY)
    with pytest.raises(NotFound, match="there is no AppProject gone in namespace argocd: its sync windows are unknown"):
        cluster.read("a", "gone")


def test_a_namespace_without_argo_cd_is_named(cluster: Cluster):
    with pytest.raises(NotFound, match="there is no ConfigMap argocd-cm in namespace team-a: Argo CD does not run there") as caught:
        read_projects(cluster.kube, "team-a", ["default"])
    assert "argocd.namespace" in caught.value.hint


def test_a_right_that_is_missing_is_named(cluster: Cluster):
    cluster.project("a", DENY)
    cluster.api.forbid = lambda verb, resource, namespace: resource == "configmaps"
    with pytest.raises(Denied, match='cannot get resource "configmaps"'):
        cluster.read("a")


def test_windows_of_global_projects_count_for_the_projects_that_they_select(cluster: Cluster):
    cluster.project("freeze", OTHER)
    cluster.project("shop", DENY, labels={"tier": "prod"})
    cluster.project("lab", labels={"tier": "lab"})
    cluster.inherit({"projectName": "freeze", "labelSelector": {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["prod"]}]}})
    assert cluster.schedules("shop") == [("* * * * *", ""), ("0 0 * * *", "freeze")]
    assert cluster.schedules("lab") == []
    assert cluster.schedules("freeze") == [("0 0 * * *", "")], "it does not inherit from itself"


def test_an_empty_selector_selects_every_project(cluster: Cluster):
    cluster.project("freeze", OTHER)
    cluster.project("shop")
    cluster.inherit({"projectName": "freeze"})
    assert cluster.schedules("shop") == [("0 0 * * *", "freeze")]


def test_what_argo_cd_ignores_in_global_projects_is_ignored(cluster: Cluster):
    cluster.project("freeze", OTHER)
    cluster.project("shop")
    cluster.inherit({"projectName": "gone"}, {"projectName": "freeze"})
    assert cluster.schedules("shop") == [], "after an entry without a project, Argo CD stops"
    cluster.inherit({"projectName": "freeze", "labelSelector": {"matchExpressions": [{"key": "x", "operator": "Near"}]}})
    assert cluster.schedules("shop") == []
    for text in ("", "- [", "projectName: freeze"):
        cluster.inherit(text=text)
        assert cluster.schedules("shop") == []


@pytest.mark.parametrize("field", ["signatureKeys", "sourceIntegrity"])
def test_a_project_that_demands_signatures_is_known(cluster: Cluster, field: str):
    cluster.project("signed", **{field: [{"keyID": "4AEE18F83AFDEB23"}]})
    cluster.project("plain", **{field: []})
    assert {name: p.signatures for name, p in cluster.read("signed", "plain").items()} == {"signed": field, "plain": ""}


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ({}, True),
        ({"matchLabels": {"tier": "prod"}}, True),
        ({"matchLabels": {"tier": "lab"}}, False),
        ({"matchLabels": {"tier": "prod"}, "matchExpressions": [{"key": "team", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["lab", "prod"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["prod"]}]}, False),
        ({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["x"]}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "Above", "values": ["1"]}]}, None),
    ],
)
def test_label_selectors_mean_what_kubernetes_means(selector: dict[str, Any], selected: bool | None):
    assert selects(selector, {"tier": "prod"}) is selected
