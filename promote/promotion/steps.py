"""What more than one transition does: run a suite as a step, wait for production as a step. Decides nothing."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from promote.argocd.application import Application
from promote.checklist.context import SuiteContext
from promote.checklist.registry import on_undetermined
from promote.config.schema import Settings
from promote.convergence.application_status import Goal
from promote.convergence.baseline import Baseline
from promote.convergence.membership import known_goal
from promote.convergence.running import ADVICE
from promote.convergence.wait import CONVERGED, ConvergenceResult, converge
from promote.core.deadline import Deadline
from promote.core.errors import PromoteError
from promote.core.model import SuiteResult, Tag, Verdict
from promote.core.private import private_folder, write_private
from promote.git.addresses import our_addresses
from promote.kube.client import Kube
from promote.kube.workloads import log_tail, pods, warnings
from promote.promotion.context import Moved, PromotionContext, StepResult, StepStatus
from promote.report.words import listed

AGAIN_S = 10.0  # between two tries of an undetermined suite
HELD = "nothing that was seen is bad: see why it is undetermined, then `promote resume` proves it again (or go back: `promote abort`)"


def context(ctx: PromotionContext, state: str) -> SuiteContext:
    """What a suite of this run receives: the target, what the stable tag must hold, our lock, the baseline."""
    target, stable = ctx.target, ctx.stable
    return SuiteContext(
        version=ctx.version.text,
        commit=target.commit,
        from_tree=target.from_tree,
        dev_tag=target.dev_tag.object if target.dev_tag else None,
        previous=_pair(target.stable),
        stable=_pair(stable),
        request_id=ctx.request_id,
        lock=ctx.lock.oid if ctx.lock else "",
        state=state,
        baseline_file=str(ctx.baseline_file) if ctx.baseline_file else None,
        t_before=ctx.t_before.isoformat() if ctx.t_before else None,
        choices=ctx.choices,
        trunk=ctx.trunk_seen or target.branch.commit,
        baseline_complete=ctx.baseline_complete,
        waivers=ctx.waivers,
    )


def _pair(tag: Tag | None) -> dict[str, str] | None:
    return {"object": tag.object, "commit": tag.commit} if tag else None


def suite(
    ctx: PromotionContext, name: str, state: str, deadline: Deadline, *, quiet: bool = False, shown: bool = False, stop: threading.Event | None = None
) -> SuiteResult:
    """Run one suite as a child and remember its result. `quiet`: it does not count yet, and unless `shown` its checks are not shown either."""
    folder = ctx.settings.root / getattr(ctx.settings.suites, name)
    label = name if state == "after" or name == "pre" else f"{name}-{state}"
    result = ctx.deps.run_suite(
        name,
        folder,
        git=ctx.deps.git,
        trunk=ctx.target.branch.commit,
        context=context(ctx, state),
        settings=ctx.settings,
        reports=ctx.reports / label,
        deadline=deadline,
        on_check=ctx.deps.report.check if shown or not quiet else (lambda _check: None),
        stop=stop,
    )
    ctx.journal.write("note", f"suite {label}", verdict=result.verdict, reason=result.reason, junit=result.junit)
    if not quiet:
        take(ctx, result)
    return result


def goal_of(ctx: PromotionContext, manifests: Iterable[Mapping[str, Any]] | None = None) -> Goal:
    """What the stable tag stands for now: its commit and every id an Argo CD may show for it.

    `manifests`: the Applications whose addresses have to be known, by default the baseline's.
    """
    assert ctx.stable is not None
    if not ctx.deps.git.has(ctx.stable.object):
        ctx.deps.git.fetch(ctx.stable.ref)
    git = ctx.deps.git
    goal = Goal.for_tag(git.chain(ctx.stable.object), ctx.settings, our_addresses(git, ctx.settings.repository))
    plan = git.file(ctx.target.commit, ctx.settings.promotion.plan_file(ctx.version))
    if manifests is None:
        manifests = ctx.baseline.manifests if ctx.baseline else ()
    return known_goal(goal, git, manifests, plan=plan)


def keep_baseline(ctx: PromotionContext, baseline: Baseline, *, smoke_passed: frozenset[str] | None) -> None:
    """Remember production as it is, in a file that the suites (and a resumed promotion) read. `smoke_passed`: the checks of that suite that passed,
    None when it was not asked."""
    ctx.smoke_before = smoke_passed
    ctx.baseline = baseline
    private_folder(ctx.reports)
    ctx.baseline_file = ctx.reports / "baseline.json"
    write_private(ctx.baseline_file, baseline.to_json().encode())
    passed = sorted(smoke_passed) if smoke_passed is not None else None
    ctx.journal.write("note", "baseline", file=str(ctx.baseline_file), smoke_passed=passed)


def known_before(ctx: PromotionContext, goal: Goal) -> Mapping[str, Application]:
    """Production's applications before the move. None in a first promotion, where what they looked like without a tag excuses nothing, and
    none when a resumed promotion finds its baseline no more."""
    return {} if ctx.baseline is None or ctx.choices.first else ctx.baseline.applications(goal)


def wait_for_convergence(ctx: PromotionContext, goal: Goal, *, rollback: bool) -> ConvergenceResult:
    """Wait until production is at the goal, showing who is not there yet and why."""
    report, waited = ctx.deps.report, list[float]()
    report.step_started("converge")

    def for_a_canary(late: ConvergenceResult) -> float:
        seconds = ctx.settings.running.rollout_timeout
        if waited or not late.paused or not seconds:
            return 0.0
        report.note(f"a canary pauses between its steps; waiting for its last step (running.rollout_timeout): {late.reason}")
        waited.append(ctx.deadline(seconds).seconds)
        return waited[0]

    result = converge(
        ctx.deps.production(),
        goal,
        baseline=known_before(ctx, goal),
        t_before=ctx.t_before,
        settings=ctx.settings,
        deadline=ctx.deadline(ctx.settings.argocd.converge_timeout),
        on_progress=report.applications,
        guard=ctx.still_ours,
        effect=ctx.journal.effect,
        rollback=rollback,
        baseline_complete=ctx.baseline_complete,
        extend=for_a_canary,
    )
    ctx.applications, ctx.proven_at, ctx.removed = result.applications, result.proven_at, result.removed
    ctx.journal.write("note", "converge", verdict=result.verdict, reason=result.reason, rollback=rollback)
    ctx.step("converge", result.verdict, result.seconds, result.reason)
    if result.verdict is not Verdict.PASSED:
        _show_trouble(ctx, result)
    return result


def _show_trouble(ctx: PromotionContext, result: ConvergenceResult) -> None:
    """Pods in trouble and recent warnings in the namespaces of the applications that are not there: the next things to look at."""
    late = {a.name for a in result.applications if a.state not in CONVERGED}
    argocd, assumed = ctx.deps.production(), ctx.t_before or ctx.deps.clock.now()
    try:
        unhealthy = [a for a in argocd.applications() if a.name in late]
        for command in (c for a in unhealthy if (c := _look_at_hook(a))):
            ctx.deps.report.note(f"look: {command}")
        clusters = {where.label: where for a in unhealthy if (where := argocd.destination(a))}
        for label, where in clusters.items():
            own = {a.destination_namespace for a in unhealthy if (there := argocd.destination(a)) and there.label == label}
            _show_namespaces(ctx, where.kube, own, assumed)
    except PromoteError as error:
        ctx.deps.report.note(f"(pods and events could not be read: {error.what})")


def _show_namespaces(ctx: PromotionContext, kube: Kube, namespaces: set[str], since: datetime) -> None:
    for pod in pods(kube):
        if pod.namespace in namespaces and pod.trouble:
            ctx.deps.report.note(f"pod {pod.key}: {pod.trouble}, {pod.restarts} restarts")
            for line in log_tail(kube, pod, lines=3):
                ctx.deps.report.note(f"  | {line}")
    for event in [e for e in warnings(kube, since=since) if e.namespace in namespaces][:5]:
        ctx.deps.report.note(f"event {event.namespace}/{event.about}: {event.reason}: {event.message}")


def _look_at_hook(app: Application) -> str:
    """The command that shows what a hook waits for, if its sync reports that it waits for one."""
    message = app.operation.message if app.operation else ""
    found = re.search(r"waiting for completion of hook (?:[^\s/]*/)?(\w+)/([\w.-]+)", message)
    return f"kubectl -n {app.destination_namespace} describe {found[1].lower()} {found[2]}" if found else ""


def proofs(ctx: PromotionContext, state: str, *, patient: bool = True) -> Iterator[tuple[str, SuiteResult]]:
    """The post and the smoke suite, run side by side (both only read) and reported one after the other: (suite, its result).

    `patient`: an undetermined suite is asked again for `promotion.patience`.
    Smoke is stopped when its result is no longer needed, because post did not pass or a stop was requested.
    """
    deadline, stop = ctx.deadline(ctx.settings.suites.timeout), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        smoke = pool.submit(suite, ctx, "smoke", state, deadline, quiet=True, stop=stop)
        try:
            ctx.deps.report.step_started("after")
            yield "post", _counted(ctx, "after", state, suite(ctx, "post", state, deadline, shown=True, quiet=True), patient)
            ctx.deps.report.step_started("smoke")
            result = smoke.result()
            for check in result.checks:
                ctx.deps.report.check(check)
            yield "smoke", _counted(ctx, "smoke", state, result, patient)
        finally:
            stop.set()


def _counted(ctx: PromotionContext, step: str, state: str, result: SuiteResult, patient: bool) -> SuiteResult:
    """A suite's last result, as the end of that step."""
    if patient:
        result = until_determined(ctx, result, partial(ask_again, ctx, result.suite, state))
    take(ctx, result)
    ctx.step(step, result.verdict, result.seconds, result.reason)
    _advise(ctx, result)
    return result


def ask_again(ctx: PromotionContext, name: str, state: str) -> SuiteResult:
    """A suite once more, without a word about its checks."""
    return suite(ctx, name, state, ctx.deadline(ctx.settings.suites.timeout), quiet=True)


def until_determined(ctx: PromotionContext, result: SuiteResult, again: Callable[[], SuiteResult]) -> SuiteResult:
    """The suite asked again while it is undetermined and nothing failed, for `promotion.patience`: nothing is decided without evidence that may come
    a moment later. Only after a move: before it there is nothing to decide. `seconds` of the result are those since the suite began at first."""
    waits = ctx.moved is not Moved.NO and result.checks
    patience, before = ctx.deadline(ctx.settings.promotion.patience if waits else 0.0), result.seconds
    while result.verdict is Verdict.ERRORED and not patience.expired:
        ctx.deps.report.note(f"{failing(result)}; asked again for {patience.left:.0f} s at most")
        patience.sleep(AGAIN_S)
        earlier = {check.id: check.verdict for check in result.checks}
        result = again()
        for check in result.checks:
            if check.verdict is not earlier.get(check.id):
                ctx.deps.report.check(check)
        result = replace(result, seconds=before + patience.elapsed)
    return result


def _advise(ctx: PromotionContext, post: SuiteResult) -> None:
    """Note once which pods of others are in trouble: this promotion is not judged by them."""
    theirs = [text for check in post.checks for text in _texts(check.evidence.get(ADVICE)) if text not in ctx.advised]
    if theirs:
        ctx.deps.report.note(f"not part of this promotion: {listed(theirs, separator='; ')}")
        ctx.advised.update(theirs)


def _texts(value: object) -> list[str]:
    return [str(text) for text in value] if isinstance(value, list | tuple) else []


def take(ctx: PromotionContext, result: SuiteResult) -> None:
    """Let a suite count: its checks go into the report and the record."""
    ctx.suites.append(result)
    ctx.checks.extend(result.checks)


def failing(result: SuiteResult) -> str:
    """One sentence: which checks of which suite."""
    names = ", ".join(check.id for check in result.failed[:4])
    if result.verdict is Verdict.ERRORED:
        return f"{result.suite} suite: {names or result.reason}: could not be determined for {result.seconds:.0f} s"
    return f"{result.suite} suite {result.verdict.value}: {names or result.reason}"


def judged(result: SuiteResult, settings: Settings) -> StepResult:
    """A suite that did not pass as the result of a transition. Undetermined observers alone never send production back."""
    status, undetermined = StepStatus.of(result.verdict), [check.id for check in result.failed]
    if status is not StepStatus.ERRORED or not undetermined:
        return StepResult(status=status, reason=failing(result))
    hold = all(on_undetermined(check, settings) != "rollback" for check in undetermined)
    return StepResult(status=status, reason=failing(result), hint=HELD if hold else "", hold=hold)
