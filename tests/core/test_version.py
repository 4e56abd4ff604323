"""Versions are read strictly and compared by value."""

from __future__ import annotations

import pytest

from promote.core.errors import UsageError
from promote.core.version import parse_version, version_of_tag


@pytest.mark.parametrize(("text", "spelled"), [("1.2.3", "v1.2.3"), ("v1.2.3", "v1.2.3"), ("v1.2.3-rc.1", "v1.2.3-rc.1")])
def test_a_version_keeps_its_spelling_and_gains_the_v(text: str, spelled: str) -> None:
    assert parse_version(text).text == spelled


@pytest.mark.parametrize(
    "text", ["", "v", "1.2", "v1.2.3.4", "v01.2.3", "v1.2.3+build", "--force", "v1.2.3; rm -rf", "v1.2.3\n", "v١.٢.٣", " v1.2.3", "v1.2.-3", "latest"]
)
def test_anything_else_is_refused_with_the_expected_form(text: str) -> None:
    with pytest.raises(UsageError, match="is not a semver version") as caught:
        parse_version(text)
    assert "v1.2.3" in caught.value.hint


@pytest.mark.parametrize(
    ("older", "newer"),
    [("v1.2.3", "v1.2.4"), ("v1.9.0", "v1.10.0"), ("v1.0.0-rc.1", "v1.0.0"), ("v1.0.0-rc.2", "v1.0.0-rc.10"), ("v1.0.0-1", "v1.0.0-alpha")],
)
def test_order_is_by_value(older: str, newer: str) -> None:
    assert parse_version(older) < parse_version(newer)


def test_calver_compares_numbers_but_keeps_leading_zeros() -> None:
    older, newer = parse_version("v2026.05.3196", "calver"), parse_version("v2026.10.1", "calver")
    assert older < newer
    assert older.text == "v2026.05.3196"
    assert older == parse_version("v2026.5.3196", "calver")


def test_a_tag_gives_its_version_back_only_when_it_fits_the_template() -> None:
    assert str(version_of_tag("prod-v1.2.3", "prod-{version}")) == "v1.2.3"
    assert version_of_tag("prod-stable", "prod-{version}") is None
    assert version_of_tag("dev-v1.2.3", "prod-{version}") is None
