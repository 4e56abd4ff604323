"""Whether one application, in one snapshot, shows that a commit was applied. Pure: an Application in, the reason why not out.

Covers everything except health over time, which needs several looks and all applications (`evaluator.py`). Every condition comes from a case seen in
the field (docs/argocd.md) and has a test: without it, a stale or half-applied application would pass.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from promote.argocd.application import Application, Operation, tracks, unclear
from promote.argocd.source import follows
from promote.config.schema import Settings
from promote.config.schema_checklist import AcceptedWorkload
from promote.convergence.suspension import suspension_allowed
from promote.core.model import short
from promote.git.url import Addresses
from promote.kube.health import severity
from promote.report.words import listed

_NO_MORE_RETRIES = ("Failed last sync attempt to ", "Failed sync attempt to ")  # the messages of Argo CD 3.2 and 3.1 (both seen)


class Kind(StrEnum):
    """The kind of a reason. It determines what the wait loop does: refresh (`REFRESHABLE`), end a stuck operation, start a sync."""

    DELETING = "deleting"  # being deleted, or to be deleted
    CONDITION = "condition"
    OPERATION = "operation"
    STUCK = "stuck"  # an operation in progress that applies another commit
    STALE = "stale"
    WRONG_REVISION = "wrong revision"
    UNSYNCED = "unsynced"
    LAST_SYNC = "last sync"
    HEALTH_UNSEEN = "health unseen"
    UNCLEAR = "unclear"  # nothing says whether the tag decides what it deploys


# A refresh by Argo CD can change these. It cannot change a running operation, and health changes without one.
REFRESHABLE = frozenset({Kind.CONDITION, Kind.STALE, Kind.WRONG_REVISION, Kind.UNSYNCED, Kind.HEALTH_UNSEEN})


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an application has not converged. `final`: the state will not change by itself, so there is no use in waiting."""

    kind: Kind
    text: str
    final: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Goal:
    """The target of the stable tag: the commit, the ids Argo CD may show for it, the names that track it, the repository, the root application's
    name, the templates of our version tags, which a range of versions may match, and the applications whose removal is announced."""

    commit: str
    accepted: frozenset[str]
    names: frozenset[str]
    repository: Addresses
    root: str
    templates: tuple[str, ...] = ()
    removals: frozenset[str] = frozenset()

    @classmethod
    def for_tag(cls, chain: Sequence[str], settings: Settings, repository: Addresses) -> Goal:
        """`chain`: the tag object and everything it peels through, the commit last."""
        # All of `chain` is accepted: Argo CD before 2.14.8 shows the tag object's id instead of the commit's.
        return cls(
            commit=chain[-1], accepted=frozenset(chain), names=tracked_names(settings.tags.stable), repository=repository,
            root=settings.prod.root_app, templates=(settings.tags.prod, settings.tags.dev),
        )  # fmt: skip

    def tracks(self, app: Application) -> bool:
        return tracks(app, self.repository, self.names)

    def unclear(self, app: Application) -> str:
        """Why it cannot be said whether the tag decides what an application deploys; "" when it can."""
        return unclear(app, self.repository, self.names, self.templates)

    def applied(self, app: Application) -> frozenset[str]:
        """The revisions that show the goal as applied by this application: of a source hydrator, the commit rendered from the goal."""
        if app.hydration is None:
            return self.accepted
        return frozenset({app.hydration.hydrated} - {""}) if app.hydration.dry in self.accepted else frozenset()


def tracked_names(tag: str) -> frozenset[str]:
    """The spellings of the tag that an Application may have in targetRevision."""
    return frozenset({tag, f"refs/tags/{tag}"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The thresholds of the evaluation.

    `degraded_grace_s`: seconds an application may stay Degraded. `successes`: successive looks that must agree. `allow_suspended`: applications that
    may be Suspended. `auto_sync_required`: Argo CD starts the syncs. `accept`: `[[running.accept]]` in force. `accept_out_of_sync`: reasons by name.
    """

    degraded_grace_s: float
    successes: int
    allow_suspended: frozenset[str] = frozenset()
    auto_sync_required: bool = True
    accept: tuple[AcceptedWorkload, ...] = ()
    accept_out_of_sync: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings, *, successes: int | None = None) -> Limits:
        argocd = settings.argocd
        return cls(
            degraded_grace_s=argocd.degraded_grace,
            successes=successes or argocd.successes,
            allow_suspended=frozenset(argocd.allow_suspended),
            auto_sync_required=argocd.sync == "auto",
            accept=settings.running.in_force(datetime.now(UTC).date()),
            accept_out_of_sync={a.application: a.reason for a in argocd.accept_out_of_sync},
        )


def healthy(app: Application, limits: Limits) -> bool:
    return app.health == "Healthy" or (app.health == "Suspended" and suspension_allowed(app, limits.allow_suspended, limits.accept))


def worse(now: Application, before: Application) -> bool:
    """Whether the health is worse than before: Degraded after Progressing is a new fault, not the old one."""
    return severity(now.health) > severity(before.health)


def refreshed(app: Application, fresh_after: datetime | None) -> bool:
    """Whether Argo CD reconciled the application after `fresh_after`, a time on Argo CD's own clock."""
    # Strictly after: timestamps have whole seconds, so an equal one proves nothing.
    return app.reconciled is not None and (fresh_after is None or app.reconciled > fresh_after)


def pending_reason(
    app: Application,
    goal: Goal,
    limits: Limits,
    *,
    fresh_after: datetime | None,
    t_before: datetime | None,
    ignore_other_revisions: bool = False,
    denied: str = "",
    earlier: Operation | None = None,
) -> Reason | None:
    """Why this application has not applied the goal yet; None when it has. Does not consider its health.

    `fresh_after`: its `reconciledAt` in a snapshot read after the move. `t_before`: the time of our last read of the old tag; a failed last sync that
    finished before it is tolerated, unless it was a sync of the goal (our clock and the cluster's may differ). `earlier`: its last operation before
    the move; the same operation is tolerated, whatever the clocks show. `ignore_other_revisions`: tolerate a finished sync of another commit too: in
    a rollback a terminated sync reads Failed, and none follows when nothing differs. `denied`: the sync window that blocks it now.
    """
    if why := goal.unclear(app):
        return Reason(Kind.UNCLEAR, why)
    if app.deleting:
        return Reason(Kind.DELETING, "is being deleted" + (" and waits for its sync to end" if app.in_progress else ""))
    if app.in_progress:
        return _in_progress(app, goal)
    if not refreshed(app, fresh_after):
        return Reason(Kind.STALE, _stale(app))
    return _compared(app, goal, limits, denied) or _last_sync(app, goal, t_before, ignore_other_revisions, earlier)


def arrived(app: Application, goal: Goal, *, fresh_after: datetime | None, t_before: datetime | None) -> str:
    """The text of `pending_reason` for a single look outside of a promotion; "" when the goal is applied."""
    reason = pending_reason(app, goal, Limits(degraded_grace_s=0, successes=1), fresh_after=fresh_after, t_before=t_before)
    return reason.text if reason else ""


def _stale(app: Application) -> str:
    prefix = "chart only: " if app.sources and all(source.chart for source in app.sources) else ""
    shows = f" (shows {app.errors[0][0]}: {_cut(app.errors[0][1])})" if app.errors else ""
    return f"{prefix}not reconciled since the tag moved{shows}"


def _compared(app: Application, goal: Goal, limits: Limits, denied: str) -> Reason | None:
    """The reason that Argo CD's last comparison of git and cluster gives."""
    where = wrong_revision(app, goal)
    if app.errors:
        kind, message = app.errors[0]
        at = f" (shows {where})" if where else ""
        return Reason(Kind.CONDITION, f"{kind}: {_cut(message)}{at}", final=bool(not where and _failed_for_good(app, goal)))
    if where:
        return Reason(Kind.WRONG_REVISION, f"still at {where}")
    if app.sync != "Synced" or app.out_of_sync:
        return _unsynced(app, goal, limits, denied)
    return None


def wrong_revision(app: Application, goal: Goal) -> str:
    """The revision of the first source that tracks the tag and is not at the goal; "" when all are."""
    for source in app.sources:
        if follows(source, goal.repository, goal.names) and source.revision not in goal.applied(app):
            shown = short(source.revision) if _is_id(source.revision) else source.revision or "no revision"
            return shown + _hydration(app, goal)
    return ""


def _hydration(app: Application, goal: Goal) -> str:
    """What the source hydrator did instead of rendering the goal; "" when it rendered it or there is none."""
    found = app.hydration
    if found is None or found.dry in goal.accepted:
        return ""
    doing = f"hydration {found.phase}: {_cut(found.message)}".rstrip(": ") if found.phase not in ("", "Hydrated") else "not hydrated at the commit"
    return f", rendered from {short(found.dry) if found.dry else 'nothing'} ({doing})"


def _is_id(text: str) -> bool:
    return len(text) >= 40 and all(c in "0123456789abcdef" for c in text)


def _in_progress(app: Application, goal: Goal) -> Reason:
    operation = app.operation
    if operation is None or operation.phase not in ("Running", "Terminating", ""):  # the state still describes the previous sync
        return Reason(Kind.OPERATION, "a sync was requested and has not started")
    other = other_commit(app, goal)
    what = "retrying" if operation.phase == "Running" and operation.finished else operation.phase.lower() or "starting"
    at = f" another commit {short(other)}" if other else ""
    text = f"operation {what}{at}: {_cut(operation.message)}".rstrip(": ")
    return Reason(Kind.STUCK if other and operation.phase == "Running" else Kind.OPERATION, text)


def other_commit(app: Application, goal: Goal) -> str:
    """The revision that its last or running operation applies instead of the goal; "" when that is the goal, unknown, or the tag does not decide
    it."""
    revisions = app.operation.revisions if app.operation and goal.tracks(app) else ()
    tracked = [follows(source, goal.repository, goal.names) for source in app.sources]
    if len(tracked) == len(revisions):
        return next((r for ours, r in zip(tracked, revisions, strict=True) if ours and r not in goal.applied(app)), "")
    return "" if any(r in goal.applied(app) for r in revisions) else next(iter(revisions), "")


def _unsynced(app: Application, goal: Goal, limits: Limits, denied: str) -> Reason:
    differs = _named(app.out_of_sync)
    if denied:
        return Reason(Kind.UNSYNCED, f"{app.sync}, {denied}")
    if limits.auto_sync_required and not app.auto_sync:
        return Reason(Kind.UNSYNCED, f"{app.sync} and auto-sync is off{differs}")
    if app.operation and _failed_for_good(app, goal):
        return Reason(Kind.UNSYNCED, f"{app.sync}, {_describe(app.operation)}", final=True)
    return Reason(Kind.UNSYNCED, f"{app.sync}{differs}" if app.sync != "Synced" else f"resources are OutOfSync{differs}")


def _failed_for_good(app: Application, goal: Goal) -> bool:
    """Whether its last sync failed and auto-sync will not retry it: it was a sync of the goal, or Argo CD reports so.

    Argo CD reports so for other commits too: when they do not differ for this application, or the failed sync left no result.
    """
    operation = app.operation
    if operation is None or operation.phase not in ("Failed", "Error"):
        return False
    no_more_retries = any(kind == "SyncError" and message.startswith(_NO_MORE_RETRIES) for kind, message in app.errors)
    return no_more_retries or bool(operation.revisions and goal.tracks(app) and not other_commit(app, goal))


def _last_sync(app: Application, goal: Goal, t_before: datetime | None, ignore_other_revisions: bool, earlier: Operation | None) -> Reason | None:
    operation = app.operation
    if operation is None:
        return None
    tolerated = _over_before(operation, t_before, earlier, other_commit(app, goal)) or (ignore_other_revisions and bool(other_commit(app, goal)))
    if (operation.phase != "Succeeded" or operation.failed_resources) and not tolerated:
        return Reason(Kind.LAST_SYNC, _describe(operation), final=_failed_for_good(app, goal))
    if operation.finished and app.reconciled and app.reconciled < operation.finished:
        return Reason(Kind.HEALTH_UNSEEN, "health not refreshed since the sync finished")
    return None


def _over_before(operation: Operation, t_before: datetime | None, earlier: Operation | None, other: str) -> bool:
    """Whether the operation ended before the move. `other`: the commit it applied, "" for the goal."""
    if t_before is None or operation.finished is None:
        return False
    # A time alone does not date a sync of the goal: with the cluster's clock behind ours, it may have ended after the move.
    return is_same(earlier, operation) or (operation.finished < t_before and bool(other))


def is_same(earlier: Operation | None, operation: Operation | None) -> bool:
    """Whether both are the same operation, by phase, start and end."""
    if earlier is None or operation is None:
        return False
    return (earlier.phase, earlier.started, earlier.finished) == (operation.phase, operation.started, operation.finished)


def _describe(operation: Operation) -> str:
    if operation.failed_resources:
        return f"last sync failed for {_cut(operation.failed_resources[0])}"
    return f"last sync {operation.phase}: {_cut(operation.message)}".rstrip(": ")


def _named(resources: Collection[str]) -> str:
    return f": {listed(sorted(resources))}" if resources else ""


def _cut(text: str) -> str:
    """The text on one line of at most 140 characters; Argo CD's messages contain whole command outputs."""
    line = " ".join(text.split())
    return line if len(line) <= 140 else f"{line[:139]}…"
