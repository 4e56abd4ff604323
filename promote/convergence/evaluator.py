"""Whether production runs the commit, over several looks: snapshots in, one verdict with its reason for each application out.

Pure except for its memory of earlier looks; the caller passes the time. `application_status.py` evaluates one application in one snapshot, `fleet.py`
the set of applications. A stale Synced/Healthy can never satisfy it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from promote.argocd.application import Application
from promote.convergence.application_status import Goal, Kind, Limits, Reason, healthy, pending_reason, refreshed, worse, wrong_revision
from promote.convergence.at_rest import accepted_out_of_sync
from promote.convergence.excuse import Excuse, excuse, unchanged
from promote.convergence.fleet import root_of, select, to_prune, unexpectedly_missing, unseen
from promote.convergence.suspension import rollouts
from promote.core.model import AppState, AppVerdict
from promote.report.words import listed

AT_ONCE = 3  # with this many applications Unknown in the same look, the fault is the repo-server's, not theirs
ACCEPTED = "accepted by argocd.accept_out_of_sync: "  # begins the reason of an application that may be OutOfSync
_AS_BEFORE = frozenset({Kind.CONDITION, Kind.OPERATION, Kind.UNSYNCED, Kind.LAST_SYNC, Kind.UNCLEAR})


@dataclass(kw_only=True, slots=True)
class Convergence:
    """Call `look` with each snapshot; afterwards `present` and `reasons` show the loop what each application still lacks.

    `rollback`: the applications of the baseline must be back, and a fault that existed before at the same commit is tolerated.
    `namespaces`: those whose applications are all in the snapshots (none when a selector hides some); `read`: all that were asked for.
    `denied`: by key, the sync window that blocks an application now; the loop fills it. `unread`: by key, why the health of its resources could not
    be read; the loop fills it too.
    """

    goal: Goal
    limits: Limits
    baseline: Mapping[str, Application]
    t_before: datetime | None
    rollback: bool = False
    baseline_complete: bool = True  # the baseline lists all applications; after a first promotion only git determines which ones belong there
    ignore_other_revisions: bool = False  # a finished failed sync of another commit is no evidence about this one
    namespaces: Collection[str] = ()
    read: Collection[str] = ()
    denied: Mapping[str, str] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
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
        """Evaluate every application that belongs to the promotion. The first snapshot must be read after the move was confirmed."""
        self.present = select(snapshot, self.goal, self.baseline)
        self._remember()
        self.reasons = {key: self._missing(app) for key, app in self.present.items()}
        self.reasons |= to_prune(self.present, self.baseline, all_back=self.rollback and self.baseline_complete)
        self.unknown_at_once = self._repo_server_trouble()
        children_count = self._root_applied or not self.goal.root
        states = {key: self._state(app, now, children_count) for key, app in self.present.items()}
        states |= {key: (AppState.WAITING, text) for key, text in self._absent().items()} | self._unseen()
        root = root_of(self.present, self.goal)
        self._root_applied = root is not None and self.reasons[root.key] is None
        return self._verdicts(states)

    def _remember(self) -> None:
        """Set the time after which an application counts as fresh: its `reconciledAt` in the first look, and again whenever its spec changed.

        So the status of a child that just got a new spec from the root does not count until Argo CD has reconciled the new spec.
        """
        for key, app in self.present.items():
            changed = self._specs.get(key, app.spec) != app.spec
            if app.reconciled and (changed or not self._looked):
                self._fresh_after[key] = app.reconciled
            self._specs[key] = app.spec
        self._looked = True

    def refreshed(self, app: Application) -> bool:
        """Whether Argo CD reconciled it after the move and after the last change of its spec."""
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
        message = next((f": {' '.join(text.split())[:140]}" for a in blind for _, text in a.errors), "")
        return f"{len(blind)} applications are Unknown at once: a fault of the repo-server, not of the applications{message}"

    def _absent(self) -> dict[str, str]:
        if self.goal.root and root_of(self.present, self.goal) is None:
            return {self.goal.root: "the root application does not exist or does not follow the tag"}
        settled = {key for key, reason in self.reasons.items() if reason is None}
        return unexpectedly_missing(
            self.present, self.baseline, settled, namespaces=self.namespaces, all_back=self.rollback and self.baseline_complete,
            removals=self.goal.removals,
        )  # fmt: skip

    def _unseen(self) -> dict[str, tuple[AppState, str]]:
        """Listed applications that cannot be read; in a rollback those of before are as they were."""
        before = unseen(self.baseline, self.read) if self.rollback else {}
        found = unseen(self.present, self.read) if self.read else {}
        return {
            key: (AppState.TOLERATED, f"as before the promotion (ignored): {text}") if key in before else (AppState.UNKNOWN, text)
            for key, text in found.items()
        }

    def _state(self, app: Application, now: datetime, children_count: bool) -> tuple[AppState, str]:
        reason, is_root = self.reasons[app.key], app.name == self.goal.root
        if reason and self.unknown_at_once and (app.sync == "Unknown" or reason.kind is Kind.CONDITION):
            return self._waiting(app, AppState.UNKNOWN, self.unknown_at_once)
        if reason and not is_root and (why := self._accepted(app, reason)):
            state, text = self._health(app, now, is_root) if children_count else self._waiting(app, AppState.WAITING, reason.text)
            return (AppState.TOLERATED, f"{ACCEPTED}{why}: {reason.text}") if state is AppState.PROVEN else (state, text)
        if reason and not is_root and self._was_so_before(app, reason):
            return self._hold(app, AppState.TOLERATED, f"as before the promotion (ignored): {reason.text}")
        if reason and reason.kind is Kind.UNCLEAR:
            return self._waiting(app, AppState.UNKNOWN, f"cannot be judged: {reason.text}")
        if reason:
            return self._patience(app, now, reason.text) if reason.final else self._waiting(app, AppState.WAITING, reason.text)
        if not is_root and not children_count:
            return self._waiting(app, AppState.WAITING, f"waiting for the root application {self.goal.root}")
        return self._health(app, now, is_root)

    def _accepted(self, app: Application, reason: Reason) -> str:
        """The declared reason why this application may stay OutOfSync, in both directions; "" when there is none."""
        return accepted_out_of_sync(app, self.baseline.get(app.key), self.goal, self.limits) if reason.kind is Kind.UNSYNCED else ""

    def _was_so_before(self, app: Application, reason: Reason) -> bool:
        """In a rollback: whether the application is fresh, at the commit, and has the same kind of fault as before the promotion."""
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
            return self._excused(app, before, now, words)
        if before and not is_root and (found := self._excuse(app, before)).batch and not found.new:
            return self._hold(app, AppState.TOLERATED, _tolerated(found, before))
        if app.health == "Degraded":
            return self._patience(app, now, words)
        allowed = "tolerated with [[running.accept]]" if paused(app, self.limits) else "allowed with argocd.allow_suspended"
        hint = {"Progressing": words.replace("Progressing", "rolling out", 1), "Suspended": f"{words} ({allowed})"}
        return self._waiting(app, AppState.WAITING, hint.get(app.health, words))

    def _excused(self, app: Application, before: Application, now: datetime, words: str) -> tuple[AppState, str]:
        """An application that was unhealthy before: tolerated when exactly what was unhealthy then is so now, at most as bad."""
        found = self._excuse(app, before)
        if found.undecided:
            text = f"{words}; was already {before.health} before, and whether for the same reason is unknown: {found.undecided}"
            return self._waiting(app, AppState.UNKNOWN, text)
        if not found.new:
            return self._hold(app, AppState.TOLERATED, _tolerated(found, before))
        text = f"{words}; was already {before.health} before, but not for this: {listed(found.new)}"
        return self._patience(app, now, text) if found.grave else self._waiting(app, AppState.WAITING, text)

    def _excuse(self, app: Application, before: Application) -> Excuse:
        return excuse(app, before, self.unread.get(app.key, ""))

    def excusable(self, snapshot: Collection[Application]) -> list[Application]:
        """Those of a snapshot that are unhealthy and judged by their resources: they were so before, or are unchanged. The caller reads the health of
        these."""
        return [
            a for a in snapshot
            if (before := self.baseline.get(a.key)) and not healthy(a, self.limits) and a.name != self.goal.root
            and (unchanged(a, before) or not healthy(before, self.limits))
        ]  # fmt: skip

    def _hold(self, app: Application, state: AppState, text: str) -> tuple[AppState, str]:
        self._trouble_since.pop(app.key, None)
        self._held[app.key] += 1
        if (seen := self._held[app.key]) >= self.limits.successes:
            return state, text
        return AppState.WAITING, f"converged in {seen} of {self.limits.successes} successive looks"

    def _patience(self, app: Application, now: datetime, text: str) -> tuple[AppState, str]:
        """FAILED once the fault has lasted longer than the grace, WAITING until then."""
        self._held.pop(app.key, None)
        since = self._trouble_since.setdefault(app.key, now)
        failed = (now - since).total_seconds() >= self.limits.degraded_grace_s
        return (AppState.FAILED if failed else AppState.WAITING), text

    def _waiting(self, app: Application, state: AppState, text: str) -> tuple[AppState, str]:
        self._held.pop(app.key, None)
        self._trouble_since.pop(app.key, None)
        return state, text

    def _verdicts(self, states: Mapping[str, tuple[AppState, str]]) -> tuple[AppVerdict, ...]:
        """The verdicts by name; applications that share a name are shown as namespace/name."""
        names = Counter(key.rpartition("/")[2] for key in states)
        shown = {key: name if names[name := key.rpartition("/")[2]] == 1 else key for key in states}
        found = [AppVerdict(name=shown[key], state=s, reason=text, about_health=self._about_health(key)) for key, (s, text) in states.items()]
        return tuple(sorted(found, key=lambda v: v.name))

    def _about_health(self, key: str) -> bool:
        return key in self.present and self.reasons[key] is None and not healthy(self.present[key], self.limits)


def _tolerated(found: Excuse, before: Application) -> str:
    known = f"was already {before.health} before this promotion (ignored): {listed(found.known)}" if found.known else ""
    batch = f"unchanged by this promotion, so its Jobs and CronJobs do not count: {listed(found.batch)}" if found.batch else ""
    return "; ".join(filter(None, (known, batch)))


def paused(app: Application, limits: Limits) -> bool:
    """Whether an Argo Rollout of it pauses between its steps and no policy tolerates that."""
    return app.health == "Suspended" and bool(rollouts(app)) and not healthy(app, limits)
