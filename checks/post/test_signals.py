"""What the monitoring says of production after the move. After a rollback these checks are told and do not count."""

import pytest

from promote.checklist import monitoring


@pytest.mark.check("promql")
def test_promql(promotion, promql_rule, evidence):
    """A number of production is as declared, on samples newer than the move: no data, NaN or an old sample is unknown, not fine."""
    if promql_rule is None:
        raise monitoring.no_rules()
    wrong = monitoring.numbers(promotion, promql_rule, evidence)
    assert not wrong, wrong + "\ndo   look at it in Prometheus; the query stands in [[prometheus.queries]] of promotion.toml"


@pytest.mark.check("alerts", fix="look at each alert's link; alerts that say nothing about production are left out by alertmanager.matchers")
def test_alerts(promotion, evidence):
    """No alert fires that did not fire before the move; silenced and inhibited ones are told."""
    new = monitoring.new_alerts(promotion, evidence)
    assert not new, "alerts fire that did not before the move\n" + "\n".join(new[:12])


@pytest.mark.check("grafana")
def test_grafana(promotion, evidence):
    """Grafana answers and has the dashboards that people look at after a promotion."""
    missing = monitoring.missing_dashboards(promotion, evidence)
    assert not missing, f"Grafana has no dashboard {', '.join(missing)}\ndo   correct grafana.dashboards in promotion.toml, or import it"
