"""What a commit of the bare repository deploys: refs resolved as Argo CD does, trees read once, directories and kustomizations rendered.

Helm charts are not rendered: a chart source stands for one opaque Deployment named after the application.
"""

from __future__ import annotations

import io
import posixpath
import random
import subprocess
import tarfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from promote.sandbox.kube.store import KINDS, Object

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TREES_KEPT = 12  # each holds the contents of every file


class RenderError(Exception):
    """What Argo CD would put into a ComparisonError."""


def git(repository: Path, *args: str) -> bytes:
    done = subprocess.run(["git", "-C", str(repository), *args], capture_output=True, check=False)
    if done.returncode:
        raise RenderError(done.stderr.decode(errors="replace").strip()[:300])
    return done.stdout


class Repository:
    """One bare repository. `refs()` is a fresh look; trees, parsed files and what a tag object stands for are cached, since objects never change."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._trees: dict[str, dict[str, bytes]] = {}
        self._parsed: dict[bytes, list[Object]] = {}
        self._commits: dict[str, str] = {}  # by tag object
        self._lock = threading.Lock()

    def refs(self) -> dict[str, str]:
        """Every ref, peeled to its commit at any depth; HEAD too."""
        lines = git(self.path, "for-each-ref", "--format=%(refname) %(objectname) %(*objectname)").decode().splitlines()
        found = {}
        for line in lines:
            name, oid, *peeled = line.split(" ")
            found[name] = oid
            if peeled and peeled[0]:
                found[name] = self._commit(oid)
        head = git(self.path, "symbolic-ref", "HEAD").decode().strip()
        return {**found, "HEAD": found.get(head, "")}

    def _commit(self, tag: str) -> str:
        if tag not in self._commits:  # one process for each tag at every look is what a world that lives on would spend its time with
            self._commits[tag] = git(self.path, "rev-parse", f"{tag}^{{commit}}").decode().strip()
        return self._commits[tag]

    def tree(self, commit: str) -> dict[str, bytes]:
        with self._lock:
            if commit not in self._trees:
                with tarfile.open(fileobj=io.BytesIO(git(self.path, "archive", "--format=tar", commit))) as archive:
                    files = {m.name: f.read() for m in archive if m.isfile() and (f := archive.extractfile(m))}
                while len(self._trees) >= TREES_KEPT:
                    self._trees.pop(next(iter(self._trees)))
                self._trees[commit] = files
            return self._trees[commit]

    def documents(self, content: bytes) -> list[Object]:
        """The objects of a file. Skips invalid YAML that does not look like a manifest, as Argo CD does (seen). Raises RenderError."""
        if content not in self._parsed:
            try:
                loaded = list(yaml.load_all(content, Loader=_LOADER))
            except yaml.YAMLError as error:
                if not all(word in content for word in (b"apiVersion:", b"kind:", b"metadata:")):
                    return []
                raise RenderError(
                    f"Manifest generation error (cached): failed to unmarshal manifest: {' '.join(str(error).split())[:200]}"
                ) from error
            self._parsed[content] = [d for d in loaded if isinstance(d, dict)]
        return self._parsed[content]


def resolve(refs: Mapping[str, str], target: str) -> str:
    """Resolve a targetRevision to a commit. Of a branch and a tag with one name, picks either, again at each call (seen on 3.2.11). Raises
    RenderError."""
    found = [refs[name] for name in (("HEAD",) if target == "HEAD" else (target, f"refs/heads/{target}", f"refs/tags/{target}")) if refs.get(name)]
    if found:
        return random.choice(found)
    if len(target) == 40 and all(c in "0123456789abcdef" for c in target):
        return target
    raise RenderError(f"unable to resolve '{target}' to a commit SHA")


def render(repository: Repository, commit: str, source: Mapping[str, Any]) -> list[Object]:
    """The manifests of one source at a commit: a kustomization when there is one, else the YAML files of the directory."""
    tree, path = repository.tree(commit), (source.get("path") or ".").strip("/")
    if source.get("ref") and not source.get("path"):
        return []  # a $ref source only provides values
    base = "" if path == "." else f"{path}/"
    if not any(name.startswith(base) for name in tree):
        raise RenderError(f"{path}: app path does not exist")
    if f"{base}kustomization.yaml" in tree:
        return _kustomize(repository, tree, path)
    recurse = (source.get("directory") or {}).get("recurse", False)
    names = [n for n in sorted(tree) if n.startswith(base) and n.endswith((".yaml", ".yml")) and (recurse or "/" not in n[len(base) :])]
    return [dict(d) for n in names for d in repository.documents(tree[n]) if d.get("kind")]


def _kustomize(repository: Repository, tree: Mapping[str, bytes], path: str) -> list[Object]:
    """`resources`, `namespace` and `commonLabels` of a kustomization; its patches and generators are not part of this world."""
    spec = next(iter(repository.documents(tree[f"{path}/kustomization.yaml"])), {})
    found: list[Object] = []
    for entry in spec.get("resources") or []:
        where = posixpath.normpath(posixpath.join(path, entry))
        if f"{where}/kustomization.yaml" in tree:
            found += _kustomize(repository, tree, where)
        elif where in tree:
            found += [dict(d) for d in repository.documents(tree[where]) if d.get("kind")]
        else:
            raise RenderError(f"accumulating resources from '{entry}': {where}: no such file or directory")
    namespace = spec.get("namespace")
    return [{**d, "metadata": {**d["metadata"], "namespace": namespace}} if namespace and _namespaced(d) else d for d in found]


def _namespaced(obj: Object) -> bool:
    return obj["kind"] not in KINDS or KINDS[obj["kind"]][3]


def chart_manifests(name: str, namespace: str, source: Mapping[str, Any]) -> list[Object]:
    """What stands for a chart: one Deployment that carries the chart's version."""
    labels = {"app.kubernetes.io/name": name, "helm.sh/chart": f"{source.get('chart')}-{source.get('targetRevision')}"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": name, "image": f"{source.get('chart')}:{source.get('targetRevision')}"}]},
    }
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app.kubernetes.io/name": name}}, "template": template},
        }
    ]
