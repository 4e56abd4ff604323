"""Productions in which a promotion could not be proven: refused before the move, with the reason; or awaited, where it only takes longer."""

from __future__ import annotations

import pytest

from tests.contract.api import Object
from tests.contract.place import AUTOMATED, config_map, deployment
from tests.realstack.field.conftest import Stack
from tests.realstack.field.situation import PROJECTS, Ended, Situation
from tests.realstack.seen import STABLE

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]


def refused(situation: Situation, *names: str) -> Ended:
    """Promote v1.1.0; it must end before the move and name these."""
    before = situation.seen.refs()
    ended = situation.promote("run", "v1.1.0")
    assert ended.code in (1, 5), ended.text
    assert situation.seen.refs()[STABLE] == before[STABLE], "nothing was moved"
    missing = [name for name in names if name not in ended.text]
    assert not missing, (missing, ended.text)
    return ended


def policy(**automated: bool) -> Object:
    return {"automated": automated, "syncOptions": ["CreateNamespace=true"]}


def version_2(situation: Situation) -> str:
    return situation.commit({"apps/front/deployment.yaml": deployment(situation.front, image="front:2")})


def test_a_controller_that_is_gone(situation: Situation, stack: Stack) -> None:
    """Everything still reads Synced and Healthy."""
    shared = '[[checklist.disabled]]\nid = "dev-converged"\nreason = "dev shares the controller"\n'
    situation.begin({}, argocd='refresh_timeout = "5s"', more=shared)
    version_2(situation)
    with stack.without_controller():
        ended = refused(situation, "no sign of life")
    assert ended.check("provable")["verdict"] == "failed", ended.text


def left_over(situation: Situation, *, accepted: bool) -> None:
    """Pruning is off, and a ConfigMap of an earlier version is left; the new version changes another application."""
    files = {"apps/legacy/d.yaml": deployment("legacy"), "apps/legacy/a.yaml": config_map("conf-a"), "apps/legacy/b.yaml": config_map("conf-b")}
    accept = f'[[argocd.accept_out_of_sync]]\napplication = "{situation.named("legacy")}"\nreason = "pruned by hand"\n'
    situation.begin(files, situation.app("legacy", syncPolicy=policy(selfHeal=False, prune=False)), more=accept if accepted else "")
    left = situation.commit({"apps/legacy/a.yaml": None}, "fix(legacy): new settings")
    for tag in ("prod-v1.0.1", "prod-stable", "prod-working"):
        situation.writer.tag(tag, left)
    situation.refresh(situation.named("legacy"))
    situation.rest(situation.named("legacy"), sync="OutOfSync")


def test_an_application_out_of_sync_for_ever(situation: Situation) -> None:
    left_over(situation, accepted=False)
    version_2(situation)
    refused(situation, situation.named("legacy"), "conf-a")


def test_an_accepted_application_out_of_sync_does_not_keep_another_from_its_proof(situation: Situation) -> None:
    """In both directions: first forward, then back from a version whose own Deployment crashes."""
    left_over(situation, accepted=True)
    version_2(situation)
    ended = situation.promote("run", "v1.1.0")
    assert ended.outcome == "verified", ended.text
    assert "pruned by hand" in ended.text
    situation.commit({"apps/legacy/d.yaml": deployment("legacy", image="legacy:2", behaviour="crash-loop", deadline=8)}, "feat(legacy): version 2")
    ended = situation.promote("run", "v1.2.0")
    assert ended.outcome == "rolled_back", ended.text
    assert "pruned by hand" in ended.text


def test_an_application_that_has_been_deleting_for_weeks(situation: Situation) -> None:
    app = situation.app("old", meta={"finalizers": ["example.com/never-removed"]})
    situation.begin({"apps/old/c.yaml": config_map("old")}, app)
    situation.api.delete(f"/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/{situation.named('old')}")
    version_2(situation)
    refused(situation, situation.named("old"), "has been deleting since")


def test_a_renamed_config_map_that_is_not_pruned(situation: Situation) -> None:
    """Argo CD's default does not prune: the old ConfigMap would keep the application OutOfSync for ever."""
    files = {"apps/shop/d.yaml": deployment("shop", image="shop:1"), "apps/shop/c.yaml": config_map("conf-abc")}
    situation.begin(files, situation.app("shop", syncPolicy=policy(selfHeal=True, prune=False)))
    situation.commit({"apps/shop/c.yaml": config_map("conf-def"), "apps/shop/d.yaml": deployment("shop", image="shop:2")})
    refused(situation, situation.named("shop"), "conf-abc")


def waves(situation: Situation) -> Object:
    """An ApplicationSet whose controller syncs `one` before `two`."""
    steps = [{"matchExpressions": [{"key": "step", "operator": "In", "values": [name]}]} for name in ("one", "two")]
    destination = {"server": "https://kubernetes.default.svc", "namespace": situation.namespace}
    child = {"project": "default", "destination": destination, "source": situation.source("{{.path.path}}"), "syncPolicy": AUTOMATED}
    generator = {"git": {"repoURL": situation.url, "revision": "prod-stable", "directories": [{"path": "sets/*"}]}}
    spec = {
        "goTemplate": True,
        "generators": [generator],
        "strategy": {"type": "RollingSync", "rollingSync": {"steps": steps}},
        "template": {"metadata": {"name": f"{{{{.path.basename}}}}-{situation.name}", "labels": {"step": "{{.path.basename}}"}}, "spec": child},
    }
    name = situation.named("waves")
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "metadata": {"name": name, "namespace": "argocd"}, "spec": spec}


def test_an_application_set_that_syncs_in_steps_is_awaited(situation: Situation, application_sets: None) -> None:
    def version(number: int) -> dict[str, bytes]:
        return {f"sets/{name}/d.yaml": deployment(name, image=f"{name}:{number}") for name in ("one", "two")}

    situation.begin(version(1), limit="90s")
    situation.create(waves(situation))
    for name in ("one", "two"):
        situation.rest(situation.named(name))
        assert "automated" not in situation.status(situation.named(name))["spec"]["syncPolicy"], "its controller took it away"
    situation.commit(dict(version(2)))
    ended = situation.promote("run", "v1.1.0")
    assert ended.outcome == "verified", ended.text
    assert {"one:2", "two:2"} <= set(situation.images().values())
    assert "sync started" not in ended.text, "promote left the order to the set"


def test_a_window_of_a_project_in_argo_cds_own_namespace(situation: Situation, project: str) -> None:
    app = situation.app("shop", home="team-a", project=project)
    situation.begin({"apps/shop/d.yaml": deployment("shop", image="shop:1")}, app, namespaces='["argocd", "team-a"]')
    window = {"kind": "deny", "schedule": "* * * * *", "duration": "24h", "applications": ["*"]}
    situation.api.patch(f"{PROJECTS}/{project}", {"spec": {"syncWindows": [window]}})
    situation.commit({"apps/shop/d.yaml": deployment("shop", image="shop:2")})
    refused(situation, situation.named("shop"), "window")
