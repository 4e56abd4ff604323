"""Sync windows of an AppProject at one moment. Cron in UTC; enough of it for `*`, numbers, lists, ranges and steps."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from promote.sandbox.kube.store import Object

_UNITS = {"h": 3600, "m": 60, "s": 1}


def denied(app: Object, windows: Iterable[Object], now: datetime) -> bool:
    """Whether an automated sync is denied now: by an active deny, or by allow windows none of which is active."""
    mine = [w for w in windows if _matches(app, w)]
    active = [w for w in mine if _active(w, now)]
    # A deny window is stronger than every allow window.
    if any(w.get("kind") == "deny" for w in active):
        return True
    allows = [w for w in mine if w.get("kind") == "allow"]
    return bool(allows) and not any(w in active for w in allows)


def _matches(app: Object, window: Object) -> bool:
    destination = app["spec"].get("destination") or {}
    pairs = (
        (app["metadata"]["name"], window.get("applications")),
        (destination.get("namespace", ""), window.get("namespaces")),
        (destination.get("server", ""), window.get("clusters")),
    )
    return any(fnmatchcase(value, pattern) for value, patterns in pairs for pattern in patterns or [])


def _active(window: Object, now: datetime) -> bool:
    duration = sum(int(n) * _UNITS[u] for n, u in re.findall(r"(\d+)([hms])", str(window.get("duration", ""))))
    minute = now.replace(second=0, microsecond=0)
    for _ in range(min(duration // 60 + 1, 2 * 24 * 60)):
        if _cron(window.get("schedule", ""), minute) and (now - minute).total_seconds() < duration:
            return True
        minute -= timedelta(minutes=1)
    return False


def _cron(schedule: str, at: datetime) -> bool:
    # cron counts the days of the week from Sunday, 0.
    values = (at.minute, at.hour, at.day, at.month, at.isoweekday() % 7)
    fields = schedule.split()
    return len(fields) == 5 and all(_field(f, v) for f, v in zip(fields, values, strict=True))


def _field(field: str, value: int) -> bool:
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, _, high = span.partition("-")
        first, last = (0, 59) if span == "*" else (int(low), int(high or low))
        if first <= value <= last and (value - first) % int(step or 1) == 0:
            return True
    return False
