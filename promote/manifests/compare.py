"""A candidate's tree against production's: does all of it render, does everybody follow the right ref, what is taken away or cannot be changed.

Only what has other inputs than in production is rendered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from promote.manifests.applications import Declared, Found, Part, find, sides, strays, turned
from promote.manifests.differences import immutable, keyed, removed
from promote.manifests.inputs import Inputs, inputs_of
from promote.manifests.render import Build, Rendered, render
from promote.manifests.tree import NotYaml, Tree

AT_ONCE = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """What the settings say: the refs that are followed, where Applications lie, and the repository's URL."""

    repository: str
    stable: str
    branch: str
    prod: Sequence[str] = ()
    dev: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """`wrong` does not render; `unknown` could not be rendered here; `strays` follow the wrong ref; `breaking` is removed or cannot be changed.

    `uncompared`: what renders in the candidate and could not be read or rendered as production has it, so nobody can tell what goes away.
    `unseen`: production's applications whose sources elsewhere changed; what these hold is not looked into.
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


def compare(candidate: Tree, production: Tree | None, expected: Expected, build: Build | None) -> Comparison:
    """`production` None: nothing runs there yet, so everything is rendered and nothing can break."""
    found = find(candidate, expected.repository, build)
    before = find(production, expected.repository, build) if production else Found(applications=(), unknown=(), wrong=(), sets=())
    side = sides(found.applications, stable=expected.stable, branch=expected.branch, prod=expected.prod, dev=expected.dev)
    side_before = sides(before.applications, stable=expected.stable, branch=expected.branch, prod=expected.prod, dev=expected.dev)
    results, unchanged = _render(candidate, production, found.applications, build)
    prod = {a.name: a for a in found.applications if side[a.folder] == "prod"}
    prod_before = {a.name: a for a in before.applications if side_before[a.folder] == "prod"}
    away = turned(found.applications, before.applications, side, stable=expected.stable)
    breaking = [f"application {name} is removed: Argo CD deletes what it deployed" for name in sorted(set(prod_before) - set(prod) - set(away))]
    breaking += [
        f"ApplicationSet {name} is removed: Argo CD deletes the applications it made"
        for name, folder in before.sets
        if side_before.get(folder) != "dev" and name not in {now for now, _ in found.sets}
    ]
    uncompared = [f"production's {line}" for line in before.unknown if line not in found.unknown]
    if production:
        said = _breaking(candidate, production, prod, prod_before, results, build)
        breaking += [line for lines, _ in said for line in lines]
        uncompared += [why for _, why in said if why]
    return Comparison(
        applications=len(found.applications),
        prod=len(prod),
        dev=sum(1 for a in found.applications if side[a.folder] == "dev"),
        rendered=tuple(sorted(str(folder or ".") for folder, _ in results)),
        unchanged=unchanged,
        wrong=_said((*found.wrong, *(r.wrong for r in results.values()), *_values(candidate, found.applications))),
        unknown=_said((*found.unknown, *(r.unknown for r in results.values()), *map(_made, found.sets))),
        strays=(*strays(found.applications, side, stable=expected.stable, branch=expected.branch), *sorted(away.values())),
        breaking=tuple(breaking),
        unsorted=tuple(folder or "." for folder, what in side.items() if not what and any(a.parts for a in found.applications if a.folder == folder)),
        sets=tuple(name for name, _ in found.sets),
        charts=tuple(sorted({e for a in found.applications for e in a.elsewhere})),
        uncompared=_said(uncompared),
        unseen=tuple(
            f"{name}: {', '.join(prod_before[name].elsewhere) or 'nothing'} → {', '.join(prod[name].elsewhere) or 'nothing'}"
            for name in sorted(set(prod) & set(prod_before))
            if prod[name].elsewhere != prod_before[name].elsewhere
        ),
    )


def _made(declared: tuple[str, str]) -> str:
    return f"{declared[1] or '.'}: what ApplicationSet {declared[0]} makes is decided in the cluster"


def _values(tree: Tree, apps: Iterable[Declared]) -> Iterator[str]:
    """What is wrong with the values files that charts from elsewhere take from this repository: Argo CD would not build these applications."""
    for app in apps:
        for path in app.values:
            if path in tree.files:
                try:
                    tree.documents(path)
                except NotYaml as bad:
                    yield str(bad)
            elif not tree.linked(path):
                yield f"{app.name} ({app.folder or '.'}): its values file {path} is not there"


def _said(sentences: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(s for s in sentences if s))


Key = tuple[str, bool]


def _parts(apps: Iterable[Declared]) -> dict[Key, Part]:
    return {(p.folder, p.deep): p for a in apps for p in a.parts if p.folder is not None}


def _render(tree: Tree, production: Tree | None, apps: Sequence[Declared], build: Build | None) -> tuple[dict[Key, Rendered], int]:
    """(what rendered, by folder; how many folders have the inputs that production has)."""
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
) -> list[tuple[list[str], str]]:
    """Objects of production's applications whose rendering changed, before against after: (what breaks, why that could not be told) for each."""
    pairs = [(prod[name], before[name]) for name in sorted(set(prod) & set(before))]
    touched = [(app, was) for app, was in pairs if app.parts != was.parts or any((p.folder, p.deep) in results for p in app.parts)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda pair: _app_breaks(tree, production, pair[0], pair[1], results, build), touched))


def _app_breaks(
    tree: Tree, production: Tree, app: Declared, was: Declared, results: dict[Key, Rendered], build: Build | None
) -> tuple[list[str], str]:
    """What did not render in the candidate is told by `wrong` and `unknown` and is not told again here."""
    now = [results.get((p.folder, p.deep)) or render_one(tree, p, build) for p in app.parts if p.folder is not None]
    if any(results[key].wrong or results[key].unknown for p in app.parts if (key := (p.folder or "", p.deep)) in results):
        return [], ""
    old = [render_one(production, p, build) for p in was.parts if p.folder is not None]
    if why := next((said for r in (*now, *old) if (said := r.wrong or r.unknown)), ""):
        return [], f"{app.name}: production's {why}"
    after = keyed((o for r in now for o in r.objects), app.namespace)
    earlier = keyed((o for r in old for o in r.objects), was.namespace)
    return [f"{app.name}: {what}" for what in (*removed(earlier, after), *immutable(earlier, after))], ""


def render_one(tree: Tree, part: Part, build: Build | None) -> Rendered:
    """One source of this repository. It must have a folder."""
    assert part.folder is not None
    inputs = _inputs(tree, part.folder)
    return inputs if isinstance(inputs, Rendered) else render(tree, part.folder, inputs, build, deep=part.deep)
