"""Reads promotion.toml into `Settings`. One error lists every problem; for an unknown key it suggests the nearest known one."""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

from promote.config import expressions
from promote.config.renames import new_name, old_keys
from promote.config.schema import FILE_NAME, Choice, Seconds, Settings, SmokeUrl
from promote.core.errors import UsageError

DURATION = re.compile(r"(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+(?:\.[0-9]+)?)s)?")
_NAMES = {str: "text", bool: "true or false", int: "a whole number", float: "a number", Seconds: 'a duration like "90s" or "10m"', list: "a list"}
_NAMES |= {date: "a day like 2026-12-01"}


# Names that git-check-ref-format accepts, without names that look like an option or contain braces (a misspelled placeholder).
_REF_NAME = re.compile(r"(?!.*(?:\.\.|@\{|//|\.lock(?:/|$)))[^\s\x00-\x1f\x7f~^:?*{}\[\\./-][^\s\x00-\x1f\x7f~^:?*{}\[\\]*(?<![./])")


class _Bad(Exception):
    """A wrong value; the reader adds the path of its key."""


def parse_duration(value: object) -> Seconds:
    """`"1h30m"`, `"90s"` or a number of seconds → seconds. Raises ValueError for anything else, negative ones included."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf"):
        return Seconds(float(value))
    match = DURATION.fullmatch(value) if isinstance(value, str) and value and value.isascii() else None
    if match is None:
        raise ValueError(value)
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return Seconds(hours * 3600 + minutes * 60 + seconds)


def duration(text: str, where: str) -> Seconds:
    """The same for a duration typed on the command line. Raises UsageError that names `where`."""
    try:
        return parse_duration(text)
    except ValueError:
        raise UsageError(f"{where} {text!r} is no duration", hint='write it as "90s", "15m" or "1h30m"') from None


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
    """TOML's own date, or the same as text. A date with a time is refused: its time zone would be ambiguous."""
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
            if new_name(here):
                continue  # settings_from reports it, with its new name
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            errors.append(f"{here}: unknown key; " + (f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"))
            continue
        try:
            kind = hints[name]
            values[name] = _table(kind, value, here, errors) if dataclasses.is_dataclass(kind) else _value(value, kind, here, errors)
        except _Bad as bad:
            errors.append(f"{here}: {bad}")
    return cls(**values)


def _names(settings: Settings) -> list[tuple[bool, str]]:
    """Problems with names that become part of a git command, as (wrong, message)."""
    tags, where = settings.tags, settings.repository
    shown = {f"tags.{key}": getattr(tags, key).replace("{version}", "v1.2.3") for key in ("dev", "prod", "stable", "working")}
    shown |= {"repository.remote": where.remote, "repository.branch": where.branch}
    return [(not _REF_NAME.fullmatch(name), f"{key}: {name!r} is no name that git allows") for key, name in shown.items()]


def _pauses(settings: Settings) -> list[tuple[bool, str]]:
    """Intervals and timeouts of zero, as (wrong, message): a zero interval polls without pause, a zero timeout never starts."""
    held = {
        "repository.timeout": settings.repository.timeout,
        "workflow.timeout": settings.workflow.timeout,
        "promotion.timeout": settings.promotion.timeout,
        "lock.heartbeat": settings.lock.heartbeat,
        "argocd.poll_interval": settings.argocd.poll_interval,
        "argocd.converge_timeout": settings.argocd.converge_timeout,
        "argocd.refresh_timeout": settings.argocd.refresh_timeout,
        "suites.check_timeout": settings.suites.check_timeout,
        "suites.timeout": settings.suites.timeout,
    }
    return [(seconds <= 0, f"{key}: must be longer than nothing") for key, seconds in held.items()]


def _rules(settings: Settings) -> list[tuple[bool, str]]:
    """Problems with combinations of keys, as (wrong, message)."""
    tags = settings.tags
    names = [tags.dev, tags.prod, tags.stable, tags.working]
    urls, rules, check_s = settings.smoke.urls, settings.prometheus.queries, settings.suites.check_timeout
    return [
        *_names(settings),
        *_pauses(settings),
        ("{version}" not in tags.dev, f"tags.dev: {tags.dev!r} has no {{version}}"),
        ("{version}" not in tags.prod, f"tags.prod: {tags.prod!r} has no {{version}}"),
        (len(set(names)) < len(names), f"tags: two of them have the same name ({', '.join(names)})"),
        (
            settings.lock.store == "local" and settings.promotion.via == "workflow",
            'lock.store: "local" needs promotion.via = "git": the workflow runs elsewhere and could not see the lock that authorises it',
        ),
        (
            settings.promotion.timeout <= settings.argocd.converge_timeout + settings.post.soak,
            "promotion.timeout: must be longer than argocd.converge_timeout and post.soak together, or nothing would ever be moved",
        ),
        (not 0 <= settings.baseline.max_unhealthy <= 1, f"baseline.max_unhealthy: {settings.baseline.max_unhealthy} is not between 0 and 1"),
        (
            any(not a.application or not a.reason.strip() for a in settings.argocd.accept_out_of_sync),
            "argocd.accept_out_of_sync: every entry needs an application and a reason",
        ),
        (settings.argocd.refresh_timeout >= settings.suites.timeout, "argocd.refresh_timeout: must be shorter than suites.timeout"),
        (settings.argocd.successes < 1, f"argocd.successes: {settings.argocd.successes} is less than 1"),
        (any(not c.server and not c.name for c in settings.prod.clusters), "prod.clusters: every entry needs a server or a name"),
        (any(not u.name or not u.url for u in urls), "smoke.urls: every entry needs a name and a url"),
        (len({u.name for u in urls}) < len(urls), "smoke.urls: two entries have the same name"),
        (
            settings.dev.converge_timeout >= check_s,
            "dev.converge_timeout: must be shorter than suites.check_timeout, or the check is cut off before it can say why",
        ),
        (any(not r.name or not r.query for r in rules), "prometheus.queries: every entry needs a name, a query and an expect"),
        (len({r.name for r in rules}) < len(rules), "prometheus.queries: two entries have the same name"),
        (bool(rules) and not settings.prometheus.url, "prometheus.queries: there are queries, but no prometheus.url to ask"),
        (
            bool(settings.prometheus.url) and settings.prometheus.sample_timeout >= check_s,
            "prometheus.sample_timeout: must be shorter than suites.check_timeout",
        ),
        *((u.attempts < 1, f"smoke.urls: {u.name}: attempts: {u.attempts} is less than 1") for u in urls),
        *((bool(u.redirect) and u.status // 100 != 3, f"smoke.urls: {u.name}: redirect needs a 3xx status, not {u.status}") for u in urls),
        *((u.method == "HEAD" and bool(u.contains or u.json), f"smoke.urls: {u.name}: an answer to HEAD has no body to look into") for u in urls),
        *(
            (_patience(u) >= check_s, f"smoke.urls: {u.name}: attempts x (timeout + interval) must be shorter than suites.check_timeout")
            for u in urls
        ),
        *_checklist_rules(settings),
    ]


def _checklist_rules(settings: Settings) -> list[tuple[bool, str]]:
    rules, wanted = settings.documentation.rules, settings.tests
    return [
        (any(not r.paths or not r.document for r in rules), "documentation.rules: every entry needs paths and a document"),
        (any(not o.id or not o.reason.strip() for o in settings.checklist.disabled), "checklist.disabled: every entry needs an id and a reason"),
        (
            any(not w.id or not w.reason.strip() or not w.author.strip() or w.until == date.min for w in settings.waivers),
            "waivers: every entry needs an id, a reason, an author and a last day (until)",
        ),
        (
            any(not a.application or not a.kind or not a.name or not a.reason.strip() for a in settings.running.accept),
            "running.accept: every entry needs an application, a kind, a name and a reason",
        ),
        (settings.running.timeout >= settings.suites.timeout, "running.timeout: must be shorter than suites.timeout"),
        (bool(wanted.required) and not wanted.github, "tests.required: names checks, but tests.github is false"),
        (wanted.timeout >= settings.suites.timeout, "tests.timeout: must be shorter than suites.timeout"),
        *(
            (u.attempts < 1 or not u.name or not u.url, f"dev.urls: {u.name or u.url}: needs a name, a url and at least one attempt")
            for u in settings.dev.urls
        ),
    ]


def _patience(url: SmokeUrl) -> float:
    return url.attempts * url.timeout + (url.attempts - 1) * url.interval


def _texts(settings: Settings) -> list[str]:
    """Problems with expressions, headers and URLs inside text values."""
    checked = [(f"smoke.urls: {u.name}: json", text, expressions.claim) for u in settings.smoke.urls for text in u.json]
    lists = [(f"smoke.urls: {u.name}", u.headers) for u in settings.smoke.urls]
    lists += [(name, getattr(settings, name).headers) for name in ("prometheus", "alertmanager", "grafana")]
    checked += [(f"{name}: headers", text, expressions.header) for name, headers in lists for text in headers]  # type: ignore[misc]
    checked += [(f"prometheus.queries: {r.name}: expect", r.expect, expressions.threshold) for r in settings.prometheus.queries]  # type: ignore[misc]
    found = []
    for where, text, parse in checked:
        try:
            parse(text)
        except ValueError as error:
            found.append(f"{where}: {error}")
    urls = [("prometheus.url", settings.prometheus.url), ("alertmanager.url", settings.alertmanager.url), ("grafana.url", settings.grafana.url)]
    urls += [(f"smoke.urls: {u.name}: url", u.url) for u in settings.smoke.urls]
    return found + [f"{where}: {problem}" for where, url in urls if url and (problem := _url_problem(url))]


def _url_problem(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return f"{url!r} is not a URL"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return f"{url!r} does not begin with http:// or https:// and a host"
    return "holds a password; name an environment variable in headers instead" if parts.password else ""


def settings_from(data: Mapping[str, object], root: Path) -> Settings:
    """Check a parsed promotion.toml. Raises UsageError that lists every problem."""
    renamed = list(old_keys(data))
    errors = [f"{k.path}: was renamed to {k.new}" + (f", which stands there too: delete {k.old}" if k.clash else "") for k in renamed]
    settings: Settings = _table(Settings, data, "", errors, root=root, code=Path())
    if not errors:
        errors += [text for wrong, text in _rules(settings) if wrong] + _texts(settings)
    if errors:
        correct = f"correct {root / FILE_NAME}; every key is described in docs/settings.md"
        raise UsageError(
            f"{FILE_NAME}: {len(errors)} {'problem' if len(errors) == 1 else 'problems'}\n" + "\n".join(f"  - {e}" for e in errors),
            hint="promote init --upgrade (renames the keys in place)" + (f"; then {correct}" if len(errors) > len(renamed) else "")
            if renamed
            else correct,
        )
    return settings


def find_settings_file(start: Path) -> Path:
    """The nearest promotion.toml at or above `start`. Raises UsageError when there is none."""
    for folder in (start, *start.parents):
        path = folder / FILE_NAME
        if path.is_file():
            return path
        if os.path.lexists(path):  # a parent folder may hold another repository's settings
            kind = "a folder" if path.is_dir() else "a link to nothing" if path.is_symlink() and not path.exists() else "neither file nor folder"
            raise UsageError(
                f"no {FILE_NAME} in {folder} that can be read: it is {kind}", hint=f"put a file there (its last good form: git log -- {FILE_NAME})"
            )
    hint = f"go to the clone of your GitOps repository, or write a {FILE_NAME} from what it finds: `promote init` (dry: `promote init --print`)"
    raise UsageError(f"no {FILE_NAME} in {start} or above it", hint=hint)


def read_settings(path: Path, *, read: Callable[[Path], bytes] = Path.read_bytes) -> Settings:
    """Read and check one file. Raises UsageError for everything that can be wrong with it."""
    return settings_from(parse_file(path, read=read), path.parent)


def parse_file(path: Path, *, read: Callable[[Path], bytes] = Path.read_bytes) -> dict[str, Any]:
    """The tables of a TOML file, unchecked. Raises UsageError for a file that cannot be read or is not TOML."""
    try:
        # utf-8-sig: some editors write a byte order mark.
        return tomllib.loads(read(path).decode("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}", hint="check that it is a readable file") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start} is not UTF-8", hint="save the file as UTF-8; TOML allows nothing else") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not TOML: {error}", hint="correct the syntax at that place") from error
    except RecursionError:
        raise UsageError(f"{path}: nested too deep to be read", hint="no key here is a list of lists; see docs/settings.md") from None
