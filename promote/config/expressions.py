"""The small expressions in promotion.toml: a threshold for a number, an assertion on a JSON body, a header. Pure parsing and evaluation."""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le, ">=": operator.ge, "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
_OPERATOR = "|".join(_COMPARE)
_THRESHOLD = re.compile(rf"\s*({_OPERATOR})\s*([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)\s*")
_CLAIM = re.compile(rf'\s*((?:"[^"]+"|[^\s."<>=!]+)(?:\.(?:"[^"]+"|[^\s."<>=!]+))*)\s*(?:({_OPERATOR})\s*(.*\S))?\s*')
_SEGMENT = re.compile(r'"([^"]+)"|([^."]+)')
_HEADER = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+):\s*(\S.*)")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
MISSING = object()


@dataclass(frozen=True, slots=True)
class Threshold:
    """A comparison that a number must satisfy: `< 0.01`."""

    compare: str
    limit: float

    def holds(self, value: float) -> bool:
        """False for NaN, which the caller has to report as undetermined first."""
        return not math.isnan(value) and _COMPARE[self.compare](value, self.limit)

    def __str__(self) -> str:
        return f"{self.compare} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Claim:
    """An assertion on a JSON document: the value at a path compared with a JSON literal; with `compare` "" the path must exist."""

    text: str
    path: tuple[str, ...]
    compare: str
    value: object

    def problem(self, document: object, clean: Callable[[str], str] = str) -> str:
        """The actual value, when the assertion does not hold; "" when it does. `clean` masks secrets before the value is shortened."""
        found = at_path(document, self.path)
        if found is MISSING:
            return f"{'.'.join(self.path)} is not there"
        if not self.compare or self._holds(found):
            return ""
        return f"{'.'.join(self.path)} is {clean(json.dumps(found))[:80]}"

    def _holds(self, found: object) -> bool:
        if isinstance(found, bool) is not isinstance(self.value, bool):  # JSON's true is not 1, although Python's is
            return self.compare == "!="
        try:
            return bool(_COMPARE[self.compare](found, self.value))
        except TypeError:
            return False


def threshold(text: str) -> Threshold:
    """Raises ValueError for anything but a comparison with a number."""
    match = _THRESHOLD.fullmatch(text)
    if match is None:
        raise ValueError(f'{text!r} is not a comparison with a number like "< 0.01"')
    return Threshold(match[1], float(match[2]))


def claim(text: str) -> Claim:
    """Raises ValueError for anything but `path` or `path == JSON`; a path is keys and list positions with dots, keys with dots in quotes."""
    match = _CLAIM.fullmatch(text)
    try:
        if match is None:
            raise ValueError(text)
        value = json.loads(match[3]) if match[2] else None
    except ValueError:
        raise ValueError(f"{text!r} is not a path, or a path compared with a JSON value like 'database == \"ok\"'") from None
    return Claim(text.strip(), tuple(a or b for a, b in _SEGMENT.findall(match[1])), match[2] or "", value)


def at_path(document: object, path: tuple[str, ...]) -> object:
    """The value at a path, or MISSING."""
    here = document
    for part in path:
        if isinstance(here, dict) and part in here:
            here = here[part]
        elif isinstance(here, list) and part.isdecimal() and int(part) < len(here):
            here = here[int(part)]
        else:
            return MISSING
    return here


def header(text: str) -> tuple[str, str]:
    """`Name: value` as a pair. Raises ValueError."""
    match = _HEADER.fullmatch(text)
    if match is None:
        raise ValueError(f'{text!r} is not a header like "Authorization: Bearer ${{API_TOKEN}}"')
    return match[1], match[2]


def variables(headers: list[str]) -> tuple[str, ...]:
    """Names of the environment variables in headers, without repeats."""
    return tuple(dict.fromkeys(name for text in headers for name in _VARIABLE.findall(text)))


def filled(headers: list[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Headers by name, each `${NAME}` replaced by its environment variable without surrounding white space.

    Raises LookupError with the name of the first variable that is not set or empty.
    """
    for name in variables(headers):
        if not environment.get(name, "").strip():
            raise LookupError(name)
    return {name: _VARIABLE.sub(lambda m: environment[m[1]].strip(), value) for name, value in map(header, headers)}
