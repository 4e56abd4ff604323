"""What a settings key is made of: its default, its meaning, the words it may hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NewType

Seconds = NewType("Seconds", float)


@dataclass(frozen=True, slots=True)
class Choice:
    """The only words a string key may hold."""

    words: tuple[str, ...]


def key(default: Any, doc: str, *, unit: str = "") -> Any:
    """A settings key: its default, what it means (shown by the reference and by `promote init`), and for a number its unit."""
    metadata = {"doc": doc, "unit": unit}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)
