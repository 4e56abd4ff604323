"""The logic of the checks about the candidate's files: whether its manifests render, which changes break, whether changes are documented."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

from promote.candidate import docs, migration_plan
from promote.candidate.commits import Change, breaking
from promote.checklist.history import bump_suggestion, stable_commit, worth_planning
from promote.checklist.promotion import Promotion
from promote.core.errors import NotFound, PromoteError, ServiceError, UsageError
from promote.core.in_flight import in_flight
from promote.core.model import Evidence
from promote.manifests.compare import Comparison, Expected, compare
from promote.manifests.tree import Blobs, Tree
from promote.report.words import counted

SHOWN = 10


def trees(promotion: Promotion) -> tuple[Tree, Tree | None]:
    """The candidate's files and production's; None in a first promotion."""
    old = stable_commit(promotion)
    return tree_of(promotion, promotion.commit), tree_of(promotion, old) if old else None


@cache
def tree_of(promotion: Promotion, commit: str) -> Tree:
    """A commit's files; read once."""
    from promote.git.objects import tree

    files, links = tree(promotion.remote, commit)
    return Tree(commit=commit, files=files, links=links, blobs=_store(promotion))


@cache
def _store(promotion: Promotion) -> Blobs:
    from promote.git.objects import blobs

    remote = promotion.remote
    return Blobs(read=lambda oids: blobs(remote, oids))


@contextmanager
def builder(promotion: Promotion) -> Iterator[Callable[[str, str], str] | None]:
    """kustomize for this repository's commits, None when it is not installed; its temporary copies are removed at the end.

    Results are kept in memory, so that a check which ran out of time leaves less work to the next one.
    """
    from promote.git.objects import archive
    from promote.manifests.kustomize import Kustomize, find_program

    program = find_program()
    if program is None:
        yield None
        return
    with Kustomize(program, lambda commit: archive(promotion.remote, commit), promotion.settings.manifests.timeout) as kustomize:
        built = _built(promotion)

        def build(commit: str, folder: str) -> str:
            if (commit, folder) not in built:
                built[commit, folder] = kustomize.build(commit, folder)
            return built[commit, folder]

        yield build


@cache
def _built(_promotion: Promotion) -> dict[tuple[str, str], str]:
    return {}


@cache
def comparison(promotion: Promotion) -> Comparison:
    """The candidate's manifests against production's; computed once."""
    candidate, production = trees(promotion)
    with builder(promotion) as build, in_flight("kustomize"):
        return compare(candidate, production, expected_of(promotion), build)


def expected_of(promotion: Promotion) -> Expected:
    """The refs and folders that applications should follow, by the settings."""
    settings = promotion.settings
    return Expected(
        repository=promotion.addresses, stable=settings.tags.stable, branch=settings.repository.branch,
        prod=settings.manifests.prod, dev=settings.manifests.dev,
    )  # fmt: skip


def not_restored_by_rollback(promotion: Promotion) -> list[str]:
    """Resources that this promotion removes and a rollback therefore does not restore as they were, one line each; [] when there are none.

    Never raises PromoteError: when the manifests cannot be compared, the only line starts with "unknown: ".
    """
    try:
        seen = comparison(promotion)
    except PromoteError as error:
        return [f"unknown: {error.what}"]
    return [line for line in seen.breaking if " is removed: " in line]


def manifest_problems(promotion: Promotion, seen: Comparison, evidence: Evidence) -> list[str]:
    """Manifests that do not render and applications that follow the wrong ref, one indented line each; [] when all are right.

    `seen` is the fixture `comparison`. Raises NotFound when no application of production is declared in the repository, ServiceError when
    something could not be rendered here and `manifests.on_unrendered` does not accept that.
    """
    evidence("applications", {"all": seen.applications, "production": seen.prod, "dev": seen.dev})
    evidence("rendered", list(seen.rendered))
    evidence("unchanged since production", seen.unchanged)
    for name in ("charts", "sets", "unknown", "unsorted"):
        if found := list(getattr(seen, name)):
            evidence({"charts": "not of this repository", "sets": "ApplicationSets, not read", "unknown": "could not be rendered here",
                      "unsorted": "folders of neither production nor dev"}[name], found)  # fmt: skip
    problems = [f"  {line}" for line in (*seen.wrong, *seen.strays)]
    if problems:
        return problems
    if not seen.prod and not seen.unknown:
        name = promotion.settings.tags.stable
        mixed = f" ({', '.join(seen.unsorted[:3])}: neither production's nor dev's)" if seen.unsorted else ""
        raise NotFound(
            "repository",
            f"none of {seen.applications} Applications declared in it is known to be production's, which follows {name} of"
            f" {promotion.remote.url}{mixed}: it is unknown what would be deployed",
            hint='set manifests.prod to their folder; or disable the check with a reason: [[checklist.disabled]] id = "manifests"',
        )
    if seen.unknown and promotion.settings.manifests.on_unrendered == "unknown":
        raise ServiceError(
            "manifests",
            f"{len(seen.unknown)} could not be rendered here: {'; '.join(seen.unknown[:4])}",
            hint='install kustomize, or rely on dev: manifests.on_unrendered = "accepted" in promotion.toml',
        )
    return []


def breaking_change_problem(promotion: Promotion, changes: list[Change], seen: Comparison, evidence: Evidence) -> str:
    """Text that lists the breaking changes when their migration plan is missing or incomplete; "" when nothing breaks, or the plan is complete.

    Breaking are commits marked so (`feat!:`, `BREAKING CHANGE:`) and removed or immutable resources of `seen`, the fixture `comparison`. Raises
    ServiceError when production's manifests could not be rendered here and `manifests.on_unrendered` does not accept that.
    """
    marked = breaking(changes) if stable_commit(promotion) else []
    found = [*(f"{c.describe()}: {c.breaking}" for c in marked), *seen.breaking]
    evidence("breaking", found[:50])
    if hidden := [*seen.unknown, *seen.uncompared]:
        evidence("not compared: could not be rendered here", hidden)
    if seen.unseen:
        evidence("changed in other repositories, not read", list(seen.unseen))
    if not seen.prod:
        evidence("manifests", "no application of production is known here: judged by the commit messages alone")
    if not found and seen.uncompared and promotion.settings.manifests.on_unrendered == "unknown":
        raise ServiceError(
            "manifests",
            f"production's manifests could not be rendered here, so removals are unknown: {'; '.join(seen.uncompared[:4])}",
            hint='install what is missing, or accept it: manifests.on_unrendered = "accepted" in promotion.toml',
        )
    if not found:
        return ""
    version = promotion.version.text if promotion.version else bump_suggestion(promotion, changes)
    settings = promotion.settings
    path = settings.promotion.plan_file(version)
    text = promotion.remote.file(promotion.commit, path)
    evidence("migration plan", path if text is not None else f"{path}: missing")
    empty = migration_plan.empty_sections(text, settings.migration.sections) if text is not None else settings.migration.sections
    if text is not None and not empty:
        return ""
    lines = "\n".join(f"  {line}" for line in found[:SHOWN]) + (f"\n  and {len(found) - SHOWN} more" if len(found) > SHOWN else "")
    lacks = f"there is no {path}" if text is None else f"{path} is empty under {', '.join(empty)}"
    return (
        f"{counted(len(found), 'breaking change')}, and {lacks}\n{lines}\n"
        "why  the person on call needs to know what to do, and whether the old version can be restored\n"
        f"do   promote plan {worth_planning(promotion, changes)} --write, fill in {', '.join(empty)}, and merge it; or revert the change"
    )


def documentation_problems(promotion: Promotion, evidence: Evidence) -> list[str]:
    """Changed files whose document did not change, broken links of changed pages, a missing changelog entry: one indented line each; [] when none.

    Raises UsageError when no [[documentation.rules]] are configured: then it is unknown which document describes which file.
    """
    wanted = promotion.settings.documentation
    if not wanted.rules:
        raise UsageError(
            "not configured: there are no [[documentation.rules]], so it is unknown which document describes which file",
            hint='write one ("apps/{app}/**" → "docs/apps/{app}.md"), or disable it with a reason: [[checklist.disabled]] id = "documentation"',
        )
    remote, old, new = promotion.remote, stable_commit(promotion), promotion.commit
    files = trees(promotion)[0].files
    changed = frozenset(remote.changed_paths(old, new) if old else files)
    evidence("changed files", len(changed))
    missing = docs.undocumented(changed, [(r.paths, r.document) for r in wanted.rules], files)
    problems = [f"  {_unwritten(document, paths, document in files)}" for document, paths in sorted(missing.items())]
    if wanted.links:
        problems += _links(promotion, changed, frozenset(files), evidence)
    if wanted.changelog and wanted.changelog in files and promotion.version:
        text = remote.file(new, wanted.changelog) or ""
        written = docs.mentions(text, promotion.version.text)
        evidence("changelog", f"{wanted.changelog} {'has an entry' if written else 'has no entry'} for {promotion.version}")
        problems += [] if written else [f"  {wanted.changelog} has no entry for {promotion.version}"]
    return problems


def _unwritten(document: str, paths: list[str], exists: bool) -> str:
    changed = paths[0] + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
    return f"{changed} changed, {document} did not" if exists else f"{changed} changed, and there is no {document}"


def _links(promotion: Promotion, changed: frozenset[str], files: frozenset[str], evidence: Evidence) -> list[str]:
    from promote.git.objects import blobs

    tree = trees(promotion)[0]
    pages = sorted(p for p in changed if p in files and p.endswith(docs.MARKDOWN))
    evidence("pages read", len(pages))
    texts = blobs(promotion.remote, [tree.files[p] for p in pages])
    broken = {p: docs.broken_links(p, texts[tree.files[p]].decode(errors="replace"), files, tree.links) for p in pages}
    return [f"  {page}: the link {link} leads nowhere" for page, links in broken.items() for link in links[:5]]
