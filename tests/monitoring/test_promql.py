"""What an expression reads, and how its ranges are cut to the time since the move."""

from __future__ import annotations

import pytest

from promote.monitoring.promql import duration_s, has_fallback, limit_ranges, selectors

READS = {
    "up": ("up",),
    'up{job="a b", instance=~"x{2}"}': ('up{job="a b", instance=~"x{2}"}',),
    '{__name__="up"}': ('{__name__="up"}',),
    "sum by (job) (rate(errors_total[5m])) / sum by (job) (rate(requests_total[5m]))": ("errors_total", "requests_total"),
    "sum(up) without (pod, instance)": ("up",),
    "a * on(pod) group_left(node) b": ("a", "b"),
    "a + ignoring(le) b": ("a", "b"),
    "histogram_quantile(0.99, sum by (le) (rate(latency_bucket[5m])))": ("latency_bucket",),
    "max_over_time(rate(x[1m])[10m:30s])": ("x",),
    "up == bool 1": ("up",),
    "a unless b or c and d": ("a", "b", "c", "d"),
    "(sum(errors) or vector(0)) / sum(requests)": ("errors", "requests"),
    "x / x offset 1d": ("x",),
    "rate(x[5m] offset 1w)": (),
    "x @ 1700000000": (),
    "job:errors:rate5m > 1e-3": ("job:errors:rate5m",),
    "up # a comment with other_series\n": ("up",),
    "time() - process_start_time_seconds": ("process_start_time_seconds",),
    "vector(1)": (),
    "inf": (),
    'label_replace(up, "a", "$1", "b", "(.*)")': ("up",),
    "by": (),
    'sum(on{a="1"})': ('on{a="1"}',),
    "topk(3, up) or up": ("up",),
}


@pytest.mark.parametrize("expression", READS)
def test_the_series_an_expression_reads_now(expression: str) -> None:
    assert selectors(expression) == READS[expression]


CUT = {
    "rate(x[5m])": ("rate(x[47000ms])", ("5m",)),
    "rate(x[30s])": ("rate(x[30s])", ()),
    "rate(x[1h] offset 1d)": ("rate(x[1h] offset 1d)", ()),
    "rate(x[1h] @ 1700000000)": ("rate(x[1h] @ 1700000000)", ()),
    "max_over_time(rate(x[1m])[10m:30s])": ("max_over_time(rate(x[47000ms])[47000ms:30s])", ("1m", "10m")),
    'rate(x{a="[5m]"}[5m])': ('rate(x{a="[5m]"}[47000ms])', ("5m",)),
    "rate(x[$since])": ("rate(x[47000ms])", ()),
    "up": ("up", ()),
}


@pytest.mark.parametrize("expression", CUT)
def test_ranges_reach_back_to_the_move_and_no_further(expression: str) -> None:
    assert limit_ranges(expression, 47) == CUT[expression]


def test_without_a_move_only_since_is_filled_in() -> None:
    assert limit_ranges("rate(x[1h]) / rate(y[$since])", 300, cut=False) == ("rate(x[1h]) / rate(y[300000ms])", ())


def test_only_an_or_decides_the_value_of_absent_series() -> None:
    assert has_fallback("(sum(errors) or vector(0)) / sum(requests)")
    assert not has_fallback('sum(errors{a="x or y"}) / sum(or_total)  # or')


@pytest.mark.parametrize(("text", "seconds"), [("1h30m", 5400), ("250ms", 0.25), ("2w", 1209600)])
def test_durations(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("broken", ["sum(up", "up{", "rate(x[5m", "}{", "'", "))((", "up{job=", "[", ""])
def test_an_invalid_expression_breaks_nothing(broken: str) -> None:
    selectors(broken)
    limit_ranges(broken, 5)
