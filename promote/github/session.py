"""The HTTP session for GitHub: deadlines and retries of requests, built into PyGithub's client."""

from __future__ import annotations

from typing import Any

import requests
from github import Auth, Github, GithubRetry
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, Requester
from requests.exceptions import ChunkedEncodingError
from urllib3.exceptions import MaxRetryError, ReadTimeoutError, ResponseError

from promote.core.retry import give_up, patience_left, retry_after, retry_transient
from promote.transport.http_deadline import WholeAnswers, keep_whole

SERVICE = "GitHub"
# POST is never repeated once it may have been sent. With one read in five failing, six tries in a row fail once in 15,000 reads.
COUNTS = {"total": 6, "connect": 2, "read": 5, "other": 1, "status": 5}
WHOLE = 2  # a whole answer may take twice as long as the longest silence


class PatientRetry(GithubRetry):
    """Repeats a read after lost connections, a 429 and a gateway's 502, but only once after silence, because each silence costs `call_s` seconds.

    urllib3 itself counts both kinds together, as `read`. Within a check (`patience`) the count begins again until the check's time is used up.
    """

    def increment(
        self, method: str | None = None, url: str | None = None, response: Any = None, error: Exception | None = None, *rest: Any, **named: Any
    ) -> Any:
        if isinstance(error, ReadTimeoutError) and any(isinstance(past.error, ReadTimeoutError) for past in self.history):
            raise MaxRetryError(named.get("_pool"), url or "", error)  # type: ignore[arg-type]
        broken_off = error is None or self._is_read_error(error)  # neither an unreachable server nor an untrusted certificate changes meanwhile
        patient = patience_left(SERVICE) if broken_off else None
        if not patient:
            return super().increment(method, url, response, error, *rest, **named)
        pause = max(retry_after(response.headers) if response else 0.0, self.get_backoff_time())
        if patient.left <= pause:
            give_up(SERVICE)
            reason = error or ResponseError(ResponseError.SPECIFIC_ERROR.format(status_code=response.status if response else 0))
            raise MaxRetryError(named.get("_pool"), url or "", reason)  # type: ignore[arg-type]
        return super(PatientRetry, self.new(**COUNTS)).increment(method, url, response, error, *rest, **named)


class _Patient(WholeAnswers):
    """Repeats a read whose answer broke off in the body; urllib3 retries only until it has the head of an answer."""

    def __init__(self, call_s: int, retry: Any) -> None:
        super().__init__(times=WHOLE, retries=retry)
        self._call_s = call_s

    def send(self, request: requests.PreparedRequest, *args: Any, **named: Any) -> requests.Response:
        def once(_: float) -> requests.Response | ChunkedEncodingError:
            answer = super(_Patient, self).send(request, *args, **named)
            try:
                keep_whole(answer)
            except ChunkedEncodingError as error:
                return error
            return answer

        got = retry_transient(
            once, passing=lambda got: request.method == "GET" and isinstance(got, ChunkedEncodingError), within_s=self._call_s, service=SERVICE
        )
        if isinstance(got, ChunkedEncodingError):
            raise got
        return got


class _Connection(HTTPRequestsConnectionClass):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.session.mount("http://", _Patient(self.timeout or 0, self.retry))


class _SecureConnection(HTTPSRequestsConnectionClass):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.session.mount("https://", _Patient(self.timeout or 0, self.retry))


def connect(api_url: str, token: str, *, call_s: int, unhurried: bool) -> Github:
    """A client. `call_s`: the longest silence, in whole seconds. `unhurried`: keep PyGithub's own pauses between requests."""
    retry = PatientRetry(
        **COUNTS,
        backoff_factor=0.2,
        backoff_max=5,
        allowed_methods={"GET", "HEAD"},
        status_forcelist=[403, 429, *range(500, 600)],
        max_rate_limit_wait=60,
        retry_after_max=60,
    )
    pause = {} if unhurried else {"seconds_between_requests": None, "seconds_between_writes": None}
    Requester.injectConnectionClasses(_Connection, _SecureConnection)  # a client keeps the classes that were set when it was created
    try:
        return Github(auth=Auth.Token(token), base_url=api_url, timeout=call_s, retry=retry, lazy=True, per_page=100, **pause)  # type: ignore[arg-type]
    finally:
        Requester.resetConnectionClasses()
