"""The output for GitHub Actions: no text of a check can become a command or break the table."""

from __future__ import annotations

import pytest

from promote.core.model import Verdict
from promote.report.github_actions import commands, summary

EVIL = "first\n::set-output name=x::y\r\n50% of all\n::stop-commands::z"


def test_what_did_not_pass_becomes_one_line_each() -> None:
    lines = commands([("good", Verdict.PASSED, ""), ("bad[a:b,c]", Verdict.FAILED, EVIL), ("far", Verdict.ERRORED, "no network")])
    assert lines == [
        "::error title=bad[a%3Ab%2Cc]%3A failed::first%0A::set-output name=x::y%0A50%25 of all%0A::stop-commands::z",
        "::error title=far%3A unknown%2C which is not a pass::no network",
    ]


@pytest.mark.parametrize("evil", ["a | b", "<script>alert(1)</script>", "[x](http://evil)", "`code`", "@everyone", "![i](x)", "line\nbreak"])
def test_the_table_stays_a_table(evil: str) -> None:
    text = summary("v1.0.0 at abc", [("row", Verdict.FAILED, evil)])
    (row,) = [line for line in text.splitlines() if line.startswith("| ✗")]
    assert row.count("|") == 4
    assert not set("<>[`@!") & set(row.removeprefix("| ✗ | `row` |"))


def test_the_count_lists_unknown_separately() -> None:
    rows = [("a", Verdict.PASSED, ""), ("b", Verdict.ERRORED, "x"), ("c", Verdict.ERRORED, "y")]
    assert summary("t", rows).rstrip().endswith("1 passed, 2 unknown")
