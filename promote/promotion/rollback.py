"""ROLLING_BACK → ROLLED_BACK: put the stable tag back to the recorded object, and prove production is as it was. "Moved back" alone is not that."""

from __future__ import annotations

from promote.core.deadline import Deadline
from promote.core.errors import Denied, Forbidden, PromoteError, Rejected, Unreachable
from promote.core.model import SuiteResult, Tag, Verdict, short
from promote.core.signals import defer_signals
from promote.promotion.context import Moved, PromotionContext, StepResult, StepStatus
from promote.promotion.forge.rollback_by_workflow import by_workflow, has_second_way, still_away
from promote.promotion.steps import failing, goal_of, proofs, wait_for_convergence
from promote.promotion.verify_current import present_evidence
from promote.tags.publish import move_back
from promote.tags.records import last_entry

RESUME = "correct what is named, then prove it with `promote resume` (or give the lock up: `promote abort`)"
PUSH_FOR_S = 120.0  # how long a push back is tried against an unreachable remote: production is broken meanwhile


def roll_back(ctx: PromotionContext) -> StepResult:
    """The transition. FAILED and ERRORED both mean that a person must look: the flow ends STUCK."""
    before = ctx.target.back
    if before is None:
        return StepResult(
            status=StepStatus.FAILED,
            reason=f"there is no earlier {ctx.settings.tags.stable} to go back to (first promotion): the tag stays where it is",
            hint="give up the lock with `promote abort`, then fix forward with a new version",
        )
    if ctx.stable is None or ctx.stable.object != before.object:  # resumed: it may be back already
        _push_back(ctx, before)
    elif ctx.taken_up and _is_fine_now(ctx, before):
        return StepResult(status=StepStatus.PASSED)
    converged = wait_for_convergence(ctx, goal_of(ctx), rollback=True)
    if converged.verdict is not Verdict.PASSED:
        return StepResult(status=StepStatus.of(converged.verdict), reason=converged.reason, hint=RESUME)
    _name_recreated(ctx)
    for name, result in proofs(ctx, "back"):
        if (verdict := _proven_back(ctx, name, result)) is not Verdict.PASSED:
            return StepResult(status=StepStatus.of(verdict), reason=f"after the tag was moved back: {failing(result)}", hint=RESUME)
    ctx.still_ours()
    return StepResult(status=StepStatus.PASSED)


def _is_fine_now(ctx: PromotionContext, before: Tag) -> bool:
    """Whether production is fine by the evidence that `promote status` accepts. A rollback whose tag is back already was resumed: the attempt
    that failed must not keep the lock for ever, so the suites' trouble is reported, and the applications decide."""
    try:
        seen = present_evidence(ctx.deps, before, last_entry(ctx.deps.git))
    except PromoteError:
        return False  # then it is waited for, as in any rollback
    if seen.verdict is not Verdict.PASSED:
        return False
    ctx.applications, ctx.proven_at = seen.applications, seen.proven_at
    ctx.step("converge", seen.verdict, seen.seconds, seen.reason)
    for name, result in proofs(ctx, "back", patient=False):
        if _proven_back(ctx, name, result) is not Verdict.PASSED:
            ctx.warnings.append(f"production runs what the tag holds, as `promote status` reports; still to be looked at: {failing(result)}")
    ctx.still_ours()
    return True


def _push_back(ctx: PromotionContext, before: Tag) -> None:
    lock, replacing = ctx.lock, ctx.stable
    assert lock is not None and replacing is not None
    ctx.deps.report.step_started("rollback")
    deadline = Deadline(PUSH_FOR_S, ctx.deps.clock)
    ctx.t_before = ctx.deps.clock.now()
    how = "lease held"
    ctx.update(moved=Moved.UNKNOWN)  # from here on it may be back: until that is known, neither is reported, whatever escapes
    try:
        with defer_signals():
            moved = ctx.journal.effect(
                "move the stable tag back",
                {"to": before.object, "replacing": replacing.object},
                lambda: move_back(
                    ctx.deps.git,
                    ctx.settings,
                    lock,
                    to=before.object,
                    replacing=replacing.object,
                    keep_undo=not ctx.undo_moves,
                    patience=deadline,
                    retake=True,
                ),
                best_effort_journal=True,
            )
            ctx.update(lock=moved, moved=Moved.YES, stable=before)  # within: a stop request that came meanwhile counts at the end of this block
    except (Forbidden, Denied) as refusal:
        ctx.update(moved=Moved.YES)  # refused: it is where this promotion put it
        if not has_second_way(ctx):
            raise
        how = by_workflow(ctx, before, refusal)
    except (Unreachable, Rejected) as unclear:
        ctx.workflow_run = None  # the one that moved it forward is over: there is nothing to cancel
        if problem := still_away(ctx, unclear, asked=f"{ctx.settings.tags.stable} was to be put back"):
            raise PromoteError(f"{problem}: {unclear.what}", hint=RESUME) from unclear
        how = "although the push got no answer" if isinstance(unclear, Unreachable) else f"although: {unclear.what}"
    ctx.step("rollback", Verdict.PASSED, deadline.elapsed, f"{ctx.settings.tags.stable} → {short(before.commit)}, {how}")


def _name_recreated(ctx: PromotionContext) -> None:
    """Applications that the bad version had removed exist again, but as new ones: what they kept in volumes is reported as lost."""
    if ctx.baseline is None:
        return
    try:
        manifests = ctx.deps.production().manifests()
    except Unreachable as error:  # it only serves the report
        ctx.warnings.append(f"whether applications had been removed and created again is not known: {error.what}")
        return
    now = {(m["metadata"]["namespace"], m["metadata"]["name"]): m["metadata"].get("uid") for m in manifests}
    for manifest in ctx.baseline.manifests:
        meta = manifest["metadata"]
        uid = now.get((meta["namespace"], meta["name"]))
        if uid is None or uid == meta.get("uid"):
            continue
        resources = manifest.get("status", {}).get("resources") or []
        claims = [f"{r.get('namespace', '')}/{r['name']}" for r in resources if r.get("kind") == "PersistentVolumeClaim"]
        lost = f"; these volume claims are new, their data is not there unless you restore it: {', '.join(claims)}" if claims else ""
        ctx.warnings.append(f"{meta['name']} had been removed and was created again{lost}")


def _proven_back(ctx: PromotionContext, name: str, result: SuiteResult) -> Verdict:
    """Post must pass; of smoke, the checks that passed before the promotion: a check that failed then is not this rollback's to fix."""
    if name != "smoke" or result.verdict is Verdict.PASSED or ctx.smoke_before is None:
        return result.verdict
    owed = {check.id: check.verdict for check in result.checks if check.id in ctx.smoke_before}
    if len(owed) < len(ctx.smoke_before):
        return Verdict.ERRORED  # one that passed before did not report
    if not_owed := [check.id for check in result.failed if check.id not in ctx.smoke_before]:
        ctx.deps.report.note(f"did not pass before the promotion either: {', '.join(not_owed)} (ignored)")
    return Verdict.worst(owed.values()) if owed else Verdict.PASSED
