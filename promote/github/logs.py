"""A job's log: fetched from its signed URL, and reduced to the lines that show why the job failed. Uses no API."""

from __future__ import annotations

import contextlib
import re

from promote.core.foreign import split_lines

LOG_LIMIT = 4_000_000  # the longest part of a log that is read, in bytes
_STAMP = re.compile(r"^\ufeff?\d{4}-\d\d-\d\dT[\d:.]+Z ?")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")  # a log must not control the terminal that shows it


def fetch_signed(url: str, *, within_s: float) -> str:
    """The text behind a signed URL, or the part of it that arrived within `within_s` seconds.

    Sends no credentials: the storage refuses the token. Raises the exceptions of requests and urllib3, for the caller to convert.
    """
    from urllib3.exceptions import ReadTimeoutError

    from promote.transport.http_deadline import ask

    body = bytearray()
    with ask("GET", url, within_s=within_s, stream=True, allow_redirects=True) as answer:
        answer.raise_for_status()
        with contextlib.suppress(ReadTimeoutError):
            while len(body) <= LOG_LIMIT and (chunk := answer.raw.read1(65536, decode_content=True)):
                body += chunk
    return body.decode(errors="replace")


def log_tail(text: str, lines: int) -> tuple[str, ...]:
    """The last lines of an Actions log up to its last error line (only clean-up follows it), without time stamps and control characters."""
    clean = [_CONTROL.sub("", _STAMP.sub("", line)).rstrip() for line in split_lines(text)]
    errors = [i for i, line in enumerate(clean) if line.startswith("##[error]")]
    shown = [line for line in (clean[: errors[-1] + 1] if errors else clean) if not line.startswith("##[endgroup]")]
    return tuple(line.removeprefix("##[error]") for line in shown[-lines:])
