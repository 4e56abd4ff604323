"""Pods that are no fault of the promoted version (an earlier try of a Job, another team's pods), and pods in another cluster."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from tests.contract.api import Object
from tests.contract.place import deployment, dump
from tests.realstack.field.situation import Situation, now

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
WAITS = {"sandbox.promote/behaviour": "hook-waits"}


def hook(image: str, **annotations: str) -> bytes:
    """A PreSync Job; its pods stay Pending until a test writes their status."""
    meta = {"name": "migrate", "annotations": {"argocd.argoproj.io/hook": "PreSync", "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation"}}
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": image}]}
    spec = {"backoffLimit": 4, "template": {"metadata": {"annotations": annotations}, "spec": pod}}
    return dump({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec})


def test_a_hook_whose_second_try_succeeds_is_no_failure(situation: Situation) -> None:
    """A PreSync Job's first pod fails because its database is not ready; the Job retries and completes. Jobs keep the failed pod."""
    app = situation.app("shop")
    situation.begin({"apps/shop/d.yaml": deployment("shop", image="shop:1"), "apps/shop/hook.yaml": hook("migrate:1")}, app, limit="60s")
    situation.commit({"apps/shop/hook.yaml": hook("migrate:2", **WAITS), "apps/shop/d.yaml": deployment("shop", image="shop:2")})

    def kubelet(stop: threading.Event) -> None:
        ended: list[str] = []
        while not stop.wait(0.3):
            for pod in situation.api.items(f"/api/v1/namespaces/{situation.namespace}/pods"):
                if _pending(pod, "migrate:2") and pod["metadata"]["name"] not in ended:
                    ended.append(pod["metadata"]["name"])
                    failed = len(ended) == 1
                    state = {"exitCode": int(failed), "reason": "Error" if failed else "Completed", "startedAt": now(), "finishedAt": now()}
                    situation.pod_status(pod, "Failed" if failed else "Succeeded", {"terminated": state})
        assert len(ended) == 2, ended

    with situation.meanwhile(kubelet):
        ended = situation.promote("run", "v1.1.0")
    assert ended.outcome == "verified", ended.text
    assert "shop:2" in situation.images().values()


def _pending(pod: Object, image: str) -> bool:
    return bool(pod["spec"]["containers"][0]["image"] == image and pod["status"].get("phase") == "Pending" and pod["status"].get("containerStatuses"))


def test_another_teams_failing_pod_is_advice(situation: Situation) -> None:
    """A CronJob of another team fails in its own namespace while a version is promoted."""
    situation.begin({})
    situation.commit({"apps/front/deployment.yaml": deployment(situation.front, image="front:2")})
    elsewhere = f"ops-{situation.name}"
    situation.api.create("/api/v1/namespaces", {"metadata": {"name": elsewhere}})
    template = {"metadata": {"annotations": WAITS}, "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "backup:1"}]}}
    job = {"metadata": {"name": "backup-29384720", "namespace": elsewhere}, "spec": {"backoffLimit": 0, "template": template}}

    def fails_after_the_move(stop: threading.Event) -> None:
        while not situation.moved("v1.1.0"):
            assert not stop.wait(0.1), "the promotion ended without a move"
        situation.api.create(f"/apis/batch/v1/namespaces/{elsewhere}/jobs", job)
        pods = f"/api/v1/namespaces/{elsewhere}/pods"
        while not (found := [p for p in situation.api.items(pods) if p["status"].get("containerStatuses")]):
            assert not stop.wait(0.1), "the pod was never started"
        situation.pod_status(found[0], "Failed", {"terminated": {"exitCode": 1, "reason": "Error"}})

    try:
        with situation.meanwhile(fails_after_the_move):
            ended = situation.promote("run", "v1.1.0")
    finally:
        situation.api.delete(f"/api/v1/namespaces/{elsewhere}")
    assert ended.outcome == "verified", ended.text
    assert f"{elsewhere}/backup-29384720" in ended.text, "it is named as advice"
    assert "refs/promote/lock" not in situation.seen.refs()
    assert situation.promote("resume").outcome == "nothing"


@pytest.fixture
def far(situation: Situation) -> Iterator[str]:
    """The API server under another address, which Argo CD knows as another cluster."""
    address = situation.api.url.replace("127.0.0.1", "localhost")
    config = json.dumps({"bearerToken": situation.api.token, "tlsClientConfig": {"insecure": True}})
    name, secrets = situation.named("far"), "/api/v1/namespaces/argocd/secrets"
    labels = {"argocd.argoproj.io/secret-type": "cluster"}
    secret = {"metadata": {"name": name, "labels": labels}, "stringData": {"name": name, "server": address, "config": config}}
    situation.api.create(secrets, secret)
    yield address
    situation.clear()  # while Argo CD can still reach the cluster
    situation.api.delete(f"{secrets}/{name}")


def test_a_destination_that_cannot_be_read_is_undetermined_by_name_before_the_move(situation: Situation, far: str) -> None:
    """Hub and spoke: the application runs in another cluster, and no settings say how to reach it."""
    app = situation.app("shop", destination={"server": far, "namespace": situation.namespace})
    situation.begin({"apps/shop/d.yaml": deployment("shop", image="shop:1")}, app)
    before = situation.seen.refs()
    situation.commit({"apps/shop/d.yaml": deployment("shop", image="shop:2")})
    ended = situation.promote("run", "v1.1.0")
    assert ended.code == 5, ended.text
    assert situation.named("shop") in ended.check("production-baseline")["detail"] and far in ended.text
    assert situation.seen.refs() == before


def test_a_destination_that_the_settings_name_is_judged_there(situation: Situation, far: str) -> None:
    """Its workloads and pods are read under the address that its destination names."""
    app = situation.app("shop", destination={"server": far, "namespace": situation.namespace})
    named = f'[[prod.clusters]]\nserver = "{far}"\nname = "far"\n'
    situation.begin({"apps/shop/d.yaml": deployment("shop", image="shop:1")}, app, more=named)
    situation.commit({"apps/shop/d.yaml": deployment("shop", image="shop:2")})
    ended = situation.promote("run", "v1.1.0")
    assert ended.outcome == "verified", ended.text
    assert "shop:2" in situation.images().values()
    assert ended.check("workloads-updated")["evidence"]["workloads"] == 2
    assert ended.check("pods-running")["evidence"]["pods"] == 2
