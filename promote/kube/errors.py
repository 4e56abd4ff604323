"""What a Kubernetes API server's refusal means, in this project's words. Knows status codes, not the client library."""

from __future__ import annotations

import json

from promote.core.errors import Denied, NotFound, Rejected, ServiceError, Unreachable

MESSAGE = 256  # characters of a server's message that are shown


class Conflict(Rejected):
    """The object changed since it was read (409): read it again, then decide again."""


class Expired(Rejected):
    """A list's continue token is too old (410): the list has to start again."""


def error_of(where: str, method: str, path: str, status: int, body: bytes) -> ServiceError:
    """The error for an answer that is not 2xx. `where` names the cluster; `path` may have a query, which is not shown."""
    said, request = status_message(body), f"{method} {plain(path)}"
    if status == 401:
        return Denied(
            where,
            f"{request}: the credentials were not accepted (401)",
            hint="renew the credentials of the kubeconfig: kubectl auth whoami shows them",
        )
    if status == 403:
        return Denied(
            where,
            f"{request}: not allowed: {said or 'no reason given'}",
            hint="grant this user that verb on that resource (rights needed: docs/rbac.md)",
        )
    if status == 404 and "/apis/argoproj.io/" in path and _is_unknown_resource(said, body):
        return NotFound(
            where,
            "there is no Argo CD here: its resource Application is unknown",
            hint="is this the right context? see the context key in promotion.toml",
        )
    if status == 404:
        return NotFound(where, said or f"{plain(path)} does not exist", hint="look with kubectl; it may have been removed meanwhile")
    if status == 409:
        return Conflict(where, said or f"{request}: the object changed meanwhile", hint="read it again and decide again")
    if status == 410:
        return Expired(where, said or f"{request}: the list expired", hint="start the list again")
    if status == 429 or status >= 500:
        return Unreachable(
            where, f"{request} answered {status}{f': {said}' if said else ''}", hint="the API server is in trouble; try again in a moment"
        )
    return Rejected(where, f"{request} answered {status}{f': {said}' if said else ''}", hint="the request is not accepted like this; see the message")


def _is_unknown_resource(said: str, body: bytes) -> bool:
    """An unknown group answers plain text, an unknown resource a Status without a name; a missing object names itself."""
    return not said or "could not find the requested resource" in said or body.startswith(b"404 page not found")


def plain(path: str) -> str:
    """The path without its query: continue tokens and selectors help nobody."""
    return path.partition("?")[0]


def status_message(body: bytes) -> str:
    """The message of a Kubernetes Status; of anything else nothing, so that no foreign page (or secret in it) reaches a log."""
    try:
        data = json.loads(body)
    except ValueError:
        return ""
    return str(data.get("message") or "")[:MESSAGE] if isinstance(data, dict) and data.get("kind") == "Status" else ""
