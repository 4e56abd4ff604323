"""What production's Argo CD makes of it: applications that come and go, auto-sync off, sync windows, hooks that wait, syncs that are retried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from promote.sandbox import seed
from promote.sandbox.http_server import Request
from promote.sandbox.sandbox import Sandbox
from promote.sandbox.scenarios.basics import GITEA_DOWN, GRAFANA, in_production_only, plan
from promote.sandbox.scenarios.scenario import Act, Play, Scenario, both

MESSAGE = "feat(grafana): raise the memory limit"
ROOT = ("Application", "argocd", seed.ROOT)
PATIENT_6S = {'converge_timeout = "60s"': 'converge_timeout = "6s"'}
HOOK = b"""apiVersion: batch/v1
kind: Job
metadata:
  name: gitea-migrate
  annotations:
    argocd.argoproj.io/hook: PreSync
    sandbox.promote/behaviour: hook-needs=gitea-data
spec: {}
"""
CLAIM = b"apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: gitea-data\nspec: {}\n"
WITH_HOOK = b"resources:\n- ../../base\n- service.yaml\n- migrate.yaml\n- claim.yaml\n"
WITHOUT = b"resources:\n- ../../base\n- service.yaml\n"


def _new_application(sandbox: Sandbox) -> None:
    url = sandbox.git.repository_url
    listed = {f"argocd/{env}/wiki.yaml": seed.application("wiki", env, url) for env in ("dev", "prod")}
    sandbox.commit({**seed.app_files("wiki"), **listed}, "feat(wiki): a wiki")


def _root_keeps(sandbox: Sandbox) -> None:
    """The root application does not prune: what git drops stays in the cluster."""
    root: dict[str, Any] = sandbox.prod.get(*ROOT) or {}
    root["spec"]["syncPolicy"]["automated"]["prune"] = False
    sandbox.prod.apply(root)


def _homepage_retired(sandbox: Sandbox) -> None:
    _root_keeps(sandbox)
    sandbox.commit({"argocd/prod/homepage.yaml": None, **plan("v1.8.0", "homepage is gone")}, "feat: homepage is retired")


def _controller_stops(sandbox: Sandbox) -> None:
    """As soon as Grafana is asked, by the check `monitoring-ready`, which follows `provable`."""

    def stop(_: Request) -> None:
        sandbox.prod.freeze()

    sandbox.grafana.weather = stop


def _wiki_deleted(sandbox: Sandbox) -> None:
    app = sandbox.prod.get("Application", "argocd", "wiki")
    if app:
        sandbox.prod.controller.sync.remove(app)


def _in_production(sandbox: Sandbox, files: Mapping[str, bytes | None], message: str, version: str) -> None:
    """A commit that has been in production since yesterday."""
    commit = sandbox.commit(files, message)
    sandbox.writer.tag(f"prod-{version}", commit)
    sandbox.writer.tag("prod-stable", commit, "yesterday")
    sandbox.refresh()
    sandbox.wait_settled()


def _auto_sync_off(sandbox: Sandbox) -> None:
    manifest = yaml.safe_load(seed.application("homepage", "prod", sandbox.git.repository_url))
    del manifest["spec"]["syncPolicy"]["automated"]
    _in_production(sandbox, {"argocd/prod/homepage.yaml": yaml.safe_dump(manifest).encode()}, "chore(homepage): synced by hand", "v1.7.5")
    sandbox.commit({"apps/homepage/base/deployment.yaml": seed.deployment("homepage", image="1.1.0")}, "feat(homepage): 1.1")


def _ask_for_syncs(sandbox: Sandbox) -> None:
    text = sandbox.writer.git("show", "main:promotion.toml").replace("[argocd]", '[argocd]\nsync = "request"')
    sandbox.commit({"promotion.toml": f"{text}\n".encode()}, "chore: promote starts the syncs")


def _window(sandbox: Sandbox) -> None:
    project: dict[str, Any] = sandbox.prod.get("AppProject", "argocd", "default") or {}
    project["spec"]["syncWindows"] = [{"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["grafana"]}]
    sandbox.prod.apply(project)


def _hook_in_production(sandbox: Sandbox) -> None:
    """gitea's migration hook needs its volume, and both have been in production since yesterday."""
    folder = "apps/gitea/overlays/prod"
    sandbox.prod.apply({"kind": "Namespace", "metadata": {"name": "gitea"}})
    sandbox.prod.apply({**yaml.safe_load(CLAIM), "metadata": {"name": "gitea-data", "namespace": "gitea"}})
    files = {f"{folder}/migrate.yaml": HOOK, f"{folder}/claim.yaml": CLAIM, f"{folder}/kustomization.yaml": WITH_HOOK}
    _in_production(sandbox, files, "feat(gitea): migrate before every sync", "v1.7.5")


def _volume_back(sandbox: Sandbox) -> None:
    sandbox.prod.apply({**yaml.safe_load(CLAIM), "metadata": {"name": "gitea-data", "namespace": "gitea"}})


def _workload(kind: str, image: str) -> bytes:
    """gitea's database as a StatefulSet whose pods are only replaced when someone deletes them, or its cache as a canary that waits for approval."""
    by_hand: dict[str, Any] = {"updateStrategy": {"type": "OnDelete"}, "serviceName": "database"}
    canary = {"strategy": {"canary": {"steps": [{"setWeight": 20}, {"pause": {}}]}}}
    name, group, how = ("database", "apps/v1", by_hand) if kind == "StatefulSet" else ("cache", "argoproj.io/v1alpha1", canary)
    labels = {"app.kubernetes.io/name": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": name, "image": f"registry.example/{name}:{image}"}]}}
    spec = {"replicas": 2, **how, "selector": {"matchLabels": labels}, "template": template}
    return yaml.safe_dump({"apiVersion": group, "kind": kind, "metadata": {"name": name}, "spec": spec}).encode()


def _beside_gitea(kind: str) -> Act:
    """Such a workload has been in production since yesterday."""
    folder = "apps/gitea/overlays/prod"
    files = {f"{folder}/workload.yaml": _workload(kind, "1.0.0"), f"{folder}/kustomization.yaml": WITHOUT + b"- workload.yaml\n"}
    return lambda sandbox: _in_production(sandbox, files, "feat(gitea): another workload", "v1.7.5")


def _canary_promoted(sandbox: Sandbox) -> None:
    rollout = sandbox.prod.get("Rollout", "gitea", "cache") or {}
    status = {**rollout["status"], "phase": "Healthy", "stableRS": rollout["status"]["currentPodHash"]}
    sandbox.prod.patch("Rollout", "gitea", "cache", {"status": status})


NEW_DATABASE = {"apps/gitea/overlays/prod/workload.yaml": _workload("StatefulSet", "2.0.0")}
NEW_CACHE = {"apps/gitea/overlays/prod/workload.yaml": _workload("Rollout", "2.0.0")}
SCENARIOS: Mapping[str, Scenario] = {
    "argo-stuck": Scenario(
        "a retry of the bad commit blocks the rollback, while everything reads Synced and Healthy",
        "v2.0.0",
        "rolled_back",
        "feat(immich): what no API server takes",
        in_production_only("immich", "sync-fails"),
        settings=PATIENT_6S,
    ),
    "rollback-fails": Scenario(
        "during the rollback a hook waits for a volume that the bad version removed",
        "v1.9.0",
        "stuck",
        "feat(gitea): another database",
        {**GITEA_DOWN, "apps/gitea/overlays/prod/kustomization.yaml": WITHOUT, **plan("v1.9.0", "the old volume goes")},
        settings={'converge_timeout = "60s"': 'converge_timeout = "8s"'},
        before=(Play(argv=("status",), code=1, happens=_hook_in_production, words="gitea's hook and its volume have been there since yesterday"),),
        after=(Play(argv=("resume",), code=3, happens=_volume_back, words="$ kubectl -n gitea apply -f claim.yaml"),),
    ),
    "root-drops-child": Scenario(
        "the root removes an application, and the rollback restores it",
        "v1.8.0",
        "verified",
        "feat: homepage is retired",
        {"argocd/prod/homepage.yaml": None, **plan("v1.8.0", "homepage is gone")},
        after=(Play(argv=("rollback",), code=0, words="it was missed at once"),),
    ),
    "root-adds-child": Scenario(
        "the root adds an application, and the rollback removes it",
        "v1.8.0",
        "verified",
        "",
        {},
        _new_application,
        after=(Play(argv=("rollback",), code=0, words="the new application is not wanted"),),
    ),
    "root-keeps-child": Scenario(
        "the rollback leaves an added application behind, because the root does not prune: it needs manual action",
        "v1.8.0",
        "verified",
        "",
        {},
        both(_root_keeps, _new_application),
        settings={'converge_timeout = "60s"': 'converge_timeout = "8s"'},
        after=(
            Play(argv=("rollback",), code=4, words="the new application is not wanted"),
            Play(argv=("resume",), code=0, happens=_wiki_deleted, words="$ kubectl -n argocd delete application wiki"),
        ),
    ),
    "root-keeps-dropped": Scenario(
        "the root removes an application without pruning: refused, and with that check waived production does not match the version",
        "v1.8.0",
        "rolled_back",
        "",
        {},
        flags=("--waive", "provable=to see it stay"),
        settings=PATIENT_6S,
        before=(Play(argv=("run", "v1.8.0"), code=1, happens=_homepage_retired, words="homepage is retired, and the root does not prune"),),
    ),
    "controller-stops": Scenario(
        "Argo CD's controller stops during the checks, while everything still reads Synced and Healthy: nothing is moved",
        "v1.8.0",
        "refused",
        MESSAGE,
        GRAFANA,
        _controller_stops,
        settings={'refresh_interval = "1s"': 'refresh_interval = "1s"\nrefresh_timeout = "3s"'},
    ),
    "auto-sync-off": Scenario(
        "an application with auto-sync off would ignore the tag; with argocd.sync = request promote starts its sync",
        "v1.8.0",
        "verified",
        "",
        {},
        _ask_for_syncs,
        before=(Play(argv=("run", "v1.8.0"), code=1, happens=_auto_sync_off, words="homepage has been synced by hand since yesterday"),),
    ),
    "old-pods-stay": Scenario(
        "a StatefulSet with OnDelete keeps its old pods, while its application is Synced and Healthy",
        "v1.8.0",
        "rolled_back",
        "feat(gitea): a new database",
        NEW_DATABASE,
        before=(Play(argv=("status",), code=1, happens=_beside_gitea("StatefulSet"), words="the database has been there since yesterday"),),
    ),
    "canary-pauses": Scenario(
        "a canary pauses at its first step: the promotion is held until a person lets it go on",
        "v1.8.0",
        "stuck",
        "feat(gitea): a new cache",
        NEW_CACHE,
        settings={
            'converge_timeout = "60s"': 'converge_timeout = "6s"',
            '[post]\nevent_window = "0.75s"': '[running]\nrollout_timeout = "1s"\n\n[post]\nevent_window = "0.75s"',
        },
        before=(Play(argv=("status",), code=1, happens=_beside_gitea("Rollout"), words="the cache has been there since yesterday"),),
        after=(Play(argv=("resume",), code=0, happens=_canary_promoted, words="$ kubectl argo rollouts promote cache -n gitea"),),
    ),
    "window-denies": Scenario("a sync window would deny a sync that the promotion needs", "v1.8.0", "refused", MESSAGE, GRAFANA, _window),
    "same-cluster": Scenario("dev and production in one Argo CD", "v1.8.0", "verified", MESSAGE, GRAFANA, same_cluster=True),
}
