"""Renamed keys of promotion.toml: the mapping fits the schema, and the strict reader names the new key."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from promote.config.reader import settings_from
from promote.config.renames import RENAMED
from promote.config.schema import Settings
from promote.core.errors import UsageError


def paths(cls: Any, where: str = "") -> set[str]:
    """Every key of the schema by its dotted path; the entries of a list of tables share theirs."""
    found = set()
    for name, hint in get_type_hints(cls).items():
        path = f"{where}{name}"
        (inner,) = get_args(hint) if get_origin(hint) is list else (hint,)
        found |= {path} | (paths(inner, f"{path}.") if dataclasses.is_dataclass(inner) else set())
    return found


@pytest.mark.parametrize("old", RENAMED)
def test_a_renamed_key_leads_to_a_key_of_the_schema_and_is_none_itself(old: str) -> None:
    known = paths(Settings)
    assert old not in known
    assert ".".join([*old.split(".")[:-1], RENAMED[old]]) in known


def nested(path: str, value: object) -> dict[str, object]:
    """The parsed file that sets one key; the entries of `urls` stand in a list."""
    head, _, rest = path.partition(".")
    if not rest:
        return {head: value}
    inner = nested(rest, value)
    return {head: [inner] if head == "urls" else inner}


@pytest.mark.parametrize("old", RENAMED)
def test_the_reader_names_the_new_key_and_the_command_that_renames_it(old: str) -> None:
    with pytest.raises(UsageError) as caught:
        settings_from(nested(old, 1), Path("/repository"))
    assert f"{old.replace('urls.', 'urls[0].')}: was renamed to {RENAMED[old]}" in caught.value.what
    assert "1 problem\n" in caught.value.what
    assert caught.value.hint == "promote init --upgrade (renames the keys in place)"


def test_an_old_key_beside_its_new_one_and_another_problem_are_all_reported() -> None:
    with pytest.raises(UsageError) as caught:
        settings_from({"argocd": {"looks": 2, "successes": 2, "sync": "x"}}, Path("/repository"))
    assert "argocd.looks: was renamed to successes, which stands there too: delete looks" in caught.value.what
    assert "argocd.sync: 'x' is not one of auto, request" in caught.value.what
    assert "promote init --upgrade" in caught.value.hint and "then correct /repository/promotion.toml" in caught.value.hint
