"""Has an application come to rest, and at the revision it tracks? Read from its manifest alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def shows(app: dict[str, Any], url: str, tracked: Mapping[str, str]) -> bool:
    """Every source of ours is at the commit that its target revision means."""
    spec, sync = app["spec"], app["status"]["sync"]
    sources, revisions = spec.get("sources") or [spec["source"]], sync.get("revisions") or [sync.get("revision")]
    pairs = [(s["targetRevision"], revision) for s, revision in zip(sources, revisions, strict=False) if s["repoURL"] == url]
    return all(revision == tracked.get(target, revision) for target, revision in pairs)


def at_rest(app: dict[str, object]) -> bool:
    status = app.get("status")
    if not isinstance(status, dict) or app.get("operation") is not None:
        return False
    state = status.get("operationState") or {}
    seen_since = str(status.get("reconciledAt", "")) >= str(state.get("finishedAt", ""))
    return bool(
        (status.get("sync") or {}).get("status") == "Synced" and (status.get("health") or {}).get("status") in ("Healthy", "Degraded") and seen_since
    )
