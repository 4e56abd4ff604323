"""Sync windows by Argo CD's rules, over the whole time a promotion may take."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from promote.argocd.cron import parse_cron
from promote.argocd.projects import INHERITED, Project
from promote.argocd.sync_windows import BadWindow, denial
from tests.support.manifests import application

SUNDAY = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
APP = application("web")  # destination namespace web


def window(kind: str, schedule: str, duration: str, **more):
    return {"kind": kind, "schedule": schedule, "duration": duration, "applications": ["*"], **more}


def asked(*windows, hours: float = 0, manual: bool = False) -> str:
    return denial(APP, project(*windows), SUNDAY, SUNDAY + timedelta(hours=hours), manual=manual)


def project(*windows) -> Project:
    return Project(name="default", namespace="argocd", windows=windows)


def test_a_window_of_a_global_project_is_named_with_it():
    inherited = {**window("deny", "0 10 * * *", "4h"), INHERITED: "freeze"}
    assert "deny window '0 10 * * *' for 4h of global project freeze (project default)" in asked(inherited)


def test_without_windows_everything_may_sync():
    assert asked() == ""


def test_an_open_deny_window_denies_and_names_its_end():
    assert asked(window("deny", "0 10 * * *", "4h")) == "window denies until 2026-03-01 14:00 UTC: deny window '0 10 * * *' for 4h (project default)"


def test_a_deny_window_that_opens_before_the_end_denies():
    later = window("deny", "30 13 * * *", "1h")
    assert asked(later, hours=1) == ""
    assert "window denies until 2026-03-01 14:30 UTC" in asked(later, hours=2)


def test_a_window_ends_with_its_last_minute():
    assert asked(window("deny", "0 10 * * *", "2h")) == ""


def test_a_long_window_that_began_days_ago_is_still_open():
    assert "2026-03-02 00:00" in asked(window("deny", "0 0 * * 1", "168h"))


def test_an_allow_window_must_be_open_all_the_time():
    allow = window("allow", "0 8 * * *", "8h")
    assert asked(allow, hours=3) == ""
    assert "no window allows it at 2026-03-01 16:00 UTC" in asked(allow, hours=5)


def test_another_allow_window_may_take_over():
    assert asked(window("allow", "0 8 * * *", "8h"), window("allow", "0 15 * * *", "8h"), hours=6) == ""


def test_deny_wins_over_allow():
    assert asked(window("allow", "0 0 * * *", "24h"), window("deny", "0 12 * * *", "1h"))


def test_a_sync_of_ours_passes_where_the_window_lets_people_through():
    assert asked(window("deny", "0 10 * * *", "4h", manualSync=True), manual=True) == ""
    assert asked(window("deny", "0 10 * * *", "4h", manualSync=True))
    assert asked(window("deny", "0 10 * * *", "4h"), manual=True)


def test_the_zone_of_the_window_counts():
    assert asked(window("deny", "0 13 * * *", "1h", timeZone="Europe/Paris"))
    assert not asked(window("deny", "0 12 * * *", "1h", timeZone="Europe/Paris"))


@pytest.mark.parametrize(
    ("lists", "matches"),
    [
        ({"applications": ["web"]}, True),
        ({"applications": ["w*"]}, True),
        ({"applications": ["db"]}, False),
        ({"namespaces": ["web"]}, True),
        ({"clusters": ["https://kubernetes.*"]}, True),
        ({"applications": ["db"], "namespaces": ["web"]}, True),
        ({"applications": ["db"], "namespaces": ["web"], "andOperator": True}, False),
        ({"applications": ["web"], "namespaces": ["web"], "andOperator": True}, True),
        ({}, False),
    ],
)
def test_whom_a_window_is_about(lists, matches):
    data = {"kind": "deny", "schedule": "* * * * *", "duration": "1h", **lists}
    assert bool(denial(APP, project(data), SUNDAY)) is matches


@pytest.mark.parametrize(
    "bad",
    [
        window("forbid", "* * * * *", "1h"),
        window("deny", "* * * *", "1h"),
        window("deny", "60 * * * *", "1h"),
        window("deny", "* * * * 7", "1h"),
        window("deny", "x * * * *", "1h"),
        window("deny", "*/0 * * * *", "1h"),
        window("deny", "* * * * *", "soon"),
        window("deny", "* * * * *", "1h", timeZone="Mars/Olympus"),
    ],
)
def test_what_cannot_be_understood_is_not_passed_over(bad):
    with pytest.raises(BadWindow, match="is invalid") as caught:
        asked(bad)
    assert caught.value.hint == "correct it: kubectl -n argocd edit appproject default"


def test_what_cannot_be_understood_of_others_does_not_matter():
    assert asked({**window("deny", "nonsense", "1h"), "applications": ["db"]}) == ""


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0 0 * * *", 31),
        ("0 0 * * mon-fri", 22),
        ("0 0 1 * mon", 6),  # either: the 1st, and five Mondays
        ("0 0 */2 * mon", 19),  # a step restricts, so either: 16 odd days, and 3 Mondays among the even ones
        ("0 9-17/4 1 * *", 3),
        ("0,30 0 1 mar *", 2),
        ("5/20 0 1 * ?", 3),
        ("0 0 1 feb *", 0),
    ],
)
def test_schedules_in_march_2026(text, count):
    march = datetime(2026, 3, 1, tzinfo=UTC)
    assert len(list(parse_cron(text).starts(march - timedelta(seconds=1), march + timedelta(days=31, seconds=-1)))) == count
