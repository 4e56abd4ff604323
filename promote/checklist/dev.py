"""Has dev shown the candidate? At the commit itself, or at a descendant that changes nothing dev renders."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from promote.argocd.application import Application, follows
from promote.checklist.promotion import Promotion
from promote.checklist.smoke import ask
from promote.convergence.application_status import Goal, Limits, arrived, healthy
from promote.core.deadline import Clock, Deadline
from promote.core.errors import NotFound, PromoteError
from promote.core.model import short
from promote.manifests.inputs import inputs_of
from promote.manifests.tree import KUSTOMIZATIONS, NotYaml, Tree
from promote.report.words import local_time, spoken

if TYPE_CHECKING:
    from promote.transport.http_probe import Web

Evidence = Callable[[str, object], None]


def dev_goal(promotion: Promotion, commit: str) -> Goal:
    """What dev follows: the trunk by any of its names, at a commit."""
    branch = promotion.settings.repository.branch
    names = frozenset({branch, "HEAD", f"refs/heads/{branch}"})
    return Goal(commit=commit, accepted=frozenset({commit}), names=names, repository=promotion.remote.url, root="")


def on_dev(promotion: Promotion) -> list[Application]:
    """The applications that follow the trunk on dev, as they are now."""
    goal = dev_goal(promotion, promotion.commit)
    return [a for a in promotion.dev.applications() if goal.tracks(a)]


def waiting_on_dev(promotion: Promotion, *, clock: Clock | None = None) -> tuple[list[str], int]:
    """Refresh dev and wait until it shows the candidate: (who does not, with the reason; how many were looked at).

    Ends early when an application that has the candidate stays Degraded for `argocd.degraded_grace`: waiting longer would not make it a yes.
    Raises what the clients raise; an unreachable dev cluster is not a failed candidate.
    """
    settings, dev, _ = promotion.settings, promotion.dev, promotion.production_read  # begun now: two clusters are read side by side
    trunk = promotion.target.branch
    if not promotion.remote.is_ancestor(promotion.commit, trunk.commit):
        # Dev follows the trunk: waiting would not make it show a commit that is not on it.
        apps = on_dev(promotion)
        return [f"{a.name}: follows {settings.repository.branch}, and {short(promotion.commit)} is not on it" for a in apps], len(apps)
    deadline = Deadline(settings.dev.converge_timeout, clock or Clock())
    seen = {a.key: a for a in dev.applications()}
    asked_at = -1e9
    degraded_since: dict[str, float] = {}
    while True:
        apps = on_dev(promotion)
        late = {a.key: (a, why) for a in apps if (why := _why_not(promotion, a, apps, seen.get(a.key)))}
        sick = [key for key, (_, why) in late.items() if why.startswith("Degraded")]
        degraded_since = {key: degraded_since.get(key, deadline.elapsed) for key in sick}
        given_up = any(deadline.elapsed - since >= settings.argocd.degraded_grace for since in degraded_since.values())
        if (apps and not late) or deadline.expired or given_up:
            return [f"{a.name}: {why}" for a, why in late.values()], len(apps)
        if deadline.elapsed - asked_at >= settings.argocd.refresh_interval:
            asked_at = deadline.elapsed
            dev.refresh(a for a, _ in late.values())
        deadline.sleep(settings.argocd.poll_interval)


def too_fresh(promotion: Promotion, evidence: Evidence) -> str:
    """Whether dev has shown the candidate for less than `dev.soak`: since its last sync ended and its health last changed, whichever is later.

    `status.health.lastTransitionTime` is there since Argo CD 3.0; where it is not, the end of the last sync has to do. Raises NotFound when an
    application says neither.
    """
    soak = promotion.settings.dev.soak
    if not soak:
        return ""
    apps = on_dev(promotion)
    since = {a.name: _since(a) for a in apps}
    if older := sorted(a.name for a in apps if a.healthy_since is None):
        evidence("only the end of the last sync is known, not since when they are healthy", older[:20])
    if silent := sorted(name for name, when in since.items() if when is None):
        raise NotFound("dev cluster", f"{', '.join(silent[:4])}: no sync ever ended there, so nobody knows since when it is so", hint="sync it once")
    name, youngest = max(((n, w) for n, w in since.items() if w), key=lambda pair: pair[1])
    ready = youngest + timedelta(seconds=soak)
    evidence("well since", youngest.isoformat())
    now = datetime.now(UTC)
    if ready <= now:
        return ""
    return (
        f"dev has been well at it for {spoken((now - youngest).total_seconds())}, dev.soak asks for {spoken(soak)}; the last to get there: {name}\n"
        f"do   start again at {local_time(ready)}, or later"
    )


def _since(app: Application) -> datetime | None:
    synced = app.operation.finished if app.operation else None
    return max((when for when in (synced, app.healthy_since) if when), default=None)


def not_answering(promotion: Promotion, http: Web, evidence: Evidence) -> list[str]:
    """The [[dev.urls]] that do not answer as declared."""
    said = {u.name: ask(http, u, _named(evidence, u.name)) for u in promotion.settings.dev.urls}
    return [f"{name}: {why}" for name, why in said.items() if why]


def _named(evidence: Evidence, name: str) -> Evidence:
    return lambda what, value: evidence(f"{name} {what}", value)


def renders_nothing_new(promotion: Promotion) -> bool:
    """Whether what would be shipped touches no file that a dev application could render: there was nothing to validate, which is worth saying."""
    stable = promotion.target.stable
    if stable is None:
        return False
    return _only_harmless(promotion, stable.commit, promotion.commit, on_dev(promotion))


def rendered_in_production_alone(promotion: Promotion) -> list[str]:
    """The files of what would be shipped that production renders and dev does not: nothing was validated about them anywhere.

    [] too when production cannot be asked or a kustomization does not parse: the checks about those say so.
    """
    from promote.checklist.candidate import tree_of

    stable = promotion.target.stable
    if stable is None:
        return []
    try:
        in_production = promotion.production_read.result().applications(promotion.goal).values()
        tree = tree_of(promotion, promotion.commit)
        rendered, shown = (reached(tree, _folders(apps)) for apps in (in_production, on_dev(promotion)))
    except (NotYaml, PromoteError):
        return []
    return sorted((rendered - shown) & set(promotion.remote.changed_paths(stable.commit, promotion.commit)))


def _folders(apps: Iterable[Application]) -> set[str]:
    return {s.path.strip("/") for a in apps for s in a.sources if s.path}


def _why_not(promotion: Promotion, app: Application, apps: Sequence[Application], before: Application | None) -> str:
    goal = dev_goal(promotion, promotion.commit)
    shown = {s.revision for s in app.sources if follows(s, goal.repository, goal.names)}
    harmless = {r for r in shown if r != promotion.commit and _same_for_dev(promotion, r, apps)}
    goal = Goal(commit=goal.commit, accepted=goal.accepted | harmless, names=goal.names, repository=goal.repository, root="")
    why = arrived(app, goal, fresh_after=before.reconciled if before else None, t_before=None)
    if why:
        return why.replace("since the tag moved", "since it was asked")
    limits = Limits.of(promotion.settings)
    return "" if healthy(app, limits) else f"{app.health}: {app.health_message}".rstrip(": ")


_KNOWN: dict[tuple[str, str], bool] = {}


def _same_for_dev(promotion: Promotion, revision: str, apps: Sequence[Application]) -> bool:
    """Whether `revision` is a descendant of the candidate whose difference touches no path that a dev application renders."""
    key = (promotion.commit, revision)
    if key not in _KNOWN:
        _KNOWN[key] = _look(promotion, revision, apps)
    return _KNOWN[key]


def _look(promotion: Promotion, revision: str, apps: Sequence[Application]) -> bool:
    remote = promotion.remote
    if not remote.has(revision):
        remote.fetch(promotion.names.branch)
    if not remote.has(revision) or not remote.is_ancestor(promotion.commit, revision):
        return False
    return _only_harmless(promotion, promotion.commit, revision, apps)


def _only_harmless(promotion: Promotion, old: str, new: str, apps: Sequence[Application]) -> bool:
    """Whether no application can render any of the files in which two commits differ."""
    from promote.checklist.candidate import tree_of

    records, roots, changed = promotion.settings.promotion.records, _roots(apps), promotion.remote.changed_paths(old, new)
    if not all(harmless(path, roots, records) for path in changed):
        return False
    try:
        return not any(set(changed) & reached(tree_of(promotion, commit), _folders(apps)) for commit in (old, new))
    except NotYaml:  # what does not parse may name anything
        return False


def reached(tree: Tree, folders: Collection[str]) -> set[str]:
    """The files that these folders render from, wherever they lie: a kustomization may reach out of its top-level folder. Raises NotYaml."""
    tree.load(path for path in tree.files if posixpath.basename(path) in KUSTOMIZATIONS)
    return {file for folder in folders for file in inputs_of(tree, folder).files}


def _roots(apps: Sequence[Application]) -> set[str]:
    return {folder.partition("/")[0] for folder in _folders(apps)}


MANIFESTS = (".yaml", ".yml", ".json", ".jsonnet", ".libsonnet", ".tpl", ".toml", ".env", ".properties")


def harmless(path: str, roots: Collection[str], records: str) -> bool:
    """Whether a file lies where no application looks: whole top-level folders count, and what kustomizations name beyond them is `reached`."""
    if path.startswith(f"{records}/"):
        return True
    return path.partition("/")[0] not in roots and "." not in roots and "" not in roots and not path.endswith(MANIFESTS)


def describe(reasons: list[str], promotion: Promotion) -> str:
    """The failure text of the check."""
    shown = "\n".join(f"  {r}" for r in reasons[:8]) + (f"\n  and {len(reasons) - 8} more" if len(reasons) > 8 else "")
    return (
        f"{len(reasons)} dev applications do not show {short(promotion.commit)} as synced and healthy\n{shown}\n"
        "why  what dev has not shown is not validated\n"
        "do   look at them: kubectl -n argocd get applications (dev context); then start again"
    )
