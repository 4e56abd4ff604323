"""`promote init --upgrade` on promotion.toml: every renamed key gets its new name, and nothing else of the file changes."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from promote.config.reader import read_settings, settings_from
from promote.config.renames import RENAMED
from promote.core.errors import UsageError
from promote.init.upgrade import upgrade_settings

# A valid file that sets every renamed key, under its new name, to another value than the default.
URL = {"name": "a", "url": "http://a", "timeout": "2s", "warn_after": "1s", "attempts": 2, "interval": "1s", "min_tls_days": 7}
NEW: dict[str, Any] = {
    "promotion": {"via": "git"},
    "version": {"default_bump": "minor"},
    "lock": {"store": "local"},
    "prod": {"context": "p", "root_app": "apps"},
    "argocd": {"successes": 2, "poll_interval": "1s", "refresh_interval": "4s", "allow_suspended": ["x"]},
    "post": {"event_window": "9s"},
    "prometheus": {"url": "http://p", "sample_timeout": "9s", "queries": [{"name": "q", "query": "up", "expect": "== 1"}]},
    "alertmanager": {"matchers": ['a="b"'], "ignore_labels": ["pod"]},
    "suites": {"check_timeout": "55s"},
    "tests": {"github": True, "timeout": "8s"},
    "tasks": {"closed_statuses": ["done"]},
    "manifests": {"on_unrendered": "accepted"},
    "checklist": {"advisory": ["events"], "disabled": [{"id": "documentation", "reason": "no = docs"}, {"id": "manifests", "reason": "none"}]},
    "smoke": {"urls": [URL, {**URL, "name": "b"}]},
    "dev": {"urls": [URL]},
}


def old(value: Any, names: dict[tuple[str, str], str], path: str = "") -> Any:
    """The same data under older names: `names` is (path of the table, new name) → old name."""
    if isinstance(value, dict):
        return {names.get((path, k), k): old(v, names, f"{path}.{k}".strip(".")) for k, v in value.items()}
    return [old(entry, names, path) for entry in value] if isinstance(value, list) else value


def names_of(*paths: str) -> dict[tuple[str, str], str]:
    return {(path.rpartition(".")[0], RENAMED[path]): path.rpartition(".")[2] for path in paths}


def inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {inline(v)}" for k, v in value.items()) + " }"
    return "[" + ", ".join(inline(v) for v in value) + "]" if isinstance(value, list) else json.dumps(value)


def headers(data: dict[str, Any]) -> str:
    """As most people write it: a header for each table, with comments at every place that may have one."""
    out = "# the top = of it\n\n"
    for name, table in data.items():
        lists = {k: v for k, v in table.items() if isinstance(v, list) and v and isinstance(v[0], dict)}
        out += f"# before = it\n[{name}]   # beside\n"
        for count, (key, value) in enumerate(table.items()):
            out += "" if key in lists else f"  # above\n{key}{' ' * count} =  {inline(value)} # looks = tries\n"
        for key, entries in lists.items():
            for entry in entries:
                lines = "".join(f"{k} = {inline(v)}\n" for k, v in entry.items())
                out += f"\n[[{name}.{key}]] # one\n{lines}# below\n"
        out += "\n\n"
    return out + "# the end"


def dotted(data: dict[str, Any]) -> str:
    return "".join(f"{name}.{key} = {inline(value)}  # why\n" for name, table in data.items() for key, value in table.items())


def one_line_each(data: dict[str, Any]) -> str:
    return "".join(f"{name} = {inline(table)}\n# looks = 1\n" for name, table in data.items())


def scattered(data: dict[str, Any]) -> str:
    """Every entry under a header of its own, those of one kind far apart: first every list's first entry, then the rest."""
    plain = {n: {k: v for k, v in t.items() if not (isinstance(v, list) and isinstance(v[0], dict))} for n, t in data.items()}
    out = "".join(f"[{n}]\n" + "".join(f"'{k}' = {inline(v)}\n" for k, v in t.items()) for n, t in plain.items() if t)
    entries = [(n, k, place, e) for n, t in data.items() for k, v in t.items() if k not in plain[n] for place, e in enumerate(v)]
    for n, k, _, e in sorted(entries, key=lambda found: found[2]):
        out += f"[[{n}.{k}]]\n" + "".join(f"{name} = {inline(v)}\n" for name, v in e.items())
    return out.replace("'", "")


FORMS: dict[str, Callable[[dict[str, Any]], str]] = {f.__name__: f for f in (headers, dotted, one_line_each, scattered)}


def upgraded(folder: Path, text: str) -> str:
    """The file after an upgrade; the same text when there was nothing to do."""
    file = folder / "promotion.toml"
    file.write_bytes(text.encode())
    for change in upgrade_settings(folder):
        assert change.content is not None and change.path == "promotion.toml" and change.what == "changed"
        file.write_bytes(change.content)
    return file.read_bytes().decode()


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
@pytest.mark.parametrize("paths", [*((path,) for path in RENAMED), tuple(RENAMED)], ids=[*RENAMED, "all"])
def test_a_renamed_key_is_upgraded_and_every_other_character_stays(tmp_path: Path, paths: tuple[str, ...], form: Callable[..., str]) -> None:
    before = form(old(NEW, names_of(*paths)))
    assert before != form(NEW), f"NEW does not set what {paths} became"
    with pytest.raises(UsageError, match="was renamed to"):
        settings_from(tomllib.loads(before), tmp_path)
    after = upgraded(tmp_path, before)
    assert after == form(NEW)
    assert read_settings(tmp_path / "promotion.toml") == settings_from(NEW, tmp_path)
    assert upgrade_settings(tmp_path) == [], "a second upgrade has nothing to do"


def test_each_renamed_key_is_named_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "promotion.toml").write_text("[argocd]\nlooks = 2\n[[smoke.urls]]\nname = 'a'\n[[smoke.urls]]\ntries = 1\n[functional]\n")
    (change,) = upgrade_settings(tmp_path)
    assert change.why == "3 keys renamed: argocd.looks → successes, smoke.urls[1].tries → attempts, functional → tests"


def test_line_ends_and_the_byte_order_mark_stay(tmp_path: Path) -> None:
    assert upgraded(tmp_path, "\ufeff[argocd]\r\nlooks = 2 # a\r\n\r\n") == "\ufeff[argocd]\r\nsuccesses = 2 # a\r\n\r\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[argocd]\n'looks' = 2\n\"look_every\"= '1s'", "[argocd]\nsuccesses = 2\npoll_interval= '1s'"),
        ("argocd . looks = 3\n", "argocd . successes = 3\n"),
        ("[functional]\nx.y = 1\nx.z = 2\n", "[tests]\nx.y = 1\nx.z = 2\n"),
        ("[functional]\n[functional.deep] # c\ny = 1\n", "[tests]\n[tests.deep] # c\ny = 1\n"),
        ("[checklist]\noff = [ # c\n  {id = 'a'}, # d\n]\n", "[checklist]\ndisabled = [ # c\n  {id = 'a'}, # d\n]\n"),
        ("[argocd]\nlooks = '''\nlooks = 3 # no key\n'''\n", "[argocd]\nsuccesses = '''\nlooks = 3 # no key\n'''\n"),
        ("[mine]\nlooks = 1\n[argocd]\nlooks = 1\n", "[mine]\nlooks = 1\n[argocd]\nsuccesses = 1\n"),
    ],
)
def test_odd_ways_to_write_a_key(tmp_path: Path, before: str, after: str) -> None:
    assert upgraded(tmp_path, before) == after


@pytest.mark.parametrize("text", ["", "[argocd]\nsuccesses = 2\n", "# looks = 2\n[mine]\nlooks = 2\n", "smoke = 1\n"])
def test_a_file_without_renamed_keys_is_left_alone(tmp_path: Path, text: str) -> None:
    assert upgraded(tmp_path, text) == text


def test_without_a_file_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert upgrade_settings(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("[argocd\nlooks = 2\n", "not TOML", "correct the syntax"),
        ("[argocd]\nlooks = 2\nsuccesses = 3\n", "[argocd] has both looks and successes", "delete one of them"),
        ("[[smoke.urls]]\n[[smoke.urls]]\ntries = 2\nattempts = 2\n", "[smoke.urls[1]] has both tries and attempts", "delete one of them"),
        ("[functional]\n[tests]\n", "[top level] has both functional and tests", "delete one of them"),
        # The library forgets how such a header was written.
        ("['checklist']\n[[ checklist . off ]]\nid = 'a'\n", "1 renamed key cannot be rewritten", "by hand: checklist.off → disabled"),
    ],
)
def test_what_cannot_be_upgraded_is_refused(tmp_path: Path, text: str, what: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        upgraded(tmp_path, text)
    assert what in caught.value.what and hint in caught.value.hint
    assert (tmp_path / "promotion.toml").read_text() == text


def test_a_folder_of_that_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "promotion.toml").mkdir()
    with pytest.raises(UsageError, match="it is a folder"):
        upgrade_settings(tmp_path)
