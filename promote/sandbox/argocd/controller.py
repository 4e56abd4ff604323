"""Argo CD's application controller: when it reconciles an application, which status it writes, and when it syncs by itself.

One thread. It sleeps until something is due (a poll, a running operation, a rollout) or the store changes.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from promote.sandbox.argocd import windows
from promote.sandbox.argocd.compare import Revisions, app_health, compare, condition, desired, is_hook, owned, sources_of, sync_status
from promote.sandbox.argocd.manifests import RenderError
from promote.sandbox.argocd.sync import Sync, Timing, key
from promote.sandbox.kube.store import Object, Store, stamp
from promote.sandbox.kube.workloads import Workloads

REFRESH = "argocd.argoproj.io/refresh"
BUSY_S, IDLE_S = 0.04, 1.0
HEALTH_EVERY_S = 0.15
GATE_S = 20.0  # a gate that no test opens must not hang the world


@dataclass(frozen=True, slots=True)
class Gate:
    """`reached`: the reconcile has read git and waits for `opened`."""

    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)


class Controller:
    """`freeze()` stops it, `drop_next_refresh(name)` loses one refresh request as a running reconcile can.

    `overlook_next_refresh(name)` leaves one standing, unseen until the object changes again: a request that met the end of a reconcile (seen).
    `hold(name)` stops its next reconcile between reading git and writing the status, until the gate that it returns is opened.
    """

    def __init__(self, store: Store, revisions: Revisions, workloads: Workloads, timing: Timing) -> None:
        self.store, self.revisions, self.workloads, self.timing = store, revisions, workloads, timing
        self.sync = Sync(store, revisions, workloads, timing)
        self.frozen = threading.Event()
        self._dropped: set[str] = set()
        self._overlooked: dict[str, str] = {}  # name → resourceVersion with the request, "" until there is one
        self._gates: dict[str, Gate] = {}
        self._polls: dict[tuple[str, str], float] = {}
        self._due: dict[tuple[str, str], float] = {}
        self._specs: dict[tuple[str, str], str] = {}
        self._health_at = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.errors: list[str] = []

    def freeze(self) -> None:
        self.frozen.set()

    def thaw(self) -> None:
        self.frozen.clear()

    def drop_next_refresh(self, name: str) -> None:
        self._dropped.add(name)

    def overlook_next_refresh(self, name: str) -> None:
        self._overlooked[name] = ""

    def hold(self, name: str) -> Gate:
        self._gates[name] = Gate()
        return self._gates[name]

    def _overlooks(self, app: Object) -> bool:
        name, version = app["metadata"]["name"], app["metadata"]["resourceVersion"]
        if self._overlooked.get(name) == "":
            self._overlooked[name] = version
        if self._overlooked.get(name) == version:
            return True
        self._overlooked.pop(name, None)
        return False

    def start(self) -> None:
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="argocd", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        with self.store.changed:
            self.store.changed.notify_all()
        if self._thread:
            self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.is_set():
            seen = self.store.version
            busy = False if self.frozen.is_set() else self._round(time.monotonic())
            with self.store.changed:
                if self.store.version == seen or busy:
                    self.store.changed.wait(BUSY_S if busy else IDLE_S)

    def _round(self, now: float) -> bool:
        """Everything that is due, once. True when something is still under way."""
        busy = self.workloads.tick(now)
        apps = self.store.list("Application")
        for app in apps:
            busy |= self._serve(app, now)
        if now - self._health_at >= HEALTH_EVERY_S:
            self._health_at = now
            self._watch_health(apps)
        return busy

    def _serve(self, app: Object, now: float) -> bool:
        where, name = key(app), app["metadata"]["name"]
        if "deletionTimestamp" in app["metadata"]:
            if where not in self.sync.running or self.sync.step(app, now):
                self.sync.remove(app)
            return True
        if where in self.sync.running:
            if self.sync.step(app, now):
                self._due[where] = now + self.timing.health_lag_s
        elif app.get("operation") is not None and app.get("status", {}).get("sync"):
            self.sync.start(app, self._shown(app), now)
        refresh = REFRESH in (app["metadata"].get("annotations") or {})
        if refresh and name in self._dropped:
            self._dropped.discard(name)
            self._acknowledge(where)
            refresh = False
        refresh = refresh and not self._overlooks(app)
        spec = str([app["spec"].get(k) for k in ("source", "sources", "destination", "syncPolicy")])
        changed = self._specs.get(where) != spec
        due = self._due.get(where, float("inf")) <= now
        # With jitter, like timeout.reconciliation.jitter: else all applications would be read at the same moment.
        poll = now >= self._polls.setdefault(where, now + self.timing.poll_s * random.uniform(1.0, 1.3))
        if refresh or changed or due or poll:
            self._due.pop(where, None)
            self._specs[where] = spec
            self._polls[where] = now + self.timing.poll_s * random.uniform(1.0, 1.3)
            self._reconcile(app, fresh=refresh or changed, now=now)
            return True
        return where in self.sync.running or where in self._due

    def _acknowledge(self, where: tuple[str, str]) -> None:
        self.store.update("Application", *where, lambda o: (o["metadata"].get("annotations") or {}).pop(REFRESH, None))

    @staticmethod
    def _shown(app: Object) -> list[str]:
        sync = (app.get("status") or {}).get("sync") or {}
        return list(sync.get("revisions") or [sync.get("revision", "")])

    def _reconcile(self, app: Object, *, fresh: bool, now: float) -> None:
        try:
            shown, wanted = desired(app, self.revisions, since=now if fresh else None)
        except RenderError as error:
            self._write_error(app, str(error))
            return
        if gate := self._gates.pop(app["metadata"]["name"], None):
            gate.reached.set()
            gate.opened.wait(GATE_S)
        live = owned(self.store, app["metadata"]["name"])
        resources = compare(self.store, wanted, live)
        status = "OutOfSync" if any(r.get("status") == "OutOfSync" for r in resources) else "Synced"
        operation, problem = self._auto_sync(app, status, shown, wanted, resources)
        health = app_health(self.store, live, resources)

        def write(target: Object) -> None:
            (target["metadata"].get("annotations") or {}).pop(REFRESH, None)
            state = target.setdefault("status", {})
            state["sync"] = sync_status(app, status, shown)
            state["health"] = since(state.get("health"), health)
            state["resources"] = resources
            state["reconciledAt"] = stamp()
            state["sourceType"] = "Directory"
            state["summary"] = {}
            state["conditions"] = [problem] if problem else []
            if not problem:
                state.pop("conditions")
            if operation and target.get("operation") is None:
                target["operation"] = operation

        self.store.update("Application", *key(app), write)
        if operation:
            updated = self.store.get("Application", *key(app))
            if updated and updated.get("operation") is not None and key(app) not in self.sync.running:
                self.sync.start(updated, shown, now)

    def _write_error(self, app: Object, message: str) -> None:
        """A ComparisonError: sync Unknown, the revision is the tag's own name, health stays what it was."""
        literal = [s.get("targetRevision") or "HEAD" for s in sources_of(app)]

        def write(target: Object) -> None:
            (target["metadata"].get("annotations") or {}).pop(REFRESH, None)
            state = target.setdefault("status", {})
            state["sync"] = sync_status(app, "Unknown", literal)
            state["reconciledAt"] = stamp()
            state.setdefault("health", {"status": "Healthy"})
            state["conditions"] = [
                condition("ComparisonError", f"Failed to load target state: failed to generate manifest for source 1 of 1: {message}")
            ]

        self.store.update("Application", *key(app), write)

    def _auto_sync(
        self, app: Object, status: str, shown: list[str], wanted: list[Object], resources: list[Object]
    ) -> tuple[Object | None, Object | None]:
        """(operation to start, condition to show)."""
        policy = app["spec"].get("syncPolicy") or {}
        automated = policy.get("automated")
        if (
            status != "OutOfSync"
            or automated is None
            or automated.get("enabled") is False
            or app.get("operation") is not None
            or key(app) in self.sync.running
        ):
            return None, None
        # An empty folder would prune everything: only allowEmpty permits that.
        if not any(not is_hook(m) for m in wanted) and resources and automated.get("prune") and not automated.get("allowEmpty"):
            text = f"Skipping sync attempt to {listed(shown)}: auto-sync will wipe out all resources"
            return None, condition("SyncError", text)
        # Only objects to prune differ, and pruning is off: a sync would change nothing, again and again.
        if not automated.get("prune") and all(r.get("requiresPruning") for r in resources if r.get("status") == "OutOfSync"):
            return None, None
        last = (app.get("status") or {}).get("operationState") or {}
        result = last.get("syncResult") or {}
        same = (result.get("revisions") or [result.get("revision")]) == shown
        # A failed revision is not tried again by itself: a new commit or a user has to start it.
        if same and last.get("phase") in ("Failed", "Error"):
            return None, condition("SyncError", f"Failed last sync attempt to {listed(shown)}: {last.get('message', '')}")
        # The revision was applied, so the cluster has drifted: only selfHeal acts on that.
        if same and last.get("phase") == "Succeeded" and not automated.get("selfHeal"):
            return None, None
        if self._denied(app):
            return None, None
        sync: Object = {"revisions": shown, "sources": app["spec"]["sources"]} if app["spec"].get("sources") else {"revision": shown[0]}
        sync |= {k: app["spec"]["source"] for k in ("source",) if not app["spec"].get("sources")}
        sync |= {"syncOptions": policy["syncOptions"]} if policy.get("syncOptions") else {}
        retry = policy.get("retry") or {"limit": self.timing.retry_limit}
        return {"initiatedBy": {"automated": True}, "retry": retry, "sync": {**sync, "prune": bool(automated.get("prune"))}}, None

    def _denied(self, app: Object) -> bool:
        project = self.store.get("AppProject", "argocd", app["spec"].get("project", "default"))
        declared = ((project or {}).get("spec") or {}).get("syncWindows") or []
        return windows.denied(app, declared, datetime.now(UTC))

    def _watch_health(self, apps: Iterable[Object]) -> None:
        """Health follows the live objects without a reconcile (seen: reconciledAt does not move); not while the last sync's lag lasts."""
        for app in apps:
            if key(app) in self._due or not (app.get("status") or {}).get("health"):
                continue
            health = app_health(self.store, owned(self.store, app["metadata"]["name"]), app["status"].get("resources") or [])
            if health["status"] != app["status"]["health"]["status"]:
                shown = since(app["status"]["health"], health)
                self.store.update("Application", *key(app), lambda o, h=shown: o["status"].update(health=h))  # type: ignore[misc]


def since(before: Object | None, now: Object) -> Object:
    """With the time of its last change (3.0 and newer)."""
    same = before is not None and before["status"] == now["status"] and "lastTransitionTime" in before
    return {**now, "lastTransitionTime": before["lastTransitionTime"] if same and before else stamp()}


def listed(revisions: list[str]) -> str:
    """How Argo CD prints several values."""
    return f"[{' '.join(revisions)}]"
