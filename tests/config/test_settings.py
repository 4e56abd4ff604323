"""promotion.toml is strict, reports all faults at once, and defaults to what the seed hard-codes."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest

from promote.config.field import Choice, Seconds
from promote.config.reader import find_settings_file, parse_duration, read_settings, settings_from
from promote.config.schema import Settings
from promote.core.errors import UsageError


def read(tmp_path: Path, text: str | bytes) -> Settings:
    file = tmp_path / "promotion.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_settings(file)


def test_an_empty_file_means_the_seeds_values(tmp_path: Path) -> None:
    settings = read(tmp_path, "")
    assert (settings.tags.dev, settings.tags.prod, settings.tags.stable, settings.tags.working) == (
        "dev-{version}", "prod-{version}", "prod-stable", "prod-working",
    )  # fmt: skip
    assert (settings.repository.branch, settings.workflow.file, settings.workflow.timeout) == ("main", "promote-prod.yaml", 600)
    assert (settings.promotion.records, settings.prod.kubeconfig, settings.prod.root_app) == (
        ".promotions",
        ".secrets/prod/kubeconfig-prod",
        "argocd",
    )


def test_values_arrive_where_they_belong(tmp_path: Path) -> None:
    settings = read(tmp_path, '[workflow]\ntimeout = "1m30s"\n[[smoke.urls]]\nname = "a"\nurl = "http://a"\ntimeout = 2\n')
    assert settings.workflow.timeout == 90
    assert (settings.smoke.urls[0].name, settings.smoke.urls[0].timeout, settings.smoke.urls[0].status) == ("a", 2, 200)


def test_every_error_is_reported_at_once_with_the_nearest_key(tmp_path: Path) -> None:
    text = '[workflow]\ntimout = 5\n[prod]\nnamespaces = "argocd"\n[argocd]\nsuccesses = true\nsync = "maybe"\n[baselin]\n[post]\nsoak = "soon"\n'
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    said = caught.value.what
    assert "6 problems" in said
    for part in (
        "workflow.timout: unknown key; did you mean timeout?", "prod.namespaces: 'argocd' is not a list", "argocd.successes: True is not a whole number",
        "argocd.sync: 'maybe' is not one of auto, request", "baselin: unknown key; did you mean baseline?", "post.soak: 'soon' is not a duration",
    ):  # fmt: skip
        assert part in said


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('[tags]\ndev = "dev"\n', "has no {version}"),
        ('[tags]\nstable = "prod-working"\n', "same name"),
        ("[baseline]\nmax_unhealthy = 3.0\n", "not between 0 and 1"),
        ("[argocd]\nsuccesses = 0\n", "less than 1"),
        ('[[argocd.accept_out_of_sync]]\napplication = "web"\n', "accept_out_of_sync: every entry needs an application and a reason"),
        ('[[argocd.accept_out_of_sync]]\nreason = "x"\n', "accept_out_of_sync: every entry needs an application and a reason"),
        ('[argocd]\nrefresh_timeout = "0s"\n', "argocd.refresh_timeout: must be longer than nothing"),
        ('[argocd]\nrefresh_timeout = "10m"\n', "argocd.refresh_timeout: must be shorter than suites.timeout"),
        ('[[prod.clusters]]\ncontext = "spoke"\n', "prod.clusters: every entry needs a server or a name"),
        ('[[smoke.urls]]\nurl = "http://a"\n', "needs a name"),
        ('[dev]\nconverge_timeout = "2m"\n', "shorter than suites.check_timeout"),
        ('[[smoke.urls]]\nname = "a"\nurl = "http://a"\nredirect = "http://b"\n', "redirect needs a 3xx status, not 200"),
        ('[[smoke.urls]]\nname = "a"\nurl = "http://a"\nmethod = "HEAD"\ncontains = "x"\n', "HEAD has no body"),
        ('[[smoke.urls]]\nname = "a"\nurl = "http://a"\nmethod = "get"\n', "'get' is not one of GET, HEAD"),
        ('[[smoke.urls]]\nname = "a"\nurl = "http://a"\ntimeout = "30s"\n', "must be shorter than suites.check_timeout"),
        ('[[smoke.urls]]\nname = "a"\nurl = "http://a"\nattempts = 0\n', "attempts: 0 is less than 1"),
        ('[[smoke.urls]]\nname = "a"\nurl = "http://a"\njson = ["a = 1"]\n', "smoke.urls: a: json: 'a = 1' is not a path"),
        ('[[smoke.urls]]\nname = "a"\nurl = "http://a"\nheaders = ["x"]\n', "smoke.urls: a: headers: 'x' is not a header"),
        ('[[smoke.urls]]\nname = "a"\nurl = "ftp://a"\n', "does not begin with http:// or https://"),
        ('[prometheus]\nurl = "http://a:b@c"\n', "prometheus.url: holds a password"),
        ('[promotion]\ntimeout = "12m"\n[post]\nsoak = "2m"\n', "promotion.timeout: must be longer than argocd.converge_timeout and post.soak"),
        ('[prometheus]\nurl = "http://a"\nsample_timeout = "2m"\n', "prometheus.sample_timeout: must be shorter than suites.check_timeout"),
        ('[[prometheus.queries]]\nname = "a"\nquery = "up"\nexpect = "< 1"\n', "there are queries, but no prometheus.url"),
        ('[prometheus]\nurl = "http://a"\n[[prometheus.queries]]\nname = "a"\nquery = "up"\n', "expect: '' is not a comparison"),
        ('[prometheus]\nurl = "http://a"\n[[prometheus.queries]]\nquery = "up"\nexpect = "< 1"\n', "needs a name, a query and an expect"),
        (
            '[[running.accept]]\napplication = "db"\nkind = "Job"\nname = "x"\n',
            "running.accept: every entry needs an application, a kind, a name and",
        ),
        ('[running]\ntimeout = "10m"\n', "running.timeout: must be shorter than suites.timeout"),
        ('[grafana]\nheaders = ["Authorization"]\n', "grafana: headers: 'Authorization' is not a header"),
        ("smoke = 1\n", "not a table"),
        ("= 1\n", "not TOML"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_what_cannot_work_is_refused(tmp_path: Path, text: str | bytes, part: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    assert part in caught.value.what
    assert caught.value.hint


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("0.5s", 0.5), (3, 3), (1.5, 1.5), ("", None), ("10", None), (-1, None),
                                               (True, None), ("٣s", None), (float("inf"), None)])  # fmt: skip
def test_durations(text: object, seconds: float | None) -> None:
    if seconds is None:
        with pytest.raises(ValueError):
            parse_duration(text)
    else:
        assert parse_duration(text) == seconds


@dataclasses.dataclass(frozen=True, kw_only=True)
class Key:
    """One key of promotion.toml. `path`: the tables on the way to it, a list of tables with its brackets; `table`: its class, `hint`: its type."""

    path: tuple[str, ...]
    table: type
    name: str
    hint: Any
    meta: Any

    @property
    def dotted(self) -> str:
        """As an error message names it: `smoke.urls[0].name`."""
        return ".".join([*(part.replace("[]", "[0]") for part in self.path), self.name])

    @property
    def heading(self) -> str:
        """As docs/settings.md has its table: `[argocd]` or `[[smoke.urls]]`."""
        text = ".".join(self.path)
        return f"[[{text.removesuffix('[]')}]]" if text.endswith("[]") else f"[{text}]"

    def document(self, value: object) -> dict[str, object]:
        """A parsed promotion.toml in which this key alone is set."""
        found: Any = {self.name: value}
        for part in reversed(self.path):
            found = {part.removesuffix("[]"): [found] if part.endswith("[]") else found}
        return dict(found)


def keys(table: type = Settings, path: tuple[str, ...] = ()) -> Iterator[Key]:
    """Every key that promotion.toml may have, in tables and lists of tables at any depth."""
    hints = get_type_hints(table, include_extras=True)
    for field in dataclasses.fields(table):
        hint = hints[field.name]
        inner = get_args(hint)[0] if get_origin(hint) is list else hint
        if field.name in ("root", "code") and table is Settings:  # given by the program
            continue  # the folder of the file, no key of it
        if not dataclasses.is_dataclass(hint):
            yield Key(path=path, table=table, name=field.name, hint=hint, meta=field.metadata)
        if isinstance(inner, type) and dataclasses.is_dataclass(inner):
            yield from keys(inner, (*path, field.name + ("[]" if inner is not hint else "")))


KEYS = [pytest.param(key, id=key.dotted) for key in keys()]


def plain(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def bad_values(hint: Any) -> list[object]:
    """Values of the wrong type, and for a choice a word that it does not know."""
    if get_origin(hint) is list:
        inner = get_args(hint)[0]
        return ["text", ["text"] if dataclasses.is_dataclass(inner) else [7]]
    wrong: dict[Any, object] = {str: 7, bool: "yes", int: "three", float: "half", Seconds: "soon", date: "someday"}
    choice = [meta for meta in get_args(hint)[1:] if isinstance(meta, Choice)]
    return [wrong[plain(hint)], *(["no such word"] if choice else [])]


@pytest.mark.parametrize("key", KEYS)
def test_a_bad_value_of_each_key_is_refused_with_its_name(key: Key) -> None:
    for value in bad_values(key.hint):
        with pytest.raises(UsageError) as caught:
            settings_from(key.document(value), Path("/repository"))
        assert re.search(rf"^  - {re.escape(key.dotted)}(\[0\])?: ", caught.value.what, re.MULTILINE), (value, caught.value.what)
        assert "promotion.toml" in caught.value.hint


def documented() -> dict[tuple[str, str], list[str]]:
    """(heading, key) → the cells of its line in docs/settings.md: type, default, meaning."""
    found, heading = {}, ""
    for line in (Path(__file__).resolve().parents[2] / "docs" / "settings.md").read_text().splitlines():
        heading = line.removeprefix("## ") if line.startswith("## ") else heading
        if match := re.fullmatch(r"\| `(\w+)` \| (.*?) \| (.*?) \| (.*) \|", line):
            found[heading, match[1]] = [match[2], match[3], match[4]]
    return found


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_documented_with_meaning_default_and_unit(key: Key) -> None:
    """A list of tables that several keys share is described once."""
    headings = {other.heading for other in keys() if other.table is key.table}
    if key.table is Settings:
        assert any(other.heading == f"[[{key.name}]]" for other in keys())  # a list of tables at the top has its own heading
        return
    lines = [cells for (heading, name), cells in documented().items() if heading in headings and name == key.name]
    assert len(lines) == 1, f"{key.dotted}: described {len(lines)} times under {sorted(headings)}"
    kind, default, meaning = lines[0]
    assert kind and default and len(meaning) > 10
    if plain(key.hint) in (int, float):
        assert key.meta["unit"] and key.meta["unit"] in kind, "a number has a unit"


def test_every_key_has_a_meaning() -> None:
    assert [key.dotted for key in keys() if not key.meta["doc"]] == []


def test_every_line_of_the_settings_page_is_a_key() -> None:
    assert set(documented()) - {(key.heading, key.name) for key in keys()} == set()


def test_it_is_found_from_below_and_its_absence_names_the_next_command(tmp_path: Path) -> None:
    (tmp_path / "promotion.toml").write_text("")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_settings_file(below) == tmp_path / "promotion.toml"
    (tmp_path / "promotion.toml").unlink()
    with pytest.raises(UsageError, match=r"no promotion\.toml"):
        find_settings_file(below)
