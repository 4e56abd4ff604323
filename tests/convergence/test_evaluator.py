"""The judgement over several looks: freshness, n in a row, grace, baseline, the root first, and many Unknown at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from promote.argocd.application import Application
from promote.convergence.application_status import Limits
from promote.convergence.evaluator import Convergence
from promote.core.model import AppState, AppVerdict
from tests.support.manifests import NEW, OLD, application, at, child, goal, made_by, operation, stamp, unhealthy_resource

LIMITS = Limits(degraded_grace_s=60, successes=3)
OLD_OPERATION = operation("Succeeded", OLD, finished=-500)


def before(name: str = "web", **changes) -> Application:
    """As it was before the move."""
    return application(name, **{"revision": OLD, "reconciled": -100, "state": OLD_OPERATION, **changes})


def convergence(*baseline: Application, root: str = "", rollback: bool = False, limits: Limits = LIMITS, commit: str = NEW) -> Convergence:
    known = {a.key: a for a in baseline}
    return Convergence(goal=goal(commit, root=root), limits=limits, baseline=known, t_before=at(-1), rollback=rollback, namespaces=("argocd",))


def look(judged: Convergence, *apps: Application, second: float = 10) -> dict[str, AppVerdict]:
    return {v.name: v for v in judged.look(apps, at(second))}


def states(judged: Convergence, *apps: Application, looks: int, second: float = 10) -> list[AppState]:
    """The state of the first application at each of several equal looks, 2 s apart."""
    return [look(judged, *apps, second=second + 2 * n)[apps[0].name].state for n in range(looks)]


def test_the_state_of_the_first_look_is_stale_until_it_reconciles_again():
    judged = convergence(before())
    assert look(judged, application())["web"].reason == "not reconciled since the tag moved"
    assert states(judged, application(reconciled=6), looks=3) == [AppState.WAITING, AppState.WAITING, AppState.PROVEN]


def test_an_application_born_after_the_move_is_fresh_at_once():
    judged = convergence(before())
    look(judged, before())
    assert states(judged, application("new"), before(), looks=3)[-1] is AppState.PROVEN


def test_health_must_hold_so_many_looks_in_a_row():
    judged = convergence(before())
    look(judged, application())
    well, degraded = application(reconciled=6), application(reconciled=6, health="Progressing")
    seen = [look(judged, app)["web"].state for app in (well, well, degraded, well, well, well)]
    assert seen == [AppState.WAITING] * 5 + [AppState.PROVEN]


def test_a_revision_that_flips_back_starts_the_count_again():
    judged = convergence(before())
    look(judged, application())
    well, away = application(reconciled=6), application(reconciled=7, revision=OLD)
    seen = [look(judged, app)["web"].state for app in (well, well, away, well, well)]
    assert seen == [AppState.WAITING] * 5


def test_a_changed_spec_is_believed_only_after_another_reconcile():
    """The root gave it another spec: its status of the former one is worth nothing, however healthy it looks."""
    judged = convergence(before())
    look(judged, application())
    changed = {"project": "other"}
    assert look(judged, application(reconciled=6))["web"].reason.startswith("converged in")
    assert look(judged, application(reconciled=6, spec=changed))["web"].reason == "not reconciled since the tag moved"
    assert look(judged, application(reconciled=7, spec=changed))["web"].reason.startswith("converged in")


def test_degraded_fails_only_after_a_grace():
    judged = convergence(before())
    look(judged, application())
    degraded = application(reconciled=6, health="Degraded", health_message="0 of 1 replicas")
    assert look(judged, degraded, second=10)["web"].state is AppState.WAITING
    assert look(judged, degraded, second=69)["web"].state is AppState.WAITING
    failed = look(judged, degraded, second=70)["web"]
    assert (failed.state, failed.reason, failed.about_health) == (AppState.FAILED, "Degraded: 0 of 1 replicas", True)


def test_degraded_that_comes_and_goes_gets_its_grace_again():
    judged = convergence(before())
    look(judged, application())
    degraded, rolling = application(reconciled=6, health="Degraded"), application(reconciled=6, health="Progressing")
    look(judged, degraded, second=10)
    look(judged, rolling, second=60)
    assert look(judged, degraded, second=75)["web"].state is AppState.WAITING


def test_progressing_waits_however_long_it_takes():
    judged = convergence(before())
    look(judged, application())
    seen = look(judged, application(reconciled=6, health="Progressing", health_message="1 of 2 ready"), second=3000)["web"]
    assert (seen.state, seen.reason) == (AppState.WAITING, "rolling out: 1 of 2 ready")


def test_a_failed_sync_of_the_commit_fails_after_the_grace():
    judged = convergence(before())
    look(judged, application())
    broken = application(reconciled=6, sync="OutOfSync", state=operation("Failed", NEW, message="boom"))
    assert look(judged, broken, second=10)["web"].state is AppState.WAITING
    assert look(judged, broken, second=70)["web"].state is AppState.FAILED


def test_degraded_at_the_old_commit_only_waits():
    judged = convergence(before())
    assert look(judged, before(health="Degraded"), second=5000)["web"].state is AppState.WAITING
    assert look(judged, before(health="Degraded"), second=9000)["web"].state is AppState.WAITING


def test_the_baseline_tolerates_health_and_names_it():
    judged = convergence(before(health="Degraded"))
    look(judged, application())
    assert states(judged, application(reconciled=6, health="Degraded"), looks=3) == [AppState.WAITING, AppState.WAITING, AppState.TOLERATED]
    reason = look(judged, application(reconciled=6, health="Degraded", health_message="x"))["web"].reason
    assert reason == "was already Degraded before this promotion (ignored): Deployment web Degraded (x)"


def test_worse_health_than_before_is_new_trouble():
    judged = convergence(before(health="Progressing"))
    look(judged, application())
    worse = application(reconciled=6, health="Degraded")
    assert [look(judged, worse, second=s)["web"].state for s in (10, 40, 70)] == [AppState.WAITING, AppState.WAITING, AppState.FAILED]


CRON = unhealthy_resource("report", "Degraded", "CronJob")


def test_another_resource_that_is_unhealthy_now_fails_an_application_that_was_degraded_before():
    judged = convergence(before(health="Degraded", resources=[CRON]))
    look(judged, application())
    both = application(reconciled=6, health="Degraded", resources=[CRON, unhealthy_resource("web", "Degraded", message="0 of 1 ready")])
    assert [look(judged, both, second=s)["web"].state for s in (10, 40, 70)] == [AppState.WAITING, AppState.WAITING, AppState.FAILED]
    reason = look(judged, both, second=71)["web"].reason
    assert reason == "Degraded; was already Degraded before, but not for this: Deployment web Degraded (0 of 1 ready)"


@pytest.mark.parametrize("job", ["Job", "CronJob"])
def test_a_job_that_fails_in_an_application_that_was_left_unchanged_does_not_count_and_is_named(job: str):
    judged = convergence(before())
    look(judged, application(state=OLD_OPERATION))
    failed = unhealthy_resource("report", "Degraded", job)
    seen = application(reconciled=6, state=OLD_OPERATION, health="Degraded", resources=[failed])
    assert states(judged, seen, looks=3) == [AppState.WAITING, AppState.WAITING, AppState.TOLERATED]
    reason = look(judged, seen)["web"].reason
    assert reason == f"unchanged by this promotion, so its Jobs and CronJobs do not count: {job} report Degraded"
    synced = application(reconciled=6, health="Degraded", resources=[failed])
    assert [look(judged, synced, second=s)["web"].state for s in (100, 170)] == [AppState.WAITING, AppState.FAILED], "this promotion changed it"


def test_a_deployment_of_an_application_that_was_left_unchanged_counts():
    judged = convergence(before())
    look(judged, application(state=OLD_OPERATION))
    both = [CRON, unhealthy_resource("web", "Degraded")]
    seen = application(reconciled=6, state=OLD_OPERATION, health="Degraded", resources=both)
    assert [look(judged, seen, second=s)["web"].state for s in (100, 170)] == [AppState.WAITING, AppState.FAILED]


def test_a_further_cron_job_that_fails_in_an_unchanged_application_that_was_degraded_before_does_not_count():
    judged = convergence(before(health="Degraded", resources=[CRON]))
    look(judged, application(state=OLD_OPERATION))
    both = [CRON, unhealthy_resource("backup", "Degraded", "CronJob")]
    assert states(judged, application(reconciled=6, state=OLD_OPERATION, health="Degraded", resources=both), looks=3)[-1] is AppState.TOLERATED
    synced = application(reconciled=6, health="Degraded", resources=both)
    assert [look(judged, synced, second=s)["web"].state for s in (100, 170)] == [AppState.WAITING, AppState.FAILED]


def test_the_resources_of_an_application_are_read_that_was_left_unchanged_or_unhealthy_before():
    judged = convergence(before(), before("sick", health="Degraded"))
    same, synced = application(state=OLD_OPERATION, health="Degraded"), application(health="Degraded")
    assert [judged.excusable([a]) for a in (same, synced)] == [[same], []]
    assert [a.name for a in judged.excusable([application("sick", health="Degraded"), application("new", health="Degraded")])] == ["sick"]


def test_another_resource_that_rolls_out_is_waited_for():
    judged = convergence(before(health="Degraded", resources=[CRON]))
    look(judged, application())
    rolling = application(reconciled=6, health="Degraded", resources=[CRON, unhealthy_resource("web", "Progressing")])
    assert [look(judged, rolling, second=s)["web"].state for s in (10, 5000)] == [AppState.WAITING, AppState.WAITING]
    assert states(judged, application(reconciled=7, health="Degraded", resources=[CRON]), looks=3)[-1] is AppState.TOLERATED


@pytest.mark.parametrize("side", ["before", "now"])
def test_an_unhealthy_application_without_a_known_reason_is_undetermined(side: str):
    unknown = [{"group": "cert-manager.io", "kind": "Certificate", "namespace": "shop", "name": "c", "status": "Synced"}]
    judged = convergence(before(health="Degraded", resources=unknown if side == "before" else [CRON]))
    look(judged, application())
    found = look(judged, application(reconciled=6, health="Degraded", resources=unknown if side == "now" else [CRON]), second=9000)["web"]
    assert (found.state, found.about_health) == (AppState.UNKNOWN, True)
    assert "whether for the same reason is unknown" in found.reason


def test_unread_resources_make_the_excuse_undetermined_with_the_reason():
    judged = convergence(before(health="Degraded", resources=[CRON]))
    look(judged, application())
    judged.unread = {"argocd/web": "GET deployments: forbidden"}
    found = look(judged, application(reconciled=6, health="Degraded", resources=[CRON]), second=9000)["web"]
    assert found.state is AppState.UNKNOWN
    assert found.reason.endswith("unknown: GET deployments: forbidden")


@pytest.mark.parametrize(
    "changes",
    [{"revision": OLD}, {"sync": "OutOfSync"}, {"conditions": [("SyncError", "x")]}, {"state": operation("Failed", NEW)}],
    ids=["revision", "sync", "condition", "last sync"],
)
def test_the_baseline_tolerates_nothing_but_health(changes):
    judged = convergence(before(health="Degraded", **{k: v for k, v in changes.items() if k != "state"}))
    look(judged, application())
    app = application(reconciled=6, **changes)
    assert AppState.TOLERATED not in states(judged, app, looks=4)
    assert AppState.PROVEN not in states(judged, app, looks=4)


def test_the_root_is_never_tolerated():
    judged = convergence(before("argocd", health="Degraded"), root="argocd")
    look(judged, application("argocd"))
    assert [look(judged, application("argocd", reconciled=6, health="Degraded"), second=s)["argocd"].state for s in (10, 70)][-1] is AppState.FAILED


def test_children_count_only_in_looks_after_the_root_was_applied():
    root, web = before("argocd"), before("web", annotations=made_by("argocd"))
    judged = convergence(root, web, root="argocd")
    look(judged, root, web)
    ready = application("web", annotations=made_by("argocd"))
    for _ in range(4):
        assert look(judged, root, ready)["web"].reason == "waiting for the root application argocd"
    applied = application("argocd", resources=[child("web")])
    assert look(judged, applied, ready)["web"].reason == "waiting for the root application argocd"
    assert [look(judged, applied, ready)["web"].state for _ in range(3)] == [AppState.WAITING, AppState.WAITING, AppState.PROVEN]


def test_without_its_root_nothing_is_proven():
    judged = convergence(before(), root="argocd")
    look(judged, application())
    seen = [look(judged, application(reconciled=6)) for _ in range(4)][-1]
    assert seen["argocd"].reason == "the root application does not exist or does not follow the tag"
    assert seen["web"].state is AppState.WAITING


def test_many_unknown_at_once_are_the_repo_servers_trouble():
    names = ["a", "b", "c"]
    judged = convergence(*map(before, names))
    look(judged, *map(before, names))
    blind = [application(n, revision="prod-stable", sync="Unknown", conditions=[("ComparisonError", "connection refused")]) for n in names]
    seen = look(judged, *blind)
    assert {v.state for v in seen.values()} == {AppState.UNKNOWN}
    assert seen["a"].reason == "3 applications are Unknown at once: a fault of the repo-server, not of the applications: connection refused"
    assert judged.unknown_at_once


def test_two_unknown_are_their_own_trouble():
    names = ["a", "b", "c"]
    judged = convergence(*map(before, names))
    look(judged, *map(before, names))
    blind = [application(n, sync="Unknown", conditions=[("ComparisonError", "no such file")]) for n in names[:2]]
    seen = look(judged, *blind, application("c"))
    assert (seen["a"].state, seen["a"].reason) == (AppState.WAITING, "ComparisonError: no such file")


def test_applications_of_one_name_are_distinguished():
    judged = convergence()
    seen = look(judged, application("web"), application("web", meta={"namespace": "team"}))
    assert set(seen) == {"argocd/web", "team/web"}


def test_others_are_nobodys_business():
    stranger = application("other", spec={"source": {"repoURL": "https://git.example.org/x/y", "targetRevision": "main"}}, health="Degraded")
    assert set(look(convergence(), application(), stranger)) == {"web"}


TROUBLE_BEFORE = {
    "a sync that keeps failing": {"sync": "OutOfSync", "state": operation("Failed", OLD)},
    "an operation that never ends": {"operation": {"sync": {}}, "state": operation("Running", OLD, finished=None)},
    "a condition": {"conditions": [("SyncError", "x")], "state": operation("Failed", OLD)},
    "a failed hook": {"state": operation("Failed", OLD)},
}


@pytest.mark.parametrize("changes", TROUBLE_BEFORE.values(), ids=TROUBLE_BEFORE.keys())
def test_a_rollback_tolerates_earlier_trouble_only(changes):
    judged = convergence(before(**changes), rollback=True, commit=OLD)
    anew = {**changes, "state": {**changes["state"], "startedAt": stamp(1)}} if "state" in changes else changes
    first, again = application(revision=OLD, **anew), application(revision=OLD, reconciled=6, **anew)
    look(judged, first)
    assert states(judged, again, looks=3)[-1] is AppState.TOLERATED


@pytest.mark.parametrize("changes", TROUBLE_BEFORE.values(), ids=TROUBLE_BEFORE.keys())
def test_a_rollback_does_not_tolerate_new_trouble(changes):
    judged = convergence(before(), rollback=True, commit=OLD)
    look(judged, application(revision=OLD, **changes))
    assert AppState.TOLERATED not in states(judged, application(revision=OLD, reconciled=6, **changes), looks=4)


def test_a_rollback_does_not_tolerate_a_stale_status():
    changes = TROUBLE_BEFORE["an operation that never ends"]
    judged = convergence(before(**changes), rollback=True, commit=OLD)
    assert AppState.TOLERATED not in states(judged, application(revision=OLD, **changes), looks=4)


@pytest.mark.parametrize("rollback", [True, False])
def test_the_sync_that_was_stopped_is_forgiven_in_a_rollback_only(rollback):
    judged = convergence(before(), rollback=rollback, commit=OLD)
    stopped = {"revision": OLD, "state": operation("Failed", NEW, message="Operation terminated")}
    look(judged, application(**stopped))
    assert (states(judged, application(reconciled=6, **stopped), looks=3)[-1] is AppState.PROVEN) is rollback


UNPRUNED = {"syncPolicy": {"automated": {"prune": False}}}


def kept(*, revision: str = NEW, reconciled: float = 6, name: str = "web", **changes) -> Application:
    """Pruning is off, and a ConfigMap is left that git no longer has."""
    left = {"kind": "ConfigMap", "namespace": name, "name": "old", "status": "OutOfSync", "requiresPruning": True}
    return application(
        name, revision=revision, reconciled=reconciled, sync="OutOfSync", resources=[left], spec=UNPRUNED, state=OLD_OPERATION, **changes
    )


DECLARED = Limits(degraded_grace_s=60, successes=3, accept_out_of_sync={"web": "its generator renames"})


@pytest.mark.parametrize("rollback", [False, True])
def test_a_declared_leftover_is_tolerated_in_both_directions(rollback: bool):
    judged = convergence(before(spec=UNPRUNED), limits=DECLARED, rollback=rollback)
    look(judged, before(spec=UNPRUNED))
    assert states(judged, kept(), looks=3) == [AppState.WAITING, AppState.WAITING, AppState.TOLERATED]
    reason = look(judged, kept())["web"].reason
    assert reason == "accepted by argocd.accept_out_of_sync: its generator renames: OutOfSync: ConfigMap web/old"


def test_a_declared_leftover_excuses_nothing_else():
    judged = convergence(before(spec=UNPRUNED), limits=DECLARED)
    look(judged, before(spec=UNPRUNED))
    assert look(judged, kept(revision=OLD))["web"].reason == "still at 0000000"
    assert states(judged, kept(reconciled=-100), looks=3)[-1] is AppState.WAITING, "not looked at since the move"
    assert states(judged, kept(health="Degraded"), looks=4)[-1] is AppState.WAITING
    assert states(judged, kept(health="Degraded"), looks=1, second=100)[-1] is AppState.FAILED


def test_a_leftover_that_no_declaration_covers_is_not_tolerated():
    judged = convergence(before(spec=UNPRUNED), limits=LIMITS)
    look(judged, before(spec=UNPRUNED))
    assert states(judged, kept(), looks=4)[-1] is AppState.WAITING


def test_the_root_is_never_accepted_not_even_when_it_was_synced_a_look_ago():
    root = convergence(before(spec=UNPRUNED), limits=replace(DECLARED, successes=1), root="web")
    look(root, before(spec=UNPRUNED))
    assert states(root, application(reconciled=6, spec=UNPRUNED, state=OLD_OPERATION), looks=2)[-1] is AppState.PROVEN
    assert states(root, kept(reconciled=7), looks=2) == [AppState.WAITING] * 2
