"""The dev cluster and the production cluster before the move."""

import pytest

from promote.checks import (
    Undetermined,
    applications_denied_by_windows,
    applications_without_auto_sync,
    baseline_problems,
    dev_failure,
    dev_soak_problem,
    failing_dev_urls,
    nothing_to_validate_in_dev,
    rendered_only_in_production,
    unprovable,
    wait_for_dev,
)


@pytest.mark.check("dev-converged")
def test_dev_converged(promotion, http, evidence):
    """Production moves only to a commit validated in dev: dev runs it, synced and healthy, for long enough, and answers."""
    reasons, count = wait_for_dev(promotion)
    evidence("applications", count)
    if not count:
        raise Undetermined(
            f"no dev application follows {promotion.settings.repository.branch} of {promotion.remote.url}", hint="check [dev] in promotion.toml"
        )
    assert not reasons, dev_failure(reasons, promotion)
    young = dev_soak_problem(promotion, evidence)
    assert not young, young
    failing = failing_dev_urls(promotion, http, evidence)
    assert not failing, "dev does not answer as declared\n" + "\n".join(failing) + "\ndo   fix dev: what it does not answer was not validated"
    if nothing_to_validate_in_dev(promotion):
        evidence("changes", "nothing that an application renders: there was nothing to validate in dev")
    if unseen := rendered_only_in_production(promotion):
        evidence("warning", f"dev could not show what production alone renders: {', '.join(unseen[:6])}{' …' if len(unseen) > 6 else ''}")


@pytest.mark.check("production-baseline")
def test_production_baseline(promotion, evidence):
    """Production is known and healthy before it changes: applications follow the tag, none is Unknown, few enough are unhealthy."""
    found = baseline_problems(promotion, evidence)
    assert not found, "\n".join(found) + "\ndo   repair production first; a state that is unreadable now cannot be verified afterwards"


@pytest.mark.check("auto-sync")
def test_auto_sync(promotion, evidence):
    """Applications whose auto-sync is off would ignore the moved tag."""
    manual = applications_without_auto_sync(promotion)
    evidence("off", manual)
    ok = promotion.settings.argocd.sync == "request"
    assert ok or not manual, (
        f"auto-sync is off for {', '.join(manual[:6])}\n"
        'do   set spec.syncPolicy.automated in their manifests, or let promote start the syncs: argocd.sync = "request" in promotion.toml'
    )


@pytest.mark.check("sync-windows")
def test_sync_windows(promotion, evidence):
    """No sync window closes before the promotion and its rollback are finished: Argo CD reports no error for a denied sync, it just does not sync."""
    denied = applications_denied_by_windows(promotion)
    evidence("denied", denied)
    assert not denied, "\n".join(denied[:6]) + "\ndo   promote at another time, or change spec.syncWindows of the AppProject"


@pytest.mark.check("provable")
def test_provable(promotion, comparison, evidence):
    """What cannot be proven after the move is not begun: the wait would end without a verdict, and so would the one for the rollback."""
    found = unprovable(promotion, comparison, evidence)
    assert not found, "\n".join(found) + '\ndo   remove what is named above; for this once: --waive provable="why"'
