"""One hundred applications: how long until they are proven, against what Argo CD itself needs and against waiting for its poll; and a rollback.

Everything in one run on one stack. Prints and returns lines of a table; judges nothing.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from promote.argocd.client import ArgoCD
from promote.config.schema import ArgoCD as ArgoSettings
from promote.config.schema import ProdCluster, Settings
from promote.convergence.application_status import Goal
from promote.convergence.wait import ConvergenceResult, converge
from promote.core.deadline import Deadline
from promote.core.model import Verdict
from promote.git.url import Addresses
from promote.kube.client import Kube
from tests.contract.api import ARGO, Object
from tests.contract.place import AUTOMATED, config_map, refused_service
from tests.realstack.waits.judges import baseline
from tests.realstack.waits.scene import TAG, Scene, at_rest, waits_for_retry

POLL_LIMIT_S = 460.0


class Fleet:
    """`count` applications of one repository, each a ConfigMap of its own; `log` is the application controller's."""

    def __init__(self, scene: Scene, kube: Kube, log: Path, count: int) -> None:
        self.scene, self.kube, self.log, self.count = scene, kube, log, count
        self.lines: list[str] = []

    def say(self, what: str, result: str) -> None:
        print(f"{what}: {result}", flush=True)
        self.lines.append(f"| {what} | {result} |")

    def files(self, text: str, changed: int) -> dict[str, bytes | None]:
        return {f"apps/{n}/map.yaml": config_map(f"map-{n}", key=text) for n in range(changed)}

    def apps(self) -> list[Object]:
        return self.scene.api.items(f"{ARGO}/applications", labelSelector=self.scene.selector)

    def start(self) -> str:
        first = self.scene.commit(self.files("first", self.count))
        self.scene.move(first)
        started = time.monotonic()
        for n in range(self.count):
            self.scene.app(f"a{n}", path=f"apps/{n}", syncPolicy={**AUTOMATED, "retry": {"limit": 9}})
        self._until(lambda: len(found := self.apps()) == self.count and all(at_rest(a) and shows(a, first) for a in found), 300)
        self.say(f"{self.count} applications created → all settled", f"{time.monotonic() - started:.1f} s")
        return first

    def _until(self, test: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not test():
            assert time.monotonic() < end, f"not within {seconds:.0f} s"
            time.sleep(0.25)

    def promote(
        self, commit: str, *, successes: int = 3, poll_interval: float = 2.0, rollback: bool = False, before: object = None
    ) -> ConvergenceResult:
        """The tag is at `commit` now: until promote has proven all of them."""
        argo = replace(ArgoSettings(), converge_timeout=600.0, successes=successes, poll_interval=poll_interval)
        settings = Settings(root=Path(), prod=ProdCluster(root_app="", selector=self.scene.selector), argocd=argo)
        goal = Goal(commit=commit, accepted=frozenset({commit}), names=frozenset({TAG}), repository=Addresses.of(self.scene.repo.url), root="")
        argocd = ArgoCD(self.kube, settings.prod.namespaces, self.scene.selector)
        return converge(argocd, goal, baseline=before or {}, t_before=datetime.now(UTC), settings=settings, deadline=Deadline(600), rollback=rollback)

    def moved(self, what: str, text: str, changed: int) -> None:
        """Move the tag to a commit that changes so many; promote's time, and when Argo CD itself was ready by its own log."""
        new = self.scene.commit(self.files(text, changed))
        before = baseline(self.kube, self.scene)
        size, began = self.log.stat().st_size, time.time()
        self.scene.move(new)
        started = time.monotonic()
        result = self.promote(new, before=before)
        seconds = time.monotonic() - started
        assert result.verdict is Verdict.PASSED, result.reason
        own = self._own(size, began, new)
        self.say(
            what,
            f"promote has verified all {self.count} after {seconds:.1f} s; in Argo CD's own log the last of them is at the commit after {own:.0f} s",
        )

    def _own(self, offset: int, began: float, commit: str) -> float:
        """Seconds from the move to the last line in which the controller ends a first reconcile or a sync of one of ours (stamps are whole seconds)."""
        reconciled: dict[str, float] = {}
        synced = 0.0
        with self.log.open(errors="replace") as log:
            log.seek(offset)
            for line in log:
                if self.scene.place.namespace not in line:
                    continue
                at = stamp(line)
                if "Reconciliation completed" in line and (name := app_of(line)):
                    reconciled.setdefault(name, at)
                if commit in line and "succeeded" in line:
                    synced = max(synced, at)
        assert len(reconciled) >= self.count, f"{len(reconciled)} of {self.count} in the log"
        return max(synced, *reconciled.values()) - began

    def polled(self, text: str) -> None:
        """Without any request: when each application shows the new commit by itself."""
        new = self.scene.commit(self.files(text, 1))
        self.scene.move(new)
        started, seen = time.monotonic(), dict[str, float]()
        while len(seen) < self.count and (passed := time.monotonic() - started) < POLL_LIMIT_S:
            for app in self.apps():
                if shows(app, new):
                    seen.setdefault(app["metadata"]["name"], passed)
            time.sleep(1)
        at = sorted(seen.values())
        late = f"; {self.count - len(at)} had not after {POLL_LIMIT_S:.0f} s" if len(at) < self.count else ""
        self.say(
            "the same without a refresh, waiting for Argo CD's poll",
            f"first {at[0]:.0f} s, median {statistics.median(at):.0f} s, last {at[-1]:.0f} s{late}",
        )

    def stuck(self, **limits: float) -> None:
        """A commit with a refused object is being retried; failed verdict → tag back → proven back."""
        old = self.scene.repo.writer.holds(f"refs/tags/{TAG}^{{commit}}")
        before = baseline(self.kube, self.scene)
        self.scene.move(self.scene.commit({"apps/0/bad.yaml": refused_service(), "apps/0/map.yaml": config_map("map-0", key="bad")}))
        self.scene.refresh("a0")
        self.scene.api.wait(self.scene.place.name("a0"), waits_for_retry)
        started = time.monotonic()
        self.scene.move(old)
        result = self.promote(old, rollback=True, before=before, **limits)  # type: ignore[arg-type]
        assert result.verdict is Verdict.PASSED, result.reason
        how = f"successes = {limits.get('successes', 3)}, poll_interval = {limits.get('poll_interval', 2)} s"
        self.say(
            f"failed verdict, one application stuck in a retry → rollback of all {self.count} verified ({how})", f"{time.monotonic() - started:.1f} s"
        )
        self.scene.commit({"apps/0/bad.yaml": None})


def shows(app: Object, commit: str) -> bool:
    sync = (app.get("status") or {}).get("sync") or {}
    return sync.get("revision") == commit and sync.get("status") == "Synced"


def stamp(line: str) -> float:
    found = re.search(r'"?time"?[=:]"([^"]+)"', line)
    return datetime.fromisoformat(found[1]).timestamp() if found else 0.0


def app_of(line: str) -> str:
    found = re.search(r'"?application"?[=:]"?([\w./-]+)', line)
    return found[1] if found else ""


def measure(scene: Scene, kube: Kube, log: Path, count: int, *, poll: bool) -> list[str]:
    """The lines of the table."""
    fleet = Fleet(scene, kube, log, count)
    fleet.start()
    fleet.moved(f"tag moved, 1 of {count} changed", "second", 1)
    fleet.moved(f"tag moved, all {count} changed", "third", count)
    fleet.stuck()
    fleet.stuck(poll_interval=1.0)
    if poll:
        fleet.polled("fourth")
    return fleet.lines
