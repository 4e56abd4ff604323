"""Objects of a cluster: versions, selectors, merge-patches and the stream of changes. Knows no HTTP and no Argo CD."""

from __future__ import annotations

import copy
import threading
import uuid
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]
Key = tuple[str, str, str]  # kind, namespace, name

# kind → (group, version, plural, namespaced)
KINDS: dict[str, tuple[str, str, str, bool]] = {
    "Namespace": ("", "v1", "namespaces", False),
    "Node": ("", "v1", "nodes", False),
    "Pod": ("", "v1", "pods", True),
    "Event": ("", "v1", "events", True),
    "ConfigMap": ("", "v1", "configmaps", True),
    "Secret": ("", "v1", "secrets", True),
    "Service": ("", "v1", "services", True),
    "ServiceAccount": ("", "v1", "serviceaccounts", True),
    "PersistentVolumeClaim": ("", "v1", "persistentvolumeclaims", True),
    "Deployment": ("apps", "v1", "deployments", True),
    "StatefulSet": ("apps", "v1", "statefulsets", True),
    "DaemonSet": ("apps", "v1", "daemonsets", True),
    "ReplicaSet": ("apps", "v1", "replicasets", True),
    "Job": ("batch", "v1", "jobs", True),
    "CronJob": ("batch", "v1", "cronjobs", True),
    "Rollout": ("argoproj.io", "v1alpha1", "rollouts", True),
    "Ingress": ("networking.k8s.io", "v1", "ingresses", True),
    "CustomResourceDefinition": ("apiextensions.k8s.io", "v1", "customresourcedefinitions", False),
    "ClusterRole": ("rbac.authorization.k8s.io", "v1", "clusterroles", False),
    "Role": ("rbac.authorization.k8s.io", "v1", "roles", True),
    "RoleBinding": ("rbac.authorization.k8s.io", "v1", "rolebindings", True),
    "ClusterRoleBinding": ("rbac.authorization.k8s.io", "v1", "clusterrolebindings", False),
    "Application": ("argoproj.io", "v1alpha1", "applications", True),
    "AppProject": ("argoproj.io", "v1alpha1", "appprojects", True),
    "ApplicationSet": ("argoproj.io", "v1alpha1", "applicationsets", True),
}
# Kinds whose spec changes are counted in metadata.generation; their controllers show in status.observedGeneration which one they have seen.
COUNTED = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Rollout"})


class ApiError(Exception):
    """What the API server answers instead of an object."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


def stamp(when: datetime | None = None) -> str:
    """Kubernetes time: whole seconds, UTC."""
    return (when or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result


class Store:
    """Thread-safe. Objects handed out are copies; every change has its own resourceVersion and wakes those who wait on `changed`."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.version = 1
        self.log: deque[tuple[int, str, Object]] = deque(maxlen=20_000)  # bounded, as etcd's history is
        self._objects: dict[Key, Object] = {}

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        with self.changed:
            found = self._objects.get((kind, namespace, name))
            return copy.deepcopy(found) if found else None

    def list(self, kind: str, namespace: str | None = None, keep: Callable[[Object], bool] = lambda _: True) -> list[Object]:
        """Sorted by namespace and name, as etcd would."""
        with self.changed:
            keys = sorted(k for k in self._objects if k[0] == kind and (not namespace or k[1] == namespace))
            return [copy.deepcopy(o) for k in keys if keep(o := self._objects[k])]

    def create(self, obj: Object) -> Object:
        with self.changed:
            if key_of(obj) in self._objects:
                raise ApiError(409, "AlreadyExists", f"{named(obj['kind'], obj['metadata']['name'])} already exists")
            return self._put("ADDED", obj)

    def put(self, obj: Object) -> Object:
        """Create or replace; a given resourceVersion has to be the current one. An equal object changes nothing."""
        with self.changed:
            before = self._objects.get(key_of(obj))
            if before is None:
                return self._put("ADDED", obj)
            given = obj["metadata"].get("resourceVersion")
            if given and given != before["metadata"]["resourceVersion"]:
                raise _conflict(obj)
            return self._put("MODIFIED", obj)

    def patch(self, kind: str, namespace: str, name: str, change: Object) -> Object:
        """Merge-patch; `metadata.resourceVersion` in it is a guard."""
        with self.changed:
            before = self._objects.get((kind, namespace, name))
            if before is None:
                raise not_found(kind, name)
            guard = (change.get("metadata") or {}).get("resourceVersion")
            if guard and guard != before["metadata"]["resourceVersion"]:
                raise _conflict(before)
            return self._put("MODIFIED", merge(before, change))

    def update(self, kind: str, namespace: str, name: str, change: Callable[[Object], None]) -> Object | None:
        """Read, change in place, write, without anybody in between. None when it is gone."""
        with self.changed:
            before = self._objects.get((kind, namespace, name))
            if before is None:
                return None
            after = copy.deepcopy(before)
            change(after)
            return self._put("MODIFIED", after) if after != before else copy.deepcopy(before)

    def delete(self, kind: str, namespace: str, name: str) -> Object | None:
        with self.changed:
            gone = self._objects.pop((kind, namespace, name), None)
            if gone is not None:
                self.version += 1
                gone["metadata"]["resourceVersion"] = str(self.version)
                self.log.append((self.version, "DELETED", gone))
                self.changed.notify_all()
            return gone

    def _put(self, event: str, obj: Object) -> Object:
        key, before = key_of(obj), self._objects.get(key_of(obj))
        group, version, _, _ = KINDS[obj["kind"]]
        new = copy.deepcopy(obj)
        new["apiVersion"] = f"{group}/{version}" if group else version
        meta = new["metadata"]
        old = before["metadata"] if before else {}
        meta["uid"], meta["creationTimestamp"] = old.get("uid") or str(uuid.uuid4()), old.get("creationTimestamp") or stamp()
        meta["resourceVersion"] = old.get("resourceVersion", "")
        if obj["kind"] in COUNTED:
            changed = before is not None and before.get("spec") != new.get("spec")
            meta["generation"] = int(old.get("generation") or 0) + (1 if changed or not before else 0)
        # An update without a change gets no new version and wakes no watcher (the API server's behaviour).
        if before == new:
            return copy.deepcopy(new)
        self.version += 1
        meta["resourceVersion"] = str(self.version)
        self._objects[key] = new
        self.log.append((self.version, event, new))
        self.changed.notify_all()
        return copy.deepcopy(new)


def key_of(obj: Object) -> Key:
    kind, meta = obj["kind"], obj["metadata"]
    return kind, (meta.get("namespace") or "default") if KINDS[kind][3] else "", meta["name"]


def not_found(kind: str, name: str) -> ApiError:
    return ApiError(404, "NotFound", f"{named(kind, name)} not found")


def named(kind: str, name: str) -> str:
    """How the API server calls an object in its messages, or a collection when there is no name."""
    group, _, plural, _ = KINDS[kind]
    return f"{plural}{f'.{group}' if group else ''}" + (f' "{name}"' if name else "")


def _conflict(obj: Object) -> ApiError:
    text = "the object has been modified; please apply your changes to the latest version and try again"
    return ApiError(409, "Conflict", f"Operation cannot be fulfilled on {named(obj['kind'], obj['metadata']['name'])}: {text}")


def label_selector(text: str) -> Callable[[Object], bool]:
    """`a=b,c!=d,e,!f,g in (x,y)`, the forms kubectl and clients send."""
    terms = [t.strip() for t in _split(text) if t.strip()]

    def one(term: str, labels: dict[str, str]) -> bool:
        for word, wanted in ((" notin ", False), (" in ", True)):
            if word in term:
                name, _, values = term.partition(word)
                return (labels.get(name.strip()) in [v.strip() for v in values.strip(" ()").split(",")]) is wanted
        if "!=" in term:
            name, _, value = term.partition("!=")
            return labels.get(name.strip()) != value.strip()
        if "=" in term:
            name, _, value = term.replace("==", "=").partition("=")
            return labels.get(name.strip()) == value.strip()
        return (term.lstrip("!") in labels) is not term.startswith("!")

    return lambda obj: all(one(t, obj["metadata"].get("labels") or {}) for t in terms)


def _split(text: str) -> list[str]:
    # Not `text.split`: the commas of `in (x,y)` separate no terms.
    parts, depth, start = [], 0, 0
    for i, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "," and not depth:
            parts.append(text[start:i])
            start = i + 1
    return [*parts, text[start:]]


def field_selector(text: str) -> Callable[[Object], bool]:
    """`type=Warning,involvedObject.name=x`; a missing field is the empty string."""

    def value(obj: Object, path: str) -> str:
        here: Any = obj
        for part in path.split("."):
            here = (here or {}).get(part) if isinstance(here, dict) else None
        return "" if here is None else str(here)

    def one(term: str, obj: Object) -> bool:
        name, _, wanted = term.replace("==", "=").replace("!=", "\0=").partition("=")
        negative = name.endswith("\0")
        return (value(obj, name.rstrip("\0")) == wanted) is not negative

    return lambda obj: all(one(t, obj) for t in text.split(",") if t)
