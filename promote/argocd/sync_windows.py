"""Sync windows of an AppProject: would Argo CD refuse to sync an application, now or at any time until a promotion may end? Pure.

The rules are Argo CD's own (AppProject.spec.syncWindows): an active deny window refuses; else an active allow window permits; else an inactive allow
window refuses; without a matching window every sync is permitted. promote checks them in advance, because a refused automatic sync shows only as
OutOfSync.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from fnmatch import fnmatchcase
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from promote.argocd.application import Application
from promote.argocd.cron import Cron, parse_cron
from promote.argocd.projects import INHERITED, Project
from promote.core.errors import PromoteError

_GO_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:h|m|s|ms))+")
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|h|m|s)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


class BadWindow(PromoteError):
    """A sync window that is invalid."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """One window. It is active from each start of its schedule for `length`, on the wall clock of `zone`."""

    allows: bool
    text: str
    schedule: Cron
    length: timedelta
    zone: tzinfo
    manual: bool

    def open_until(self, at: datetime) -> datetime | None:
        """The end of the active period that covers `at`; None when the window is inactive then."""
        here = at.astimezone(self.zone)
        starts = list(self.schedule.starts(here - self.length, here))
        return starts[-1] + self.length if starts else None

    def changes(self, start: datetime, until: datetime) -> list[datetime]:
        """Every time in the interval at which the window becomes active or inactive."""
        begin = start.astimezone(self.zone) - self.length
        moments = [m for s in self.schedule.starts(begin, until) for m in (s, s + self.length)]
        return [m for m in moments if start <= m <= until]


def matches(window: Mapping[str, Any], app: Application) -> bool:
    """Whether a raw window selects this application: by any of its lists, or with `andOperator` by all lists that are not empty."""
    selectors = (("applications", app.name), ("namespaces", app.destination_namespace), ("clusters", app.destination_server))
    selected = [any(fnmatchcase(value, pattern) for pattern in window[key]) for key, value in selectors if window.get(key)]
    return bool(selected) and (all(selected) if window.get("andOperator") else any(selected))


def parse_window(data: Mapping[str, Any]) -> Window:
    """Parse a raw window. Raises ValueError when it is invalid."""
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
        text=f"{kind} window '{schedule}' for {duration}"
        + (f" {data['timeZone']}" if data.get("timeZone") else "")
        + (f" of global project {data[INHERITED]}" if data.get(INHERITED) else ""),
        schedule=parse_cron(schedule),
        length=timedelta(seconds=sum(float(n) * _UNITS[unit] for n, unit in _PART.findall(duration))),
        zone=zone,
        manual=bool(data.get("manualSync")),
    )


def denial(app: Application, project: Project, start: datetime, until: datetime | None = None, *, manual: bool = False) -> str:
    """Why Argo CD refuses a sync of the application at some time from `start` to `until` (default: only at `start`); "" when it never does.

    `project`: its own. `manual`: a sync that promote starts, which windows with manualSync permit.
    Raises BadWindow when one of its windows is invalid: Argo CD then refuses every sync.
    """
    try:
        mine = [parse_window(w) for w in project.windows if matches(w, app)]
    except ValueError as error:
        raise BadWindow(
            f"a sync window of project {project.name} is invalid: {error}",
            hint=f"correct it: kubectl -n {project.namespace} edit appproject {project.name}",
        ) from error
    until = until or start
    for moment in sorted({start, *(m for w in mine for m in w.changes(start, until))}):
        if refusal := _refused_at(mine, moment, manual):
            return f"{refusal} (project {project.name})"
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
