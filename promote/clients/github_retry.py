"""How a request to GitHub is asked again. Imported with PyGithub, by its client only."""

from __future__ import annotations

from typing import Any

from github import GithubRetry
from urllib3.exceptions import MaxRetryError, ReadTimeoutError


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


def patient_retry() -> PatientRetry:
    """POST is never repeated once it may have been sent."""
    return PatientRetry(
        total=6,
        connect=2,
        read=5,
        other=1,
        status=5,
        backoff_factor=0.2,
        allowed_methods={"GET", "HEAD"},
        max_rate_limit_wait=60,
        retry_after_max=60,
    )
