"""What `promote init` puts beside promotion.toml: checks, workflow, just recipes. A file that exists is never overwritten.

The hashes of the check files as they were written are kept in checks/.promote.json: that tells an unchanged file from one that a team made its own.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MANIFEST = "checks/.promote.json"
RECIPES = "promote.just"
IMPORT = f"import '{RECIPES}'"


@dataclass(frozen=True, slots=True)
class Change:
    """One file to write. `what`: new, changed or kept; `why` for a person; `content` None where nothing is written."""

    path: str
    what: str
    why: str = ""
    content: bytes | None = None


def plan(root: Path, wanted: Mapping[str, bytes], recipes: bytes, *, upgrade: bool) -> list[Change]:
    """What to write so that everything of `wanted` is there; with `upgrade`, check files that nobody changed come to the new version."""
    known = _manifest(root)
    changes = [_file(root, path, content, known.get(path), upgrade=upgrade) for path, content in sorted(wanted.items())]
    changes += _just(root, recipes)
    changes += _ignored(root)
    hashes = {**known, **{c.path: _hash(c.content) for c in changes if c.content is not None and c.path.startswith("checks/")}}
    hashes |= {p: _hash(content) for p, content in wanted.items() if p.startswith("checks/") and _same(root / p, content)}
    if hashes != known:
        changes.append(Change(MANIFEST, "changed" if known else "new", content=(json.dumps(hashes, indent=1, sort_keys=True) + "\n").encode()))
    return changes


def write(root: Path, changes: list[Change]) -> None:
    """Raises OSError."""
    for change in changes:
        if change.content is not None:
            target = root / change.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(change.content)


def _file(root: Path, path: str, content: bytes, written: str | None, *, upgrade: bool) -> Change:
    target = root / path
    if not target.exists():
        return Change(path, "new", content=content)
    here = target.read_bytes()
    if here == content:
        return Change(path, "kept")
    if upgrade and written is not None and _hash(here) == written:
        return Change(path, "changed", "nobody had changed it; it is the new version now", content)
    if upgrade:
        return Change(path, "kept", "it was changed here; to take it over by hand:\n" + _diff(path, here, content))
    return Change(path, "kept", "it differs from what this version of promote carries (see --upgrade)" if written else "")


def _diff(path: str, here: bytes, new: bytes) -> str:
    old_lines, new_lines = here.decode(errors="replace").splitlines(), new.decode(errors="replace").splitlines()
    return "\n".join(difflib.unified_diff(old_lines, new_lines, path, f"{path} of this version", lineterm=""))


def _just(root: Path, recipes: bytes) -> list[Change]:
    """The recipes in a file of their own, imported by the last line of an existing justfile: nothing of it is rewritten."""
    existing = next((root / name for name in ("justfile", "Justfile", ".justfile") if (root / name).exists()), None)
    if existing is None:
        return (
            [Change(RECIPES, "new", content=recipes), Change("justfile", "new", content=f"{IMPORT}\n".encode())]
            if not (root / RECIPES).exists()
            else []
        )
    text = existing.read_text(errors="replace")
    if re.search(rf"^import\??\s+['\"](\./)?{re.escape(RECIPES)}['\"]", text, re.MULTILINE):
        return [] if (root / RECIPES).exists() else [Change(RECIPES, "new", content=recipes)]
    if re.search(r"^@?SendToProd\b", text, re.MULTILINE):
        return [Change(existing.name, "kept", f"it has a recipe SendToProd of its own; make it call: promote run VERSION (or import '{RECIPES}')")]
    grown = text + ("" if text.endswith("\n") or not text else "\n") + f"\n{IMPORT}\n"
    why = f"one line added at its end: {IMPORT}"
    return [Change(RECIPES, "new", content=recipes), Change(existing.name, "changed", why, grown.encode())]


def _ignored(root: Path) -> list[Change]:
    path = root / ".gitignore"
    text = path.read_text(errors="replace") if path.exists() else ""
    if re.search(r"^/?reports/?$", text, re.MULTILINE):
        return []
    grown = text + ("" if text.endswith("\n") or not text else "\n") + "reports/\n"
    return [Change(".gitignore", "changed" if path.exists() else "new", "reports/ added: what a run writes is not committed", grown.encode())]


def _manifest(root: Path) -> dict[str, str]:
    try:
        data = json.loads((root / MANIFEST).read_text())
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in data.items()} if isinstance(data, dict) else {}


def _same(path: Path, content: bytes) -> bool:
    return path.exists() and path.read_bytes() == content


def _hash(content: bytes | None) -> str:
    return hashlib.sha256(content or b"").hexdigest()
