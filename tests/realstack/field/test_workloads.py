"""Applications that Argo CD calls Synced and Healthy while their pods are not what the commit asks for."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.contract.api import Object
from tests.contract.place import deployment, dump
from tests.realstack.field.situation import MERGE, Situation, now

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]


def stateful_set(name: str, image: str, strategy: Object) -> bytes:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": image}]}}
    spec = {"replicas": 2, "serviceName": name, "updateStrategy": strategy, "selector": {"matchLabels": {"app": name}}, "template": template}
    return dump({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name}, "spec": spec})


@pytest.mark.parametrize(
    ("strategy", "word"),
    [({"type": "OnDelete"}, "OnDelete"), ({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}, "partition")],
    ids=["on-delete", "partition"],
)
def test_a_stateful_set_that_keeps_its_old_pods_is_not_verified(situation: Situation, strategy: Object, word: str) -> None:
    situation.begin({"apps/db/s.yaml": stateful_set("db", "db:1", strategy)}, situation.app("db"))
    situation.commit({"apps/db/s.yaml": stateful_set("db", "db:2", strategy)}, "feat(db): version 2")
    ended = situation.promote("run", "v1.1.0")
    assert ended.outcome != "verified", ended.text
    assert word in ended.text and "StatefulSet" in ended.text
    assert {i for i in situation.images().values() if i.startswith("db:")} == {"db:1"}


DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "rollouts.argoproj.io"},
    "spec": {
        "group": "argoproj.io",
        "scope": "Namespaced",
        "names": {"kind": "Rollout", "plural": "rollouts", "singular": "rollout", "listKind": "RolloutList"},
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


def rollout(image: str) -> bytes:
    template = {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [{"name": "m", "image": image}]}}
    strategy = {"canary": {"steps": [{"setWeight": 20}, {"pause": {}}]}}
    spec = {"replicas": 2, "strategy": strategy, "selector": {"matchLabels": {"app": "shop"}}, "template": template}
    return dump({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"}, "spec": spec})


def test_a_canary_that_pauses_half_way_is_never_verified(situation: Situation) -> None:
    """Its controller, played here, leaves the new version paused at the first step, as designed."""
    situation.api.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION)
    path = f"/apis/argoproj.io/v1alpha1/namespaces/{situation.namespace}/rollouts/shop"

    def controller(stop: threading.Event) -> None:
        while not stop.wait(0.3):
            status, found = situation.api.call("GET", path)
            if status != 200:
                continue
            image = found["spec"]["template"]["spec"]["containers"][0]["image"]
            phase, message = ("Healthy", "") if image == "shop:1" else ("Paused", "CanaryPauseStep")
            shown = {"observedGeneration": str(found["metadata"]["generation"]), "phase": phase, "message": message}
            if {k: (found.get("status") or {}).get(k) for k in shown} != shown:
                situation.api.call("PATCH", path + "/status", {"status": shown}, content=MERGE)

    with situation.meanwhile(controller):
        situation.begin({"apps/shop/r.yaml": rollout("shop:1")}, situation.app("shop"), limit="25s")
        situation.commit({"apps/shop/r.yaml": rollout("shop:2")})
        ended = situation.promote("run", "v1.1.0")
    assert ended.outcome == "stuck", ended.text
    assert "a canary pauses between its steps" in ended.document["reason"] and situation.named("shop") in ended.text


def test_an_old_fault_does_not_excuse_a_new_one(situation: Situation) -> None:
    """Degraded before because of a nightly CronJob; the version's only Deployment is never ready."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "m", "image": "report:1"}]}
    spec = {"schedule": "0 3 1 1 *", "jobTemplate": {"spec": {"template": {"spec": pod}}}}
    cron = dump({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "report"}, "spec": spec})
    situation.begin({"apps/shop/d.yaml": _recreated("shop:1"), "apps/shop/cron.yaml": cron}, situation.app("shop"), limit="40s")
    path = f"/apis/batch/v1/namespaces/{situation.namespace}/cronjobs/report/status"
    situation.api.patch(path, {"status": {"lastScheduleTime": "2026-11-28T03:00:00Z", "lastSuccessfulTime": "2026-11-27T03:01:00Z"}})
    situation.rest(situation.named("shop"), health="Degraded")
    situation.commit({"apps/shop/d.yaml": _recreated("shop:2", behaviour="never-ready")})

    def kubelet(stop: threading.Event) -> None:
        started = set[str]()
        while not stop.wait(0.3):
            for found in situation.api.items(f"/api/v1/namespaces/{situation.namespace}/pods"):
                name, image = found["metadata"]["name"], found["spec"]["containers"][0]["image"]
                if image == "shop:2" and name not in started and found["status"].get("phase") == "Pending":
                    situation.pod_status(found, "Running", {"running": {"startedAt": now()}})
                    started.add(name)

    with situation.meanwhile(kubelet):
        ended = situation.promote("run", "v1.1.0")
    assert ended.outcome == "rolled_back", ended.text
    assert "Deployment" in ended.text and "shop" in ended.text


def _recreated(image: str, **more: Any) -> bytes:
    return deployment("shop", image=image, deadline=8, **more).replace(b"  replicas: 1\n", b"  replicas: 1\n  strategy: {type: Recreate}\n")
