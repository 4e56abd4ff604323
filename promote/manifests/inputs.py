"""The files that a folder's rendering depends on: equal inputs render equally, so only folders with changed inputs have to be rendered.

Every word of a kustomization that names a file or folder of the tree counts as an input, recursively: perhaps more files than kustomize reads, never
fewer.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from promote.manifests.tree import Tree

_FAR = ("://", "git@", "github.com/", "?ref=")  # what kustomize would fetch: a URL, or one of git's short forms


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """The inputs of a folder. `digest`: a hash of all `files`. `far`: references to other hosts. `charts`: it inflates Helm charts."""

    digest: str
    files: tuple[str, ...]
    far: tuple[str, ...] = ()
    charts: bool = False


def inputs_of(tree: Tree, folder: str) -> Inputs:
    """The inputs of a folder: every file below it, and every file that its kustomizations refer to."""
    seen: dict[str, None] = {}
    far: list[str] = []
    charts = False
    todo, done = [folder], set()
    while todo:
        here = todo.pop()
        if here in done:
            continue
        done.add(here)
        seen |= dict.fromkeys(tree.under(here, deep=True))
        for file in [p for p in tree.under(here, deep=True) if tree.kustomization(posixpath.dirname(p)) == p]:
            base = posixpath.dirname(file)
            for document in tree.documents(file):
                charts = charts or (isinstance(document, dict) and bool(document.get("helmCharts") or document.get("helmChartInflationGenerator")))
                for word in words(document):
                    where = posixpath.normpath(posixpath.join(base, word)).strip("/")
                    if where in tree.folders and where not in (".", ""):
                        todo.append(where)
                    elif where in tree.files:
                        seen[where] = None
                far += [word for word in _references(document) if any(mark in word for mark in _FAR)]
    names = tuple(sorted(seen))
    own = tree.commit if any(tree.linked(here) for here in done) else ""  # the target of a link may have changed: such inputs never count as equal
    digest = hashlib.sha256("\n".join([own, *(f"{p} {tree.files[p]}" for p in names)]).encode()).hexdigest()
    return Inputs(digest=digest, files=names, far=tuple(dict.fromkeys(far)), charts=charts)


def words(value: Any) -> Iterator[str]:
    """Every string in a document that could be a path; of generators' `name=path` entries also the path."""
    if isinstance(value, str):
        # Longer texts, or those of several lines, are patches and scripts.
        if "\n" not in value and 0 < len(value) < 300:
            yield value
            if "=" in value:
                yield value.partition("=")[2]
    elif isinstance(value, dict):
        for inner in value.values():
            yield from words(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from words(inner)


def _references(document: Any) -> Iterable[str]:
    """The resources that a kustomization loads: these fields may refer to other hosts."""
    if isinstance(document, dict):
        for field in ("resources", "bases", "components", "crds", "configurations", "generators", "transformers", "validators"):
            yield from (word for word in document.get(field) or [] if isinstance(word, str) and "\n" not in word)
