"""Whether an application's state before the move allows a proof afterwards: at rest, reconciled by Argo CD, pruned where the candidate drops objects.

Pure: raw manifests in, one sentence for each obstacle out, each with the consequence's cause and a command or setting that removes it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from promote.argocd.application import Application
from promote.convergence.application_status import Goal, Limits, other_commit, wrong_revision
from promote.report.words import listed

SKIP = "argocd.argoproj.io/skip-reconcile"


def skipped(manifest: Mapping[str, Any]) -> bool:
    """Whether an annotation forbids Argo CD to reconcile the application."""
    return str((manifest["metadata"].get("annotations") or {}).get(SKIP, "")).lower() in ("true", "1", "t")


def obstacles(manifest: Mapping[str, Any], app: Application, *, root: str, accepted: bool, now: datetime, limit_s: float) -> list[str]:
    """Why this application's state keeps a promotion from being proven; [] when nothing does.

    `root`: the root application's name; it is never accepted. `accepted`: it may be OutOfSync. `limit_s`: an operation that has run for longer will
    not end in time.
    """
    patch = f"kubectl -n {app.namespace} patch applications.argoproj.io {app.name} --type merge -p"
    if app.deleting:
        since, finalizers = manifest["metadata"].get("deletionTimestamp", ""), manifest["metadata"].get("finalizers") or []
        held = f", held by {', '.join(finalizers)}" if finalizers else ""
        why = f"has been deleting since {since}{held}"
        return [_line(app, why, f"""let it go, or remove the finalizer that no controller handles: {patch} '{{"metadata":{{"finalizers":null}}}}'""")]
    if skipped(manifest):
        why = f"is not reconciled: its annotation {SKIP} is true"
        return [_line(app, why, f"kubectl -n {app.namespace} annotate applications.argoproj.io {app.name} {SKIP}-")]
    if stuck := _operation(app, now, limit_s):
        end = f"""{patch} '{{"status":{{"operationState":{{"phase":"Terminating"}}}}}}'"""
        return [_line(app, stuck, f"correct its cause, or end the operation: {end}")]
    if app.sync == "OutOfSync" and not accepted:
        return [_line(app, f"is OutOfSync now{_named(app.out_of_sync)}", f"sync or correct it{_accept(app, root)}")]
    return []


def _operation(app: Application, now: datetime, limit_s: float) -> str:
    if not app.in_progress or app.operation is None:
        return ""
    started, message = app.operation.started, " ".join(app.operation.message.split())[:140]
    if app.operation.phase == "Running" and app.operation.finished:
        return f"has a sync that fails and is retried: {message}".rstrip(": ")
    if started and (age := (now - started).total_seconds()) > limit_s:
        return f"has had an operation in progress for {age / 60:.0f} min: {message}".rstrip(": ")
    return ""


def dropped_and_kept(app: Application, dropped: Collection[tuple[str, str]], *, root: str, prunes: bool) -> str:
    """Why objects that the candidate drops would stay and keep the application OutOfSync; "" when all are pruned.

    `dropped`: each object and the sync option that keeps it from being pruned, or "".
    """
    keeps = next((o for o in ("Prune=false", "Prune=confirm") if o in app.sync_options), "")
    left = [f"{what} ({option})" if option else what for what, option in dropped if option or keeps or not prunes]
    if not left:
        return ""
    why = "pruning is off" if not prunes else f"its syncOptions have {keeps}" if keeps else "they are kept from pruning"
    verb = f"would keep {len(left)} of the objects that the candidate drops, and stay OutOfSync, because {why}"
    fix = "set spec.syncPolicy.automated.prune = true" if not prunes else "remove that option"
    return _line(app, f"{verb}{_named(left)}", f"{fix} in its manifest{_accept(app, root)}")


def accepted_out_of_sync(app: Application, before: Application | None, goal: Goal, limits: Limits) -> str:
    """The declared reason why an application that is at the goal may stay OutOfSync; "" when there is none or more differs than it covers.

    Covered are the resources that were OutOfSync before the move and those that git no longer has and that are not pruned.
    """
    reason = limits.accept_out_of_sync.get(app.name, "")
    if not reason or app.sync != "OutOfSync" or app.errors or wrong_revision(app, goal):
        return ""
    leftovers = {r.label for r in app.resources if r.pruned}
    now, then = set(app.out_of_sync), set(before.out_of_sync) if before else set()
    if not now or not now <= leftovers | then:
        return ""
    # Resources that Argo CD is about to apply or prune look the same as those it will leave: only a finished sync of the goal distinguishes them.
    operation = app.operation
    applied = operation is not None and operation.phase == "Succeeded" and bool(operation.revisions) and not other_commit(app, goal)
    return reason if applied or (now <= leftovers and not app.prune) else ""


def _accept(app: Application, root: str) -> str:
    """The lines of promotion.toml that accept an application's OutOfSync, which is never an answer for the root."""
    line = f'; or accept that in promotion.toml: [[argocd.accept_out_of_sync]] application = "{app.name}", reason = "why"'
    return "" if app.name == root else line


def oldest(apps: Collection[Application], root: str) -> list[Application]:
    """The applications whose answer shows that Argo CD works: the root, and the longest unreconciled one of each destination (a shard's)."""
    by_age = sorted(apps, key=lambda a: (a.reconciled.timestamp() if a.reconciled else 0.0, a.key))
    first: dict[str, Application] = {}
    for app in by_age:
        first.setdefault(app.destination_server, app)
    chosen = {a.key: a for a in [*(a for a in apps if root and a.name == root), *first.values()]}
    return list(chosen.values())


def _named(resources: Collection[str]) -> str:
    return f": {listed(sorted(resources), 6)}" if resources else ""


def _line(app: Application, why: str, fix: str) -> str:
    return f"{app.name} {why}\n    fix: {fix}"
