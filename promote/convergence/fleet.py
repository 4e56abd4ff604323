"""Which applications belong to a promotion, which must exist after it and which must not. Pure; evaluates no single application.

The root's `status.resources` lists the applications in git: once the root is synced, the expected set is the baseline plus and minus the root's
changes. A rollback expects the complete baseline.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from promote.argocd.application import Application, Resource
from promote.convergence.application_status import Goal, Kind, Reason


def select(snapshot: Iterable[Application], goal: Goal, also: Collection[str] = ()) -> dict[str, Application]:
    """The applications that belong to the promotion, by key: those that follow the tag, those of which nothing says whether they do, those created
    by the root or by one of these, and `also`.

    The created ones belong to it because a chart-only application changes through its parent.
    """
    apps = {a.key: a for a in snapshot}
    chosen = {k: a for k, a in apps.items() if k in also or goal.tracks(a) or goal.unclear(a) or (goal.root and a.managed_by == goal.root)}
    while more := {k: a for k, a in apps.items() if k not in chosen and _made_by(a, chosen.values())}:
        chosen |= more
    return dict(sorted(chosen.items()))


def _made_by(app: Application, parents: Iterable[Application]) -> bool:
    return any(
        (c.kind == "Application" and (c.namespace, c.name) == (app.namespace, app.name)) or (c.kind == "ApplicationSet" and c.name == app.owner)
        for parent in parents
        for c in parent.children
    )


def root_of(apps: Mapping[str, Application], goal: Goal) -> Application | None:
    """The root application (app-of-apps), if it exists and follows the tag."""
    return next((a for a in apps.values() if goal.root and a.name == goal.root and goal.tracks(a)), None)


def _listed(apps: Iterable[Application]) -> dict[str, tuple[Application, Resource]]:
    """Every Application that an app-of-apps lists: key → (the app-of-apps, its entry)."""
    return {f"{c.namespace}/{c.name}": (parent, c) for parent in apps for c in parent.children if c.kind == "Application"}


def unexpectedly_missing(
    present: Mapping[str, Application],
    before: Mapping[str, Application],
    settled: Collection[str],
    *,
    namespaces: Collection[str],
    all_back: bool,
    removals: Collection[str] = (),
) -> dict[str, str]:
    """Applications that should exist and do not: key → reason.

    `settled`: the keys of the applications that are fresh at the goal, whose lists therefore match git. `namespaces`: the visible ones; those in
    other namespaces are `unseen`. `all_back`: a rollback, where every application of the baseline must exist. `removals`: the names of an
    ApplicationSet's applications whose removal the migration plan announces.
    """
    lost = set(before) - set(present)
    if all_back:
        return dict.fromkeys(sorted(lost), "existed before the promotion and does not exist yet")
    wanted = {k: p for k, (p, c) in _listed(a for a in present.values() if a.key in settled).items() if not c.pruned and c.namespace in namespaces}
    reasons = {k: f"does not exist yet ({p.name} has to create it)" for k, p in wanted.items() if k not in present}
    for key in lost - set(reasons):
        announced = before[key].owner and before[key].name in removals
        if not announced and not _rightly_removed(before[key], present, before, settled):
            reasons[key] = (
                f"existed before the promotion and is missing: its ApplicationSet {before[key].owner} removed it; where git means that, "
                f"the migration plan says so: removes: {before[key].name}"
                if before[key].owner
                else "existed before the promotion and is missing, although git does not remove it"
            )
    return dict(sorted(reasons.items()))


def _rightly_removed(app: Application, present: Mapping[str, Application], before: Mapping[str, Application], settled: Collection[str]) -> bool:
    """Whether its app-of-apps is at the goal and no longer lists it or was itself removed (which is evaluated separately).

    Of an ApplicationSet's application, the set itself must be gone in this way: while the set is there, its generator may have lost the application
    for a moment (a forge or a cluster list that did not answer), and nothing here says whether git removed it.
    """
    parent = _listed(before.values()).get(app.key, (None, None))[0] or _maker(app, before.values())
    if parent is None or (app.owner and _maker(app, present.values())):
        return False
    return parent.key not in present or parent.key in settled


def _maker(app: Application, apps: Iterable[Application]) -> Application | None:
    """The app-of-apps that lists the ApplicationSet of this application."""
    return next((p for p in apps for c in p.children if c.kind == "ApplicationSet" and c.name == app.owner and not c.pruned), None)


def unseen(present: Mapping[str, Application], namespaces: Collection[str]) -> dict[str, str]:
    """Applications that an app-of-apps lists in a namespace which is not read: key → reason. `namespaces`: those that are."""
    return {
        key: f"{parent.name} lists it in namespace {child.namespace}, which is not among prod.namespaces"
        for key, (parent, child) in sorted(_listed(present.values()).items())
        if child.namespace not in namespaces and not child.pruned
    }


def to_prune(present: Mapping[str, Application], before: Mapping[str, Application], *, all_back: bool) -> dict[str, Reason]:
    """Applications that should no longer exist and do: key → reason."""
    listed, listed_before = _listed(present.values()), _listed(before.values())
    found = {}
    for key, app in present.items():
        parent, child = listed.get(key, (None, None))
        if all_back and key not in before:
            text = "was added by the version that is rolled back and still exists"
            found[key] = _to_prune(app, parent, text, final=bool(child and child.pruned))
        elif child and child.pruned:
            found[key] = _to_prune(app, parent, "is no longer in git and still exists", final=True)
        elif (
            key in listed_before
            and parent is None
            and (owner := present.get(listed_before[key][0].key))
            and owner.sync == "Synced"
            and owner.children
        ):
            found[key] = _to_prune(app, owner, "is no longer in git and still exists", final=False)
    return found


def _to_prune(app: Application, parent: Application | None, text: str, *, final: bool) -> Reason:
    """The reason for one application; with the command to delete it by hand when its app-of-apps does not prune."""
    if app.deleting:
        waits = "it is being deleted" + (" and waits for its sync to end" if app.in_progress else "")
        return Reason(Kind.DELETING, f"{text}: {waits}")
    if parent is None or (parent.auto_sync and parent.prune):
        return Reason(Kind.DELETING, text)
    command = f"kubectl -n {app.namespace} delete application {app.name}"
    return Reason(Kind.DELETING, f"{text}: {parent.name} does not prune; {command}", final=final)
