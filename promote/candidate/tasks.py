"""The tasks that a promotion's commits name, and whether they are closed. Trackers: Beads (`bd` or its JSONL export) and GitHub's issues.

Many words only look like an id ("acme-prod"), so only ids that the tracker knows count. An unreadable tracker is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from promote.candidate.commits import Change
from promote.core.model import Task

Look = Callable[[frozenset[str]], Mapping[str, "Task"]]
# The forms that GitHub links, but not inside of a word or a path (`page/#12`).
_HASH = re.compile(r"(?<![\w/#-])(?P<slug>[\w.-]{1,39}/[\w.-]{1,100})?(?:#|GH-)(?P<number>[1-9][0-9]*)\b")
_WORD = re.compile(r"(?<![\w.-])[A-Za-z0-9]\w*(?:-\w+)+(?:\.\d+)*(?![\w-])")


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskReport:
    """`named`: the tasks that exist, each with the commits that name it; `nameless`: commits that name none and are not exempt."""

    named: Mapping[str, tuple[Task, tuple[Change, ...]]]
    nameless: tuple[Change, ...]

    def still_open(self, closed: Sequence[str]) -> list[tuple[Task, tuple[Change, ...]]]:
        return [(task, commits) for task, commits in self.named.values() if task.status not in closed]


def hash_ids(slug: str) -> Callable[[str], set[str]]:
    """A finder of GitHub's `#12`, `GH-12` and `owner/name#12` in a text. Ignores ids of other repositories than `slug`."""

    def find(text: str) -> set[str]:
        return {f"#{m['number']}" for m in _HASH.finditer(text) if not m["slug"] or m["slug"].lower() == slug.lower()}

    return find


def beads_ids(prefixes: Sequence[str]) -> Callable[[str], set[str]]:
    """A finder of words with a hyphen (`acme-7x2`, `acme-7x2.1`); with prefixes, only those that begin with one."""

    def find(text: str) -> set[str]:
        words = {m[0] for m in _WORD.finditer(text)}
        return {w for w in words if not prefixes or any(w.startswith(f"{p}-") for p in prefixes)}

    return find


def report(changes: Iterable[Change], find: Callable[[str], set[str]], look: Look, exempt: Sequence[str]) -> TaskReport:
    """Look up every id in the subjects and trailers, with one call of `look`. An id missing from its answer does not exist."""
    changes = list(changes)
    ids = {c.oid: find("\n".join([c.subject, *c.trailers])) for c in changes}
    known = look(frozenset().union(*ids.values())) if any(ids.values()) else {}
    named = {i: (task, tuple(c for c in changes if i in ids[c.oid])) for i, task in sorted(known.items())}
    nameless = [c for c in changes if not c.merge and not ids[c.oid] & set(known) and not any(fnmatchcase(c.subject, p) for p in exempt)]
    return TaskReport(named=named, nameless=tuple(nameless))
