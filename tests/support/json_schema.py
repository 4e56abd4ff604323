"""A validator for the part of JSON Schema (draft 7) that docs/promotion.schema.json uses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

_TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": int | float}
_NOTES = {"$schema", "title", "description", "default"}
_ASSERTIONS = {
    "type", "enum", "anyOf", "properties", "required", "additionalProperties", "items", "minimum", "minLength", "pattern", "format",
}  # fmt: skip


def problems(value: Any, schema: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """What is wrong with a parsed TOML value. A keyword that this validator does not know is an error of the test."""
    assert schema.keys() <= _NOTES | _ASSERTIONS, f"{where}: unknown keywords {schema.keys() - _NOTES - _ASSERTIONS}"
    if isinstance(value, date):
        value = value.isoformat()  # JSON has no day: editors pass its text
    kind = schema.get("type")
    if kind and (not isinstance(value, _TYPES[kind]) or isinstance(value, bool) is not (kind == "boolean")):
        yield f"{where}: {value!r} is no {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is none of {schema['enum']}"
    if "anyOf" in schema and not any(not list(problems(value, choice, where)) for choice in schema["anyOf"]):
        yield f"{where}: {value!r} is none of its types"
    if isinstance(value, dict):
        yield from _table(value, schema, where)
    if isinstance(value, list):
        for position, entry in enumerate(value):
            yield from problems(entry, schema["items"], f"{where}[{position}]")
    if isinstance(value, str):
        yield from _text(value, schema, where)
    if isinstance(value, int | float) and value < schema.get("minimum", value):
        yield f"{where}: {value} is less than {schema['minimum']}"


def _table(value: Mapping[str, Any], schema: Mapping[str, Any], where: str) -> Iterator[str]:
    assert schema["additionalProperties"] is False
    known = schema["properties"]
    yield from (f"{where}: no {key}" for key in schema.get("required", ()) if key not in value)
    for key, entry in value.items():
        if key not in known:
            yield f"{where}: unknown key {key}"
        else:
            yield from problems(entry, known[key], f"{where}.{key}" if where else key)


def _text(value: str, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    if len(value) < schema.get("minLength", 0):
        yield f"{where}: empty"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{where}: {value!r} does not match"
    assert schema.get("format", "date") == "date"
    if "format" in schema and not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        yield f"{where}: {value!r} is no day"
