"""Five-field cron schedules as Argo CD's sync windows use them: minute, hour, day of month, month, day of week. Pure.

When both day fields are restricted, one match is enough; otherwise both must match. A step like `*/2` restricts, as in the Go library of Argo CD.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta

_MONTHS = {name: n for n, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)}
_DAYS = {name: n for n, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("weekday", 0, 6, _DAYS),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cron:
    """The allowed values of each field. `either_day`: both day fields are restricted, so one match is enough. Weekdays count from Sunday = 0."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    def starts(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Every scheduled minute in (after, until], on the wall clock of `after`'s zone, oldest first."""
        day = after.date()
        while day <= until.astimezone(after.tzinfo).date():
            if self._on(day.month, day.day, day.isoweekday() % 7):
                for hour in sorted(self.hours):
                    for minute in sorted(self.minutes):
                        moment = datetime.combine(day, time(hour, minute), after.tzinfo)
                        if after < moment <= until:
                            yield moment
            day += timedelta(days=1)

    def _on(self, month: int, day: int, weekday: int) -> bool:
        matches = (day in self.days, weekday in self.weekdays)
        return month in self.months and (any(matches) if self.either_day else all(matches))


def parse_cron(text: str) -> Cron:
    """Parse a schedule. Raises ValueError that names the field, for schedules that Argo CD does not accept either."""
    words = text.split()
    if len(words) != len(_FIELDS):
        raise ValueError(f"{text!r} has {len(words)} fields, not 5")
    parsed = [_field(word, *field) for word, field in zip(words, _FIELDS, strict=True)]
    (minutes, _), (hours, _), (days, any_day), (months, _), (weekdays, any_weekday) = parsed
    return Cron(minutes=minutes, hours=hours, days=days, months=months, weekdays=weekdays, either_day=not any_day and not any_weekday)


def _field(word: str, name: str, low: int, high: int, names: dict[str, int]) -> tuple[frozenset[int], bool]:
    """The values of one field, and whether it is a plain `*`."""
    found: set[int] = set()
    star = False
    for part in word.split(","):
        span, slash, step_text = part.partition("/")
        step = _number(step_text, name, {}) if slash else 1
        first_text, dash, last_text = span.partition("-")
        if span in ("*", "?"):
            first, last, star = low, high, star or step == 1
        else:
            first = _number(first_text, name, names)
            last = _number(last_text, name, names) if dash else high if slash else first
        if not (low <= first <= last <= high) or step < 1:
            raise ValueError(f"{name} {part!r} is not within {low}-{high}")
        found.update(range(first, last + 1, step))
    return frozenset(found), star


def _number(text: str, name: str, names: dict[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"{name} {text!r} is not a number")
    return int(text)
