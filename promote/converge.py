"""Waiting for production to be at a commit: look, say who is not there, ask those for a refresh, look again, until proven or the deadline.

The judgement is `convergence.py`; this module reads the clock, the cluster and the settings, and never decides by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from promote.applications import Application
from promote.clients.argocd import ArgoCD
from promote.convergence import Convergence, Goal, Limits, stuck_elsewhere
from promote.deadline import Clock, Deadline
from promote.errors import Unreachable
from promote.model import AppState, AppVerdict, Verdict
from promote.settings import Settings

THERE = (AppState.PROVEN, AppState.EXCUSED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """One look, for the report. `notes` is what was done about it (a stuck operation ended, a sync started)."""

    applications: tuple[AppVerdict, ...]
    elapsed_s: float
    limit_s: float
    notes: tuple[str, ...] = ()

    @property
    def done(self) -> int:
        return sum(a.state in THERE for a in self.applications)


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvergenceResult:
    """PASSED: all proven or excused. FAILED: some are not there, each with its reason. ERRORED: the cluster could not be read."""

    verdict: Verdict
    applications: tuple[AppVerdict, ...]
    reason: str
    seconds: float


@dataclass(kw_only=True, slots=True)
class Waiter:
    """The loop's parts. `guard` raises Superseded when the tag is not ours any more; it is asked before every look and every write."""

    argocd: ArgoCD
    settings: Settings
    convergence: Convergence
    deadline: Deadline
    clock: Clock
    on_progress: Callable[[Progress], None]
    guard: Callable[[], None]
    may_terminate: bool = False
    asked: dict[str, float] | None = None

    def wait(self) -> ConvergenceResult:
        """Look until everything is there, something failed, or the deadline; unreadable looks are repeated inside it."""
        verdicts: tuple[AppVerdict, ...] = ()
        trouble: Unreachable | None = None
        first = True
        while True:
            self.guard()
            try:
                snapshot = self.argocd.applications()
                if first:
                    self.convergence.remember(snapshot)
                    first = False
                verdicts, trouble = self.convergence.look(snapshot, self.clock.now()), None
                self.on_progress(self._progress(verdicts, self._act(snapshot, verdicts)))
                if done := self._done(verdicts):
                    return done
            except Unreachable as error:
                trouble = error
            if self.deadline.expired:
                return self._late(verdicts, trouble)
            self.deadline.sleep(self.settings.argocd.look_every)

    def _progress(self, verdicts: tuple[AppVerdict, ...], notes: tuple[str, ...]) -> Progress:
        return Progress(applications=verdicts, elapsed_s=self.deadline.elapsed, limit_s=self.deadline.seconds, notes=notes)

    def _done(self, verdicts: tuple[AppVerdict, ...]) -> ConvergenceResult | None:
        failed = [v for v in verdicts if v.state is AppState.FAILED]
        if failed:
            return self._result(Verdict.FAILED, verdicts, _sentence(failed))
        if verdicts and all(v.state in THERE for v in verdicts):
            there = sum(v.state is AppState.PROVEN for v in verdicts)
            return self._result(Verdict.PASSED, verdicts, f"{there} of {len(verdicts)} at {self.convergence.goal.commit[:7]} and healthy")
        return None

    def _late(self, verdicts: tuple[AppVerdict, ...], trouble: Unreachable | None) -> ConvergenceResult:
        if trouble is not None or not verdicts:
            return self._result(Verdict.ERRORED, verdicts, trouble.what if trouble else "no application was seen")
        late = [v for v in verdicts if v.state not in THERE]
        verdict = Verdict.ERRORED if all(v.state is AppState.UNKNOWN for v in late) else Verdict.FAILED
        return self._result(verdict, verdicts, f"not within {self.deadline.seconds:.0f} s: {_sentence(late)}")

    def _result(self, verdict: Verdict, verdicts: tuple[AppVerdict, ...], reason: str) -> ConvergenceResult:
        return ConvergenceResult(verdict=verdict, applications=verdicts, reason=reason, seconds=self.deadline.elapsed)

    def _act(self, snapshot: Collection[Application], verdicts: tuple[AppVerdict, ...]) -> tuple[str, ...]:
        """What can be done about those not there: refresh, and where it is ours to do, end a stuck operation or start a sync."""
        waiting = {v.name for v in verdicts if v.state in (AppState.WAITING, AppState.UNKNOWN)}
        late = [a for a in snapshot if a.name in waiting and self.convergence.of_interest(a)]
        if not late:
            return ()
        self.guard()
        notes = [note for app in late if (note := self._unstick(app))]
        self._refresh(late)
        return tuple(notes)

    def _refresh(self, late: list[Application]) -> None:
        """Those whose last look is too old, the root first of all, each at most every `refresh_every` seconds: a request can get lost."""
        asked = self.asked = self.asked if self.asked is not None else {}
        now = self.deadline.elapsed
        due = [a for a in late if now - asked.get(a.key, -1e9) >= self.settings.argocd.refresh_every]
        if not due:
            return
        asked.update({a.key: now for a in due})
        self.argocd.refresh(sorted(due, key=lambda a: a.name != self.convergence.goal.root))

    def _unstick(self, app: Application) -> str:
        if self.may_terminate and self.settings.argocd.terminate_stuck and stuck_elsewhere(app, self.convergence.goal):
            other = next((r for r in app.operation.revisions if r not in self.convergence.goal.accepted), "") if app.operation else ""
            if self.argocd.terminate(app):
                return f"{app.name}: a sync of {other[:7]} was still running; stopped it"
        wanted = self.settings.argocd.sync == "request" and app.sync == "OutOfSync" and not app.in_progress and not app.errors
        if wanted and self.convergence.fresh(app) and self.argocd.request_sync(app, who="promote"):
            return f"{app.name}: sync started"
        return ""


def _sentence(verdicts: list[AppVerdict]) -> str:
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
    rollback: bool = False,
) -> ConvergenceResult:
    """Wait until production is at the goal. With `rollback`, the set of before must be back and stuck operations may be ended.

    Raises what `guard` raises, and Denied, NotFound, Rejected of the cluster at once; Unreachable only counts at the deadline.
    """
    convergence = Convergence(goal=goal, limits=Limits.of(settings), baseline=baseline, t_before=t_before, require_all=rollback)
    return Waiter(
        argocd=argocd, settings=settings, convergence=convergence, deadline=deadline, clock=deadline.clock, on_progress=on_progress, guard=guard,
        may_terminate=rollback,
    ).wait()  # fmt: skip
