"""A migration plan, `migrations/VERSION.md`: whether it is filled in, declares a rollback unsafe, or announces removals. Pure text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from promote.candidate.docs import without_comments
from promote.core.foreign import split_lines

_HEADING = re.compile(r"^#{1,6}[ \t]+(.+)$", re.MULTILINE)
_UNSAFE = re.compile(r"^rollback:\s*unsafe\b[ :—-]*(.*)$", re.MULTILINE | re.IGNORECASE)
_REMOVES = re.compile(r"^removes:[ \t]*(\S.*)$", re.MULTILINE | re.IGNORECASE)
_PLACEHOLDER = re.compile(r"(?:todo|tbd|fixme|n/?a|\.{3}|…|-|\?|_)++[.!:\s]*", re.IGNORECASE)


def empty_sections(text: str, wanted: Sequence[str]) -> list[str]:
    """The sections that are missing or hold nothing but placeholders."""
    parts = _HEADING.split(without_comments(text))  # the hints of the skeleton are comments: they fill nothing in
    filled = {title.rstrip(" \t#").strip().lower() for title, body in zip(parts[1::2], parts[2::2], strict=True) if _has_content(body)}
    return [title for title in wanted if title.lower() not in filled]


def _has_content(body: str) -> bool:
    bare = [line.strip(" \t-*>0123456789.") for line in split_lines(body)]
    return any(line and not _PLACEHOLDER.fullmatch(line) for line in bare)


def unsafe(text: str) -> str | None:
    """The reason after `rollback: unsafe` ("" = none given); None when the plan has no such line."""
    found = _UNSAFE.search(text)
    return found[1].strip() if found else None


def removals(text: str) -> frozenset[str]:
    """The names of the applications that the version removes, from lines `removes: NAME, NAME`."""
    return frozenset(name.strip() for line in _REMOVES.findall(without_comments(text)) for name in line.split(",") if name.strip())


def skeleton(version: str, sections: Sequence[str], breaking: Sequence[str]) -> str:
    """A plan to fill in: the headings, and the breaking changes found as a comment."""
    found = "\n".join(f"  {line}" for line in breaking)
    lines = [f"# {version}", "", *(["<!-- found:", found, "-->", ""] if found else [])]
    for title in sections:
        lines += [f"## {title}", "", "TODO", ""]
    note = "<!-- A one-way migration: write `rollback: unsafe (why)` on a line of its own; promote then does not roll back after a failure. -->"
    gone = "<!-- An ApplicationSet that makes fewer applications than before: write `removes: NAME, NAME` on a line of its own. -->"
    return "\n".join([*lines, note, gone, ""])
