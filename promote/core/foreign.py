"""Text from outside: the one door in and the one door out.

In: a commit, a tag, a file, another system's answer. Only `\\n` ends a line here: a subject or an author's name may hold characters at which Python's
`str.splitlines` splits too (U+2028, U+0085, `\\x0b`). `read_json` and `Fields` turn every malformed value into ValueError.
Out: `visible` shows the characters that would move a cursor, break a line or turn the direction of writing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

DEEPEST = 60  # levels: what reads the value afterwards may take several calls a level
OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
LONGEST_FIELD = 300  # characters of a field that is one line
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")  # colours and weights: other programs print them, and they hide nothing once they are gone
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def split_lines(text: str) -> list[str]:
    """The lines of a text. They end with `\\n` or `\\r\\n` and with nothing else; a last one that is empty is none."""
    found = [line.removesuffix("\r") for line in text.split("\n")]
    return found[:-1] if found[-1] == "" else found


def visible(text: str) -> str:
    """The text with control characters, line separators, invisible characters and changes of direction as escapes: `\\x1b`, `\\u2028`.

    Line feeds and tabs stay. Colours of a terminal are left out.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNSEEN.sub(lambda found: _escape(found[0]), _COLOUR.sub("", text.replace("\r\n", "\n")))


def one_line(text: str, most: int | None = None) -> str:
    """The same on one line, of at most `most` characters."""
    shown = visible(text).replace("\n", "\\n")
    return shown if most is None or len(shown) <= most else shown[: most - 1] + "…"


def _escape(sign: str) -> str:
    code = ord(sign)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def read_json(text: str | bytes, *, most: int | None = None, deepest: int = DEEPEST) -> Any:
    """A JSON value from outside. Raises ValueError: not JSON, more than `most` characters or bytes, nested deeper than `deepest` levels."""
    if most is not None and len(text) > most:
        raise ValueError(f"longer than {most} characters")
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(f"nested deeper than {deepest} levels") from None
    here: list[Any] = [value]
    for _ in range(deepest):
        here = [inner for outer in here for inner in _inside(outer)]
        if not here:
            return value
    raise ValueError(f"nested deeper than {deepest} levels")


def _inside(value: Any) -> Collection[Any]:
    found = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [inner for inner in found if isinstance(inner, dict | list)]


class Fields:
    """A JSON object from outside, read field by field. Every method raises ValueError, with the field's name, for a value of another shape."""

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, dict):
            raise ValueError(f"{what} is not an object")
        self._fields: Mapping[str, Any] = value
        self._what = what

    def line(self, name: str, *, form: re.Pattern[str] | None = None, default: str | None = None, most: int = LONGEST_FIELD) -> str:
        """A text on one line, shown as `one_line` shows it; with `form` one that matches it whole. `default`: when it is absent or null."""
        value = self._fields.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or (form and not form.fullmatch(value)):
            raise ValueError(f"{self._what}: {name} is {_shape(value)}")
        return one_line(value, most)

    def oid(self, name: str, *, optional: bool = False) -> str:
        """The id of a git object; with `optional` also "", and when it is absent."""
        value = self.line(name, default="" if optional else None)
        if value == "" and optional:
            return ""
        if not OID.fullmatch(value):
            raise ValueError(f"{self._what}: {name} is not the id of an object")
        return value

    def flag(self, name: str) -> bool:
        value = self._fields.get(name)
        if not isinstance(value, bool):
            raise ValueError(f"{self._what}: {name} is {_shape(value)}")
        return value

    def inner(self, name: str) -> Mapping[str, Any]:
        """An object; empty when it is absent or null."""
        value = self._fields.get(name)
        if not isinstance(value, dict | None):
            raise ValueError(f"{self._what}: {name} is {_shape(value)}")
        return value or {}

    def has(self, name: str) -> bool:
        """Whether it is there and not null."""
        return self._fields.get(name) is not None

    def texts(self, name: str) -> list[str]:
        """A list of texts, each on one line; empty when it is absent or null."""
        found = self._fields.get(name) or []
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            raise ValueError(f"{self._what}: {name} is not a list of texts")
        return [one_line(item, LONGEST_FIELD) for item in found]

    def objects(self, name: str) -> list[dict[str, Any]]:
        """A list of objects; empty when it is absent or null."""
        found = self._fields.get(name) or []
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise ValueError(f"{self._what}: {name} is not a list of objects")
        return found


def _shape(value: object) -> str:
    return "missing" if value is None else one_line(repr(value), 40)


def time_of(text: object) -> datetime:
    """A time from outside, in UTC. Raises ValueError."""
    if not isinstance(text, str):
        raise ValueError(f"{_shape(text)} is not a time")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError:  # a time zone at the end of the calendar
        raise ValueError(f"{_shape(text)} is not a time") from None


def moment(seconds: str) -> int:
    """The seconds since the epoch that git prints for a commit; 0 where that is no time of our calendar."""
    found = int(seconds) if seconds.isascii() and seconds.isdecimal() and len(seconds) <= 12 else 0
    return found if found < 253_402_000_000 else 0  # the year 9999: a later one is no datetime
