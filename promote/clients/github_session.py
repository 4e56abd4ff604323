"""How a request to GitHub goes out and is asked again. Imported with PyGithub, by its client only."""

from __future__ import annotations

import io
import time
from functools import partial
from typing import Any

import requests
from github import Auth, Github, GithubRetry
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, Requester
from urllib3 import HTTPResponse
from urllib3.exceptions import MaxRetryError, ReadTimeoutError

WHOLE = 2  # a whole answer may take twice as long as silence


class PatientRetry(GithubRetry):
    """A read is asked again after lost connections and a gateway's 502, but after silence only once more: silence has used up `call_s` each time.

    Urllib3 counts both under `read`. With one read in five failing, six tries in a row fail once in 15,000 reads.
    """

    def increment(
        self, method: str | None = None, url: str | None = None, response: Any = None, error: Exception | None = None, *rest: Any, **named: Any
    ) -> Any:
        if isinstance(error, ReadTimeoutError) and any(isinstance(past.error, ReadTimeoutError) for past in self.history):
            raise MaxRetryError(named.get("_pool"), url or "", error)  # type: ignore[arg-type]
        return super().increment(method, url, response, error, *rest, **named)


def _read_whole(answer_s: float, response: requests.Response, *_: Any, **__: Any) -> requests.Response:
    """Requests knows a deadline for silence only: an answer that drips a byte at a time would hold us for ever."""
    give_up, data = time.monotonic() + answer_s, bytearray()
    try:
        while chunk := response.raw.read1(1 << 16, decode_content=True):
            data += chunk
            if time.monotonic() > give_up:
                raise requests.Timeout(f"the answer was not complete after {answer_s:.0f} s")
    except BaseException:
        response.close()
        raise
    response.raw = HTTPResponse(body=io.BytesIO(bytes(data)), preload_content=False)
    return response


class _Connection(HTTPRequestsConnectionClass):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.session.hooks["response"].append(partial(_read_whole, WHOLE * (self.timeout or 0)))


class _SecureConnection(HTTPSRequestsConnectionClass):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.session.hooks["response"].append(partial(_read_whole, WHOLE * (self.timeout or 0)))


def connect(api_url: str, token: str, *, call_s: int, unhurried: bool) -> Github:
    """`call_s`: how long it may be silent, in whole seconds. `unhurried`: with PyGithub's own pauses between requests."""
    # POST is never repeated once it may have been sent.
    retry = PatientRetry(
        total=6, connect=2, read=5, other=1, status=5, backoff_factor=0.2, allowed_methods={"GET", "HEAD"}, max_rate_limit_wait=60, retry_after_max=60
    )
    pause = {} if unhurried else {"seconds_between_requests": None, "seconds_between_writes": None}
    Requester.injectConnectionClasses(_Connection, _SecureConnection)  # a client keeps the classes of its making
    try:
        return Github(auth=Auth.Token(token), base_url=api_url, timeout=call_s, retry=retry, lazy=True, per_page=100, **pause)  # type: ignore[arg-type]
    finally:
        Requester.resetConnectionClasses()
