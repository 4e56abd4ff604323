"""Argo CD's sign of life: it answers a refresh of the root and of one application of each destination.

Without one, everything may read Synced and Healthy while no controller works: a promotion would wait for its whole time, and so would its rollback.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from promote.argocd.application import Application, parse_application
from promote.argocd.client import ArgoCD
from promote.config.schema import Settings
from promote.convergence.application_status import Goal
from promote.convergence.at_rest import oldest, skipped
from promote.convergence.fleet import select
from promote.core.deadline import Clock, Deadline

REST_S = 10.0  # how long applications that sync by themselves may take to come to rest
FIRST_PAUSE_S = 0.2  # a working controller answers within a second; the pauses double up to argocd.poll_interval
Manifests = Mapping[str, Mapping[str, Any]]


def refresh_and_read(
    argocd: ArgoCD, goal: Goal, settings: Settings, clock: Clock, *, restless: Callable[[Application], bool] = lambda _: False
) -> tuple[Manifests, list[Application]]:
    """The Applications by namespace/name after a refresh of some of them, and those of which Argo CD did not answer within `argocd.refresh_timeout`.

    `restless`: Argo CD may still be bringing this one to rest; it is refreshed too, and awaited for at most `REST_S`. Raises Unreachable, Denied.
    """
    manifests = _read(argocd)
    chosen = select(map(parse_application, manifests.values()), goal).values()
    apps = [a for a in chosen if not a.deleting and not skipped(manifests[a.key])]
    asked = {a.key: a for a in [*oldest(apps, goal.root), *(a for a in apps if restless(a))]}
    deadline, again_at = Deadline(settings.argocd.refresh_timeout, clock), float(settings.argocd.refresh_interval)
    pause = FIRST_PAUSE_S
    argocd.refresh(asked.values())
    while True:
        manifests = _read(argocd)
        now = {key: parse_application(manifests[key]) for key in asked if key in manifests}
        silent = [a for key, a in now.items() if a.refresh_pending and a.reconciled == asked[key].reconciled]
        waits = silent or (deadline.elapsed < REST_S and any(restless(a) for a in now.values()))
        if deadline.expired or not waits:
            return manifests, silent
        deadline.sleep(min(pause, settings.argocd.poll_interval))
        pause *= 2
        if again_at <= deadline.elapsed and not deadline.expired:  # a request can get lost
            again_at += settings.argocd.refresh_interval
            argocd.refresh(silent)


def no_sign_of_life(silent: Collection[Application], settings: Settings, namespace: str) -> list[str]:
    """One sentence for each application that was not refreshed, with the command that shows why. `namespace`: Argo CD's own."""
    fix = f"is Argo CD's application controller running, and does it reach that cluster? kubectl -n {namespace} get pods"
    seconds = f"{settings.argocd.refresh_timeout:.0f} s"
    return [f"no sign of life from Argo CD for {a.destination_server}: {a.name} was not refreshed within {seconds}\n    fix: {fix}" for a in silent]


def _read(argocd: ArgoCD) -> dict[str, Mapping[str, Any]]:
    return {f"{m['metadata'].get('namespace', '')}/{m['metadata']['name']}": m for m in argocd.manifests()}
