"""What a settings key is made of: its default, its meaning, the words it may hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NewType

Seconds = NewType("Seconds", float)


@dataclass(frozen=True, slots=True)
class Choice:
    """The only words a string key may hold."""

    words: tuple[str, ...]


def key(default: Any, doc: str) -> Any:
    """A settings key: its default and what it means (shown by the reference and by `promote init`)."""
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata={"doc": doc})
    return field(default=default, metadata={"doc": doc})
