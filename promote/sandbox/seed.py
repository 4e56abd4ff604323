"""The realistic repository: an app-of-apps for dev and for prod, applications of every shape, a history, and the tags as they lie in the field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import yaml

ROOT = "argocd"
NAMED = (
    "grafana", "gitea", "traefik", "vault", "loki", "authentik", "homepage", "immich", "paperless", "external-dns", "cert-manager", "velero",
)  # fmt: skip
CHART_ONLY = {"cert-manager": ("https://charts.jetstack.example", "cert-manager", "v1.14.4")}
MULTI_SOURCE = {"grafana": ("https://charts.grafana.example", "grafana", "8.5.1"), "loki": ("https://charts.grafana.example", "loki", "6.12.0")}
CHARTS = {chart: version for _, chart, version in CHART_ONLY.values()} | {f"{chart}-crds": version for _, chart, version in MULTI_SOURCE.values()}
VALUES_FROM_GIT = "loki"  # its chart takes values from this repository through a third source
PLAIN = "external-dns"  # a directory of manifests, the same for dev and prod
DEGRADED = "velero"  # in prod only: its bucket has been missing since last week, and the team had no time yet


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of the history: what, who, when, which files, which tags are put on it."""

    message: str
    author: str
    when: str
    files: Mapping[str, bytes]
    tags: tuple[str, ...] = ()


def names(apps: int) -> list[str]:
    """The applications: the named ones first, generated ones beyond; never fewer than there are named ones."""
    return [*NAMED, *(f"service-{n:03}" for n in range(1, max(0, apps - len(NAMED)) + 1))]


def application(name: str, env: str, url: str, suffix: str = "") -> bytes:
    """The Application manifest of one app in one environment; `suffix` makes its name unique where both share an Argo CD."""
    target = "prod-stable" if env == "prod" else "main"
    own = {"repoURL": url, "targetRevision": target, "path": f"apps/{name}" if name == PLAIN else f"apps/{name}/overlays/{env}"}
    spec: dict[str, object] = {
        "project": "default",
        "destination": {"server": "https://kubernetes.default.svc", "namespace": name + suffix},
        "syncPolicy": {"automated": {"prune": True, "selfHeal": True}, "syncOptions": ["CreateNamespace=true"]},
    }
    if name in CHART_ONLY:
        repo, chart, version = CHART_ONLY[name]
        spec["source"] = {"repoURL": repo, "chart": chart, "targetRevision": version}
    elif name in MULTI_SOURCE:
        repo, chart, version = MULTI_SOURCE[name]
        helm: dict[str, object] = {"repoURL": repo, "chart": f"{chart}-crds", "targetRevision": version}
        spec["sources"] = [helm, own]
        if name == VALUES_FROM_GIT:
            helm["helm"] = {"valueFiles": [f"$values/apps/{name}/values.yaml"]}
            spec["sources"] = [helm, {"repoURL": url, "targetRevision": target, "ref": "values"}, own]
    else:
        spec["source"] = own
    meta = {"name": name + suffix, "namespace": "argocd", "labels": {"team": "platform"}, "finalizers": ["resources-finalizer.argocd.argoproj.io"]}
    return _yaml({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": meta, "spec": spec})


def root_application(env: str, url: str, suffix: str = "") -> dict[str, object]:
    """The app-of-apps that an administrator applied once."""
    source = {"repoURL": url, "targetRevision": "prod-stable" if env == "prod" else "main", "path": f"argocd/{env}"}
    spec = {
        "project": "default",
        "source": source,
        "destination": {"server": "https://kubernetes.default.svc", "namespace": "argocd"},
        "syncPolicy": {"automated": {"prune": True, "selfHeal": True}},
    }
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": ROOT + suffix, "namespace": "argocd"}, "spec": spec}


def deployment(name: str, *, memory: str = "128Mi", image: str = "1.0.0", behaviour: str = "") -> bytes:
    """A Deployment; `behaviour` is the sandbox's word for how its pods do (workloads.py)."""
    labels = {"app.kubernetes.io/name": name}
    annotations = {"annotations": {"sandbox.promote/behaviour": behaviour}} if behaviour else {}
    deadline = {"progressDeadlineSeconds": 5} if behaviour else {}  # the default of ten minutes is too long for a test
    container = {"name": name, "image": f"registry.example/{name}:{image}", "resources": {"limits": {"memory": memory}}}
    template = {"metadata": {"labels": labels, **annotations}, "spec": {"containers": [container]}}
    spec = {"replicas": 1, **deadline, "selector": {"matchLabels": labels}, "template": template}
    return _yaml({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels}, "spec": spec})


def service_config(name: str, *, status: int = 200, body: str = '{"status": "ok"}') -> bytes:
    """How the service of an application answers (services.py)."""
    return _yaml({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-service"}, "data": {"status": str(status), "body": body}})


def app_files(name: str) -> dict[str, bytes]:
    """The folder of one application: a base and an overlay for each environment, or plain manifests."""
    if name == PLAIN:
        return {f"apps/{name}/deployment.yaml": deployment(name), f"apps/{name}/service.yaml": service_config(name)}
    files = {f"apps/{name}/base/kustomization.yaml": _yaml({"resources": ["deployment.yaml"]}), f"apps/{name}/base/deployment.yaml": deployment(name)}
    for env in ("dev", "prod"):
        resources = ["../../base", "service.yaml"]
        if name == DEGRADED and env == "prod":
            resources = ["deployment.yaml", "service.yaml"]
            files[f"apps/{name}/overlays/prod/deployment.yaml"] = deployment(name, behaviour="never-ready")
        files[f"apps/{name}/overlays/{env}/kustomization.yaml"] = _yaml({"resources": resources})
        files[f"apps/{name}/overlays/{env}/service.yaml"] = service_config(name)
    return files


def history(apps: int, url: str, extra: Mapping[str, bytes], *, dev_suffix: str = "") -> list[Commit]:
    """Some fifteen commits by a team, oldest first, with the tags a repository like this carries."""
    every = names(apps)
    first: dict[str, bytes] = {"README.md": b"# acme/gitops\n\nDev follows main, production follows the tag prod-stable.\n", **extra}
    for env in ("dev", "prod"):
        first |= {f"argocd/{env}/{name}.yaml": application(name, env, url, dev_suffix if env == "dev" else "") for name in every}
    plain = [name for name in every if name not in CHART_ONLY]
    for name in plain:
        first |= app_files(name)
    first[f"apps/{VALUES_FROM_GIT}/values.yaml"] = _yaml({"loki": {"limits_config": {"retention_period": "744h"}}})
    ada, grace, linus = "Ada <ada@acme.example>", "Grace <grace@acme.example>", "Linus <linus@acme.example>"
    return [
        Commit("feat: applications of the platform, app-of-apps for dev and prod", ada, "2026-09-01T09:00:00Z", first),
        Commit("docs: how production is promoted", ada, "2026-09-02T10:00:00Z", {"docs/promotion.md": b"# Promotion\n\njust SendToProd v1.2.3\n"}),
        Commit("feat(traefik): 3.1", grace, "2026-09-08T14:00:00Z", _bump("traefik", "3.1.0"), ("prod-v1.7.0!",)),
        Commit("fix(vault): unseal timeout", linus, "2026-09-11T08:30:00Z", _bump("vault", "1.17.1")),
        Commit("feat(immich): 1.112", grace, "2026-09-15T16:20:00Z", _bump("immich", "1.112.0"), ("prod-v1.7.1",)),
        Commit("chore: changelog", ada, "2026-09-16T09:00:00Z", {"CHANGELOG.md": b"# Changelog\n\n## v1.7.1\n- immich 1.112\n- traefik 3.1\n"}),
        Commit("fix(loki): retention", linus, "2026-09-22T11:00:00Z", _bump("loki", "3.1.1"), ("prod-v1.7.2", "prod-working")),
        Commit("feat(homepage): new start page", grace, "2026-09-29T13:10:00Z", _bump("homepage", "0.9.5")),
        Commit("fix(paperless): consumer restarts", linus, "2026-10-05T15:00:00Z", _bump("paperless", "2.11.0"), ("prod-v1.7.3",)),
        Commit("feat(authentik): 2026.8", grace, "2026-10-12T10:45:00Z", _bump("authentik", "2026.8.1")),
        Commit(
            "fix(external-dns): owner id",
            linus,
            "2026-10-19T09:15:00Z",
            _bump("external-dns", "0.15.0"),
            ("dev-v1.7.4", "prod-v1.7.4", "prod-stable"),
        ),
        Commit("docs: runbook for velero", ada, "2026-10-26T12:00:00Z", {"docs/velero.md": b"# velero\n\nThe bucket moves in November.\n"}),
        Commit("feat(gitea): 1.22", grace, "2026-11-02T14:30:00Z", _bump("gitea", "1.22.0")),
        Commit("fix(traefik): access log", linus, "2026-11-09T16:00:00Z", _bump("traefik", "3.1.2")),
    ]


def _bump(name: str, image: str) -> dict[str, bytes]:
    folder = f"apps/{name}" if name == PLAIN else f"apps/{name}/base"
    return {f"{folder}/deployment.yaml": deployment(name, image=image)}


def _yaml(data: object) -> bytes:
    return yaml.safe_dump(data, sort_keys=False).encode()
