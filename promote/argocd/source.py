"""The sources of an Application: every shape that Argo CD knows, which of them follow our stable tag, and which cannot be judged. No I/O."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from promote.git.url import Addresses

_SHAPES = ("source", "sources", "sourceHydrator")
# Possessive: what an Application's author writes must not cost more than its length.
_PART = r"[<>=!~^]*+\s*+v?(?:\d++|[xX*])(?:\.(?:\d++|[xX*]))*+(?:-[\w.-]++)?+"
_RANGE = re.compile(rf"\s*+{_PART}(?:(?:\s*+(?:,|\|\|)\s*+|\s++(?:-\s++)?+){_PART})*+\s*+")
_OPEN = re.compile(r"[<>=!~^*|,]|\s-\s|(?:^|\.)[xX](?:\.|$)")  # without one of these it is one version, or the name of a tag


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One source. `revision` is the value that status shows: a commit, a chart version, on errors even the tag's name, or "".

    `prefix` is its `tagPrefix` (3.5 and later): a range of versions then means the tags that begin with it. Of an application with a source hydrator,
    this is the dry source, and `revision` the hydrated commit.
    """

    repository: str
    target: str
    chart: str = ""
    path: str = ""
    revision: str = ""
    prefix: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hydration:
    """`status.sourceHydrator`: the last dry commit that was rendered, and the commit that holds its rendering; "" when there is none yet.

    `phase` and `message` are of the current operation: Hydrating, Failed or Hydrated.
    """

    dry: str = ""
    hydrated: str = ""
    phase: str = ""
    message: str = ""


def entries(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The sources of a spec as they are written, of a hydrator its dry source. Argo CD's own order: the hydrator, then `sources`, then `source`."""
    dry = _mapping(_mapping(spec.get("sourceHydrator")).get("drySource"))
    if dry:
        return [dry]
    many = spec.get("sources") if isinstance(spec.get("sources"), list) else []
    return [e for e in many or [spec.get("source")] if isinstance(e, Mapping) and e]


def parse_sources(spec: Mapping[str, Any], sync: Mapping[str, Any]) -> tuple[Source, ...]:
    """The sources with the revisions that `status.sync` shows. A missing one is "", never another source's."""
    found = entries(spec)
    many = bool(spec.get("sources")) and not spec.get("sourceHydrator")
    shown = list(sync.get("revisions") or []) if many else [sync.get("revision", "")]
    shown += [""] * (len(found) - len(shown))
    return tuple(
        Source(
            repository=e.get("repoURL") or "",
            target=e.get("targetRevision") or "HEAD",
            chart=e.get("chart") or "",
            path=e.get("path") or "",
            revision=r or "",
            prefix=e.get("tagPrefix") or "",
        )
        for e, r in zip(found, shown, strict=False)
    )


def parse_hydration(spec: Mapping[str, Any], status: Mapping[str, Any]) -> Hydration | None:
    """None for an application without a source hydrator."""
    if not spec.get("sourceHydrator"):
        return None
    state = _mapping(status.get("sourceHydrator"))
    last, now = _mapping(state.get("lastSuccessfulOperation")), _mapping(state.get("currentOperation"))
    return Hydration(
        dry=last.get("drySHA") or "", hydrated=last.get("hydratedSHA") or "", phase=now.get("phase") or "", message=now.get("message") or ""
    )


def unknown_sources(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys of a spec that name sources in a shape which is not known here: a later Argo CD may deploy them."""
    found = [k for k, v in spec.items() if k not in _SHAPES and (re.search("source", k, re.IGNORECASE) or "repoURL" in set(_keys(v)))]
    hydrator = spec.get("sourceHydrator")
    if hydrator and not _mapping(_mapping(hydrator).get("drySource")).get("repoURL"):
        found.append("sourceHydrator")
    elif not hydrator:
        found += [k for k in _SHAPES[:2] if spec.get(k) and not _readable(spec[k])]
    return tuple(sorted(found))


def _readable(value: Any) -> bool:
    return all(isinstance(e, Mapping) and e.get("repoURL") for e in (value if isinstance(value, list) else [value]))


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from _keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def follows(source: Source, repository: Addresses, names: Collection[str]) -> bool:
    """Whether a source reads our repository at one of the names (`prod-stable`, `refs/tags/prod-stable`)."""
    return not source.chart and source.target in names and source.repository in repository


def unclear_addresses(sources: Iterable[Source], repository: Addresses, names: Collection[str]) -> list[str]:
    """The addresses that sources read at one of the names and that may or may not be ours, sorted."""
    return sorted({s.repository for s in sources if not s.chart and s.target in names and repository.unclear(s.repository)})


def in_range(source: Source, repository: Addresses, templates: Collection[str]) -> bool:
    """Whether a source of our repository asks for a range of versions that our version tags can satisfy. `templates`: `prod-{version}`, …"""
    if source.chart or source.repository not in repository or not (_RANGE.fullmatch(source.target) and _OPEN.search(source.target)):
        return False
    return any(t.startswith(source.prefix) and t.removeprefix(source.prefix) in ("{version}", "v{version}") for t in templates)
