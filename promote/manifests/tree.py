"""One commit's files in memory, read with two git processes. A YAML file that several commits share is parsed once."""

from __future__ import annotations

import posixpath
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

YAML = (".yaml", ".yml")
KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
Object = dict[str, Any]
Read = Callable[[Iterable[str]], Mapping[str, bytes]]


class NotYaml(Exception):
    """A file that is not valid YAML; `why` contains the position and the fault."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path, self.why = path, why


@dataclass
class Blobs:
    """Contents and YAML documents by object id; shared between trees, because most files of two commits are equal."""

    read: Read
    contents: dict[str, bytes] = field(default_factory=dict)
    documents: dict[str, list[Any]] = field(default_factory=dict)


@dataclass
class Tree:
    """The files of one commit. `files`: path → object id of regular files. `links`: symbolic links and submodules."""

    commit: str
    files: Mapping[str, str]
    blobs: Blobs
    links: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def paths(self) -> list[str]:
        """All paths of regular files, sorted."""
        return sorted(self.files)

    @cached_property
    def folders(self) -> Mapping[str, list[str]]:
        """Folder → its files, sorted; "" is the top. Includes folders that contain only folders."""
        found: dict[str, list[str]] = {"": []}
        for path in self.paths:
            folder = posixpath.dirname(path)
            found.setdefault(folder, []).append(path)
            while folder:
                folder = posixpath.dirname(folder)
                found.setdefault(folder, [])
        return found

    def load(self, paths: Iterable[str]) -> None:
        """Read many files with one git process; `text` then needs none."""
        wanted = {self.files[p] for p in paths if self.files[p] not in self.blobs.contents}
        if wanted:
            self.blobs.contents.update(self.blobs.read(sorted(wanted)))

    def text(self, path: str) -> bytes:
        self.load([path])
        return self.blobs.contents[self.files[path]]

    def documents(self, path: str) -> list[Any]:
        """The YAML documents of a file, without empty ones. Raises NotYaml."""
        oid = self.files[path]
        if oid not in self.blobs.documents:
            self.blobs.documents[oid] = parse(path, self.text(path))
        return self.blobs.documents[oid]

    def linked(self, folder: str) -> str:
        """A link or submodule at, above or below a path; "" when there is none."""
        return next((link for link in self.links if f"{folder}/".startswith(f"{link}/") or f"{link}/".startswith(f"{folder}/")), "")

    def kustomization(self, folder: str) -> str | None:
        """The path of a folder's kustomization file, None when it has none."""
        here = self.folders.get(folder, [])
        return next((path for name in KUSTOMIZATIONS if (path := posixpath.join(folder, name)) in here), None)

    def under(self, folder: str, *, deep: bool) -> Iterator[str]:
        """The files of a folder; with `deep` also those of the folders below."""
        if not deep:
            yield from self.folders.get(folder, [])
            return
        prefix = f"{folder}/" if folder else ""
        for path in islice(self.paths, bisect_left(self.paths, prefix), None):
            if not path.startswith(prefix):
                return
            yield path


def parse(path: str, text: bytes) -> list[Any]:
    """The YAML documents in a text. Raises NotYaml with line and column."""
    import yaml  # not at the top: most checks do not need it

    try:
        # libyaml's parser is many times as fast; PyYAML may be built without it.
        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return [d for d in yaml.load_all(text, Loader=loader) if d is not None]
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise NotYaml(path, f"{where}{getattr(error, 'problem', None) or ' '.join(str(error).split())[:160]}") from None


def objects(path: str, documents: Iterable[Any]) -> Iterator[Object]:
    """The Kubernetes objects among documents, those of a `List` one by one. Raises NotYaml for one that lacks its kind, apiVersion or name."""
    for document in documents:
        if not isinstance(document, dict):
            raise NotYaml(path, f"contains a {type(document).__name__}, not an object")
        if str(document.get("kind", "")).endswith("List") and isinstance(document.get("items"), list):
            yield from objects(path, document["items"])
            continue
        meta = document.get("metadata")
        # A hook may have generateName: every sync makes a new object of it.
        named = isinstance(meta, dict) and (meta.get("name") or meta.get("generateName"))
        lacking = [k for k in ("apiVersion", "kind") if not isinstance(document.get(k), str)] + ([] if named else ["metadata.name"])
        if lacking:
            raise NotYaml(path, f"an object without {', '.join(lacking)}")
        yield document
