"""When a judge of the comparison of waits counts as wrong, and what the written table claims."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.realstack.waits.judges import Said
from tests.realstack.waits.table import NAMES, Found, Row, page, wrong

PAGE = Path(__file__).resolve().parents[2] / "docs" / "waits.md"


def found(*, there: bool, held: bool, left: str = "", lacking: str = "") -> Found:
    return Found(said=Said(there=there, seconds=1.0, words=""), held=held, left=left, lacking=lacking)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (found(there=True, held=True), ""),
        (found(there=True, held=False), "too early"),
        (found(there=True, held=False, left="x", lacking="x"), "not there"),
        (found(there=True, held=True, left="x", lacking="x"), "did not last: x"),
        (found(there=True, held=True, left="x"), "did not last: x"),
        (found(there=False, held=False, left="x", lacking="x"), ""),
        (found(there=False, held=True), "was there"),
    ],
)
def test_there_must_be_so_then_and_stay_so_and_not_there_must_be_so_in_the_end(case: Found, expected: str) -> None:
    assert case.wrong == expected


def test_the_table_has_a_line_for_each_race_and_the_sums() -> None:
    right, early = found(there=True, held=True), found(there=True, held=False)
    rows = [
        Row(name="a", what="one", said=dict.fromkeys(NAMES, right)),
        Row(name="b", what="two", said={**dict.fromkeys(NAMES, right), "argocd": early}),
    ]
    assert [wrong(rows, judge) for judge in NAMES] == [1, 0, 0]
    text = page(rows, "head", "tail")
    assert "| two | there | **WRONG** (too early): there, 1.0 s | there, 1.0 s | there, 1.0 s |" in text
    assert "| **all** | | **1 wrong of 2** | **0 wrong of 2** | **0 wrong of 2** |" in text


def test_the_page_was_written_by_a_run_in_which_promote_was_never_wrong() -> None:
    sums = re.search(
        r"^\| \*\*all\*\* \| \| \*\*(\d+) wrong of (\d+)\*\* \| \*\*(\d+) wrong of \d+\*\* \| \*\*(\d+) wrong of \d+\*\* \|$",
        PAGE.read_text(),
        re.MULTILINE,
    )
    assert sums and int(sums[2]) >= 20 and int(sums[4]) == 0 < int(sums[3]) < int(sums[1])
