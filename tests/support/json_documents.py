"""The documents of `--json` as docs/commands.md describes them, and the keys that a command's document really has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.declared import proves, saw

PAGE = Path(__file__).resolve().parents[2] / "docs" / "commands.md"
ALIKE = ("stable", "working", "newest", "undo")  # the four tags of `promote status`, described once


@dataclass(frozen=True)
class Described:
    """One documented document: its heading, the commands that print it (none: every command that is refused), and its keys."""

    heading: str
    commands: frozenset[str]
    keys: frozenset[str]

    def proofs(self) -> list[pytest.MarkDecorator]:
        """Declares that a test sees every key of it."""
        return [proves("json", self.heading, key) for key in sorted(self.keys)]


@cache
def described() -> tuple[Described, ...]:
    """The sections under `## JSON documents`."""
    part = re.split(r"^## ", PAGE.read_text().partition("## JSON documents\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    found = []
    for heading, body in re.findall(r"^### (.*)\n((?:(?!^### ).*\n)*)", part, re.MULTILINE):
        cells = re.findall(r"^\| (`.*?) \|", body, re.MULTILINE)
        keys = frozenset(key for cell in cells for key in re.findall(r"`([^`]+)`", cell))
        found.append(Described(heading, frozenset(re.findall(r"`promote ([a-z-]+)", heading)), keys))
    return tuple(found)


def paths(value: Any, path: str = "") -> Iterator[str]:
    """The keys of a document down to its leaves: `checks[].id`, `stable_before.commit`, `junit[]` (also when the list is empty)."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from paths(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value or [None]:
            yield from paths(inner, f"{path}[]")
    else:
        yield path


def judged(page: Described, document: Any) -> tuple[set[str], set[str]]:
    """(documented keys that the document has, keys of it that are not documented). A documented key without documented parts holds anything."""
    seen, unknown = set(), set()
    for path in set(paths(document)):
        name = re.sub(rf"^tags\.(?:{'|'.join(ALIKE)})\.", "tags.stable.", path)
        whole = [key for key in page.keys if name == key or (name.startswith((f"{key}.", f"{key}[")) and not _parts(page, key))]
        empty = [key for key in page.keys if key.startswith((f"{name}.", f"{name}["))]  # null or []: its parts are not to be seen
        seen.update(whole)
        seen.update(above for above in page.keys if path.startswith(f"{above}.") and _parts(page, above))
        if not whole and not empty:
            unknown.add(path)
    return seen, unknown


def _parts(page: Described, key: str) -> bool:
    """Whether parts of this key are documented; `tags.working` has those of `tags.stable`."""
    name = re.sub(rf"^tags\.(?:{'|'.join(ALIKE)})$", "tags.stable", key)
    return any(other.startswith((f"{name}.", f"{name}[")) for other in page.keys)


def read_document(command: str, text: str) -> Any:
    """What a command printed, read and recorded."""
    document = json.loads(text)
    saw_document(command, document)
    return document


def saw_document(command: str, document: Any) -> None:
    """Record the keys of a command's document. Fails when it has a key that docs/commands.md does not describe."""
    pages = [page for page in described() if not page.commands or command in page.commands]
    fits = [(len(page.keys), page, seen) for page in pages for seen, unknown in [judged(page, document)] if not unknown]
    assert fits, f"promote {command} --json: not described in docs/commands.md: " + str({p.heading: sorted(judged(p, document)[1]) for p in pages})
    _, page, seen = min(fits, key=lambda fit: fit[0])
    for key in seen:
        saw("json", page.heading, key)
    if isinstance(document, dict) and "exit" in document:
        saw("ending", str(document["outcome"]), str(document["exit"]))
