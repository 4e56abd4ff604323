"""How big a step a version must be for what the commits change, by Semantic Versioning 2.0.0. Pure: no git, no settings.

MAJOR for what breaks, MINOR for a feature, PATCH for everything else; before 1.0.0 what breaks asks for MINOR only (SemVer 4: nothing is stable yet).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum

from promote.candidate.commits import Change
from promote.core.version import Version, parse_version

FEATURES = ("feat", "feature")


class Level(IntEnum):
    """A step from one version to the next. NONE: the numbers are the same, or go back."""

    NONE = 0
    PATCH = 1
    MINOR = 2
    MAJOR = 3

    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """What the changes ask for. `why` counts them; `by` are the commits that ask for it; `untyped` those that say nothing of themselves."""

    level: Level
    why: str
    by: tuple[Change, ...]
    untyped: tuple[Change, ...]


def demand(changes: Sequence[Change], *, unclassified: str = "") -> Demand | None:
    """None when nobody can tell: there are commits, not one has a Conventional Commits type, and the settings do not say what that means."""
    own = [c for c in changes if not c.merge]
    untyped = tuple(c for c in own if not c.kind)
    if own and len(untyped) == len(own) and not unclassified:
        return None
    rest = Level[unclassified.upper()] if unclassified else Level.PATCH
    levels = {c.oid: _level(c, rest) for c in own}
    level = max(levels.values(), default=Level.PATCH)
    counts = Counter(levels.values())
    words = {Level.MAJOR: "breaking", Level.MINOR: "feat", Level.PATCH: "other"}
    why = ", ".join(f"{counts[at]} {words[at]}" for at in sorted(words, reverse=True) if counts[at]) or "nothing to ship"
    return Demand(level=level, why=why, by=tuple(c for c in own if levels[c.oid] is level), untyped=untyped)


def _level(change: Change, untyped: Level) -> Level:
    if change.breaking:
        return Level.MAJOR
    if not change.kind:
        return untyped
    return Level.MINOR if change.kind in FEATURES else Level.PATCH


def asked(level: Level, old: Version) -> Level:
    """What the demand comes to from this version on."""
    return Level.MINOR if level is Level.MAJOR and old.numbers[0] == 0 else level


def step(old: Version, new: Version) -> Level:
    """How big the step from old to new is. From a prerelease to its release, or to the next prerelease, counts as the step the prerelease made."""
    for level, before, after in zip((Level.MAJOR, Level.MINOR, Level.PATCH), old.numbers, new.numbers, strict=False):
        if after != before:
            return level if after > before else Level.NONE
    return Level.MAJOR if old.prerelease and new > old else Level.NONE


def following(old: Version, level: Level) -> str:
    """The smallest version that is such a step: `v1.8.0`."""
    major, minor, patch = (*old.numbers, 0, 0, 0)[:3]
    if old.prerelease:
        return f"v{major}.{minor}.{patch}"
    if level is Level.MAJOR:
        return f"v{major + 1}.0.0"
    return f"v{major}.{minor + 1}.0" if level is Level.MINOR else f"v{major}.{minor}.{patch + 1}"


def fitting(old: Version, level: Level, promoted: Collection[Version]) -> str:
    """The smallest version that is such a step and was never promoted: greater than all that were, one that was rolled back included."""
    first, newest = following(old, level), max(promoted, default=old)
    return first if parse_version(first) > newest else following(newest, Level.PATCH)


def following_date(promoted: Sequence[Version], today: date) -> str:
    """The next calendar version: this month's number after the greatest one there is, else 1. `v2026.11.4`."""
    here = [v.numbers[2] for v in promoted if v.numbers[:2] == (today.year, today.month) and len(v.numbers) > 2]
    return f"v{today.year}.{today.month:02}.{max(here, default=0) + 1}"


def too_early(version: Version, today: date) -> bool:
    """Whether a calendar version lies in the future: one day is allowed for clocks and time zones."""
    tomorrow = today + timedelta(days=1)
    return version.numbers[:2] > (tomorrow.year, tomorrow.month)
