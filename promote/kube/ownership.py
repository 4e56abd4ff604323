"""Which application an object of a cluster belongs to: its chain of owners leads to an object that the application lists.

Works for one cluster, on manifests as the API server returns them. A ReplicaSet's owner is derived from its name and the pod template's hash; Jobs,
and the workloads that an operator may have created, are listed at most once for each kind, and only when a chain needs them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from promote.core.errors import Denied, NotFound
from promote.kube.health import GroupKind, Manifest
from promote.kube.live import LISTS, ResourceKey

TRACKING = "argocd.argoproj.io/tracking-id"
INSTANCE = "app.kubernetes.io/instance"
HOOKS = ("argocd.argoproj.io/hook", "helm.sh/hook")
# The label with the hash at the end of a ReplicaSet's name, and the controller that sets it.
_HASHES = {"pod-template-hash": ("apps", "Deployment"), "rollouts-pod-template-hash": ("argoproj.io", "Rollout")}
# The kinds whose own owners may lead further.
_OWNED = frozenset({("batch", "Job"), ("apps", "ReplicaSet"), ("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet")})
_BUILT_IN = re.compile(
    r"(admissionregistration|apiextensions|apiregistration|authentication|authorization|certificates|coordination|discovery|events"
    r"|flowcontrol\.apiserver|metrics|networking|node|rbac\.authorization|resource|scheduling|storage)\.k8s\.io"
)
_WITHOUT_CHILDREN = {("argoproj.io", kind) for kind in ("Application", "ApplicationSet", "AppProject", "Rollout", "AnalysisTemplate")}


@dataclass(frozen=True, kw_only=True, slots=True)
class Claims:
    """What applications list in one cluster. `objects`: the key of a listed object → its application; `trackers`: an application's name in Argo CD's
    tracking annotation or label → the application; `namespaces`: where these applications deploy to, besides the namespaces of `objects`.
    """

    objects: Mapping[ResourceKey, str]
    trackers: Mapping[str, str] = field(default_factory=dict)
    namespaces: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """Where a chain of owners leads. `application` is "" when to no listed object; `root` is then the last known owner, None without any.

    `chain`: the owners below the root, the nearest first. `unclear`: why the chain could not be followed to its end; "" when it was.
    """

    application: str = ""
    root: ResourceKey | None = None
    chain: tuple[ResourceKey, ...] = ()
    unclear: str = ""

    @property
    def ours(self) -> bool:
        return bool(self.application)

    def through(self, *kinds: str) -> bool:
        """Whether the root or an owner below it is of one of these kinds."""
        return any(key[1] in kinds for key in (*self.chain, *((self.root,) if self.root else ())))

    def key_of(self, kind: str) -> ResourceKey | None:
        """The nearest owner of this kind."""
        return next((key for key in (*self.chain, *((self.root,) if self.root else ())) if key[1] == kind), None)


class Ownership:
    """Follows owners in one cluster. `items` lists a collection by its path, as `Kube.items` does."""

    def __init__(self, claims: Claims, items: Callable[[str], Iterable[Manifest]]) -> None:
        self.claims, self._items = claims, items
        self._lists: dict[GroupKind, Mapping[str, Manifest] | str] = {}

    def of(self, manifest: Manifest, group: str = "", kind: str = "Pod") -> Owner:
        """The owner of an object. The group and the kind are given because a list's items name neither. Raises Unreachable when a list fails."""
        meta: Manifest = manifest["metadata"]
        chain: list[ResourceKey] = []
        key: ResourceKey = (group, kind, meta.get("namespace", ""), meta["name"])
        labels = meta.get("labels") or {}  # a pod's: it has the hash of its ReplicaSet's name
        while True:
            if app := self._listed(key, meta):
                return Owner(application=app, root=key, chain=tuple(chain[1:]))
            ref = controller(meta)
            if ref is None:
                return Owner(root=key, chain=tuple(chain[1:]))
            chain.append(key)
            key = self._key(ref, key[2])
            if key in self.claims.objects:
                return Owner(application=self.claims.objects[key], root=key, chain=tuple(chain[1:]))
            if key[2] not in self._namespaces and "" not in self._operated:
                return Owner(root=key, chain=tuple(chain[1:]))
            if made_by := _maker(key, labels):
                chain.append(key)
                key, ref = made_by, {}
                if key in self.claims.objects:
                    return Owner(application=self.claims.objects[key], root=key, chain=tuple(chain[1:]))
            above = self._above(key, str(ref.get("uid", "")))
            if not isinstance(above, Mapping):
                return Owner(root=key, chain=tuple(chain[1:]), unclear=above)
            meta = above

    def jobs(self) -> Mapping[str, Manifest]:
        """All Jobs by uid. Raises Denied when they cannot be listed, and Unreachable."""
        listed = self._list(("batch", "Job"))
        if isinstance(listed, str):
            raise Denied("the cluster", listed, hint="grant the right: docs/rbac.md")
        return listed

    def _listed(self, key: ResourceKey, meta: Manifest) -> str:
        """The application that lists an object or tracks it; "" for none."""
        if key in self.claims.objects:
            return self.claims.objects[key]
        annotations, labels = meta.get("annotations") or {}, meta.get("labels") or {}
        name, _, tracked = str(annotations.get(TRACKING, "")).partition(":")
        # Controllers copy annotations to the objects that they create, so the identity must name this very object, as Argo CD itself requires.
        if name in self.claims.trackers and tracked == f"{key[0]}/{key[1]}:{key[2]}/{key[3]}":
            return self.claims.trackers[name]
        # The label is a common one of Helm charts: alone it does not prove who created the object.
        instance = str(labels.get(INSTANCE, ""))
        hook = any(h in annotations for h in HOOKS) and key[2] in self._namespaces
        return self.claims.trackers.get(instance, "") if hook else ""

    def _key(self, ref: Manifest, namespace: str) -> ResourceKey:
        """The key of an owner, which is in the namespace of the object that it owns, or cluster-scoped."""
        group, kind, name = str(ref.get("apiVersion", "")).rpartition("/")[0], str(ref.get("kind", "")), str(ref.get("name", ""))
        scoped = (group, kind, "", name)
        return scoped if scoped in self.claims.objects else (group, kind, namespace, name)

    def _above(self, key: ResourceKey, uid: str) -> Manifest | str:
        """The metadata of an owner that is not listed itself, to follow the chain further; the reason when it cannot be known."""
        group, kind, namespace, name = key
        near, operated = namespace in self._namespaces, namespace in self._operated or "" in self._operated
        if (group, kind) in _OWNED and (operated or (near and kind in ("Job", "ReplicaSet"))):
            listed = self._list((group, kind))
            if not isinstance(listed, str):
                found = listed.get(uid) if uid else next((o for o in listed.values() if _place(o) == key[2:]), None)
                return found["metadata"] if found else {"name": name}
            if near:
                return listed
        elif namespace in self._operated and is_custom(group, kind):
            return f"only its operator knows where {kind} {name} comes from"
        return {"name": name}

    def _list(self, kind: GroupKind) -> Mapping[str, Manifest] | str:
        """The objects of a kind by uid, read once; the reason when the user may not list them."""
        if kind not in self._lists:
            try:
                self._lists[kind] = {str(o["metadata"].get("uid", "")): o for o in self._items(LISTS[kind])}
            except (Denied, NotFound) as error:
                self._lists[kind] = error.what
        return self._lists[kind]

    @cached_property
    def _namespaces(self) -> frozenset[str]:
        return self.claims.namespaces | {key[2] for key in self.claims.objects}

    @cached_property
    def _operated(self) -> frozenset[str]:
        """The namespaces ("" for the cluster) in which an application lists an object whose operator may own workloads."""
        return frozenset(key[2] for key in self.claims.objects if is_custom(key[0], key[1]))


def controller(meta: Manifest) -> Manifest | None:
    """The owner reference of the object's controller, else its first one; None without owners."""
    references = meta.get("ownerReferences") or ()
    return next((r for r in references if r.get("controller")), references[0] if references else None)


def _maker(key: ResourceKey, labels: Mapping[str, str]) -> ResourceKey | None:
    """The Deployment or Rollout that created a ReplicaSet: its name is the ReplicaSet's without the hash that the pod has as a label."""
    if key[1] != "ReplicaSet":
        return None
    for label, (group, kind) in _HASHES.items():
        name, _, digest = key[3].rpartition("-")
        if name and digest == labels.get(label):
            return group, kind, key[2], name
    return None


def is_custom(group: str, kind: str) -> bool:
    """Whether a kind is one of custom resources, whose operator may create workloads."""
    return "." in group and not _BUILT_IN.fullmatch(group) and (group, kind) not in _WITHOUT_CHILDREN


def _place(manifest: Manifest) -> tuple[str, str]:
    meta = manifest["metadata"]
    return meta.get("namespace", ""), meta["name"]
