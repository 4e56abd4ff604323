"""The verdict of the soak on pods and alerts, against a small cluster of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promote import connect as connections
from promote.argocd.client import ArgoCD, Destination
from promote.config.schema import Alertmanager as AlertmanagerSettings
from promote.config.schema import Settings
from promote.convergence.baseline import Baseline, take_baseline
from promote.core.deadline import Clock
from promote.kube.client import connect
from promote.promotion.context import Dependencies, PromotionContext, StepStatus
from promote.promotion.soak import Watch
from promote.sandbox.cluster import Cluster
from promote.sandbox.http_server import Fault
from promote.sandbox.monitoring import alertmanager as alertmanager_world
from tests.support.manifests import goal, manifest
from tests.support.production import SETTINGS, kubeconfig
from tests.support.silent_report import Silent


class Place:
    """A cluster with one healthy and one long crashing pod, and a clock of its own."""

    def __init__(self, folder: Path) -> None:
        self.cluster = Cluster("prod", repositories={})
        self.cluster.api.start()
        self.seconds = 0.0
        owned = [{"group": "apps", "kind": "StatefulSet", "namespace": "shop", "name": name} for name in ("well", "sick", "new")]
        self.cluster.apply({"kind": "Application", "apiVersion": "argoproj.io/v1alpha1", **manifest("shop", resources=owned)})
        self.pod("well", 0)
        self.pod("sick", 7, "CrashLoopBackOff")
        self.argocd = ArgoCD(connect("prod", kubeconfig(folder, self.cluster.url), ""), ["argocd"])

    def pod(self, name: str, restarts: int, waiting: str = "") -> None:
        state: dict[str, Any] = {"waiting": {"reason": waiting}} if waiting else {"running": {}}
        status = {"phase": "Running", "containerStatuses": [{"name": "main", "restartCount": restarts, "state": state}]}
        owners = [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name, "uid": name, "controller": True}] if name != "theirs" else []
        self.cluster.apply({"kind": "Pod", "metadata": {"name": name, "namespace": "shop", "ownerReferences": owners}, "status": status})

    def watch(self, baseline: Baseline | None, settings: Settings = SETTINGS) -> Watch:
        clock = Clock(monotonic=lambda: self.seconds, sleep=lambda _: None)
        tools = Dependencies(
            settings=settings, git=None, report=Silent(), production=lambda: self.argocd, forge=None, who="test", clock=clock  # type: ignore[arg-type]
        )  # fmt: skip
        run = PromotionContext(deps=tools, target=None, version=None, request_id="r", journal=None, baseline=baseline)  # type: ignore[arg-type]
        return Watch(run=run, goal=lambda _: goal())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    here = Place(tmp_path)
    yield here
    here.cluster.api.stop()


def test_earlier_trouble_is_tolerated_and_a_restart_is_not(place: Place) -> None:
    watch = place.watch(take_baseline(place.argocd))
    assert watch.look() is None
    place.pod("sick", 9, "CrashLoopBackOff")
    assert watch.look() is None
    place.pod("new", 2)
    assert watch.look() is None, "a new pod may have restarted on its way up"
    place.pod("well", 1)
    found = watch.look()
    assert found is not None
    assert (found.status, found.reason) == (
        StepStatus.FAILED,
        "shop/well: restarted 1 times since the baseline (shop is unchanged by this promotion)",
    )


def test_a_pod_of_another_team_does_not_count(place: Place) -> None:
    watch = place.watch(take_baseline(place.argocd))
    place.pod("theirs", 3, "CrashLoopBackOff")
    assert watch.look() is None
    place.pod("well", 3, "CrashLoopBackOff")
    assert watch.look() is not None


def test_a_pod_that_came_with_the_version_must_not_restart_during_the_soak(place: Place) -> None:
    baseline = take_baseline(place.argocd)
    place.pod("new", 2)
    watch = place.watch(baseline)
    assert watch.look() is None
    place.pod("new", 3)
    found = watch.look()
    assert found is not None
    assert found.reason == "shop/new: restarted during the soak"


def test_without_a_baseline_nothing_is_tolerated(place: Place) -> None:
    found = place.watch(None).look()
    assert found is not None
    assert found.reason == "shop/sick: CrashLoopBackOff, 7 restarts"


@pytest.mark.parametrize("destination", ["", "spoke"], ids=["Argo CD's own", "another"])
def test_a_cluster_that_does_not_answer_is_waited_for_and_then_unknown(place: Place, destination: str) -> None:
    """Here the other cluster is the same API server under another name."""
    if destination:
        kube, far = place.argocd.kube, {"spec": {"destination": {"server": None, "name": destination}}}
        place.argocd = ArgoCD(kube, ["argocd"], destinations=[Destination(label=destination, names=frozenset({destination}), connect=lambda: kube)])
        place.cluster.patch("Application", "argocd", "shop", far)
    watch = place.watch(take_baseline(place.argocd))
    assert watch.look() is None
    place.cluster.api.fault(Fault(kind="status", path="/api/v1/pods" if destination else ".*", status=503))
    assert watch.look() is None
    assert watch.blind is not None
    place.seconds += SETTINGS.promotion.patience + 1
    found = watch.look()
    assert found is not None
    assert (found.status, found.hold) == (StepStatus.ERRORED, None)
    assert "could not be determined for 301 s" in found.reason
    place.cluster.api.clear_faults()
    assert watch.look() is None
    assert watch.blind is None


@pytest.mark.parametrize("status", [503, 401], ids=["away", "not allowed"])
def test_an_alertmanager_that_cannot_be_asked_is_waited_for_and_sends_nothing_back(place: Place, status: int) -> None:
    with alertmanager_world.Alertmanager() as world:
        settings = replace(SETTINGS, alertmanager=AlertmanagerSettings(url=world.url))
        watch = place.watch(take_baseline(place.argocd, connections.alerts_reader(settings)), settings)
        world.fault(Fault(kind="status", status=status))
        assert watch.look() is None
        place.seconds += SETTINGS.promotion.patience + 1
        found = watch.look()
        assert found is not None
        assert (found.status, found.hold) == (StepStatus.ERRORED, True)
        place.pod("well", 1)
        found = watch.look()
        assert found is not None
        assert found.status is StepStatus.FAILED, "what is seen of production counts all the same"
