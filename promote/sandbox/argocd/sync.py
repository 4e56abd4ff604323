"""Argo CD's sync operations: start, apply, hooks, failure with retries on the old revision, termination. One running operation an application."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from promote.sandbox.argocd.compare import LAST_APPLIED, Revisions, differs, ident, is_hook, owned, render_at
from promote.sandbox.argocd.manifests import RenderError
from promote.sandbox.kube.store import KINDS, Object, Store, stamp
from promote.sandbox.kube.workloads import Workloads, behaviour_of

WORKLOAD_KINDS = ("Deployment", "StatefulSet", "DaemonSet")
FINALIZER = "resources-finalizer.argocd.argoproj.io"


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """How quick this cluster is, in seconds. Defaults suit tests and the demo; the real one's are in brackets."""

    poll_s: float = 180.0  # [120 + up to 60 jitter]
    ref_cache_s: float = 180.0  # [180]
    reconcile_s: float = 0.05
    sync_s: float = 0.25
    ready_s: float = 0.6
    health_lag_s: float = 0.4
    progress_deadline_s: float = 1.2  # [600]
    terminate_s: float = 0.3
    retry_limit: int = 5
    retry_s: float = 5.0
    retry_max_s: float = 180.0


@dataclass(slots=True)
class Running:
    """The operation under way: what it applies, how often it was tried, when the next thing happens, and the hook it waits for."""

    operation: Object
    revisions: list[str]
    due: float
    tries: int = 0
    hook: Object | None = None
    waiting: bool = False
    results: list[Object] = field(default_factory=list)


class Sync:
    """Runs operations. The controller calls `step` until it returns that the operation has ended."""

    def __init__(self, store: Store, revisions: Revisions, workloads: Workloads, timing: Timing) -> None:
        self.store, self.revisions, self.workloads, self.timing = store, revisions, workloads, timing
        self.running: dict[tuple[str, str], Running] = {}

    def start(self, app: Object, shown: list[str], now: float) -> None:
        """Take up `operation`: its own revision when it names one, else what the application shows."""
        operation = app["operation"]
        sync = operation.get("sync") or {}
        revisions = list(sync.get("revisions") or ([sync["revision"]] if sync.get("revision") else [])) or shown
        # An operation may name a tag; what it stands for is what the application shows.
        if not all(len(r) == 40 for r, s in zip(revisions, self._git_sources(app), strict=False) if s):
            revisions = shown
        running = Running(operation, revisions, now + self.timing.sync_s)
        self.running[key(app)] = running
        self._state(app, running, "Running", "waiting to start", finished=False)

    def _git_sources(self, app: Object) -> list[bool]:
        spec = app["spec"]
        return [not s.get("chart") for s in spec.get("sources") or [spec.get("source") or {}]]

    def step(self, app: Object, now: float) -> bool:
        """Move one application's operation on; True when it is over."""
        running = self.running[key(app)]
        phase = ((app.get("status") or {}).get("operationState") or {}).get("phase")
        if phase == "Terminating":
            if running.due > now + self.timing.terminate_s or running.waiting or running.hook:
                running.due, running.waiting, running.hook = now + self.timing.terminate_s, False, None
                return False
            if now < running.due:
                return False
            times = f" (retried {running.tries} times)." if running.tries else ""
            return self._over(app, running, "Failed", f"Operation terminated{times}")
        if now < running.due or (running.hook and self._waits(running.hook)):
            return False
        return self._attempt(app, running, now)

    def _waits(self, hook: Object) -> bool:
        """`hook-waits`: for ever; `hook-needs=CLAIM`: until that volume claim exists in its namespace, as a pod that mounts it would."""
        word, _, claim = behaviour_of(hook).partition("=")
        needs = word == "hook-needs" and self.store.get("PersistentVolumeClaim", hook["metadata"]["namespace"], claim) is None
        return word == "hook-waits" or needs

    def _attempt(self, app: Object, running: Running, now: float) -> bool:
        running.waiting, running.hook = False, None
        try:
            manifests = render_at(app, self.revisions, running.revisions)
        except RenderError as error:
            return self._failed(app, running, now, f"ComparisonError: {error}")
        hooks = [m for m in manifests if is_hook(m)]
        self._start_hooks(hooks)
        stuck = next((h for h in hooks if self._waits(h)), None)
        if stuck is not None:
            running.hook = stuck
            text = f"waiting for completion of hook batch/Job/{stuck['metadata']['name']}"
            self._state(app, running, "Running", text, finished=False)
            return False
        refused = self._apply(app, [m for m in manifests if not is_hook(m)], running)
        if refused:
            return self._failed(app, running, now, f"one or more objects failed to apply, reason: {refused[0]}")
        return self._over(app, running, "Succeeded", "successfully synced (all tasks run)")

    def _start_hooks(self, hooks: list[Object]) -> None:
        """The Jobs of the hooks, which are done at once or stay; one that is left is a resource of the application from then on."""
        for hook in hooks:
            waits = self._waits(hook)
            if not waits and "HookSucceeded" in hook["metadata"]["annotations"].get("argocd.argoproj.io/hook-delete-policy", ""):
                continue
            self.store.put({**hook, "status": {"active": 1} if waits else {"succeeded": 1}})

    def _apply(self, app: Object, manifests: list[Object], running: Running) -> list[str]:
        """Apply all manifests and return the refusals; a refused manifest does not stop the others (seen)."""
        now = running.due
        running.results, refusals = [], []
        wanted = set()
        if _makes_namespace(running):
            name = (app["spec"].get("destination") or {}).get("namespace", "default")
            if self.store.get("Namespace", "", name) is None:
                self.store.put({"kind": "Namespace", "metadata": {"name": name}})
        for manifest in manifests:
            where = ident(manifest)
            wanted.add(where)
            live = self.store.get(*where)
            if refusal := refusal_of(manifest) or self._homeless(where):
                refusals.append(refusal)
                running.results.append(self._result(where, "SyncFailed", refusal))
                continue
            verb = "created" if live is None else "configured" if differs(live, manifest) else "unchanged"
            running.results.append(self._result(where, "Synced", f"{_resource_name(where)} {verb}"))
            if differs(live, manifest):
                self._write(manifest, live, now)
        if self._prunes(app, running):  # also when something was refused (seen)
            for live in owned(self.store, app["metadata"]["name"]):
                if ident(live) not in wanted and not is_hook(live):
                    self.remove(live)
                    running.results.append(self._result(ident(live), "Pruned", "pruned"))
        return refusals

    def _homeless(self, where: tuple[str, str, str]) -> str:
        """The refusal of an object whose namespace does not exist."""
        kind, namespace, _ = where
        known = not KINDS[kind][3] or self.store.get("Namespace", "", namespace) is not None
        return "" if known else f'namespaces "{namespace}" not found'

    def _prunes(self, app: Object, running: Running) -> bool:
        automated = (app["spec"].get("syncPolicy") or {}).get("automated") or {}
        return bool((running.operation.get("sync") or {}).get("prune") or automated.get("prune"))

    def _write(self, manifest: Object, live: Object | None, now: float) -> None:
        kept: Object = {k: live[k] for k in ("status", "operation") if live and k in live}
        if live:
            there = live["metadata"].get("annotations") or {}
            applied = (json.loads(there.get(LAST_APPLIED, "{}")).get("metadata") or {}).get("annotations") or {}
            # Fields of other writers stay (a refresh request); fields of an earlier manifest that this one lacks are removed.
            annotations = {**{k: v for k, v in there.items() if k not in applied}, **manifest["metadata"]["annotations"]}
            manifest = {**manifest, "metadata": {**manifest["metadata"], "annotations": annotations}}
        written = self.store.put({**manifest, **kept})
        if manifest["kind"] in WORKLOAD_KINDS and (
            live is None or live.get("spec") != written.get("spec") or behaviour_of(live) != behaviour_of(written)
        ):
            self.workloads.applied(written, now)
        if manifest["kind"] == "Rollout" and (live is None or live.get("spec") != written.get("spec")):
            self.workloads.canary(written)

    def remove(self, obj: Object) -> None:
        """Delete an object; an Application with the cascading finalizer takes what it owns along, once its operation is over (seen)."""
        kind, meta = obj["kind"], obj["metadata"]
        if kind == "Application" and key(obj) in self.running and FINALIZER in (meta.get("finalizers") or []):
            self.store.update(kind, *key(obj), lambda o: o["metadata"].setdefault("deletionTimestamp", stamp()))
            return
        self.store.delete(*ident(obj))
        self.workloads.removed(kind, meta.get("namespace", ""), meta["name"])
        if kind == "Application":
            self.running.pop(key(obj), None)
            if FINALIZER in (meta.get("finalizers") or []):
                for child in owned(self.store, meta["name"]):
                    self.remove(child)

    @staticmethod
    def _result(where: tuple[str, str, str], status: str, message: str) -> Object:
        kind, namespace, name = where
        group, version, _, _ = KINDS[kind]
        about = {"group": group, "version": version, "kind": kind, "namespace": namespace, "name": name}
        return {**about, "status": status, "message": message, "syncPhase": "Sync", "hookPhase": "Failed" if status == "SyncFailed" else "Running"}

    def _failed(self, app: Object, running: Running, now: float, message: str) -> bool:
        """A failed attempt: Running with finishedAt set while it waits for its retry, the operation stays; after the last one Failed."""
        retry: dict[str, Any] = running.operation.get("retry") or {}
        # Argo CD retries an automated sync five times by default, a requested one never.
        limit = int(retry.get("limit", self.timing.retry_limit if (running.operation.get("initiatedBy") or {}).get("automated") else 0))
        if running.tries >= limit:
            return self._over(app, running, "Failed", message + (f" (retried {running.tries} times)." if running.tries else ""))
        wait = self._back_off(retry.get("backoff") or {}, running.tries)
        running.tries += 1
        running.due, running.waiting = now + wait, True
        text = f"{message}. Retrying attempt #{running.tries} at {stamp()[11:19]}."
        self._state(app, running, "Running", text, finished=True)
        return False

    def _back_off(self, given: Object, tries: int) -> float:
        """Seconds until the next attempt, by the policy's backoff (duration, factor, maxDuration)."""
        first, most = _seconds(given.get("duration"), self.timing.retry_s), _seconds(given.get("maxDuration"), self.timing.retry_max_s)
        factor = float(given.get("factor") or 2)
        return min(first * factor**tries, most)

    def _over(self, app: Object, running: Running, phase: str, message: str) -> bool:
        self._state(app, running, phase, message, finished=True, over=True)
        self.running.pop(key(app), None)
        return True

    def _state(self, app: Object, running: Running, phase: str, message: str, *, finished: bool, over: bool = False) -> None:
        many = bool(app["spec"].get("sources"))
        revisions: Object = {"revisions": running.revisions} if many else {"revision": running.revisions[0] if running.revisions else ""}
        source = {"sources": app["spec"]["sources"]} if many else {"source": app["spec"].get("source")}

        def write(live: Object) -> None:
            status = live.setdefault("status", {})
            before = status.get("operationState") or {}
            same = before.get("operation") == running.operation and before.get("phase") in ("Running", "Terminating")
            state = {
                "operation": running.operation,
                "phase": phase,
                "message": message,
                "startedAt": before["startedAt"] if same else stamp(),
                "syncResult": {**revisions, **source, "resources": running.results},
                **({"retryCount": running.tries} if running.tries else {}),
            }
            status["operationState"] = state | ({"finishedAt": stamp()} if finished else {})
            if over:
                live.pop("operation", None)  # also one that another client set meanwhile: it is lost
                if phase == "Succeeded":
                    history = status.setdefault("history", [])
                    by = running.operation.get("initiatedBy") or {}
                    began = state["startedAt"]
                    history.append({"id": len(history), **revisions, **source, "deployStartedAt": began, "deployedAt": stamp(), "initiatedBy": by})

        self.store.update("Application", app["metadata"]["namespace"], app["metadata"]["name"], write)


def key(app: Object) -> tuple[str, str]:
    return app["metadata"]["namespace"], app["metadata"]["name"]


def refusal_of(manifest: Object) -> str:
    """The API server's refusal of a manifest, "" when it accepts it."""
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    if behaviour_of(manifest) == "sync-fails":
        return f'{kind} "{name}" is invalid: spec: Forbidden: refused by the sandbox'
    ports = enumerate((manifest.get("spec") or {}).get("ports") or []) if kind == "Service" else ()
    wrong = [
        f"spec.ports[{n}].{key}: Invalid value: {port['port']}: must be between 1 and 65535, inclusive"
        for n, port in ports
        if not 1 <= int(port["port"]) <= 65535
        for key in ("port", *(() if "targetPort" in port else ("targetPort",)))
    ]
    return f'{kind} "{name}" is invalid: [{", ".join(wrong)}]' if wrong else ""


def _makes_namespace(running: Running) -> bool:
    """The options of the operation decide, not those of the application's policy (seen)."""
    return "CreateNamespace=true" in ((running.operation.get("sync") or {}).get("syncOptions") or [])


def _resource_name(where: tuple[str, str, str]) -> str:
    """How kubectl and a sync result call an object: configmap/x, deployment.apps/x."""
    kind, _, name = where
    return f"{kind.lower()}{f'.{KINDS[kind][0]}' if KINDS[kind][0] else ''}/{name}"


def _seconds(duration: object, otherwise: float) -> float:
    """A policy's duration: a number of seconds, or 5s, 3m, 1h."""
    text = str(duration or "")
    if not text:
        return otherwise
    return float(text) if text.isdigit() else float(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]
