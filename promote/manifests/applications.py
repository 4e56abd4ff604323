"""The Applications that a commit declares: where each lies, whose it is (production's, dev's), what of this repository it renders.

A repository that patches its Applications with kustomize declares them only once rendered: folders with a kustomization are rendered first.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from promote.applications import GROUP, normalise_repository
from promote.manifests.inputs import inputs_of
from promote.manifests.render import Build, render
from promote.manifests.tree import YAML, NotYaml, Object, Tree

_KIND, _OF_ARGO_CD = b"kind: Application", re.compile(rb"""apiVersion:\s*["']?argoproj\.io/""")


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One source in this repository: a folder at a revision; None when it only lends values to another source. `deep`: `directory.recurse`."""

    folder: str | None
    revision: str
    deep: bool = False
    plugin: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Declared:
    """One Application. `folder` is where its manifest lies, `elsewhere` its sources that are not of this repository."""

    name: str
    folder: str
    namespace: str
    parts: tuple[Part, ...]
    elsewhere: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """All Applications of a commit. `unknown` are folders whose Applications could not be read, each with why; `sets` the ApplicationSets."""

    applications: tuple[Declared, ...]
    unknown: tuple[str, ...]
    wrong: tuple[str, ...]
    sets: tuple[str, ...]


def find(tree: Tree, repository: str, build: Build | None) -> Found:
    """Every Application in the tree that has something to do with this repository."""
    listed = [p for p in tree.files if p.endswith(YAML)]
    tree.load(listed)
    files = [p for p in listed if _KIND in tree.text(p) and _OF_ARGO_CD.search(tree.text(p))]  # Argo CD's own definitions have the first alone
    apps: list[Declared] = []
    unknown: list[str] = []
    wrong = [bad for folder in sorted({posixpath.dirname(p) for p in files}) if (bad := _broken(tree, folder))]
    sets: list[str] = []
    for folder, paths, composed in _groups(tree, files):
        if composed:
            result = render(tree, folder, inputs_of(tree, folder), build)
            unknown += [result.unknown] if result.unknown else []
            wrong += [result.wrong] if result.wrong else []
            found: list[Object] = list(result.objects)
        else:
            found = []
            for path in paths:
                try:
                    found += [d for d in tree.documents(path) if isinstance(d, dict)]
                except NotYaml as bad:
                    if b"{{" not in tree.text(path):  # a chart's template is no YAML and no Application either
                        wrong.append(str(bad))
        ours = [o for o in found if str(o.get("apiVersion", "")).startswith(f"{GROUP}/")]
        apps += [declared(o, folder, repository) for o in ours if o.get("kind") == "Application" and isinstance(o.get("metadata"), dict)]
        sets += [str((o.get("metadata") or {}).get("name")) for o in ours if o.get("kind") == "ApplicationSet"]
    return Found(applications=tuple(apps), unknown=tuple(unknown), wrong=tuple(wrong), sets=tuple(sets))


def _broken(tree: Tree, folder: str) -> str:
    """What is wrong with the kustomization that should compose a folder's Applications."""
    try:
        file = tree.kustomization(folder)
        if file:
            tree.documents(file)
    except NotYaml as bad:
        return str(bad)
    return ""


def _groups(tree: Tree, files: Sequence[str]) -> Iterator[tuple[str, list[str], bool]]:
    """(folder, files, whether they are composed by its kustomization). A kustomization that others build upon is not deployed by itself."""
    plain, reach = dict.fromkeys(files), {}
    for folder in sorted(tree.folders):
        if (file := tree.kustomization(folder)) and (taken := set(_reached(tree, folder, set())) & set(plain)):
            reach[folder] = (file, taken)
    bases = {below for folder in reach for below in _below(tree, folder)}
    for folder, (_, taken) in sorted(reach.items()):
        if folder not in bases:
            yield folder, sorted(taken), True
    alone = [p for p in plain if not any(p in taken for _, taken in reach.values())]
    for folder in sorted({posixpath.dirname(p) for p in alone}):
        yield folder, sorted(p for p in alone if posixpath.dirname(p) == folder), False


def _below(tree: Tree, folder: str) -> Iterator[str]:
    """Folders with a kustomization that this one names."""
    file = tree.kustomization(folder)
    if file is None:
        return
    for document in _documents(tree, file):
        for word in [w for key in ("resources", "bases", "components") for w in (document.get(key) or [] if isinstance(document, dict) else [])]:
            where = posixpath.normpath(posixpath.join(folder, str(word)))
            if tree.kustomization(where):
                yield where


def _documents(tree: Tree, file: str) -> list[Any]:
    """None for one that does not parse: whoever renders it says so."""
    try:
        return tree.documents(file)
    except NotYaml:
        return []


def _reached(tree: Tree, folder: str, seen: set[str]) -> Iterator[str]:
    """Files that a kustomization takes as resources, through others in turn."""
    file = tree.kustomization(folder)
    if file is None or folder in seen:
        return
    seen.add(folder)
    for below in _below(tree, folder):
        yield from _reached(tree, below, seen)
    for document in _documents(tree, file):
        for word in (document.get("resources") or []) if isinstance(document, dict) else []:
            where = posixpath.normpath(posixpath.join(folder, str(word)))
            if where in tree.files:
                yield where


def declared(manifest: Object, folder: str, repository: str) -> Declared:
    """Read one Application's manifest. `repository` is ours, as the remote's URL."""
    spec: dict[str, Any] = manifest.get("spec") or {}
    sources = [s for s in (spec.get("sources") or [spec.get("source")]) if isinstance(s, dict)]
    ours = normalise_repository(repository)
    parts, elsewhere = [], []
    for source in sources:
        if source.get("chart") or normalise_repository(str(source.get("repoURL", ""))) != ours:
            elsewhere.append(str(source.get("chart") or source.get("repoURL", "")))
        else:
            recurse = bool((source.get("directory") or {}).get("recurse"))
            lends = source.get("ref") and not source.get("path")  # lends its values to another source, renders nothing
            path = posixpath.normpath(str(source.get("path") or ".")).strip("/")
            folder_of = None if lends else "" if path == "." else path
            parts.append(Part(folder=folder_of, revision=str(source.get("targetRevision") or "HEAD"), deep=recurse, plugin="plugin" in source))
    meta, destination = manifest["metadata"], spec.get("destination") or {}
    return Declared(
        name=str(meta.get("name")), folder=folder, namespace=str(destination.get("namespace") or "default"),
        parts=tuple(parts), elsewhere=tuple(elsewhere),
    )  # fmt: skip


def sides(apps: Collection[Declared], *, stable: str, branch: str, prod: Sequence[str], dev: Sequence[str]) -> dict[str, str]:
    """Folder of Applications → "prod", "dev" or "" (cannot be told): as declared, else by what two thirds of them follow."""
    names = {"prod": {stable, f"refs/tags/{stable}"}, "dev": {branch, "HEAD", f"refs/heads/{branch}"}}
    found: dict[str, str] = {}
    for folder in sorted({a.folder for a in apps}):
        said = [
            side
            for side, under in (("prod", prod), ("dev", dev))
            if any(folder == u.strip("/") or folder.startswith(f"{u.strip('/')}/") for u in under)
        ]
        votes = Counter(side for a in apps if a.folder == folder for p in a.parts for side in names if p.revision in names[side])
        most = max(votes, key=lambda side: votes[side], default="")
        found[folder] = said[0] if said else most if most and votes[most] * 3 >= votes.total() * 2 else ""
    return found


def strays(apps: Collection[Declared], side: dict[str, str], *, stable: str, branch: str) -> list[str]:
    """Applications that follow something else than their side does: production's the stable tag, dev's the trunk."""
    wanted = {"prod": {stable, f"refs/tags/{stable}"}, "dev": {branch, "HEAD", f"refs/heads/{branch}"}}
    main = {"prod": stable, "dev": branch}
    return [
        f"{a.name} ({a.folder or '.'}) follows {part.revision}, {'production' if here == 'prod' else 'dev'} follows {main[here]}"
        for a in sorted(apps, key=lambda a: a.name)
        if (here := side[a.folder])
        for part in a.parts
        if part.revision not in wanted[here]
    ]
