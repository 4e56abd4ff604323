"""A client for one Kubernetes API server: paged lists and merge-patches as plain JSON.

Facts about the library (client 36/37): it has no timeout by default and three hidden retries of reads, so both are set here (`retry_transient`
repeats reads instead); a failing exec plugin does not raise (requests go out without a token), and a hanging one never returns; `load_kube_config`
without its own configuration would set a process-wide default. Answers stay raw JSON: building the library's models costs more than the request.
"""

from __future__ import annotations

import copy
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl, urlencode

from promote.core.errors import Denied, ServiceError, Unreachable, UsageError
from promote.core.in_flight import in_flight
from promote.core.retry import is_passing, retry_after, retry_transient
from promote.kube.errors import Conflict, Expired, LargeAnswer, error_of, plain
from promote.kube.login import Login, first_line, login_of, within

__all__ = ["Conflict", "Expired", "Kube", "LargeAnswer", "connect"]

T = TypeVar("T")
_Answer = tuple[int, bytes, Mapping[str, str]]  # status, body, headers
PAGE = 500
SMALL_PAGE = 50  # of objects near etcd's limit of 1.5 MB even these fit into one answer
LARGEST_LIST = 512 * 1024 * 1024  # bytes of all pages of one list
EXCERPT = 2000  # the part of a failing answer that is searched for a passing fault, in bytes
CALL_S = 15.0  # the longest silence
ANSWER_S = 45.0  # the longest whole answer, however slowly it arrives; less than a check's time limit, so that the check can report it
IN_FLIGHT = 20


class Kube:
    """A client for one context, usable from several threads. `name` is the cluster's name in messages."""

    def __init__(self, name: str, api: Any, *, call_s: float = CALL_S, answer_s: float = ANSWER_S, largest_list: int = LARGEST_LIST) -> None:
        from promote.transport.http_deadline import bound

        self.name, self._api, self._call_s, self._answer_s, self._largest_list = name, api, call_s, answer_s, largest_list
        bound(api.rest_client.pool_manager, answer_s / call_s)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The credentials it sends, for masking: a server's answer may repeat them."""
        given = self._api.configuration
        return tuple(str(text).rpartition(" ")[2] for text in (*given.api_key.values(), given.password) if text)

    @property
    def host(self) -> str:
        """The address of its API server, as the kubeconfig has it."""
        return str(self._api.configuration.host)

    def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        """Every item of a collection, read page by page; starts again when the continue token expires in between, at most three times."""
        for _ in range(3):
            try:
                return [item for page in self._pages(path, query) for item in page]
            except Expired:
                continue
        raise Unreachable(self._where, f"the list {path} expired three times while it was read", hint="the API server is overloaded; try again")

    def _pages(self, path: str, query: Mapping[str, str]) -> Iterator[list[dict[str, Any]]]:
        token, size, left = "", PAGE, self._largest_list
        while True:
            page = f"{path}?{urlencode({**query, 'limit': str(size)} | ({'continue': token} if token else {}))}"
            try:
                data = self._raw("GET", page, None, repeatable=True)
            except LargeAnswer:
                if size == SMALL_PAGE:
                    raise
                size = SMALL_PAGE
                continue
            if (left := left - len(data)) < 0:
                raise LargeAnswer(
                    self._where, f"the list {path} did not end within {self._largest_list} bytes", hint="is this an API server? see its address"
                )
            answer = self._parsed("GET", page, data)
            yield answer.get("items") or []
            token = (answer.get("metadata") or {}).get("continue") or ""
            if not token:
                return

    def get(self, path: str) -> dict[str, Any]:
        return self.call("GET", path)

    def merge_patch(self, path: str, body: Mapping[str, Any], *, repeatable: bool = False) -> dict[str, Any]:
        """Send a merge-patch. Raises Conflict when the body has a resourceVersion that is no longer the object's.

        `repeatable`: applying the patch twice equals applying it once, so it is sent again, like a read, when its answer is lost.
        """
        return self.call("PATCH", path, body, repeatable=repeatable)

    def text(self, path: str) -> str:
        """A plain-text answer (pod logs)."""
        return self._raw("GET", path, None, repeatable=True).decode(errors="replace")

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, repeatable: bool = False) -> dict[str, Any]:
        """Send one request and return its JSON object. Raises Unreachable, Denied, NotFound, Conflict, Expired or Rejected."""
        return self._parsed(method, path, self._raw(method, path, body, repeatable=repeatable or method == "GET"))

    def _parsed(self, method: str, path: str, data: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise self._unreachable(
                method, path, "the answer is not JSON", "is a proxy or a login page in between? check the server address in the kubeconfig"
            ) from error
        if not isinstance(answer, dict):
            raise self._unreachable(method, path, "the answer is not a JSON object", "is this an API server? check the server of the kubeconfig")
        return answer

    @property
    def _where(self) -> str:
        return f"cluster {self.name}"

    def _unreachable(self, method: str, path: str, what: str, hint: str) -> ServiceError:
        return Unreachable(self._where, f"{method} {plain(path)}: {what[:200]}", hint=hint)

    def _raw(self, method: str, path: str, body: Mapping[str, Any] | None, *, repeatable: bool) -> bytes:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError, ReadTimeoutError, SSLError

        from promote.transport.http_deadline import TooLarge

        try:
            with in_flight(self._where):
                exchange = self._with_retries if repeatable else self._exchange
                status, data, _ = exchange(method, path, body)
        except ApiException as error:  # the library raises it for TLS faults; statuses are handled below
            raise self._unreachable(method, path, str(error.reason), "check the certificate authority in the kubeconfig") from error
        except TooLarge as error:
            raise LargeAnswer(
                self._where, f"{method} {plain(path)}: {error}", hint="is this an API server? check the server of the kubeconfig"
            ) from error
        except HTTPError as error:
            if isinstance(getattr(error, "reason", error), ReadTimeoutError):
                what = f"no complete answer in time (limits: {self._call_s:g} s of silence, {self._answer_s:g} s in total)"
                raise self._unreachable(method, path, what, "is the API server overloaded, or a proxy in between? kubectl cluster-info") from error
            tls = isinstance(error, SSLError) or isinstance(getattr(error, "reason", None), SSLError)
            hint = "check the certificate authority in the kubeconfig" if tls else "check that it runs and is reachable: kubectl cluster-info"
            raise self._unreachable(method, path, f"{type(error).__name__}: {error}", hint) from error
        except (OSError, ValueError) as error:  # pydantic.ValidationError of client 37 is a ValueError
            raise self._unreachable(method, path, f"{type(error).__name__}: {error}", "check the kubeconfig and the network") from error
        if not 200 <= status < 300:
            raise error_of(self._where, method, path, status, data)
        return data

    def _with_retries(self, method: str, path: str, body: Mapping[str, Any] | None) -> _Answer:
        """Send a request, and repeat it after a lost connection, a 429 or another passing fault."""
        from urllib3.exceptions import HTTPError, ProtocolError

        def ask(left_s: float) -> _Answer | HTTPError:
            try:
                return self._exchange(method, path, body, within_s=left_s)
            except HTTPError as error:
                if isinstance(getattr(error, "reason", error), ProtocolError):
                    return error
                raise

        def passing(got: _Answer | HTTPError) -> bool:
            return isinstance(got, HTTPError) or is_passing(got[0], got[1][:EXCERPT].decode(errors="replace"), got[2])

        def wait_s(got: _Answer | HTTPError) -> float:
            return 0.0 if isinstance(got, HTTPError) else retry_after(got[2])

        answer = retry_transient(ask, passing=passing, within_s=self._call_s, service=self._where, wait_s=wait_s)
        if isinstance(answer, HTTPError):
            raise answer
        return answer

    def _exchange(self, method: str, path: str, body: Mapping[str, Any] | None, *, within_s: float = float("inf")) -> _Answer:
        resource, _, query = path.partition("?")
        request = self._api.param_serialize(
            method=method,
            resource_path=resource,
            query_params=parse_qsl(query, keep_blank_values=True),
            header_params={"Accept": "application/json, */*"} | ({"Content-Type": "application/merge-patch+json"} if body is not None else {}),
            body=body,
            auth_settings=["BearerToken"],
        )
        from promote.transport.http_deadline import read_whole

        silence_s = min(self._call_s, within_s)
        response = self._api.call_api(*request, _request_timeout=(silence_s, silence_s)).response
        return response.status, read_whole(response), response.headers


def connect(name: str, kubeconfig: Path | None, context: str, *, default: str = "", programs: bool = True) -> Kube:
    """A client for one context of one kubeconfig.

    `kubeconfig` None: use `default`, the value of $KUBECONFIG, else ~/.kube/config. `context` "": the current context.
    `programs` False: the file came with the repository, and the author of a branch must not start a program here.
    Raises UsageError for faults in the file or the context, Denied when its exec plugin or auth provider returns no credentials.
    """
    from kubernetes.client import ApiClient, Configuration

    if kubeconfig and not kubeconfig.is_file():
        raise UsageError(
            f"{name}: the kubeconfig {kubeconfig} does not exist",
            hint=f'create it, or set {name}.kubeconfig in promotion.toml ("" means $KUBECONFIG)',
        )
    configuration = Configuration()
    configuration.retries, configuration.connection_pool_maxsize = 0, IN_FLIGHT
    login = _load(name, kubeconfig, default, context, configuration, programs=programs)
    if login and not (configuration.api_key or configuration.cert_file or configuration.username):
        raise Denied(f"cluster {name}", f"the {login.title} returned no credentials", hint=login.by_hand)
    if login:
        _limit_refresh(configuration, name, login)
    if not configuration.verify_ssl:
        # The kubeconfig itself sets `insecure-skip-tls-verify`; one warning per request (seen on a real run) would drown all other output.
        warnings.filterwarnings("ignore", message="Unverified HTTPS request")
    return Kube(name, ApiClient(configuration))


def _exists(paths: str) -> bool:
    """Whether any file of a kubeconfig path list exists."""
    return any(Path(path).expanduser().exists() for path in paths.split(os.pathsep) if path)


def _load(name: str, kubeconfig: Path | None, default: str, context: str, configuration: Any, *, programs: bool) -> Login | None:
    """Fill the configuration; returns how its user logs in, None when the credentials are in the file."""
    from kubernetes import config
    from kubernetes.config.config_exception import ConfigException
    from yaml import YAMLError

    where = str(kubeconfig) if kubeconfig else "the default kubeconfig ($KUBECONFIG or ~/.kube/config)"
    # The library reads $KUBECONFIG at import, too early for a caller that sets it later.
    file = str(kubeconfig or default) or None
    api, known = cast(Any, config), []
    try:
        merged = api.kube_config.KubeConfigMerger(file or api.kube_config.KUBE_CONFIG_DEFAULT_LOCATION).config
        users = {u["name"]: u.get("user") or {} for u in _entries(merged, "users")}
        contexts = {c["name"]: c.get("context") or {} for c in _entries(merged, "contexts")}
        known = sorted(contexts)
        if not known and not kubeconfig and not _exists(file or api.kube_config.KUBE_CONFIG_DEFAULT_LOCATION):
            named = f"$KUBECONFIG names {file}, which does" if file else "KUBECONFIG is not set, and ~/.kube/config does"
            raise UsageError(f"{name}: {named} not exist", hint=f"export KUBECONFIG, or name the file in promotion.toml: {name}.kubeconfig")
        if context and context not in known:
            hint = f"set {name}.context in promotion.toml to one of: {', '.join(known)}" if known else "is it the right file?"
            raise UsageError(f"{name}: {where} has no context {context!r}", hint=hint)
        chosen = contexts.get(context or (merged.value.get("current-context") if merged else None), {})
        user = users.get(chosen.get("user"), {})
        login = login_of(user)
        if login and not programs:
            raise UsageError(
                f"{name}: {where} is a file of the repository, and its {login.title} would run: the author of a branch would start a program here",
                hint=f'keep that kubeconfig outside the repository: {name}.kubeconfig = "" in promotion.toml, and export KUBECONFIG',
            )
        load = partial(api.load_kube_config, file, context=context or None, client_configuration=configuration, persist_config=False)
        within(load, name, login, known=(ConfigException,))
    except ConfigException as error:
        hint = (
            f"its contexts: {', '.join(known)}; set {name}.context in promotion.toml" if known else f"check it with kubectl; set by {name}.kubeconfig"
        )
        raise UsageError(f"{name}: {where} cannot be used: {first_line(error)}", hint=hint) from error
    except YAMLError as error:
        raise UsageError(f"{name}: {where} is not YAML: {first_line(error)}", hint="correct it; kubectl config view shows it") from error
    except (TypeError, KeyError, AttributeError) as error:  # YAML without the structure of a kubeconfig
        raise UsageError(
            f"{name}: {where} is not a kubeconfig ({first_line(error)})", hint=f"check it with kubectl; set by {name}.kubeconfig"
        ) from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{name}: {where} cannot be read: {first_line(error)}", hint=f"check it with kubectl; set by {name}.kubeconfig") from error
    return login


def _entries(merged: Any, key: str) -> list[dict[str, Any]]:
    """The entries of a merged kubeconfig as plain values; the library wraps each one to remember its file."""
    return [getattr(entry, "value", entry) for entry in (merged.value.get(key) if merged else None) or ()]


def _limit_refresh(configuration: Any, name: str, login: Login) -> None:
    """Limit the time of the library's new login during a request, after its token expired."""
    again = configuration.refresh_api_key_hook
    if again is None:
        return

    def hook(given: Any) -> None:
        # A copy, which shares the tokens: the library restores its own hook on the object it gets, even late, in a thread that we abandoned.
        within(lambda: again(copy.copy(given)), name, login)

    configuration.refresh_api_key_hook = hook
