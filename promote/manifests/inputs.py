"""Which files a folder's rendering depends on: equal inputs render equally, so only what changed has to be rendered.

For a kustomization every word in it that names a file or folder of the tree counts as an input, and so do theirs in turn: more than kustomize
reads, never less.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from promote.manifests.tree import Tree

_FAR = ("://", "git@", "github.com/", "?ref=")


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """`digest` stands for the contents of all `files`. `far`: what it fetches from elsewhere. `charts`: it inflates Helm charts."""

    digest: str
    files: tuple[str, ...]
    far: tuple[str, ...] = ()
    charts: bool = False


def inputs_of(tree: Tree, folder: str) -> Inputs:
    """Everything below the folder, and what its kustomizations reach."""
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
    own = tree.commit if any(tree.linked(here) for here in done) else ""  # what a link leads to may have changed: never taken for the same
    digest = hashlib.sha256("\n".join([own, *(f"{p} {tree.files[p]}" for p in names)]).encode()).hexdigest()
    return Inputs(digest=digest, files=names, far=tuple(dict.fromkeys(far)), charts=charts)


def words(value: Any) -> Iterator[str]:
    """Every string that could be a path; `name=path` entries of generators by their path."""
    if isinstance(value, str):
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
    """What a kustomization loads: these fields may name something far away."""
    if isinstance(document, dict):
        for field in ("resources", "bases", "components", "crds", "configurations", "generators", "transformers", "validators"):
            yield from (word for word in document.get(field) or [] if isinstance(word, str) and "\n" not in word)
