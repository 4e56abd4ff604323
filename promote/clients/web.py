"""Asking production's services over HTTP. An answer is a value, also when there is none: a refused connection is something a check can judge."""

from __future__ import annotations

import time
from dataclasses import dataclass

BODY_LIMIT = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """`status` 0 with `trouble` set means that no answer came. `seconds` is the time to the end of the body."""

    status: int
    body: str
    seconds: float
    trouble: str = ""

    def words(self) -> str:
        first = " ".join(self.body.split())[:80]
        return self.trouble or f'{self.status} after {self.seconds:.1f} s, body "{first}"'


class Web:
    """A client for smoke tests: no retries, no cookies, redirects followed."""

    def get(self, url: str, *, within: float) -> Answer:
        """One GET that ends within `within` seconds and a little, whatever the server does. Never raises for what the server does."""
        import requests

        started = time.monotonic()
        try:
            with requests.get(url, timeout=within, stream=True, headers={"User-Agent": "promote-smoke"}) as response:
                body = bytearray()
                for chunk in response.iter_content(65536):
                    body += chunk
                    if time.monotonic() - started > within or len(body) > BODY_LIMIT:
                        break
                seconds = time.monotonic() - started
                late = f"answered {response.status_code}, but not whole within {within:g} s" if seconds > within else ""
                return Answer(status=response.status_code, body=body.decode(errors="replace"), seconds=seconds, trouble=late)
        except requests.RequestException as error:
            return Answer(status=0, body="", seconds=time.monotonic() - started, trouble=_words(error, within))


def _words(error: Exception, within: float) -> str:
    import requests

    if isinstance(error, requests.Timeout):
        return f"no answer within {within:g} s"
    if isinstance(error, requests.exceptions.SSLError):
        return f"the certificate does not verify: {str(error)[:160]}"
    if isinstance(error, requests.ConnectionError):
        return f"no connection: {str(error)[:160]}"
    return f"{type(error).__name__}: {str(error)[:160]}"
