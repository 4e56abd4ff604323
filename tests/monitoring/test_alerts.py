"""Which alerts are new: against the baseline, whatever a rollout renames, silences and inhibition."""

from __future__ import annotations

from promote.monitoring.alerts import Alert, compare, parse_alert

VOLATILE = ("pod", "uid")


def alert(name: str, muted: str = "", **labels: str) -> Alert:
    full = {"alertname": name, **labels}
    return Alert(fingerprint=str(sorted(full.items())), labels=full, started=None, muted=muted, summary="", link="")


def names(alerts: tuple[Alert, ...]) -> list[str]:
    return [a.describe() for a in alerts]


def test_an_alert_of_the_baseline_is_not_new_and_another_is() -> None:
    found = compare([alert("Old"), alert("New")], [alert("Old"), alert("Gone")], VOLATILE)
    assert (names(found.new), names(found.known), found.muted) == (["New{}"], ["Old{}"], ())


def test_the_same_trouble_of_a_replaced_pod_is_not_new() -> None:
    found = compare([alert("Crash", pod="a-2")], [alert("Crash", pod="a-1")], VOLATILE)
    assert (found.new, names(found.known)) == ((), ['Crash{pod="a-2"}'])


def test_more_of_the_same_trouble_than_before_is_new() -> None:
    found = compare([alert("Crash", pod="a-1"), alert("Crash", pod="a-2")], [alert("Crash", pod="a-1")], VOLATILE)
    assert names(found.new) == ['Crash{pod="a-2"}']


def test_the_same_alert_about_something_else_is_new() -> None:
    found = compare([alert("Crash", namespace="git", pod="x")], [alert("Crash", namespace="vault", pod="x")], VOLATILE)
    assert names(found.new) == ['Crash{namespace="git", pod="x"}']


def test_a_muted_new_alert_is_listed_separately() -> None:
    found = compare([alert("New", muted="silence s1")], [], VOLATILE)
    assert (found.new, names(found.muted)) == ((), ["New{}"])


def test_an_alert_whose_silence_ended_was_firing_before() -> None:
    assert compare([alert("Old")], [alert("Old", muted="silence s1")], VOLATILE).new == ()


def test_of_a_replaced_and_an_additional_alert_the_muted_one_is_not_tolerated() -> None:
    found = compare([alert("C", pod="2"), alert("C", muted="silence s", pod="3")], [alert("C", pod="1")], VOLATILE)
    assert (names(found.known), found.new, names(found.muted)) == (['C{pod="2"}'], (), ['C{pod="3"}'])


def test_parsing_the_answer_of_alertmanager() -> None:
    data = {
        "labels": {"alertname": "A", "pod": "p"}, "annotations": {"description": "two\nlines"}, "fingerprint": "f", "generatorURL": "http://p/graph",
        "startsAt": "2026-01-02T03:04:05.678Z", "status": {"state": "suppressed", "silencedBy": ["s1"], "inhibitedBy": ["f2"]},
    }  # fmt: skip
    parsed = parse_alert(data)
    assert parsed.describe() == 'A{pod="p"} since 03:04:05 UTC: two lines'
    assert parsed.muted == "silence s1 and inhibited by alert f2"
    assert parse_alert({**data, "status": {"state": "unprocessed", "silencedBy": [], "inhibitedBy": []}}).muted == ""
    assert parse_alert({**data, "status": {"state": "suppressed", "silencedBy": [], "inhibitedBy": []}}).muted == "muted by a time interval"
