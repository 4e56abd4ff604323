"""Is production really at the commit? The judgement over several looks: snapshots in, a verdict with a named reason for each application out.

Pure but for what it remembers of earlier looks; the clock is passed in. One application at one look is judged in `arrival.py`, the set of
applications in `fleet.py`. A stale Synced/Healthy can never satisfy it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from promote.argocd.application import Application
from promote.convergence.application_status import Goal, Kind, Limits, Reason, healthy, pending_reason, refreshed, worse, wrong_revision
from promote.convergence.fleet import gone, root_of, select, to_prune
from promote.core.model import AppState, AppVerdict

AT_ONCE = 3  # that many applications Unknown at the same look are not theirs but the repo-server's trouble
_AS_BEFORE = frozenset({Kind.CONDITION, Kind.OPERATION, Kind.UNSYNCED, Kind.LAST_SYNC})


@dataclass(kw_only=True, slots=True)
class Convergence:
    """Feed `look` with snapshots. `reasons` and `present` tell the loop afterwards what each application still lacks.

    `rollback`: the set of before must be back, and what was wrong before at this same commit is excused ("as healthy as before").
    `namespaces`: those whose applications are all in the snapshots (none when a selector hides some).
    `denied`: by key, the sync window that holds an application back now; filled by the loop.
    """

    goal: Goal
    limits: Limits
    baseline: Mapping[str, Application]
    t_before: datetime | None
    rollback: bool = False
    whole: bool = True  # a rollback's set of before is known; not so after a first promotion, where git alone says what belongs there
    ignore_other_revisions: bool = False  # a failed last sync of another commit, when it is over, is no evidence about this one
    namespaces: Collection[str] = ()
    denied: Mapping[str, str] = field(default_factory=dict)
    present: dict[str, Application] = field(default_factory=dict)
    reasons: dict[str, Reason | None] = field(default_factory=dict)
    unknown_at_once: str = ""
    _looked: bool = False
    _root_applied: bool = False
    _fresh_after: dict[str, datetime] = field(default_factory=dict)
    _specs: dict[str, str] = field(default_factory=dict)
    _held: Counter[str] = field(default_factory=Counter)
    _trouble_since: dict[str, datetime] = field(default_factory=dict)

    def look(self, snapshot: Collection[Application], now: datetime) -> tuple[AppVerdict, ...]:
        """Judge every application of interest. The first snapshot must have been read after the move was seen."""
        self.present = select(snapshot, self.goal, self.baseline)
        self._remember()
        self.reasons = {key: self._missing(app) for key, app in self.present.items()}
        self.reasons |= to_prune(self.present, self.baseline, all_back=self.rollback and self.whole)
        self.unknown_at_once = self._repo_server_trouble()
        children_count = self._root_applied or not self.goal.root
        states = {key: self._state(app, now, children_count) for key, app in self.present.items()}
        states |= {key: (AppState.WAITING, text) for key, text in self._absent().items()}
        root = root_of(self.present, self.goal)
        self._root_applied = root is not None and self.reasons[root.key] is None
        return self._verdicts(states)

    def _remember(self) -> None:
        """From here an application is fresh when it reconciled strictly later than it says now; again from where what is asked of it changed.

        So a child that the root has just given another spec is not believed on what it said about the former one.
        """
        for key, app in self.present.items():
            changed = self._specs.get(key, app.spec) != app.spec
            if app.reconciled and (changed or not self._looked):
                self._fresh_after[key] = app.reconciled
            self._specs[key] = app.spec
        self._looked = True

    def refreshed(self, app: Application) -> bool:
        """Whether Argo CD looked at it after the move, and after its own spec last changed."""
        return refreshed(app, self._fresh_after.get(app.key))

    def _missing(self, app: Application) -> Reason | None:
        before = self.baseline.get(app.key)
        return pending_reason(
            app,
            self.goal,
            self.limits,
            fresh_after=self._fresh_after.get(app.key),
            t_before=self.t_before,
            ignore_other_revisions=self.rollback or self.ignore_other_revisions,
            denied=self.denied.get(app.key, ""),
            earlier=before.operation if before else None,
        )

    def _repo_server_trouble(self) -> str:
        blind = [a for a in self.present.values() if a.sync == "Unknown" or any(kind == "ComparisonError" for kind, _ in a.errors)]
        if len(blind) < AT_ONCE:
            return ""
        said = next((f": {' '.join(message.split())[:140]}" for a in blind for _, message in a.errors), "")
        return f"{len(blind)} applications are Unknown at once, which is the repo-server's trouble, not theirs{said}"

    def _absent(self) -> dict[str, str]:
        if self.goal.root and root_of(self.present, self.goal) is None:
            return {self.goal.root: "the root application does not exist or does not follow the tag"}
        settled = {key for key, reason in self.reasons.items() if reason is None}
        return gone(self.present, self.baseline, settled, namespaces=self.namespaces, all_back=self.rollback and self.whole)

    def _state(self, app: Application, now: datetime, children_count: bool) -> tuple[AppState, str]:
        reason, is_root = self.reasons[app.key], app.name == self.goal.root
        if reason and self.unknown_at_once and (app.sync == "Unknown" or reason.kind is Kind.CONDITION):
            return self._waiting(app, AppState.UNKNOWN, self.unknown_at_once)
        if reason and not is_root and self._was_so_before(app, reason):
            return self._hold(app, AppState.TOLERATED, f"as before, not counted: {reason.text}")
        if reason:
            return self._patience(app, now, reason.text) if reason.final else self._waiting(app, AppState.WAITING, reason.text)
        if not is_root and not children_count:
            return self._waiting(app, AppState.WAITING, f"waiting for the root application {self.goal.root}")
        return self._health(app, now, is_root)

    def _was_so_before(self, app: Application, reason: Reason) -> bool:
        """In a rollback: fresh, at the commit, and with the same kind of trouble that it had there before the promotion."""
        before = self.baseline.get(app.key)
        if not self.rollback or before is None or reason.kind not in _AS_BEFORE or wrong_revision(app, self.goal) or not self.refreshed(app):
            return False
        then = pending_reason(before, self.goal, self.limits, fresh_after=None, t_before=None, ignore_other_revisions=True)
        return then is not None and then.kind is reason.kind

    def _health(self, app: Application, now: datetime, is_root: bool) -> tuple[AppState, str]:
        before = self.baseline.get(app.key)
        if healthy(app, self.limits):
            return self._hold(app, AppState.PROVEN, "")
        words = f"{app.health}: {' '.join(app.health_message.split())[:140]}".rstrip(": ")
        if before and not is_root and not healthy(before, self.limits) and not worse(app, before):
            return self._hold(app, AppState.TOLERATED, f"was already {before.health} before this promotion: not counted ({words})")
        if app.health == "Degraded":
            return self._patience(app, now, words)
        hint = {"Progressing": words.replace("Progressing", "rolling out", 1), "Suspended": f"{words} (allowed with argocd.allow_suspended)"}
        return self._waiting(app, AppState.WAITING, hint.get(app.health, words))

    def _hold(self, app: Application, state: AppState, text: str) -> tuple[AppState, str]:
        self._trouble_since.pop(app.key, None)
        self._held[app.key] += 1
        if (seen := self._held[app.key]) >= self.limits.looks:
            return state, text
        return AppState.WAITING, f"there; seen {seen} of {self.limits.looks} times in a row"

    def _patience(self, app: Application, now: datetime, text: str) -> tuple[AppState, str]:
        """Trouble counts as failed only when it lasts longer than the grace."""
        self._held.pop(app.key, None)
        since = self._trouble_since.setdefault(app.key, now)
        failed = (now - since).total_seconds() >= self.limits.degraded_grace_s
        return (AppState.FAILED if failed else AppState.WAITING), text

    def _waiting(self, app: Application, state: AppState, text: str) -> tuple[AppState, str]:
        self._held.pop(app.key, None)
        self._trouble_since.pop(app.key, None)
        return state, text

    def _verdicts(self, states: Mapping[str, tuple[AppState, str]]) -> tuple[AppVerdict, ...]:
        """Called by their names, or by namespace/name where two share one."""
        names = Counter(key.rpartition("/")[2] for key in states)
        shown = {key: name if names[name := key.rpartition("/")[2]] == 1 else key for key in states}
        found = [AppVerdict(name=shown[key], state=s, reason=text, about_health=self._about_health(key)) for key, (s, text) in states.items()]
        return tuple(sorted(found, key=lambda v: v.name))

    def _about_health(self, key: str) -> bool:
        return key in self.present and self.reasons[key] is None and not healthy(self.present[key], self.limits)
