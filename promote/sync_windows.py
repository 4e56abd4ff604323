"""Sync windows of an AppProject: would Argo CD refuse to sync an application, now or at any moment until a promotion may end? Pure.

The rules are Argo CD's own (AppProject.spec.syncWindows): an active deny wins; else an active allow lets through; else a closed allow refuses;
without any matching window everything may sync. A refused automatic sync shows nothing but OutOfSync, so this is looked at beforehand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from fnmatch import fnmatchcase
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from promote.applications import Application
from promote.cron import Cron, parse_cron

_GO_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:h|m|s|ms))+")
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|h|m|s)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """One window. It is open from each start of its schedule for `length`, on the wall clock of `zone`."""

    allows: bool
    text: str
    schedule: Cron
    length: timedelta
    zone: tzinfo
    manual: bool
    applications: tuple[str, ...]
    namespaces: tuple[str, ...]
    clusters: tuple[str, ...]
    all_must_match: bool

    def matches(self, app: Application) -> bool:
        checks = [
            any(fnmatchcase(value, pattern) for pattern in patterns)
            for value, patterns in (
                (app.name, self.applications),
                (app.destination_namespace, self.namespaces),
                (app.destination_server, self.clusters),
            )
            if patterns
        ]
        return bool(checks) and (all(checks) if self.all_must_match else any(checks))

    def open_until(self, at: datetime) -> datetime | None:
        """The end of the opening that covers `at`, None when it is closed then."""
        here = at.astimezone(self.zone)
        starts = list(self.schedule.starts(here - self.length, here))
        return starts[-1] + self.length if starts else None

    def changes(self, start: datetime, until: datetime) -> list[datetime]:
        """Every moment in the interval at which it opens or closes."""
        begin = start.astimezone(self.zone) - self.length
        moments = [m for s in self.schedule.starts(begin, until) for m in (s, s + self.length)]
        return [m for m in moments if start <= m <= until]


def parse_window(data: Mapping[str, Any]) -> Window:
    """Raises ValueError for a window that cannot be understood (Argo CD ignores or rejects such; we must not guess which)."""
    kind, schedule, duration = data.get("kind"), str(data.get("schedule", "")), str(data.get("duration", ""))
    if kind not in ("allow", "deny"):
        raise ValueError(f"kind {kind!r} is neither allow nor deny")
    if not _GO_DURATION.fullmatch(duration):
        raise ValueError(f"duration {duration!r} is not like 1h30m")
    try:
        zone: tzinfo = ZoneInfo(data["timeZone"]) if data.get("timeZone") else UTC
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"timeZone {data['timeZone']!r} is not known here") from error
    return Window(
        allows=kind == "allow",
        text=f"{kind} window '{schedule}' for {duration}" + (f" {data['timeZone']}" if data.get("timeZone") else ""),
        schedule=parse_cron(schedule),
        length=timedelta(seconds=sum(float(n) * _UNITS[unit] for n, unit in _PART.findall(duration))),
        zone=zone,
        manual=bool(data.get("manualSync")),
        applications=tuple(data.get("applications") or ()),
        namespaces=tuple(data.get("namespaces") or ()),
        clusters=tuple(data.get("clusters") or ()),
        all_must_match=bool(data.get("andOperator")),
    )


def denied(app: Application, windows: Sequence[Mapping[str, Any]], start: datetime, until: datetime | None = None, *, manual: bool = False) -> str:
    """Why a sync of the application is refused at some moment from `start` until `until` (default: only then), "" when it never is.

    `windows`: the raw syncWindows of its project. `manual`: a sync that we start, which windows with manualSync let through.
    """
    try:
        mine = [w for w in map(parse_window, windows) if w.matches(app)]
    except ValueError as error:
        return f"a sync window of project {app.project} cannot be understood: {error}"
    until = until or start
    for moment in sorted({start, *(m for w in mine for m in w.changes(start, until))}):
        if refusal := _refused_at(mine, moment, manual):
            return f"{refusal} (project {app.project})"
    return ""


def _refused_at(windows: Sequence[Window], at: datetime, manual: bool) -> str:
    ends = [(w, w.open_until(at)) for w in windows]
    denies = [(w, end) for w, end in ends if end and not w.allows]
    if denies:
        if manual and all(w.manual for w, _ in denies):
            return ""
        window, end = max(denies, key=lambda pair: pair[1])
        return f"window denies until {end:%Y-%m-%d %H:%M %Z}: {window.text}"
    if any(end and w.allows for w, end in ends):
        return ""
    closed = [w for w, end in ends if not end and w.allows]
    if not closed or (manual and all(w.manual for w in closed)):
        return ""
    return f"no window allows it at {at.astimezone(closed[0].zone):%Y-%m-%d %H:%M %Z}: {closed[0].text}"
