"""The health of an application's resources: shown by Argo CD or computed from live objects, for exactly the objects that it lists."""

from __future__ import annotations

from typing import Any

import pytest

from promote.argocd.client import ArgoCD, Destination
from promote.argocd.resource_health import kinds_to_read, read_resource_health, unhealthy
from promote.core.errors import Denied, NotFound, Unreachable
from tests.support.manifests import application, child, unhealthy_resource


def entry(kind: str, name: str, group: str = "apps", **more: Any) -> dict[str, Any]:
    return {"group": group, "kind": kind, "namespace": "shop", "name": name, "status": "Synced", **more}


def cron(name: str, succeeded: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "shop"}, "status": {"lastScheduleTime": "2026-03-02T03:00:00Z", "lastSuccessfulTime": succeeded}}


class Cluster:
    """The two members of the Kubernetes client that are used: `items` and `host`. A path without an entry is not found, an error is raised."""

    host = "https://k8s.example.org:6443"

    def __init__(self, **lists: list[dict[str, Any]] | Exception) -> None:
        self.lists, self.read = lists, list[str]()

    def items(self, path: str, **_: str) -> list[dict[str, Any]]:
        name = path.rpartition("/")[2]
        self.read.append(name)
        found = self.lists.get(name, NotFound("cluster prod", f"GET {path}: not found", hint=""))
        if isinstance(found, Exception):
            raise found
        return found


def spoke(cluster: Cluster | Exception) -> Destination:
    def connect() -> Any:
        if isinstance(cluster, Exception):
            raise cluster
        return cluster

    return Destination(label="spoke", names=frozenset({"https://spoke.example.org"}), connect=connect)


def judged(cluster: Cluster, *apps: Any, others: tuple[Destination, ...] = ()) -> tuple[dict[str, Any], dict[str, str]]:
    return read_resource_health(ArgoCD(cluster, ["argocd"], destinations=others), apps, apps)  # type: ignore[arg-type]


SHOP = [entry("CronJob", "report", "batch"), entry("Deployment", "web"), entry("ConfigMap", "c", "")]
WEB = {
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"replicas": 1},
    "status": {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
}


def test_the_health_of_each_listed_resource_is_computed_from_its_live_object():
    cluster = Cluster(cronjobs=[cron("report", "2026-03-01T03:00:00Z"), cron("other", "2026-03-01T03:00:00Z")], deployments=[WEB])
    found, unread = judged(cluster, application("shop", health="Degraded", resources=SHOP))
    assert unhealthy(found["argocd/shop"]) == {("batch", "CronJob", "shop", "report"): "Degraded"}
    assert (unread, sorted(cluster.read)) == ({}, ["cronjobs", "deployments"]), "one list for each kind, and no kind that has no rule"


def test_an_object_that_is_not_there_is_missing():
    found, _ = judged(Cluster(cronjobs=[cron("report", "2026-03-03T03:00:00Z")]), application("shop", health="Missing", resources=SHOP))
    assert unhealthy(found["argocd/shop"]) == {("apps", "Deployment", "shop", "web"): "Missing"}


def test_nothing_is_read_where_argo_cd_shows_the_health_itself():
    app = application("shop", health="Degraded", resources=[unhealthy_resource("report", "Degraded", "CronJob"), entry("Deployment", "web")])
    cluster = Cluster()
    found, unread = judged(cluster, app)
    assert (found["argocd/shop"], unread, cluster.read) == (app, {}, [])
    assert kinds_to_read(app) == frozenset()


def test_a_list_that_is_refused_is_named_for_the_applications_that_need_it():
    refused = Denied("cluster prod", "cannot list deployments", hint="")
    other = application("cron", health="Degraded", resources=[entry("CronJob", "report", "batch")])
    cluster = Cluster(cronjobs=[cron("report", "2026-03-01T03:00:00Z")], deployments=refused)
    found, unread = judged(cluster, application("shop", health="Degraded", resources=SHOP), other)
    assert unread == {"argocd/shop": "cluster prod: cannot list deployments"}
    assert unhealthy(found["argocd/cron"]) == {("batch", "CronJob", "shop", "report"): "Degraded"}


FAR = {"destination": {"server": "https://spoke.example.org", "namespace": "shop"}}


def test_an_application_of_an_unknown_cluster_is_unread_and_nothing_is_read_for_it():
    app, cluster = application("shop", health="Degraded", resources=SHOP, spec=FAR), Cluster()
    _, unread = judged(cluster, app)
    assert (unread, cluster.read) == ({"argocd/shop": "it deploys to https://spoke.example.org, which no entry of prod.clusters names"}, [])


def test_the_health_is_computed_in_the_cluster_that_each_application_is_deployed_to():
    far, near = application("far", health="Degraded", resources=SHOP, spec=FAR), application("near", health="Degraded", resources=SHOP)
    here = Cluster(cronjobs=[cron("report", "2026-03-03T03:00:00Z")], deployments=[])
    there = Cluster(cronjobs=[cron("report", "2026-03-01T03:00:00Z")], deployments=[WEB])
    found, unread = judged(here, near, far, others=(spoke(there),))
    assert unread == {}
    assert unhealthy(found["argocd/near"]) == {("apps", "Deployment", "shop", "web"): "Missing"}
    assert unhealthy(found["argocd/far"]) == {("batch", "CronJob", "shop", "report"): "Degraded"}


@pytest.mark.parametrize("connects", [True, False])
def test_another_cluster_that_does_not_answer_is_unread_and_the_own_one_is_an_error(connects: bool):
    down = Unreachable("cluster spoke", "no answer", hint="")
    app, there = application("shop", health="Degraded", resources=SHOP, spec=FAR), Cluster(cronjobs=down) if connects else down
    assert judged(Cluster(), app, others=(spoke(there),))[1] == {"argocd/shop": "cluster spoke: no answer"}
    with pytest.raises(Unreachable):
        judged(Cluster(cronjobs=down), application("shop", health="Degraded", resources=SHOP))


@pytest.mark.parametrize(
    "server", ["https://k8s.example.org:6443/", "https://kubernetes.default.svc", "in-cluster", "", "https://KUBERNETES.default.svc:443"]
)
def test_the_cluster_of_argo_cd_has_many_spellings(server: str):
    app = application("shop", health="Degraded", resources=SHOP, spec={"destination": {"server": server}})
    assert judged(Cluster(), app)[1] == {}


def test_hooks_and_what_is_no_longer_in_git_do_not_count():
    gone = [entry("CronJob", "report", "batch", requiresPruning=True), entry("Job", "migrate", "batch", hook=True)]
    found, _ = judged(Cluster(), application("shop", health="Degraded", resources=gone))
    assert unhealthy(found["argocd/shop"]) == {}


def test_a_child_application_has_the_health_that_its_own_application_shows():
    parent = application("apps", health="Degraded", resources=[child("web")])
    found, _ = judged(Cluster(), parent, application("web", health="Degraded"))
    assert unhealthy(found["argocd/apps"]) == {("argoproj.io", "Application", "argocd", "web"): "Degraded"}
