"""promotion.toml → `Settings`: strict, every error at once, the nearest known key named for an unknown one."""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from promote.errors import UsageError
from promote.settings import FILE_NAME, Choice, Seconds, Settings

_DURATION = re.compile(r"(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+(?:\.[0-9]+)?)s)?")
_NAMES = {str: "text", bool: "true or false", int: "a whole number", float: "a number", Seconds: 'a duration like "90s" or "10m"', list: "a list"}
_NAMES |= {date: "a day like 2026-12-01"}


class _Bad(Exception):
    """One wrong value; the reader adds where it stands."""


def parse_duration(value: object) -> Seconds:
    """`"1h30m"`, `"90s"` or a number of seconds → seconds. Raises ValueError for anything else, negative ones included."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf"):
        return Seconds(float(value))
    match = _DURATION.fullmatch(value) if isinstance(value, str) and value and value.isascii() else None
    if match is None:
        raise ValueError(value)
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return Seconds(hours * 3600 + minutes * 60 + seconds)


def _wrong(value: object, kind: object) -> _Bad:
    return _Bad(f"{value!r} is not {_NAMES.get(kind, str(kind))}")  # type: ignore[call-overload]


def _scalar(value: object, kind: Any) -> Any:
    if kind is Seconds:
        try:
            return parse_duration(value)
        except ValueError:
            raise _wrong(value, Seconds) from None
    if kind is date:
        return _day(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, bool) is not (kind is bool) or not isinstance(value, kind):
        raise _wrong(value, kind)
    return value


def _day(value: object) -> date:
    """TOML's own date, or the same as text. A date with a time is refused: whose midnight would end it?"""
    try:
        return value if type(value) is date else date.fromisoformat(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise _wrong(value, date) from None


def _value(value: object, kind: Any, where: str, errors: list[str]) -> Any:
    if get_origin(kind) is Annotated:
        base, choice = get_args(kind)
        if isinstance(choice, Choice) and value not in choice.words:
            raise _Bad(f"{value!r} is not one of {', '.join(choice.words)}")
        return _scalar(value, base)
    if get_origin(kind) is list:
        if not isinstance(value, list):
            raise _wrong(value, list)
        (item,) = get_args(kind)
        if dataclasses.is_dataclass(item):
            return [_table(item, entry, f"{where}[{n}]", errors) for n, entry in enumerate(value)]
        return [_scalar(entry, item) for entry in value]
    return _scalar(value, kind)


def _table(cls: Any, data: object, where: str, errors: list[str], **given: object) -> Any:
    if not isinstance(data, Mapping):
        errors.append(f"{where}: {data!r} is not a table")
        return cls(**given)
    hints = get_type_hints(cls, include_extras=True)
    known = [f.name for f in dataclasses.fields(cls) if f.name not in given]
    values: dict[str, object] = dict(given)
    for name, value in data.items():
        here = f"{where}.{name}" if where else name
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            errors.append(f"{here}: unknown key; " + (f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"))
            continue
        try:
            kind = hints[name]
            values[name] = _table(kind, value, here, errors) if dataclasses.is_dataclass(kind) else _value(value, kind, here, errors)
        except _Bad as bad:
            errors.append(f"{here}: {bad}")
    return cls(**values)


def _rules(settings: Settings) -> list[tuple[bool, str]]:
    """What single keys cannot say: (is it wrong, what)."""
    tags = settings.tags
    names = [tags.dev, tags.prod, tags.stable, tags.working]
    urls = settings.smoke.urls
    return [
        ("{version}" not in tags.dev, f"tags.dev: {tags.dev!r} has no {{version}}"),
        ("{version}" not in tags.prod, f"tags.prod: {tags.prod!r} has no {{version}}"),
        (len(set(names)) < len(names), f"tags: two of them have the same name ({', '.join(names)})"),
        (not 0 <= settings.baseline.max_unhealthy <= 1, f"baseline.max_unhealthy: {settings.baseline.max_unhealthy} is not between 0 and 1"),
        (settings.argocd.looks < 1, f"argocd.looks: {settings.argocd.looks} is less than 1"),
        (any(not u.name or not u.url for u in urls), "smoke.urls: every entry needs a name and a url"),
        (len({u.name for u in urls}) < len(urls), "smoke.urls: two entries have the same name"),
        (
            settings.dev.converge_timeout >= settings.suites.row_timeout,
            "dev.converge_timeout: must be shorter than suites.row_timeout, or the row is cut off before it can say why",
        ),
        *_checklist_rules(settings),
    ]


def _checklist_rules(settings: Settings) -> list[tuple[bool, str]]:
    rules, wanted = settings.documentation.rules, settings.functional
    return [
        (any(not r.paths or not r.document for r in rules), "documentation.rules: every entry needs paths and a document"),
        (any(not o.id or not o.reason.strip() for o in settings.checklist.off), "checklist.off: every entry needs an id and a reason"),
        (
            any(not w.id or not w.reason.strip() or not w.author.strip() or w.until == date.min for w in settings.waivers),
            "waivers: every entry needs an id, a reason, an author and a last day (until)",
        ),
        (bool(wanted.required) and not wanted.github, "functional.required: names checks, but functional.github is false"),
        (wanted.timeout >= settings.suites.timeout, "functional.timeout: must be shorter than suites.timeout"),
        *(
            (u.tries < 1 or not u.name or not u.url, f"dev.urls: {u.name or u.url}: needs a name, a url and at least one try")
            for u in settings.dev.urls
        ),
    ]


def settings_from(data: Mapping[str, object], root: Path) -> Settings:
    """Check a parsed promotion.toml. Raises UsageError that lists every problem."""
    errors: list[str] = []
    settings: Settings = _table(Settings, data, "", errors, root=root)
    if not errors:
        errors += [text for wrong, text in _rules(settings) if wrong]
    if errors:
        raise UsageError(
            f"{FILE_NAME}: {len(errors)} {'problem' if len(errors) == 1 else 'problems'}\n" + "\n".join(f"  - {e}" for e in errors),
            hint=f"correct {root / FILE_NAME}; every key is described in docs/settings.md",
        )
    return settings


def find_settings_file(start: Path) -> Path:
    """The nearest promotion.toml at or above `start`. Raises UsageError when there is none."""
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    raise UsageError(
        f"no {FILE_NAME} in {start} or above it",
        hint=f"go to the clone of your GitOps repository, or write a {FILE_NAME} there (every key: docs/settings.md; one at work: `promote demo`)",
    )


def read_settings(path: Path, *, read: Callable[[Path], bytes] = Path.read_bytes) -> Settings:
    """Read and check one file. Raises UsageError for everything that can be wrong with it."""
    try:
        data = tomllib.loads(read(path).decode())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}", hint="check that it is a readable file") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start} is not UTF-8", hint="save the file as UTF-8; TOML allows nothing else") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not TOML: {error}", hint="correct the syntax at that place") from error
    return settings_from(data, path.parent)
