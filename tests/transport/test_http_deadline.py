"""Answers that never come to their end, whatever part of them is late: every client times out by itself and names the server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from promote.core.errors import Unreachable
from promote.github.logs import fetch_signed
from promote.github.workflow_runs import GitHubRuns
from promote.kube.client import Kube, connect
from promote.monitoring.clients import Service
from promote.sandbox.http_server import Fault, Request, Response, World, json_response
from promote.transport.http_deadline import WholeAnswers
from promote.transport.http_probe import HttpClient
from tests.robustness.troubles import FORMS, address
from tests.support.production import kubeconfig

ENDLESS = (*FORMS["hang"], *FORMS["drip"])
SILENT_S = 0.5


def _github(url: str, folder: Path) -> str:
    with pytest.raises(Unreachable) as caught:
        GitHubRuns(url, "acme/gitops", "token", call_s=1).state(7000)
    return caught.value.what


def _cluster(url: str, folder: Path) -> str:
    with pytest.raises(Unreachable) as caught:
        Kube("prod", connect("prod", kubeconfig(folder, url), "")._api, call_s=SILENT_S, answer_s=1).items("/api/v1/pods")
    return caught.value.what


def _monitoring(url: str, folder: Path) -> str:
    with pytest.raises(Unreachable) as caught:
        Service("Grafana", url, {}, call_s=SILENT_S).get("/api/health")
    return caught.value.what


def _smoke(url: str, folder: Path) -> str:
    return HttpClient().get(url, timeout=SILENT_S).error


CLIENTS: dict[str, tuple[Callable[[str, Path], str], str]] = {
    "GitHub": (_github, "GitHub: could not read run 7000: 127.0.0.1 did not answer in time"),
    "cluster": (_cluster, "cluster prod: GET /api/v1/pods: no complete answer in time (limits: 0.5 s of silence, 1 s in total)"),
    "monitoring": (_monitoring, "GET /api/health: no complete answer within 0.5 s"),
    "smoke": (_smoke, "within 0.5 s"),
}


@pytest.mark.parametrize("form", ENDLESS)
@pytest.mark.parametrize("client", CLIENTS)
def test_an_answer_without_an_end_times_out(tmp_path: Path, client: str, form: str) -> None:
    ask, words = CLIENTS[client]
    with address(form) as url:
        assert words in ask(url, tmp_path)


def test_of_a_log_that_drips_there_is_what_came_in_time() -> None:
    with address("the body drips") as url:
        assert set(fetch_signed(f"{url}/log", within_s=SILENT_S)) == {" "}


class Api(World):
    def handle(self, request: Request) -> Response:
        return json_response({"data": ["x" * 100]})


class Leading(World):
    """Leads on once."""

    def handle(self, request: Request) -> Response:
        self.credentials.append(request.headers.get("authorization"))
        return Response(body=b"line") if request.path == "/there" else Response(status=302, headers={"Location": "/there"})

    credentials: list[str | None]


def test_a_log_is_fetched_where_it_is_led_to_without_a_persons_netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login ada password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with Leading("logs") as world:
        assert isinstance(world, Leading)
        world.credentials = []
        assert fetch_signed(f"{world.url}/log", within_s=5) == "line"
        assert world.credentials == [None, None]


def test_half_an_answer_is_none() -> None:
    with Api("any") as world:
        world.fault(Fault(kind="cut"))
        answer = HttpClient().get(world.url, timeout=5)
        assert (answer.status, "IncompleteRead" in answer.error) == (0, True)
        with pytest.raises(Unreachable, match="Grafana .* IncompleteRead"):
            Service("Grafana", world.url, {}, call_s=5).get("/api/health")


def test_a_client_behind_a_proxy_wraps_its_classes_once() -> None:
    adapter = WholeAnswers()
    managers = {id(adapter.proxy_manager_for("http://127.0.0.1:1")) for _ in range(3)}
    pool = adapter.proxy_manager_for("http://127.0.0.1:1").connection_from_url("https://github.invalid")
    assert (len(managers), [c.__name__ for c in type(pool).__mro__].count("HTTPSConnectionPool")) == (1, 2)


def test_through_a_proxy_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with address("a header drips") as url:
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, url)
        monkeypatch.setenv("no_proxy", "")
        assert "in time" in _github("https://github.invalid", tmp_path)
        assert "within 0.5 s" in _smoke("http://service.invalid", tmp_path)
