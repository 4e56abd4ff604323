"""Generates docs/settings.md from the schema. A test compares the page with this output."""

from __future__ import annotations

import dataclasses
from datetime import date
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from promote.config.schema import AcceptedOutOfSync, Choice, PromqlQuery, Seconds, Settings, SmokeUrl, TargetCluster
from promote.config.schema_checklist import AcceptedWorkload, DisabledCheck, DocumentationRule, OnUndetermined, WaiverEntry

HEAD = """# promotion.toml

The file is read strictly: unknown keys, wrong types and impossible combinations are errors, and one error lists every problem. A duration is
written `"90s"`, `"10m"`, `"1h30m"` or as a number of seconds. Every key has a default. `promote init --upgrade` renames the keys of an
older file in place. This page is generated (`python -m promote.config.reference > docs/settings.md`).

Editors that read JSON schemas for TOML (Even Better TOML, Taplo, Tombi) complete and check the file with
[promotion.schema.json](promotion.schema.json): copy it beside promotion.toml, or write the installed version's with
`python -m promote.config.json_schema > promotion.schema.json`, and begin promotion.toml with the line `#:schema ./promotion.schema.json`.
The schema has the keys, their types and allowed words; only `promote` checks their combinations.
"""
LISTS = (
    ("[[prod.clusters]]", TargetCluster()),
    ("[[running.accept]]", AcceptedWorkload()),
    ("[[argocd.accept_out_of_sync]]", AcceptedOutOfSync()),
    ("[[smoke.urls]]", SmokeUrl()),
    ("[[prometheus.queries]]", PromqlQuery()),
    ("[[documentation.rules]]", DocumentationRule()),
    ("[[checklist.disabled]]", DisabledCheck()),
    ("[[checklist.on_undetermined]]", OnUndetermined()),
    ("[[waivers]]", WaiverEntry()),
)


def reference() -> str:
    """The whole page."""
    sections = [(f"[{s.name}]", s.default) for s in dataclasses.fields(Settings) if dataclasses.is_dataclass(s.default)]
    return "\n".join([HEAD, *(_table(*section) for section in sections), *(_table(*entry) for entry in LISTS)])


def _table(title: str, section: Any) -> str:
    hints = get_type_hints(type(section), include_extras=True)
    rows = [
        f"| `{f.name}` | {_kind(hints[f.name], f.metadata['unit'])} | {_default(getattr(section, f.name), hints[f.name])} | {f.metadata['doc']} |"
        for f in dataclasses.fields(section)
    ]
    return "\n".join([f"## {title}", "", "| key | type | default | meaning |", "|---|---|---|---|", *rows, ""])


def _kind(hint: Any, unit: str = "") -> str:
    if get_origin(hint) is Annotated:
        base, choice = get_args(hint)
        return " or ".join(f'`"{w}"`' for w in choice.words) if isinstance(choice, Choice) else _kind(base)
    if get_origin(hint) is list:
        return "list of tables" if dataclasses.is_dataclass(get_args(hint)[0]) else "list of text"
    if unit:
        return f"{_kind(hint)}: {unit}"
    return {str: "text", bool: "true or false", int: "whole number", float: "number", Seconds: "duration", date: "day"}[hint]


def _default(value: object, hint: Any) -> str:
    if hint is Seconds and isinstance(value, float | int):
        return f'`"{value / 60:g}m"`' if value and value % 60 == 0 else f'`"{value:g}s"`'
    if isinstance(value, date):
        return "never" if value == date.max else "none: it must be given"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list):
        return "`[" + ", ".join(f'"{v}"' for v in value) + "]`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


if __name__ == "__main__":
    print(reference(), end="")  # noqa: T201
