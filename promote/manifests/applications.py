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

from promote.argocd.application import GROUP
from promote.git.url import normalise_repository
from promote.manifests.inputs import inputs_of
from promote.manifests.render import Build, render
from promote.manifests.tree import YAML, NotYaml, Object, Tree

_MARK = re.compile(rb"""kind['"]?\s*:\s*['"]?Application""")  # and ApplicationSet
_OF_ARGO_CD = re.compile(rb"""apiVersion['"]?\s*:\s*['"]?argoproj\.io/""")  # its definitions, which have the first alone, are no Applications


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One source in this repository: a folder at a revision; None when it only lends values to another source. `deep`: `directory.recurse`."""

    folder: str | None
    revision: str
    deep: bool = False
    plugin: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Declared:
    """One Application. `folder` is where its manifest lies, `elsewhere` its sources that are not of this repository, each with its version; `values`
    the files of this repository that they take their values from."""

    name: str
    folder: str
    namespace: str
    parts: tuple[Part, ...]
    elsewhere: tuple[str, ...]
    values: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """All Applications of a commit. `unknown` are folders whose Applications could not be read, each with why; `sets` the ApplicationSets that may
    have to do with this repository, each with the folder that declares it."""

    applications: tuple[Declared, ...]
    unknown: tuple[str, ...]
    wrong: tuple[str, ...]
    sets: tuple[tuple[str, str], ...]


def find(tree: Tree, repository: str, build: Build | None) -> Found:
    """Every Application in the tree that has something to do with this repository."""
    listed = [p for p in tree.files if p.endswith(YAML)]
    tree.load(listed)
    files = [p for p in listed if _MARK.search(tree.text(p)) and _OF_ARGO_CD.search(tree.text(p))]
    apps: list[Declared] = []
    unknown: list[str] = []
    wrong = [bad for folder in sorted({posixpath.dirname(p) for p in files}) if (bad := _broken(tree, folder))]
    sets: list[tuple[str, str]] = []
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
        sets += [(str((o.get("metadata") or {}).get("name")), folder) for o in ours if o.get("kind") == "ApplicationSet" and _concerns(o, repository)]
    return Found(applications=tuple(apps), unknown=tuple(unknown), wrong=tuple(wrong), sets=tuple(sets))


def _concerns(value: Any, repository: str) -> bool:
    """Whether a manifest names this repository anywhere, or one that is only known once its template is filled in."""
    if isinstance(value, list):
        return any(_concerns(inner, repository) for inner in value)
    if not isinstance(value, dict):
        return False
    url = str(value.get("repoURL") or "")
    return "{{" in url or (url != "" and normalise_repository(url) == normalise_repository(repository)) or _concerns([*value.values()], repository)


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
        if (file := tree.kustomization(folder)) and (taken := set(resources_of(tree, folder)) & set(plain)):
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


def resources_of(tree: Tree, folder: str, seen: set[str] | None = None) -> Iterator[str]:
    """Files that a kustomization takes as resources, through others in turn."""
    seen = set() if seen is None else seen
    file = tree.kustomization(folder)
    if file is None or folder in seen:
        return
    seen.add(folder)
    for below in _below(tree, folder):
        yield from resources_of(tree, below, seen)
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
            elsewhere.append(f"{source.get('chart') or source.get('repoURL', '')} {source.get('targetRevision') or ''}".strip())
        else:
            recurse = bool((source.get("directory") or {}).get("recurse"))
            lends = source.get("ref") and not source.get("path")  # lends its values to another source, renders nothing
            path = posixpath.normpath(str(source.get("path") or ".")).strip("/")
            folder_of = None if lends else "" if path == "." else path
            parts.append(Part(folder=folder_of, revision=str(source.get("targetRevision") or "HEAD"), deep=recurse, plugin="plugin" in source))
    meta, destination = manifest["metadata"], spec.get("destination") or {}
    return Declared(
        name=str(meta.get("name")), folder=folder, namespace=str(destination.get("namespace") or "default"),
        parts=tuple(parts), elsewhere=tuple(elsewhere), values=tuple(_values(sources, ours)),
    )  # fmt: skip


def _values(sources: Sequence[Object], ours: str) -> Iterator[str]:
    """`$name/path` of a source's valueFiles, where `name` is a ref of this repository. Patterns, and files that may be missing, are passed over."""
    refs = {f"${s['ref']}" for s in sources if s.get("ref") and normalise_repository(str(s.get("repoURL", ""))) == ours}
    for helm in (s.get("helm") or {} for s in sources):
        for file in [] if helm.get("ignoreMissingValueFiles") else helm.get("valueFiles") or []:
            name, _, path = str(file).partition("/")
            if name in refs and not set(path) & set("*?[{"):
                yield posixpath.normpath(path)


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


def turned(apps: Collection[Declared], before: Collection[Declared], side: dict[str, str], *, stable: str) -> dict[str, str]:
    """Applications that followed the stable tag in production's commit and now follow something else, in folders that are not production's as a
    whole: where each has a folder of its own, it alone says whose it is. Name → sentence."""
    follows = frozenset({stable, f"refs/tags/{stable}"})
    were = {(a.name, a.folder) for a in before if any(p.revision in follows for p in a.parts)}
    gone = [a for a in apps if (a.name, a.folder) in were and side[a.folder] != "prod" and a.parts]
    now = {a: ", ".join(dict.fromkeys(p.revision for p in a.parts)) for a in gone if not any(p.revision in follows for p in a.parts)}
    return {a.name: f"{a.name} ({a.folder or '.'}) follows {what}, in production's commit it follows {stable}" for a, what in now.items()}


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
