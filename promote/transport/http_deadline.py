"""A deadline for a whole HTTP answer, including its head, and a limit for its size.

The timeouts of urllib3, and therefore those of requests and of the Kubernetes client, limit silence only: they start again with every byte. A slow
drip of bytes, an endless header or repeated `100 Continue` answers would block us for ever. Imports requests, so import it only to send a request.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import time
from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Timeout
from urllib3.exceptions import HTTPError

LARGEST = 64 * 1024 * 1024  # bytes of one answer, unpacked: a page of 500 objects has a few million
CHUNK = 65536


class TooLarge(HTTPError):
    """An answer that did not end within the limit. Not one to repeat: the same answer would come again."""


def read_whole(response: Any, most: int = LARGEST) -> bytes:
    """The body of a urllib3 response, unpacked. Raises TooLarge, and what urllib3 raises."""
    return _within(iter(partial(response.read, CHUNK, decode_content=True), b""), most, response)


def keep_whole(answer: requests.Response, most: int = LARGEST) -> None:
    """Read the body of a response that was not read yet, for its `content`. Raises TooLarge, and what requests raises."""
    answer._content = _within(answer.iter_content(CHUNK), most, answer)


def _within(chunks: Iterator[bytes], most: int, response: Any) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > most:
            response.close()  # the connection has more to come: it serves no other request
            raise TooLarge(f"the answer did not end within {most} bytes")
    return bytes(body)


class _Receiving(io.RawIOBase):
    """Reads from a socket until a deadline: each receive may take the remaining time, and at most the socket's own timeout."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, silence_s: float, times: float) -> None:
        self._raw, self._sock, self._silence_s = raw, sock, silence_s
        self._give_up = time.monotonic() + times * silence_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._give_up - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer was not whole in time")
        self._sock.settimeout(min(left, self._silence_s))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.settimeout(self._silence_s)  # after a proxy's CONNECT answer the same socket starts TLS, which gets its own time
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    def __init__(self, times: float, sock: socket.socket, *args: Any, **named: Any) -> None:
        super().__init__(sock, *args, **named)
        if silence_s := sock.gettimeout():
            self.fp = io.BufferedReader(_Receiving(self.fp.detach(), sock, silence_s, times))


def bound(manager: Any, times: float) -> None:
    """Limit whole answers of this urllib3 pool manager to `times` its read timeout; a longer answer raises urllib3's read timeout."""
    manager.pool_classes_by_scheme = {scheme: _pool(pool, times) for scheme, pool in manager.pool_classes_by_scheme.items()}


@cache
def _pool(pool: Any, times: float) -> type:
    answer = staticmethod(partial(_Answer, times))  # static: a partial in a class is a method from Python 3.14 on
    connection = type(pool.ConnectionCls.__name__, (pool.ConnectionCls,), {"response_class": answer})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})


class WholeAnswers(HTTPAdapter):
    """`bound` as an adapter to mount on a requests session."""

    def __init__(self, *, times: float = 1, retries: Any = 0) -> None:
        self._times = times
        super().__init__(max_retries=retries)

    def init_poolmanager(self, *args: Any, **named: Any) -> None:
        super().init_poolmanager(*args, **named)
        bound(self.poolmanager, self._times)

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        known = proxy in self.proxy_manager  # requests keeps these managers and calls this for every request
        manager = super().proxy_manager_for(proxy, **named)
        if not known:
            bound(manager, self._times)
        return manager


class _Anonymous(requests.Session):
    """A session without credentials: requests would send those of the user's netrc, also to the target of a redirect."""

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        asked, url = response.request.url, prepared_request.url
        if asked is None or url is None or self.should_strip_auth(asked, url):  # type: ignore[no-untyped-call]
            prepared_request.headers.pop("Authorization", None)


def ask(method: str, url: str, *, within_s: float, allow_redirects: bool = False, **named: Any) -> requests.Response:
    """`requests.request` with a deadline of `within_s` seconds for the whole answer; with `stream=True` the caller reads the body within the same
    time.

    Adds no credentials, not even from the user's netrc. Every followed redirect gets the full time again.
    """
    with _Anonymous() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, WholeAnswers())
        limit: Any = Timeout(total=within_s)  # absent from requests' type hints; it passes the object on to urllib3
        return session.request(method, url, timeout=limit, allow_redirects=allow_redirects, auth=lambda request: request, **named)
