"""When the health Suspended is no fault. Pure.

Argo CD shows it for a suspended CronJob, for a paused Deployment, and for an Argo Rollout whose canary pauses between its steps.
"""

from __future__ import annotations

from collections.abc import Collection

from promote.argocd.application import GROUP, Application
from promote.config.schema_checklist import AcceptedWorkload


def rollouts(app: Application) -> list[str]:
    """The names of its Argo Rollouts."""
    return [r.name for r in app.resources if (r.group, r.kind) == (GROUP, "Rollout") and not r.pruned]


def suspension_allowed(app: Application, allow_suspended: Collection[str], accept: Collection[AcceptedWorkload]) -> bool:
    """Whether a policy lets it be Suspended.

    `allow_suspended` never covers an application with an Argo Rollout: Suspended is half of a rollout there, and only rules of `[[running.accept]]`,
    `accept`, for each of its Rollouts tolerate that.
    """
    canaries = rollouts(app)
    if canaries:
        return all(any(rule.covers(app.name, "Rollout", name) for rule in accept) for name in canaries)
    return app.name in allow_suspended
