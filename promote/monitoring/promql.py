"""PromQL expressions as text: which series an expression reads, and limiting its ranges to the time since the move. Pure.

A scanner, not a parser: Prometheus itself validates the expression. It only has to distinguish selectors from functions, keywords, label lists and
strings, and to find the selectors that deliberately read another time by `offset` or `@`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# In Prometheus a day always has 24 hours, and a year 365 days.
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[smhdwy])")
_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)|(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)|(?P<duration>(?:[0-9]+(?:ms|[smhdwy]))+\b)"""
    r"""|(?P<number>0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)|(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)|(?P<sign>.)""",
    re.DOTALL,
)
_LABEL_LISTS = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_WORDS = _LABEL_LISTS | {"and", "or", "unless", "atan2", "bool", "offset", "inf", "nan", "start", "end"}
SINCE = "$since"  # in an expression: the seconds since the move, as a duration


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def _tokens(expression: str) -> list[_Token]:
    found = [_Token(str(m.lastgroup), m[0], m.start()) for m in _TOKEN.finditer(expression)]
    return [t for t in found if t.kind != "space"]


def _closing(tokens: list[_Token], at: int, pair: str) -> int:
    """The index of the sign that closes the one at `at`; the last index when none does (Prometheus will report the error)."""
    depth = 0
    for i in range(at, len(tokens)):
        if tokens[i].kind == "sign":
            depth += (tokens[i].text == pair[0]) - (tokens[i].text == pair[1])
        if depth == 0:
            return i
    return len(tokens) - 1


def _text(tokens: list[_Token], at: int) -> str:
    return tokens[at].text if at < len(tokens) else ""


def selectors(expression: str) -> tuple[str, ...]:
    """The selectors that the expression reads at the current time, each once, without range. Omits those with `offset` or `@`."""
    return tuple(dict.fromkeys(text for text, away in _selectors(expression) if not away))


def has_fallback(expression: str) -> bool:
    """Whether the expression has an `or`, which gives a value for absent series."""
    return any(t.kind == "name" and t.text.lower() == "or" for t in _tokens(expression))


def _selectors(expression: str) -> Iterator[tuple[str, bool]]:
    tokens, at = _tokens(expression), 0
    while at < len(tokens):
        token, following = tokens[at], _text(tokens, at + 1)
        if token.kind == "name" and token.text.lower() in _WORDS and following not in ("{", "["):
            is_list = token.text.lower() in _LABEL_LISTS and following == "("
            at = (_closing(tokens, at + 1, "()") if is_list else at) + 1
        elif token.kind == "name" and (following == "(" or (following.lower() in ("by", "without") and _text(tokens, at + 2) == "(")):
            at += 1
        elif token.text == "[":
            at = _closing(tokens, at, "[]") + 1
        elif token.kind == "name" or token.text == "{":
            last = at if token.text == "{" else at + 1
            end = _closing(tokens, last, "{}") if _text(tokens, last) == "{" else at
            yield expression[token.start : tokens[end].end], _looks_away(tokens, end + 1)
            at = end + 1
        else:
            at += 1


def _looks_away(tokens: list[_Token], at: int) -> bool:
    if _text(tokens, at) == "[":
        at = _closing(tokens, at, "[]") + 1
    return _text(tokens, at).lower() in ("offset", "@")


def limit_ranges(expression: str, seconds: float, *, cut: bool = True) -> tuple[str, tuple[str, ...]]:
    """Limit every range that ends now to `seconds`, and replace `$since` by `seconds`; returns (the new expression, the ranges that were limited).

    Without `cut`, only replace `$since`.
    """
    # At least 1 ms: Prometheus refuses a range of 0.
    limit = f"{max(1, round(seconds * 1000))}ms"
    expression = expression.replace(SINCE, limit)
    if not cut:
        return expression, ()
    tokens, shortened, parts, copied = _tokens(expression), list[str](), list[str](), 0
    for at, token in enumerate(tokens):
        if token.text != "[" or token.kind != "sign" or at + 1 >= len(tokens) or tokens[at + 1].kind != "duration":
            continue
        wanted, close = tokens[at + 1], _closing(tokens, at, "[]")
        if _text(tokens, close + 1).lower() in ("offset", "@") or duration_s(wanted.text) <= seconds:
            continue
        parts += [expression[copied : wanted.start], limit]
        copied = wanted.end
        shortened.append(wanted.text)
    return "".join([*parts, expression[copied:]]), tuple(shortened)


def duration_s(text: str) -> float:
    """A Prometheus duration like `1h30m` in seconds."""
    return sum(float(n) * _UNITS[unit] for n, unit in _DURATION.findall(text))
