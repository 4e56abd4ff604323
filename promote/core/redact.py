"""Masking secrets in everything that promote shows or writes: known secrets, and text with the form or the place of a credential. It never
guesses."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

from promote.core.foreign import split_lines, visible

MASK = "***"
LEAST_LEFT = 8  # characters of a truncated secret; a shorter fragment also occurs in ordinary words
SHORTEST = 6  # characters; masking a shorter "secret" would tear ordinary words apart

# GitHub's tokens are recognisable by their form; credentials in a URL and in an Authorization header by their place.
_TOKENS = re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,})")
_URL_PASSWORD = re.compile(r"(?<=://)[^\s/@:]*:[^\s/@]+(?=@)")
_HTTP_USER = re.compile(r"(?<=http://)[^\s/@]+(?=@)|(?<=https://)[^\s/@]+(?=@)")
_HEADER = re.compile(r"(?i)\b((?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?(?:(?:basic|bearer|token)\s+)?)[^\s\"',}]+")
_KEPT = "!#$%&'()*+,/:;=?@[]~"  # the characters that HTTP libraries do not percent-encode in a URL
_ESCAPE = re.compile(r"%[0-9A-F]{2}")
_BEARER = re.compile(r"\b((?:Bearer|Basic) )[A-Za-z0-9._~+/=-]{16,}")


# Process-wide: the answer of a credential helper is a secret for every output, also for a Redactor created before the answer came.
_LEARNED: set[str] = set()


def learn(*secrets: str) -> None:
    """Make every Redactor of this process mask these secrets from now on. Ignores those shorter than SHORTEST."""
    for secret in secrets:
        if len(secret) >= SHORTEST:
            _LEARNED.update(_forms(secret))


def _forms(secret: str) -> set[str]:
    """The spellings of a secret: as it is, stripped and line by line; each of them also percent-encoded, escaped for JSON and Python, and in base64
    as the two kinds of Basic authorization send it."""
    texts = {text for text in (secret, secret.strip(), *(line.strip() for line in split_lines(secret))) if len(text) >= SHORTEST}
    encoded = {quote(text, safe=kept) for text in texts for kept in ("", "/", _KEPT)} | {quote_plus(text) for text in texts}
    escaped = {shown[1:-1] for text in texts for shown in (json.dumps(text), json.dumps(text, ensure_ascii=False), repr(text))}
    basic = {_base64(f"{user}{text}") for text in texts for user in ("", "x-access-token:")}
    return texts | encoded | {_ESCAPE.sub(lambda found: found[0].lower(), text) for text in encoded} | escaped | basic


class Redactor:
    """Masks the secrets it knows, in plain, percent-encoded and base64 form, and any text with the form or the place of a credential."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: set[str] = set()
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Mask these secrets too: a client often learns its own only while it connects. Ignores those shorter than SHORTEST."""
        for secret in secrets:
            if len(secret) >= SHORTEST:
                self._known |= _forms(secret)

    def text(self, text: str) -> str:
        """The text without secrets."""
        known = sorted(_LEARNED.union(self._known), key=len, reverse=True)  # the longest first: one secret may contain another
        for secret in known:
            text = text.replace(secret, MASK)
        for secret in known:
            text = _without_beginning(text, secret)
        text = _HTTP_USER.sub(MASK, _URL_PASSWORD.sub(MASK, text))
        text = _BEARER.sub(rf"\1{MASK}", _HEADER.sub(rf"\1{MASK}", text))
        return _TOKENS.sub(MASK, text)

    def shown(self, text: str) -> str:
        """The text without secrets, and with all that could control what shows it as an escape: the form in which foreign text leaves the program."""
        masked = self.text(text)
        shown = visible(masked)
        return shown if shown == masked else self.text(shown)  # a colour may have stood in the middle of a secret

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
    """Mask the beginnings of a secret that are at least half of it: a client may truncate a server's answer in the middle of a secret."""
    least = max(LEAST_LEFT, (len(secret) + 1) // 2)
    while (start := text.find(secret[:least])) >= 0:
        end = start + least
        while text[end : end + 1] == secret[end - start : end - start + 1] != "":
            end += 1
        text = text[:start] + MASK + text[end:]
    return text


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
