"""A declared fact counts only when its test observes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.declared import declarations

SHOWN = """
from tests.support.declared import proves, saw

@proves("check", "trunk", "failed")
def test_shown():
    saw("check", "trunk", "failed")
"""
CLAIMED = """
from tests.support.declared import proves, saw

@proves("check", "trunk", "failed")
def test_claimed():
    saw("check", "trunk", "passed")
"""
SKIPPED = """
import pytest
from tests.support.declared import proves

@pytest.mark.skip
@proves("check", "trunk", "errored")
def test_skipped():
    pass
"""


@pytest.mark.parametrize(("source", "outcome"), [(SHOWN, "passed"), (CLAIMED, "failed")], ids=["shown", "claimed"])
def test_a_test_passes_only_with_the_facts_it_declares(pytester: pytest.Pytester, source: str, outcome: str) -> None:
    pytester.makepyfile(source)
    result = pytester.runpytest_inprocess("-p", "tests.support.declared", "-p", "no:cacheprovider")
    result.assert_outcomes(**{outcome: 1})
    assert (outcome == "passed") is ("declared, but not observed" not in result.stdout.str())


def test_a_skipped_test_declares_nothing(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["tests.support.declared"]\n')
    (tmp_path / "test_shown.py").write_text(SHOWN)
    (tmp_path / "test_skipped.py").write_text(SKIPPED)
    assert declarations(tmp_path) == {("check", "trunk", "failed")}
