"""The logic of `smoke-url`: request one declared URL, with its attempts, and compare the response with the declaration."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from promote import connect
from promote.config.expressions import claim
from promote.config.schema import SmokeUrl
from promote.core.deadline import Clock
from promote.core.model import Evidence
from promote.core.redact import Redactor
from promote.transport.http_probe import HttpClient, HttpRequest, HttpResponse

REPEATABLE = ("GET", "HEAD", "OPTIONS")


def smoke_url_problem(http: HttpClient, wanted: SmokeUrl, evidence: Evidence, clock: Clock | None = None) -> str:
    """Text with the URL, the expected and the found response; "" when the URL answers as declared within its attempts.

    Methods other than GET, HEAD and OPTIONS are sent once. A slow answer is a warning. `clock` is for tests. Raises UsageError when a header names
    a variable that is not set: without it, production's answer is unknown.
    """
    clock = clock or Clock()
    headers = connect.headers(f"smoke-url[{wanted.name}]", wanted.headers)
    redact, started = Redactor([*headers.values(), *(v.rpartition(" ")[2] for v in headers.values())]), clock.monotonic()
    attempts = wanted.attempts if wanted.method in REPEATABLE else 1
    evidence("url", f"{wanted.method} {wanted.url}" if wanted.method != "GET" else wanted.url)
    for attempt in range(1, attempts + 1):
        answer = http.send(_request(wanted, headers), timeout=wanted.timeout)
        wrong = problems(answer, wanted, redact.text)
        evidence("answer", redact.text(answer.describe(redact.text)))
        if not wrong:
            break
        if attempt < attempts:
            clock.sleep(wanted.interval)
    else:
        differences = "".join(f"\n          {redact.text(line)}" for line in wrong if line not in (answer.error, _status(answer)))
        seconds = clock.monotonic() - started
        got = redact.text(answer.describe(redact.text))
        return f"{wanted.url}\nexpected  {expected(wanted)}\ngot       {got} ({_attempts(attempts)} in {seconds:.0f} s){differences}"
    if wanted.warn_after and answer.seconds > wanted.warn_after:
        evidence("warning", f"slow: {answer.seconds:.2f} s, more than {wanted.warn_after:g} s")
    return _certificate(http, wanted, evidence, clock)


def _request(wanted: SmokeUrl, headers: Mapping[str, str]) -> HttpRequest:
    return HttpRequest(url=wanted.url, method=wanted.method, headers=headers, body=wanted.body, follow=wanted.status // 100 != 3)


def _attempts(attempts: int) -> str:
    return f"{attempts} attempts" if attempts > 1 else "1 attempt"


def expected(wanted: SmokeUrl) -> str:
    """The declaration in one line: `200 within 5 s, body contains "ok"`."""
    parts = [f"{wanted.status} within {wanted.timeout:g} s"]
    parts += [f"to {wanted.redirect}"] if wanted.redirect else []
    parts += [f'body contains "{wanted.contains}"'] if wanted.contains else []
    return ", ".join([*parts, *wanted.json])


def problems(answer: HttpResponse, wanted: SmokeUrl, clean: Callable[[str], str] = str) -> list[str]:
    """The differences between a response and its declaration, one sentence each; [] when there is none."""
    if answer.error:
        return [answer.error]
    found = [_status(answer)] if answer.status != wanted.status else []
    found += [f"it took {answer.seconds:.1f} s"] if answer.seconds > wanted.timeout else []
    found += [f"it leads to {answer.location or 'nowhere'}"] if wanted.redirect and answer.location != wanted.redirect else []
    found += [f'the body does not contain "{wanted.contains}"'] if wanted.contains not in answer.body else []
    return found + (_claims(answer, wanted.json, clean) if wanted.json else [])


def _status(answer: HttpResponse) -> str:
    return f"the status is {answer.status}"


def _claims(answer: HttpResponse, texts: list[str], clean: Callable[[str], str]) -> list[str]:
    try:
        document = answer.json()
    except ValueError:
        return ["the body is not JSON"]
    return [why for text in texts if (why := claim(text).problem(document, clean))]


def _certificate(http: HttpClient, wanted: SmokeUrl, evidence: Evidence, clock: Clock) -> str:
    """Text when the certificate expires too soon, "" otherwise. Read once: another attempt would find the same certificate."""
    if not wanted.min_tls_days:
        return ""
    try:
        ends = http.certificate_ends(wanted.url, timeout=wanted.timeout)
    except OSError as error:
        return f"{wanted.url}\nexpected  a certificate valid for {wanted.min_tls_days} days\ngot       it could not be read: {error}"
    if ends is None:
        return f"{wanted.url}\nexpected  a certificate valid for {wanted.min_tls_days} days\ngot       an address without TLS"
    days = (ends - clock.now()).days
    evidence("certificate", f"valid until {ends:%Y-%m-%d}, {days} days")
    if days >= wanted.min_tls_days:
        return ""
    return f"{wanted.url}\nexpected  a certificate valid for {wanted.min_tls_days} days\ngot       valid until {ends:%Y-%m-%d %H:%M} UTC, {days} days"
