"""`promote resume`: finish a promotion that was cut short, roll it back, or let it go; always by looking at the world first."""

from __future__ import annotations

import argparse

from promote.cli.bootstrap import open_repository, tools
from promote.cli.drive import drive
from promote.config.reader import duration
from promote.connect import secrets
from promote.core.errors import PromoteError
from promote.core.signals import defer_signals
from promote.promotion.context import Dependencies, PromotionContext
from promote.promotion.describe import describe_stable
from promote.promotion.recovery.takeover import take_over_promotion
from promote.promotion.state_machine import State
from promote.report.screen import answer, reporter


def main(args: argparse.Namespace) -> int:
    """Both verbs: `resume`, and `abort`, which goes back instead of on."""
    settings, git = open_repository(args.folder)
    aborting = args.command == "abort"
    orphaned_s = duration(args.if_orphaned, "--if-orphaned") if not aborting and args.if_orphaned else None
    with reporter(json=args.json, secrets=secrets()) as report, defer_signals(drop=True):
        deps = tools(settings, git, report)
        ctx = take_over_promotion(deps, orphaned_s=orphaned_s)
        if ctx is None:
            free = "no promotion holds the lock" if orphaned_s is None else "no promotion was left by its owner"
            answer(f"nothing to do: {free}", document={"outcome": "nothing", "exit": 0} if args.json else None, secrets=secrets())
            return 0
        report.headline(f"{args.command} {ctx.version} · {ctx.request_id}{_where(deps, ctx)}")
        state = State.RESUMING if not aborting else State.LEAVING if args.keep else State.ABORTING
        return drive(ctx, state, json=args.json, lock_is_ours=True)


def _where(deps: Dependencies, ctx: PromotionContext) -> str:
    """Where the tag is, for the headline. The lock is ours by now, so an unreachable remote is reported at the end."""
    try:
        return f" · {describe_stable(deps, deps.git.ref(ctx.names.stable), ctx.target.commit)}"
    except PromoteError:
        return ""
