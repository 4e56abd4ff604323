"""`promote run VERSION`: the whole promotion."""

from __future__ import annotations

import argparse
import secrets
from datetime import UTC, datetime

from promote.closing import close
from promote.commands.wiring import open_repository, slug, tools
from promote.errors import UsageError
from promote.flow import walk
from promote.journal import Journal
from promote.model import End, Tag, short
from promote.report.document import run_document
from promote.report.screen import reporter
from promote.run import Moved, Result, Run, Tools
from promote.target import Target, resolve_target
from promote.versions import Version, parse_version, version_of_tag


def main(args: argparse.Namespace) -> int:
    settings, git = open_repository(args.folder)
    version = parse_version(args.wanted, settings.version.scheme)
    with reporter(json=args.json) as report:
        kit = tools(settings, git, report)
        target = choose_target(kit, version, tagged=args.tagged, recreate=args.recreate_dev)
        report.headline(_headline(kit, version, target))
        request_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        run = Run(tools=kit, target=target, version=version, request_id=request_id, journal=Journal.open(git.git_dir, request_id))
        end, result = walk(run)
        entry = run_document(run, end, result)
        close(run, end, entry)
        report.end(end, ending(run, end, result))
    if args.json:
        report.document(run_document(run, end, result))
    return end.exit_code


def choose_target(kit: Tools, version: Version, *, tagged: bool = False, recreate: bool = False) -> Target:
    """Settle which commit is meant: pull first when the clone is simply behind, then HEAD or the commit of the existing dev tag."""
    git, settings = kit.git, kit.settings
    target = resolve_target(git, settings, version)
    on_trunk = git.branch() == settings.repository.branch
    if on_trunk and not git.dirty() and git.head() != target.branch.commit and git.is_ancestor(git.head(), target.branch.commit):
        behind = git.count(f"{git.head()}..{target.branch.commit}")
        git.fast_forward(target.branch.commit)
        kit.report.note(f"pulled {behind} {'commit' if behind == 1 else 'commits'}: {settings.repository.branch} is at {short(target.branch.commit)}")
        target = resolve_target(git, settings, version)
    dev = target.dev_tag
    if dev is None or tagged or dev.commit == git.head() or not on_trunk:
        return target
    if recreate:
        raise UsageError(
            f"{dev.name} is at {short(dev.commit)} and would be moved to {short(git.head())}",
            hint=f"delete it first: git push {git.remote} :{dev.ref}; then start again without --recreate-dev",
        )
    raise UsageError(
        f"{dev.name} exists already at {git.describe(dev.commit)}, but HEAD is {git.describe(git.head())}",
        hint=f"promote the tagged commit with --tagged, or choose a new version (or delete the tag: git push {git.remote} :{dev.ref})",
    )


def _headline(kit: Tools, version: Version, target: Target) -> str:
    settings, git = kit.settings, kit.git
    return f"promote {version} · {slug(settings, git)} · {describe_stable(kit, target.stable, target.commit)}"


def describe_stable(kit: Tools, stable: Tag | None, candidate: str) -> str:
    """`prod-stable is v1.7.4 (9c1d2e7, 3 days old, 27 commits behind)`."""
    name = kit.settings.tags.stable
    if stable is None:
        return f"{name} does not exist"
    (commit,) = kit.git.log(stable.commit, limit=1)
    age = kit.clock.now() - datetime.fromtimestamp(commit.when, UTC)
    behind = kit.git.count(f"{stable.commit}..{candidate}")
    old = f"{age.days} days old" if age.days else f"{age.seconds // 3600} h old"
    return f"{name} is {version_carried(kit, stable) or 'untagged'} ({short(stable.commit)}, {old}, {behind} commits behind)"


def version_carried(kit: Tools, tag: Tag) -> str:
    """The version whose prod tag is at this tag's commit, or ""."""
    settings = kit.settings
    prod = kit.git.refs(f"refs/tags/{settings.tags.prod.format(version='*')}").values()
    found = [version_of_tag(t.name, settings.tags.prod, settings.version.scheme) for t in prod if t.commit == tag.commit]
    newest = max((v for v in found if v), default=None)
    return newest.text if newest else ""


def ending(run: Run, end: End, result: Result) -> list[str]:
    """The last lines: what is true in production now, how that is known, and what to do."""
    lines = [_truth(run, end, result)]
    if end is End.STUCK:
        lines += _stuck(run)
    if result.hint and end is not End.VERIFIED:
        lines.append(f"do: {result.hint}")
    lines += [f"warning: {warning}" for warning in run.warnings]
    if junit := [s.junit for s in run.suites if s.junit]:
        lines.append("junit: " + " ".join(junit))
    lines.append(f"journal: {run.journal.path}")
    return lines


def _truth(run: Run, end: End, result: Result) -> str:
    version, stable = run.version, run.settings.tags.stable
    at = f"{run.tools.clock.now().astimezone():%H:%M:%S %Z}"
    counted = run.applications
    proven = sum(a.state == "proven" for a in counted)
    before = run.target.stable
    was = f"{version_carried(run.tools, before) or stable} ({short(before.commit)})" if before else "nothing"
    if end is End.VERIFIED:
        text = f"production runs {version} ({short(run.target.commit)}): proven for {proven} of {len(counted)} applications at {at}"
        excused = [a.name for a in counted if a.state == "excused"]
        return text + (f", not counted: {', '.join(excused)} (unhealthy before)" if excused else "") + f", record {run.record}"
    if end is End.ROLLED_BACK:
        bad = f" Bad for {(run.tools.clock.now() - run.bad_since).seconds} s." if run.bad_since else ""
        return f"{version} was rolled back: production runs {was} again, proven at {at}.{bad} Why: {run.cause}"
    if end in (End.REFUSED, End.UNCHECKED, End.INTERRUPTED):
        return f"nothing was moved: {stable} is still {was}. {result.reason}"
    if end is End.SUPERSEDED:
        return f"superseded: {result.reason}"
    return f"STUCK: {result.reason}" + (f" (rolling back because: {run.cause})" if run.cause else "")


def _stuck(run: Run) -> list[str]:
    names, stable = run.names, run.settings.tags.stable
    here = run.stable
    moved = {
        Moved.YES: "was moved by this promotion",
        Moved.NO: "was not moved",
        Moved.UNKNOWN: "may still be moved by a run that could not be fenced",
    }
    lines = [f"true now: {stable} {moved[run.moved]}" + (f", last seen at {short(here.commit)} ({names.stable})" if here else "")]
    lines += [f"not there: {a.name}: {a.reason}" for a in run.applications if a.state not in ("proven", "excused")]
    if run.lock:
        lines.append("the lock stays: see it with `promote status`; when production is right, delete it with "
                     f"git push --force-with-lease=refs/promote/lock:{run.lock.oid} {run.settings.repository.remote} :refs/promote/lock")  # fmt: skip
    return lines
