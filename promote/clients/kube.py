"""One Kubernetes API server: paged lists and merge-patches as plain JSON. The only module that imports `kubernetes`.

Facts it stands on (client 36/37): no timeout by default and three hidden retries on reads, so both are set here; a failing exec plugin does not
raise, requests simply go out without a token; `load_kube_config` would set a process-wide default, so every cluster has a client of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode

from promote.errors import Denied, NotFound, Rejected, ServiceError, Unreachable, UsageError

PAGE = 500
CALL_S = 15.0


class Conflict(Rejected):
    """The object changed since it was read (409): read it again, then decide again."""


class Expired(Rejected):
    """A list's continue token is too old (410): the list has to start again."""


class Kube:
    """A client for one context. `name` is what messages call the cluster."""

    def __init__(self, name: str, api: Any) -> None:
        self.name, self._api = name, api

    def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        """Every item of a collection, page by page; starts again when the token expires in between."""
        for _ in range(3):
            try:
                return [item for page in self._pages(path, query) for item in page]
            except Expired:
                continue
        raise Unreachable(self._where, f"the list {path} expired three times while it was read", hint="the API server is overloaded; try again")

    def _pages(self, path: str, query: Mapping[str, str]) -> Iterator[list[dict[str, Any]]]:
        token = ""
        while True:
            asked = {**query, "limit": str(PAGE)} | ({"continue": token} if token else {})
            answer = self.call("GET", f"{path}?{urlencode(asked)}")
            yield answer.get("items") or []
            token = (answer.get("metadata") or {}).get("continue") or ""
            if not token:
                return

    def get(self, path: str) -> dict[str, Any]:
        return self.call("GET", path)

    def merge_patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self.call("PATCH", path, body)

    def text(self, path: str) -> str:
        """A plain-text answer (pod logs)."""
        return self._raw("GET", path, None).decode(errors="replace")

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One request; its JSON. Raises the classes of promote.errors."""
        data = self._raw(method, path, body)
        try:
            answer = json.loads(data)
        except ValueError as error:
            raise Unreachable(
                self._where, f"{method} {_plain(path)} answered something that is not JSON: {data[:80]!r}", hint="a proxy or login page in between?"
            ) from error
        if not isinstance(answer, dict):
            raise Unreachable(self._where, f"{method} {_plain(path)} answered no object", hint="is this the API server?")
        return answer

    @property
    def _where(self) -> str:
        return f"cluster {self.name}"

    def _raw(self, method: str, path: str, body: Mapping[str, Any] | None) -> bytes:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        headers = {"Accept": "application/json"} | ({"Content-Type": "application/merge-patch+json"} if body is not None else {})
        resource, _, query = path.partition("?")
        try:
            request = self._api.param_serialize(
                method=method,
                resource_path=resource,
                query_params=parse_qsl(query, keep_blank_values=True),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            answer = self._api.call_api(*request, _request_timeout=CALL_S)
            data: bytes = answer.read()
        except ApiException as error:  # only TLS trouble is raised from here; statuses are read below
            raise Unreachable(
                self._where, f"{method} {resource}: {str(error.reason)[:200]}", hint="check the certificate authority in the kubeconfig"
            ) from error
        except HTTPError as error:
            text = f"{method} {resource}: {type(error).__name__}: {str(error)[:200]}"
            raise Unreachable(self._where, text, hint=f"check that it is up and reachable: kubectl --context {self.name} version") from error
        except (OSError, ValueError) as error:  # pydantic.ValidationError of client 37 is a ValueError
            raise Unreachable(self._where, f"{method} {resource}: {str(error)[:200]}", hint="check the kubeconfig and the network") from error
        if not 200 <= answer.status < 300:
            raise self._http_error(method, path, answer.status, data)
        return data

    def _http_error(self, method: str, path: str, status: int, body: object) -> ServiceError:
        said = _status_message(body)
        if status == 401:
            return Denied(
                self._where,
                "the credentials were not accepted (401)",
                hint="renew the kubeconfig's credentials (an exec plugin that fails says nothing)",
            )
        if status == 403:
            return Denied(
                self._where,
                f"not allowed: {said or f'{method} {_plain(path)}'}",
                hint="grant that right to this user (docs/rbac.md lists all that is needed)",
            )
        if status == 404 and "argoproj.io" in path and ("could not find" in said or "page not found" in said or not said):
            return NotFound(
                self._where, "there is no Argo CD here (its Application resource is unknown)", hint="is this the right context? see prod.context"
            )
        if status == 404:
            return NotFound(self._where, said or f"{_plain(path)} does not exist", hint="look with kubectl")
        if status == 409:
            return Conflict(self._where, said or "the object changed", hint="try again")
        if status == 410:
            return Expired(self._where, said or "the list expired", hint="try again")
        if status == 429 or status >= 500:
            return Unreachable(self._where, f"{method} {_plain(path)} answered {status}: {said}", hint="the API server is in trouble; try again")
        return Rejected(self._where, f"{method} {_plain(path)} answered {status}: {said}", hint="look at the message")


def _plain(path: str) -> str:
    return path.partition("?")[0]


def _status_message(body: object) -> str:
    """The message of a Kubernetes Status; of anything else nothing, so that no foreign page (or secret in it) reaches a log."""
    try:
        data = json.loads(body) if isinstance(body, str | bytes) else {}
    except ValueError:
        return ""
    return str(data.get("message", ""))[:256] if isinstance(data, dict) and data.get("kind") == "Status" else ""


def connect(name: str, kubeconfig: Path | None, context: str) -> Kube:
    """A client for one context of one kubeconfig (None: $KUBECONFIG, else ~/.kube/config). Raises UsageError, Denied."""
    from kubernetes import config
    from kubernetes.client import ApiClient, Configuration
    from kubernetes.config.config_exception import ConfigException

    where = str(kubeconfig) if kubeconfig else "the default kubeconfig ($KUBECONFIG or ~/.kube/config)"
    if kubeconfig and not kubeconfig.is_file():
        raise UsageError(
            f"{name}: there is no kubeconfig {kubeconfig}", hint=f'put it there, or set {name}.kubeconfig in promotion.toml ("" means $KUBECONFIG)'
        )
    configuration, load = Configuration(), cast(Any, config.load_kube_config)
    try:
        load(str(kubeconfig) if kubeconfig else None, context=context or None, client_configuration=configuration, persist_config=False)
    except ConfigException as error:
        known = _contexts(kubeconfig)
        hint = (
            f"contexts there: {', '.join(known)}; set {name}.context in promotion.toml" if known else f"check {where}; it is set by {name}.kubeconfig"
        )
        raise UsageError(f"{name}: {where} cannot be used{f' with context {context!r}' if context else ''}: {str(error)[:160]}", hint=hint) from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            f"{name}: {where} cannot be read: {str(error)[:160]}", hint=f"check it with kubectl; it is set by {name}.kubeconfig"
        ) from error
    configuration.retries = 0
    return Kube(name, ApiClient(configuration))


def _contexts(kubeconfig: Path | None) -> list[str]:
    from kubernetes import config
    from kubernetes.config.config_exception import ConfigException

    try:
        found, _ = cast(Any, config.list_kube_config_contexts)(str(kubeconfig) if kubeconfig else None)
    except (ConfigException, OSError, ValueError, TypeError):
        return []
    return [c["name"] for c in found]
