"""One application at one look. Each row is one clause of the predicate: without that clause, this application would be believed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from promote.argocd.application import Application, parse_application
from promote.config.schema_checklist import AcceptedWorkload, Running
from promote.convergence.application_status import Kind, Limits, healthy, pending_reason, worse
from promote.convergence.evaluator import paused
from tests.support.manifests import NEW, OLD, OTHER, TAG_OBJECT, application, at, goal, manifest, operation

LIMITS = Limits(degraded_grace_s=60, successes=3)
JOB_FAILED = {"kind": "Job", "namespace": "web", "name": "migrate", "status": "SyncFailed", "message": "boom"}
DEPLOYMENT = {"kind": "Deployment", "namespace": "web", "name": "web", "status": "OutOfSync"}


def judge(app: Application, *, fresh_after: float | None = 0, t_before: float | None = -1, **how):
    return pending_reason(
        app,
        goal(),
        how.pop("limits", LIMITS),
        fresh_after=None if fresh_after is None else at(fresh_after),
        t_before=None if t_before is None else at(t_before),
        **how,
    )


def test_well_at_the_commit_lacks_nothing():
    assert judge(application()) is None


def chart_only(**changes) -> Application:
    chart = {"repoURL": "https://charts.example.org", "chart": "redis", "targetRevision": "1.2.3"}
    return application(revision="1.2.3", state=operation(revision="1.2.3"), spec={"source": chart}, **changes)


BELIEVED_WITHOUT = {
    "the commit: it still shows the old one": (application(revision=OLD), Kind.WRONG_REVISION, f"still at {OLD[:7]}"),
    "the commit: it shows the tag's name": (application(revision="prod-stable"), Kind.WRONG_REVISION, "still at prod-stable"),
    "the commit: it shows none": (application(revision=""), Kind.WRONG_REVISION, "still at no revision"),
    "the sync status: OutOfSync": (application(sync="OutOfSync", resources=[DEPLOYMENT]), Kind.UNSYNCED, "OutOfSync: Deployment web/web"),
    "the sync status: Unknown": (application(sync="Unknown"), Kind.UNSYNCED, "Unknown"),
    "its resources: one differs though it reads Synced": (
        application(resources=[DEPLOYMENT]),
        Kind.UNSYNCED,
        "resources are OutOfSync: Deployment web/web",
    ),
    "auto-sync: it is off": (application(sync="OutOfSync", spec={"syncPolicy": {}}), Kind.UNSYNCED, "OutOfSync and auto-sync is off"),
    "its conditions: the comparison fails": (
        application(conditions=[("ComparisonError", "manifest generation error\n  (cached)")]),
        Kind.CONDITION,
        "ComparisonError: manifest generation error (cached)",
    ),
    "its conditions: a sync was refused to protect everything": (
        application(conditions=[("SyncError", "Skipping sync attempt: auto-sync will wipe out all resources")]),
        Kind.CONDITION,
        "SyncError: Skipping sync attempt: auto-sync will wipe out all resources",
    ),
    "the operation: one runs": (
        application(operation={"sync": {}}, state=operation("Running", finished=None, message="waiting for hook Job/migrate")),
        Kind.OPERATION,
        "operation running: waiting for hook Job/migrate",
    ),
    "the operation: one of another commit is retried under a Synced and Healthy surface": (
        application(operation={"sync": {}}, state=operation("Running", OTHER, message="one or more tasks failed")),
        Kind.STUCK,
        f"operation retrying another commit {OTHER[:7]}: one or more tasks failed",
    ),
    "the operation: one was asked for and has not begun": (
        application(operation={"sync": {}}, state=operation("Succeeded", OTHER)),
        Kind.OPERATION,
        "a sync was requested and has not started",
    ),
    "the last operation: it failed": (application(state=operation("Failed", message="boom")), Kind.LAST_SYNC, "last sync Failed: boom"),
    "the last operation: it was terminated and nothing cleared it": (
        application(state=operation("Terminating")),
        Kind.LAST_SYNC,
        "last sync Terminating",
    ),
    "its parts: one resource failed though the operation succeeded": (
        application(state=operation(resources=[JOB_FAILED])),
        Kind.LAST_SYNC,
        "last sync failed for Job web/migrate: boom",
    ),
    "freshness: it was last looked at before the move": (application(reconciled=-30), Kind.STALE, "not reconciled since the tag moved"),
    "freshness: an equal second proves nothing": (application(reconciled=0), Kind.STALE, "not reconciled since the tag moved"),
    "freshness: it was never looked at": (application(reconciled=None), Kind.STALE, "not reconciled since the tag moved"),
    "health's own loop: the sync ended after the last look": (
        application(reconciled=2),
        Kind.HEALTH_UNSEEN,
        "health not refreshed since the sync finished",
    ),
    "its removal: it is being deleted": (application(meta={"deletionTimestamp": "2026-03-01T12:00:01Z"}), Kind.DELETING, "is being deleted"),
    "freshness of a chart": (chart_only(reconciled=-30), Kind.STALE, "chart only: not reconciled since the tag moved"),
    "the sync status of a chart": (chart_only(sync="OutOfSync"), Kind.UNSYNCED, "OutOfSync"),
}


@pytest.mark.parametrize(("app", "kind", "text"), BELIEVED_WITHOUT.values(), ids=BELIEVED_WITHOUT.keys())
def test_it_would_be_believed_without(app, kind, text):
    reason = judge(app)
    assert reason is not None
    assert (reason.kind, reason.text) == (kind, text)


def test_stale_with_an_error_names_both():
    reason = judge(application(reconciled=-30, conditions=[("InvalidSpecError", "no such project")]))
    assert reason is not None
    assert reason.text == "not reconciled since the tag moved (shows InvalidSpecError: no such project)"


def test_the_tag_object_is_as_good_as_its_commit():
    """Argo CD before 2.14.8 shows the object of an annotated tag."""
    assert judge(application(revision=TAG_OBJECT, state=operation(revision=TAG_OBJECT))) is None


def test_an_old_operation_is_fine_when_nothing_changed_for_this_application():
    assert judge(application(state=operation("Succeeded", OLD, finished=-500))) is None


def test_a_chart_has_no_commit_to_be_at():
    assert judge(chart_only()) is None


def several(revisions: list[str]) -> Application:
    chart = {"repoURL": "https://charts.example.org", "chart": "redis", "targetRevision": "1.2.3"}
    data = manifest(state=operation())
    data["spec"]["sources"] = [chart, data["spec"]["source"], data["spec"].pop("source")]
    data["status"]["sync"] = {"status": "Synced", "revisions": revisions}
    return parse_application(data)


def test_of_several_sources_every_one_that_tracks_the_tag_must_be_there():
    assert judge(several(["1.2.3", NEW, NEW])) is None
    reason = judge(several(["1.2.3", NEW, OLD]))
    assert reason is not None
    assert reason.kind is Kind.WRONG_REVISION


def test_a_failed_sync_is_tolerated_only_if_it_ended_before_the_move():
    failed = application(state=operation("Failed", OLD, finished=-5))
    assert judge(failed, t_before=-4) is None
    assert judge(failed, t_before=-5) is not None
    assert judge(failed, t_before=None) is not None


def test_failed_resources_are_tolerated_with_their_operation():
    assert judge(application(state=operation(revision=OLD, finished=-5, resources=[JOB_FAILED])), t_before=-4) is None


@pytest.mark.parametrize("ahead", [-300, 300])
def test_a_failed_sync_that_was_seen_before_the_move_is_tolerated_whatever_the_clocks_show(ahead):
    failed = application(reconciled=ahead + 5, state=operation("Failed", NEW, finished=ahead))
    assert judge(failed, fresh_after=ahead, t_before=0, earlier=failed.operation) is None
    assert judge(failed, fresh_after=ahead, t_before=None, earlier=failed.operation) is not None, "the time of the move is unknown"


def test_an_unseen_failed_sync_of_the_goal_is_never_tolerated_by_a_clock_behind_ours():
    failed = application(reconciled=-295, state=operation("Failed", NEW, finished=-300))
    for earlier in (None, *(application(state=operation(phase, OLD, finished=-500)).operation for phase in ("Succeeded", "Failed"))):
        reason = judge(failed, fresh_after=-300, t_before=0, earlier=earlier)
        assert reason is not None
        assert reason.kind is Kind.LAST_SYNC


def test_the_sync_that_a_rollback_stopped_does_not_count_against_the_commit_it_went_back_to():
    stopped = application(state=operation("Failed", OTHER, message="Operation terminated"))
    assert judge(stopped) is not None
    assert judge(stopped, ignore_other_revisions=True) is None
    assert judge(application(state=operation("Failed", NEW)), ignore_other_revisions=True) is not None


def test_a_running_sync_of_another_commit_is_not_forgiven():
    running = application(operation={"sync": {}}, state=operation("Running", OTHER))
    reason = judge(running, ignore_other_revisions=True)
    assert reason is not None
    assert reason.kind is Kind.STUCK


def test_a_sync_that_is_already_being_terminated_is_not_terminated_again():
    reason = judge(application(operation={"sync": {}}, state=operation("Terminating", OTHER)))
    assert reason is not None
    assert reason.kind is Kind.OPERATION


def test_a_window_is_named():
    reason = judge(application(sync="OutOfSync"), denied="window denies until 14:00")
    assert reason is not None
    assert reason.text == "OutOfSync, window denies until 14:00"


def test_auto_sync_may_be_off_when_the_syncs_are_ours():
    reason = judge(application(sync="OutOfSync", spec={"syncPolicy": {}}), limits=Limits(degraded_grace_s=60, successes=3, auto_sync_required=False))
    assert reason is not None
    assert reason.text == "OutOfSync"


FINAL = {
    "OutOfSync after a failed sync of this commit": application(sync="OutOfSync", state=operation("Failed", NEW)),
    "the condition": application(conditions=[("SyncError", "Failed last sync attempt to aaaa")], state=operation("Failed", NEW)),
    "a failed hook under a Synced surface": application(state=operation("Error", NEW)),
    "Argo CD gives up after the failure of another commit": application(
        sync="OutOfSync", conditions=[("SyncError", "Failed last sync attempt to [bbbb]: no")], state=operation("Failed", OTHER)
    ),
    "the same in the words of 3.1": application(
        sync="OutOfSync", conditions=[("SyncError", "Failed sync attempt to bbbb: no")], state=operation("Failed", OTHER)
    ),
}


@pytest.mark.parametrize("app", FINAL.values(), ids=FINAL.keys())
def test_auto_sync_does_not_try_again_so_that_is_final(app):
    reason = judge(app)
    assert reason is not None
    assert reason.final


def test_the_failure_of_another_commit_is_not_final():
    reason = judge(application(sync="OutOfSync", state=operation("Failed", OLD)))
    assert reason is not None
    assert not reason.final


def test_messages_are_one_line_and_short():
    reason = judge(application(conditions=[("ComparisonError", "long\n" * 100)]))
    assert reason is not None
    assert "\n" not in reason.text
    assert len(reason.text) < 170


def test_suspended_is_well_only_where_it_is_allowed():
    allowing = Limits(degraded_grace_s=60, successes=3, allow_suspended=frozenset({"web"}))
    assert healthy(application(health="Suspended"), allowing)
    assert not healthy(application(health="Suspended"), LIMITS)
    assert not healthy(application(health="Degraded"), allowing)


ROLLOUT = {"group": "argoproj.io", "kind": "Rollout", "namespace": "shop", "name": "canary", "status": "Synced"}


def test_a_canary_between_its_steps_is_not_well_because_suspended_is_allowed():
    half = application(health="Suspended", resources=[ROLLOUT])
    allowing = Limits(degraded_grace_s=60, successes=3, allow_suspended=frozenset({"web"}))
    assert (healthy(half, allowing), paused(half, allowing)) == (False, True)
    rule = AcceptedWorkload(application="w*", kind="Rollout", name="canary", reason="the shop team promotes it")
    accepting = replace(LIMITS, accept=(rule,))
    assert (healthy(half, accepting), paused(half, accepting)) == (True, False)
    other = application(health="Suspended", resources=[ROLLOUT, {**ROLLOUT, "name": "second"}])
    assert (healthy(other, accepting), paused(other, accepting)) == (False, True)
    assert not paused(application(health="Suspended"), LIMITS), "without a Rollout no canary pauses"


def test_an_acceptance_ends_with_its_last_day():
    rules = (AcceptedWorkload(application="a", kind="Job", name="x", reason="r", expires=date(2026, 3, 1)),
             AcceptedWorkload(application="b", kind="Job", name="x", reason="r"))  # fmt: skip
    running = Running(accept=list(rules))
    assert running.in_force(date(2026, 3, 1)) == rules
    assert running.in_force(date(2026, 3, 2)) == rules[1:]


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [("Degraded", "Progressing", True), ("Progressing", "Degraded", False), ("Degraded", "Degraded", False), ("Unknown", "Degraded", True)],
)
def test_worse_than_before(now, before, expected):
    assert worse(application(health=now), application(health=before)) is expected
