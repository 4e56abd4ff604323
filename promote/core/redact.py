"""Keeping secrets out of everything that is shown or written. Replaces; never decides what is a secret by guessing at ordinary words."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

MASK = "***"
LEAST_LEFT = 8  # characters of a secret that was cut; fewer are found in ordinary words
SHORTEST = 6  # characters; a shorter "secret" would tear ordinary words apart

# GitHub's tokens are recognisable by their form; credentials in a URL and in an Authorization header by their place.
_TOKENS = re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,})")
_URL_PASSWORD = re.compile(r"(?<=://)[^\s/@:]*:[^\s/@]+(?=@)")
_HTTP_USER = re.compile(r"(?<=http://)[^\s/@]+(?=@)|(?<=https://)[^\s/@]+(?=@)")
_HEADER = re.compile(r"(?i)\b((?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?(?:(?:basic|bearer|token)\s+)?)[^\s\"',}]+")
_KEPT = "!#$%&'()*+,/:;=?@[]~"  # what an HTTP library leaves alone when it completes an address
_ESCAPE = re.compile(r"%[0-9A-F]{2}")
_BEARER = re.compile(r"\b((?:Bearer|Basic) )[A-Za-z0-9._~+/=-]{16,}")


_LEARNED: set[str] = set()  # of this process: a credential helper's answer is a secret for every sink, also for those made before it came


def learn(*secrets: str) -> None:
    """Secrets that every Redactor of this process masks from now on. Short ones are not taken."""
    for secret in secrets:
        if len(secret) >= SHORTEST:
            _LEARNED.update(_forms(secret))


def _forms(secret: str) -> set[str]:
    """A secret as it is, without the line break that a file gave it, line by line; each percent-encoded, escaped as JSON and Python show it, and as
    the two kinds of Basic authorization carry it."""
    texts = {text for text in (secret, secret.strip(), *(line.strip() for line in secret.splitlines())) if len(text) >= SHORTEST}
    encoded = {quote(text, safe=kept) for text in texts for kept in ("", "/", _KEPT)} | {quote_plus(text) for text in texts}
    escaped = {shown[1:-1] for text in texts for shown in (json.dumps(text), json.dumps(text, ensure_ascii=False), repr(text))}
    basic = {_base64(f"{user}{text}") for text in texts for user in ("", "x-access-token:")}
    return texts | encoded | {_ESCAPE.sub(lambda found: found[0].lower(), text) for text in encoded} | escaped | basic


class Redactor:
    """Masks the secrets it was told of, in plain, percent-encoded and base64 form, and what has the form or the place of a credential."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: set[str] = set()
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Learn of more secrets: a client often knows its own only once it is connected. Short ones are not taken."""
        for secret in secrets:
            if len(secret) >= SHORTEST:
                self._known |= _forms(secret)

    def text(self, text: str) -> str:
        """The text without secrets."""
        known = sorted(_LEARNED.union(self._known), key=len, reverse=True)  # the longest first: one may hold another
        for secret in known:
            text = text.replace(secret, MASK)
        for secret in known:
            text = _without_beginning(text, secret)
        text = _HTTP_USER.sub(MASK, _URL_PASSWORD.sub(MASK, text))
        text = _BEARER.sub(rf"\1{MASK}", _HEADER.sub(rf"\1{MASK}", text))
        return _TOKENS.sub(MASK, text)

    def value(self, value: object) -> object:
        """The same for all text in a JSON-like value, keys included; other leaves stay as they are."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(k)): self.value(v) for k, v in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(v) for v in value]
        return value


def _without_beginning(text: str, secret: str) -> str:
    """A client cuts what a server says, perhaps within a secret: what is left of one is masked when it is half of it or more."""
    least = max(LEAST_LEFT, (len(secret) + 1) // 2)
    while (start := text.find(secret[:least])) >= 0:
        end = start + least
        while text[end : end + 1] == secret[end - start : end - start + 1] != "":
            end += 1
        text = text[:start] + MASK + text[end:]
    return text


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
