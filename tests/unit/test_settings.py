"""promotion.toml is strict, says everything that is wrong at once, and defaults to what the seed hard-codes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from promote.config.reader import find_settings_file, parse_duration, read_settings
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
    assert (settings.promotion.records, settings.prod.kubeconfig, settings.prod.root) == (".promotions", ".secrets/prod/kubeconfig-prod", "argocd")


def test_values_arrive_where_they_belong(tmp_path: Path) -> None:
    settings = read(tmp_path, '[workflow]\ntimeout = "1m30s"\n[[smoke.urls]]\nname = "a"\nurl = "http://a"\nwithin = 2\n')
    assert settings.workflow.timeout == 90
    assert (settings.smoke.urls[0].name, settings.smoke.urls[0].within, settings.smoke.urls[0].status) == ("a", 2, 200)


def test_every_error_is_said_at_once_with_the_nearest_key(tmp_path: Path) -> None:
    text = '[workflow]\ntimout = 5\n[prod]\nnamespaces = "argocd"\n[argocd]\nlooks = true\nsync = "maybe"\n[baselin]\n[post]\nsoak = "soon"\n'
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    said = caught.value.what
    assert "6 problems" in said
    for part in (
        "workflow.timout: unknown key; did you mean timeout?", "prod.namespaces: 'argocd' is not a list", "argocd.looks: True is not a whole number",
        "argocd.sync: 'maybe' is not one of auto, request", "baselin: unknown key; did you mean baseline?", "post.soak: 'soon' is not a duration",
    ):  # fmt: skip
        assert part in said


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('[tags]\ndev = "dev"\n', "has no {version}"),
        ('[tags]\nstable = "prod-working"\n', "same name"),
        ("[baseline]\nmax_unhealthy = 3.0\n", "not between 0 and 1"),
        ("[argocd]\nlooks = 0\n", "less than 1"),
        ('[[smoke.urls]]\nurl = "http://a"\n', "needs a name"),
        ('[dev]\nconverge_timeout = "2m"\n', "shorter than suites.row_timeout"),
        ('[[smoke.urls]]\nname = "a"\nurl = "http://a"\nredirect = "http://b"\n', "redirect needs a 3xx status, not 200"),
        ('[[smoke.urls]]\nname = "a"\nurl = "http://a"\nmethod = "HEAD"\ncontains = "x"\n', "HEAD has no body"),
        ('[[smoke.urls]]\nname = "a"\nurl = "http://a"\nmethod = "get"\n', "'get' is not one of GET, HEAD"),
        ('[[smoke.urls]]\nname = "a"\nurl = "http://a"\nwithin = "30s"\n', "must be shorter than suites.row_timeout"),
        ('[[smoke.urls]]\nname = "a"\nurl = "http://a"\ntries = 0\n', "tries: 0 is less than 1"),
        ('[[smoke.urls]]\nname = "a"\nurl = "http://a"\njson = ["a = 1"]\n', "smoke.urls: a: json: 'a = 1' is not a path"),
        ('[[smoke.urls]]\nname = "a"\nurl = "http://a"\nheaders = ["x"]\n', "smoke.urls: a: headers: 'x' is not a header"),
        ('[[smoke.urls]]\nname = "a"\nurl = "ftp://a"\n', "does not begin with http:// or https://"),
        ('[prometheus]\nurl = "http://a:b@c"\n', "prometheus.url: holds a password"),
        ('[promotion]\ntimeout = "12m"\n[post]\nsoak = "2m"\n', "promotion.timeout: must be longer than argocd.converge_timeout and post.soak"),
        ('[prometheus]\nurl = "http://a"\nwait = "2m"\n', "prometheus.wait: must be shorter than suites.row_timeout"),
        ('[[prometheus.rules]]\nname = "a"\nquery = "up"\nexpect = "< 1"\n', "there are rules, but no prometheus.url"),
        ('[prometheus]\nurl = "http://a"\n[[prometheus.rules]]\nname = "a"\nquery = "up"\n', "expect: '' is not a comparison"),
        ('[prometheus]\nurl = "http://a"\n[[prometheus.rules]]\nquery = "up"\nexpect = "< 1"\n', "needs a name, a query and an expect"),
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


def test_every_key_says_what_it_means() -> None:
    for section in dataclasses.fields(Settings):
        if dataclasses.is_dataclass(section.default):
            for key in dataclasses.fields(section.default):
                assert key.metadata.get("doc"), f"{section.name}.{key.name}"


def test_it_is_found_from_below_and_its_absence_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "promotion.toml").write_text("")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_settings_file(below) == tmp_path / "promotion.toml"
    (tmp_path / "promotion.toml").unlink()
    with pytest.raises(UsageError, match=r"no promotion\.toml"):
        find_settings_file(below)
