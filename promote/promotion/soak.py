"""The soak: after everything passed, production is looked at until it has stayed so for `post.soak`. Applications, pods and alerts throughout;
what the suites ask, once more at its end. Writes nothing to the remote.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from promote import connect
from promote.checklist.registry import on_undetermined
from promote.convergence.application_status import Goal
from promote.convergence.fleet import select
from promote.convergence.running import read_running
from promote.core.deadline import Deadline
from promote.core.errors import ServiceError, Unreachable
from promote.core.model import Verdict
from promote.kube.workloads import Pod, newly_failing
from promote.monitoring.alerts import compare, parse_alert
from promote.promotion.context import PromotionContext, StepResult, StepStatus
from promote.promotion.steps import ask_again, goal_of, judged, known_before, suite, take, until_determined
from promote.report.words import listed


@dataclass(kw_only=True)
class Watch:
    """Pods and alerts against the baseline, and restarts against the first look."""

    run: PromotionContext
    first: Mapping[str, Pod] = field(default_factory=dict)
    blind: Deadline | None = None
    goal: Callable[[PromotionContext], Goal] = goal_of

    def look(self) -> StepResult | None:
        """One look at both: None when nothing is new or that is not known yet, else the trouble."""
        try:
            found = self._pods()
        except Unreachable as error:
            return self._blind(error, hold=None)
        try:
            found += self._alerts()
        except ServiceError as error:
            if not found:
                return self._blind(error, hold=on_undetermined("alerts", self.run.settings) != "rollback")
        self.blind = None
        return StepResult(status=StepStatus.FAILED, reason=listed(found, separator="; ")) if found else None

    def _blind(self, error: ServiceError, *, hold: bool | None) -> StepResult | None:
        """A source did not answer: None while `promotion.patience` lasts."""
        self.blind = self.blind or Deadline(self.run.settings.promotion.patience, self.run.deps.clock)
        if not self.blind.expired:
            return None
        reason = f"{error.what}: could not be determined for {self.blind.elapsed:.0f} s"
        return StepResult(status=StepStatus.ERRORED, reason=reason, hint=error.hint, hold=hold)

    def _pods(self) -> list[str]:
        run = self.run
        known = run.baseline.pods() if run.baseline else {}  # a resumed promotion may have lost it: then nothing is excused
        argocd, goal = run.deps.production(), self.goal(run)
        earlier = known_before(run, goal)
        apps = select(argocd.applications(), goal, also=earlier).values()
        running = read_running(argocd, apps, before=earlier)
        if running.lost:
            raise running.lost
        now = running.pods
        self.first = self.first or now
        found = newly_failing(now, known, at=run.deps.clock.now(), pending_grace_s=run.settings.post.pending_grace)
        before = {**self.first, **{k: p for k, p in known.items() if p.trouble}}
        restarted = [k for k, p in now.items() if k in before and p.restarts > before[k].restarts and not before[k].trouble]
        return found or [f"{key}: restarted during the soak" for key in restarted]

    def _alerts(self) -> list[str]:
        ctx, settings = self.run, self.run.settings.alertmanager
        before = ctx.baseline.alerts() if ctx.baseline else None
        if not settings.url or before is None:
            return []
        found = compare(map(parse_alert, connect.alertmanager(ctx.settings).alerts(settings.matchers)), before, settings.ignore_labels)
        return [f"alert {a.describe()}" for a in found.new]


def ask_suites(ctx: PromotionContext) -> StepResult | None:
    """The post and the smoke suite once more: None when both pass, else what did not. Only what did not pass is reported."""
    deadline, stop = ctx.deadline(ctx.settings.suites.timeout), threading.Event()
    with ThreadPoolExecutor(2) as pool:
        try:
            asked = [pool.submit(suite, ctx, name, "soaked", deadline, quiet=True, stop=stop) for name in ("post", "smoke")]
            results = [a.result() for a in asked]
        finally:
            stop.set()
    for result in (until_determined(ctx, r, partial(ask_again, ctx, r.suite, "soaked")) for r in results):
        if result.verdict is not Verdict.PASSED:
            for check in result.failed:
                ctx.deps.report.check(check)
            take(ctx, result)
            return judged(result, ctx.settings)
    return None
