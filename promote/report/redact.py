"""Keeping secrets out of everything that is shown or written. Replaces; never decides what is a secret by guessing at ordinary words."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

MASK = "***"
SHORTEST = 6  # characters; a shorter "secret" would tear ordinary words apart

# GitHub's tokens are recognisable by their form; credentials in a URL and in an Authorization header by their place.
_TOKENS = re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,})")
_URL_PASSWORD = re.compile(r"(?<=://)[^\s/@:]*:[^\s/@]+(?=@)")
_HTTP_USER = re.compile(r"(?<=http://)[^\s/@]+(?=@)|(?<=https://)[^\s/@]+(?=@)")
_HEADER = re.compile(r"(?i)\b((?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?(?:(?:basic|bearer|token)\s+)?)[^\s\"',}]+")
_BEARER = re.compile(r"\b((?:Bearer|Basic) )[A-Za-z0-9._~+/=-]{16,}")


_LEARNED: set[str] = set()  # of this process: a credential helper's answer is a secret for every sink, also for those made before it came


def learn(*secrets: str) -> None:
    """Secrets that every Redactor of this process masks from now on. Short ones are not taken."""
    for secret in secrets:
        if len(secret) >= SHORTEST:
            _LEARNED.update(_forms(secret))


def _forms(secret: str) -> set[str]:
    """A secret as it is, percent-encoded, and as the two kinds of Basic authorization carry it."""
    return {secret, quote(secret, safe=""), _base64(secret), _base64(f"x-access-token:{secret}")}


class Redactor:
    """Masks the secrets it was told of, in plain, percent-encoded and base64 form, and what has the form or the place of a credential."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: list[str] = []
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Learn of more secrets: a client often knows its own only once it is connected. Short ones are not taken."""
        for secret in secrets:
            if len(secret) >= SHORTEST:
                self._known += _forms(secret) - set(self._known)
        self._known.sort(key=len, reverse=True)  # the longest first: one may hold another

    def text(self, text: str) -> str:
        """The text without secrets."""
        for secret in sorted(_LEARNED - set(self._known), key=len, reverse=True) if _LEARNED else ():
            text = text.replace(secret, MASK)
        for secret in self._known:
            text = text.replace(secret, MASK)
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


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
