"""HTTP requests with a deadline. A response is a value even when none came: a check can judge a refused connection."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

if TYPE_CHECKING:
    import requests

BODY_LIMIT = 1_000_000
REDIRECTS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpResponse:
    """One response. `status` 0 with `error` set means that no response came; `error` is also set when the body did not end in time.

    `seconds` is the time from the request to the end of the body, redirects included. At most the first megabyte of the body is kept.
    """

    status: int
    body: str
    seconds: float
    error: str = ""
    location: str = ""  # the target of a redirect that was not followed, as an absolute URL
    url: str = ""  # the URL that sent this response, after redirects

    def json(self) -> Any:
        """The body as JSON. Raises ValueError when it is not JSON."""
        return json.loads(self.body)

    def describe(self, clean: Callable[[str], str] = str) -> str:
        """One line: status, seconds and the first 80 characters of the body, or `error`. `clean` masks secrets in the body before it is cut."""
        first = " ".join(clean(self.body).split())[:80]
        return self.error or f'{self.status} after {self.seconds:.1f} s, body "{first}"'


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpRequest:
    """One request. Headers are sent to the host of `url` only: a redirect to another one goes without them."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    follow: bool = True


class HttpClient:
    """A client for checks: no retries, no cookies, no credentials except the headers of the request."""

    def get(self, url: str, *, timeout: float, headers: Mapping[str, str] | None = None) -> HttpResponse:
        """Send one GET and follow redirects. Returns after at most `timeout` seconds (and the time to close the connection).

        Never raises for anything the server or the network does: see `HttpResponse.error`.
        """
        return self.send(HttpRequest(url=url, headers=headers or {}), timeout=timeout)

    def send(self, request: HttpRequest, *, timeout: float) -> HttpResponse:
        """Send one request of any method, with the same promises as `get`."""
        import requests
        from urllib3.exceptions import HTTPError, ReadTimeoutError

        started = time.monotonic()
        try:
            with _answering(request, timeout, started) as response:
                body, silent = bytearray(), False
                try:
                    while len(body) <= BODY_LIMIT and (chunk := response.raw.read1(65536, decode_content=True)):
                        body += chunk
                except ReadTimeoutError:
                    silent = True
                seconds = time.monotonic() - started
                late = f"answered {response.status_code}, but not whole within {timeout:g} s" if silent or seconds > timeout else ""
                leads = urljoin(response.url, response.headers["Location"]) if "Location" in response.headers else ""
                return HttpResponse(
                    status=response.status_code, body=body.decode(errors="replace"), seconds=seconds, error=late, location=leads, url=response.url
                )  # fmt: skip
        except (requests.RequestException, HTTPError, OSError) as error:
            return HttpResponse(status=0, body="", seconds=time.monotonic() - started, error=_words(error, timeout))

    def certificate_ends(self, url: str, *, timeout: float) -> datetime | None:
        """The time (UTC) at which the certificate of an https URL expires; None for http.

        Raises OSError when the certificate cannot be read within `timeout` seconds or does not verify.
        """
        import requests

        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            return None
        with requests.Session() as session:
            verify = session.merge_environment_settings(url, {}, None, None, None)["verify"]
        given = verify if isinstance(verify, str) else requests.utils.DEFAULT_CA_BUNDLE_PATH
        folder = Path(given).is_dir()
        context = ssl.create_default_context(
            cafile=None if folder else given, capath=given if folder else None
        )  # the same trust store as the request
        with (
            socket.create_connection((parts.hostname, parts.port or 443), timeout=timeout) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname) as secure,
        ):
            certificate = secure.getpeercert() or {}
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)


def _answering(request: HttpRequest, timeout: float, started: float) -> requests.Response:
    """The head of the response, after at most `REDIRECTS` redirects that share one deadline."""
    import requests

    from promote.transport.http_deadline import ask

    url, method, headers, body = request.url, request.method, {"User-Agent": "promote-smoke", **request.headers}, request.body.encode() or None
    for _ in range(REDIRECTS):
        left = timeout - (time.monotonic() - started)
        if left <= 0:
            raise TimeoutError
        response = ask(method, url, within_s=left, headers=headers, data=body, stream=True)
        if not (request.follow and response.is_redirect):
            return response
        response.close()
        after = urljoin(url, response.headers["Location"])
        if urlsplit(after)[:2] != urlsplit(url)[:2]:
            headers = {"User-Agent": "promote-smoke"}
        if response.status_code == 303 or (response.status_code in (301, 302) and method == "POST"):
            method, body = "GET", None
        url = after
    raise requests.TooManyRedirects(f"more than {REDIRECTS} redirects, the last to {url}")


def _words(error: Exception, timeout: float) -> str:
    import requests
    from urllib3.exceptions import TimeoutError as LibraryTimeout

    if isinstance(error, requests.Timeout | TimeoutError | LibraryTimeout):
        return f"no answer within {timeout:g} s"
    if isinstance(error, requests.exceptions.SSLError):
        return f"the certificate does not verify: {str(error)[:160]}"
    if isinstance(error, requests.exceptions.InvalidHeader):  # the text of this error contains the value
        return "a header cannot be sent: does its value in the environment contain a line break?"
    if isinstance(error, requests.ConnectionError):
        return f"no connection: {str(error)[:160]}"
    return f"{type(error).__name__}: {str(error)[:160]}"
