"""What more than one transition does: run a suite as a step, wait for production as a step. Decides nothing."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from promote.argocd.application import Application
from promote.checklist.context import SuiteContext
from promote.convergence.application_status import Goal
from promote.convergence.baseline import Baseline
from promote.convergence.wait import THERE, ConvergenceResult, converge
from promote.core.deadline import Deadline
from promote.core.errors import PromoteError
from promote.core.model import SuiteResult, Tag, Verdict
from promote.kube.workloads import log_tail, pods, warnings
from promote.promotion.context import Run


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
        choices=run.choices,
        trunk=run.trunk_seen or target.branch.commit,
        whole=run.whole,
        waivers=run.waivers,
    )


def _pair(tag: Tag | None) -> dict[str, str] | None:
    return {"object": tag.object, "commit": tag.commit} if tag else None


def suite(run: Run, name: str, state: str, deadline: Deadline, *, quiet: bool = False, stop: threading.Event | None = None) -> SuiteResult:
    """Run one suite as a child and remember what it said. `quiet`: looked at for the baseline only, judged by nobody yet."""
    folder = run.settings.root / getattr(run.settings.suites, name)
    label = name if state == "after" or name == "pre" else f"{name}-{state}"
    result = run.tools.run_suite(
        name,
        folder,
        context=context(run, state),
        settings=run.settings,
        reports=run.reports / label,
        deadline=deadline,
        on_check=(lambda _check: None) if quiet else run.tools.report.check,
        stop=stop,
    )
    run.journal.write("note", f"suite {label}", verdict=result.verdict, reason=result.reason, junit=result.junit)
    if not quiet:
        take(run, result)
    return result


def goal_of(run: Run) -> Goal:
    """What the stable tag stands for now: its commit and every id an Argo CD may show for it."""
    assert run.stable is not None
    if not run.tools.git.has(run.stable.object):
        run.tools.git.fetch(run.stable.ref)
    return Goal.for_tag(run.tools.git.chain(run.stable.object), run.settings, run.tools.git.url)


def keep_baseline(run: Run, baseline: Baseline, *, smoke_passed: frozenset[str] | None) -> None:
    """Remember production as it is, in a file that the suites (and a resumed promotion) read. `smoke_passed`: the checks of that suite that passed,
    None when it was not asked."""
    run.smoke_before = smoke_passed
    run.baseline = baseline
    run.reports.mkdir(parents=True, exist_ok=True)
    run.baseline_file = run.reports / "baseline.json"
    run.baseline_file.write_text(baseline.to_json())
    passed = sorted(smoke_passed) if smoke_passed is not None else None
    run.journal.write("note", "baseline", file=str(run.baseline_file), smoke_passed=passed)


def known_before(run: Run, goal: Goal) -> Mapping[str, Application]:
    """Production's applications before the move. None in a first promotion, where what they looked like without a tag excuses nothing, and
    none when a resumed promotion finds its baseline no more."""
    return {} if run.baseline is None or run.choices.first else run.baseline.applications(goal)


def settle_cluster(run: Run, goal: Goal, *, rollback: bool) -> ConvergenceResult:
    """Wait until production is at the goal, showing who is not there yet and why."""
    report = run.tools.report
    report.step_started("converge")
    deadline = run.deadline(run.settings.argocd.converge_timeout)
    result = converge(
        run.tools.production(),
        goal,
        baseline=known_before(run, goal),
        t_before=run.t_before,
        settings=run.settings,
        deadline=deadline,
        on_progress=report.applications,
        guard=run.still_ours,
        effect=run.journal.effect,
        rollback=rollback,
        whole=run.whole,
    )
    run.applications, run.proven_at = result.applications, result.proven_at
    run.journal.write("note", "converge", verdict=result.verdict, reason=result.reason, rollback=rollback)
    run.step("converge", result.verdict, deadline.elapsed, result.reason)
    if result.verdict is not Verdict.PASSED:
        _show_trouble(run, result)
    return result


def _show_trouble(run: Run, result: ConvergenceResult) -> None:
    """Pods in trouble and recent warnings in the namespaces of the applications that are not there: what a person would look at next."""
    late = {a.name for a in result.applications if a.state not in THERE}
    kube, assumed = run.tools.production().kube, run.t_before or run.tools.clock.now()
    try:
        unwell = [a for a in run.tools.production().applications() if a.name in late]
        for command in (c for a in unwell if (c := _look_at_hook(a))):
            run.tools.report.note(f"look: {command}")
        namespaces = {a.destination_namespace for a in unwell}
        for pod in pods(kube):
            if pod.namespace in namespaces and pod.trouble:
                run.tools.report.note(f"pod {pod.key}: {pod.trouble}, {pod.restarts} restarts")
                for line in log_tail(kube, pod, lines=3):
                    run.tools.report.note(f"  | {line}")
        for event in [e for e in warnings(kube, since=assumed) if e.namespace in namespaces][:5]:
            run.tools.report.note(f"event {event.namespace}/{event.about}: {event.reason}: {event.message}")
    except PromoteError as error:
        run.tools.report.note(f"(pods and events could not be read: {error.what})")


def _look_at_hook(app: Application) -> str:
    """The command that shows what a hook waits for, when that is what its sync says it does."""
    said = app.operation.message if app.operation else ""
    found = re.search(r"waiting for completion of hook (?:[^\s/]*/)?(\w+)/([\w.-]+)", said)
    return f"kubectl -n {app.destination_namespace} describe {found[1].lower()} {found[2]}" if found else ""


def proofs(run: Run, state: str) -> Iterator[tuple[str, SuiteResult]]:
    """The post and the smoke suite, run side by side (both only read) and told one after the other: (suite, what it said).

    Smoke is stopped when nobody asks for it any more, because post did not pass or a person wants to stop.
    """
    deadline, stop = run.deadline(run.settings.suites.timeout), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        smoke = pool.submit(suite, run, "smoke", state, deadline, quiet=True, stop=stop)
        try:
            run.tools.report.step_started("after")
            post = suite(run, "post", state, deadline)
            run.step("after", post.verdict, post.seconds, post.reason)
            yield "post", post
            run.tools.report.step_started("smoke")
            result = smoke.result()
            for check in result.checks:
                run.tools.report.check(check)
            take(run, result)
            run.step("smoke", result.verdict, result.seconds, result.reason)
            yield "smoke", result
        finally:
            stop.set()


def take(run: Run, result: SuiteResult) -> None:
    """Let a suite count: its checks go into the report and the record."""
    run.suites.append(result)
    run.checks.extend(result.checks)


def failing(result: SuiteResult) -> str:
    """One sentence: which checks of which suite."""
    names = ", ".join(check.id for check in result.failed[:4])
    return f"{result.suite} suite {result.verdict.value}: {names or result.reason}"
