"""A plain REST client for the world's own use as administrator: get, list, apply, patch, delete. Nothing of the driver's clients is in it."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections import deque
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from promote.sandbox.kube.store import KINDS, Object

WAIT_S = 60.0


class RestError(Exception):
    """The API server refused, or did not answer; `status` is 0 then."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Rest:
    """Usable from several threads; connections are kept until `close`. `authority` is the file with the server's certificate."""

    def __init__(self, url: str, token: str, authority: Path) -> None:
        self.url, self._token, self._authority = url, token, authority
        self._idle: deque[http.client.HTTPSConnection] = deque()

    def close(self) -> None:
        """Give up the connections that are kept."""
        while self._idle:
            self._idle.pop().close()

    def request(self, method: str, path: str, body: Object | None = None, content: str = "application/json") -> Object:
        """One request; its JSON, or {"text": …} for any other answer. Raises RestError."""
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json", "Content-Type": content}
        data = None if body is None else json.dumps(body).encode()
        try:
            status, raw = self._exchange(method, path, data, headers)
        except (http.client.HTTPException, OSError):  # a kept connection that went stale, once
            self.close()
            try:
                status, raw = self._exchange(method, path, data, headers)
            except (http.client.HTTPException, OSError) as error:
                raise RestError(0, f"{method} {path}: {error}") from error
        if not 200 <= status < 300:
            raise RestError(status, f"{method} {path}: {status} {raw.decode(errors='replace')[:300]}")
        try:
            answer = json.loads(raw)
        except ValueError:
            return {"text": raw.decode(errors="replace")}
        return answer if isinstance(answer, dict) else {"text": raw.decode()}

    def _exchange(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        try:
            connection = self._idle.pop()
        except IndexError:
            host = urlsplit(self.url)
            context = ssl.create_default_context(cafile=str(self._authority))
            connection = http.client.HTTPSConnection(host.hostname or "", host.port, timeout=30, context=context)
        try:
            connection.request(method, path, body=data, headers=headers)
            answer = connection.getresponse()
            raw = answer.status, answer.read()
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return raw

    def wait(self, path: str) -> Object:
        """Until the path answers. Raises RestError with the last answer when it takes too long."""
        end = time.monotonic() + WAIT_S
        while True:
            try:
                return self.request("GET", path)
            except RestError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        try:
            return self.request("GET", path_of(kind, namespace, name))
        except RestError as error:
            if error.status == 404:
                return None
            raise

    def list(self, kind: str, namespace: str | None = None) -> list[Object]:
        group, version, _, _ = KINDS[kind]
        items = self.request("GET", path_of(kind, namespace or "", "")).get("items") or []
        return [{"apiVersion": f"{group}/{version}".lstrip("/"), "kind": kind, **item} for item in items]

    def apply(self, manifest: Object) -> Object:
        """Create or change, as an administrator who insists; retried while the API server is still getting ready."""
        kind, meta = manifest["kind"], manifest["metadata"]
        group, version, _, _ = KINDS[kind]
        body = {"apiVersion": f"{group}/{version}".lstrip("/"), **manifest}
        namespace = meta.get("namespace") or "default"
        path = f"{path_of(kind, namespace, meta['name'])}?{urlencode({'fieldManager': 'sandbox', 'force': 'true'})}"
        return self.request("PATCH", path, body, "application/apply-patch+yaml")

    def patch(self, kind: str, namespace: str, name: str, change: Object) -> Object:
        """A merge-patch."""
        return self.request("PATCH", path_of(kind, namespace, name), change, "application/merge-patch+json")

    def delete(self, kind: str, namespace: str, name: str) -> None:
        try:
            self.request("DELETE", path_of(kind, namespace, name))
        except RestError as error:
            if error.status != 404:
                raise


def path_of(kind: str, namespace: str, name: str) -> str:
    """The path of an object, or of a collection when `name` is empty (of all namespaces when `namespace` is, too)."""
    group, version, plural, namespaced = KINDS[kind]
    base = f"/apis/{group}/{version}" if group else f"/api/{version}"
    where = f"/namespaces/{namespace}" if namespaced and namespace else ""
    parts: list[Any] = [base, where, f"/{plural}", f"/{name}" if name else ""]
    return "".join(parts)
