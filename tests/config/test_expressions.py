"""The small languages inside promotion.toml: thresholds, claims about JSON, headers."""

from __future__ import annotations

import math

import pytest

from promote.config.expressions import claim, filled, header, threshold, variables

DOCUMENT = {"database": "ok", "ready": True, "n": 3, "none": None, "checks": [{"ok": True}, {"ok": False}], "a.b": {"c": 1}}


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [("< 0.01", 0.009, True), ("< 0.01", 0.01, False), ("<=1", 1, True), (">= 1", math.inf, True), ("== 0", -0.0, True), ("!= 0", 0, False),
     ("> -2.5e1", -24, True), ("< 1", math.nan, False), ("!= 1", math.nan, False)],
)  # fmt: skip
def test_thresholds(text: str, value: float, holds: bool) -> None:
    assert threshold(text).holds(value) is holds


@pytest.mark.parametrize("text", ["", "0.01", "< ", "=< 1", "< one", "< 1 2", "1 < 2", "< nan"])
def test_invalid_thresholds(text: str) -> None:
    with pytest.raises(ValueError, match="is not a comparison"):
        threshold(text)


@pytest.mark.parametrize(
    "text",
    ['database == "ok"', "ready == true", "ready", "n > 2", "n == 3", "none == null", "checks.0.ok == true", 'database != "down"', "ready != 1",
     '"a.b".c == 1', "checks", 'checks.1 == {"ok": false}'],
)  # fmt: skip
def test_claims_that_hold(text: str) -> None:
    assert claim(text).problem(DOCUMENT) == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [('database == "down"', 'database is "ok"'), ("gone", "gone is not there"), ("checks.2.ok", "checks.2.ok is not there"), ("ready == 1", "ready is true"),
     ("database > 3", 'database is "ok"'), ("gone != 1", "gone is not there"), ("checks.ok", "checks.ok is not there")],
)  # fmt: skip
def test_claims_that_do_not(text: str, message: str) -> None:
    assert claim(text).problem(DOCUMENT) == message


@pytest.mark.parametrize("text", ["", "a ==", "a == ok", "== 1", "a b", "a = 1", "a..b"])
def test_invalid_assertions(text: str) -> None:
    with pytest.raises(ValueError, match="is not a path"):
        claim(text)


def test_headers_take_values_from_the_environment_and_name_a_missing_one() -> None:
    lines = ["Accept: application/json", "Authorization: Bearer ${TOKEN}", "X-Both: ${TOKEN}-${OTHER}"]
    assert variables(lines) == ("TOKEN", "OTHER")
    assert filled(lines, {"TOKEN": "t", "OTHER": "o"}) == {"Accept": "application/json", "Authorization": "Bearer t", "X-Both": "t-o"}
    with pytest.raises(LookupError, match="^OTHER$"):
        filled(lines, {"TOKEN": "t", "OTHER": ""})


@pytest.mark.parametrize("text", ["no colon", ": value", "Name:", "Two Words: x"])
def test_invalid_headers(text: str) -> None:
    with pytest.raises(ValueError, match="is not a header"):
        header(text)
