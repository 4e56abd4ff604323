"""Parsing the commit messages of a promotion: type, breaking change (Conventional Commits 1.0.0) and trailers. Pure text, no git."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from promote.core.foreign import split_lines
from promote.core.model import short
from promote.git.objects import LoggedCommit

_HEAD = re.compile(r"(?P<type>[A-Za-z][\w-]*)(?:\([^()\n]*\))?(?P<bang>!)?:\s+(?P<text>\S.*)")
# A footer's text may have several lines; it ends where the next footer begins (Conventional Commits 1.0.0, rule 10).
_FOOTER = re.compile(r"^BREAKING[ -]CHANGE:\s*(?P<text>.*(?:\n(?![A-Za-z-]+(?:: | #)|BREAKING).+)*)", re.MULTILINE)
_TRAILER = re.compile(r"[A-Za-z][A-Za-z-]*(?:: | #)\S.*")
_REVERT = re.compile(r'Revert "')  # the subject that `git revert` writes; the convention leaves the type of a revert open


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One commit. `kind` is "" when it has no Conventional Commits type; `breaking` describes the breaking change ("" = none is declared)."""

    oid: str
    subject: str
    kind: str
    breaking: str
    merge: bool
    author: str
    trailers: tuple[str, ...]

    def describe(self) -> str:
        """`4f0a9b1 "feat(grafana): raise the memory limit"`."""
        return f'{short(self.oid)} "{self.subject}"'


def change_of(commit: LoggedCommit) -> Change:
    """Parse one commit's message."""
    subject, _, body = commit.message.partition("\n")
    head = _HEAD.fullmatch(subject.strip())
    footer = _FOOTER.search(body)
    breaking = " ".join(footer["text"].split()) or subject if footer else head["text"] if head and head["bang"] else ""
    kind = head["type"].lower() if head else "revert" if _REVERT.match(subject) else ""
    return Change(
        oid=commit.oid, subject=subject.strip(), kind=kind, breaking=breaking,
        merge=len(commit.parents) > 1, author=commit.author, trailers=trailers(body),
    )  # fmt: skip


def trailers(body: str) -> tuple[str, ...]:
    """The trailers in the last paragraph of a message (`Closes: #12`, `Fixes #12`, `Co-authored-by: …`)."""
    last = [line.strip() for line in split_lines(body.strip().split("\n\n")[-1]) if line.strip()]
    return tuple(line for line in last if _TRAILER.fullmatch(line))


def breaking(changes: Iterable[Change]) -> list[Change]:
    """The changes that declare a breaking change."""
    return [c for c in changes if c.breaking]
