"""The logic of `dev-converged`: whether dev runs the candidate, or a descendant of it that changes nothing that dev renders."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from promote.argocd.application import Application
from promote.argocd.source import follows
from promote.checklist.production import kubectl
from promote.checklist.promotion import Promotion
from promote.checklist.smoke import smoke_url_problem
from promote.convergence.application_status import Goal, Limits, arrived, healthy
from promote.core.deadline import Clock, Deadline
from promote.core.errors import NotFound, PromoteError
from promote.core.model import Evidence, short
from promote.manifests.inputs import inputs_of
from promote.manifests.tree import KUSTOMIZATIONS, NotYaml, Tree
from promote.report.words import counted, local_time, spoken

if TYPE_CHECKING:
    from promote.transport.http_probe import HttpClient


def dev_goal(promotion: Promotion, commit: str) -> Goal:
    """The state that dev should reach: the trunk, by any of its names, at a commit."""
    branch = promotion.settings.repository.branch
    names = frozenset({branch, "HEAD", f"refs/heads/{branch}"})
    return Goal(commit=commit, accepted=frozenset({commit}), names=names, repository=promotion.addresses, root="")


def on_dev(promotion: Promotion) -> list[Application]:
    """The applications that follow the trunk on dev, as they are now."""
    goal = dev_goal(promotion, promotion.commit)
    return [a for a in promotion.dev.applications() if goal.tracks(a)]


def wait_for_dev(promotion: Promotion, *, clock: Clock | None = None) -> tuple[list[str], int]:
    """Refresh dev and wait until it runs the candidate, for at most `dev.converge_timeout`.

    Returns (one line "NAME: reason" for each application that does not run it, the number of applications that follow the trunk). Ends early when
    an application at the candidate stays Degraded for `argocd.degraded_grace`. Raises PromoteError when dev cannot be read: an unreachable cluster
    says nothing about the candidate.
    """
    settings, dev, _ = promotion.settings, promotion.dev, promotion.production_read  # started here: both clusters are read at the same time
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
        degraded = [key for key, (_, why) in late.items() if why.startswith("Degraded")]
        degraded_since = {key: degraded_since.get(key, deadline.elapsed) for key in degraded}
        given_up = any(deadline.elapsed - since >= settings.argocd.degraded_grace for since in degraded_since.values())
        if (apps and not late) or deadline.expired or given_up:
            return [f"{a.name}: {why}" for a, why in late.values()], len(apps)
        if deadline.elapsed - asked_at >= settings.argocd.refresh_interval:
            asked_at = deadline.elapsed
            dev.refresh(a for a, _ in late.values())
        deadline.sleep(settings.argocd.poll_interval)


def dev_soak_problem(promotion: Promotion, evidence: Evidence) -> str:
    """Text that says how much longer dev must run the candidate, "" when it has done so for `dev.soak`.

    Measured from the end of the last sync or the last change of health, whichever is later. `status.health.lastTransitionTime` exists since Argo
    CD 3.0; without it only the end of the last sync counts. Raises NotFound when an application has neither.
    """
    soak = promotion.settings.dev.soak
    if not soak:
        return ""
    apps = on_dev(promotion)
    since = {a.name: _since(a) for a in apps}
    if older := sorted(a.name for a in apps if a.healthy_since is None):
        evidence("only the end of the last sync is known, not the time of the last health change", older[:20])
    if unknown := sorted(name for name, when in since.items() if when is None):
        raise NotFound(
            "dev cluster", f"{', '.join(unknown[:4])}: never synced, so the time since it runs the candidate is unknown", hint="sync it once"
        )
    name, youngest = max(((n, w) for n, w in since.items() if w), key=lambda pair: pair[1])
    ready = youngest + timedelta(seconds=soak)
    evidence("healthy since", youngest.isoformat())
    now = datetime.now(UTC)
    if ready <= now:
        return ""
    return (
        f"dev has run the candidate for {spoken((now - youngest).total_seconds())}, expected {spoken(soak)} (dev.soak); the latest was {name}\n"
        f"do   start again at {local_time(ready)}, or later"
    )


def _since(app: Application) -> datetime | None:
    synced = app.operation.finished if app.operation else None
    return max((when for when in (synced, app.healthy_since) if when), default=None)


def failing_dev_urls(promotion: Promotion, http: HttpClient, evidence: Evidence) -> list[str]:
    """The [[dev.urls]] that do not answer as declared: "NAME: " and the text of `smoke_url_problem`; [] when all do."""
    found = {u.name: smoke_url_problem(http, u, _named(evidence, u.name)) for u in promotion.settings.dev.urls}
    return [f"{name}: {why}" for name, why in found.items() if why]


def _named(evidence: Evidence, name: str) -> Evidence:
    return lambda what, value: evidence(f"{name} {what}", value)


def nothing_to_validate_in_dev(promotion: Promotion) -> bool:
    """Whether the promotion changes no file that a dev application could render; False in a first promotion."""
    stable = promotion.target.stable
    if stable is None:
        return False
    return _only_harmless(promotion, stable.commit, promotion.commit, on_dev(promotion))


def rendered_only_in_production(promotion: Promotion) -> list[str]:
    """Paths of changed files that production renders and dev does not, sorted: dev could not validate them.

    Also [] when production cannot be read or a kustomization does not parse: other checks report that.
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
        return why.replace("since the tag moved", "since the refresh")
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
    except NotYaml:  # a file that does not parse may name any other
        return False


def reached(tree: Tree, folders: Collection[str]) -> set[str]:
    """The files that these folders are rendered from, in any folder: a kustomization may name files outside of its own. Raises NotYaml."""
    tree.load(path for path in tree.files if posixpath.basename(path) in KUSTOMIZATIONS)
    return {file for folder in folders for file in inputs_of(tree, folder).files}


def _roots(apps: Sequence[Application]) -> set[str]:
    return {folder.partition("/")[0] for folder in _folders(apps)}


MANIFESTS = (".yaml", ".yml", ".json", ".jsonnet", ".libsonnet", ".tpl", ".toml", ".env", ".properties")


def harmless(path: str, roots: Collection[str], records: str) -> bool:
    """Whether no application reads a file, going by its top-level folder; files outside that kustomizations name are found by `reached`."""
    if path.startswith(f"{records}/"):
        return True
    return path.partition("/")[0] not in roots and "." not in roots and "" not in roots and not path.endswith(MANIFESTS)


def dev_failure(reasons: list[str], promotion: Promotion) -> str:
    """The text for a failure: `reasons` as `wait_for_dev` returns them, why that matters, and the command that shows more."""
    shown = "\n".join(f"  {r}" for r in reasons[:8]) + (f"\n  and {len(reasons) - 8} more" if len(reasons) > 8 else "")
    return (
        f"{counted(len(reasons), 'dev application')} not synced and healthy at {short(promotion.commit)}\n{shown}\n"
        "why  a commit that dev has not run is not validated\n"
        f"do   {kubectl(promotion, 'dev')} -n {promotion.settings.dev.namespaces[0]} get applications.argoproj.io; repair them and start again"
    )
