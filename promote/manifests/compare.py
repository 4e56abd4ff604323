"""Compares a candidate's tree with production's: whether everything renders, whether all Applications follow the right ref, and which objects are
removed or cannot be changed.

Renders only the folders whose inputs differ from production's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from promote.git.url import Addresses
from promote.manifests.applications import Declared, Found, Part, find, sides, strays, turned
from promote.manifests.differences import dropped, immutable, keyed, removed
from promote.manifests.inputs import Inputs, inputs_of
from promote.manifests.render import Build, Rendered, render
from promote.manifests.tree import NotYaml, Tree

AT_ONCE = 4  # each is a kustomize process, which keeps a core busy


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """The settings for the comparison: the refs to follow, the folders of the Applications, and the repository's URL."""

    repository: Addresses
    stable: str
    branch: str
    prod: Sequence[str] = ()
    dev: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """The result; each tuple holds messages or names.

    `wrong`: does not render. `unknown`: could not be rendered here. `strays`: follow the wrong ref. `breaking`: removed, or changed although
    immutable.
    `uncompared`: renders in the candidate but not in production's commit, so its removals are undetermined.
    `unseen`: production's applications whose sources outside of this repository changed; their contents are not compared.
    `compared`: production's applications whose objects are known on both sides. `dropped`: by application, the objects that the candidate no longer
    has, each with the sync option that keeps it from being pruned ("" for none). `removed_applications`: production's applications that it removes.
    """

    applications: int
    prod: int
    dev: int
    rendered: tuple[str, ...]
    unchanged: int
    wrong: tuple[str, ...]
    unknown: tuple[str, ...]
    strays: tuple[str, ...]
    breaking: tuple[str, ...]
    unsorted: tuple[str, ...]
    sets: tuple[str, ...]
    charts: tuple[str, ...]
    uncompared: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    compared: frozenset[str] = frozenset()
    dropped: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    removed_applications: tuple[str, ...] = ()


def compare(candidate: Tree, production: Tree | None, expected: Expected, build: Build | None) -> Comparison:
    """Compare two trees. `production` None: nothing is deployed yet, so every folder is rendered and nothing can break."""
    found = find(candidate, expected.repository, build)
    before = find(production, expected.repository, build) if production else Found(applications=(), unknown=(), wrong=(), sets=())
    side = sides(found.applications, stable=expected.stable, branch=expected.branch, prod=expected.prod, dev=expected.dev)
    side_before = sides(before.applications, stable=expected.stable, branch=expected.branch, prod=expected.prod, dev=expected.dev)
    results, unchanged = _render(candidate, production, found.applications, build)
    prod = {a.name: a for a in found.applications if side[a.folder] == "prod"}
    prod_before = {a.name: a for a in before.applications if side_before[a.folder] == "prod"}
    away = turned(found.applications, before.applications, side, stable=expected.stable)
    gone = sorted(set(prod_before) - set(prod) - set(away))
    fates: list[_Fate] = []
    breaking = [f"application {name} is removed: Argo CD deletes what it deployed" for name in gone]
    breaking += [
        f"ApplicationSet {name} is removed: Argo CD deletes the applications it made"
        for name, folder in before.sets
        if side_before.get(folder) != "dev" and name not in {now for now, _ in found.sets}
    ]
    # A folder that neither commit can render is reported once, as unknown.
    uncompared = [f"production's {line}" for line in before.unknown if line not in found.unknown]
    if production:
        fates = _breaking(candidate, production, prod, prod_before, results, build)
        breaking += [line for fate in fates for line in fate.breaking]
        uncompared += [fate.unknown for fate in fates if fate.unknown]
    return Comparison(
        applications=len(found.applications),
        prod=len(prod),
        dev=sum(1 for a in found.applications if side[a.folder] == "dev"),
        rendered=tuple(sorted(str(folder or ".") for folder, _ in results)),
        unchanged=unchanged,
        wrong=_unique((*found.wrong, *(r.wrong for r in results.values()), *_values(candidate, found.applications))),
        unknown=_unique((*found.unknown, *(r.unknown for r in results.values()), *map(_generated, found.sets))),
        strays=(*strays(found.applications, side, stable=expected.stable, branch=expected.branch), *sorted(away.values())),
        breaking=tuple(breaking),
        unsorted=tuple(folder or "." for folder, what in side.items() if not what and any(a.parts for a in found.applications if a.folder == folder)),
        sets=tuple(name for name, _ in found.sets),
        charts=tuple(sorted({e for a in found.applications for e in a.elsewhere})),
        uncompared=_unique(uncompared),
        unseen=tuple(
            f"{name}: {', '.join(prod_before[name].elsewhere) or 'nothing'} → {', '.join(prod[name].elsewhere) or 'nothing'}"
            for name in sorted(set(prod) & set(prod_before))
            if prod[name].elsewhere != prod_before[name].elsewhere
        ),
        compared=frozenset(n for n in set(prod) & set(prod_before) if prod[n].elsewhere == prod_before[n].elsewhere)
        - {fate.name for fate in fates if not fate.compared},
        dropped={fate.name: fate.dropped for fate in fates if fate.dropped},
        removed_applications=tuple(gone),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fate:
    """One application whose rendering changed. `unknown`: why its changes are undetermined; `compared` is false as well where the candidate itself
    does not render, which other fields report."""

    name: str
    breaking: Sequence[str] = ()
    unknown: str = ""
    dropped: tuple[tuple[str, str], ...] = ()
    compared: bool = False


def _generated(declared: tuple[str, str]) -> str:
    return f"{declared[1] or '.'}: only the cluster can generate the applications of ApplicationSet {declared[0]}"


def _values(tree: Tree, apps: Iterable[Declared]) -> Iterator[str]:
    """The faults of values files that charts from outside use: Argo CD could not build these applications."""
    for app in apps:
        for path in app.values:
            if path in tree.files:
                try:
                    tree.documents(path)
                except NotYaml as bad:
                    yield str(bad)
            elif not tree.linked(path):
                yield f"{app.name} ({app.folder or '.'}): its values file {path} does not exist"


def _unique(messages: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(m for m in messages if m))


Key = tuple[str, bool]


def _parts(apps: Iterable[Declared]) -> dict[Key, Part]:
    # Several applications may deploy one folder: it is rendered once.
    return {(p.folder, p.deep): p for a in apps for p in a.parts if p.folder is not None}


def _render(tree: Tree, production: Tree | None, apps: Sequence[Declared], build: Build | None) -> tuple[dict[Key, Rendered], int]:
    """(the rendered folders; the number of folders with the same inputs as in production)."""
    jobs: dict[Key, Inputs] = {}
    results: dict[Key, Rendered] = {}
    unchanged = 0
    for key, part in _parts(apps).items():
        inputs = _inputs(tree, key[0])
        if isinstance(inputs, Rendered):
            results[key] = inputs
        elif part.plugin:
            results[key] = Rendered(unknown=f"{key[0]}: rendered by a plugin")
        elif production and key[0] in production.folders and _same(inputs, _inputs(production, key[0])):
            unchanged += 1
        else:
            jobs[key] = inputs
    with ThreadPoolExecutor(AT_ONCE) as pool:
        rendered = pool.map(lambda job: render(tree, job[0][0], job[1], build, deep=job[0][1]), jobs.items())
        results |= dict(zip(jobs, rendered, strict=True))
    return results, unchanged


def _inputs(tree: Tree, folder: str) -> Inputs | Rendered:
    try:
        return inputs_of(tree, folder)
    except NotYaml as bad:
        return Rendered(wrong=str(bad))


def _same(now: Inputs, before: Inputs | Rendered) -> bool:
    return isinstance(before, Inputs) and now.digest == before.digest


def _breaking(
    tree: Tree, production: Tree, prod: dict[str, Declared], before: dict[str, Declared], results: dict[Key, Rendered], build: Build | None
) -> list[_Fate]:
    """The fate of each production application whose rendering changed."""
    pairs = [(prod[name], before[name]) for name in sorted(set(prod) & set(before))]
    touched = [(app, was) for app, was in pairs if app.parts != was.parts or any((p.folder, p.deep) in results for p in app.parts)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda pair: _app_breaks(tree, production, pair[0], pair[1], results, build), touched))


def _app_breaks(tree: Tree, production: Tree, app: Declared, was: Declared, results: dict[Key, Rendered], build: Build | None) -> _Fate:
    """One application's fate. `wrong` and `unknown` already report a candidate's fault."""
    now = [results.get((p.folder, p.deep)) or render_one(tree, p, build) for p in app.parts if p.folder is not None]
    if any(results[key].wrong or results[key].unknown for p in app.parts if (key := (p.folder or "", p.deep)) in results):
        return _Fate(name=app.name)
    old = [render_one(production, p, build) for p in was.parts if p.folder is not None]
    if why := next((fault for r in (*now, *old) if (fault := r.wrong or r.unknown)), ""):
        return _Fate(name=app.name, unknown=f"{app.name}: production's {why}")
    after = keyed((o for r in now for o in r.objects), app.namespace)
    earlier = keyed((o for r in old for o in r.objects), was.namespace)
    broken = [f"{app.name}: {what}" for what in (*removed(earlier, after), *immutable(earlier, after))]
    return _Fate(name=app.name, breaking=broken, dropped=dropped(earlier, after), compared=True)


def render_one(tree: Tree, part: Part, build: Build | None) -> Rendered:
    """Render one source, which must have a folder."""
    assert part.folder is not None
    inputs = _inputs(tree, part.folder)
    return inputs if isinstance(inputs, Rendered) else render(tree, part.folder, inputs, build, deep=part.deep)
