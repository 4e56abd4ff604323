"""Which application a pod belongs to: the chains of owners as Kubernetes, Argo Rollouts and operators write them."""

from __future__ import annotations

from typing import Any

import pytest

from promote.core.errors import Denied, Unreachable
from promote.kube.live import ResourceKey
from promote.kube.ownership import Claims, Owner, Ownership

GROUPS = {
    "ReplicaSet": "apps/v1",
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "Job": "batch/v1",
    "CronJob": "batch/v1",
}
GROUPS |= {
    "Rollout": "argoproj.io/v1alpha1",
    "Node": "v1",
    "Kafka": "kafka.strimzi.io/v1",
    "PodSet": "core.strimzi.io/v1",
    "Prometheus": "m.coreos.com/v1",
}
OURS: dict[ResourceKey, str] = {
    ("apps", "Deployment", "shop", "web"): "argocd/shop",
    ("apps", "StatefulSet", "shop", "db"): "argocd/shop",
    ("apps", "ReplicaSet", "shop", "bare"): "argocd/shop",
    ("argoproj.io", "Rollout", "shop", "api"): "argocd/shop",
    ("batch", "CronJob", "shop", "backup"): "argocd/shop",
    ("batch", "Job", "shop", "seed"): "argocd/shop",
    ("", "Pod", "shop", "alone"): "argocd/shop",
    ("m.coreos.com", "Prometheus", "metrics", "main"): "argocd/metrics",
    ("kafka.strimzi.io", "Kafka", "metrics", "bus"): "argocd/metrics",
}
CLAIMS = Claims(objects=OURS, trackers={"shop": "argocd/shop", "team-a_cart": "team-a/cart"}, namespaces=frozenset({"cart"}))


class Api:
    """The lists of a cluster; a list that is not given is forbidden."""

    def __init__(self, **lists: list[dict[str, Any]]) -> None:
        self.lists, self.read = lists, list[str]()

    def items(self, path: str) -> list[dict[str, Any]]:
        kind = path.rpartition("/")[2]
        self.read.append(kind)
        if kind not in self.lists:
            raise Denied("cluster prod", f'cannot list resource "{kind}"', hint="grant it")
        return self.lists[kind]


def thing(name: str, *owners: str, namespace: str = "shop", uid: str = "", **meta: Any) -> dict[str, Any]:
    """An object whose owners are written Kind/name."""
    parts = [owner.split("/") for owner in owners]
    references = [{"apiVersion": GROUPS[kind], "kind": kind, "name": n, "uid": f"uid-{n}", "controller": True} for kind, n in parts]
    return {"metadata": {"name": name, "namespace": namespace, "uid": uid or f"uid-{name}", "ownerReferences": references, **meta}}


def of(pod: dict[str, Any], **lists: list[dict[str, Any]]) -> Owner:
    return Ownership(CLAIMS, Api(**lists).items).of(pod)


def test_the_pod_of_a_deployment_is_found_without_reading_replica_sets() -> None:
    found = of(thing("web-5d6f7c8b9d-x2k4z", "ReplicaSet/web-5d6f7c8b9d", labels={"pod-template-hash": "5d6f7c8b9d"}))
    assert (found.application, found.root) == ("argocd/shop", ("apps", "Deployment", "shop", "web"))
    assert found.chain == (("apps", "ReplicaSet", "shop", "web-5d6f7c8b9d"),)


@pytest.mark.parametrize(
    ("pod", "root"),
    [
        (thing("api-6c9-x", "ReplicaSet/api-6c9", labels={"rollouts-pod-template-hash": "6c9"}), ("argoproj.io", "Rollout", "shop", "api")),
        (thing("bare-x", "ReplicaSet/bare"), ("apps", "ReplicaSet", "shop", "bare")),
        (thing("db-0", "StatefulSet/db"), ("apps", "StatefulSet", "shop", "db")),
        (thing("seed-x", "Job/seed"), ("batch", "Job", "shop", "seed")),
        (thing("alone"), ("", "Pod", "shop", "alone")),
    ],
    ids=["Rollout", "bare ReplicaSet", "StatefulSet", "Job", "bare Pod"],
)
def test_each_kind_of_workload_leads_to_its_application(pod: dict[str, Any], root: ResourceKey) -> None:
    found = of(pod)
    assert (found.application, found.root, found.unclear) == ("argocd/shop", root, "")


def test_the_pod_of_a_cron_job_is_found_through_its_job() -> None:
    found = of(thing("backup-29384720-x", "Job/backup-29384720"), jobs=[thing("backup-29384720", "CronJob/backup")])
    assert (found.application, found.root) == ("argocd/shop", ("batch", "CronJob", "shop", "backup"))
    assert found.through("Job") and found.key_of("Job") == ("batch", "Job", "shop", "backup-29384720")


@pytest.mark.parametrize(
    "pod",
    [
        thing("web-5d6-x", "ReplicaSet/web-5d6", namespace="other", labels={"pod-template-hash": "5d6"}),
        thing("web-5d6-x", "ReplicaSet/web-5d6", labels={"pod-template-hash": "777"}),
        thing("cart-5d6-x", "ReplicaSet/cart-5d6", labels={"pod-template-hash": "5d6"}),
        thing("db-0", "StatefulSet/other"),
        thing("kubelet-proxy", "Node/n1"),
        thing("debug"),
        thing("x", "Job/theirs"),
        thing("x", "PodSet/theirs"),
        thing("x", labels={"app.kubernetes.io/instance": "shop"}),
        thing("x", annotations={"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/web"}),
        thing("x", annotations={"argocd.argoproj.io/tracking-id": "theirs:/Pod:shop/x"}),
        thing("x", namespace="other", labels={"app.kubernetes.io/instance": "shop"}, annotations={"helm.sh/hook": "test"}),
    ],
    ids=[
        "same name in another namespace", "another hash", "an unlisted Deployment", "an unlisted StatefulSet", "a static pod", "without owner",
        "an unlisted Job", "an operator where we have none", "a chart's label", "a copied annotation", "another application's", "a foreign hook",
    ],
)  # fmt: skip
def test_what_no_application_lists_belongs_to_none(pod: dict[str, Any]) -> None:
    found = of(pod, jobs=[thing("theirs")], replicasets=[thing("web-5d6", "Deployment/another")])
    assert (found.application, found.unclear) == ("", "")


@pytest.mark.parametrize(
    ("meta", "app", "namespace"),
    [
        ({"annotations": {"argocd.argoproj.io/tracking-id": "shop:batch/Job:shop/migrate"}}, "argocd/shop", "shop"),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "team-a_cart:batch/Job:cart/migrate"}}, "team-a/cart", "cart"),
        (
            {"labels": {"app.kubernetes.io/instance": "shop"}, "annotations": {"argocd.argoproj.io/hook": "PreSync"}},
            "argocd/shop",
            "shop",
        ),
    ],
    ids=["annotation", "annotation of an application outside of Argo CD's namespace", "label of a hook"],
)
def test_a_hook_that_no_status_lists_is_found_by_its_tracking(meta: dict[str, Any], app: str, namespace: str) -> None:
    job = thing("migrate", namespace=namespace, **meta)
    found = of(thing("migrate-x", "Job/migrate", namespace=namespace), jobs=[job])
    assert (found.application, found.root) == (app, ("batch", "Job", namespace, "migrate"))


def test_the_workload_of_an_operator_leads_to_the_listed_custom_resource() -> None:
    pod = thing("prom-0", "StatefulSet/prom", namespace="metrics")
    found = of(pod, statefulsets=[thing("prom", "Prometheus/main", namespace="metrics")])
    assert (found.application, found.root) == ("argocd/metrics", ("m.coreos.com", "Prometheus", "metrics", "main"))
    assert of(thing("bus-0", "Kafka/bus", namespace="metrics")).application == "argocd/metrics"


def test_a_chain_that_cannot_be_followed_is_unclear_where_it_could_be_ours() -> None:
    assert "PodSet bus" in of(thing("bus-0", "PodSet/bus", namespace="metrics")).unclear
    assert 'cannot list resource "statefulsets"' in of(thing("prom-0", "StatefulSet/prom", namespace="metrics")).unclear
    assert 'cannot list resource "jobs"' in of(thing("backup-1-x", "Job/backup-1")).unclear
    assert 'cannot list resource "replicasets"' in of(thing("web-x", "ReplicaSet/web")).unclear
    assert of(thing("y", "Job/nightly", namespace="other")) == Owner(root=("batch", "Job", "other", "nightly"))


def test_a_failing_list_is_raised() -> None:
    def items(path: str) -> list[dict[str, Any]]:
        raise Unreachable("cluster prod", f"GET {path} answered 503", hint="again")

    with pytest.raises(Unreachable):
        Ownership(CLAIMS, items).of(thing("backup-1-x", "Job/backup-1"))


def test_every_list_is_read_at_most_once() -> None:
    api = Api(jobs=[thing(f"backup-{n}", "CronJob/backup") for n in range(50)])
    ownership = Ownership(CLAIMS, api.items)
    assert {ownership.of(thing(f"backup-{n}-x", f"Job/backup-{n}")).application for n in range(50)} == {"argocd/shop"}
    assert api.read == ["jobs"]


def test_a_job_that_was_replaced_under_its_name_is_not_taken_for_the_new_one() -> None:
    old = thing("backup-1-x", "Job/backup-1")
    found = of(old, jobs=[thing("backup-1", "CronJob/backup", uid="another")])
    assert (found.application, found.root) == ("", ("batch", "Job", "shop", "backup-1"))
