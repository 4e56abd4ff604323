"""`promote run VERSION`: the whole promotion."""

from __future__ import annotations

import argparse
import secrets as random
from datetime import UTC, datetime

from promote.checklist.policy import Policy, validate
from promote.checklist.waivers import given
from promote.cli.bootstrap import open_repository, tools, who
from promote.cli.prompt import bring_forward, choices_of, choose
from promote.cli.summary import describe_stable, document, ending
from promote.connect import secrets, slug
from promote.core.model import End
from promote.core.signals import held
from promote.core.version import Version, parse_version
from promote.promotion.context import Result, Run, Tools
from promote.promotion.finalize import close
from promote.promotion.journal import Journal
from promote.promotion.state_machine import attempt, walk
from promote.promotion.verify_current import end_of, prove_it_stands
from promote.report.screen import reporter
from promote.tags.heartbeat import BEAT_S, beating
from promote.tags.target import Target


def main(args: argparse.Namespace) -> int:
    settings, git = open_repository(args.folder)
    version = parse_version(args.wanted, settings.version.scheme)
    wanted = choices_of(args)
    pulled, trunk = bring_forward(settings, git)
    if pulled:  # with what came, the rules may have changed
        settings, git = open_repository(args.folder)
    typed = given(args.waive, who())
    validate(settings, typed)
    waivers = tuple(Policy.of(settings, typed).waived.values())  # as of now: midnight must not end one in the middle
    with reporter(json=args.json, secrets=secrets()) as report:
        kit = tools(settings, git, report)
        if settings.promotion.via == "workflow":
            kit.forge()  # without a token nothing begins
        target, choices = choose(kit, version, wanted, tagged=args.tagged)
        report.headline(_headline(kit, version, target))
        if pulled:
            report.note(f"pulled {pulled} {'commit' if pulled == 1 else 'commits'}: HEAD is {git.describe(git.head())}")
        request_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{random.token_hex(3)}"
        journal = Journal.open(git.git_dir, request_id, kit.redact)
        run = Run(
            tools=kit, target=target, version=version, request_id=request_id, choices=choices, waivers=waivers, trunk_seen=trunk, journal=journal
        )
        with held(drop=True):  # whatever comes between its steps and after them: what it ended as is said
            with beating(git.hurried(BEAT_S), lambda: run.lock, every_s=settings.lock.heartbeat):
                end, result = _promote(run)
            close(run, end, document(run, end, result))
            report.end(end, ending(run, end, result))
            if args.json:
                report.document(document(run, end, result))
    return end.exit_code


def _promote(run: Run) -> tuple[End, Result]:
    run.remember()
    if run.target.in_production:
        result = attempt(prove_it_stands, run)
        return end_of(result), result
    return walk(run)


def _headline(kit: Tools, version: Version, target: Target) -> str:
    settings, git = kit.settings, kit.git
    return f"promote {version} · {slug(settings, git)} · {describe_stable(kit, target.stable, target.commit)}"
