"""The version bump that the commits require, by Semantic Versioning 2.0.0. Pure: no git, no settings.

MAJOR for a breaking change, MINOR for a feature, PATCH for everything else; before 1.0.0 a breaking change requires MINOR only (SemVer 4).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum

from promote.candidate.commits import Change
from promote.core.version import Version, parse_version

# `feature` is no type of the convention, but teams write it.
FEATURES = ("feat", "feature")


class Level(IntEnum):
    """The bump from one version to the next. NONE: the numbers are equal or lower."""

    NONE = 0
    PATCH = 1
    MINOR = 2
    MAJOR = 3

    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, kw_only=True, slots=True)
class RequiredBump:
    """The bump that the changes require. `why` counts them by kind; `by` are the commits that require it; `untyped` those without a type."""

    level: Level
    why: str
    by: tuple[Change, ...]
    untyped: tuple[Change, ...]


def required_bump(changes: Sequence[Change], *, default_bump: str = "") -> RequiredBump | None:
    """The bump that the changes require; None when undetermined: no commit has a Conventional Commits type, and `default_bump` gives no default."""
    own = [c for c in changes if not c.merge]
    untyped = tuple(c for c in own if not c.kind)
    if own and len(untyped) == len(own) and not default_bump:
        return None
    rest = Level[default_bump.upper()] if default_bump else Level.PATCH
    levels = {c.oid: _level(c, rest) for c in own}
    level = max(levels.values(), default=Level.PATCH)
    counts = Counter(levels.values())
    words = {Level.MAJOR: "breaking", Level.MINOR: "feat", Level.PATCH: "other"}
    why = ", ".join(f"{counts[at]} {words[at]}" for at in sorted(words, reverse=True) if counts[at]) or "nothing to ship"
    return RequiredBump(level=level, why=why, by=tuple(c for c in own if levels[c.oid] is level), untyped=untyped)


def _level(change: Change, untyped: Level) -> Level:
    if change.breaking:
        return Level.MAJOR
    if not change.kind:
        return untyped
    return Level.MINOR if change.kind in FEATURES else Level.PATCH


def effective_level(level: Level, old: Version) -> Level:
    """The level to apply to this version: before 1.0.0, MINOR in place of MAJOR."""
    return Level.MINOR if level is Level.MAJOR and old.numbers[0] == 0 else level


def step(old: Version, new: Version) -> Level:
    """The bump from `old` to `new`. From a prerelease to its release, or to the next prerelease, counts as the bump the prerelease made."""
    for level, before, after in zip((Level.MAJOR, Level.MINOR, Level.PATCH), old.numbers, new.numbers, strict=False):
        if after != before:
            return level if after > before else Level.NONE
    return Level.MAJOR if old.prerelease and new > old else Level.NONE


def next_version(old: Version, level: Level) -> str:
    """The smallest version above `old` with this bump: `v1.8.0`."""
    major, minor, patch = (*old.numbers, 0, 0, 0)[:3]
    if old.prerelease:
        # The prerelease made the bump already: v1.8.0-rc.1 sorts below v1.8.0 (SemVer 11).
        return f"v{major}.{minor}.{patch}"
    if level is Level.MAJOR:
        return f"v{major + 1}.0.0"
    return f"v{major}.{minor + 1}.0" if level is Level.MINOR else f"v{major}.{minor}.{patch + 1}"


def next_available(old: Version, level: Level, promoted: Collection[Version]) -> str:
    """The smallest version with this bump that is greater than every promoted one, including those that were rolled back."""
    first, newest = next_version(old, level), max(promoted, default=old)
    return first if parse_version(first) > newest else next_version(newest, Level.PATCH)


def next_calendar_version(promoted: Sequence[Version], today: date) -> str:
    """The next calendar version: one above this month's greatest number, else 1: `v2026.11.4`."""
    here = [v.numbers[2] for v in promoted if v.numbers[:2] == (today.year, today.month) and len(v.numbers) > 2]
    return f"v{today.year}.{today.month:02}.{max(here, default=0) + 1}"


def too_early(version: Version, today: date) -> bool:
    """Whether a calendar version lies in the future; allows one day for clocks and time zones."""
    tomorrow = today + timedelta(days=1)
    return version.numbers[:2] > (tomorrow.year, tomorrow.month)
