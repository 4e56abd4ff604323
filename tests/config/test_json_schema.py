"""The JSON schema of promotion.toml says what the strict reader says, as far as a schema can."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from promote.config.json_schema import json_schema
from promote.config.reader import settings_from
from promote.config.renames import RENAMED
from promote.core.errors import UsageError
from tests.support.json_schema import problems

SCHEMA = json_schema()
ROOT = Path("/repository")
# A valid value for each kind of key, and one that neither the reader nor the schema may accept.
GOOD = {"string": "text", "boolean": True, "integer": 3, "number": 0.5, "array": [], "duration": "90s", "date": "2026-12-01"}
WRONG = {"string": 1, "boolean": "yes", "integer": "1", "number": "1", "array": "text", "duration": "90 s", "date": "tomorrow"}


def keys(schema: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Every key of a table, also of the tables in a list: its path and its schema."""
    for name, inner in schema["properties"].items():
        here = (*path, name)
        if inner.get("type") != "object":
            yield here, inner
        table = inner if "properties" in inner else inner.get("items", {})
        if "properties" in table:
            yield from keys(table, here)


KEYS = dict(keys(SCHEMA))


def kind(schema: Mapping[str, Any]) -> str:
    return "duration" if "anyOf" in schema else "enum" if "enum" in schema else str(schema.get("format", schema.get("type")))


def entry(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The smallest valid entry of a list of tables."""
    return {key: GOOD[kind(schema["properties"][key])] for key in schema.get("required", ())}


def file_with(path: tuple[str, ...], value: object) -> dict[str, Any]:
    """A parsed promotion.toml that sets one key; where it stands in an entry of a list, the entry is valid but for it."""
    result: dict[str, Any] = {}
    table, schema = result, SCHEMA
    for name in path[:-1]:
        schema = schema["properties"][name]
        if schema.get("type") == "array":
            schema = schema["items"]
            table[name] = [entry(schema)]
            table = table[name][0]
        else:
            table = table.setdefault(name, {})
    table[path[-1]] = value
    return result


def refusal(data: Mapping[str, object]) -> str:
    """The reader's error; "" when it accepts the file."""
    try:
        settings_from(data, ROOT)
    except UsageError as error:
        return error.what
    return ""


def named(path: tuple[str, ...]) -> str:
    return ".".join(path)


def test_the_file_is_made_from_the_settings() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "promotion.schema.json"
    assert json.loads(page.read_text()) == SCHEMA, "python -m promote.config.json_schema > docs/promotion.schema.json"


@pytest.mark.parametrize("path", KEYS, ids=named)
def test_a_wrong_value_is_refused_by_both(path: tuple[str, ...]) -> None:
    data = file_with(path, WRONG.get(kind(KEYS[path]), "no such word"))
    assert list(problems(data, SCHEMA))
    assert path[-1] in refusal(data)


@pytest.mark.parametrize("path", [path for path, schema in KEYS.items() if "default" in schema], ids=named)
def test_a_default_is_valid(path: tuple[str, ...]) -> None:
    data = file_with(path, KEYS[path]["default"])
    assert list(problems(data, SCHEMA)) == []
    assert f"{path[-1]}: {KEYS[path]['default']!r} is not" not in refusal(data), "its type; an entry may have to satisfy more"


@pytest.mark.parametrize("path", [path for path, schema in KEYS.items() if kind(schema) == "enum"], ids=named)
def test_every_allowed_word_is_valid(path: tuple[str, ...]) -> None:
    for word in KEYS[path]["enum"]:
        data = file_with(path, word)
        assert list(problems(data, SCHEMA)) == []
        assert f"{word!r} is not one of" not in refusal(data)


@pytest.mark.parametrize("value", ["90s", "10m", "1h30m", "1.5s", 90, 0, 2.5])
def test_a_duration_is_valid(value: object) -> None:
    data = file_with(("argocd", "degraded_grace"), value)
    assert (list(problems(data, SCHEMA)), refusal(data)) == ([], "")


@pytest.mark.parametrize("value", ["", "90", "1d", "5m 30s", "30s5m", -1, True, []])
def test_no_duration_is_refused_by_both(value: object) -> None:
    data = file_with(("argocd", "degraded_grace"), value)
    assert list(problems(data, SCHEMA))
    assert refusal(data)


@pytest.mark.parametrize("path", [path for path, schema in KEYS.items() if "default" not in schema], ids=named)
def test_an_entry_without_a_required_key_is_refused_by_both(path: tuple[str, ...]) -> None:
    data = file_with(path, None)
    table: Any = data
    for name in path[:-1]:
        table = table[name][0] if isinstance(table[name], list) else table[name]
    del table[path[-1]]
    assert [problem for problem in problems(data, SCHEMA) if problem.endswith(f": no {path[-1]}")]
    assert path[-1] in refusal(data)


@pytest.mark.parametrize("old", RENAMED)
def test_the_former_name_of_a_key_is_refused(old: str) -> None:
    assert tuple(old.split(".")) not in KEYS


def test_an_unknown_key_is_refused() -> None:
    assert list(problems({"prod": {"nmespaces": []}}, SCHEMA)) == ["prod: unknown key nmespaces"]
    assert list(problems({"prd": {}}, SCHEMA)) == [": unknown key prd"]


def test_a_day_of_toml_is_valid() -> None:
    data = tomllib.loads('[[waivers]]\nid = "alerts"\nreason = "rollout"\nauthor = "Ada"\nuntil = 2026-12-01\n')
    assert (list(problems(data, SCHEMA)), refusal(data)) == ([], "")
