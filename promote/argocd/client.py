"""Argo CD through its Application resources: list, ask for a refresh, end a stuck operation, start a sync. Knows no promotion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from promote.argocd.application import REFRESH, Application, parse_application
from promote.core.errors import NotFound, Unreachable
from promote.kube.client import IN_FLIGHT, Conflict, Kube

API = "/apis/argoproj.io/v1alpha1"


class ArgoCD:
    """The applications of some namespaces of one cluster, narrowed by a label selector."""

    def __init__(self, kube: Kube, namespaces: Sequence[str], selector: str = "") -> None:
        self.kube, self._namespaces, self._selector = kube, list(namespaces), selector

    def manifests(self) -> list[dict[str, Any]]:
        """Every Application as the API server has it, in one paged list a namespace."""
        query = {"labelSelector": self._selector} if self._selector else {}
        return [item for ns in self._namespaces for item in self.kube.items(f"{API}/namespaces/{ns}/applications", **query)]

    def applications(self) -> tuple[Application, ...]:
        return tuple(map(parse_application, self.manifests()))

    def refresh(self, apps: Iterable[Application]) -> bool:
        """Ask for a fresh look (`normal`: a hard one would drop caches and can kill a controller). Its removal by Argo CD is the receipt.

        A request that still stands is taken back and made again: one that met the end of a running reconcile is not seen, however often it is
        repeated, because an equal annotation is no change (seen on 3.2.11: 1 of 360 refreshes, unanswered until the next poll).
        Side by side, since one after another 100 patches took 3.8 s. Every one is tried; one that is gone meanwhile is passed over.
        Raises Unreachable afterwards when some could not be asked.
        """
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            failed = [error for error in pool.map(self._refresh_one, apps) if error]
        if failed:
            raise failed[0]
        return True

    def _refresh_one(self, app: Application) -> Unreachable | None:
        try:
            if app.refresh_pending:
                self.kube.merge_patch(_path(app), {"metadata": {"annotations": {REFRESH: None}}}, repeatable=True)
            self.kube.merge_patch(_path(app), {"metadata": {"annotations": {REFRESH: "normal"}}}, repeatable=True)
        except NotFound:
            return None
        except Unreachable as error:
            return error
        return None

    def terminate(self, app: Application) -> bool:
        """End the operation that was seen in `app`; False when it changed meanwhile (look again).

        Never sent when `operation` is null: nothing would clear the phase. The resourceVersion guards against ending another operation.
        """
        if not app.in_progress:
            return False
        body = {"metadata": {"resourceVersion": app.resource_version}, "status": {"operationState": {"phase": "Terminating"}}}
        try:
            self.kube.merge_patch(_path(app), body)
        except (Conflict, NotFound):
            return False
        return True

    def request_sync(self, app: Application, *, who: str, prune: bool = False) -> bool:
        """Start a sync to what the application tracks; False when one runs, or the application is going or changed meanwhile.

        `prune`: as its own automated policy would; its syncOptions go along, since an operation has only those it names
        (seen). While an operation runs the controller throws such a request away, so it is not sent.
        """
        if app.in_progress or app.deleting:
            return False
        operation = {
            "initiatedBy": {"username": who},
            "info": [{"name": "Reason", "value": "promote"}],
            "sync": {"prune": prune, "syncStrategy": {"hook": {}}, "syncOptions": list(app.sync_options)},
        }
        try:
            self.kube.merge_patch(_path(app), {"metadata": {"resourceVersion": app.resource_version}, "operation": operation})
        except (Conflict, NotFound):
            return False
        return True

    def sync_windows(self, projects: Iterable[tuple[str, str]]) -> dict[str, list[dict[str, Any]]]:
        """The raw syncWindows of each project, by project name; (namespace, project) pairs in. Absent projects have none.

        Projects live in Argo CD's own namespace, which is not that of every application: the configured ones are asked in turn.
        """
        found: dict[str, list[dict[str, Any]]] = {}
        for namespace, project in sorted(set(projects)):
            try:
                spec = self.kube.get(f"{API}/namespaces/{namespace}/appprojects/{project}").get("spec") or {}
            except NotFound:
                spec = {}
            found[project] = spec.get("syncWindows") or []
        return found


def _path(app: Application) -> str:
    return f"{API}/namespaces/{app.namespace}/applications/{app.name}"
