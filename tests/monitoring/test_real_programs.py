"""With the real Prometheus and Alertmanager: what a promotion sees of them, and that the sandbox's worlds answer alike."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from promote.cli.sandbox_session import repository_files
from promote.core.errors import Rejected
from promote.monitoring.alerts import parse_alert
from promote.monitoring.clients import Alertmanager, Prometheus
from promote.sandbox.monitoring import prometheus
from promote.sandbox.sandbox import Sandbox
from promote.sandbox.scenarios import SCENARIOS
from tests.support.monitoring import Monitoring, monitoring


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitoring]:
    with monitoring(tmp_path_factory.mktemp("monitoring")) as here:
        yield here


RULES = """
[prometheus]
url = "@P@"
sample_timeout = "20s"

[[prometheus.queries]]
name = "errors"
query = "sum(app_errors)"
expect = "== 0"

[[prometheus.queries]]
name = "requests"
query = "avg_over_time(app_requests[5m]) / scalar(count(up))"
expect = "> 1"

[alertmanager]
url = "@A@"
watchdog = "Watchdog"
"""


def promote(sandbox: Sandbox, clone: Path, version: str) -> tuple[int, dict[str, object], str]:
    argv = [sys.executable, "-m", "promote", "run", version, "--json"]
    done = subprocess.run(argv, cwd=clone, env=sandbox.env, capture_output=True, text=True, timeout=110, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def checks_with(said: dict[str, object], verdict: str) -> list[str]:
    checks = said["checks"]
    assert isinstance(checks, list)
    return [c["id"] for c in checks if c["verdict"] == verdict]


@pytest.fixture
def world(tmp_path: Path, real: Monitoring) -> Iterator[tuple[Sandbox, Path]]:
    files = repository_files("git")
    text = files["promotion.toml"].decode()
    text = text[: text.index("[prometheus]")] + RULES.replace("@P@", real.prometheus).replace("@A@", real.alertmanager)
    files["promotion.toml"] = text.encode()
    with Sandbox(tmp_path / "world", files=files, act=False) as sandbox:
        yield sandbox, sandbox.clone(tmp_path / "clone")
    real.exporter.set(app_errors=0)
    real.exporter.down = False
    real.until("everything is as it was", lambda: real.firing() == {"OldTrouble", "Watchdog"})


def after_the_move(sandbox: Sandbox, act: object) -> None:
    """Call `act` once, before the push that moved the stable tag is answered."""
    before, once = sandbox.writer.holds("refs/tags/prod-stable"), threading.Lock()

    def look() -> None:
        if sandbox.writer.holds("refs/tags/prod-stable") != before and once.acquire(blocking=False):
            act()  # type: ignore[operator]

    sandbox.git.after_push.append(look)


def test_an_alert_that_fired_before_does_not_stop_a_good_version(world: tuple[Sandbox, Path], real: Monitoring) -> None:
    sandbox, clone = world
    code, said, progress = promote(sandbox, clone, SCENARIOS["good"].prepare(sandbox))
    assert (code, said["outcome"]) == (0, "verified"), progress
    assert {"alerts", "promql[errors]", "promql[requests]", "monitoring-ready"} <= set(checks_with(said, "passed"))
    checks = {c["id"]: c for c in said["checks"]}  # type: ignore[attr-defined]
    assert "OldTrouble" in str(checks["alerts"]["evidence"]["firing before"])
    assert checks["promql[requests]"]["evidence"]["ranges"] == "5m cut to the time since the move"
    assert set(checks_with(said, "disabled")) == {"grafana", "workflow-dispatched", "workflow-succeeded"}


def test_an_alert_that_fires_after_the_move_brings_the_version_back_and_resolves(world: tuple[Sandbox, Path], real: Monitoring) -> None:
    sandbox, clone = world
    old = sandbox.writer.holds("refs/tags/prod-stable")

    def errors() -> None:
        real.exporter.set(app_errors=7)
        real.until("the alert fires", lambda: "ErrorsRising" in real.firing())

    after_the_move(sandbox, errors)
    code, said, progress = promote(sandbox, clone, SCENARIOS["good"].prepare(sandbox))
    assert (code, said["outcome"]) == (3, "rolled_back"), progress
    assert sorted(checks_with(said, "failed")) == ["alerts", "promql[errors]"]
    assert 'ErrorsRising{instance="127.0.0.1' in progress
    assert "OldTrouble{" not in progress, "it fired before"
    assert sandbox.writer.holds("refs/tags/prod-stable") == old
    assert sorted(checks_with(said, "warning")) == ["alerts", "promql[errors]"], "still ringing while the rollback is proven: reported, not counted"
    real.exporter.set(app_errors=0)
    real.until("the alert resolves", lambda: "ErrorsRising" not in real.firing())


def test_a_target_that_is_not_scraped_any_more_is_unknown_and_not_fine(world: tuple[Sandbox, Path], real: Monitoring) -> None:
    sandbox, clone = world
    text = (clone / "promotion.toml").read_text().replace('sample_timeout = "20s"', 'sample_timeout = "3s"')
    sandbox.commit({"promotion.toml": text.encode()}, "shorter wait")

    def unplug() -> None:
        real.exporter.down = True
        real.until("it is gone", lambda: real.value("app_errors") == [])

    after_the_move(sandbox, unplug)
    code, said, progress = promote(sandbox, clone, SCENARIOS["good"].prepare(sandbox))
    assert (code, said["outcome"]) == (4, "stuck"), progress
    assert (checks_with(said, "failed"), sorted(checks_with(said, "errored"))) == ([], ["promql[errors]", "promql[requests]"])
    assert "no data: no series for app_errors" in progress


def test_alerts_of_the_real_alertmanager_are_read(real: Monitoring) -> None:
    found = {a.name: a for a in map(parse_alert, Alertmanager("alertmanager", real.alertmanager, {}).alerts(['severity="warning"']))}
    assert found["OldTrouble"].muted == ""
    assert found["OldTrouble"].summary == "OldTrouble"
    assert found["OldTrouble"].started is not None
    assert "/graph?" in found["OldTrouble"].link


def test_a_silence_of_the_real_alertmanager_is_reported(real: Monitoring) -> None:
    body = {
        "matchers": [{"name": "alertname", "value": "OldTrouble", "isRegex": False, "isEqual": True}],
        "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2100-01-01T00:00:00Z", "createdBy": "test", "comment": "test",
    }  # fmt: skip
    silence = requests.post(f"{real.alertmanager}/api/v2/silences", json=body, timeout=5).json()["silenceID"]
    manager = Alertmanager("alertmanager", real.alertmanager, {})

    def old() -> str:
        return next(parse_alert(a).muted for a in manager.alerts(['alertname="OldTrouble"']))

    try:
        real.until("it is silenced", lambda: old() == f"silence {silence}")
    finally:
        requests.delete(f"{real.alertmanager}/api/v2/silence/{silence}", timeout=5)
    real.until("it fires again", lambda: old() == "")


def test_a_bad_matcher_and_a_bad_expression_are_named(real: Monitoring) -> None:
    with pytest.raises(Rejected, match="bad matcher format"):
        Alertmanager("alertmanager", real.alertmanager, {}).alerts(["cluster prod"])
    with pytest.raises(Rejected, match="parse error"):
        Prometheus("prometheus", real.prometheus, {}).query("sum(")
    with pytest.raises(Rejected, match="the answer is a matrix"):
        Prometheus("prometheus", real.prometheus, {}).query("app_errors[1m]")


SERIES = {("m_a", (("x", "1"),)): 2.0, ("m_a", (("x", "2"),)): 4.0, ("m_b", (("x", "1"),)): 8.0, ("m_b", (("x", "3"),)): 0.0}
ALIKE = (
    "m_a", 'm_a{x="1"}', 'm_a{x!="1"}', 'm_a{x=~"1|2"}', 'm_a{x!~"1.*"}', '{__name__="m_a"}', "sum(m_a)", "min(m_a)", "max(m_a)", "avg(m_a)", "count(m_a)",
    "m_a + m_b", "m_b / m_a", "m_a / 0", "0 / 0", "m_a * 2 - 1", "m_a > 3", "m_a == 2", "m_gone", "sum(m_gone)", "m_gone or vector(0)", "sum(m_a) or vector(0)",
    "sum(m_gone) or vector(0)", "vector(1)", "1 + 2 * 3", "(1 + 2) * 3", "-m_a", "time() - timestamp(m_gone)", "sum(m_a) / sum(m_b)",
)  # fmt: skip
_ADDED = re.compile(r'instance="[^"]*", job="app"(, )?')
WRONG = ("sum(", "m_a{", "m_a)", "1 == 1", "m_a or 1", "nosuchfunction(m_a)", "")


@pytest.fixture(scope="module")
def both(real: Monitoring) -> Iterator[tuple[Prometheus, Prometheus]]:
    labelled = {name + "{" + ",".join(f'{k}="{v}"' for k, v in labels) + "}": value for (name, labels), value in SERIES.items()}
    real.exporter.set(**labelled)
    real.until("the series are there", lambda: len(real.value('{__name__=~"m_.*"}')) == len(SERIES))
    with prometheus.Prometheus() as world:
        assert isinstance(world, prometheus.Prometheus)
        for (name, labels), value in SERIES.items():
            world.put(name, dict(labels), value)
        yield Prometheus("prometheus", real.prometheus, {}), Prometheus("prometheus", world.url, {})


@pytest.mark.parametrize("expression", ALIKE)
def test_the_sandbox_evaluates_like_the_real_one(both: tuple[Prometheus, Prometheus], expression: str) -> None:
    def answer(client: Prometheus) -> list[tuple[str, str]]:
        samples = client.query(expression)  # the real one adds instance and job to what it scrapes; nothing else may differ
        return sorted((_ADDED.sub("", s.series), "NaN" if math.isnan(s.value) else str(s.value)) for s in samples)

    theirs, ours = (answer(client) for client in both)
    assert theirs == ours


@pytest.mark.parametrize("expression", WRONG)
def test_the_sandbox_rejects_what_the_real_one_rejects(both: tuple[Prometheus, Prometheus], expression: str) -> None:
    for client in both:
        with pytest.raises(Rejected):
            client.query(expression)


def test_samples_grow_old_by_the_real_servers_clock(real: Monitoring) -> None:
    client = Prometheus("prometheus", real.prometheus, {})
    ages = client.ages("app_requests")
    assert len(ages) == 1
    assert all(0 <= age < 10 for age in ages.values())
