"""The Kubernetes REST API over a Store: discovery, paged lists, watch, merge-patch, Status errors, Tables for kubectl, RBAC."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from promote.sandbox.http_server import Request, Response, World, json_response
from promote.sandbox.kube.store import KINDS, ApiError, Object, Store, field_selector, label_selector, merge, named, not_found, stamp
from promote.sandbox.kube.table import table

VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
Forbid = Callable[[str, str, str], bool]
ADMIN, ANONYMOUS = "admin", "system:anonymous"


class UnknownPath(Exception):
    """No such group or resource: the real API server answers plain text then, not a Status (seen on 1.34)."""


class KubeApi(World):
    """`forbid(verb, resource, namespace)` answers True for what the user may not do; `expire_continues()` makes every open page token too old.

    `users` are the tokens that are known; while it is empty every token is the administrator's.
    """

    def __init__(self, name: str, store: Store) -> None:
        super().__init__(f"kubernetes-{name}")
        self.store = store
        self.forbid: Forbid = lambda *_: False
        self.users: dict[str, str] = {}  # token → user; roles bound to the user then decide (`allowed`)
        self.logs: dict[tuple[str, str], str] = {}
        self._pages: dict[str, tuple[int, list[Object]]] = {}

    def expire_continues(self) -> None:
        self._pages.clear()

    def handle(self, request: Request) -> Response:
        try:
            return self._route(request)
        except UnknownPath:
            return Response(status=404, body=b"404 page not found\n", headers={"Content-Type": "text/plain; charset=utf-8"})
        except ApiError as error:
            return json_response(status_object(error), error.code)

    def _route(self, request: Request) -> Response:
        parts = [p for p in request.path.split("/") if p]
        if parts == ["version"]:
            return json_response({"major": "1", "minor": "34", "gitVersion": "v1.34.2+sandbox", "platform": "linux/amd64"})
        if parts in (["readyz"], ["livez"], ["healthz"]):
            return Response(body=b"ok")
        if parts[:1] == ["openapi"]:
            raise UnknownPath
        if parts == ["api"]:
            return json_response({"kind": "APIVersions", "versions": ["v1"]})
        if parts == ["apis"]:
            return json_response(_groups())
        if parts[:1] == ["api"]:
            return self._group("", parts[1:2], parts[2:], request)
        if parts[:1] == ["apis"]:
            return self._group(parts[1] if len(parts) > 1 else "", parts[2:3], parts[3:], request)
        raise UnknownPath

    def _group(self, group: str, version: list[str], rest: list[str], request: Request) -> Response:
        if not version or not any(g == group and v == version[0] for g, v, _, _ in KINDS.values()):
            raise UnknownPath
        if not rest:
            return json_response(_resources(group, version[0]))
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        kind = next((k for k, (g, _, plural, _) in KINDS.items() if g == group and plural == rest[0]), None)
        if kind is None:
            raise UnknownPath
        return self._resource(kind, namespace, rest[1:], request)

    def _resource(self, kind: str, namespace: str, rest: list[str], request: Request) -> Response:
        name = rest[0] if rest else ""
        # Before the object is looked up: 403 must not reveal what exists.
        self._allowed(request, _verb(request, name), kind, namespace, name, "/".join(rest[1:]))
        if rest[1:] == ["log"]:
            return self._log(namespace, name)
        if request.method == "GET" and not name:
            return self._watch(kind, namespace, request) if request.query.get("watch") in ("true", "1") else self._list(kind, namespace, request)
        if request.method == "POST":
            body = {**request.json(), "kind": kind}
            body["metadata"] = {**body.get("metadata", {}), **({"namespace": namespace} if namespace else {})}
            return json_response(self.store.create(body), 201)
        found = self.store.get(kind, namespace if KINDS[kind][3] else "", name)
        if found is None:
            raise not_found(kind, name)
        if request.method == "GET":
            return json_response(table(kind, [found], {}) if _wants_table(request) else found)
        if request.method == "DELETE":
            self._delete(kind, namespace, found)
            return json_response({"kind": "Status", "apiVersion": "v1", "status": "Success", "details": {"name": name}})
        if request.method == "PUT":
            return json_response(self.store.put({**request.json(), "kind": kind}))
        return json_response(self._patch(kind, namespace, found, request))

    def _delete(self, kind: str, namespace: str, found: Object) -> None:
        """At once, or by its controller when there is one that knows its finalizer."""
        name, meta = found["metadata"]["name"], found["metadata"]
        if kind == "Application" and meta.get("finalizers"):
            self.store.patch(kind, namespace, name, {"metadata": {"deletionTimestamp": meta.get("deletionTimestamp") or stamp()}})
        else:
            self.store.delete(kind, namespace if KINDS[kind][3] else "", name)

    def _patch(self, kind: str, namespace: str, found: Object, request: Request) -> Object:
        content, change = request.headers.get("content-type") or "", request.json()
        if "json-patch" in content:
            changed = found
            for step in change:
                changed = _json_patch(changed, step)
            return self.store.put(changed)
        if not isinstance(change, dict):
            raise ApiError(400, "BadRequest", f"cannot apply a {type(change).__name__} as {content}")
        if "apply" in content:
            return self.store.put(merge(found, {**change, "kind": kind}))
        return self.store.patch(kind, namespace, found["metadata"]["name"], change)

    def _allowed(self, request: Request, verb: str, kind: str, namespace: str, name: str, part: str) -> None:
        user = user_of(self.users, request.headers.get("authorization") or "")
        if user is None:
            raise ApiError(401, "Unauthorized", "Unauthorized")
        group, _, plural, _ = KINDS[kind]
        resource = f"{plural}/{part}" if part else plural
        if self.forbid(verb, resource, namespace) or not allowed(self.store, user, verb, group, resource, namespace):
            where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
            text = f'User "{user}" cannot {verb} resource "{resource}" in API group "{group}"{where}'
            raise ApiError(403, "Forbidden", f"{named(kind, name)} is forbidden: {text}")

    def _list(self, kind: str, namespace: str, request: Request) -> Response:
        query = request.query
        labels, fields = label_selector(query.get("labelSelector", "")), field_selector(query.get("fieldSelector", ""))
        token = query.get("continue", "")
        if token:
            page = self._pages.pop(base64.b64decode(token).decode(), None)
            if page is None:
                raise ApiError(410, "Expired", "The provided continue parameter is too old to display a consistent list result.")
            version, items = page
        else:
            with self.store.changed:
                version = self.store.version
                items = self.store.list(kind, namespace, lambda o: labels(o) and fields(o))
        meta: dict[str, Any] = {"resourceVersion": str(version)}
        limit = int(query.get("limit") or 0)
        if limit and len(items) > limit:
            # All pages are of one moment, however long the client takes for them.
            rest, items = items[limit:], items[:limit]
            name = f"{kind}-{version}-{len(rest)}-{time.monotonic_ns()}"
            self._pages[name] = (version, rest)
            meta |= {"continue": base64.b64encode(name.encode()).decode(), "remainingItemCount": len(rest)}
        if _wants_table(request):
            return json_response(table(kind, items, meta))
        group, api_version, _, _ = KINDS[kind]
        return json_response({"kind": f"{kind}List", "apiVersion": f"{group}/{api_version}".lstrip("/"), "metadata": meta, "items": items})

    def _watch(self, kind: str, namespace: str, request: Request) -> Response:
        query = request.query
        labels, fields = label_selector(query.get("labelSelector", "")), field_selector(query.get("fieldSelector", ""))
        since, limit = int(query.get("resourceVersion") or 0), float(query.get("timeoutSeconds") or 300)
        log = self.store.log
        # Older changes are gone, as after etcd's compaction: the client has to list again.
        if since and log and since < log[0][0] - 1:
            raise ApiError(410, "Expired", f"too old resource version: {since} ({log[0][0]})")

        def keep(obj: Object) -> bool:
            return obj["kind"] == kind and (not namespace or obj["metadata"].get("namespace") == namespace) and labels(obj) and fields(obj)

        as_table = _wants_table(request)
        return Response(body=self._events(kind, keep, since, limit, as_table=as_table), headers={"Content-Type": "application/json"})

    def _events(self, kind: str, keep: Callable[[Object], bool], since: int, limit: float, *, as_table: bool) -> Iterator[bytes]:
        end = time.monotonic() + limit
        while time.monotonic() < end and not self.stopping.is_set():
            with self.store.changed:
                news = [(v, e, o) for v, e, o in self.store.log if v > since and keep(o)]
                if not news:
                    self.store.changed.wait(0.5)
            for version, event, obj in news:
                since = version
                shown = table(kind, [obj], {"resourceVersion": str(version)}) if as_table else obj
                yield json.dumps({"type": event, "object": shown}).encode() + b"\n"

    def _log(self, namespace: str, name: str) -> Response:
        if self.store.get("Pod", namespace, name) is None:
            raise not_found("Pod", name)
        return Response(body=self.logs.get((namespace, name), f"{name}: started\n").encode(), headers={"Content-Type": "text/plain"})


def _verb(request: Request, name: str) -> str:
    if request.method == "GET":
        return "get" if name else "watch" if request.query.get("watch") in ("true", "1") else "list"
    return {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}.get(request.method, request.method.lower())


def _wants_table(request: Request) -> bool:
    return "as=Table" in (request.headers.get("accept") or "")


def status_object(error: ApiError) -> Object:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": error.message,
        "reason": error.reason,
        "code": error.code,
    }


def _groups() -> Object:
    seen = {(g, v) for g, v, _, _ in KINDS.values() if g}
    versions = {g: {"groupVersion": f"{g}/{v}", "version": v} for g, v in sorted(seen)}
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [{"name": g, "versions": [v], "preferredVersion": v} for g, v in versions.items()]}


def _resources(group: str, version: str) -> Object:
    short = {"applications": ["app", "apps"], "pods": ["po"], "events": ["ev"], "deployments": ["deploy"], "namespaces": ["ns"], "configmaps": ["cm"]}
    entries = [
        {"name": plural, "singularName": kind.lower(), "namespaced": namespaced, "kind": kind, "verbs": VERBS, "shortNames": short.get(plural, [])}
        for kind, (g, v, plural, namespaced) in KINDS.items()
        if g == group and v == version
    ]
    if not group:
        entries.append({"name": "pods/log", "singularName": "", "namespaced": True, "kind": "Pod", "verbs": ["get"]})
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{group}/{version}".lstrip("/"), "resources": entries}


def _json_patch(obj: Object, step: dict[str, Any]) -> Object:
    *path, last = [p.replace("~1", "/").replace("~0", "~") for p in step["path"].split("/")[1:]]
    change: Any = {last: None if step["op"] == "remove" else step.get("value")}
    for part in reversed(path):
        change = {part: change}
    return dict(merge(obj, change))


def user_of(users: Mapping[str, str], authorization: str) -> str | None:
    """The user of an Authorization header; None for an unknown token. Without any configured users, every request is the administrator's."""
    if not users:
        return ADMIN
    kind, _, token = authorization.partition(" ")
    return users.get(token) if kind.lower() == "bearer" else ANONYMOUS


def allowed(store: Store, user: str, verb: str, group: str, resource: str, namespace: str) -> bool:
    """Whether some rule of a role bound to the user covers it, as RBAC judges. Names of single objects (resourceNames) are not part of this world."""
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
