"""Versions: parsed strictly, compared by value, shown in their own spelling.

SemVer 2.0.0 (https://semver.org) with a leading "v" allowed and added; `calver` is YYYY.MM.PATCH-like with leading zeros (v2026.05.3196),
an optional SHA or word suffix, every number compared as a number. Only ASCII digits count.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering

from promote.core.errors import UsageError

_NUMBER = r"(?:0|[1-9][0-9]*)"
_PRE = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
# SemVer 9: a numeric identifier has no leading zero, else two spellings would be one version.
_STRICT = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_LONGEST = 100  # characters; many tools use a tag's name as a file name, and Python refuses to parse numbers of thousands of digits
_PATTERNS = {
    "semver": re.compile(rf"v?({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_STRICT}(?:\.{_STRICT})*))?"),
    "calver": re.compile(rf"v?([0-9]{{4}})\.([0-9]{{1,2}})(?:\.([0-9]+))?(?:\.([0-9]+))?(?:-({_PRE}))?"),
}
SCHEMES = tuple(_PATTERNS)
_EXAMPLES = {"semver": "v1.2.3", "calver": "v2026.05.3196"}


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """One version. `text` is its own spelling with a leading "v"; equality and order go by value."""

    text: str
    numbers: tuple[int, ...]
    prerelease: tuple[str, ...]

    def __str__(self) -> str:
        return self.text

    def _key(self) -> tuple[object, ...]:
        # SemVer 11: numeric identifiers sort below words, and a version without a prerelease above any with one.
        words = tuple((0, int(w), "") if w.isdecimal() else (1, 0, w) for w in self.prerelease)
        return (self.numbers, not self.prerelease, words)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key() == other._key()

    def __lt__(self, other: Version) -> bool:
        return self._key() < other._key()

    def __hash__(self) -> int:
        return hash(self._key())


UNVERSIONED = Version("unversioned", (0, 0, 0), ())  # for a commit without a prod tag: a user may have moved production's tag by hand


def recorded_version(text: str, scheme: str) -> Version:
    """Parse a version from a lock, a journal or a suite's context. These may contain `UNVERSIONED`, which no user can type."""
    return UNVERSIONED if text == UNVERSIONED.text else parse_version(text, scheme)


def parse_version(text: str, scheme: str = "semver") -> Version:
    """Parse `1.2.3` or `v1.2.3`. Raises UsageError that states the expected form for anything else."""
    if len(text) > _LONGEST:
        raise UsageError(
            f"{text[:20]!r}... is not a version: {len(text)} characters, at most {_LONGEST} are allowed", hint=f"write it like {_EXAMPLES[scheme]}"
        )
    match = _PATTERNS[scheme].fullmatch(text)
    if match and text.endswith(".lock"):
        raise UsageError(f"{text!r} cannot be a version: git allows no tag whose name ends with .lock", hint="choose another suffix")
    if match is None:
        build = " Build metadata (+...) has no order, so two such tags could not be compared." if "+" in text else ""
        raise UsageError(
            f"{text!r} is not a {scheme} version.{build}",
            hint=f"write it like {_EXAMPLES[scheme]}; the scheme is version.scheme in promotion.toml ({' or '.join(SCHEMES)})",
        )
    *numbers, prerelease = match.groups()
    spelled = text if text.startswith("v") else f"v{text}"
    return Version(spelled, tuple(int(n) for n in numbers if n is not None), tuple(prerelease.split(".")) if prerelease else ())


def version_of_tag(tag: str, template: str, scheme: str = "semver") -> Version | None:
    """The version in a tag name with this template (`prod-{version}`), or None when the name does not match it."""
    head, _, tail = template.partition("{version}")
    if not (tag.startswith(head) and tag.endswith(tail)) or len(tag) < len(head) + len(tail):
        return None
    try:
        return parse_version(tag[len(head) : len(tag) - len(tail)], scheme)
    except UsageError:
        return None
