"""ApplicationSets that sync their applications themselves, step by step (strategy RollingSync, "progressive syncs").

Their controller takes `automated` away from the applications that it makes and starts their syncs in the order of its steps.
"""

from __future__ import annotations

from collections.abc import Iterable

from promote.argocd.application import Application
from promote.argocd.projects import API
from promote.core.errors import NotFound
from promote.kube.client import Kube


def synced_in_steps(kube: Kube, apps: Iterable[Application]) -> dict[str, bool]:
    """The applications whose ApplicationSet starts their syncs, by key: whether it prunes.

    Reads the sets of those applications alone that have an owner and no auto-sync. Raises Denied without the right to read ApplicationSets.
    """
    waiting = [a for a in apps if a.owner and not a.auto_sync]
    sets = {place: _prunes(kube, *place) for place in sorted({(a.namespace, a.owner) for a in waiting})}
    return {a.key: prunes for a in waiting if (prunes := sets[a.namespace, a.owner]) is not None}


def _prunes(kube: Kube, namespace: str, name: str) -> bool | None:
    """Whether the syncs of this set prune; None when it does not sync in steps, or is gone."""
    try:
        spec = kube.get(f"{API}/namespaces/{namespace}/applicationsets/{name}").get("spec") or {}
    except NotFound:
        return None
    strategy = spec.get("strategy") or {}
    if strategy.get("type") != "RollingSync" or not (strategy.get("rollingSync") or {}).get("steps"):
        return None
    policy = ((spec.get("template") or {}).get("spec") or {}).get("syncPolicy") or {}
    return bool((policy.get("automated") or {}).get("prune"))
