"""The live objects of a cluster, read with one paged list for each kind that a caller needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from promote.core.errors import Denied, NotFound, Rejected
from promote.kube.client import IN_FLIGHT
from promote.kube.health import GroupKind

ResourceKey = tuple[str, str, str, str]  # group, kind, namespace ("" for a cluster-scoped object), name
LISTS: Mapping[GroupKind, str] = {
    ("apps", "Deployment"): "/apis/apps/v1/deployments",
    ("apps", "StatefulSet"): "/apis/apps/v1/statefulsets",
    ("apps", "DaemonSet"): "/apis/apps/v1/daemonsets",
    ("apps", "ReplicaSet"): "/apis/apps/v1/replicasets",
    ("batch", "Job"): "/apis/batch/v1/jobs",
    ("batch", "CronJob"): "/apis/batch/v1/cronjobs",
    ("", "Pod"): "/api/v1/pods",
    ("", "PersistentVolumeClaim"): "/api/v1/persistentvolumeclaims",
    ("", "Service"): "/api/v1/services",
    ("networking.k8s.io", "Ingress"): "/apis/networking.k8s.io/v1/ingresses",
    ("argoproj.io", "Rollout"): "/apis/argoproj.io/v1alpha1/rollouts",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Live:
    """Objects by group, kind, namespace and name. `kinds`: those that were read. `unread`: those that could not be, each with the reason."""

    objects: Mapping[ResourceKey, Mapping[str, Any]]
    kinds: frozenset[GroupKind]
    unread: Mapping[GroupKind, str]

    def of(self, kind: GroupKind) -> list[Mapping[str, Any]]:
        """All objects of one kind."""
        return [obj for key, obj in self.objects.items() if key[:2] == kind]


def read_live(items: Callable[[str], list[dict[str, Any]]], kinds: Iterable[GroupKind]) -> Live:
    """Read these kinds, as far as `LISTS` has them. `items` returns every object of a collection, like `Kube.items`.

    A kind that may not be read is in `unread`. A kind that the cluster does not know has no objects. Raises Unreachable.
    """
    wanted = sorted({kind for kind in kinds if kind in LISTS})
    found: dict[ResourceKey, Mapping[str, Any]] = {}
    unread: dict[GroupKind, str] = {}
    with ThreadPoolExecutor(min(IN_FLIGHT, len(wanted) or 1)) as pool:
        for kind, answer in zip(wanted, pool.map(lambda kind: _read(items, kind), wanted), strict=True):
            if isinstance(answer, str):
                unread[kind] = answer
                continue
            found |= {(*kind, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]): obj for obj in answer}
    return Live(objects=found, kinds=frozenset(wanted) - unread.keys(), unread=unread)


def _read(items: Callable[[str], list[dict[str, Any]]], kind: GroupKind) -> list[dict[str, Any]] | str:
    group, name = kind
    version = LISTS[kind].split("/")[3] if group else "v1"
    try:
        # The items of a list do not repeat their own kind.
        return [{"apiVersion": f"{group}/{version}" if group else version, "kind": name, **obj} for obj in items(LISTS[kind])]
    except NotFound:
        return []
    except (Denied, Rejected) as error:
        return error.what
