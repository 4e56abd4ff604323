"""`promote run VERSION`: the whole promotion."""

from __future__ import annotations

import argparse
import secrets as random
from datetime import UTC, datetime

from promote.checklist.policy import Policy, validate
from promote.checklist.waivers import given
from promote.cli.bootstrap import open_repository, terminal_question, tools, who
from promote.cli.drive import drive
from promote.config.schema import Settings
from promote.connect import secrets, slug
from promote.core.errors import UsageError
from promote.core.model import Choices
from promote.core.version import Version, parse_version
from promote.promotion.choose_candidate import bring_forward, choose
from promote.promotion.context import Dependencies, PromotionContext
from promote.promotion.describe import describe_stable
from promote.promotion.journal import Journal
from promote.promotion.state_machine import State
from promote.report.screen import reporter
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
            _evidence_reaches_the_workflow(settings)
            deps.forge()  # without a token nothing begins
        target, choices = choose(deps, version, wanted, tagged=args.tagged, ask=terminal_question)
        report.headline(_headline(deps, version, target))
        if pulled:
            report.note(f"pulled {pulled} {'commit' if pulled == 1 else 'commits'}: HEAD is {git.describe(git.head())}")
        request_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{random.token_hex(3)}"
        journal = Journal.open(git.git_dir, request_id, deps.redact)
        ctx = PromotionContext(
            deps=deps, target=target, version=version, request_id=request_id, choices=choices, waivers=waivers, trunk_seen=trunk, journal=journal
        )
        state = State.CURRENT if target.in_production else State.START
        return drive(ctx, state, json=args.json, begin=PromotionContext.remember)


def _evidence_reaches_the_workflow(settings: Settings) -> None:
    """Raises UsageError where the workflow would refuse the move after all checks: it cannot know that they ran."""
    if not settings.promotion.allow_unchecked and not settings.workflow.legacy:
        raise UsageError(
            'promotion.allow_unchecked is false, and a workflow (promotion.via = "workflow") has no evidence that the pre suite passed here',
            hint='promotion.via = "git", where the process that ran the pre suite moves the tag; or allow_unchecked = true (docs/security.md)',
        )


def choices_of(args: argparse.Namespace) -> Choices:
    """The flags of `promote run`. Raises UsageError for a pair that contradicts itself."""
    if args.tagged and args.recreate_dev:
        raise UsageError("--tagged and --recreate-dev contradict each other", hint="promote the tagged commit, or put the tag on HEAD: choose one")
    fallback = args.first_fallback or ""
    return Choices(
        recreate_dev=args.recreate_dev,
        recreate_prod=args.recreate_prod,
        first=args.first or bool(fallback),
        fallback=fallback,
        downgrade=args.downgrade,
        again=args.again,
    )


def _headline(deps: Dependencies, version: Version, target: Target) -> str:
    settings, git = deps.settings, deps.git
    return f"promote {version} · {slug(settings, git)} · {describe_stable(deps, target.stable, target.commit)}"
