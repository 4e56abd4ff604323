"""The vocabulary check finds what it should, where it should."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.vocabulary import List, check

WORDS = List({"wrongword": "rightword"}, {"rare(?:ly)?": "seldom"}, {"quoted.md": "on purpose"}, (), 1.0)


def found(folder: Path, name: str, text: str) -> list[tuple[int, str, str]]:
    path = folder / name
    path.write_text(text)
    return [(hit.line, hit.word, hit.better) for hit in check([path], WORDS, folder)[0]]


@pytest.mark.parametrize(
    "text",
    [
        'x = 1\ny = "a wrongword here"\n',
        "x = 1\n# a wrongword\n",
        "x = 1\n'''a wrongword'''\n",
        "x = 1\ndef test_of_a_wrongword() -> None: ...\n",
        'x = 1\ny = f"a wrongword {x}"\n',
    ],
    ids=["string", "comment", "docstring", "test name", "f-string"],
)
def test_a_forbidden_word_is_found_with_its_line_and_the_better_word(tmp_path: Path, text: str) -> None:
    assert found(tmp_path, "a.py", text) == [(2, "wrongword", "rightword")]


def test_identifiers_are_not_text(tmp_path: Path) -> None:
    assert found(tmp_path, "a.py", "wrongword = 1\n") == []


def test_the_line_inside_a_long_docstring_is_named(tmp_path: Path) -> None:
    assert found(tmp_path, "a.py", '"""One.\n\nTwo wrongword.\n"""\n') == [(3, "wrongword", "rightword")]


def test_markdown_is_read_line_by_line_in_any_case(tmp_path: Path) -> None:
    assert found(tmp_path, "a.md", "one\nWrongword and rarely\n") == [(2, "Wrongword", "rightword"), (2, "rarely", "seldom")]


def test_an_exception_is_for_its_file_and_text_only(tmp_path: Path) -> None:
    assert found(tmp_path, "quoted.md", "a wrongword on purpose\na wrongword\n") == [(2, "wrongword", "rightword")]


def test_the_list_of_the_repository_can_be_read() -> None:
    words = List.read()
    assert words.forbidden and words.sparingly and words.most <= 1.0
