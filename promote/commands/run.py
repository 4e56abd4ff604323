"""`promote run VERSION`: the whole promotion."""

from __future__ import annotations

import argparse
import secrets as random
from dataclasses import replace
from datetime import UTC, datetime

from promote.checklist.policy import validate
from promote.closing import close
from promote.commands.story import describe_stable, document, ending
from promote.commands.wiring import open_repository, tools, who
from promote.connect import secrets, slug
from promote.errors import UsageError
from promote.flow import walk
from promote.journal import Journal
from promote.report.screen import reporter
from promote.run import Run, Tools
from promote.signals import held
from promote.target import Target, resolve_target
from promote.versions import Version, parse_version
from promote.waivers import given


def main(args: argparse.Namespace) -> int:
    settings, git = open_repository(args.folder)
    version = parse_version(args.wanted, settings.version.scheme)
    waivers = given(args.waive, who())
    validate(settings, waivers)
    with reporter(json=args.json, secrets=secrets()) as report:
        kit = tools(settings, git, report)
        target = choose_target(kit, version, tagged=args.tagged)
        report.headline(_headline(kit, version, target))
        if target.pulled:
            report.note(f"pulled {target.pulled} {'commit' if target.pulled == 1 else 'commits'}: HEAD is {git.describe(target.commit)}")
        request_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{random.token_hex(3)}"
        run = Run(tools=kit, target=target, version=version, request_id=request_id, journal=Journal.open(git.git_dir, request_id))
        run.waivers = waivers
        end, result = walk(run)
        with held(drop=True):
            close(run, end, document(run, end, result))
            report.end(end, ending(run, end, result))
            if args.json:
                report.document(document(run, end, result))
    return end.exit_code


def choose_target(kit: Tools, version: Version, *, tagged: bool = False) -> Target:
    """Settle which commit is meant: pull first when the clone is simply behind, then HEAD or the commit of the existing dev tag."""
    git, settings = kit.git, kit.settings
    target = resolve_target(git, settings, version)
    on_trunk = git.branch() == settings.repository.branch
    if on_trunk and not git.dirty() and git.head() != target.branch.commit and git.is_ancestor(git.head(), target.branch.commit):
        behind = git.count(f"{git.head()}..{target.branch.commit}")
        git.fast_forward(target.branch.commit)
        target = replace(resolve_target(git, settings, version), pulled=behind)
    dev = target.dev_tag
    if dev is None or tagged or dev.commit == git.head() or not on_trunk:
        return target
    raise UsageError(
        f"{dev.name} exists already at {git.describe(dev.commit)}, but HEAD is {git.describe(git.head())}",
        hint=f"promote the tagged commit with --tagged, or choose a new version (or delete the tag: git push {git.remote} :{dev.ref})",
    )


def _headline(kit: Tools, version: Version, target: Target) -> str:
    settings, git = kit.settings, kit.git
    return f"promote {version} · {slug(settings, git)} · {describe_stable(kit, target.stable, target.commit)}"
