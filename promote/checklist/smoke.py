"""Asking one declared URL, with its tries, and the text that tells how it went."""

from __future__ import annotations

from collections.abc import Callable

from promote.clients.web import Answer, Web
from promote.deadline import Clock
from promote.settings import SmokeUrl


def ask(http: Web, wanted: SmokeUrl, evidence: Callable[[str, object], None], clock: Clock | None = None) -> str:
    """ "" when it answers as declared within its tries, else expected against got."""
    clock = clock or Clock()
    started = clock.monotonic()
    for attempt in range(1, wanted.tries + 1):
        answer = http.get(wanted.url, within=wanted.within)
        wrong = mismatch(answer, wanted)
        evidence("url", wanted.url)
        evidence("answer", answer.words())
        if not wrong:
            return ""
        if attempt < wanted.tries:
            clock.sleep(wanted.every)
    body = f', body contains "{wanted.contains}"' if wanted.contains else ""
    return (
        f"{wanted.url}\n"
        f"expected  {wanted.status} within {wanted.within:g} s{body}\n"
        f"got       {answer.words()} ({wanted.tries} tries in {clock.monotonic() - started:.0f} s)"
    )


def mismatch(answer: Answer, wanted: SmokeUrl) -> bool:
    """Whether an answer is not what was declared."""
    return bool(answer.trouble) or answer.status != wanted.status or wanted.contains not in answer.body or answer.seconds > wanted.within
