"""Renders a folder of a commit by Argo CD's rules: a kustomization, else a chart, else its YAML files. Reports folders that it could not render."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from promote.core.errors import PromoteError, Unreachable
from promote.manifests.inputs import Inputs
from promote.manifests.tree import YAML, NotYaml, Object, Tree, objects, parse

# The kustomizations that are rendered without the program: a list of resources, and a namespace. All others need kustomize.
PLAIN_KEYS = frozenset({"apiVersion", "kind", "metadata", "resources", "namespace"})
Build = Callable[[str, str], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendered:
    """The rendered `objects`, or `wrong`: why the folder does not render, or `unknown`: why that is undetermined here."""

    objects: tuple[Object, ...] = ()
    wrong: str = ""
    unknown: str = ""


def render(tree: Tree, folder: str, inputs: Inputs, build: Build | None, *, deep: bool = False) -> Rendered:
    """Render a folder. `build(commit, folder)`: kustomize, None when it is not installed. `deep`: for plain folders, `directory.recurse`."""
    if folder not in tree.folders:
        if link := tree.linked(folder):
            return Rendered(unknown=f"{folder}: lies in {link}, a link or a submodule")
        return Rendered(wrong=f"{folder}: the folder does not exist")
    try:
        if file := tree.kustomization(folder):
            return _kustomization(tree, folder, file, inputs, build)
        if f"{folder}/Chart.yaml".lstrip("/") in tree.files:
            return Rendered(unknown=f"{folder}: a Helm chart")
        return _plain(tree, folder, deep=deep)
    except NotYaml as bad:
        return Rendered(wrong=str(bad))


def _kustomization(tree: Tree, folder: str, file: str, inputs: Inputs, build: Build | None) -> Rendered:
    if inputs.charts:
        return Rendered(unknown=f"{folder}: its kustomization inflates Helm charts")
    if inputs.far:
        return Rendered(unknown=f"{folder}: its kustomization fetches {inputs.far[0]}")
    if build is None:
        simple = _simple(tree, folder, file)
        return simple or Rendered(unknown=f"{folder}: its kustomization needs `kustomize` (or kubectl) on PATH")
    try:
        return Rendered(objects=tuple(objects(file, parse(file, build(tree.commit, folder).encode()))))
    except Unreachable as late:
        return Rendered(unknown=f"{folder}: {late.what}")
    except PromoteError as error:
        return Rendered(wrong=f"{folder}: {error.what}")


def _simple(tree: Tree, folder: str, file: str) -> Rendered | None:
    """Render a kustomization without the program; None when it uses more than PLAIN_KEYS."""
    found: list[Object] = []
    for document in tree.documents(file):
        if not isinstance(document, dict) or set(document) - PLAIN_KEYS:
            return None
        for entry in document.get("resources") or []:
            where = posixpath.normpath(posixpath.join(folder, str(entry)))
            if (inner := tree.kustomization(where)) is not None:
                below = _simple(tree, where, inner)
                if below is None or below.wrong:
                    return below
                found += below.objects
            elif where in tree.files:
                found += objects(where, tree.documents(where))
            else:
                return Rendered(wrong=f"{file}: {entry} does not exist")
        if namespace := document.get("namespace"):
            found = [{**o, "metadata": {**o["metadata"], "namespace": namespace}} for o in found]
    return Rendered(objects=tuple(found))


def _plain(tree: Tree, folder: str, *, deep: bool) -> Rendered:
    found: list[Object] = []
    paths = [p for p in tree.under(folder, deep=deep) if p.endswith((*YAML, ".json"))]
    tree.load(paths)
    for path in paths:
        try:
            documents: list[Any] = tree.documents(path)
        except NotYaml:
            # Argo CD skips an invalid YAML file only if it does not look like a manifest (seen on 3.2.11).
            if all(word in tree.text(path) for word in (b"apiVersion:", b"kind:", b"metadata:")):
                raise
            continue
        found += objects(path, [d for d in documents if isinstance(d, dict) and "kind" in d])
    if any(p.endswith((".jsonnet", ".libsonnet")) for p in tree.under(folder, deep=deep)):
        return Rendered(unknown=f"{folder}: contains Jsonnet")
    return Rendered(objects=tuple(found))
