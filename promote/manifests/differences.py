"""Breaking differences: removed objects that hold data or other objects, and changes of fields that an API server refuses.

The immutable fields are those of the Kubernetes API reference and its validation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from promote.manifests.tree import Object

HOLDING = {
    "PersistentVolumeClaim": "its volume may be deleted with it",
    "PersistentVolume": "its data may be deleted with it",
    "Namespace": "everything in it is deleted with it",
    "CustomResourceDefinition": "every object of that kind is deleted with it",
}
# Objects without a namespace: the application's must not become part of their key.
CLUSTER_WIDE = frozenset({"PersistentVolume", "Namespace", "CustomResourceDefinition", "StorageClass", "ClusterRoleBinding"})
IMMUTABLE: Mapping[str, tuple[str, ...]] = {
    "Deployment": ("spec.selector",),
    "DaemonSet": ("spec.selector",),
    "ReplicaSet": ("spec.selector",),
    "StatefulSet": ("spec.selector", "spec.serviceName", "spec.volumeClaimTemplates", "spec.podManagementPolicy"),
    "Job": ("spec.selector", "spec.template", "spec.completionMode"),
    "Service": ("spec.clusterIP",),
    "PersistentVolumeClaim": ("spec.storageClassName", "spec.accessModes", "spec.volumeName", "spec.volumeMode", "spec.selector"),
    "StorageClass": ("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"),
    "Secret": ("type",),
    "RoleBinding": ("roleRef",),
    "ClusterRoleBinding": ("roleRef",),
}
_KEPT = ("Prune=false", "Prune=confirm")
HOOKS = ("argocd.argoproj.io/hook", "helm.sh/hook")
Key = tuple[str, str, str]


def keyed(objects: Iterable[Object], namespace: str) -> dict[Key, Object]:
    """Objects by (kind, namespace, name). `namespace` is the application's, for objects without one."""
    return {(o["kind"], _namespace(o, namespace), str(o["metadata"].get("name", ""))): o for o in objects}


def _namespace(o: Object, default: str) -> str:
    return "" if o["kind"] in CLUSTER_WIDE else str(o["metadata"].get("namespace") or default)


def removed(before: Mapping[Key, Object], after: Mapping[Key, Object]) -> list[str]:
    """A message with the consequence for each removed object that holds data or other objects."""
    missing = sorted(set(before) - set(after))
    return [f"{kind} {_place(namespace, name)} is removed: {HOLDING[kind]}" for kind, namespace, name in missing if kind in HOLDING]


def dropped(before: Mapping[Key, Object], after: Mapping[Key, Object]) -> tuple[tuple[str, str], ...]:
    """Each object that is only in `before` as `Kind namespace/name`, with the sync option that keeps Argo CD from pruning it, or "".

    Without hooks, which no sync prunes, and objects that Argo CD ignores once they are not in git.
    """
    missing = {key: before[key] for key in sorted(set(before) - set(after))}
    return tuple(
        (f"{kind} {_place(namespace, name)}", next((option for option in _KEPT if option in _options(o, "sync-options")), ""))
        for (kind, namespace, name), o in missing.items()
        if not _is_hook(o) and "IgnoreExtraneous" not in _options(o, "compare-options")
    )


def immutable(before: Mapping[Key, Object], after: Mapping[Key, Object]) -> list[str]:
    """A message for each changed immutable field: the sync would fail until a user deletes the object."""
    found = []
    for key in sorted(set(before) & set(after)):
        old, new = before[key], after[key]
        if _is_recreated(new):
            continue
        # A Service without a clusterIP keeps the assigned one: only another value is refused.
        fields = [f for f in IMMUTABLE.get(key[0], ()) if _at(old, f) != _at(new, f) and not (f == "spec.clusterIP" and _at(new, f) in (None, ""))]
        # `immutable: true` cannot be taken back: only deleting the object helps.
        if key[0] in ("ConfigMap", "Secret") and old.get("immutable"):
            fields += [f for f in ("data", "binaryData", "stringData") if old.get(f) != new.get(f)]
        found += [f"{key[0]} {_place(key[1], key[2])}: {f} changes, which the API server refuses" for f in fields]
    return found


def _is_recreated(o: Object) -> bool:
    """Whether Argo CD deletes and creates the object instead of changing it: a hook, or the sync option Force=true."""
    return _is_hook(o) or "Force=true" in _options(o, "sync-options")


def _is_hook(o: Object) -> bool:
    return any(hook in (o["metadata"].get("annotations") or {}) for hook in HOOKS)


def _options(o: Object, name: str) -> list[str]:
    """The options of one of Argo CD's annotations, such as sync-options."""
    value = (o["metadata"].get("annotations") or {}).get(f"argocd.argoproj.io/{name}", "")
    return [option.strip() for option in str(value).split(",")]


def _place(namespace: str, name: str) -> str:
    return f"{namespace}/{name}".lstrip("/")


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
