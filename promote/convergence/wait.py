"""Waiting until production runs a commit: read, report the applications that have not converged, act on them, repeat until proven or the deadline.

`evaluator.py` decides; this module connects it with the clock, the cluster and the settings.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from promote.argocd.application import Application
from promote.argocd.client import ArgoCD
from promote.argocd.resource_health import read_resource_health
from promote.config.schema import Settings
from promote.convergence.application_status import REFRESHABLE, Goal, Kind, Limits, Reason, is_same, other_commit
from promote.convergence.blocked import Blocked
from promote.convergence.evaluator import ACCEPTED, Convergence, paused
from promote.core.deadline import Deadline
from promote.core.errors import Unreachable
from promote.core.model import AppState, AppVerdict, Verdict, short

CONVERGED = (AppState.PROVEN, AppState.TOLERATED)
SLOWER = 6  # factor for the interval between refreshes while the repo-server is faulty
REQUEST_AGAIN_S = 30.0  # the controller drops a requested sync when another one is running, so it is requested again


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """One look, for the report. `notes` are the actions taken (a stuck operation ended, a sync started)."""

    applications: tuple[AppVerdict, ...]
    elapsed_s: float
    limit_s: float
    notes: tuple[str, ...] = ()

    @property
    def done(self) -> int:
        return sum(a.state in CONVERGED for a in self.applications)


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvergenceResult:
    """PASSED: all applications are proven or tolerated, as of `proven_at`. FAILED: some have not converged, each with its reason. ERRORED:
    undetermined. `removed`: the names of the applications of before that are gone."""

    verdict: Verdict
    applications: tuple[AppVerdict, ...]
    reason: str
    seconds: float
    proven_at: datetime | None = None
    removed: tuple[str, ...] = ()
    paused: bool = False  # FAILED, and nothing is missing but the last steps of Argo Rollouts that pause


class Effect(Protocol):
    """How every change outside goes out: (name, details, act) → the result of `act`. A promotion passes one that writes its journal."""

    def __call__(self, name: str, detail: Mapping[str, object], act: Callable[[], bool], *, best_effort_journal: bool = False) -> bool: ...


def _unjournaled(name: str, detail: Mapping[str, object], act: Callable[[], bool], *, best_effort_journal: bool = False) -> bool:  # noqa: ARG001
    return act()


@dataclass(kw_only=True, slots=True)
class Waiter:
    """The wait loop. `guard` raises Superseded when the tag is not ours any more; the loop calls it before every look, and so before every write."""

    argocd: ArgoCD
    settings: Settings
    convergence: Convergence
    deadline: Deadline
    on_progress: Callable[[Progress], None]
    guard: Callable[[], None]
    effect: Effect
    refreshed_at: dict[str, float] = field(default_factory=dict)
    requested: dict[str, float] = field(default_factory=dict)
    read_only: bool = False  # only read and request refreshes
    extend: Callable[[ConvergenceResult], float] = lambda _: 0.0  # seconds to go on after a late result; 0: it is the result
    blocked: Blocked = field(init=False)

    def __post_init__(self) -> None:
        self.blocked = Blocked(argocd=self.argocd, manual=self.settings.argocd.sync == "request")

    def wait(self) -> ConvergenceResult:
        """Repeat until all applications have converged, one failed, or the deadline passed. An unreachable cluster is asked again until the
        deadline."""
        verdicts: tuple[AppVerdict, ...] = ()
        while True:
            trouble: Unreachable | None = None
            try:
                self.guard()
                verdicts = self.convergence.look(self._snapshot(), self.deadline.clock.now())
                if done := self._done(verdicts):
                    self._show(verdicts, ())
                    return done
                self._show(verdicts, self._act())
            except Unreachable as error:
                trouble = error
            if self.deadline.expired:
                late = self._late(verdicts, trouble)
                if not (more := self.extend(late)):
                    return late
                self.deadline = self.deadline.later(more)  # a wait of its own would begin at no look, and call the others unproven
            self.deadline.sleep(self.settings.argocd.poll_interval)

    def _snapshot(self) -> tuple[Application, ...]:
        """All Applications; with the health of the resources of those that are unhealthy now and were so before."""
        apps = self.argocd.applications()
        chosen = self.convergence.excusable(apps)
        judged, self.convergence.unread = read_resource_health(self.argocd, apps, chosen) if chosen else ({}, {})
        return tuple(judged.get(a.key, a) for a in apps)

    def _show(self, verdicts: tuple[AppVerdict, ...], notes: tuple[str, ...]) -> None:
        self.on_progress(Progress(applications=verdicts, elapsed_s=self.deadline.elapsed, limit_s=self.deadline.seconds, notes=notes))

    def _done(self, verdicts: tuple[AppVerdict, ...]) -> ConvergenceResult | None:
        failed = [v for v in verdicts if v.state is AppState.FAILED]
        if failed:
            return self._result(Verdict.FAILED, verdicts, _describe(failed))
        proven = sum(v.state is AppState.PROVEN for v in verdicts)
        if not proven or any(v.state not in CONVERGED for v in verdicts):
            return None
        accepted = sum(v.reason.startswith(ACCEPTED) for v in verdicts)
        unhealthy = len(verdicts) - proven - accepted
        also = f", {unhealthy} already unhealthy before (ignored)" if unhealthy else ""
        also += f", {accepted} OutOfSync (accepted)" if accepted else ""
        return self._result(Verdict.PASSED, verdicts, f"{proven} of {len(verdicts)} at {short(self.convergence.goal.commit)} and healthy{also}")

    def _late(self, verdicts: tuple[AppVerdict, ...], trouble: Unreachable | None) -> ConvergenceResult:
        within = f"not within {self.deadline.seconds:.0f} s"
        if trouble is not None:
            return self._result(Verdict.ERRORED, verdicts, f"{within}: {trouble.what}")
        if not any(v.state is AppState.PROVEN for v in verdicts) and all(v.state in CONVERGED for v in verdicts):
            return self._result(Verdict.ERRORED, verdicts, "no application that follows the tag could be proven; check prod.selector")
        if self.convergence.unknown_at_once:
            return self._result(Verdict.ERRORED, verdicts, f"{within}: {self.convergence.unknown_at_once}")
        pending = [v for v in verdicts if v.state not in CONVERGED]
        verdict = Verdict.ERRORED if pending and all(v.state is AppState.UNKNOWN for v in pending) else Verdict.FAILED
        result, judged = self._result(verdict, verdicts, f"{within}: {_describe(pending)}"), self.convergence
        waiting = [a for key, a in judged.present.items() if judged.reasons[key] is None and paused(a, judged.limits)]
        return replace(result, paused=bool(pending) and len(waiting) == len(pending))

    def _result(self, verdict: Verdict, verdicts: tuple[AppVerdict, ...], reason: str) -> ConvergenceResult:
        at = self.deadline.clock.now() if verdict is Verdict.PASSED else None
        gone = tuple(sorted(a.name for key, a in self.convergence.baseline.items() if key not in self.convergence.present))
        return ConvergenceResult(verdict=verdict, applications=verdicts, reason=reason, seconds=self.deadline.elapsed, proven_at=at, removed=gone)

    def _act(self) -> tuple[str, ...]:
        """Act on the applications that have not converged: end a stuck operation, start a sync where promote starts them, request a refresh."""
        judged = self.convergence
        late = [(judged.present[key], reason) for key, reason in judged.reasons.items() if reason]
        notes: list[str] = []
        # With a faulty repo-server only waiting helps, and a sync could prune.
        if not judged.unknown_at_once and not self.read_only:
            unsynced = [app for app, reason in late if reason.kind is Kind.UNSYNCED]
            judged.denied = self.blocked.reasons(unsynced, judged.present.values(), self.deadline.clock.now())
            for app, reason in late:
                stuck = reason.kind is Kind.STUCK or (app.deleting and app.in_progress)
                notes += self._unstick(app) if stuck else self._start(app, reason)
        self._refresh([app for app, reason in late if reason.kind in REFRESHABLE or not judged.refreshed(app)])
        return tuple(notes)

    def _refresh(self, late: Collection[Application]) -> None:
        """Request refreshes, the root first, each at most every `refresh_interval` seconds. Requests can get lost, so they are repeated until
        answered."""
        now, pause = self.deadline.elapsed, self.settings.argocd.refresh_interval * (SLOWER if self.convergence.unknown_at_once else 1)
        due = [a for a in late if a.key not in self.refreshed_at or now - self.refreshed_at[a.key] >= pause]
        if due:
            self.refreshed_at.update({a.key: now for a in due})
            first = sorted(due, key=lambda a: a.name != self.convergence.goal.root)
            self._do("ask for a refresh", [a.key for a in first], lambda: self.argocd.refresh(first), only_looks=True)

    def _do(self, name: str, keys: list[str], act: Callable[[], bool], *, only_looks: bool = False) -> bool:
        """Send the changes for these applications as one effect."""
        # A full disk must neither prevent a rollback nor cause one: then the journal is written only if possible, also for refreshes.
        return self.effect(name, {"applications": keys}, act, best_effort_journal=only_looks or self.convergence.rollback)

    def _unstick(self, app: Application) -> list[str]:
        """In a rollback, end a sync of the bad commit; returns a note for the report.

        While Argo CD retries that sync the rollback is not applied, although everything reads Synced and Healthy. And an application that is being
        deleted waits for the end of its operation, for ever when a hook hangs (seen).
        """
        if not (self.convergence.rollback and self.settings.argocd.terminate_stuck):
            return []
        stopped = self._do("end a sync", [app.key], lambda: self.argocd.terminate(app))
        what = (
            f"a sync of {short(other_commit(app, self.convergence.goal))} was still running"
            if not app.deleting
            else "its sync kept it from being deleted"
        )
        return [f"{app.name}: {what}; stopped it"] if stopped else []

    def _start(self, app: Application, reason: Reason) -> list[str]:
        """Start a sync where promote has to: always with `sync = "request"`, otherwise where auto-sync no longer retries; returns a note for the
        report.

        Auto-sync no longer retries after a failed earlier attempt at this commit, and in a rollback after any failure in between.
        """
        key, before = app.key, self.convergence.baseline.get(app.key)
        earlier = self.convergence.rollback or (before is not None and is_same(before.operation, app.operation))
        mine = (reason.final and earlier) or (reason.kind is Kind.UNSYNCED and self.settings.argocd.sync == "request")
        waits = key in self.requested and (reason.final or self.deadline.elapsed - self.requested[key] < REQUEST_AGAIN_S)
        if not mine or waits or app.sync != "OutOfSync" or not self.convergence.refreshed(app) or self.blocked.in_steps(app):
            return []
        self.requested[key] = self.deadline.elapsed
        started = self._do("start a sync", [app.key], lambda: self.argocd.request_sync(app, who="promote", prune=app.prune))
        return [f"{app.name}: sync started"] if started else []


def _describe(verdicts: list[AppVerdict]) -> str:
    shown = "; ".join(f"{v.name}: {v.reason}" for v in verdicts[:4])
    return shown + (f"; and {len(verdicts) - 4} more" if len(verdicts) > 4 else "")


def converge(
    argocd: ArgoCD,
    goal: Goal,
    *,
    baseline: Mapping[str, Application],
    t_before: datetime | None,
    settings: Settings,
    deadline: Deadline,
    on_progress: Callable[[Progress], None] = lambda _: None,
    guard: Callable[[], None] = lambda: None,
    effect: Effect = _unjournaled,
    rollback: bool = False,
    baseline_complete: bool = True,
    successes: int | None = None,
    read_only: bool = False,
    ignore_other_revisions: bool = False,
    extend: Callable[[ConvergenceResult], float] = lambda _: 0.0,
) -> ConvergenceResult:
    """Wait until production runs the goal. Call it after the move was confirmed: freshness counts from its first look.

    `rollback`: the applications of the baseline must be back (unless the baseline is incomplete), stuck operations are ended, and a
    fault that existed before at this commit is tolerated.
    `effect`: every change in the cluster goes through it. `read_only`: end and start nothing.
    `ignore_other_revisions`: a finished failed sync of another commit is no evidence about this one. `extend`: as in `Waiter`.
    Raises the errors of `guard`, and the cluster's Denied, NotFound and Rejected at once; Unreachable counts at the deadline only.
    """
    convergence = Convergence(
        goal=goal,
        limits=Limits.of(settings, successes=successes),
        baseline=baseline,
        t_before=t_before,
        rollback=rollback,
        baseline_complete=baseline_complete,
        ignore_other_revisions=ignore_other_revisions,
        namespaces=() if settings.prod.selector else settings.prod.namespaces,
        read=settings.prod.namespaces,
    )
    return Waiter(
        argocd=argocd,
        settings=settings,
        convergence=convergence,
        deadline=deadline,
        on_progress=on_progress,
        guard=guard,
        effect=effect,
        read_only=read_only,
        extend=extend,
    ).wait()


def last_look(
    argocd: ArgoCD,
    goal: Goal,
    *,
    baseline: Mapping[str, Application],
    t_before: datetime | None,
    settings: Settings,
    deadline: Deadline,
    guard: Callable[[], None] = lambda: None,
    effect: Effect = _unjournaled,
    rollback: bool = False,
) -> ConvergenceResult:
    """Verify all applications again from new evidence: each is refreshed and evaluated as in `converge`, but one look is enough."""
    return converge(
        argocd, goal, baseline=baseline, t_before=t_before, settings=settings, deadline=deadline, guard=guard, effect=effect,
        rollback=rollback, successes=1,
    )  # fmt: skip
