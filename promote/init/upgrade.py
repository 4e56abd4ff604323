"""`promote init --upgrade` for promotion.toml: renamed keys get their new names in place; comments, order and formatting stay."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promote.config.reader import find_settings_file, parse_file
from promote.config.renames import OldKey, new_name, old_keys
from promote.config.schema import FILE_NAME
from promote.core.errors import UsageError
from promote.init.files import Change
from promote.report.words import counted

if TYPE_CHECKING:
    from tomlkit.container import Container
    from tomlkit.items import Item, Key

_MARK = "\ufeff"  # a byte order mark: TOML has none, editors write one


def upgrade_settings(folder: Path) -> list[Change]:
    """The rewritten promotion.toml of a folder; [] when there is none or when it has no renamed key.

    Raises UsageError for a file that is not TOML, that sets a key under both names, or that the library cannot write back unchanged.
    """
    if not os.path.lexists(folder / FILE_NAME):
        return []
    path = find_settings_file(folder)
    found = list(old_keys(parse_file(path)))
    if not found:
        return []
    for key in found:
        if key.clash:
            raise UsageError(
                f"{path}: [{key.where or 'top level'}] has both {key.old} and {key.new}, its new name",
                hint=f"delete one of them, then: promote init --upgrade ({key.old} is no longer read)",
            )
    text = path.read_bytes().decode()
    new = _rewritten(text.removeprefix(_MARK))
    if new is None:
        raise UsageError(
            f"{path}: {counted(len(found), 'renamed key')} cannot be rewritten without touching the rest of the file",
            hint=f"rename by hand: {_renames(found)}",
        )
    why = f"{counted(len(found), 'key')} renamed: {_renames(found)}"
    return [Change(FILE_NAME, "changed", why, (_MARK * text.startswith(_MARK) + new).encode())]


def outdated_settings(folder: Path) -> list[Change]:
    """promotion.toml as it stays without --upgrade, with those of its keys that have new names; [] when there are none."""
    path = folder / FILE_NAME
    try:
        found = list(old_keys(parse_file(path))) if path.is_file() else []
    except UsageError:
        return []  # this command needs none of its values; those that do report what is wrong with it
    names = f"{counted(len(found), 'key')} with a former name: {_renames(found)} (see --upgrade, which renames in place)"
    return [Change(FILE_NAME, "kept", names)] if found else []


def _renames(found: Sequence[OldKey]) -> str:
    return ", ".join(f"{key.path} → {key.new}" for key in found)


def _rewritten(text: str) -> str | None:
    """The text with new names; None unless it parses to the same values under those names and the library kept every other character."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
        kept = document.as_string() == text
        _rename_keys(document, "")
        new = document.as_string()
        same = tomllib.loads(new) == _renamed(tomllib.loads(text), "")
    except (TOMLKitError, tomllib.TOMLDecodeError, RecursionError):
        return None
    return new if kept and same else None


def _rename_keys(container: Container, where: str) -> None:
    """Replaces keys where they stand: the library's own way to rename a key moves it to the end of its table."""
    from tomlkit.items import AoT, Table

    for position, (key, item) in enumerate(container.body):
        if key is None:  # white space and comments
            continue
        path = f"{where}.{key.key}" if where else key.key
        if new := new_name(path):
            container.body[position] = (_key_like(key, new), item)
            if isinstance(item, AoT | Table):
                item.invalidate_display_name()  # the header is written from the keys again
        for inner in _inside(item):
            _rename_keys(inner, path)


def _key_like(key: Key, name: str) -> Key:
    """A key of another name, written like the given one: with its spaces, without its quotes, which the new name does not need."""
    from tomlkit.items import SingleKey

    written = key.as_string()
    made = SingleKey(name, sep=key.sep, original=written.replace(written.strip(), name))
    made._dotted = key.is_dotted()  # `argocd` of `argocd.looks = 2`: rendered without a header
    return made


def _inside(item: Item) -> Iterator[Container]:
    """The tables in a value: itself, or the entries of a list."""
    from tomlkit.items import AoT, Array, InlineTable, Table

    if isinstance(item, Table | InlineTable):
        yield item.value
    elif isinstance(item, AoT | Array):
        for entry in item:
            if isinstance(entry, Table | InlineTable):
                yield entry.value


def _renamed(value: Any, path: str) -> Any:
    """Parsed TOML under the new names."""
    if isinstance(value, Mapping):
        inside = {key: f"{path}.{key}" if path else key for key in value}
        return {new_name(inside[key]) or key: _renamed(entry, inside[key]) for key, entry in value.items()}
    return [_renamed(entry, path) for entry in value] if isinstance(value, list) else value
