"""Generates docs/promotion.schema.json from the schema, for editors that check TOML. A test compares the file with this output.

It knows keys, types and allowed words. The reader also knows the combinations of keys, so a file that satisfies this may still be refused.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from promote.config.reader import DURATION
from promote.config.schema import FILE_NAME, Choice, Seconds, Settings

DRAFT = "http://json-schema.org/draft-07/schema#"  # the newest draft that the TOML editors read
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number"}


def json_schema() -> dict[str, Any]:
    """The schema as a JSON document."""
    return {"$schema": DRAFT, "title": FILE_NAME, **_table(Settings(root=Path()))}


def _table(section: Any) -> dict[str, Any]:
    """The schema of a table, with its defaults from `section`."""
    hints = get_type_hints(type(section), include_extras=True)
    fields = [f for f in dataclasses.fields(section) if hints[f.name] is not Path]  # `root` is the file's folder, not a key
    required = [f.name for f in fields if f.metadata.get("required")]
    return {
        "type": "object",
        "additionalProperties": False,
        **({"required": required} if required else {}),
        "properties": {f.name: _key(f, hints[f.name], getattr(section, f.name)) for f in fields},
    }


def _key(field: dataclasses.Field[Any], hint: Any, default: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(default):
        return _table(default)
    meta = field.metadata
    unit = f" ({meta['unit']})" if meta["unit"] else ""
    found = {"description": f"{meta['doc']}{unit}", **_value(hint)}
    if meta["required"]:
        return {**found, "minLength": 1} if hint is str else found
    return {**found, "default": default.isoformat() if isinstance(default, date) else default}


def _value(hint: Any) -> dict[str, Any]:
    if get_origin(hint) is Annotated:
        base, choice = get_args(hint)
        return {"enum": list(choice.words)} if isinstance(choice, Choice) else _value(base)
    if get_origin(hint) is list:
        (item,) = get_args(hint)
        return {"type": "array", "items": _table(item()) if isinstance(item, type) and dataclasses.is_dataclass(item) else _value(item)}
    if hint is Seconds:
        return {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "minLength": 1, "pattern": f"^{DURATION.pattern}$"}]}
    if hint is date:
        return {"type": "string", "format": "date"}  # a day of TOML, which has no type of its own in JSON
    return {"type": _TYPES[hint]}


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=1, ensure_ascii=False))  # noqa: T201
