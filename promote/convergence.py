"""Is an application really at the commit? The predicate, pure: a snapshot in, a named reason out. A stale Synced/Healthy can never satisfy it.

Every clause has its case in the field (docs/argocd.md) and its test; removing one makes a test fail.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from promote.applications import Application, follows
from promote.model import AppState, AppVerdict, short
from promote.settings import Settings

AT_ONCE = 3  # that many applications Unknown at the same look are not theirs but the repo-server's trouble


@dataclass(frozen=True, kw_only=True, slots=True)
class Goal:
    """What the stable tag stands for: the commit, every id an Argo CD may show for it, the names that track it, whose repository, the root."""

    commit: str
    accepted: frozenset[str]
    names: frozenset[str]
    repository: str
    root: str

    @classmethod
    def for_tag(cls, chain: Sequence[str], settings: Settings, repository: str) -> Goal:
        """`chain`: the tag object and all it peels through, the commit last. Argo CD before 2.14.8 shows the tag object instead of the commit."""
        return cls(
            commit=chain[-1], accepted=frozenset(chain), names=tracked_names(settings.tags.stable), repository=repository, root=settings.prod.root
        )

    def tracks(self, app: Application) -> bool:
        return any(follows(source, self.repository, self.names) for source in app.sources)


def of_interest(app: Application, goal: Goal) -> bool:
    """Follows the tag, or was created by the root (chart-only applications change through it)."""
    return goal.tracks(app) or bool(goal.root and app.managed_by == goal.root)


def tracked_names(tag: str) -> frozenset[str]:
    return frozenset({tag, f"refs/tags/{tag}"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The patience of a judgement: seconds a Degraded may last, looks in a row, and who may be Suspended."""

    degraded_grace_s: float
    looks: int
    suspended_ok: frozenset[str] = frozenset()
    auto_sync_required: bool = True

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        argocd = settings.argocd
        return cls(
            degraded_grace_s=argocd.degraded_grace,
            looks=argocd.looks,
            suspended_ok=frozenset(argocd.suspended_ok),
            auto_sync_required=argocd.sync == "auto",
        )


def arrived(app: Application, goal: Goal, *, fresh_after: datetime | None, t_before: datetime | None) -> str:
    """Why the desired state of the goal is not applied yet, "" when it is: everything but health."""
    where = _elsewhere(app, goal)
    if app.errors:
        kind, message = app.errors[0]
        return f"{kind}: {message[:160]}" + (f" (shows {where})" if where else "")
    if app.in_progress:
        return _operation_reason(app, goal)
    if fresh_after is not None and (app.reconciled is None or app.reconciled <= fresh_after):
        return "not reconciled since the tag moved"
    if app.reconciled is None:
        return "never reconciled"
    if where:
        return f"still at {where}"
    if app.sync != "Synced":
        return _unsynced_reason(app)
    return _last_operation_reason(app, t_before)


def _elsewhere(app: Application, goal: Goal) -> str:
    """The revision of the first source that tracks the tag and is not at the goal."""
    for source in app.sources:
        if follows(source, goal.repository, goal.names) and source.revision not in goal.accepted:
            return short(source.revision) if source.revision else "no revision"
    return ""


def _operation_reason(app: Application, goal: Goal) -> str:
    operation = app.operation
    if operation is None:
        return "a sync was requested and has not started"
    other = [r for r in operation.revisions if r not in goal.accepted]
    if operation.finished and operation.phase == "Running":
        at = f"another commit {short(other[0])}" if stuck_elsewhere(app, goal) else "this commit"
        return f"operation retrying {at}: {operation.message[:140]}"
    at = f" another commit {short(other[0])}" if stuck_elsewhere(app, goal) else ""
    return f"operation {operation.phase or 'starting'}{at}: {operation.message[:140]}".rstrip(": ")


def stuck_elsewhere(app: Application, goal: Goal) -> bool:
    """Whether an operation is in progress that applies another commit than the goal, so it holds the goal back."""
    operation = app.operation
    if not app.in_progress or operation is None or not operation.revisions:
        return False
    tracked = [follows(source, goal.repository, goal.names) for source in app.sources]
    if len(tracked) == len(operation.revisions):
        return any(ours and r not in goal.accepted for ours, r in zip(tracked, operation.revisions, strict=True))
    return not any(r in goal.accepted for r in operation.revisions)


def _unsynced_reason(app: Application) -> str:
    what = f": {', '.join(app.out_of_sync[:3])}" if app.out_of_sync else ""
    if not app.auto_sync:
        return f"{app.sync} and auto-sync is off{what}"
    failed = app.operation
    if failed and failed.phase in ("Failed", "Error"):
        return f"{app.sync}, last sync {failed.phase}: {failed.message[:140]}"
    return f"{app.sync}{what}"


def _last_operation_reason(app: Application, t_before: datetime | None) -> str:
    operation = app.operation
    if operation is None:
        return ""
    if operation.phase != "Succeeded" and not (t_before and operation.finished and operation.finished < t_before):
        return f"last sync {operation.phase}: {operation.message[:140]}"
    if operation.failed_resources and not (t_before and operation.finished and operation.finished < t_before):
        return f"last sync failed for {operation.failed_resources[0][:140]}"
    if app.out_of_sync:
        return f"OutOfSync: {', '.join(app.out_of_sync[:3])}"
    if operation.finished and app.reconciled and app.reconciled < operation.finished:
        return "health not looked at since the sync finished"
    return ""


def healthy(app: Application, limits: Limits) -> bool:
    return app.health == "Healthy" or (app.health == "Suspended" and app.name in limits.suspended_ok)


@dataclass(slots=True)
class Convergence:
    """The judgement over several looks. Feed `look` with snapshots; pure but for what it remembers of earlier ones."""

    goal: Goal
    limits: Limits
    baseline: Mapping[str, Application]
    t_before: datetime | None
    require_all: bool = False  # a rollback: the set of before must be back, what the bad commit added must be gone
    fresh_after: dict[str, datetime] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    degraded_since: dict[str, datetime] = field(default_factory=dict)

    def remember(self, snapshot: Collection[Application]) -> None:
        """The snapshot read right after the move was seen: from here an application is fresh when it reconciled strictly later than it says."""
        for app in snapshot:
            if app.reconciled:
                self.fresh_after[app.key] = app.reconciled

    def of_interest(self, app: Application) -> bool:
        """Ours: follows the tag, or is a child of the root, or was one of these before."""
        return app.key in self.baseline or of_interest(app, self.goal)

    def fresh(self, app: Application) -> bool:
        """Whether what it shows was seen by Argo CD after the move."""
        after = self.fresh_after.get(app.key)
        return app.reconciled is not None and (after is None or app.reconciled > after)

    def look(self, snapshot: Collection[Application], now: datetime) -> tuple[AppVerdict, ...]:
        """Judge every application of interest at this look."""
        interest = {a.key: a for a in snapshot if self.of_interest(a)}
        unknown = [a for a in interest.values() if a.sync == "Unknown"]
        if self.goal.root and not any(a.name == self.goal.root for a in interest.values()):
            return (AppVerdict(name=self.goal.root, state=AppState.WAITING, reason="the root application does not exist or does not follow the tag"),)
        verdicts = [self._judge(app, now) for app in interest.values()]
        if len(unknown) >= AT_ONCE and len(unknown) > len(interest) // 2:
            text = f"{len(unknown)} applications are Unknown at once: trouble of the repo-server, not theirs"
            verdicts = [AppVerdict(name=v.name, state=AppState.UNKNOWN, reason=text) if v.state is not AppState.PROVEN else v for v in verdicts]
        return tuple(sorted(self._absent(interest) + verdicts, key=lambda v: v.name))

    def _absent(self, interest: Mapping[str, Application]) -> list[AppVerdict]:
        gone = (set(self.baseline) if self.require_all else set()) - set(interest)
        return [AppVerdict(name=key.partition("/")[2], state=AppState.WAITING, reason="does not exist (yet)") for key in sorted(gone)]

    def _reason(self, app: Application) -> str:
        return arrived(app, self.goal, fresh_after=self.fresh_after.get(app.key), t_before=self.t_before)

    def _judge(self, app: Application, now: datetime) -> AppVerdict:
        if self.require_all and app.key not in self.baseline:
            return AppVerdict(name=app.name, state=AppState.WAITING, reason="was added by the version that is rolled back and is still there")
        reason = self._reason(app) if self.goal.tracks(app) else self._untracked_reason(app)
        if reason:
            self.held.pop(app.key, None)
            return AppVerdict(name=app.name, state=AppState.WAITING, reason=reason)
        if not healthy(app, self.limits):
            self.held.pop(app.key, None)
            return self._unhealthy(app, now)
        self.degraded_since.pop(app.key, None)
        self.held[app.key] = self.held.get(app.key, 0) + 1
        if self.held[app.key] < self.limits.looks:
            return AppVerdict(name=app.name, state=AppState.WAITING, reason=f"there; seen {self.held[app.key]} of {self.limits.looks} times in a row")
        return AppVerdict(name=app.name, state=AppState.PROVEN)

    def _untracked_reason(self, app: Application) -> str:
        """A chart-only application has no commit to arrive at: judged by a fresh look at its sync, its operation and its health."""
        fresh_after = self.fresh_after.get(app.key)
        if app.errors:
            return f"{app.errors[0][0]}: {app.errors[0][1][:160]}"
        if app.in_progress:
            return _operation_reason(app, self.goal)
        if fresh_after and (app.reconciled is None or app.reconciled <= fresh_after):
            return "chart only: not looked at since the move"
        return "" if app.sync == "Synced" else _unsynced_reason(app)

    def _unhealthy(self, app: Application, now: datetime) -> AppVerdict:
        before = self.baseline.get(app.key)
        words = f"{app.health}: {app.health_message[:160]}".rstrip(": ")
        if before and not healthy(before, self.limits) and app.name != self.goal.root:
            return AppVerdict(
                name=app.name, state=AppState.EXCUSED, about_health=True, reason=f"was already {before.health} before: not counted ({words})"
            )
        if app.health == "Degraded":
            since = self.degraded_since.setdefault(app.key, now)
            if (now - since).total_seconds() >= self.limits.degraded_grace_s:
                return AppVerdict(name=app.name, state=AppState.FAILED, about_health=True, reason=words)
        else:
            self.degraded_since.pop(app.key, None)
        return AppVerdict(name=app.name, state=AppState.WAITING, about_health=True, reason=words)
