"""What the two clusters say before the move."""

import pytest

from promote.checklist import dev as dev_cluster
from promote.checklist import production as prod_cluster


@pytest.mark.check("dev-converged")
def test_dev_converged(promotion, http, evidence):
    """Promotion means moving production to a commit validated in dev: dev shows it, synced and healthy, for long enough, and answers."""
    reasons, looked_at = dev_cluster.waiting_on_dev(promotion)
    evidence("applications", looked_at)
    if not looked_at:
        raise RuntimeError(
            f"no dev application follows {promotion.settings.repository.branch} of {promotion.remote.url}; do: check [dev] in promotion.toml"
        )
    assert not reasons, dev_cluster.describe(reasons, promotion)
    fresh = dev_cluster.too_fresh(promotion, evidence)
    assert not fresh, fresh
    silent = dev_cluster.not_answering(promotion, http, evidence)
    assert not silent, "dev does not answer as declared\n" + "\n".join(silent) + "\ndo   look at dev: what it does not answer was not validated"
    if dev_cluster.renders_nothing_new(promotion):
        evidence("changes", "nothing that an application renders: there was nothing to validate in dev")
    if unseen := dev_cluster.rendered_in_production_alone(promotion):
        evidence("warning", f"dev could not show what production alone renders: {', '.join(unseen[:6])}{' …' if len(unseen) > 6 else ''}")


@pytest.mark.check("production-baseline")
def test_production_baseline(promotion, evidence):
    """Production is known and fit before it is touched: applications follow the tag, none is unknown, not too many are unhealthy."""
    found = prod_cluster.baseline_problems(promotion, evidence)
    assert not found, "\n".join(found) + "\ndo   mend production first; what cannot be read now cannot be proven afterwards"


@pytest.mark.check("auto-sync")
def test_auto_sync(promotion, evidence):
    """Applications whose auto-sync is off would ignore the moved tag."""
    off = prod_cluster.without_auto_sync(promotion)
    evidence("off", off)
    ok = promotion.settings.argocd.sync == "request"
    assert ok or not off, (
        f'auto-sync is off for {", ".join(off[:6])}\ndo   turn it on, or let promote start the syncs: argocd.sync = "request" in promotion.toml'
    )


@pytest.mark.check("sync-windows")
def test_sync_windows(promotion, evidence):
    """No sync window closes before the promotion and its rollback are through: a denied sync says nothing, it just does not happen."""
    denied = prod_cluster.denied_by_windows(promotion)
    evidence("denied", denied)
    assert not denied, "\n".join(denied[:6]) + "\ndo   promote at another time, or change the AppProject's syncWindows"
