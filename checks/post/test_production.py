"""Production after the move, or after it was moved back: judged on fresh evidence about the very commit."""

import pytest

from promote.checklist import production as prod_cluster


@pytest.mark.check("applications-synced", fix="kubectl -n argocd describe application NAME (production's context): its conditions and last operation")
def test_applications_synced(promotion, observed, evidence):
    """Every application has applied the stable tag's commit: right revision, synced, no operation under way, looked at since the move."""
    evidence("commit", promotion.goal.commit)
    evidence("applications", len(observed.applications))
    late = prod_cluster.not_there(observed, health=False)
    assert not late, f"{len(late)} of {len(observed.applications)} applications are not at {promotion.goal.commit[:7]}\n" + "\n".join(late[:8])


@pytest.mark.check(
    "applications-healthy", fix="kubectl -n argocd describe application NAME (production's context), and look at what is unhealthy in it"
)
def test_applications_healthy(observed, evidence):
    """Every application is Healthy; one that was unhealthy before the promotion is reported and not blamed on it."""
    evidence("excused", prod_cluster.tolerated(observed))
    sick = prod_cluster.not_there(observed, health=True)
    assert not sick, f"{len(sick)} applications are not healthy\n" + "\n".join(sick[:8])


@pytest.mark.check("pods-running", fix="kubectl -n NAMESPACE describe pod NAME; kubectl -n NAMESPACE logs NAME --previous")
def test_pods_running(promotion, evidence):
    """No pod crashes, fails to pull its image, restarts or stays Pending that did not so before."""
    failing = prod_cluster.failing_pods(promotion, evidence)
    evidence("failing", failing)
    assert not failing, f"{len(failing)} pods are newly failing\n" + "\n".join(failing[:12])


@pytest.mark.check("events")
def test_events(promotion, evidence):
    """Warning events are evidence; they fail only for the configured reasons and only while they still repeat."""
    repeating = prod_cluster.repeating_warnings(promotion, evidence)
    assert not repeating, "warnings keep repeating\n" + "\n".join(repeating[:8]) + "\ndo   kubectl get events -A --sort-by=.lastTimestamp"


@pytest.mark.check("stable-still-ours")
def test_stable_still_ours(promotion, remote, evidence):
    """All of the above is about the tag as it is now: it is still the object this promotion left there."""
    refs = remote.refs(promotion.names.stable, promotion.names.shadow)
    now = refs.get(promotion.names.stable)
    evidence("stable", now.object if now else "absent")
    name = promotion.settings.tags.stable
    assert now, f"{name} is gone from the remote\ndo   promote status"
    assert promotion.names.shadow not in refs, f"a branch named {name} hides the tag\ndo   git push {remote.remote} :{promotion.names.shadow}"
    wanted = promotion.context.stable if promotion.context else None
    assert wanted is None or now.object == wanted["object"], (
        f"{name} is {now.object[:7]} (commit {now.commit[:7]}), not {wanted['object'][:7]}: somebody else moved it\ndo   promote status"
    )
