"""Converts an API server's failing answers into this project's errors. Uses status codes only, not the client library."""

from __future__ import annotations

import json

from promote.core.errors import Denied, NotFound, Rejected, ServiceError, Unreachable

MESSAGE = 256  # the longest shown part of a server's message, in characters


class Conflict(Rejected):
    """The object changed since it was read (409): read it again and decide again."""


class LargeAnswer(Unreachable):
    """An answer or a list that did not end within its limit."""


class Expired(Rejected):
    """The continue token of a list expired (410): start the list again."""


def error_of(where: str, method: str, path: str, status: int, body: bytes) -> ServiceError:
    """The error for an answer that is not 2xx. `where` names the cluster; a query in `path` is not shown."""
    reason, request = status_message(body), f"{method} {plain(path)}"
    if status == 401:
        return Denied(
            where,
            f"{request}: the credentials were not accepted (401)",
            hint="renew the credentials of the kubeconfig: kubectl auth whoami shows them",
        )
    if status == 403:
        return Denied(
            where,
            f"{request}: not allowed: {reason or 'no reason given'}",
            hint="grant this user that verb on that resource (rights needed: docs/rbac.md)",
        )
    if status == 404 and "/apis/argoproj.io/" in path and _is_unknown_resource(reason, body):
        return NotFound(
            where,
            "there is no Argo CD here: its resource Application is unknown",
            hint="is this the right context? see the context key in promotion.toml",
        )
    if status == 404:
        return NotFound(where, reason or f"{plain(path)} does not exist", hint="look with kubectl; it may have been removed meanwhile")
    if status == 409:
        return Conflict(where, reason or f"{request}: the object changed meanwhile", hint="read it again and decide again")
    if status == 410:
        return Expired(where, reason or f"{request}: the list expired", hint="start the list again")
    if status == 429 or status >= 500:
        return Unreachable(
            where,
            f"{request} answered {status}{f': {reason}' if reason else ''}",
            hint="the API server is faulty or overloaded; try again in a moment",
        )
    return Rejected(
        where, f"{request} answered {status}{f': {reason}' if reason else ''}", hint="the API server refuses this request; see its message"
    )


def _is_unknown_resource(reason: str, body: bytes) -> bool:
    """Whether a 404 is about the resource's type, not an object: plain text for an unknown group, a Status without a name for an unknown resource."""
    return not reason or "could not find the requested resource" in reason or body.startswith(b"404 page not found")


def plain(path: str) -> str:
    """The path without its query: continue tokens and selectors do not help in a message."""
    return path.partition("?")[0]


def status_message(body: bytes) -> str:
    """The message of a Kubernetes Status; "" for any other body, so that no other page, or a secret in it, reaches a log."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return str(data.get("message") or "")[:MESSAGE] if isinstance(data, dict) and data.get("kind") == "Status" else ""
