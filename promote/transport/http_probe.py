"""Asking production's services over HTTP. An answer is a value, also when there is none: a refused connection is something a check can judge."""

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
class Answer:
    """`status` 0 with `trouble` set means that no answer came. `seconds` is the time to the end of the body."""

    status: int
    body: str
    seconds: float
    trouble: str = ""
    location: str = ""  # where a redirect that was not followed leads to, made absolute
    url: str = ""  # what answered in the end

    def json(self) -> Any:
        """The body as JSON. Raises ValueError."""
        return json.loads(self.body)

    def words(self, clean: Callable[[str], str] = str) -> str:
        """One line. `clean` masks the body before it is cut: half a secret would not be known."""
        first = " ".join(clean(self.body).split())[:80]
        return self.trouble or f'{self.status} after {self.seconds:.1f} s, body "{first}"'


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """One request. Headers are sent to the host of `url` only: a redirect to another one goes without them."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    follow: bool = True


class Web:
    """A client for smoke tests: no retries, no cookies, no credentials but those it is given."""

    def get(self, url: str, *, within: float, headers: Mapping[str, str] | None = None) -> Answer:
        """One GET that ends within `within` seconds and a little, redirects followed. Never raises for what the server does."""
        return self.ask(Asked(url=url, headers=headers or {}), within=within)

    def ask(self, asked: Asked, *, within: float) -> Answer:
        """One request that ends within `within` seconds and a little, whatever the server does. Never raises for what the server does."""
        import requests
        from urllib3.exceptions import HTTPError, ReadTimeoutError

        started = time.monotonic()
        try:
            with _answering(asked, within, started) as response:
                body, silent = bytearray(), False
                try:
                    while len(body) <= BODY_LIMIT and (chunk := response.raw.read1(65536, decode_content=True)):
                        body += chunk
                except ReadTimeoutError:
                    silent = True
                seconds = time.monotonic() - started
                late = f"answered {response.status_code}, but not whole within {within:g} s" if silent or seconds > within else ""
                leads = urljoin(response.url, response.headers["Location"]) if "Location" in response.headers else ""
                return Answer(
                    status=response.status_code, body=body.decode(errors="replace"), seconds=seconds, trouble=late, location=leads, url=response.url
                )  # fmt: skip
        except (requests.RequestException, HTTPError, OSError) as error:
            return Answer(status=0, body="", seconds=time.monotonic() - started, trouble=_words(error, within))

    def certificate_ends(self, url: str, *, within: float) -> datetime | None:
        """Until when the certificate of a https address is valid; None for http. Raises OSError when it cannot be read or does not verify."""
        import requests

        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            return None
        with requests.Session() as session:
            verify = session.merge_environment_settings(url, {}, None, None, None)["verify"]
        given = verify if isinstance(verify, str) else requests.utils.DEFAULT_CA_BUNDLE_PATH
        folder = Path(given).is_dir()
        context = ssl.create_default_context(cafile=None if folder else given, capath=given if folder else None)  # trusts what the request trusts
        with (
            socket.create_connection((parts.hostname, parts.port or 443), timeout=within) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname) as secure,
        ):
            certificate = secure.getpeercert() or {}
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)


def _answering(asked: Asked, within: float, started: float) -> requests.Response:
    """The answer's head, after at most a few redirects that all share one deadline."""
    import requests

    from promote.transport.http_deadline import ask

    url, method, headers, body = asked.url, asked.method, {"User-Agent": "promote-smoke", **asked.headers}, asked.body.encode() or None
    for _ in range(REDIRECTS):
        left = within - (time.monotonic() - started)
        if left <= 0:
            raise TimeoutError
        response = ask(method, url, within_s=left, headers=headers, data=body, stream=True)
        if not (asked.follow and response.is_redirect):
            return response
        response.close()
        after = urljoin(url, response.headers["Location"])
        if urlsplit(after)[:2] != urlsplit(url)[:2]:
            headers = {"User-Agent": "promote-smoke"}
        if response.status_code == 303 or (response.status_code in (301, 302) and method == "POST"):
            method, body = "GET", None
        url = after
    raise requests.TooManyRedirects(f"more than {REDIRECTS} redirects, the last to {url}")


def _words(error: Exception, within: float) -> str:
    import requests
    from urllib3.exceptions import TimeoutError as LibraryTimeout

    if isinstance(error, requests.Timeout | TimeoutError | LibraryTimeout):
        return f"no answer within {within:g} s"
    if isinstance(error, requests.exceptions.SSLError):
        return f"the certificate does not verify: {str(error)[:160]}"
    if isinstance(error, requests.exceptions.InvalidHeader):  # its own words show the value
        return "a header cannot be sent: is there a line break in what the environment has for it?"
    if isinstance(error, requests.ConnectionError):
        return f"no connection: {str(error)[:160]}"
    return f"{type(error).__name__}: {str(error)[:160]}"
