"""The logic of the checks about Prometheus, Alertmanager and Grafana. No data, old samples and an unreachable server raise: they never pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from promote.config.expressions import threshold
from promote.config.schema import PromqlQuery, Settings
from promote.core.deadline import Clock, Deadline
from promote.core.errors import NotFound, PromoteError, Unreachable
from promote.core.model import Evidence
from promote.core.retry import DeadlineExceeded, wait_until
from promote.monitoring.alerts import Alert, compare, parse_alert
from promote.monitoring.clients import Prometheus, Sample
from promote.monitoring.promql import has_fallback, limit_ranges, selectors
from promote.report.words import listed

if TYPE_CHECKING:
    from promote.checklist.promotion import Promotion  # the driver imports this module to link dashboards, and must not load pytest

BY_HAND_S = 300.0  # without a promotion, samples of the last five minutes count: Prometheus' own default
LOOK_S = 1.0
SHOWN = 6


class Numbers:
    """One rule, queried until its samples are newer than the move. A wrong value must be wrong twice, on different samples."""

    def __init__(self, prometheus: Prometheus, rule: PromqlQuery, since: Callable[[], float | None], clock: Clock) -> None:
        self.prometheus, self.rule, self.since, self.clock = prometheus, rule, since, clock
        self.wanted = threshold(rule.expect)
        self.samples: Sequence[Sample] = ()
        self.cut: tuple[str, ...] = ()
        self.unknown = ""
        self.wrong_since: float | None = None

    def look(self) -> bool:
        """Query once. True when the verdict is final; see `unknown` and `wrong`."""
        try:
            oldest = self._read()
        except Unreachable as error:  # it may answer again before the timeout
            self.unknown = error.what
            return False
        if self.unknown:
            return False
        if not self.wrong():
            self.wrong_since = None
            return True
        now = self.clock.monotonic()
        self.wrong_since = now if self.wrong_since is None else self.wrong_since
        return oldest < now - self.wrong_since

    def _read(self) -> float:
        """One query into `samples` and `unknown`. Returns the age of the oldest sample it used, in seconds."""
        since, self.samples = self.since(), ()
        limit = BY_HAND_S if since is None else since
        expression, self.cut = limit_ranges(self.rule.query, limit, cut=since is not None)
        ages = {s: self.prometheus.ages(s, lookback_s=since) for s in selectors(expression)}
        self.unknown = self._stale(ages, limit)
        if self.unknown:
            return math.inf
        self.samples = self.prometheus.query(expression, lookback_s=since)
        if not self.samples:
            self.unknown = "no data: the expression has no value" + _without(ages)
        elif nan := [s.series for s in self.samples if math.isnan(s.value)]:
            self.unknown = f"not a number for {listed(nan, SHOWN)}"
        return max(age for series in ages.values() for age in series.values())

    def _stale(self, ages: dict[str, dict[str, float]], limit: float) -> str:
        if not ages:
            return "it reads no current series, so it says nothing about production"
        absent = [selector for selector, found in ages.items() if not found]
        if len(absent) == len(ages) or (absent and not has_fallback(self.rule.query)):  # a range outlives its series for a while
            return f"no data: no series for {' and '.join(absent)}"
        old = {series: age for found in ages.values() for series, age in found.items() if age > limit}
        newest = f"the newest sample of {next(iter(old))} is {min(old.values()):.0f} s old" if old else ""
        return f"{len(old)} series have no sample since the move, {limit:.0f} s ago ({newest})" if old else ""

    def wrong(self) -> list[str]:
        return [f"{s.series} is {s.value:g}" for s in self.samples if not self.wanted.holds(s.value)]


def promql_problem(promotion: Promotion, rule: PromqlQuery, evidence: Evidence, clock: Clock | None = None) -> str:
    """Text with query, expected and found values of one [[prometheus.queries]] entry; "" when every value is as declared.

    Only samples newer than the move count; waits for them up to `prometheus.sample_timeout`. Raises PromoteError when after that there
    is no data, an old sample or NaN, or Prometheus does not answer.
    """
    clock, started = clock or Clock(), promotion.started
    look = Numbers(promotion.prometheus, rule, lambda: max(0.0, (clock.now() - started).total_seconds()) if started else None, clock)
    wait = 0.0 if promotion.state == "back" else promotion.settings.prometheus.sample_timeout
    evidence("query", rule.query)
    try:
        wait_until(rule.name, look.look, ready=bool, deadline=Deadline(wait, clock), every_s=LOOK_S)
    except DeadlineExceeded:
        if look.unknown:
            raise PromoteError(
                f"{rule.query}\n{look.unknown}; waited {wait:.0f} s",
                hint="Prometheus must scrape the target more often than prometheus.sample_timeout; for a count that may be absent: (…) or vector(0)",
            ) from None
    evidence("values", {s.series: s.value for s in look.samples[:20]})
    if look.cut:
        evidence("ranges", f"{', '.join(look.cut)} cut to the time since the move")
    wrong = look.wrong()
    return f"{rule.query}\nexpected  {look.wanted}\ngot       {listed(wrong, SHOWN)}" if wrong else ""


def new_alerts(promotion: Promotion, evidence: Evidence) -> list[str]:
    """Alerts that fire now and did not in the baseline: indented lines with labels and link; [] when there is none.

    Evidence lists the alerts that fired before and those that are silenced or inhibited. Raises PromoteError without a baseline, when Alertmanager
    does not answer, and when the alert named by `alertmanager.watchdog` does not fire.
    """
    manager, settings = promotion.alertmanager, promotion.settings.alertmanager
    watched(promotion)
    evidence("watchdog", settings.watchdog or "none configured: an Alertmanager that receives no alerts looks the same")
    baseline = promotion.baseline
    before = baseline.alerts() if baseline else None
    if before is None:
        raise PromoteError(
            "the alerts were not read before the move, so none can be called new",
            hint=f"open {settings.url}: only `promote run` reads the alerts before the move",
        )
    found = compare(map(parse_alert, manager.alerts(settings.matchers)), before, settings.ignore_labels)
    evidence("new", [a.describe() for a in found.new])
    evidence("firing before", [a.describe() for a in found.known][:20])
    evidence("muted", [f"{a.describe()} ({a.muted})" for a in found.muted][:20])
    return [line for alert in found.new for line in _lines(alert)]


def _lines(alert: Alert) -> list[str]:
    return [f"  {alert.describe()}", *([f"    {alert.link}"] if alert.link else [])]


def watched(promotion: Promotion) -> None:
    """Raise PromoteError unless the alert that always fires does: for Alertmanager, a silent Prometheus looks the same as a healthy production."""
    name = promotion.settings.alertmanager.watchdog
    if name and not promotion.alertmanager.alerts([f'alertname="{name}"']):
        raise PromoteError(
            f"the alert {name}, which always fires, does not: Alertmanager receives no alerts",
            hint="check Prometheus and its alerting.alertmanagers; the alert's name is alertmanager.watchdog in promotion.toml",
        )


def missing_dashboards(promotion: Promotion, evidence: Evidence) -> list[str]:
    """Names of `grafana.dashboards` that Grafana does not have; [] when it has all. Raises PromoteError when Grafana does not answer."""
    grafana = promotion.grafana
    evidence("grafana", grafana.health())
    links = dashboard_links(promotion.settings, grafana.dashboards(), grafana.link)
    evidence("links", {name: link for name, link in links.items() if link})
    return [name for name, link in links.items() if not link]


def dashboard_links(settings: Settings, dashboards: Sequence[dict[str, object]], link: Callable[[str], str]) -> dict[str, str]:
    """Each dashboard of the settings with its URL; "" when Grafana has none with that title, folder / title or uid."""
    known: dict[str, str] = {}
    for board in dashboards:
        for name in (f"{board.get('folderTitle') or 'General'} / {board.get('title')}", str(board.get("title")), str(board.get("uid"))):
            known[name] = str(board.get("url") or f"/d/{board.get('uid')}")
    return {name: link(known[name]) if name in known else "" for name in settings.grafana.dashboards}


def monitoring_problems(promotion: Promotion, evidence: Evidence) -> list[str]:
    """Configured queries and dashboards that could verify nothing after the move, one indented line each; [] when all can.

    A query without data now, one that reads no current series, a Prometheus without queries, a missing dashboard. Raises PromoteError when one of
    the configured services does not answer.
    """
    settings, found = promotion.settings, list[str]()
    for rule in settings.prometheus.queries:
        samples = promotion.prometheus.query(limit_ranges(rule.query, BY_HAND_S, cut=False)[0])
        evidence(f"promql[{rule.name}]", {s.series: s.value for s in samples[:20]})
        if not samples and not promotion.choices.first:  # before a first promotion there is nothing to measure
            found.append(f"  promql[{rule.name}]: {rule.query} has no data now, so it would be unknown after the move")
        if not selectors(rule.query):
            found.append(f"  promql[{rule.name}]: {rule.query} reads no current series, so it would be unknown after the move")
    if settings.prometheus.url and not settings.prometheus.queries:
        found.append("  prometheus.url is set, but there are no [[prometheus.queries]]: the check promql would be unknown")
    if settings.alertmanager.url:
        watched(promotion)
        evidence("alerts", len(promotion.alertmanager.alerts(settings.alertmanager.matchers)))
    if settings.grafana.url:
        found += [f"  Grafana has no dashboard {name!r}" for name in missing_dashboards(promotion, evidence)]
    return found


def missing_promql_queries() -> PromoteError:
    """The error to raise when `prometheus.url` is set and there are no queries: a Prometheus that is not queried verifies nothing."""
    return NotFound("prometheus", "there are no [[prometheus.queries]], so it is not queried", hint="add queries, or remove prometheus.url")


def _without(ages: dict[str, dict[str, float]]) -> str:
    absent = [selector for selector, found in ages.items() if not found]
    return f" (no series for {' and '.join(absent)})" if absent else ""
