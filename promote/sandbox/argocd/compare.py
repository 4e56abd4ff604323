"""Argo CD's comparison: git against the cluster, as the controller of 3.2.11 reports it in an Application's status. Applies nothing."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from promote.sandbox.argocd.manifests import RenderError, Repository, chart_manifests, render, resolve
from promote.sandbox.kube.store import KINDS, Object, Store, stamp
from promote.sandbox.kube.workloads import health_of

TRACKING = "argocd.argoproj.io/tracking-id"  # the default of Argo CD 3; before, it was a label
HEALTH_IGNORED = "argocd.argoproj.io/ignore-healthcheck"
LAST_APPLIED = "sandbox.promote/last-applied"
SEVERITY = ("Healthy", "Suspended", "Progressing", "Missing", "Degraded", "Unknown")
# Kinds that Argo CD knows a health for: only of these can an object that is not there make its application Missing.
JUDGED = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Pod", "Service", "Ingress", "PersistentVolumeClaim", "Job")
_SERVER_SET = ("resourceVersion", "uid", "creationTimestamp")


class Revisions:
    """The repo-server's view of the repositories: refs are cached for `ttl` seconds unless a refresh asks for a look of its own time."""

    def __init__(self, repositories: Mapping[str, Path], ttl: float) -> None:
        self._paths, self._ttl = repositories, ttl
        self._known: dict[str, Repository] = {}
        self._refs: dict[str, tuple[float, dict[str, str]]] = {}
        self._lock = threading.Lock()

    def repository(self, url: str) -> Repository:
        path = self._paths.get(url) or self._paths.get(url.removesuffix(".git")) or self._paths.get(f"{url}.git")
        if path is None:
            raise RenderError(f"failed to list refs: repository not found: {url}")
        if (known := self._known.get(url)) is None or known.path != path:  # a port is used again, and another repository is behind its address
            known = self._known[url] = Repository(path)
            self._refs.pop(url, None)
        return known

    def resolve(self, url: str, target: str, *, since: float | None) -> str:
        """`since`: a monotonic time; only a read after it counts, because the request was seen then."""
        repository = self.repository(url)
        with self._lock:
            at, refs = self._refs.get(url, (-1e9, {}))
            now = time.monotonic()
            if at < (now - self._ttl if since is None else since):
                refs = repository.refs()
                self._refs[url] = (now, refs)
        return resolve(refs, target)


def sources_of(app: Object) -> list[Object]:
    spec = app["spec"]
    return list(spec.get("sources") or ([spec["source"]] if spec.get("source") else []))


def desired(app: Object, revisions: Revisions, *, since: float | None) -> tuple[list[str], list[Object]]:
    """(revision per source, manifests with tracking). Raises RenderError."""
    shown: list[str] = []
    found: list[Object] = []
    namespace = (app["spec"].get("destination") or {}).get("namespace", "default")
    for source in sources_of(app):
        if source.get("chart"):
            # A chart's revision is its version: there is no commit.
            shown.append(source["targetRevision"])
            found += chart_manifests(app["metadata"]["name"], namespace, source)
            continue
        commit = revisions.resolve(source["repoURL"], source.get("targetRevision") or "HEAD", since=since)
        shown.append(commit)
        found += render(revisions.repository(source["repoURL"]), commit, source)
    return shown, [tracked(app, manifest, namespace) for manifest in found if manifest["kind"] in KINDS]


def render_at(app: Object, revisions: Revisions, at: list[str]) -> list[Object]:
    """The manifests of an application at given revisions (an operation applies what it was started with)."""
    namespace = (app["spec"].get("destination") or {}).get("namespace", "default")
    found: list[Object] = []
    for source, commit in zip(sources_of(app), at, strict=False):
        if source.get("chart"):
            found += chart_manifests(app["metadata"]["name"], namespace, source)
        else:
            found += render(revisions.repository(source["repoURL"]), commit, source)
    return [tracked(app, manifest, namespace) for manifest in found if manifest["kind"] in KINDS]


def tracked(app: Object, manifest: Object, namespace: str) -> Object:
    """A manifest as it is applied: destination namespace, tracking annotation, and a copy of itself to compare with later."""
    kind, meta = manifest["kind"], dict(manifest["metadata"])
    group, _, _, namespaced = KINDS[kind]
    if namespaced:
        # The destination's namespace is only for objects that name none.
        meta.setdefault("namespace", namespace)
    else:
        meta.pop("namespace", None)
    where = meta.get("namespace", "") if namespaced else ""
    applied = json.dumps({**manifest, "metadata": meta}, sort_keys=True, default=str)
    annotations = {
        **(meta.get("annotations") or {}),
        TRACKING: f"{app['metadata']['name']}:{group}/{kind}:{where}/{meta['name']}",
        LAST_APPLIED: applied,
    }
    return {**manifest, "metadata": {**meta, "annotations": annotations}}


def is_hook(obj: Object) -> bool:
    return "argocd.argoproj.io/hook" in (obj["metadata"].get("annotations") or {})


def owned(store: Store, name: str) -> list[Object]:
    """Live objects that carry this application's tracking annotation."""
    prefix = f"{name}:"
    return [
        o for kind in KINDS for o in store.list(kind, None, lambda o: (o["metadata"].get("annotations") or {}).get(TRACKING, "").startswith(prefix))
    ]


def differs(live: Object | None, wanted: Object) -> bool:
    if live is None:
        return True
    applied: dict[str, str] = wanted["metadata"]["annotations"]
    return (live["metadata"].get("annotations") or {}).get(LAST_APPLIED) != applied[LAST_APPLIED]


def compare(store: Store, wanted: list[Object], live_owned: list[Object]) -> list[Object]:
    """status.resources: every wanted or owned object with its sync status; no health in it, like 3.0 and newer."""
    entries: dict[tuple[str, str, str], Object] = {}
    for manifest in wanted:
        if is_hook(manifest):
            continue
        key = ident(manifest)
        live = store.get(*key)
        entries[key] = resource(key, "OutOfSync" if differs(live, manifest) else "Synced")
    for live in live_owned:
        if is_hook(live):
            entry = resource(ident(live), "")
            entries[ident(live)] = {**{k: v for k, v in entry.items() if k != "status"}, "hook": True, "requiresPruning": True}
        elif ident(live) not in entries:
            entries[ident(live)] = {**resource(ident(live), "OutOfSync"), "requiresPruning": True}
    return [entries[k] for k in sorted(entries)]


def ident(obj: Object) -> tuple[str, str, str]:
    kind, meta = obj["kind"], obj["metadata"]
    return kind, meta.get("namespace", "") if KINDS[kind][3] else "", meta["name"]


def resource(key: tuple[str, str, str], status: str) -> Object:
    kind, namespace, name = key
    group, version, _, _ = KINDS[kind]
    entry: Object = {"kind": kind, "name": name, "status": status, "version": version}
    return entry | ({"group": group} if group else {}) | ({"namespace": namespace} if namespace else {})


def app_health(store: Store, live: list[Object], resources: list[Object]) -> Object:
    """The worst of its live objects, without a reason (seen); child Applications do not count (since 1.8); an object that is missing is Missing."""
    worst = "Healthy"
    for obj in live:
        left_out = obj["kind"] in ("Application", "Pod") or is_hook(obj) or (obj["metadata"].get("annotations") or {}).get(HEALTH_IGNORED) == "true"
        status = "Healthy" if left_out else health_of(obj)[0]
        if SEVERITY.index(status) > SEVERITY.index(worst):
            worst = status
    absent = [r for r in resources if r.get("status") == "OutOfSync" and store.get(r["kind"], r.get("namespace", ""), r["name"]) is None]
    if any(r["kind"] in JUDGED for r in absent) and SEVERITY.index(worst) < SEVERITY.index("Missing"):
        worst = "Missing"
    return {"status": worst}


def compared_to(app: Object) -> Object:
    spec = app["spec"]
    key = "sources" if spec.get("sources") else "source"
    return {key: spec.get(key), "destination": spec.get("destination")}


def sync_status(app: Object, status: str, shown: list[str]) -> Object:
    """status.sync: `revisions` for several sources, `revision` for one."""
    many = bool(app["spec"].get("sources"))
    revision: dict[str, Any] = {"revisions": shown} if many else {"revision": shown[0] if shown else ""}
    return {"status": status, **revision, "comparedTo": compared_to(app)}


def condition(kind: str, message: str) -> Object:
    return {"type": kind, "message": message, "lastTransitionTime": stamp()}


def shows(app: dict[str, Any], url: str, tracked: Mapping[str, str]) -> bool:
    """Every source of ours is at the commit that its target revision means."""
    spec, sync = app["spec"], app["status"]["sync"]
    sources, revisions = spec.get("sources") or [spec["source"]], sync.get("revisions") or [sync.get("revision")]
    pairs = [(s["targetRevision"], revision) for s, revision in zip(sources, revisions, strict=False) if s["repoURL"] == url]
    return all(revision == tracked.get(target, revision) for target, revision in pairs)


def at_rest(app: dict[str, object]) -> bool:
    """Synced, no operation, and looked at since the last one ended."""
    status = app.get("status")
    if not isinstance(status, dict) or app.get("operation") is not None:
        return False
    state = status.get("operationState") or {}
    seen_since = str(status.get("reconciledAt", "")) >= str(state.get("finishedAt", ""))
    return bool(
        (status.get("sync") or {}).get("status") == "Synced" and (status.get("health") or {}).get("status") in ("Healthy", "Degraded") and seen_since
    )
