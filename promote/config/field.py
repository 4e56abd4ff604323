"""A settings key as a dataclass field: default, meaning, unit, allowed words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NewType

Seconds = NewType("Seconds", float)


@dataclass(frozen=True, slots=True)
class Choice:
    """The allowed values of a text key."""

    words: tuple[str, ...]


def key(default: Any, doc: str, *, unit: str = "", required: bool = False) -> Any:
    """A dataclass field for one key. `doc` is its meaning in docs/settings.md and in the JSON schema; `unit` is required for a plain number.

    `required`: an entry of a list must have it, so its default is never valid.
    """
    metadata = {"doc": doc, "unit": unit, "required": required}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)
