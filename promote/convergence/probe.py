"""One evaluation of production outside of a promotion: does it run the stable tag's commit? For `promote status` and the post suite."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from promote.argocd.application import Application
from promote.argocd.client import ArgoCD
from promote.config.schema import Settings
from promote.convergence.application_status import Goal
from promote.convergence.wait import ConvergenceResult, converge
from promote.core.deadline import Clock, Deadline


def observe(
    argocd: ArgoCD,
    goal: Goal,
    settings: Settings,
    *,
    seconds: float,
    baseline: Mapping[str, Application] | None = None,
    t_before: datetime | None = None,
    rollback: bool = False,
    baseline_complete: bool = True,
    clock: Clock | None = None,
) -> ConvergenceResult:
    """Refresh and evaluate for at most `seconds`. Writes only refresh requests.

    Without a baseline no fault is tolerated. Without `t_before`, a failed last sync counts only when it was a sync of this commit.
    `rollback`: evaluate by the rules for a rollback.
    """
    return converge(
        argocd,
        goal,
        baseline=baseline or {},
        t_before=t_before,
        settings=settings,
        deadline=Deadline(seconds, clock or Clock()),
        rollback=rollback,
        baseline_complete=baseline_complete,
        read_only=True,
        ignore_other_revisions=t_before is None,
    )
