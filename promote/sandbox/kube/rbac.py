"""Who may do what: bearer tokens to users, and ClusterRoles and Roles bound to them, judged as the API server's RBAC does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from promote.sandbox.kube.store import Object, Store

ADMIN, ANONYMOUS = "admin", "system:anonymous"


def user_of(users: Mapping[str, str], authorization: str) -> str | None:
    """The user of an Authorization header; None for an unknown token. Without any configured users, every request is the administrator's."""
    if not users:
        return ADMIN
    kind, _, token = authorization.partition(" ")
    return users.get(token) if kind.lower() == "bearer" else ANONYMOUS


def allowed(store: Store, user: str, verb: str, group: str, resource: str, namespace: str) -> bool:
    """Whether some rule bound to the user covers it. Names of single objects (resourceNames) are not part of this world."""
    return user == ADMIN or any(_covers(rule, verb, group, resource) for rule in _rules(store, user, namespace))


def _rules(store: Store, user: str, namespace: str) -> Iterator[Object]:
    bindings = store.list("ClusterRoleBinding") + (store.list("RoleBinding", namespace) if namespace else [])
    for binding in bindings:
        if any(s.get("kind") == "User" and s.get("name") == user for s in binding.get("subjects") or []):
            role = binding["roleRef"]
            where = binding["metadata"].get("namespace", "") if role["kind"] == "Role" else ""
            yield from (store.get(role["kind"], where, role["name"]) or {}).get("rules") or []


def _covers(rule: Object, verb: str, group: str, resource: str) -> bool:
    return all(
        wanted in (given := rule.get(key) or []) or "*" in given for key, wanted in (("verbs", verb), ("apiGroups", group), ("resources", resource))
    )
