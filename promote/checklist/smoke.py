"""Asking one declared URL, with its attempts, and the text that tells how it went."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from promote import connect
from promote.config.expressions import claim
from promote.config.schema import SmokeUrl
from promote.core.deadline import Clock
from promote.core.redact import Redactor
from promote.transport.http_probe import Answer, Asked, Web

REPEATABLE = ("GET", "HEAD", "OPTIONS")
Evidence = Callable[[str, object], None]


def ask(http: Web, wanted: SmokeUrl, evidence: Evidence, clock: Clock | None = None) -> str:
    """ "" when it answers as declared within its attempts, else expected against got.

    Raises UsageError when a header names a variable that is not set: without it nobody can tell how production answers.
    """
    clock = clock or Clock()
    headers = connect.headers(f"smoke-url[{wanted.name}]", wanted.headers)
    redact, started = Redactor([*headers.values(), *(v.rpartition(" ")[2] for v in headers.values())]), clock.monotonic()
    attempts = wanted.attempts if wanted.method in REPEATABLE else 1
    evidence("url", f"{wanted.method} {wanted.url}" if wanted.method != "GET" else wanted.url)
    for attempt in range(1, attempts + 1):
        answer = http.ask(_asked(wanted, headers), within=wanted.timeout)
        wrong = problems(answer, wanted, redact.text)
        evidence("answer", redact.text(answer.words(redact.text)))
        if not wrong:
            break
        if attempt < attempts:
            clock.sleep(wanted.interval)
    else:
        told = "".join(f"\n          {redact.text(line)}" for line in wrong if line not in (answer.trouble, _status(answer)))
        seconds = clock.monotonic() - started
        got = redact.text(answer.words(redact.text))
        return f"{wanted.url}\nexpected  {expected(wanted)}\ngot       {got} ({_attempts(attempts)} in {seconds:.0f} s){told}"
    if wanted.warn_after and answer.seconds > wanted.warn_after:
        evidence("warning", f"slow: {answer.seconds:.2f} s, more than {wanted.warn_after:g} s")
    return _certificate(http, wanted, evidence, clock)


def _asked(wanted: SmokeUrl, headers: Mapping[str, str]) -> Asked:
    return Asked(url=wanted.url, method=wanted.method, headers=headers, body=wanted.body, follow=wanted.status // 100 != 3)


def _attempts(attempts: int) -> str:
    return f"{attempts} attempts" if attempts > 1 else "1 attempt"


def expected(wanted: SmokeUrl) -> str:
    """What was declared, as a sentence."""
    parts = [f"{wanted.status} within {wanted.timeout:g} s"]
    parts += [f"to {wanted.redirect}"] if wanted.redirect else []
    parts += [f'body contains "{wanted.contains}"'] if wanted.contains else []
    return ", ".join([*parts, *wanted.json])


def problems(answer: Answer, wanted: SmokeUrl, clean: Callable[[str], str] = str) -> list[str]:
    """How an answer differs from what was declared, one sentence each; [] when it does not."""
    if answer.trouble:
        return [answer.trouble]
    found = [_status(answer)] if answer.status != wanted.status else []
    found += [f"it took {answer.seconds:.1f} s"] if answer.seconds > wanted.timeout else []
    found += [f"it leads to {answer.location or 'nowhere'}"] if wanted.redirect and answer.location != wanted.redirect else []
    found += [f'the body does not contain "{wanted.contains}"'] if wanted.contains not in answer.body else []
    return found + (_claims(answer, wanted.json, clean) if wanted.json else [])


def _status(answer: Answer) -> str:
    return f"the status is {answer.status}"


def _claims(answer: Answer, texts: list[str], clean: Callable[[str], str]) -> list[str]:
    try:
        document = answer.json()
    except ValueError:
        return ["the body is not JSON"]
    return [why for text in texts if (why := claim(text).problem(document, clean))]


def _certificate(http: Web, wanted: SmokeUrl, evidence: Evidence, clock: Clock) -> str:
    """The certificate is valid for long enough; looked at once, since a certificate does not get younger by asking again."""
    if not wanted.min_tls_days:
        return ""
    try:
        ends = http.certificate_ends(wanted.url, within=wanted.timeout)
    except OSError as error:
        return f"{wanted.url}\nexpected  a certificate valid for {wanted.min_tls_days} days\ngot       it could not be read: {error}"
    if ends is None:
        return f"{wanted.url}\nexpected  a certificate valid for {wanted.min_tls_days} days\ngot       an address without TLS"
    days = (ends - clock.now()).days
    evidence("certificate", f"valid until {ends:%Y-%m-%d}, {days} days")
    if days >= wanted.min_tls_days:
        return ""
    return f"{wanted.url}\nexpected  a certificate valid for {wanted.min_tls_days} days\ngot       valid until {ends:%Y-%m-%d %H:%M} UTC, {days} days"
