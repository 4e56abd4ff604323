"""The Applications that a commit declares: the folder of each, whether it belongs to production or dev, and which folders it renders.

Folders with a kustomization are rendered first, because a repository may patch its Applications with kustomize.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promote.argocd.application import GROUP
from promote.argocd.source import entries
from promote.git.url import Addresses
from promote.manifests.inputs import inputs_of
from promote.manifests.render import Build, render
from promote.manifests.tree import YAML, NotYaml, Object, Tree

_MARK = re.compile(rb"""kind['"]?\s*:\s*['"]?Application""")  # and ApplicationSet
_OF_ARGO_CD = re.compile(rb"""apiVersion['"]?\s*:\s*['"]?argoproj\.io/""")  # excludes Argo CD's CRDs, which match _MARK alone


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One source in this repository: a folder at a revision. `folder` None: it only provides values to another source. `deep`:
    `directory.recurse`."""

    folder: str | None
    revision: str
    deep: bool = False
    plugin: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Declared:
    """One Application. `folder` contains its manifest; `elsewhere` are its sources outside of this repository, each with its version; `values` are
    the values files in this repository that those sources use."""

    name: str
    folder: str
    namespace: str
    parts: tuple[Part, ...]
    elsewhere: tuple[str, ...]
    values: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """All Applications of a commit. `unknown` are folders whose Applications could not be read, each with the reason; `wrong` are faults; `sets` are
    the ApplicationSets that may use this repository, as (name, folder)."""

    applications: tuple[Declared, ...]
    unknown: tuple[str, ...]
    wrong: tuple[str, ...]
    sets: tuple[tuple[str, str], ...]


def find(tree: Tree, repository: Addresses, build: Build | None) -> Found:
    """Every Application and ApplicationSet that the tree declares. `repository`: the addresses of our remote; `build`: kustomize, or None."""
    listed = [p for p in tree.files if p.endswith(YAML)]
    # One git process for all of them: a process for each file would take most of the time.
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
                    if b"{{" not in tree.text(path):  # a chart's template is not valid YAML, and not an Application either
                        wrong.append(str(bad))
        ours = [o for o in found if str(o.get("apiVersion", "")).startswith(f"{GROUP}/")]
        apps += [declared(o, folder, repository) for o in ours if o.get("kind") == "Application" and isinstance(o.get("metadata"), dict)]
        sets += [(str((o.get("metadata") or {}).get("name")), folder) for o in ours if o.get("kind") == "ApplicationSet" and _concerns(o, repository)]
    return Found(applications=tuple(apps), unknown=tuple(unknown), wrong=tuple(wrong), sets=tuple(sets))


def _concerns(value: Any, repository: Addresses) -> bool:
    """Whether a manifest names this repository anywhere, or a repository in a template, which is unknown here."""
    if isinstance(value, list):
        return any(_concerns(inner, repository) for inner in value)
    if not isinstance(value, dict):
        return False
    url = str(value.get("repoURL") or "")
    return "{{" in url or (url != "" and url in repository) or _concerns([*value.values()], repository)


def _broken(tree: Tree, folder: str) -> str:
    """The fault in a folder's kustomization file, "" when it parses or does not exist."""
    try:
        file = tree.kustomization(folder)
        if file:
            tree.documents(file)
    except NotYaml as bad:
        return str(bad)
    return ""


def _groups(tree: Tree, files: Sequence[str]) -> Iterator[tuple[str, list[str], bool]]:
    """(folder, files, whether its kustomization composes them). Omits the bases of other kustomizations, which are not deployed on their own."""
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
    """The folders with a kustomization that this folder's kustomization refers to."""
    file = tree.kustomization(folder)
    if file is None:
        return
    for document in _documents(tree, file):
        for word in [w for key in ("resources", "bases", "components") for w in (document.get(key) or [] if isinstance(document, dict) else [])]:
            where = posixpath.normpath(posixpath.join(folder, str(word)))
            if tree.kustomization(where):
                yield where


def _documents(tree: Tree, file: str) -> list[Any]:
    """The documents of a YAML file; [] when it does not parse, which rendering reports."""
    try:
        return tree.documents(file)
    except NotYaml:
        return []


def resources_of(tree: Tree, folder: str, seen: set[str] | None = None) -> Iterator[str]:
    """The files that a kustomization uses as resources, directly or through other kustomizations."""
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


def declared(manifest: Object, folder: str, repository: Addresses) -> Declared:
    """Parse one Application's manifest. `repository`: the addresses of our remote."""
    spec: dict[str, Any] = manifest.get("spec") or {}
    sources = entries(spec)
    parts, elsewhere = [], []
    for source in sources:
        if source.get("chart") or str(source.get("repoURL", "")) not in repository:
            elsewhere.append(f"{source.get('chart') or source.get('repoURL', '')} {source.get('targetRevision') or ''}".strip())
        else:
            recurse = bool((source.get("directory") or {}).get("recurse"))
            only_values = source.get("ref") and not source.get("path")  # provides values to another source, renders nothing
            path = posixpath.normpath(str(source.get("path") or ".")).strip("/")
            folder_of = None if only_values else "" if path == "." else path
            # Without a targetRevision Argo CD follows HEAD, the remote's default branch.
            parts.append(Part(folder=folder_of, revision=str(source.get("targetRevision") or "HEAD"), deep=recurse, plugin="plugin" in source))
    meta, destination = manifest["metadata"], spec.get("destination") or {}
    return Declared(
        name=str(meta.get("name")), folder=folder, namespace=str(destination.get("namespace") or "default"),
        parts=tuple(parts), elsewhere=tuple(elsewhere), values=tuple(_values(sources, repository)),
    )  # fmt: skip


def _values(sources: Sequence[Mapping[str, Any]], repository: Addresses) -> Iterator[str]:
    """The paths in valueFiles entries `$name/path` where `name` is a ref of this repository. Skips patterns, and files that may be missing."""
    refs = {f"${s['ref']}" for s in sources if s.get("ref") and str(s.get("repoURL", "")) in repository}
    for helm in (s.get("helm") or {} for s in sources):
        for file in [] if helm.get("ignoreMissingValueFiles") else helm.get("valueFiles") or []:
            name, _, path = str(file).partition("/")
            if name in refs and not set(path) & set("*?[{"):
                yield posixpath.normpath(path)


def sides(apps: Collection[Declared], *, stable: str, branch: str, prod: Sequence[str], dev: Sequence[str]) -> dict[str, str]:
    """Folder of Applications → "prod", "dev" or "" (undetermined): by the settings, else by the ref that at least two thirds of them follow."""
    names = {"prod": {stable, f"refs/tags/{stable}"}, "dev": {branch, "HEAD", f"refs/heads/{branch}"}}
    found: dict[str, str] = {}
    for folder in sorted({a.folder for a in apps}):
        configured = [
            side
            for side, under in (("prod", prod), ("dev", dev))
            if any(folder == u.strip("/") or folder.startswith(f"{u.strip('/')}/") for u in under)
        ]
        votes = Counter(side for a in apps if a.folder == folder for p in a.parts for side in names if p.revision in names[side])
        most = max(votes, key=lambda side: votes[side], default="")
        # Two thirds: one Application that is pinned for an experiment must not make its whole folder undetermined.
        found[folder] = configured[0] if configured else most if most and votes[most] * 3 >= votes.total() * 2 else ""
    return found


def turned(apps: Collection[Declared], before: Collection[Declared], side: dict[str, str], *, stable: str) -> dict[str, str]:
    """Applications that followed the stable tag in production's commit and now follow another ref: name → message.

    Only in folders whose side is not "prod": in a folder of its own, an Application alone determines the side.
    """
    follows = frozenset({stable, f"refs/tags/{stable}"})
    were = {(a.name, a.folder) for a in before if any(p.revision in follows for p in a.parts)}
    gone = [a for a in apps if (a.name, a.folder) in were and side[a.folder] != "prod" and a.parts]
    now = {a: ", ".join(dict.fromkeys(p.revision for p in a.parts)) for a in gone if not any(p.revision in follows for p in a.parts)}
    return {a.name: f"{a.name} ({a.folder or '.'}) follows {what}, in production's commit it follows {stable}" for a, what in now.items()}


def strays(apps: Collection[Declared], side: dict[str, str], *, stable: str, branch: str) -> list[str]:
    """Applications that follow another ref than their side: production follows the stable tag, dev the trunk. One message each."""
    wanted = {"prod": {stable, f"refs/tags/{stable}"}, "dev": {branch, "HEAD", f"refs/heads/{branch}"}}
    main = {"prod": stable, "dev": branch}
    return [
        f"{a.name} ({a.folder or '.'}) follows {part.revision}, {'production' if here == 'prod' else 'dev'} follows {main[here]}"
        for a in sorted(apps, key=lambda a: a.name)
        if (here := side[a.folder])
        for part in a.parts
        if part.revision not in wanted[here]
    ]
