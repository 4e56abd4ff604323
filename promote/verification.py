"""PROMOTED → VERIFIED: production shows the commit, the post and smoke suites pass, it stays so, and a last look still finds it so."""

from __future__ import annotations

from promote.converge import ConvergenceResult, converge
from promote.convergence import Goal
from promote.deadline import Deadline
from promote.model import SuiteResult, Verdict
from promote.precheck import suite
from promote.run import Result, Run, Said

LAST_LOOK_S = 30.0


def verify(run: Run) -> Result:
    """The transition. The first thing that is not well ends it; nothing is written to the remote."""
    run.bad_since = run.tools.clock.now()
    converged = settle_cluster(run, goal_of(run), rollback=False)
    if converged.verdict is not Verdict.PASSED:
        return Result(said=Said(converged.verdict.value), reason=converged.reason, hint="")
    for label, name in (("after", "post"), ("smoke", "smoke")):
        result = judged(run, label, name, "after")
        if result.verdict is not Verdict.PASSED:
            return Result(said=Said(result.verdict.value), reason=failing(result))
    return _soak_and_last_look(run)


def goal_of(run: Run) -> Goal:
    """What the stable tag stands for now: its commit and every id an Argo CD may show for it."""
    assert run.stable is not None
    if not run.tools.git.has(run.stable.object):
        run.tools.git.fetch(run.stable.ref)
    return Goal.for_tag(run.tools.git.chain(run.stable.object), run.settings, run.tools.git.url)


def settle_cluster(run: Run, goal: Goal, *, rollback: bool) -> ConvergenceResult:
    """Wait until production is at the goal, showing who is not there yet and why."""
    assert run.baseline is not None and run.t_before is not None
    report = run.tools.report
    report.step_started("converge")
    deadline = Deadline(run.settings.argocd.converge_timeout, run.tools.clock)
    result = converge(
        run.tools.production(),
        goal,
        baseline=run.baseline.applications(goal),
        t_before=run.t_before,
        settings=run.settings,
        deadline=deadline,
        on_progress=report.applications,
        guard=run.still_ours,
        rollback=rollback,
    )
    run.applications = result.applications
    run.journal.write("note", "converge", verdict=result.verdict, reason=result.reason, rollback=rollback)
    run.step("converge", result.verdict, deadline.elapsed, result.reason)
    return result


def judged(run: Run, label: str, name: str, state: str) -> SuiteResult:
    """Run a suite as a step of its own."""
    run.tools.report.step_started(label)
    deadline = Deadline(run.settings.suites.timeout, run.tools.clock)
    result = suite(run, name, state, deadline)
    run.step(label, result.verdict, result.seconds, result.reason)
    return result


def failing(result: SuiteResult) -> str:
    """One sentence: which rows of which suite."""
    names = ", ".join(row.id for row in result.failed[:4])
    return f"{result.suite} suite {result.verdict.value}: {names or result.reason}"


def _soak_and_last_look(run: Run) -> Result:
    """Everything stays as proven for the soak, looked at throughout, and is so once more at the end, with fresh evidence."""
    assert run.baseline is not None
    soak = Deadline(run.settings.post.soak, run.tools.clock)
    goal = goal_of(run)
    while True:
        look = converge(
            run.tools.production(),
            goal,
            baseline=run.baseline.applications(goal),
            t_before=run.t_before,
            settings=run.settings,
            deadline=Deadline(max(LAST_LOOK_S, run.settings.argocd.degraded_grace), run.tools.clock),
            guard=run.still_ours,
        )
        run.applications = look.applications or run.applications
        if look.verdict is not Verdict.PASSED:
            run.step("last look", look.verdict, soak.elapsed, look.reason)
            return Result(said=Said(look.verdict.value), reason=f"at the last look: {look.reason}")
        if soak.expired:
            run.step("last look", Verdict.PASSED, soak.elapsed, "still so" + (f" after a soak of {soak.seconds:.0f} s" if soak.seconds else ""))
            return Result(said=Said.PASSED)
        soak.sleep(run.settings.argocd.look_every)
