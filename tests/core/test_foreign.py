"""The doors for text from outside: what ends a line, which JSON is read, which characters leave as escapes."""

from __future__ import annotations

import contextlib
import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promote.core.foreign import Fields, moment, one_line, read_json, split_lines, time_of, visible

SEPARATORS = ("\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")
TURNS = ("\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066", "\u2067", "\u2068", "\u2069", "\u200e", "\u200f", "\u061c")


@pytest.mark.parametrize("sign", SEPARATORS, ids=ascii)
def test_only_a_line_feed_ends_a_line(sign: str) -> None:
    assert split_lines(f"a{sign}b\nc") == [f"a{sign}b", "c"]


@pytest.mark.parametrize(
    ("text", "found"), [("", []), ("a", ["a"]), ("a\n", ["a"]), ("a\r\nb\r\n", ["a", "b"]), ("\n", [""]), ("a\n\nb", ["a", "", "b"])]
)
def test_lines_of_ordinary_text(text: str, found: list[str]) -> None:
    assert split_lines(text) == found == text.splitlines()


@pytest.mark.parametrize(
    "sign", [*SEPARATORS, *TURNS, "\x1b", "\x00", "\x07", "\x08", "\x7f", "\x9b", "\u200b", "\ufeff", "\udc80", "\U000e0041"], ids=ascii
)
def test_what_cannot_be_seen_is_shown_as_an_escape(sign: str) -> None:
    shown = visible(f"a{sign}b")
    assert sign not in shown and shown.startswith("a\\") and shown.endswith("b")
    assert f"{ord(sign):x}" in shown


def test_ordinary_text_stays_as_it_is() -> None:
    text = "fix: größe → 12 €\n\tété 日本 👍 \\x1b is four characters"
    assert visible(text) == text


def test_colours_are_left_out_and_other_sequences_shown() -> None:
    assert visible("\x1b[1;31mred\x1b[0m \x1b[2J \x1b]0;title\x07") == "red \\x1b[2J \\x1b]0;title\\x07"


@given(st.text())
def test_no_text_breaks_its_line_or_controls_what_shows_it(text: str) -> None:
    shown = one_line(text, 80)
    assert len(shown) <= 80 and len(shown.splitlines()) <= 1
    assert not [sign for sign in shown if unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") and sign != "\t"]
    assert one_line(shown, 80) == shown


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 61 + "]" * 61, '{"a":' * 70 + "1" + "}" * 70, "not json", "", "1" * 5000, b"\xff\xfe\x00"])
def test_json_that_is_no_json_or_too_deep_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        read_json(text)


def test_json_that_is_too_long_is_not_parsed() -> None:
    assert read_json('"abc"', most=5) == "abc"
    with pytest.raises(ValueError, match="longer than 4"):
        read_json('"abc"', most=4)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(json_values)
def test_a_field_is_its_own_shape_or_a_value_error(value: Any) -> None:
    fields = Fields({"x": value}, "it")
    for read, right in (
        (lambda: fields.line("x"), isinstance(value, str)),
        (lambda: fields.flag("x"), isinstance(value, bool)),
        (lambda: fields.inner("x"), value is None or isinstance(value, dict)),
        (lambda: fields.texts("x"), not value or (isinstance(value, list) and all(isinstance(one, str) for one in value))),
        (lambda: fields.objects("x"), not value or (isinstance(value, list) and all(isinstance(one, dict) for one in value))),
    ):
        try:
            read()
        except ValueError as error:
            assert not right and len(split_lines(str(error))) == 1
        else:
            assert right


@given(st.text() | st.integers() | st.none() | st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-28"]))
def test_a_time_is_a_time_or_a_value_error(text: object) -> None:
    with contextlib.suppress(ValueError):
        assert time_of(text).tzinfo


@pytest.mark.parametrize(("text", "seconds"), [("1700000000", 1_700_000_000), ("", 0), ("-5", 0), ("9" * 30, 0), ("999999999999", 0), ("²", 0)])
def test_a_commits_time_is_one_of_our_calendar(text: str, seconds: int) -> None:
    assert moment(text) == seconds


def test_json_of_an_object_is_read_field_by_field() -> None:
    fields = Fields(json.loads('{"who": "ada\\n::error::x", "id": "0123456789012345678901234567890123456789"}'), "it")
    assert (fields.line("who"), fields.oid("id")) == ("ada\\n::error::x", "0123456789012345678901234567890123456789")
    with pytest.raises(ValueError, match="it: who is not the id"):
        fields.oid("who")
