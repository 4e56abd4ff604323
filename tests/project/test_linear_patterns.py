"""Patterns that foreign text is matched with: a text made to be slow costs no more than its length.

Each text is so long that a pattern of quadratic cost would run into the time limit of the test.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from promote.argocd.source import _OPEN, _RANGE
from promote.candidate import migration_plan
from promote.candidate.docs import mentions, relative_links
from promote.candidate.tasks import beads_ids, hash_ids
from promote.checklist.plugin import _DO, _WHY
from promote.config.expressions import _CLAIM
from promote.core.foreign import visible
from promote.core.redact import Redactor
from promote.git.push import _error_text
from promote.init.discover import _VERSIONED
from promote.report.github_actions import inert

N = 300_000
find = hash_ids("acme/gitops")

SLOW: dict[str, Callable[[], object]] = {
    "a heading with spaces": lambda: migration_plan.empty_sections("# a" + " " * N + "b", ["x"]),
    "comments that do not end": lambda: migration_plan.removals("<!--" * N),
    "a placeholder of dots": lambda: migration_plan.empty_sections("# x\n" + "." * N + "y", ["x"]),
    "backticks": lambda: relative_links("`" * N + "a" * N),
    "backticks of every length": lambda: relative_links("".join("`" * n + "a" for n in range(1, 800))),
    "comments of a page": lambda: relative_links("<!--" * N),
    "a link of spaces": lambda: relative_links("](" + " " * N),
    "links that do not end": lambda: relative_links("](<" * N),
    "a changelog of blank lines": lambda: mentions("\n" * N, "v1.2.3"),
    "a task of dots": lambda: find("a." * N),
    "a task of hyphens": lambda: beads_ids(())("a-" * N),
    "a range of spaces": lambda: _RANGE.fullmatch("1" + "  1" * N + "!"),
    "a range of signs": lambda: _RANGE.fullmatch("<" * N + " " * N + "!"),
    "no range": lambda: _OPEN.search(" " * N),
    "a detail of blank lines": lambda: (_DO.search("\n" * N), _WHY.search("\n" * N)),
    "a tag of digits": lambda: _VERSIONED.fullmatch("1" * N),
    "an expectation of spaces": lambda: _CLAIM.fullmatch("a = b" + " " * N + "c\nd"),
    "an address": lambda: Redactor(["hunter2secret"]).text("https://" + "a:" * N),
    "headers": lambda: Redactor(["hunter2secret"]).text("authorization:" * N + " " * N),
    "escapes": lambda: visible("\x1b[0" * N),
    "spaces before no command": lambda: inert((" " * N + "\n") * 3 + "\n" * N),
    "a server's message": lambda: _error_text("remote: fatal: repository '" * N),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", SLOW)
def test_a_text_costs_no_more_than_its_length(text: str) -> None:
    SLOW[text]()


@pytest.mark.timeout(60)
def test_a_missing_repository_is_found_in_any_message() -> None:
    from pathlib import Path

    from promote.core.errors import Denied
    from promote.git.errors import git_error
    from promote.git.process import Done

    def error(text: str) -> Exception:
        return git_error(Done(code=128, out="", err=text), "fetch", remote="origin", root=Path(), timeout_s=1, in_repository=lambda: True)

    assert isinstance(error("fatal: repository 'https://x/y.git/' not found"), Denied)
    assert not isinstance(error("fatal: repository '" * N), Denied)


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("`[a](b.md)` [c](d.md)", ["d.md"]),
        ("``a ` [x](y.md)`` [c](<d e.md> 'title')", ["d e.md"]),
        ("`` ` [a](b.md)", ["b.md"]),
        ("<!-- [a](b.md) --> [c](d_(e).md \"t\")", ["d_(e).md"]),
        ("<!-- [a](b.md)", ["b.md"]),
        ("[a]( b.md )", ["b.md"]),
    ],
)  # fmt: skip
def test_links_are_found_as_before(text: str, links: list[str]) -> None:
    assert relative_links(text) == links


@pytest.mark.parametrize("text", ["1.x", ">=1.0.0 <2", "1.2 - 1.4", "^1 || ~2.3", "> 1, <= 3", "v1.2.3-rc.1", "  1.* "])
def test_ranges_are_recognised_as_before(text: str) -> None:
    assert _RANGE.fullmatch(text)


@pytest.mark.parametrize("text", ["", "prod-stable", "1 -2 x y", "1.2.3!", ", 1"])
def test_other_revisions_are_no_ranges(text: str) -> None:
    assert not _RANGE.fullmatch(text)
