"""The check `provable`: what keeps a promotion from being proven is refused before the move; what cannot be known is undetermined."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from promote.sandbox import seed
from tests.support.checking import Desk, desk, verdicts
from tests.support.declared import proves_verdicts

SKIP = "argocd.argoproj.io/skip-reconcile"
ARGO = ("Application", "argocd")


def annotate(world: Desk, name: str, value: str | None) -> None:
    world.sandbox.prod.patch(*ARGO, name, {"metadata": {"annotations": {SKIP: value}}})


def deleting(world: Desk) -> None:
    world.sandbox.prod.freeze()  # type: ignore[union-attr]
    meta = {"deletionTimestamp": "2026-11-01T09:00:00Z", "finalizers": ["example.com/held"]}
    world.sandbox.prod.patch(*ARGO, "grafana", {"metadata": meta})


def kept(world: Desk) -> None:
    world.sandbox.prod.patch(*ARGO, "grafana", {"metadata": {"deletionTimestamp": None, "finalizers": None}})
    world.sandbox.prod.thaw()  # type: ignore[union-attr]


def project(world: Desk, **spec: Any) -> None:
    found: dict[str, Any] = world.sandbox.prod.get("AppProject", "argocd", "default") or {}
    world.sandbox.prod.apply({**found, "spec": {**found["spec"], **spec}})


@dataclass(frozen=True)
class Case:
    """`begin` makes it unprovable, `lift` ends that; `checks`: exactly these do not pass; `text`: a part of the detail."""

    id: str
    begin: Callable[[Desk], object]
    lift: Callable[[Desk], object]
    checks: dict[str, str]
    text: str


CASES = (
    Case(
        id="an-annotation-stops-its-reconciliation",
        begin=lambda w: annotate(w, "grafana", "true"),
        lift=lambda w: annotate(w, "grafana", None),
        checks={"provable": "failed"},
        text=f"grafana is not reconciled: its annotation {SKIP} is true",
    ),
    Case(
        id="argo-cd-does-not-answer",
        begin=lambda w: w.sandbox.prod.freeze(),  # type: ignore[union-attr]
        lift=lambda w: w.sandbox.prod.thaw(),  # type: ignore[union-attr]
        checks={"provable": "failed"},
        text="no sign of life from Argo CD for https://kubernetes.default.svc: argocd was not refreshed within 2 s",
    ),
    Case(
        id="an-application-is-being-deleted",
        begin=deleting,
        lift=kept,
        checks={"provable": "failed"},
        text="grafana has been deleting since 2026-11-01T09:00:00Z, held by example.com/held",
    ),
    Case(
        id="signatures-are-demanded",
        begin=lambda w: project(w, signatureKeys=[{"keyID": "4AEE18F83AFDEB23"}]),
        lift=lambda w: project(w, signatureKeys=[]),
        checks={"provable": "errored"},
        text="AppProject default has signatureKeys: Argo CD may refuse the tag that promote creates, which is not signed",
    ),
    Case(
        id="the-post-suite-may-not-read-events",
        begin=lambda w: setattr(w.sandbox.prod.api, "forbid", lambda verb, resource, namespace: resource == "events"),  # type: ignore[union-attr]
        lift=lambda w: setattr(w.sandbox.prod.api, "forbid", lambda *_: False),  # type: ignore[union-attr]
        checks={"provable": "errored"},
        text='cannot list resource "events"',
    ),
    Case(
        id="the-post-suite-may-not-read-workloads",
        begin=lambda w: setattr(w.sandbox.prod.api, "forbid", lambda verb, resource, namespace: resource == "deployments"),  # type: ignore[union-attr]
        lift=lambda w: setattr(w.sandbox.prod.api, "forbid", lambda *_: False),  # type: ignore[union-attr]
        checks={"provable": "errored", "production-baseline": "errored"},  # one application is Degraded, so the latter needs the right too
        text="workloads-updated could not read every workload: cluster prod: GET /apis/apps/v1/deployments",
    ),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("provable")) as it:
        it.settings(("[argocd]", '[argocd]\nrefresh_timeout = "2s"'))
        yield it


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id, marks=proves_verdicts(case.checks)) for case in CASES])
def test_what_cannot_be_proven_is_not_begun(world: Desk, case: Case) -> None:
    case.begin(world)
    try:
        checks = world.check()
    finally:
        case.lift(world)
    assert verdicts(checks) == case.checks, {i: checks[i]["detail"][:300] for i in verdicts(checks)}
    assert case.text in checks["provable"]["detail"], checks["provable"]["detail"]


def conf(name: str) -> bytes:
    return yaml.safe_dump({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}}).encode()


def in_production(world: Desk, message: str, files: dict[str, bytes | None], version: str) -> None:
    commit = world.commit(message, files)
    world.sandbox.writer.tag(f"prod-{version}", commit)
    world.sandbox.writer.tag("prod-stable", commit, "yesterday")
    world.sandbox.refresh()
    world.sandbox.wait_settled()


ACCEPT = '\n[[argocd.accept_out_of_sync]]\napplication = "external-dns"\nreason = "its generator renames, and we prune by hand"\n'


def test_without_pruning_a_dropped_object_is_named_before_the_move_and_accepted_when_declared(tmp_path_factory: pytest.TempPathFactory) -> None:
    with desk(tmp_path_factory.mktemp("prune")) as world:
        manifest = yaml.safe_load(seed.application("external-dns", "prod", world.sandbox.git.repository_url))
        manifest["spec"]["syncPolicy"]["automated"]["prune"] = False
        files: dict[str, bytes | None] = {"argocd/prod/external-dns.yaml": yaml.safe_dump(manifest).encode()}
        in_production(world, "chore(external-dns): prune by hand", files | {"apps/external-dns/conf.yaml": conf("conf-abc")}, "v1.8.0")
        assert verdicts(world.check(version="v1.8.1")) == {}
        world.commit("fix(external-dns): another name", {"apps/external-dns/conf.yaml": conf("conf-def")})
        checks = world.check(version="v1.8.1")
        assert verdicts(checks) == {"provable": "failed"}
        wanted = "external-dns would keep 1 of the objects that the candidate drops, and stay OutOfSync, because pruning is off: ConfigMap external-dns/conf-abc"
        assert wanted in checks["provable"]["detail"]
        world.settings(more=ACCEPT)
        checks = world.check(version="v1.8.1")
        assert verdicts(checks) == {}
        assert "ConfigMap external-dns/conf-abc" in str(checks["provable"]["evidence"])
