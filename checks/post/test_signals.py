"""The monitoring's view of production after the move. After a rollback these checks are reported and do not count."""

import pytest

from promote.checks import missing_dashboards, missing_promql_queries, new_alerts, promql_problem


@pytest.mark.check("promql")
def test_promql(promotion, promql_query, evidence):
    """A number of production is as declared, on samples newer than the move: no data, NaN or an old sample is unknown, not fine."""
    if promql_query is None:
        raise missing_promql_queries()
    wrong = promql_problem(promotion, promql_query, evidence)
    assert not wrong, f"{wrong}\ndo   look at it in Prometheus; the query is {promql_query.name} in [[prometheus.queries]] of promotion.toml"


@pytest.mark.check("alerts")
def test_alerts(promotion, evidence):
    """No alert fires that did not fire before the move; silenced and inhibited alerts are listed as evidence."""
    new = new_alerts(promotion, evidence)
    url = promotion.settings.alertmanager.url
    assert not new, (
        "alerts fire that did not before the move\n" + "\n".join(new[:12]) + "\n"
        f"do   look at each alert in {url}; leave out alerts that are not about production with alertmanager.matchers in promotion.toml"
    )


@pytest.mark.check("grafana")
def test_grafana(promotion, evidence):
    """Grafana answers and has the dashboards that people need after a promotion."""
    missing = missing_dashboards(promotion, evidence)
    assert not missing, f"Grafana has no dashboard {', '.join(missing)}\ndo   correct grafana.dashboards in promotion.toml, or import it"
