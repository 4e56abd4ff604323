"""The set of applications: what the root adds must come, what it drops must go, and a rollback wants all of before and nothing else."""

from __future__ import annotations

from dataclasses import replace

from promote.argocd.application import Application
from promote.convergence.application_status import Limits
from promote.convergence.evaluator import Convergence
from promote.convergence.fleet import select
from promote.core.model import AppState, AppVerdict
from tests.support.manifests import NEW, OLD, application, at, child, goal, made_by, operation


def root(*children: dict, **changes) -> Application:
    return application("argocd", resources=list(children), **changes)


def was_root(*children: dict) -> Application:
    return root(*children, revision=OLD, reconciled=-100, state=operation("Succeeded", OLD, finished=-500))


def kid(name: str, **changes) -> Application:
    return application(name, annotations=made_by("argocd"), **changes)


def was_kid(name: str) -> Application:
    return kid(name, revision=OLD, reconciled=-100, state=operation("Succeeded", OLD, finished=-500))


def settled(baseline: list[Application], now: list[Application], *, rollback: bool = False, grace: float = 60, namespaces=("argocd",), removals=()):
    """The verdicts after production stood still for many looks (the first of them is what freshness counts from)."""
    commit = OLD if rollback else NEW
    judged = Convergence(
        goal=replace(goal(commit, root="argocd"), removals=frozenset(removals)),
        limits=Limits(degraded_grace_s=grace, successes=1),
        baseline={a.key: a for a in baseline},
        t_before=at(-1),
        rollback=rollback,
        namespaces=namespaces,
        read=("argocd",),
    )
    judged.look(baseline, at(0))
    verdicts: tuple[AppVerdict, ...] = ()
    for n in range(4):
        verdicts = judged.look(now, at(10 + n))
    return {v.name: v for v in verdicts}


def proven(verdicts) -> bool:
    return all(v.state is AppState.PROVEN for v in verdicts.values())


def test_nothing_added_nothing_dropped():
    assert proven(settled([was_root(child("web")), was_kid("web")], [root(child("web")), kid("web")]))


def test_what_the_root_lists_must_exist():
    seen = settled([was_root()], [root(child("new"))])
    assert (seen["new"].state, seen["new"].reason) == (AppState.WAITING, "does not exist yet (argocd has to create it)")


def test_what_the_root_added_is_judged_like_the_others():
    assert settled([was_root()], [root(child("new")), kid("new", revision=OLD)])["new"].reason == f"still at {OLD[:7]}"


def test_what_the_root_dropped_may_be_gone():
    assert proven(settled([was_root(child("web")), was_kid("web")], [root()]))


def test_what_the_root_dropped_must_be_gone():
    seen = settled([was_root(child("web")), was_kid("web")], [root(child("web", pruned=True), sync="OutOfSync"), kid("web")])
    assert seen["web"].reason == "is no longer in git and still exists"


def test_what_the_root_dropped_and_forgot_must_be_gone():
    baseline = [was_root(child("web"), child("db")), was_kid("web"), was_kid("db")]
    assert settled(baseline, [root(child("db")), kid("db"), kid("web")])["web"].reason == "is no longer in git and still exists"


def test_a_root_that_does_not_prune_is_named_with_the_command_and_fails():
    manual = {"syncPolicy": {"automated": {"prune": False}}}
    now = [root(child("web", pruned=True), sync="OutOfSync", spec=manual), kid("web")]
    seen = settled([was_root(child("web")), was_kid("web")], now, grace=1)
    assert seen["web"].state is AppState.FAILED
    assert seen["web"].reason == "is no longer in git and still exists: argocd does not prune; kubectl -n argocd delete application web"


def test_an_application_that_vanishes_without_a_change_in_git_is_missed():
    seen = settled([was_root(child("web")), was_kid("web")], [root(child("web"))])
    assert seen["web"].reason == "does not exist yet (argocd has to create it)"
    seen = settled([was_root(), application("lone", revision=OLD)], [root()])
    assert seen["lone"].reason == "existed before the promotion and is missing, although git does not remove it"


def test_while_the_root_is_not_there_a_missing_child_is_missed():
    seen = settled([was_root(child("web")), was_kid("web")], [was_root()])
    assert seen["web"].state is AppState.WAITING


GENERATED = {"ownerReferences": [{"kind": "ApplicationSet", "name": "tenants"}]}
TENANTS = child("tenants", kind="ApplicationSet")


def test_an_application_set_that_loses_one_of_its_own_is_not_believed():
    """Its generator may have got no answer for a moment: nothing says that git removed it."""
    seen = settled([was_root(TENANTS), application("t1", revision=OLD, meta=GENERATED)], [root(TENANTS)])
    assert (seen["t1"].state, seen["t1"].reason) == (
        AppState.WAITING,
        "existed before the promotion and is missing: its ApplicationSet tenants removed it; where git means that, "
        "the migration plan says so: removes: t1",
    )


def test_an_announced_removal_of_an_application_set_is_believed_and_no_other():
    baseline = [was_root(TENANTS, child("web")), was_kid("web"), application("t1", revision=OLD, meta=GENERATED)]
    assert proven(settled(baseline, [root(TENANTS, child("web")), kid("web")], removals={"t1"}))
    seen = settled(baseline, [root(TENANTS, child("web"))], removals={"t1", "web"})
    assert seen["web"].state is AppState.WAITING, "git lists it: no announcement takes it away"
    assert settled(baseline, [root(TENANTS, child("web")), kid("web")], removals={"t2"})["t1"].state is AppState.WAITING


def test_an_application_set_of_unknown_origin_is_not_believed_either():
    assert settled([was_root(), application("t1", revision=OLD, meta=GENERATED)], [root()])["t1"].state is AppState.WAITING


def test_an_application_set_that_git_drops_takes_its_own_along():
    assert proven(settled([was_root(TENANTS), application("t1", revision=OLD, meta=GENERATED)], [root()]))


def test_children_that_a_selector_may_hide_are_not_missed():
    assert proven(settled([was_root()], [root(child("new"))], namespaces=()))


def test_a_child_that_was_missing_before_is_missed_all_the_same():
    assert settled([was_root(child("web"))], [root(child("web"))])["web"].reason == "does not exist yet (argocd has to create it)"


def test_a_child_in_a_namespace_that_is_not_read_is_unknown_and_never_left_out():
    away = {**child("shop"), "namespace": "team-a"}
    seen = settled([was_root()], [root(away)])
    assert seen["shop"].state is AppState.UNKNOWN
    assert seen["shop"].reason == "argocd lists it in namespace team-a, which is not among prod.namespaces"


def test_a_rollback_tolerates_an_unread_child_of_before_and_no_other():
    away, more = ({**child(name), "namespace": "team-a"} for name in ("shop", "more"))
    seen = settled([was_root(away)], [root(away, more, revision=OLD, state=operation(revision=OLD))], rollback=True)
    assert (seen["shop"].state, seen["more"].state) == (AppState.TOLERATED, AppState.UNKNOWN)


def test_an_application_at_an_address_that_may_be_ours_is_unknown_and_never_left_out():
    elsewhere = {"source": {"repoURL": "http://gitea.svc/acme/gitops", "targetRevision": "prod-stable"}}
    seen = settled([was_root(), application("shop", spec=elsewhere)], [root(), application("shop", spec=elsewhere)])
    assert seen["shop"].state is AppState.UNKNOWN
    assert seen["shop"].reason.startswith("cannot be judged: follows prod-stable of http://gitea.svc/acme/gitops")


def test_a_child_that_now_follows_something_else_is_judged_by_its_health():
    other = {"source": {"repoURL": "https://git.example.org/x/y", "targetRevision": "main"}}
    moved, degraded = kid("web", revision="main1", spec=other, reconciled=-100), kid("web", revision="main1", spec=other, health="Progressing")
    baseline = [was_root(child("web")), moved]
    assert proven(settled(baseline, [root(child("web")), kid("web", revision="main1", spec=other)]))
    assert settled(baseline, [root(child("web")), degraded])["web"].reason == "rolling out"


def test_a_rollback_waits_for_removed_applications():
    seen = settled([was_root(child("web")), was_kid("web")], [root(child("web"), revision=OLD)], rollback=True)
    assert seen["web"].reason == "existed before the promotion and does not exist yet"


def test_a_rollback_waits_until_added_applications_are_gone():
    now = [root(revision=OLD, state=operation(revision=OLD)), kid("new", revision=OLD)]
    assert settled([was_root()], now, rollback=True)["new"].reason == "was added by the version that is rolled back and still exists"


def test_a_rollback_with_a_root_that_does_not_prune_names_the_command():
    manual = {"syncPolicy": {"automated": {}}}
    now = [root(child("new", pruned=True), revision=OLD, sync="OutOfSync", spec=manual), kid("new", revision=OLD)]
    seen = settled([was_root()], now, rollback=True, grace=1)
    assert seen["new"].state is AppState.FAILED
    assert seen["new"].reason.endswith("argocd does not prune; kubectl -n argocd delete application new")


def test_the_selection_reaches_through_app_of_apps_and_application_sets():
    chart = {"source": {"repoURL": "https://charts.example.org", "chart": "redis", "targetRevision": "1"}}
    apps = [
        root(child("inner"), child("tenants", kind="ApplicationSet")),
        application("inner", resources=[child("leaf")]),
        application("leaf", spec=chart),
        application("t1", spec=chart, meta={"ownerReferences": [{"kind": "ApplicationSet", "name": "tenants"}]}),
        application("made", spec=chart, annotations=made_by("argocd")),  # the root made it and lists it no more
        application("stranger", spec=chart),
    ]
    assert set(select(apps, goal(root="argocd"))) == {"argocd/argocd", "argocd/inner", "argocd/leaf", "argocd/t1", "argocd/made"}
