"""PROMOTED → VERIFIED: production shows the commit, the post and smoke suites pass, it stays so, and a last look still finds it so."""

from __future__ import annotations

from promote.convergence.wait import last_look
from promote.core.deadline import Deadline
from promote.core.model import Verdict
from promote.promotion.context import Result, Run, Said
from promote.promotion.soak import Watch, ask_again
from promote.promotion.steps import failing, goal_of, known_before, proofs, settle_cluster

LAST_LOOK_S = 30.0


def verify(run: Run) -> Result:
    """The transition. The first thing that is not well ends it; nothing is written to the remote."""
    run.bad_since = run.tools.clock.now()
    converged = settle_cluster(run, goal_of(run), rollback=False)
    if converged.verdict is not Verdict.PASSED:
        return Result(said=Said(converged.verdict.value), reason=converged.reason, hint="")
    for _, result in proofs(run, "after"):
        if result.verdict is not Verdict.PASSED:
            return Result(said=Said(result.verdict.value), reason=failing(result))
    return _soak_and_last_look(run)


def _soak_and_last_look(run: Run) -> Result:
    """Everything stays as proven for the soak, looked at throughout, and is so once more at the end, with fresh evidence."""
    soak, watch, asked = Deadline(run.settings.post.soak, run.tools.clock), Watch(run=run), not run.settings.post.soak
    if soak.seconds:
        run.tools.report.step_started("soak")
    while True:
        over = soak.expired
        found = _look(run) or watch.look()
        if over and not asked and not found:
            asked, found = True, ask_again(run)
            if not found:
                continue  # that took a while: the last look is a look at everything after it
        if not found and run.ends.expired:
            found = Result(said=Said.ERRORED, reason="it did not come to its end in time")
        if found:
            run.step("last look", Verdict(found.said.value), soak.elapsed, found.reason)
            return Result(said=found.said, reason=f"at the last look: {found.reason}", hint=found.hint)
        if over and not watch.blind:
            run.step("last look", Verdict.PASSED, soak.elapsed, "still so" + (f" after a soak of {soak.seconds:.0f} s" if soak.seconds else ""))
            return Result(said=Said.PASSED)
        (Deadline(run.settings.argocd.look_every, run.tools.clock) if over else soak).sleep(run.settings.argocd.look_every)


def _look(run: Run) -> Result | None:
    """The applications, from new evidence; None when they are all still there."""
    goal = goal_of(run)
    look = last_look(
        run.tools.production(),
        goal,
        baseline=known_before(run, goal),
        t_before=run.t_before,
        settings=run.settings,
        deadline=Deadline(max(LAST_LOOK_S, run.settings.argocd.degraded_grace), run.tools.clock),
        guard=run.still_ours,
        effect=run.journal.effect,
    )
    run.applications, run.proven_at = look.applications or run.applications, look.proven_at or run.proven_at
    return None if look.verdict is Verdict.PASSED else Result(said=Said(look.verdict.value), reason=look.reason)
