"""A small part of PromQL, enough for the sandbox's rules: selectors, offset-free instant vectors, time(), timestamp(), vector(), sum, min, max,
avg, count, arithmetic, comparisons, `or`. Anything else is answered as a parse error, as a server would.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

Labels = tuple[tuple[str, str], ...]
Vector = dict[Labels, float]
_TOKEN = re.compile(r'\s*(?:([a-zA-Z_:][a-zA-Z0-9_:]*)|([0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?)|("(?:\\.|[^"])*")|(=~|!~|!=|==|<=|>=|[-+*/<>(){},=]))')
_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": lambda a, b: a / b if b else float("nan") if not a else float("inf"),
}  # fmt: skip
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip
_FOLD: Mapping[str, Callable[[list[float]], float]] = {
    "sum": sum, "min": min, "max": max, "count": len, "avg": lambda values: sum(values) / len(values),
}  # fmt: skip


class ParseError(Exception):
    """Not an expression of this small language."""


@dataclass(frozen=True, slots=True)
class Point:
    """One series with its newest sample."""

    name: str
    labels: Mapping[str, str]
    value: float
    at: float


@dataclass(slots=True)
class Evaluation:
    """One expression over the points of one moment. `result` is a number or a vector."""

    expression: str
    points: list[Point]
    now: float
    _tokens: list[str] = field(default_factory=list)

    def result(self) -> float | Vector:
        at, text = 0, self.expression.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise ParseError(f"1:{at + 1}: parse error: unexpected character: {text[at]!r}")
            self._tokens.append(next(g for g in match.groups() if g is not None))
            at = match.end()
        value = self._or()
        if self._tokens:
            raise ParseError(f"parse error: unexpected {self._tokens[0]!r}")
        return value

    def _take(self, *wanted: str) -> str:
        if self._tokens and (not wanted or self._tokens[0] in wanted):
            return self._tokens.pop(0)
        if wanted == ():
            raise ParseError("parse error: unexpected end of input")
        return ""

    def _need(self, sign: str) -> None:
        if not self._take(sign):
            raise ParseError(f"parse error: {sign!r} expected, {(self._tokens or ['end of input'])[0]!r} found")

    def _or(self) -> float | Vector:
        left = self._binary(0)
        while self._take("or"):
            right = self._binary(0)
            if not isinstance(left, dict) or not isinstance(right, dict):
                raise ParseError('parse error: set operator "or" not allowed in binary scalar expression')
            left = {**right, **left} if left.keys() & right.keys() else {**left, **right}
        return left

    def _binary(self, level: int) -> float | Vector:
        levels = (tuple(_COMPARE), ("+", "-"), ("*", "/"))
        if level == len(levels):
            return self._atom()
        left = self._binary(level + 1)
        while sign := self._take(*levels[level]):
            left = _apply(sign, left, self._binary(level + 1))
        return left

    def _atom(self) -> float | Vector:
        token = self._take()
        if token == "(":
            value = self._or()
            self._need(")")
            return value
        if token == "-":
            return _apply("*", -1.0, self._atom())
        if token[0].isdigit():
            return float(token)
        if token == "{":
            self._tokens.insert(0, token)
            return self._selector("")
        if not (token[0].isalpha() or token[0] in "_:"):
            raise ParseError(f"parse error: unexpected {token!r}")
        return self._call(token) if self._tokens[:1] == ["("] else self._selector(token)

    def _call(self, name: str) -> float | Vector:
        self._need("(")
        if name == "time":
            self._need(")")
            return self.now
        if name == "timestamp":
            seen = self._matching(*self._selector_parts(self._take()))
            self._need(")")
            return {_key(p.labels): p.at for p in seen}
        value = self._or()
        self._need(")")
        if name == "vector" and not isinstance(value, dict):
            return {(): value}
        if name in _FOLD and isinstance(value, dict):
            return {(): float(_FOLD[name](list(value.values())))} if value else {}
        raise ParseError(f'parse error: unknown function with name "{name}", or not with this argument')

    def _selector(self, name: str) -> Vector:
        return {_key(p.labels, p.name): p.value for p in self._matching(*self._selector_parts(name))}

    def _selector_parts(self, name: str) -> tuple[str, list[tuple[str, str, str]]]:
        matchers = []
        if name == "{":
            self._tokens.insert(0, name)
            name = ""
        if self._take("{"):
            while not self._take("}"):
                label, sign, value = self._take(), self._take("=", "!=", "=~", "!~"), self._take()
                if not sign or value[:1] != '"':
                    raise ParseError("parse error: unexpected token inside braces")
                matchers.append((label, sign, value[1:-1]))
                self._take(",")
        return name, matchers

    def _matching(self, name: str, matchers: list[tuple[str, str, str]]) -> list[Point]:
        return [p for p in self.points if name in ("", p.name) and matches({**p.labels, "__name__": p.name}, matchers)]


def matches(labels: Mapping[str, str], matchers: Iterable[tuple[str, str, str]]) -> bool:
    """Whether labels satisfy (label, =|!=|=~|!~, value) matchers; an absent label is ""."""
    for label, sign, value in matchers:
        here = labels.get(label, "")
        # Prometheus anchors regular expressions at both ends.
        same = re.fullmatch(value, here) is not None if "~" in sign else here == value
        if same == sign.startswith("!"):
            return False
    return True


def _key(labels: Mapping[str, str], name: str = "") -> Labels:
    return tuple(sorted({**labels, **({"__name__": name} if name else {})}.items()))


def _apply(sign: str, left: float | Vector, right: float | Vector) -> float | Vector:
    compare = _COMPARE.get(sign)
    if not isinstance(left, dict) and not isinstance(right, dict):
        if compare:
            raise ParseError("parse error: comparisons between scalars must use BOOL modifier")
        return _ARITHMETIC[sign](left, right)
    if isinstance(left, dict) and isinstance(right, dict):
        pairs = {key: (left[key], _without_name(right)[_bare(key)]) for key in left if _bare(key) in _without_name(right)}
    elif isinstance(left, dict):
        pairs = {key: (value, right) for key, value in left.items()}  # type: ignore[misc]
    else:
        pairs = {key: (left, value) for key, value in right.items()}  # type: ignore[union-attr]
    if compare:
        # A comparison filters: what remains keeps the vector's value and name.
        return {key: (a if isinstance(left, dict) else b) for key, (a, b) in pairs.items() if compare(a, b)}
    # Arithmetic makes another quantity, so the metric's name goes.
    return {_bare(key): _ARITHMETIC[sign](a, b) for key, (a, b) in pairs.items()}


def _bare(key: Labels) -> Labels:
    return tuple(pair for pair in key if pair[0] != "__name__")


def _without_name(vector: Vector) -> Vector:
    return {_bare(key): value for key, value in vector.items()}
