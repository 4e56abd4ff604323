"""Clients for the HTTP APIs of Prometheus, Alertmanager and Grafana.

A read is repeated after a broken connection, a 429 and a gateway's fault (`retry_transient`); a write never is. Headers may contain credentials:
they never appear in a message, and no redirect can send them to another host, because the clients follow no redirects.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from promote.core.errors import Denied, NotFound, Rejected, ServiceError, Unreachable
from promote.core.retry import is_passing, retry_after, retry_transient

CALL_S = 10.0
PAGE = 1000  # Grafana's default; its limit is 5,000
PAGES = 100
EXCERPT = 200  # the longest shown part of another system's error text, in characters


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One value of an answer. `series` is its labels in Prometheus' notation; the value may be NaN or infinite."""

    series: str
    value: float


class Service:
    """One HTTP API below a base URL."""

    def __init__(self, name: str, url: str, headers: Mapping[str, str], *, call_s: float = CALL_S) -> None:
        self.name, self.url, self._headers, self._call_s = name, url.rstrip("/"), dict(headers), call_s

    def get(self, path: str, params: Any = None) -> Any:
        """Read JSON. Raises Unreachable, Denied, NotFound or Rejected."""

        def ask(left_s: float) -> Any:
            try:
                return self._call("GET", path, params=params, within_s=left_s)
            except _Passing as fault:
                return fault

        def passing(got: Any) -> bool:
            return isinstance(got, _Passing)

        got = retry_transient(ask, passing=passing, within_s=self._call_s, service=f"{self.name} {self.url}", wait_s=lambda got: got.retry_after_s)
        if isinstance(got, _Passing):
            raise got
        return got

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Write JSON and return the JSON answer; sent once. Raises the same errors as `get`."""
        return self._call("POST", path, body=body, within_s=self._call_s)

    def _call(self, method: str, path: str, *, within_s: float, params: Any = None, body: Mapping[str, Any] | None = None) -> Any:
        import requests
        from urllib3.exceptions import HTTPError, ReadTimeoutError

        from promote.transport.http_deadline import TooLarge, ask, read_whole

        where = f"{self.name} {self.url}"
        late = Unreachable(where, f"{method} {path}: no complete answer within {within_s:.3g} s", hint=self._hint)
        try:
            headers = {"User-Agent": "promote", "Accept": "application/json", **self._headers}
            with ask(method, self.url + path, within_s=within_s, params=params, json=body, headers=headers, stream=True) as answer:
                status, given, data = answer.status_code, answer.headers, read_whole(answer.raw)
        except TooLarge as error:
            raise Unreachable(where, f"{method} {path}: {error}", hint=f"is {self.name}.url in promotion.toml the address of {self.name}?") from error
        except (requests.Timeout, ReadTimeoutError) as error:
            raise late from error
        except requests.exceptions.InvalidHeader as error:  # its own message contains the value
            what = f"{method} {path}: a header cannot be sent: does its value in the environment contain a line break?"
            raise Rejected(where, what, hint=f"see {self.name}.headers in promotion.toml") from error
        except (requests.RequestException, HTTPError, OSError) as error:
            kind = Unreachable if _is_refused(error) else _Passing
            raise kind(where, f"{method} {path}: {self._plain(f'{type(error).__name__}: {error}')}", hint=self._hint) from error
        if not 200 <= status < 300:
            text = _message(data.decode(errors="replace"))
            if is_passing(status, text, given):
                fault = _Passing(where, f"{method} {path}: {status} {self._plain(text)}".rstrip(), hint=self._hint)
                fault.retry_after_s = retry_after(given)
                raise fault
            raise self._error(where, f"{method} {path}", status, self._plain(text))
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            hint = f"is a login page or a proxy in between? see {self.name}.url and {self.name}.headers in promotion.toml"
            raise Unreachable(where, f"{method} {path}: the answer is not JSON", hint=hint) from error

    def _plain(self, text: str) -> str:
        """Another system's text on one line, truncated, with our headers' values masked: a proxy may repeat them."""
        for value in self._headers.values():
            # `Bearer TOKEN`: the token alone is as secret as the whole value.
            for secret in (value, value.rpartition(" ")[2]):
                text = text.replace(secret, "***") if len(secret) >= 6 else text
        return " ".join(text.split())[:EXCERPT]

    @property
    def _hint(self) -> str:
        return f"does it run, and is it reachable from here? its address is {self.name}.url in promotion.toml"

    def _error(self, where: str, request: str, status: int, text: str) -> ServiceError:
        what = f"{request}: {status} {text}".rstrip()
        if status in (401, 403):
            return Denied(where, what, hint=f"see {self.name}.headers in promotion.toml and the rights of the token named there")
        if status == 404:
            return NotFound(where, what, hint=f"is {self.name}.url in promotion.toml the address of {self.name} itself, with its path prefix?")
        if 300 <= status < 400:
            return Rejected(
                where,
                f"{request}: redirected ({status})",
                hint=f"set {self.name}.url to the address it leads to; if that is a login page, set {self.name}.headers",
            )
        if status in (400, 422):
            return Rejected(where, what, hint=f"correct the named value in [{self.name}] of promotion.toml")
        return Unreachable(where, what, hint=self._hint)


class _Passing(Unreachable):
    """The connection broke, or the answer reports a passing fault: a read may be repeated, after `retry_after_s` seconds at the earliest."""

    retry_after_s = 0.0


def _is_refused(error: Exception) -> bool:
    """Whether there was no connection at all: nothing listens, or the name is unknown. That does not pass within a read's time."""
    from urllib3.exceptions import NewConnectionError

    inner = error.args[0] if error.args else None
    return isinstance(getattr(inner, "reason", inner), NewConnectionError)


def _message(text: str) -> str:
    """The message inside a JSON error, or the beginning of the text."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return str((data.get("error") or data.get("message") or "") if isinstance(data, dict) else data)


class Prometheus(Service):
    """Instant queries, evaluated at the server's current time: our clock is not involved."""

    def query(self, expression: str, *, lookback_s: float | None = None) -> list[Sample]:
        """The samples of the answer; [] when there is no data.

        `lookback_s`: the greatest age of a sample, in seconds. Servers before 2.43 silently ignore it (seen on 2.42): check `ages` too.
        Raises Rejected for an invalid expression, and when the answer is neither a vector nor a scalar.
        """
        params = {"query": expression} | ({"lookback_delta": f"{lookback_s:.3f}"} if lookback_s is not None else {})
        data = self._data(self.get("/api/v1/query", params))
        kind, result = data.get("resultType"), data.get("result")
        if kind == "scalar" and isinstance(result, list):
            # A value is text in Prometheus' JSON, because JSON has no NaN and no infinity.
            return [Sample(series="scalar", value=float(result[1]))]
        if kind != "vector" or not isinstance(result, list):
            raise Rejected(
                f"{self.name} {self.url}", f"{expression}: the answer is a {kind}", hint="the expression must give an instant vector or a scalar"
            )
        return [Sample(series=_series(entry["metric"]), value=float(entry["value"][1])) for entry in result]

    def ages(self, selector: str, *, lookback_s: float | None = None) -> dict[str, float]:
        """The age in seconds of the newest sample of each series of a selector, by the server's own clock."""
        return {s.series: s.value for s in self.query(f"time() - timestamp({selector})", lookback_s=lookback_s)}

    def _data(self, answer: Any) -> dict[str, Any]:
        if isinstance(answer, dict) and answer.get("status") == "success" and isinstance(answer.get("data"), dict):
            return dict(answer["data"])
        raise Unreachable(f"{self.name} {self.url}", "the answer does not follow Prometheus' API", hint="see prometheus.url in promotion.toml")


def _series(labels: Mapping[str, str]) -> str:
    rest = ", ".join(f'{k}="{v}"' for k, v in sorted(labels.items()) if k != "__name__")
    return labels.get("__name__", "") + (f"{{{rest}}}" if rest or "__name__" not in labels else "")


class Alertmanager(Service):
    """Alertmanager's alerts; it drops resolved and expired ones by itself."""

    def alerts(self, filters: list[str]) -> list[dict[str, Any]]:
        """All firing alerts, including silenced and inhibited ones, as raw JSON."""
        found = self.get("/api/v2/alerts", [("filter", text) for text in filters])
        if isinstance(found, list) and all(isinstance(a, dict) and {"labels", "status", "fingerprint"} <= a.keys() for a in found):
            return found
        raise Unreachable(
            f"{self.name} {self.url}", "the answer does not follow Alertmanager's API v2", hint="see alertmanager.url in promotion.toml"
        )


class Grafana(Service):
    """Dashboards and annotations."""

    def health(self) -> str:
        """Grafana's version. Raises Unreachable when it reports that its database is not ok."""
        answer = self.get("/api/health")
        if not isinstance(answer, dict) or answer.get("database") != "ok":
            database = answer.get("database") if isinstance(answer, dict) else "missing"
            raise Unreachable(f"{self.name} {self.url}", f"its database is {database!r}", hint="see Grafana's own log")
        return str(answer.get("version", "?"))

    def dashboards(self) -> list[dict[str, Any]]:
        """Every dashboard that the token may read: uid, title, folderTitle, url."""
        found = list[dict[str, Any]]()
        for _ in range(PAGES):
            page = self.get("/api/search", {"type": "dash-db", "limit": PAGE, "page": len(found) // PAGE + 1})
            if not isinstance(page, list):
                raise Unreachable(f"{self.name} {self.url}", "the answer does not follow Grafana's API", hint="see grafana.url in promotion.toml")
            found += page
            if len(page) < PAGE:
                return found
        raise Unreachable(f"{self.name} {self.url}", f"its list of dashboards did not end within {len(found)}", hint="see grafana.url")

    def link(self, path: str) -> str:
        """The URL of a page whose path comes from Grafana, which includes Grafana's sub-path already."""
        base = urlsplit(self.url)
        return f"{base.scheme}://{base.netloc}{path}" if base.path and path.startswith(f"{base.path}/") else self.url + path

    def annotate(self, *, start: datetime, end: datetime, tags: list[str], text: str) -> int:
        """Create a region annotation, visible on every dashboard that shows annotations with one of these tags. Returns its id."""
        body = {"time": int(start.timestamp() * 1000), "timeEnd": int(end.timestamp() * 1000), "tags": tags, "text": text}
        return int((self.post("/api/annotations", body) or {}).get("id", 0))
