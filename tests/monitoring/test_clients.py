"""The monitoring client against worlds that misbehave: unreachable, refused, sent once, and never shown."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from promote.core.errors import Denied, NotFound, Rejected, ServiceError, Unreachable
from promote.monitoring.clients import Alertmanager, Grafana, Prometheus
from promote.sandbox.http_server import Fault, Response, World
from promote.sandbox.monitoring import alertmanager as alertmanager_world
from promote.sandbox.monitoring import grafana as grafana_world
from promote.sandbox.monitoring import prometheus as prometheus_world

SECRET = "very-secret-token"
HEADERS = {"Authorization": f"Bearer {SECRET}"}


@pytest.fixture
def prometheus() -> Iterator[prometheus_world.Prometheus]:
    with prometheus_world.Prometheus() as world:
        assert isinstance(world, prometheus_world.Prometheus)
        world.put("up", {"job": "a"}, 1)
        yield world
        assert world.errors == []


@pytest.fixture
def grafana() -> Iterator[grafana_world.Grafana]:
    boards = [grafana_world.Dashboard(f"uid-{n}", f"Board {n}", "Folder" if n % 2 else "") for n in range(3)]
    with grafana_world.Grafana(*boards, tokens={SECRET: "Editor", "viewer-token": "Viewer"}, sub_path="/grafana") as world:
        assert isinstance(world, grafana_world.Grafana)
        yield world
        assert world.errors == []


def client(world: World, call_s: float = 5) -> Prometheus:
    return Prometheus("prometheus", world.url, HEADERS, call_s=call_s)


FAULTS = {
    "refused": (Fault(kind="refuse"), Unreachable, "ConnectionError"),
    "dropped": (Fault(kind="drop_before"), Unreachable, "ConnectionError"),
    "hanging": (Fault(kind="hang"), Unreachable, "no complete answer within 0.5 s"),
    "dripping": (Fault(kind="drip"), Unreachable, "no complete answer within 0.5 s"),
    "503": (Fault(kind="status", status=503, body=b"starting up"), Unreachable, "503 starting up"),
    "401": (Fault(kind="status", status=401), Denied, "401"),
    "403": (Fault(kind="status", status=403, body=b'{"message": "no"}'), Denied, "403 no"),
    "404": (Fault(kind="status", status=404), NotFound, "404"),
    "a login page": (Fault(kind="status", status=302, headers={"Location": "/login"}), Rejected, "redirected (302)"),
    "422": (Fault(kind="status", status=422, body=b'{"status":"error","error":"too many samples"}'), Rejected, "too many samples"),
    "no JSON": (Fault(kind="status", status=200, body=b"<html>login</html>"), Unreachable, "not JSON"),
    "other JSON": (Fault(kind="status", status=200, body=b'["x"]'), Unreachable, "does not follow Prometheus' API"),
    "no header's echo": (Fault(kind="status", status=500, body=f"your token {SECRET} is old".encode()), Unreachable, "your token *** is old"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_errors_are_reported_by_class_and_without_secrets(prometheus: prometheus_world.Prometheus, name: str) -> None:
    fault, kind, said = FAULTS[name]
    prometheus.fault(fault)
    with pytest.raises(kind) as caught:
        client(prometheus, call_s=0.5).query("up")
    assert isinstance(caught.value, ServiceError)
    assert said in caught.value.what
    assert SECRET not in str(caught.value)
    assert caught.value.hint


PASSING = {
    "dropped": Fault(kind="drop_before", times=2),
    "429": Fault(kind="status", status=429, headers={"Retry-After": "0"}, times=2),
    "503": Fault(kind="status", status=503, times=2),
    "500 that passes": Fault(kind="status", status=500, body=b"rpc error: code = Unavailable", times=2),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_read_that_met_a_passing_fault_is_repeated(prometheus: prometheus_world.Prometheus, name: str) -> None:
    prometheus.fault(replace(PASSING[name]))
    assert [s.value for s in client(prometheus).query("up")] == [1]
    assert len(prometheus.requests) == 3


def test_a_read_is_not_repeated_before_the_server_allows_it(prometheus: prometheus_world.Prometheus) -> None:
    prometheus.fault(Fault(kind="status", status=429, headers={"Retry-After": "3600"}, times=1))
    with pytest.raises(Unreachable, match="429"):
        client(prometheus).query("up")
    assert len(prometheus.requests) == 1


@pytest.mark.parametrize("name", PASSING)
def test_a_write_goes_out_once(grafana: grafana_world.Grafana, name: str) -> None:
    grafana.fault(replace(PASSING[name]))
    with pytest.raises(Unreachable):
        Grafana("grafana", f"{grafana.url}/grafana", HEADERS).annotate(start=datetime.now(UTC), end=datetime.now(UTC), tags=[], text="x")
    assert len(grafana.requests) == 1


def test_answers_of_every_kind(prometheus: prometheus_world.Prometheus) -> None:
    ask = client(prometheus).query
    assert [(s.series, s.value) for s in ask('up{job="a"}')] == [('up{job="a"}', 1.0)]
    assert ask("gone") == []
    assert [s.series for s in ask("sum(up)")] == ["{}"]
    assert [(s.series, s.value) for s in ask("1 + 1")] == [("scalar", 2.0)]
    (nan,) = ask("0 / 0")
    assert nan.value != nan.value
    assert [s.value for s in ask("up / 0")] == [float("inf")]
    with pytest.raises(Rejected, match="parse error"):
        ask("sum(")


def test_the_age_of_samples_is_measured_by_the_servers_own_clock(prometheus: prometheus_world.Prometheus) -> None:
    prometheus.put("old", {"a": "1"}, 5, at=time.time() - 100)
    assert client(prometheus).ages("up")['{job="a"}'] < 10
    assert 99 < client(prometheus).ages("old")['{a="1"}'] < 110
    assert client(prometheus).ages("gone") == {}


def test_a_server_that_supports_it_gets_the_limit_for_the_age_of_samples() -> None:
    with prometheus_world.Prometheus(knows_lookback=True) as world:
        assert isinstance(world, prometheus_world.Prometheus)
        world.put("old", {}, 5, at=time.time() - 100)
        assert client(world).query("old", lookback_s=200)
        assert client(world).query("old", lookback_s=50) == []


def test_alertmanager_filters_and_bad_matchers() -> None:
    with alertmanager_world.Alertmanager() as world:
        assert isinstance(world, alertmanager_world.Alertmanager)
        world.fire("A", cluster="prod")
        world.fire("B", cluster="dev")
        manager = Alertmanager("alertmanager", world.url, {})
        assert {a["labels"]["alertname"] for a in manager.alerts([])} == {"A", "B", "Watchdog"}
        assert [a["labels"]["alertname"] for a in manager.alerts(['cluster="prod"', 'alertname=~"A|B"'])] == ["A"]
        with pytest.raises(Rejected, match="bad matcher format"):
            manager.alerts(["cluster prod"])
        world.fault(Fault(kind="status", status=200, body=b'{"status":"success"}'))
        with pytest.raises(Unreachable, match="does not follow Alertmanager's API v2"):
            manager.alerts([])


def test_grafana_below_a_path_dashboards_links_and_an_annotation_read_back(grafana: grafana_world.Grafana) -> None:
    us = Grafana("grafana", f"{grafana.url}/grafana/", HEADERS)
    assert us.health() == grafana_world.VERSION
    boards = us.dashboards()
    assert [(b["title"], b.get("folderTitle")) for b in boards] == [("Board 0", None), ("Board 1", "Folder"), ("Board 2", None)]
    assert us.link(boards[0]["url"]) == f"{grafana.url}/grafana/d/uid-0/board-0"
    start, end = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2026, 1, 2, 3, 5, 6, tzinfo=UTC)
    assert us.annotate(start=start, end=end, tags=["promotion", "v1"], text="v1 at abc") == 1
    (seen,) = us.get("/api/annotations", [("tags", "promotion"), ("tags", "v1")])
    assert (seen["time"], seen["timeEnd"], seen["text"]) == (1767323045000, 1767323106000, "v1 at abc")


def test_every_page_of_dashboards_is_read(grafana: grafana_world.Grafana) -> None:
    grafana.dashboards = [grafana_world.Dashboard(f"u{n}", f"B{n:05}") for n in range(2000)]
    assert len(Grafana("grafana", f"{grafana.url}/grafana", HEADERS).dashboards()) == 2000


def test_a_lost_answer_to_a_write_is_not_sent_again(grafana: grafana_world.Grafana) -> None:
    grafana.fault(Fault(kind="drop_after", path="annotations"))
    now = datetime.now(UTC)
    with pytest.raises(Unreachable):
        Grafana("grafana", f"{grafana.url}/grafana", HEADERS).annotate(start=now, end=now, tags=[], text="x")
    assert len(grafana.annotations) == 1


def test_grafana_refuses(grafana: grafana_world.Grafana) -> None:
    now = datetime.now(UTC)
    with pytest.raises(Denied, match="401 Invalid API key"):
        Grafana("grafana", f"{grafana.url}/grafana", {}).dashboards()
    with pytest.raises(Denied, match="403"):
        Grafana("grafana", f"{grafana.url}/grafana", {"Authorization": "Bearer viewer-token"}).annotate(start=now, end=now, tags=[], text="x")
    grafana.database = "failing"
    with pytest.raises(Unreachable, match="503"):
        Grafana("grafana", f"{grafana.url}/grafana", HEADERS).health()
    with pytest.raises(NotFound):
        Grafana("grafana", grafana.url, HEADERS).health()


def test_a_netrc_does_not_replace_the_declared_credentials(grafana: grafana_world.Grafana, clean_environment: object) -> None:
    from pathlib import Path

    (Path(str(clean_environment)) / ".netrc").write_text("machine 127.0.0.1 login eve password other\n")
    assert Grafana("grafana", f"{grafana.url}/grafana", HEADERS).dashboards()


def test_an_answer_that_is_no_list_of_dashboards() -> None:
    class Odd(World):
        def handle(self, request: object) -> Response:
            return Response(body=b"{}")

    with Odd("odd") as world, pytest.raises(Unreachable, match="does not follow Grafana's API"):
        Grafana("grafana", world.url, {}).dashboards()
