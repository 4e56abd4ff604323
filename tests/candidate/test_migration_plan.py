"""Migration plans, and JUnit files as evidence."""

from __future__ import annotations

import pytest

from promote.candidate.junit import read_junit
from promote.candidate.migration_plan import empty_sections, removals, skeleton, unsafe

SECTIONS = ["What breaks", "Steps", "Rollback"]


def test_a_skeleton_is_not_filled_in() -> None:
    assert empty_sections(skeleton("v2.0.0", SECTIONS, ["the volume goes"]), SECTIONS) == SECTIONS
    assert unsafe(skeleton("v2.0.0", SECTIONS, [])) is None


def test_sections_with_words_are_filled_and_the_rest_is_named() -> None:
    text = "# v2\n\n## What breaks\n\nthe volume\n\n## steps ##\n\n1. copy it\n\n## Rollback\n\n- TBD\n<!-- later -->\n"
    assert empty_sections(text, SECTIONS) == ["Rollback"]
    assert empty_sections(text + "\n## Rollback\n\ncopy it back\n", SECTIONS) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [("rollback: unsafe\n", ""), ("x\nRollback:  unsafe (one-way schema)\n", "(one-way schema)"), ("rollback: safe", None), ("", None)],
)
def test_a_plan_may_forbid_to_go_back(text: str, why: str | None) -> None:
    assert unsafe(text) == why


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("x\nremoves: shop-eu, shop-us\nRemoves: old\n", {"shop-eu", "shop-us", "old"}),
        ("removes:\nshop", set()),
        ("<!-- removes: shop -->", set()),
        ("it removes: shop", set()),
        (skeleton("v2.0.0", SECTIONS, []), set()),
    ],
)
def test_a_plan_may_announce_the_applications_that_go(text: str, names: set[str]) -> None:
    assert removals(text) == names


JUNIT = """<?xml version="1.0"?><testsuites><testsuite name="s"><properties><property name="commit" value="abc"/></properties>
<testcase classname="a" name="ok"/><testcase classname="a" name="bad"><failure message="x"/></testcase>
<testcase name="broke"><error/></testcase><testcase name="left out"><skipped/></testcase></testsuite></testsuites>"""


def test_a_junit_file_names_its_tests_and_its_commit() -> None:
    run = read_junit(JUNIT)
    assert (run.commit, run.ran, run.skipped, run.bad) == ("abc", 3, 1, ("a.bad", "broke"))


DEFAULTS = f'<!DOCTYPE testsuite [<!ATTLIST testcase name CDATA "{"A" * 1000}">]><testsuite>{"<testcase/>" * 1000}</testsuite>'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html/>",
        "<testsuite>",
        '<!DOCTYPE x [<!ENTITY a "b">]><testsuite name="&a;"/>',
        DEFAULTS,
        DEFAULTS.encode("utf-16"),
        "<testsuite>" * 5000,
        b"\xff",
    ],
    ids=["empty", "html", "cut off", "entities", "default attributes", "default attributes in UTF-16", "deep", "no text"],
)
def test_invalid_junit_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        read_junit(text)


def test_a_page_that_a_test_printed_is_no_document_type() -> None:
    page = "<testsuite><testcase name='a'/><system-out><![CDATA[<!DOCTYPE html><!ENTITY]]></system-out></testsuite>"
    assert read_junit(page).ran == 1
