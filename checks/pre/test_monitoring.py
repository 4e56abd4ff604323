"""Everything that verifies production after the move is queried once before it: a misspelt rule must not cause a rollback."""

import pytest

from promote.checks import monitoring_problems


@pytest.mark.check("monitoring-ready")
def test_monitoring_ready(promotion, evidence):
    """Prometheus, Alertmanager and Grafana answer, every rule has data, every dashboard exists."""
    found = monitoring_problems(promotion, evidence)
    assert not found, (
        "the monitoring could not verify production after the move\n" + "\n".join(found) + "\ndo   correct promotion.toml, or what it names"
    )
