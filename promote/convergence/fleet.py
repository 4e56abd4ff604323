"""Which applications belong to a promotion, which must be there after it and which must be gone. Pure; judges no single application.

The root's `status.resources` says what git wants: after it is synced, the expected set is what was there before, plus and minus what the root
changed. A rollback expects the set of before, whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from promote.argocd.application import Application, Child
from promote.convergence.application_status import Goal, Kind, Reason


def select(snapshot: Iterable[Application], goal: Goal, also: Collection[str] = ()) -> dict[str, Application]:
    """Those of interest by key: following the tag, created by the root or by one of these (chart-only ones change through it), or known before."""
    apps = {a.key: a for a in snapshot}
    chosen = {k: a for k, a in apps.items() if k in also or goal.tracks(a) or (goal.root and a.managed_by == goal.root)}
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
    """The app-of-apps, if it is there and follows the tag."""
    return next((a for a in apps.values() if goal.root and a.name == goal.root and goal.tracks(a)), None)


def _listed(apps: Iterable[Application]) -> dict[str, tuple[Application, Child]]:
    """Every Application that some app-of-apps lists: key → (that one, its entry)."""
    return {f"{c.namespace}/{c.name}": (parent, c) for parent in apps for c in parent.children if c.kind == "Application"}


def gone(
    present: Mapping[str, Application], before: Mapping[str, Application], settled: Collection[str], *, namespaces: Collection[str], all_back: bool
) -> dict[str, str]:
    """Applications that should exist and do not: key → why that is wrong.

    `settled`: the keys of those that are fresh at the goal, so what they list is what git wants. `namespaces`: those we can see into; an
    application elsewhere is not missed. `all_back`: a rollback.
    """
    lost = set(before) - set(present)
    if all_back:
        return dict.fromkeys(sorted(lost), "was there before and does not exist (yet)")
    invisible = set(_listed(before.values())) - set(before)
    wanted = {k: p for k, (p, c) in _listed(a for a in present.values() if a.key in settled).items() if not c.pruned and c.namespace in namespaces}
    reasons = {k: f"does not exist yet ({p.name} is to create it)" for k, p in wanted.items() if k not in present and k not in invisible}
    for key in lost - set(reasons):
        if not _rightly_removed(before[key], present, before, settled):
            reasons[key] = "was there before and is gone, and nothing in git says so"
    return dict(sorted(reasons.items()))


def _rightly_removed(app: Application, present: Mapping[str, Application], before: Mapping[str, Application], settled: Collection[str]) -> bool:
    """Its app-of-apps is at the goal and lists it no more, was itself removed (and is judged for that), or it came from an ApplicationSet."""
    parent = _listed(before.values()).get(app.key, (None, None))[0]
    if parent is None:
        return bool(app.owner)
    return parent.key not in present or parent.key in settled


def to_prune(present: Mapping[str, Application], before: Mapping[str, Application], *, all_back: bool) -> dict[str, Reason]:
    """Applications that should be gone and are not."""
    listed, listed_before = _listed(present.values()), _listed(before.values())
    found = {}
    for key, app in present.items():
        parent, child = listed.get(key, (None, None))
        if all_back and key not in before:
            found[key] = _leftover(app, parent, "was added by the version that is rolled back and is still there", final=bool(child and child.pruned))
        elif child and child.pruned:
            found[key] = _leftover(app, parent, "is no longer in git and still there", final=True)
        elif (
            key in listed_before
            and parent is None
            and (owner := present.get(listed_before[key][0].key))
            and owner.sync == "Synced"
            and owner.children
        ):
            found[key] = _leftover(app, owner, "is no longer in git and still there", final=False)
    return found


def _leftover(app: Application, parent: Application | None, text: str, *, final: bool) -> Reason:
    """With the command a person needs when nobody will remove it: its app-of-apps does not prune."""
    if app.deleting:
        waits = "it is being deleted" + (" and waits for its sync to end" if app.in_progress else "")
        return Reason(Kind.DELETING, f"{text}: {waits}")
    if parent is None or (parent.auto_sync and parent.prune):
        return Reason(Kind.DELETING, text)
    command = f"kubectl -n {app.namespace} delete application {app.name}"
    return Reason(Kind.DELETING, f"{text}: {parent.name} does not prune; {command}", final=final)
