"""A client for Argo CD's Application resources: list, request a refresh, end a stuck operation, start a sync. Independent of promotions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from promote.argocd.application import REFRESH, Application, parse_application
from promote.argocd.projects import API, Project, read_projects
from promote.core.errors import NotFound, PromoteError, Unreachable
from promote.kube.client import IN_FLIGHT, Conflict, Kube

# How a destination writes Argo CD's own cluster; without any, an Application is not valid and deploys nothing.
IN_CLUSTER = ("https://kubernetes.default.svc", "https://kubernetes.default.svc.cluster.local", "https://kubernetes.default", "in-cluster", "")


@dataclass(frozen=True, kw_only=True)
class Destination:
    """A cluster that applications are deployed to. `names`: its address and name in Argo CD; `connect` raises the client's errors."""

    label: str  # "" for Argo CD's own cluster
    names: frozenset[str]
    connect: Callable[[], Kube]

    @cached_property
    def kube(self) -> Kube:
        return self.connect()


class ArgoCD:
    """The applications in the given namespaces of one cluster, filtered by a label selector.

    `destinations`: the other clusters that it deploys to. `namespace`: Argo CD's own, by default the first.
    """

    def __init__(
        self, kube: Kube, namespaces: Sequence[str], selector: str = "", destinations: Iterable[Destination] = (), *, namespace: str = ""
    ) -> None:
        self.kube, self._namespaces, self._selector = kube, list(namespaces), selector
        self.namespace = namespace or next(iter(self._namespaces), "argocd")
        own = frozenset(map(server_address, (*IN_CLUSTER, kube.host)))
        self._destinations = (*destinations, Destination(label="", names=own, connect=lambda: kube))

    def destination(self, app: Application) -> Destination | None:
        """The cluster that an application is deployed to; None when no settings name it."""
        wanted = server_address(app.destination_server)
        return next((d for d in self._destinations if wanted in d.names), None)

    def by_destination(self, apps: Iterable[Application]) -> tuple[list[tuple[Destination, list[Application]]], dict[str, str]]:
        """These applications by the cluster that they are deployed to, each connected; and by key why the cluster of the others cannot be read."""
        groups, unread = dict[str, tuple[Destination, list[Application]]](), dict[str, str]()
        for app in apps:
            if where := self.destination(app):
                groups.setdefault(where.label, (where, []))[1].append(app)
            else:
                unread[app.key] = f"it deploys to {app.destination_server}, which no entry of prod.clusters names"
        for where, _ in [*groups.values()]:
            try:
                where.kube  # noqa: B018
            except PromoteError as error:
                unread |= {a.key: error.what for a in groups.pop(where.label)[1]}
        return [*groups.values()], unread

    def manifests(self) -> list[dict[str, Any]]:
        """Every Application manifest as the API server returns it, with one paged list request per namespace."""
        query = {"labelSelector": self._selector} if self._selector else {}
        return [item for ns in self._namespaces for item in self.kube.items(f"{API}/namespaces/{ns}/applications", **query)]

    def applications(self) -> tuple[Application, ...]:
        return tuple(map(parse_application, self.manifests()))

    def refresh(self, apps: Iterable[Application]) -> bool:
        """Request a refresh of these applications, by annotation; Argo CD removes the annotation once it has refreshed.

        Tries every application and skips deleted ones. Raises Unreachable afterwards when some could not be asked.
        """
        with ThreadPoolExecutor(IN_FLIGHT) as pool:  # in sequence, 100 patches took 3.8 s
            failed = [error for error in pool.map(self._refresh_one, apps) if error]
        if failed:
            raise failed[0]
        return True

    def _refresh_one(self, app: Application) -> Unreachable | None:
        try:
            # Remove a pending request before repeating it: setting an equal annotation is no change, so Argo CD would not notice. A request set
            # just when a reconcile ends gets lost that way (seen on 3.2.11: 1 of 360 refreshes, unanswered until the next poll).
            if app.refresh_pending:
                self.kube.merge_patch(_path(app), {"metadata": {"annotations": {REFRESH: None}}}, repeatable=True)
            # "normal": a hard refresh drops caches and can kill a controller.
            self.kube.merge_patch(_path(app), {"metadata": {"annotations": {REFRESH: "normal"}}}, repeatable=True)
        except NotFound:
            return None
        except Unreachable as error:
            return error
        return None

    def terminate(self, app: Application) -> bool:
        """End the operation seen in `app`; False when the application changed meanwhile (read it again)."""
        # Without an operation, nothing would clear the phase Terminating.
        if not app.in_progress:
            return False
        # The resourceVersion guards against ending another operation.
        body = {"metadata": {"resourceVersion": app.resource_version}, "status": {"operationState": {"phase": "Terminating"}}}
        try:
            self.kube.merge_patch(_path(app), body)
        except (Conflict, NotFound):
            return False
        return True

    def request_sync(self, app: Application, *, who: str, prune: bool = False) -> bool:
        """Start a sync to the revision that the application tracks; False when a sync runs, or the application is being deleted or changed meanwhile.

        `prune`: whether the sync may delete resources, as its automated policy would.
        """
        # While an operation runs, the controller drops such a request.
        if app.in_progress or app.deleting:
            return False
        # The application's syncOptions are repeated here: an operation applies only the options that it names (seen).
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

    def projects(self, apps: Iterable[Application]) -> dict[str, Project]:
        """The projects of these applications by name. Raises NotFound when one does not exist, Denied when it may not be read."""
        return read_projects(self.kube, self.namespace, (app.project for app in apps))


def server_address(text: str) -> str:
    """A destination's address, or name, as it is compared."""
    return text.strip().rstrip("/").removesuffix(":443").lower() if "://" in text else text


def _path(app: Application) -> str:
    return f"{API}/namespaces/{app.namespace}/applications/{app.name}"
