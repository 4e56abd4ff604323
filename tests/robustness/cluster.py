"""A cheap production for the proofs: Argo CD's applications behind the calls of `Kube`, and a clock that only moves when a caller sleeps.

`Cluster` shows the tag late, or from a cache, or never, or breaks at a commit, by its `Ways`; the running commit is kept apart from the shown one
(`Part.runs`, `Part.seen_at`), so a proof can be held against it. Its own clock may be wrong. `Frozen` shows the same for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from promote.argocd.client import ArgoCD
from promote.core.deadline import Clock
from tests.support.manifests import child, made_by

REFRESH = "argocd.argoproj.io/refresh"
POLL_S = 180.0  # Argo CD looks by itself so often
ROOT = "argocd"


class Time:
    """A clock for `Tools` and `Deadline`. `events` are called once, in order, when their second has come."""

    def __init__(self, begun: datetime | None = None) -> None:
        self.begun, self.passed = begun or datetime.now(UTC), 0.0
        self.events: list[tuple[float, Callable[[], None]]] = []

    def sleep(self, seconds: float) -> None:
        self.passed += seconds
        due = [e for e in self.events if e[0] <= self.passed]
        self.events = [e for e in self.events if e[0] > self.passed]
        for _, act in sorted(due, key=lambda e: e[0]):
            act()

    def now(self) -> datetime:
        return self.begun + timedelta(seconds=self.passed)

    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.passed, sleep=self.sleep, now=self.now)


@dataclass(frozen=True)
class Ways:
    """How one application behaves, in seconds. `stale`: so many looks at the tag are answered with its former value. `deaf`: it never looks again.

    `breaks`: commits that it is not well at, and how (a health, "sync" for a failed sync, "hook" for a failed hook under a Synced surface,
    "prune" for OutOfSync that stays). `degraded`: it is Degraded whatever the commit.
    """

    lag: float = 1.0
    stale: int = 0
    takes: float = 2.0
    rolls: float = 3.0
    deaf: bool = False
    breaks: Mapping[str, str] = field(default_factory=dict)
    degraded: bool = False


@dataclass
class Part:
    """One application: the shown state and the true one."""

    name: str
    ways: Ways
    shown: str
    runs: str
    reconciled: float = -1000.0
    seen_at: float = -1000.0  # when the value it acts on was read from the tag
    asked: float | None = None
    marked: bool = False
    syncing: tuple[float, str] | None = None
    ended: tuple[float, str, str] = (-1000.0, "Succeeded", "")
    rolled: float = -1000.0
    memory: list[str] = field(default_factory=list)
    version: int = 1


HOST = "https://kubernetes.default.svc"


class Cluster:
    """`stable` answers the commit that the remote's tag is at now, "" when there is none; `skew` is how far this cluster's clock is ahead of ours."""

    def __init__(self, time: Time, repository: str, stable: Callable[[], str], ways: Mapping[str, Ways], *, skew: float = 0.0) -> None:
        self.time, self.repository, self.stable, self.skew = time, repository, stable, skew
        start = stable()
        self.parts = {name: Part(name=name, ways=how, shown=start, runs=start, memory=[start]) for name, how in ways.items()}

    def argocd(self) -> ArgoCD:
        kube: Any = self
        return ArgoCD(kube, ["argocd"])

    # -- as `promote.kube.client.Kube` ------------------------------------------------------------------------------------------------

    host = HOST

    def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        self._catch_up()
        return [self._manifest(part) for part in self.parts.values()] if path.endswith("/applications") else []

    def get(self, path: str) -> dict[str, Any]:
        return {}

    def text(self, path: str) -> str:
        return ""

    def merge_patch(self, path: str, body: Mapping[str, Any], *, repeatable: bool = False) -> dict[str, Any]:
        part = self.parts[path.rpartition("/")[2]]
        notes = (body.get("metadata") or {}).get("annotations") or {}
        if REFRESH in notes:
            part.marked = bool(notes[REFRESH])
            if part.marked and part.asked is None:  # in Argo CD's queue once, however often it is asked
                part.asked = self.time.passed
        elif body.get("operation"):
            part.syncing = (self.time.passed, part.shown)
        elif ((body.get("status") or {}).get("operationState") or {}).get("phase") == "Terminating" and part.syncing:
            part.syncing, part.ended = None, (self.time.passed, "Failed", part.syncing[1])
        part.version += 1
        return {}

    # -- as Argo CD --------------------------------------------------------------------------------------------------------------------

    def _catch_up(self) -> None:
        for part in self.parts.values():
            self._reconcile(part)
            self._sync(part)

    def _reconcile(self, part: Part) -> None:
        now, ways = self.time.passed, part.ways
        asked = part.asked is not None and now - part.asked >= ways.lag
        if ways.deaf or not (asked or now - part.reconciled >= POLL_S):
            return
        part.asked, part.marked, part.reconciled, part.version = None, False, now, part.version + 1
        there = self.stable()
        if there and there != part.memory[-1]:
            part.memory += [part.memory[-1]] * ways.stale + [there]  # the repo-server's cache
        if len(part.memory) > 1:
            part.memory.pop(0)
        fresh = part.memory[0] == there
        part.shown, part.seen_at = (there, now) if fresh else (part.memory[0], part.seen_at)
        tried = part.ended[2] == part.shown and part.ended[1] != "Succeeded"
        if part.runs != part.shown and part.syncing is None and not tried:
            part.syncing = (now, part.shown)

    def _sync(self, part: Part) -> None:
        if part.syncing is None or self.time.passed - part.syncing[0] < part.ways.takes:
            return
        began, commit = part.syncing
        how = part.ways.breaks.get(commit, "")
        end = began + part.ways.takes
        part.syncing, part.ended, part.version = None, (end, "Failed" if how in ("sync", "hook") else "Succeeded", commit), part.version + 1
        if how != "sync":
            part.rolled, part.runs = end, commit

    def well(self, part: Part) -> bool:
        """Whether it truly is: the commit that runs does not break it, and it has rolled out."""
        return not part.ways.degraded and not part.ways.breaks.get(part.runs) and self.time.passed - part.rolled >= part.ways.rolls

    def _health(self, part: Part) -> str:
        how = part.ways.breaks.get(part.runs, "")
        if part.ways.degraded or how == "Degraded":
            return "Degraded"
        return "Progressing" if how == "Progressing" or self.time.passed - part.rolled < part.ways.rolls else "Healthy"

    def _workload(self, part: Part) -> dict[str, Any]:
        """Its only resource, with the health that Argo CD shows of it where it is configured to: the reason of the application's own."""
        name = {"group": "apps", "kind": "Deployment", "namespace": part.name, "name": part.name}
        return {**name, "status": "Synced", "health": {"status": self._health(part)}}

    def _stamp(self, second: float) -> str:
        return (self.time.begun + timedelta(seconds=second + self.skew)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _manifest(self, part: Part) -> dict[str, Any]:
        source = {"repoURL": self.repository, "path": part.name, "targetRevision": "prod-stable"}
        ended, phase, commit = part.ended
        state = {"phase": phase, "finishedAt": self._stamp(ended), "syncResult": {"revision": commit or part.runs}}
        if part.syncing:
            state = {"phase": "Running", "syncResult": {"revision": part.syncing[1]}}
        synced = part.runs == part.shown and part.ways.breaks.get(part.runs) != "prune"
        status = {
            "sync": {"status": "Synced" if synced else "OutOfSync", "revision": part.shown},
            "health": {"status": self._health(part)},
            "operationState": state,
            "reconciledAt": self._stamp(part.reconciled),
            "resources": [child(name) for name in self.parts if name != ROOT] if part.name == ROOT else [self._workload(part)],
        }
        notes = ({} if part.name == ROOT else made_by(ROOT)) | ({REFRESH: "normal"} if part.marked else {})
        meta = {"name": part.name, "namespace": "argocd", "resourceVersion": str(part.version), "annotations": notes, "uid": part.name}
        spec = {"source": source, "destination": {"namespace": part.name}, "syncPolicy": {"automated": {"prune": True, "selfHeal": True}}}
        return {"metadata": meta, "spec": spec, "status": status, **({"operation": {"sync": {}}} if part.syncing else {})}


class Frozen:
    """A cluster whose applications never change, whatever is asked of them: `before` at the first look, `after` at all later ones."""

    host = HOST

    def __init__(self, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
        self.before, self.after, self.looks = before, after, 0

    def argocd(self) -> ArgoCD:
        kube: Any = self
        return ArgoCD(kube, ["argocd"])

    def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        self.looks += 1
        return self.before if self.looks == 1 else self.after

    def get(self, path: str) -> dict[str, Any]:
        return {}

    def merge_patch(self, path: str, body: Mapping[str, Any], *, repeatable: bool = False) -> dict[str, Any]:
        return {}
