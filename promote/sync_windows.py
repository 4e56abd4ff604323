"""Argo CD sync windows: will automated syncs of an application be denied at any moment of an interval?

Semantics as in AppProject.spec.syncWindows: an active deny window denies; when allow windows match an application, it may sync only while one of
them is active. Schedules are cron in the window's own time zone (UTC by default); a window is active for `duration` from each match.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from promote.applications import Application
from promote.settings_reader import parse_duration


class BadWindow(ValueError):
    """A window that cannot be evaluated: nobody can say whether it denies."""


def denial(app: Application, windows: Iterable[Mapping[str, Any]], start: datetime, end: datetime) -> str:
    """Why an automated sync may be denied between two moments, "" when none is. Raises BadWindow."""
    mine = [w for w in windows if _matches(app, w)]
    for window in mine:
        if window.get("kind") == "deny" and (active := _active(window, start, end)):
            return f"window denies from {active[0][0]:%a %H:%M} to {active[0][1]:%a %H:%M} UTC (deny {window.get('schedule')!r})"
    allows = [w for w in mine if w.get("kind") == "allow"]
    if allows and not _covered([span for w in allows for span in _active(w, start, end)], start, end):
        schedules = ", ".join(repr(w.get("schedule")) for w in allows)
        return f"no window allows a sync until {end:%a %H:%M} UTC (allow {schedules})"
    return ""


def _matches(app: Application, window: Mapping[str, Any]) -> bool:
    asked = (
        (app.name, window.get("applications")),
        (app.destination_namespace, window.get("namespaces")),
        (app.destination_server, window.get("clusters")),
    )
    given = [any(fnmatchcase(value, pattern) for pattern in patterns) for value, patterns in asked if patterns]
    return all(given) if window.get("andOperator") and given else any(given)


def _active(window: Mapping[str, Any], start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """The spans in which the window is active and that touch the interval, in UTC."""
    from cronsim import CronSim, CronSimError

    try:
        duration = timedelta(seconds=parse_duration(str(window.get("duration", ""))))
        zone = ZoneInfo(window.get("timeZone") or "UTC")
        spans: list[tuple[datetime, datetime]] = []
        for at in CronSim(str(window.get("schedule", "")), (start - duration - timedelta(minutes=1)).astimezone(zone)):
            begins = at.astimezone(UTC)
            if begins > end:
                return spans
            if begins + duration > start:
                spans.append((begins, begins + duration))
    except (ValueError, CronSimError, ZoneInfoNotFoundError) as error:
        raise BadWindow(f"sync window {window.get('schedule')!r} for {window.get('duration')!r} cannot be evaluated: {error}") from error
    return spans


def _covered(spans: list[tuple[datetime, datetime]], start: datetime, end: datetime) -> bool:
    reach = start
    for begins, ends in sorted(spans):
        if begins > reach:
            return False
        reach = max(reach, ends)
    return reach >= end
