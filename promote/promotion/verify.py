"""PROMOTED → VERIFIED: production shows the commit, the post and smoke suites pass, it stays so, and a last look still finds it so."""

from __future__ import annotations

from dataclasses import replace

from promote.convergence.wait import last_look
from promote.core.deadline import Deadline
from promote.core.model import Verdict
from promote.promotion.context import PromotionContext, StepResult, StepStatus
from promote.promotion.soak import Watch, ask_suites
from promote.promotion.steps import goal_of, judged, known_before, proofs, wait_for_convergence

LAST_LOOK_S = 30.0


def verify(ctx: PromotionContext) -> StepResult:
    """The transition. The first thing that is not well ends it; nothing is written to the remote."""
    begun = ctx.deps.clock.now()
    result = _verify(ctx)
    if result.status is StepStatus.FAILED:  # time in which nothing bad was seen does not count as bad
        ctx.bad_since = ctx.deps.clock.now() if ctx.proven_at else begun
    return result


def _verify(ctx: PromotionContext) -> StepResult:
    converged = wait_for_convergence(ctx, goal_of(ctx), rollback=False)
    if converged.paused and ctx.settings.running.on_paused == "hold":
        # A canary that pauses as designed is no fault of production: a person decides whether it goes on or back.
        ctx.hold = ctx.hold or 'a canary pauses between its steps, and running.on_paused = "hold"'
        hint = "let the canary go on (kubectl argo rollouts promote NAME), then `promote resume`; or roll back: `promote abort`"
        return StepResult(status=StepStatus.FAILED, reason=f"{ctx.hold}: {converged.reason}", hint=hint)
    if converged.verdict is not Verdict.PASSED:
        return StepResult(status=StepStatus.of(converged.verdict), reason=converged.reason, hint="")
    for _, result in proofs(ctx, "after"):
        if result.verdict is not Verdict.PASSED:
            return judged(result, ctx.settings)
    return _soak_and_last_look(ctx)


def _soak_and_last_look(ctx: PromotionContext) -> StepResult:
    """Everything stays as proven for the soak, looked at throughout, and is so once more at the end, with fresh evidence."""
    soak, watch, asked = Deadline(ctx.settings.post.soak, ctx.deps.clock), Watch(run=ctx), not ctx.settings.post.soak
    if soak.seconds:
        ctx.deps.report.step_started("soak")
    while True:
        over = soak.expired
        found = _look(ctx) or watch.look()
        if over and not asked and not found:
            asked, found = True, ask_suites(ctx)
            if not found:
                continue  # that took a while: the last look is a look at everything after it
        if not found and ctx.ends.expired:
            found = StepResult(status=StepStatus.ERRORED, reason="it did not come to its end in time")
        if found:
            ctx.step("last look", found.status.verdict, soak.elapsed, found.reason)
            return replace(found, reason=f"at the last look: {found.reason}")
        if over and not watch.blind:
            ctx.step("last look", Verdict.PASSED, soak.elapsed, "still holds" + (f" after a soak of {soak.seconds:.0f} s" if soak.seconds else ""))
            return StepResult(status=StepStatus.PASSED)
        (Deadline(ctx.settings.argocd.poll_interval, ctx.deps.clock) if over else soak).sleep(ctx.settings.argocd.poll_interval)


def _look(ctx: PromotionContext) -> StepResult | None:
    """The applications, from new evidence; None when they are all still there."""
    goal, patience = goal_of(ctx), ctx.deadline(ctx.settings.promotion.patience)
    while True:
        look = last_look(
            ctx.deps.production(),
            goal,
            baseline=known_before(ctx, goal),
            t_before=ctx.t_before,
            settings=ctx.settings,
            deadline=Deadline(max(LAST_LOOK_S, ctx.settings.argocd.degraded_grace), ctx.deps.clock),
            guard=ctx.still_ours,
            effect=ctx.journal.effect,
        )
        if look.verdict is not Verdict.ERRORED or patience.expired:
            break
    ctx.applications, ctx.proven_at = look.applications or ctx.applications, look.proven_at or ctx.proven_at
    return None if look.verdict is Verdict.PASSED else StepResult(status=StepStatus.of(look.verdict), reason=look.reason)
