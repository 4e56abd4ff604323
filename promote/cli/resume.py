"""`promote resume`: finish a promotion that was cut short, roll it back, or let it go; always by looking at the world first."""

from __future__ import annotations

import argparse

from promote.cli.bootstrap import open_repository, tools
from promote.cli.summary import describe_stable, document, final_lines
from promote.config.reader import duration
from promote.connect import secrets
from promote.core.errors import PromoteError
from promote.core.model import End
from promote.core.signals import defer_signals
from promote.promotion.context import Dependencies, PromotionContext
from promote.promotion.finalize import finalize
from promote.promotion.recovery.resume import abort, resume
from promote.promotion.recovery.takeover import take_over_promotion
from promote.report.screen import answer, reporter
from promote.tags.heartbeat import BEAT_S, beating


def main(args: argparse.Namespace) -> int:
    """Both verbs: `resume`, and `abort`, which goes back instead of on."""
    settings, git = open_repository(args.folder)
    aborting = args.command == "abort"
    orphaned_s = duration(args.if_orphaned, "--if-orphaned") if not aborting and args.if_orphaned else None
    with reporter(json=args.json, secrets=secrets()) as report, defer_signals(drop=True):
        deps = tools(settings, git, report)
        ctx = take_over_promotion(deps, orphaned_s=orphaned_s)
        if ctx is None:
            nobody = "no promotion holds the lock" if orphaned_s is None else "no promotion was left by its owner"
            answer(f"nothing to do: {nobody}", document={"outcome": "nothing", "exit": 0} if args.json else None, secrets=secrets())
            return 0
        report.headline(f"{args.command} {ctx.version} · {ctx.request_id}{_where(deps, ctx)}")
        with beating(git.hurried(BEAT_S), lambda: ctx.lock, every_s=settings.lock.heartbeat, at_once=True):
            end, result = abort(ctx, keep=args.keep) if aborting else resume(ctx)
        # What was asked for and done is a success: an abort that went back or had nothing to take back, and an asked-for rollback.
        done = (end is End.ROLLED_BACK and (aborting or ctx.asked_rollback)) or (aborting and end is End.INTERRUPTED)
        code = 0 if done else end.exit_code
        finalize(ctx, end, document(ctx, end, result, code=code))
        report.end(end, final_lines(ctx, end, result), code=code)
        if args.json:
            report.document(document(ctx, end, result, code=code))
    return code


def _where(deps: Dependencies, ctx: PromotionContext) -> str:
    """Where the tag is, for the headline. The lock is ours by now, so a remote that is silent here is for the promotion's own end to tell."""
    try:
        return f" · {describe_stable(deps, deps.git.ref(ctx.names.stable), ctx.target.commit)}"
    except PromoteError:
        return ""
