"""What more than one transition does: run a suite as a step, wait for production as a step. Decides nothing."""

from __future__ import annotations

import threading

from promote.arrival import Goal
from promote.checklist.context import SuiteContext
from promote.converge import ConvergenceResult, converge
from promote.deadline import Deadline
from promote.model import SuiteResult, Tag
from promote.run import Run
from promote.suite import run_suite


def context(run: Run, state: str) -> SuiteContext:
    """What a suite of this run is told: the target, what the stable tag must hold, our lock, the baseline."""
    target, stable = run.target, run.stable
    return SuiteContext(
        version=run.version.text,
        commit=target.commit,
        from_tree=target.from_tree,
        dev_tag=target.dev_tag.object if target.dev_tag else None,
        previous=_pair(target.stable),
        stable=_pair(stable),
        request_id=run.request_id,
        lock=run.lock.oid if run.lock else "",
        state=state,
        baseline_file=str(run.baseline_file) if run.baseline_file else None,
        t_before=run.t_before.isoformat() if run.t_before else None,
    )


def _pair(tag: Tag | None) -> dict[str, str] | None:
    return {"object": tag.object, "commit": tag.commit} if tag else None


def suite(run: Run, name: str, state: str, deadline: Deadline, *, quiet: bool = False, stop: threading.Event | None = None) -> SuiteResult:
    """Run one suite as a child and remember what it said. `quiet`: looked at for the baseline only, judged by nobody yet."""
    folder = run.settings.root / getattr(run.settings.suites, name)
    label = name if state == "after" or name == "pre" else f"{name}-{state}"
    result = run_suite(
        name,
        folder,
        context=context(run, state),
        settings=run.settings,
        reports=run.reports / label,
        deadline=deadline,
        on_row=(lambda _row: None) if quiet else run.tools.report.row,
        stop=stop,
    )
    run.journal.write("note", f"suite {label}", verdict=result.verdict, reason=result.reason, junit=result.junit)
    if not quiet:
        run.suites.append(result)
        run.rows.extend(result.rows)
    return result


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
