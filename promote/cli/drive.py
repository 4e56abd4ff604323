"""From a prepared promotion to its exit code: run the state machine, write what lasts, print the last lines and the document."""

from __future__ import annotations

from collections.abc import Callable

from promote.cli.summary import document, final_lines
from promote.core.signals import defer_signals
from promote.promotion.context import PromotionContext
from promote.promotion.finalize import finalize
from promote.promotion.state_machine import State, exit_code, run_promotion
from promote.tags.heartbeat import BEAT_S, beating


def drive(
    ctx: PromotionContext, state: State, *, json: bool, begin: Callable[[PromotionContext], None] | None = None, lock_is_ours: bool = False
) -> int:
    """Run a promotion from this state to its end, with heartbeats while it holds the lock. Returns the exit code.

    `begin` is done first, and what it raises means that nothing was begun. `lock_is_ours`: it was taken over, and still carries the time of its
    former owner, so the first heartbeat cannot wait.
    """
    # A stop request is answered by a step; one that comes between two steps or after the last is dropped here, so that the end is always reported.
    with defer_signals(drop=True):
        with beating(ctx.deps.git.with_timeout(BEAT_S), lambda: ctx.lock, every_s=ctx.settings.lock.heartbeat, at_once=lock_is_ours):
            if begin:
                begin(ctx)
            end, result = run_promotion(ctx, state)
        code = exit_code(ctx, state, end)
        finalize(ctx, end, document(ctx, end, result, code=code))
        ctx.deps.report.end(end, final_lines(ctx, end, result), code=code)
        if json:
            ctx.deps.report.document(document(ctx, end, result, code=code))
    return code
