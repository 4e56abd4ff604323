"""What an application that was unhealthy before the promotion may still be afterwards: the excuse is for a trouble, not for an application.

Exactly the resources that were unhealthy before, at most as bad as they were, are tolerated. Another resource that is unhealthy now is new trouble,
whatever the health of the whole application was; except a Job or CronJob of an application that the promotion left unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from promote.argocd.application import Application
from promote.argocd.resource_health import unhealthy
from promote.convergence.application_status import is_same
from promote.kube.health import severity
from promote.kube.live import ResourceKey

BATCH = frozenset({"Job", "CronJob"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Excuse:
    """`known`: the resources that are as before, in words. `batch`: the Jobs and CronJobs of an application that was left unchanged.

    `new`: the others that are unhealthy now and were not, or are worse. `grave`: one of the new ones is Degraded or worse. `undecided`: why nothing
    is known; "" when it is.
    """

    known: tuple[str, ...] = ()
    batch: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    grave: bool = False
    undecided: str = ""


def unchanged(app: Application, before: Application | None) -> bool:
    """Whether no sync of the application ran since `before`, so that nothing was applied. False also when that is not known."""
    # Argo CD advances the revision of unchanged manifests without an operation (docs/argocd.md).
    return before is not None and not app.in_progress and (is_same(before.operation, app.operation) or before.operation is app.operation is None)


def explained(app: Application) -> bool:
    """Whether its unhealthy resources account for its health: one of them is at least as bad as the whole."""
    return any(severity(health) >= severity(app.health) for health in unhealthy(app).values())


def excuse(now: Application, before: Application, unread: str = "") -> Excuse:
    """Compare an unhealthy application with itself before. `unread`: why its live objects could not be read."""
    if before.health != "Healthy" and not explained(before):
        return Excuse(undecided=f"it was {before.health} before, and no resource is known to have been the reason")
    if unread or not explained(now):
        return Excuse(undecided=unread or "no resource that can be judged is the reason")
    then, troubles = unhealthy(before) if before.health != "Healthy" else {}, unhealthy(now)
    messages = {r.key: r.health_message for r in now.resources}
    new = {key: health for key, health in troubles.items() if key not in then or severity(health) > severity(then[key])}
    known = {key: health for key, health in troubles.items() if key not in new}
    batch = {key: health for key, health in new.items() if key[1] in BATCH} if unchanged(now, before) else {}
    new = {key: health for key, health in new.items() if key not in batch}
    return Excuse(
        known=_named(known, messages),
        batch=_named(batch, messages),
        new=_named(new, messages),
        grave=any(severity(health) >= severity("Degraded") for health in new.values()),
    )


def unhealthy_resources(app: Application) -> list[str]:
    """Its resources that are known to be unhealthy, in words: "CronJob report Degraded"."""
    return list(_named(unhealthy(app), {}))


def inexcusable(apps: Iterable[Application], unread: Mapping[str, str]) -> list[str]:
    """Of applications that are unhealthy before a move, those that could not be excused after it: "NAME: reason". `unread`: by key, why the health of
    an application's resources could not be read."""
    none = "none of the resources that can be judged is the reason"
    return sorted(f"{a.name} is {a.health}: {unread.get(a.key) or none}" for a in apps if a.key in unread or not explained(a))


def _named(troubles: Mapping[ResourceKey, str], messages: Mapping[ResourceKey, str]) -> tuple[str, ...]:
    return tuple(
        f"{key[1]} {key[3]} {health}" + (f" ({' '.join(messages[key].split())[:100]})" if messages.get(key) else "")
        for key, health in sorted(troubles.items())
    )
