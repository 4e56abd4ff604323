"""Reads how a repository is promoted today: remote, trunk, tags, Applications, workflow, kubeconfigs. Changes nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from promote.argocd.application import Application, parse_application
from promote.checklist.workflow_file import FOLDER, NEEDED, inputs_of
from promote.config.schema import Repository
from promote.core.model import Tag
from promote.git.addresses import our_addresses
from promote.git.objects import blobs, tree
from promote.git.remote import GitRemote
from promote.manifests.applications import resources_of
from promote.manifests.tree import KUSTOMIZATIONS, YAML, Blobs, NotYaml, Tree

_VERSIONED = re.compile(r"(.*?)(v?(?<![0-9])[0-9]++\.[0-9]+.*)")
_CALENDAR = re.compile(r"v?20[0-9]{2}\.[0-9]{1,2}\b.*")


@dataclass(kw_only=True, slots=True)
class Finding:
    """The values to write. `tables`, `rules` (what documents what) and `disabled` (checks, each with why) are the checklist's own.

    `found` names the source of each value, `guessed` the values a user should review; everything else keeps its default.
    """

    remote: str = "origin"
    branch: str = "main"
    tags: dict[str, str] = field(default_factory=dict)
    scheme: str = "semver"
    github: bool = False
    workflow: str = ""
    legacy: bool = False
    root: str | None = None
    namespaces: Sequence[str] = ("argocd",)
    clusters: dict[str, tuple[str, str]] = field(default_factory=dict)
    hosts: Sequence[str] = ()
    first: bool = False
    tables: dict[str, dict[str, object]] = field(default_factory=dict)
    rules: list[tuple[str, str]] = field(default_factory=list)
    disabled: dict[str, str] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)
    guessed: list[str] = field(default_factory=list)


def look(git: GitRemote, kubeconfig: Path | None) -> Finding:
    """`kubeconfig`: the user's own, read for context names only. Raises what git raises when the remote cannot be read."""
    it = Finding(remote=git.remote)
    _remote(git, it)
    refs = git.refs("refs/tags/*", "refs/heads/*")
    apps = list(applications(git))
    _stable(git, it, apps, refs)
    _versions(it, refs)
    _root(git, it, apps)
    _workflow(git, it)
    for name in ("prod", "dev"):
        _cluster(git, it, name, kubeconfig)
    it.hosts = sorted({host for manifest in manifests(git, "Ingress") for host in _hosts(manifest)})
    return it


def _remote(git: GitRemote, it: Finding) -> None:
    head = git.git("ls-remote", "--symref", git.remote, "HEAD").out
    if match := re.search(r"^ref: refs/heads/(\S+)\s+HEAD", head, re.MULTILINE):
        it.branch = match[1]
        it.found.append(f"trunk {it.branch}: the remote's default branch")
    host = urlsplit(git.url).hostname or git.url.partition(":")[0].rpartition("@")[2]
    it.github = host == "github.com"
    it.found.append(f"remote {git.remote}: {git.url}" + ("" if it.github else ', which is not github.com, so via = "git"'))


def manifests(git: GitRemote, kind: str) -> Iterator[Mapping[str, Any]]:
    """Every committed manifest of a kind; files that are templates, not YAML, are passed over."""
    listed = git.git("grep", "-lIzE", f"^kind: *['\"]?{kind}['\"]? *$", "HEAD", "--", "*.yaml", "*.yml").out
    for name in filter(None, listed.split("\0")):
        try:
            documents = list(yaml.safe_load_all(git.file("HEAD", name.removeprefix("HEAD:")) or ""))
        except yaml.YAMLError:
            continue
        yield from (d for d in documents if isinstance(d, dict) and d.get("kind") == kind)


def applications(git: GitRemote) -> Iterator[Application]:
    for manifest in manifests(git, "Application"):
        if str(manifest.get("apiVersion", "")).startswith("argoproj.io/") and (manifest.get("metadata") or {}).get("name"):
            meta = {"namespace": "argocd", **manifest["metadata"]}
            yield parse_application({**manifest, "metadata": meta})


def _stable(git: GitRemote, it: Finding, apps: Sequence[Application], refs: Mapping[str, Tag]) -> None:
    """The tag that production follows: what our own Applications ask for and is not a branch."""
    ours = our_addresses(git, Repository())
    targets = Counter(s.target.removeprefix("refs/tags/") for a in apps for s in a.sources if s.repository in ours and not s.chart)
    tags = {name: n for name, n in targets.items() if name not in ("", "HEAD", it.branch) and f"refs/heads/{name}" not in refs}
    if tags:
        it.tags["stable"] = max(tags, key=lambda name: tags[name])
        it.found.append(f"tags.stable {it.tags['stable']}: {tags[it.tags['stable']]} sources of Applications in this repository follow it")
    elif "refs/tags/prod-stable" in refs:
        it.found.append("tags.stable prod-stable: it is on the remote, though no Application as it is written here names it")
    else:
        it.guessed.append("tags.stable prod-stable: no Application in this repository follows a tag; production's targetRevision has to be this one")
    stable = it.tags.get("stable", "prod-stable")
    it.first = f"refs/tags/{stable}" not in refs
    if it.first:
        it.guessed.append(f"{stable} is not on the remote: ship the first version with `promote run VERSION --first`")


def _versions(it: Finding, refs: Mapping[str, Tag]) -> None:
    """How versions are tagged: the prefix before the number, and whether the numbers are dates."""
    prefixes: Counter[str] = Counter()
    dated = 0
    for ref in refs:
        if ref.startswith("refs/tags/") and (match := _VERSIONED.fullmatch(ref.removeprefix("refs/tags/"))):
            prefixes[match[1]] += 1
            dated += bool(_CALENDAR.fullmatch(match[2]))
    if dated * 2 > sum(prefixes.values()):
        it.scheme = "calver"
        it.found.append(f"version.scheme calver: {dated} of {sum(prefixes.values())} version tags begin with a year")
    for name, word in (("prod", "prod"), ("dev", "dev")):
        fitting = [p for p in prefixes if word in p.lower()]
        if fitting and (best := max(fitting, key=lambda p: prefixes[p])) != f"{name}-":
            it.tags[name] = f"{best}{{version}}"
            it.found.append(f"tags.{name} {it.tags[name]}: {prefixes[best]} tags are named so")


def _root(git: GitRemote, it: Finding, apps: Sequence[Application]) -> None:
    """The app-of-apps: an Application whose folder, or what its kustomization takes, holds other Applications; the one that no other holds."""
    stable = it.tags.get("stable", "prod-stable")
    ours = [a for a in apps if any(s.target.removeprefix("refs/tags/") == stable for s in a.sources)]
    if ours:
        it.namespaces = sorted({a.namespace for a in ours})
    held = {a.name: _held(git, a) for a in ours}
    roots = sorted(name for name, others in held.items() if others)
    top = [name for name in roots if not any(name in held[other] for other in roots)] or roots
    if top:
        it.root = top[0]
        (it.found if len(top) == 1 else it.guessed).append(
            f"prod.root_app {it.root}: " + ("it holds the other Applications" if len(top) == 1 else f"{', '.join(top)} all hold Applications")
        )
    else:
        it.guessed.append(
            'prod.root_app argocd: no app-of-apps is in this repository; its name in the cluster has to be this one, or "" when there is none'
        )


def _held(git: GitRemote, app: Application) -> set[str]:
    """The names of the other Applications in the folders that an Application deploys."""
    here, found = _tree(git), set[str]()
    for folder in (s.path.strip("/") for s in app.sources if s.path):
        for path in {*here.under(folder, deep=True), *resources_of(here, folder)}:
            with suppress(NotYaml):
                documents = here.documents(path) if path.endswith(YAML) and b"Application" in here.text(path) else []
                found |= {
                    str(d["metadata"].get("name")) for d in documents if isinstance(d, dict) and d.get("kind") == "Application" and d.get("metadata")
                }
    return found - {app.name}


@cache
def _tree(git: GitRemote) -> Tree:
    files, links = tree(git, "HEAD")
    made = Tree(commit="HEAD", files=files, links=links, blobs=Blobs(read=lambda oids: blobs(git, oids)))
    made.load(path for path in files if path.endswith(YAML) or path.rpartition("/")[2] in KUSTOMIZATIONS)
    return made


def _workflow(git: GitRemote, it: Finding) -> None:
    """A workflow that promotes already: one that can be dispatched with a version."""
    for path in sorted(git.git("ls-tree", "--name-only", "HEAD", f"{FOLDER}/").out.split()):
        try:
            inputs = inputs_of(git.file("HEAD", path) or "")
        except ValueError:
            continue
        if "version" in inputs:
            it.workflow = path.rpartition("/")[2]
            it.legacy = not set(NEEDED) <= inputs
            kind = "an older one with fewer inputs (workflow.legacy)" if it.legacy else "complete"
            it.found.append(f"workflow.file {it.workflow}: {kind}")
            return


def _cluster(git: GitRemote, it: Finding, name: str, kubeconfig: Path | None) -> None:
    """A kubeconfig in the repository's usual place, else a context of the user's own kubeconfig with the word in its name."""
    usual = f".secrets/{name}/kubeconfig-{name}"
    if (git.root / usual).is_file():
        it.clusters[name] = (usual, "")
        it.found.append(f"{name}.kubeconfig {usual}: it is there")
        return
    known = [c for c in contexts(kubeconfig) if not _BESIDE.search(c)]
    fitting = [c for c in known if _WORDS[name].search(c)] or [c for c in known if name in c.lower()]
    if fitting:
        it.clusters[name] = ("", fitting[0])
        sure = len(fitting) == 1 and _WORDS[name].search(fitting[0])
        (it.found if sure else it.guessed).append(f"{name}.context {fitting[0]}: of {', '.join(fitting)} in your kubeconfig")
    else:
        it.guessed.append(f"{name}.kubeconfig {usual}: neither this file nor a context with {name!r} as a word of its name is here")


# A word of a context's name, as in eks-prod-eu, prod2, acme_dev; and the names that hold such a word and mean another cluster.
_WORDS = {
    "prod": re.compile(r"(?<![a-z])(?:prod|prd|production|live)(?![a-z])", re.IGNORECASE),
    "dev": re.compile(r"(?<![a-z])(?:dev|devel|develop|development)(?![a-z])", re.IGNORECASE),
}
_BESIDE = re.compile(r"(?<![a-z])(?:non|pre|no|not)[-_. ]?(?:prod|prd|live|dev)|devops", re.IGNORECASE)


def contexts(kubeconfig: Path | None) -> list[str]:
    """The context names of a kubeconfig; none when it cannot be read."""
    try:
        data = yaml.safe_load(kubeconfig.read_text()) if kubeconfig else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return []
    entries = data.get("contexts") if isinstance(data, dict) else None
    return [str(c["name"]) for c in entries or [] if isinstance(c, dict) and "name" in c]


def _hosts(ingress: Mapping[str, Any]) -> Iterator[str]:
    for rule in (ingress.get("spec") or {}).get("rules") or []:
        if isinstance(rule, dict) and isinstance(rule.get("host"), str) and "*" not in rule["host"]:
            yield rule["host"]
