"""The changes that a promotion would make in production, object by object, as text: a preview for users before anything moves."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from promote.core.foreign import split_lines
from promote.manifests.applications import Declared, find, sides
from promote.manifests.compare import Expected, render_one
from promote.manifests.differences import Key, keyed
from promote.manifests.render import Build
from promote.manifests.tree import Object, Tree


@dataclass(frozen=True, kw_only=True, slots=True)
class AppChange:
    """The change of one production application. `added`, `changed`, `removed`: objects as `Kind namespace/name`; `note`: why they are
    undetermined."""

    name: str
    what: str
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    diff: str = ""
    note: str = ""


def app_changes(candidate: Tree, production: Tree | None, expected: Expected, build: Build | None) -> list[AppChange]:
    """Production's applications that would change, by name."""
    now, before = _prod(candidate, expected, build), _prod(production, expected, build) if production else {}
    found = []
    for name in sorted(set(now) | set(before)):
        if name not in now:
            found.append(AppChange(name=name, what="removed"))
        elif change := _change(name, candidate, production, now[name], before.get(name), build):
            found.append(change)
    return found


def _prod(tree: Tree, expected: Expected, build: Build | None) -> dict[str, Declared]:
    apps = find(tree, expected.repository, build).applications
    side = sides(apps, stable=expected.stable, branch=expected.branch, prod=expected.prod, dev=expected.dev)
    return {a.name: a for a in apps if side[a.folder] == "prod"}


def _change(name: str, candidate: Tree, production: Tree | None, now: Declared, before: Declared | None, build: Build | None) -> AppChange | None:
    what = "changed" if before else "added"
    new, note = _objects(candidate, now, build)
    old, old_note = _objects(production, before, build) if production and before else ({}, "")
    if note or old_note:
        # Equal files render equally, also where nothing here can render them.
        same = before is not None and production is not None and now == before and _same_files(candidate, production, now)
        return None if same else AppChange(name=name, what=what, note=note or old_note)
    pairs = {key: (old.get(key), new.get(key)) for key in sorted(set(old) | set(new)) if old.get(key) != new.get(key)}
    if not pairs and before is not None:
        return (
            AppChange(name=name, what="re-pointed", note="its Application changes, what it renders does not") if now.parts != before.parts else None
        )
    return AppChange(
        name=name,
        what=what,
        added=tuple(_word(k) for k, (a, b) in pairs.items() if a is None),
        changed=tuple(_word(k) for k, (a, b) in pairs.items() if a is not None and b is not None),
        removed=tuple(_word(k) for k, (a, b) in pairs.items() if b is None),
        diff="".join(_diff(_word(k), a, b) for k, (a, b) in pairs.items()),
    )


def _same_files(candidate: Tree, production: Tree, app: Declared) -> bool:
    def ids(tree: Tree) -> list[Any]:
        return [(p, tree.files[p]) for part in app.parts if part.folder is not None for p in tree.under(part.folder, deep=True)]

    return ids(candidate) == ids(production)


def _objects(tree: Tree, app: Declared, build: Build | None) -> tuple[Mapping[Key, Object], str]:
    results = [render_one(tree, part, build) for part in app.parts if part.folder is not None]
    trouble = next((r.wrong or r.unknown for r in results if r.wrong or r.unknown), "")
    return keyed((o for r in results for o in r.objects), app.namespace), trouble


def _word(key: Key) -> str:
    kind, namespace, name = key
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def _diff(what: str, old: Object | None, new: Object | None) -> str:
    lines = difflib.unified_diff(_text(old), _text(new), f"{what} (production)", f"{what} (candidate)", n=2)
    return "".join(lines)


HIDDEN = "(hidden)"  # a plan is printed into CI logs


def _text(o: Object | None) -> list[str]:
    """The object as YAML with sorted keys. Hides the values of a Secret."""
    import yaml

    if o is None:
        return []
    if o.get("kind") == "Secret":
        o = {k: (dict.fromkeys(v, HIDDEN) if k in ("data", "stringData") and isinstance(v, dict) else v) for k, v in o.items()}
    return [f"{line}\n" for line in split_lines(yaml.safe_dump(o, sort_keys=True, allow_unicode=True))]
