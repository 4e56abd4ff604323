"""The health of an application's single resources, where Argo CD does not show it: computed from the live objects that `status.resources` names.

Argo CD from 3.0 on shows only the health of the whole application by default, and that hides a second trouble behind a first one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from promote.argocd.application import GROUP, Application, Resource
from promote.argocd.client import ArgoCD
from promote.core.errors import PromoteError
from promote.kube.health import GroupKind, Health, health_of
from promote.kube.live import LISTS, Live, ResourceKey, read_live


def unhealthy(app: Application) -> dict[ResourceKey, str]:
    """Its resources that are known not to be Healthy, by key, each with its health. A resource without a known health is not among them."""
    return {r.key: r.health for r in counted_resources(app) if r.health not in ("", "Healthy")}


def counted_resources(app: Application) -> list[Resource]:
    """The resources that count for its health: no hooks, and nothing that is no longer in git."""
    return [r for r in app.resources if not r.hook and not r.pruned]


def kinds_to_read(app: Application) -> frozenset[GroupKind]:
    """The kinds of its resources whose health has to be computed; empty when Argo CD shows the health itself."""
    resources = counted_resources(app)
    return frozenset() if any(r.health for r in resources) else frozenset((r.group, r.kind) for r in resources) & LISTS.keys()


def with_live_health(app: Application, live: Live, fleet: Mapping[tuple[str, str], Application]) -> Application:
    """The application with the health of each resource, computed where Argo CD does not show it.

    `fleet`: the Applications by namespace and name, for those that it creates. A resource of a kind that was read and is not there is Missing; one of
    a kind that was not read keeps an empty health.
    """
    if any(r.health for r in counted_resources(app)):
        return app
    return replace(app, resources=tuple(_judged(r, live, fleet) for r in app.resources))


def _judged(resource: Resource, live: Live, fleet: Mapping[tuple[str, str], Application]) -> Resource:
    if (resource.group, resource.kind) == (GROUP, "Application"):
        child = fleet.get((resource.namespace, resource.name))
        return replace(resource, health=child.health if child else "")
    if (resource.group, resource.kind) not in live.kinds:
        return resource
    found = live.objects.get(resource.key)
    health = health_of(found) if found else Health(status="Missing", message="does not exist")
    return replace(resource, health=health.status, health_message=health.message) if health else resource


def read_resource_health(argocd: ArgoCD, apps: Iterable[Application], chosen: Iterable[Application]) -> tuple[dict[str, Application], dict[str, str]]:
    """The `chosen` applications with the health of their resources, by key; and by key why some of it could not be read.

    `apps`: all Applications of the snapshot. At most one paged list for each kind and cluster, and none when Argo CD shows the health itself. Raises
    Unreachable when Argo CD's own cluster does not answer; another cluster is then unread.
    """
    every, chosen = list(apps), list(chosen)
    fleet = {(a.namespace, a.name): a for a in every}
    groups, unread = argocd.by_destination(chosen)
    judged = {a.key: a for a in chosen}
    for where, members in groups:
        try:
            live = read_live(where.kube.items, {kind for a in members for kind in kinds_to_read(a)})
        except PromoteError as error:
            if not where.label:
                raise
            unread |= {a.key: error.what for a in members}
            continue
        judged |= {a.key: with_live_health(a, live, fleet) for a in members}
        unread |= {a.key: why for a in members if (why := _unread(a, live))}
    return judged, unread


def _unread(app: Application, live: Live) -> str:
    return "; ".join(why for kind, why in live.unread.items() if kind in kinds_to_read(app))
