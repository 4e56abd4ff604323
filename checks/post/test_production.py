"""Production after the move, or after it was moved back: judged on fresh evidence about that very commit."""

import pytest

from promote.checks import (
    applications_not_healthy,
    applications_not_synced,
    counted,
    describe_applications,
    failing_pods,
    kubectl,
    outdated_workloads,
    pod_command,
    repeating_warnings,
    tolerated_applications,
)


@pytest.mark.check("applications-synced")
def test_applications_synced(promotion, observed, evidence):
    """Every application has applied the stable tag's commit: right revision, synced, no operation in progress, compared since the move."""
    evidence("commit", promotion.goal.commit)
    evidence("applications", len(observed.applications))
    late = applications_not_synced(observed)
    assert not late, (
        f"{len(late)} of {counted(len(observed.applications), 'application')} not at {promotion.goal.commit[:7]}\n"
        + "\n".join(f"  {name}: {reason}" for name, reason in list(late.items())[:8])
        + f"\ndo   {describe_applications(promotion, late)}"
    )


@pytest.mark.check("applications-healthy")
def test_applications_healthy(promotion, observed, evidence):
    """Every application is Healthy; one that was unhealthy before the promotion is reported and does not count."""
    evidence("tolerated", tolerated_applications(observed))
    unhealthy = applications_not_healthy(observed)
    assert not unhealthy, (
        f"{counted(len(unhealthy), 'application')} not healthy\n"
        + "\n".join(f"  {name}: {reason}" for name, reason in list(unhealthy.items())[:8])
        + f"\ndo   {describe_applications(promotion, unhealthy)}"
    )


@pytest.mark.check("workloads-updated")
def test_workloads_updated(promotion, evidence):
    """Every workload's pods run its newest spec: observed, replaced, available, with its images. A Healthy application can still run old pods."""
    late = outdated_workloads(promotion, evidence)
    kind, _, place = next(iter(late), "").partition(" ")
    namespace, _, name = place.partition(" of ")[0].partition("/")
    where = kubectl(promotion, "prod", place.partition(" in ")[2])
    assert not late, (
        f"{counted(len(late), 'workload')} not updated\n"
        + "\n".join(f"  {workload}: {reason}" for workload, reason in list(late.items())[:12])
        + f"\ndo   {where} -n {namespace} describe {kind.lower()} {name}; tolerate it with [[running.accept]] in promotion.toml"
    )


@pytest.mark.check("pods-running")
def test_pods_running(promotion, evidence):
    """No pod of this promotion's applications crashes, restarts, cannot pull its image, or stays Pending or not Ready that did not do so before."""
    failing = failing_pods(promotion, evidence)
    evidence("failing", [f"{pod}: {reason}" for pod, reason in failing.items()])
    first = next(iter(failing), "")
    assert not failing, (
        f"{counted(len(failing), 'pod')} newly failing\n"
        + "\n".join(f"  {pod}: {reason}" for pod, reason in list(failing.items())[:12])
        + f"\ndo   {pod_command(promotion, first, 'describe')}; {pod_command(promotion, first, 'logs')} --previous"
    )


@pytest.mark.check("events")
def test_events(promotion, evidence):
    """Warning events are evidence; they fail only for the configured reasons and only while they still repeat."""
    repeating = repeating_warnings(promotion, evidence)
    assert not repeating, (
        "warnings keep repeating\n" + "\n".join(repeating[:8]) + f"\ndo   {kubectl(promotion, 'prod')} get events -A --sort-by=.lastTimestamp"
    )


@pytest.mark.check("stable-still-ours")
def test_stable_still_ours(promotion, remote, evidence):
    """All of the above is about the tag as it is now: it is still the object that this promotion put there."""
    refs = remote.refs(promotion.names.stable, promotion.names.shadow)
    now = refs.get(promotion.names.stable)
    evidence("stable", now.object if now else "absent")
    name = promotion.settings.tags.stable
    assert now, f"{name} is gone from the remote\ndo   promote status"
    assert promotion.names.shadow not in refs, f"a branch named {name} hides the tag\ndo   git push {remote.remote} :{promotion.names.shadow}"
    wanted = promotion.context.stable if promotion.context else None
    assert wanted is None or now.object == wanted["object"], (
        f"{name} is {now.object[:7]} (commit {now.commit[:7]}), expected {wanted['object'][:7]}: another process moved it\ndo   promote status"
    )
