"""What keeps an OutOfSync application from being synced now: a sync window, or its turn in an ApplicationSet. The loop names it in its reasons."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from promote.argocd.application import Application
from promote.argocd.application_sets import synced_in_steps
from promote.argocd.client import ArgoCD
from promote.argocd.projects import Project
from promote.argocd.sync_windows import BadWindow, denial
from promote.core.errors import Denied, NotFound


@dataclass(kw_only=True, slots=True)
class Blocked:
    """Reads each project and each ApplicationSet once. `manual`: promote starts the syncs, which some windows permit."""

    argocd: ArgoCD
    manual: bool
    _projects: Mapping[str, Project] | None = None
    _in_steps: dict[str, bool] = field(default_factory=dict)

    def reasons(self, unsynced: Collection[Application], present: Iterable[Application], now: datetime) -> dict[str, str]:
        """By key of the `unsynced` applications, what blocks their syncs now; a refused sync shows only as OutOfSync. `present`: all applications."""
        if unsynced and self._projects is None:
            try:
                self._projects = self.argocd.projects(present)
            except (Denied, NotFound):  # the check sync-windows requires them before the move; here they only serve a message
                self._projects = {}
        denied = {a.key: self._denial(a, p, now) for a in unsynced if (p := (self._projects or {}).get(a.project))}
        waiting = {a.key: f"waits for its step of ApplicationSet {a.owner}" for a in unsynced if self.in_steps(a)}
        return waiting | {key: why for key, why in denied.items() if why}

    def in_steps(self, app: Application) -> bool:
        """Whether an ApplicationSet starts its syncs. Without the right to read it, yes."""
        if app.key not in self._in_steps:
            try:
                self._in_steps[app.key] = app.key in synced_in_steps(self.argocd.kube, [app])
            except Denied:  # the check auto-sync requires this right; a sync out of order could not be taken back
                self._in_steps[app.key] = True
        return self._in_steps[app.key]

    def _denial(self, app: Application, project: Project, now: datetime) -> str:
        try:
            return denial(app, project, now, manual=self.manual)
        except BadWindow as bad:
            return bad.what
