"""What is to prove production after the move is asked once before it: a misspelt rule must not cost a rollback."""

import pytest

from promote.checklist import monitoring


@pytest.mark.check("monitoring-ready")
def test_monitoring_ready(promotion, evidence):
    """Prometheus, Alertmanager and Grafana answer, every rule has data, every dashboard is there."""
    found = monitoring.not_ready(promotion, evidence)
    assert not found, (
        "the monitoring could not prove anything after the move\n" + "\n".join(found) + "\ndo   correct promotion.toml, or what it names"
    )
