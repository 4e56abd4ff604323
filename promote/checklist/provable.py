"""The check `provable`: can production's state be proven after a move, and after a rollback? Asked before anything moves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from promote.argocd.application import Application, parse_application
from promote.argocd.application_sets import synced_in_steps
from promote.checklist.outcome import Undetermined
from promote.checklist.production import following
from promote.checklist.promotion import Promotion
from promote.checklist.workloads import workloads_of
from promote.convergence.application_status import Limits
from promote.convergence.at_rest import dropped_and_kept, obstacles
from promote.convergence.fleet import select
from promote.convergence.sign_of_life import Manifests, no_sign_of_life, refresh_and_read
from promote.core.deadline import Clock
from promote.core.model import Evidence
from promote.kube.live import read_live
from promote.manifests.compare import Comparison
from promote.report.words import listed


def unprovable(promotion: Promotion, seen: Comparison, evidence: Evidence, clock: Clock | None = None) -> list[str]:
    """Reasons why a promotion could not be proven, one for each application and obstacle with its fix; [] when there is none.

    `seen` is the fixture `comparison`. Requests a refresh of a few applications, which Argo CD must answer within `argocd.refresh_timeout`. Raises
    Undetermined when something could not be compared, PromoteError when the cluster cannot be read.
    """
    clock = clock or Clock()
    following(promotion)
    manifests, silent = refresh_and_read(promotion.production, promotion.goal, promotion.settings, clock, restless=_restless)
    apps = select(map(parse_application, manifests.values()), promotion.goal)
    _require_rights(promotion, apps.values())
    found = _at_rest(promotion, apps, manifests, evidence, clock)
    found += no_sign_of_life(silent, promotion.settings, promotion.production.namespace)
    steps = synced_in_steps(promotion.production.kube, apps.values())
    found += _kept(promotion, apps, steps, seen, evidence)
    if not found:
        _require_known(promotion, apps, steps, seen, evidence)
    return found


def _require_rights(promotion: Promotion, apps: Iterable[Application]) -> None:
    """Raise Undetermined, or Denied, when the post suite may not read what it needs: after the move it would be too late to know."""
    kube, disabled = promotion.production.kube, {off.id for off in promotion.settings.checklist.disabled}
    if "events" not in disabled:
        kube.get("/api/v1/events?limit=1")
    kinds = {(w.resource.group, w.resource.kind) for w in workloads_of(apps)} if "workloads-updated" not in disabled else set()
    if unread := read_live(lambda path: kube.get(f"{path}?limit=1").get("items") or [], kinds).unread:
        raise Undetermined(f"workloads-updated could not read every workload: {'; '.join(unread.values())}", hint="grant the rights of docs/rbac.md")


def _restless(app: Application) -> bool:
    """Whether Argo CD may still be bringing it to rest: OutOfSync for another reason than objects that it does not prune, or in an operation."""
    waits = app.sync == "OutOfSync" and app.auto_sync and (app.prune or not all(r.pruned for r in app.resources if r.sync == "OutOfSync"))
    return app.in_progress or waits


def _at_rest(promotion: Promotion, apps: Mapping[str, Application], manifests: Manifests, evidence: Evidence, clock: Clock) -> list[str]:
    reasons = Limits.of(promotion.settings).accept_out_of_sync
    accepted = {
        a.name: f"{reasons[a.name]}: {', '.join(a.out_of_sync)}" for a in apps.values() if a.name in reasons and a.name != promotion.goal.root
    }
    evidence("accepted OutOfSync", {a.name: accepted[a.name] for a in apps.values() if a.name in accepted and a.out_of_sync})
    # Nothing can be in sync with a tag that does not exist yet.
    first, limit_s = promotion.choices.first, promotion.settings.argocd.converge_timeout
    evidence("operations in progress", sorted(a.name for a in apps.values() if a.in_progress))
    return [
        line
        for key, app in sorted(apps.items())
        for line in obstacles(manifests[key], app, root=promotion.goal.root, accepted=first or app.name in accepted, now=clock.now(), limit_s=limit_s)
    ]


def _kept(promotion: Promotion, apps: Mapping[str, Application], steps: Mapping[str, bool], seen: Comparison, evidence: Evidence) -> list[str]:
    """Objects that the candidate drops and Argo CD would keep: the application would stay OutOfSync, forward and after a rollback."""
    accepted = Limits.of(promotion.settings).accept_out_of_sync
    dropped = {name: list(objects) for name, objects in seen.dropped.items()}
    for app in apps.values():
        children = {c.name for c in app.children if c.kind == "Application"}
        dropped.setdefault(app.name, []).extend((f"Application {name}", "") for name in seen.removed_applications if name in children)
    evidence("dropped by the candidate", {name: [what for what, _ in objects] for name, objects in sorted(dropped.items()) if objects})
    lines = []
    for key, app in sorted(apps.items()):
        line = dropped_and_kept(app, dropped.get(app.name, ()), root=promotion.goal.root, prunes=steps.get(key, app.prune))
        if line and app.name in accepted and app.name != promotion.goal.root:
            evidence(f"accepted to stay in {app.name}", line.partition("\n")[0])
        elif line:
            lines.append(line)
    return lines


def _require_known(promotion: Promotion, apps: Mapping[str, Application], steps: Mapping[str, bool], seen: Comparison, evidence: Evidence) -> None:
    """Raise Undetermined for obstacles that may exist and cannot be seen from here."""
    settings, root = promotion.settings, promotion.goal.root
    accepted = Limits.of(settings).accept_out_of_sync
    blind = [
        a.name for key, a in apps.items()
        if promotion.goal.tracks(a) and a.name not in {*seen.compared, *accepted, root} and not steps.get(key, a.prune)
    ]  # fmt: skip
    evidence("does not prune, and dropped objects are not known", sorted(blind))
    if blind and settings.manifests.on_unrendered == "unknown" and promotion.target.stable is not None:
        names = listed(sorted(blind), 4)
        raise Undetermined(
            f"{names} would keep what the candidate drops (pruning is off), and what that is could not be compared here",
            hint="set spec.syncPolicy.automated.prune = true in their manifests, or accept the risk: argocd.accept_out_of_sync or"
            ' manifests.on_unrendered = "accepted" in promotion.toml',
        )
    tracking = [a for a in apps.values() if promotion.goal.tracks(a)]
    signed = {p.name: p.signatures for p in promotion.production.projects(tracking).values() if p.signatures}
    evidence("projects that demand signatures", signed)
    if signed:
        name, field = next(iter(sorted(signed.items())))
        theirs = [a.name for a in tracking if a.project in signed]
        raise Undetermined(
            f"AppProject {name} has {field}: Argo CD may refuse the tag that promote creates, which is not signed, for {listed(sorted(theirs), 4)}",
            hint=f"kubectl -n {promotion.production.namespace} edit appproject {name}; or, where Argo CD does not verify signatures (GnuPG is off):"
            ' [[waivers]] id = "provable"',
        )
