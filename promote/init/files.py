"""What `promote init` puts beside promotion.toml: checks, workflow, just recipes. A file that exists is never overwritten.

The hashes of the check files as they were written are kept in checks/.promote.json: they separate an unchanged file from an edited one.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from promote.core.errors import PromoteError
from promote.core.foreign import split_lines

MANIFEST = "checks/.promote.json"
RECIPES = "promote.just"
IMPORT = f"import '{RECIPES}'"
_RECIPE = re.compile(r"^(\w+)[^:=\n]*:$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Change:
    """One file. `what`: new, changed, kept or gone; `why`: the reason shown to the user; `content`: the bytes to write, None for none."""

    path: str
    what: str
    why: str = ""
    content: bytes | None = None


def plan(root: Path, wanted: Mapping[str, bytes], recipes: bytes, *, upgrade: bool) -> list[Change]:
    """What to write so that everything of `wanted` is there; with `upgrade`, unchanged check files are replaced by the new version."""
    known = _manifest(root)
    changes = [_file(root, path, content, known.get(path), upgrade=upgrade) for path, content in sorted(wanted.items())]
    ours = {p for p in known if p.startswith("checks/") and ".." not in p}
    past = [p for p in sorted(ours - set(wanted)) if (root / p).is_file()] if upgrade else []
    changes += [_past(root, path, known[path]) for path in past]
    changes += _just(root, recipes)
    changes += _ignored(root)
    hashes = {**known, **{c.path: _hash(c.content) for c in changes if c.content is not None and c.path.startswith("checks/")}}
    hashes |= {p: _hash(content) for p, content in wanted.items() if p.startswith("checks/") and _same(root / p, content)}
    hashes = {p: h for p, h in hashes.items() if not any(c.path == p and c.what == "gone" for c in changes)}
    if hashes != known:
        changes.append(Change(MANIFEST, "changed" if known else "new", content=(json.dumps(hashes, indent=1, sort_keys=True) + "\n").encode()))
    return changes


def write(root: Path, changes: list[Change]) -> None:
    """Write the changes one after the other. Raises PromoteError that names the first file which cannot be written or deleted."""
    for change in changes:
        try:
            if change.what == "gone":
                (root / change.path).unlink()
            if change.content is not None:
                _replace(root / change.path, change.content)
        except OSError as error:
            raise PromoteError(
                f"{root / change.path}: cannot be written: {error.strerror}",
                hint="free space on the disk or make the folder writable, then start again",
            ) from error


def _replace(path: Path, content: bytes) -> None:
    """Write a file as a whole or not at all: an interrupt or a full disk leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    target = path.resolve()  # a link stays a link
    scratch = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        with scratch.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, scratch)
        scratch.replace(target)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def _file(root: Path, path: str, content: bytes, written: str | None, *, upgrade: bool) -> Change:
    target = root / path
    if not target.exists():
        return Change(path, "new", content=content)
    here = target.read_bytes()
    if here == content:
        return Change(path, "kept")
    if upgrade and written is not None and _hash(here) == written:
        return Change(path, "changed", "unchanged since promote wrote it; replaced by the new version", content)
    if upgrade:
        return Change(path, "kept", "changed in this repository; to apply the new version by hand:\n" + _diff(path, here, content))
    return Change(path, "kept", "differs from this version of promote (see --upgrade)" if written else "")


def _past(root: Path, path: str, written: str) -> Change:
    """A check file that this version no longer ships: its checks may be in another file now."""
    if _hash((root / path).read_bytes()) == written:
        return Change(path, "gone", "removed: no longer shipped, and unchanged here")
    return Change(path, "kept", "no longer shipped, but changed in this repository: delete it, or give its checks their own ids")


def _diff(path: str, here: bytes, new: bytes) -> str:
    old_lines, new_lines = split_lines(here.decode(errors="replace")), split_lines(new.decode(errors="replace"))
    return "\n".join(difflib.unified_diff(old_lines, new_lines, path, f"{path} of this version", lineterm=""))


def _just(root: Path, recipes: bytes) -> list[Change]:
    """The recipes go into their own file; one `import` line is appended to an existing justfile, and no other line of it changes.

    A recipe whose name the justfile already defines is left out: just refuses a name that is defined twice.
    """
    existing = next((path for path in sorted(root.iterdir()) if path.name.lower() in ("justfile", ".justfile")), None)
    own = (root / RECIPES).exists()
    if existing is None:
        return [] if own else [Change(RECIPES, "new", content=recipes), Change("justfile", "new", content=f"{IMPORT}\n".encode())]
    text = existing.read_text(errors="replace")
    taken = [name for name in _RECIPE.findall(recipes.decode()) if re.search(rf"^(?:@?{name}\b[^:=\n]*:(?!=)|alias +{name}\b)", text, re.MULTILINE)]
    ours = Change(RECIPES, "new", f"without {', '.join(taken)}, which {existing.name} has" if taken else "", _without(recipes, taken))
    if re.search(rf"^import\??\s+['\"](\./)?{re.escape(RECIPES)}['\"]", text, re.MULTILINE):
        return [] if own else [ours]
    if "SendToProd" in taken:
        return [Change(existing.name, "kept", f"it has a recipe SendToProd of its own; make it call: promote run VERSION (or import '{RECIPES}')")]
    if own:
        return [Change(existing.name, "kept", f"it does not import {RECIPES}, which is there; if that is promote's, add: {IMPORT}")]
    return [ours, Change(existing.name, "changed", f"one line added at its end: {IMPORT}", _longer(existing, f"\n{IMPORT}\n"))]


def _without(recipes: bytes, names: Collection[str]) -> bytes:
    """The recipes file without some of its recipes; an empty line ends each."""
    parts = recipes.decode().split("\n\n")
    kept = [part for part in parts if not ((found := _RECIPE.search(part)) and found[1] in names)]
    return ("\n\n".join(kept).rstrip("\n") + "\n").encode()


def _longer(path: Path, more: str) -> bytes:
    """A text file with something added at its end: every byte of it stays, and the new lines end as its own do."""
    content = path.read_bytes() if path.exists() else b""
    end = b"\r\n" if b"\r\n" in content else b"\n"
    return content + (b"" if content.endswith(b"\n") or not content else end) + more.encode().replace(b"\n", end)


def _ignored(root: Path) -> list[Change]:
    path = root / ".gitignore"
    text = path.read_text(errors="replace") if path.exists() else ""
    if re.search(r"^/?reports/?$", text, re.MULTILINE):
        return []
    why = "reports/ added: the reports of a run are not committed"
    return [Change(".gitignore", "changed" if path.exists() else "new", why, _longer(path, "reports/\n"))]


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
