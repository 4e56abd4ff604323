"""`promote status`: the commits of the tags, how far each is behind, whether the last move was checked, and whether production runs the stable
tag."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime

from promote.cli.bootstrap import open_repository, tools
from promote.connect import secrets
from promote.convergence.wait import CONVERGED
from promote.core.errors import PromoteError
from promote.core.foreign import OID
from promote.core.model import AppState, Tag, Verdict, short
from promote.core.version import version_of_tag
from promote.promotion.context import Dependencies
from promote.promotion.describe import version_carried
from promote.promotion.verify_current import present_evidence
from promote.report.screen import answer, reporter
from promote.report.words import counted
from promote.tags.lock import LOCK, UNDO, UnreadableLock, read_lock
from promote.tags.names import ref_names
from promote.tags.observation import trailers_of
from promote.tags.records import read_ledger

CHECKED = {"no": "no: moved without a pre suite", "unknown": "unknown: promote did not create this tag"}


def main(args: argparse.Namespace) -> int:
    settings, git = open_repository(args.folder)
    with reporter(json=args.json, secrets=secrets()) as report:
        deps = tools(settings, git, report)
        shown = tags(deps)
        entry, damaged = ledger(deps, str(shown.pop("ledger")))
        document = {**shown, "last": damaged or last(entry), **production(deps, entry)}
    answer(*words(document), document=document if args.json else None, secrets=secrets())
    return {"passed": 0, "failed": 1}.get(str(document["production"]), 5)


def tags(deps: Dependencies) -> dict[str, object]:
    """The refs of the remote, with versions, ages and distances."""
    settings, git = deps.settings, deps.git
    names = ref_names(settings, "")
    prods = git.refs(f"refs/tags/{settings.tags.prod.format(version='*')}")
    versions = {v: t for t in prods.values() if (v := version_of_tag(t.name, settings.tags.prod, settings.version.scheme))}
    newest = versions[max(versions)] if versions else None
    refs = git.refs(names.stable, names.working, names.branch, names.shadow, UNDO)
    git.fetch(*refs, *([newest.ref] if newest else []))
    head = refs.get(names.branch)
    shown = {"stable": refs.get(names.stable), "working": refs.get(names.working), "newest": newest, "undo": refs.get(UNDO)}
    try:
        lock = read_lock(git)
        held = lock.describe() if lock else None
    except UnreadableLock as error:  # another user's text must not hide the tags
        held = error.what
    return {
        "tags": {name: tag and describe(deps, tag, head) for name, tag in shown.items()},
        "shadowed": names.shadow in refs,
        "shallow": git.is_shallow(),
        "prechecked": trailer(deps, refs.get(names.stable), "Prechecked") or "unknown",
        "ledger": trailer(deps, refs.get(names.stable), "Ledger"),
        "lock": held,
    }


def describe(deps: Dependencies, tag: Tag, head: Tag | None) -> dict[str, object]:
    commit = next(iter(deps.git.log(tag.commit, limit=1)), None)
    if commit is None:  # a tag of a tree or a blob has no distance, and must not hide the others
        what = f"a {deps.git.kind(tag.commit)}, not a commit"
        return {"tag": tag.name, "object": tag.object, "commit": tag.commit, "version": "", "subject": what, "when": None, "behind": None}
    return {
        "tag": tag.name,
        "object": tag.object,
        "commit": tag.commit,
        "version": version_carried(deps, tag),
        "subject": commit.subject,
        "when": datetime.fromtimestamp(commit.when, UTC).isoformat(),
        "behind": deps.git.count(f"{tag.commit}..{head.commit}") if head and not deps.git.is_shallow() else None,
    }


def trailer(deps: Dependencies, stable: Tag | None, name: str) -> str:
    """A trailer of the stable tag's object (`Prechecked`, `Ledger`); "" for a tag that promote did not make."""
    if stable is None or deps.git.kind(stable.object) != "tag":
        return ""
    return trailers_of(deps.git.read_tag(stable.object).message).get(name, "")


def ledger(deps: Dependencies, named: str) -> tuple[Mapping[str, object], str]:
    """(the ledger's entry of the newest promotion, why it is damaged); {} when it cannot be read, and then no unhealthy application is tolerated."""
    try:
        return read_ledger(deps.git, named=named if OID.fullmatch(named) else "")
    except PromoteError:
        return {}, ""


def last(entry: Mapping[str, object]) -> str:
    """How the newest promotion ended; "" when the ledger does not contain it."""
    outcome, version = str(entry.get("outcome") or ""), str(entry.get("version") or "")
    return f"{version or 'a rollback'}: {outcome.replace('_', ' ')}" if outcome else ""


def production(deps: Dependencies, entry: Mapping[str, object]) -> dict[str, object]:
    """Whether production runs the stable tag's commit, after a refresh."""
    settings, git = deps.settings, deps.git
    stable = git.ref(ref_names(settings, "").stable)
    if stable is None:
        return {"production": "errored", "arrived": False, "reason": f"{settings.tags.stable} does not exist", "applications": []}
    try:
        seen = present_evidence(deps, stable, entry)
    except PromoteError as error:
        return {"production": "errored", "arrived": False, "reason": str(error), "applications": []}
    apps = [{"name": a.name, "verdict": a.state.value, "reason": a.reason} for a in seen.applications]
    arrived = all(a.state in CONVERGED or a.about_health for a in seen.applications)
    return {"production": seen.verdict.value, "arrived": bool(apps) and arrived, "reason": seen.reason, "applications": apps}


def words(document: dict[str, object]) -> list[str]:
    """The document as lines of text."""
    lines = []
    shown = document["tags"]
    assert isinstance(shown, dict)
    for name, tag in shown.items():
        if tag is None:
            lines.append(f"{name:<9}there is none")
            continue
        behind = f", {counted(int(tag['behind']), 'commit')} behind" if tag["behind"] is not None else ""
        lines.append(f"{name:<9}{tag['tag']} → {short(tag['commit'])} {tag['version'] or 'no version'} “{tag['subject']}”{behind}")
    if document["shallow"]:
        lines.append("distance not known: this clone is shallow (git fetch --unshallow)")
    checked = str(document["prechecked"])
    lines.append(f"checked  {CHECKED.get(checked) or f'yes: the pre suite passed ({checked})'}")
    if document["last"]:
        lines.append(f"last     {document['last']}")
    if document["shadowed"]:
        lines.append("SHADOWED a branch has the name of the stable tag: Argo CD follows either of the two")
    held = str(document["lock"] or "")
    way = "abort --break-lock" if held.startswith(LOCK) else "resume"
    lines.append(f"lock     {held}; when nothing runs any more: promote {way}" if held else "lock     free")
    apps = document["applications"]
    assert isinstance(apps, list)
    proven = sum(a["verdict"] == AppState.PROVEN for a in apps)
    failed = "runs it, but not every application is healthy" if document["arrived"] else "does NOT run it"
    verdict = {Verdict.PASSED.value: "runs it", Verdict.FAILED.value: failed}.get(str(document["production"]), f"undetermined: {document['reason']}")
    tolerated = sum(a["verdict"] == AppState.TOLERATED for a in apps)
    also = f", {tolerated} already unhealthy when it was promoted (ignored)" if tolerated else ""
    lines.append(f"production {verdict}: {proven} of {len(apps)} applications proven now{also}" if apps else f"production {verdict}")
    lines += [f"  {a['name']}: {a['reason']}" for a in apps if a["verdict"] != AppState.PROVEN]
    return lines
