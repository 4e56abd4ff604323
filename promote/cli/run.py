"""`promote run VERSION`: the whole promotion."""

from __future__ import annotations

import argparse
import secrets as random
from datetime import UTC, datetime

from promote.checklist.policy import Policy, validate
from promote.checklist.waivers import given
from promote.cli.bootstrap import open_repository, tools, who
from promote.cli.prompt import bring_forward, choices_of, choose
from promote.cli.summary import describe_stable, document, final_lines
from promote.connect import secrets, slug
from promote.core.model import End
from promote.core.signals import defer_signals
from promote.core.version import Version, parse_version
from promote.promotion.context import Dependencies, PromotionContext, StepResult
from promote.promotion.finalize import finalize
from promote.promotion.journal import Journal
from promote.promotion.state_machine import run_promotion, run_transition
from promote.promotion.verify_current import end_of, verify_current
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
        deps = tools(settings, git, report)
        if settings.promotion.via == "workflow":
            deps.forge()  # without a token nothing begins
        target, choices = choose(deps, version, wanted, tagged=args.tagged)
        report.headline(_headline(deps, version, target))
        if pulled:
            report.note(f"pulled {pulled} {'commit' if pulled == 1 else 'commits'}: HEAD is {git.describe(git.head())}")
        request_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{random.token_hex(3)}"
        journal = Journal.open(git.git_dir, request_id, deps.redact)
        ctx = PromotionContext(
            deps=deps, target=target, version=version, request_id=request_id, choices=choices, waivers=waivers, trunk_seen=trunk, journal=journal
        )
        with defer_signals(drop=True):  # whatever comes between its steps and after them: what it ended as is said
            with beating(git.hurried(BEAT_S), lambda: ctx.lock, every_s=settings.lock.heartbeat):
                end, result = _promote(ctx)
            finalize(ctx, end, document(ctx, end, result))
            report.end(end, final_lines(ctx, end, result))
            if args.json:
                report.document(document(ctx, end, result))
    return end.exit_code


def _promote(ctx: PromotionContext) -> tuple[End, StepResult]:
    ctx.remember()
    if ctx.target.in_production:
        result = run_transition(verify_current, ctx)
        return end_of(result), result
    return run_promotion(ctx)


def _headline(deps: Dependencies, version: Version, target: Target) -> str:
    settings, git = deps.settings, deps.git
    return f"promote {version} · {slug(settings, git)} · {describe_stable(deps, target.stable, target.commit)}"
