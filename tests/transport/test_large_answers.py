"""Answers without an end: every client stops at a limit and names the server, instead of filling the memory."""

from __future__ import annotations

import contextlib
import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from promote.core.errors import Unreachable
from promote.github.workflow_runs import GitHubRuns
from promote.kube.client import Kube, LargeAnswer, connect
from promote.monitoring.clients import Grafana, Service
from promote.transport.http_deadline import LARGEST
from tests.support.production import kubeconfig

BOMB = gzip.compress(b" " * (2 * LARGEST))
DEEP = b"[" * 200_000


def _endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    for _ in range(3 * LARGEST // 1_000_000):  # for a client without a limit the test ends all the same
        handler.wfile.write(b"[" + b" " * 1_000_000)


def _whole(body: bytes, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def _large_pages(handler: BaseHTTPRequestHandler) -> None:
    if parse_qs(urlsplit(handler.path).query)["limit"] == ["50"]:
        _whole(b'{"items": [{"a": 1}]}')(handler)
    else:
        _endless(handler)


@contextmanager
def server(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.close_connection = True
            with contextlib.suppress(OSError):  # the client goes away, as it should
                answer(self)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        made.daemon_threads = True
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()


def cluster(url: str, folder: Path, **limits: int) -> Kube:
    return Kube("prod", connect("prod", kubeconfig(folder, url), "")._api, call_s=30, answer_s=60, **limits)


CLIENTS: dict[str, tuple[Callable[[str, Path], object], str]] = {
    "cluster": (lambda url, folder: cluster(url, folder).get("/version"), "GET /version: the answer did not end within"),
    "a list of the cluster": (lambda url, folder: cluster(url, folder).items("/api/v1/pods"), "GET /api/v1/pods: the answer did not end within"),
    "GitHub": (lambda url, folder: GitHubRuns(url, "acme/gitops", "token", call_s=30).state(7000), "127.0.0.1 sent an answer without an end"),
    "monitoring": (lambda url, folder: Service("Grafana", url, {}, call_s=30).get("/api/health"), "GET /api/health: the answer did not end within"),
}


@pytest.mark.parametrize("answer", [_endless, _whole(BOMB, Content_Encoding="gzip")], ids=["endless", "packed"])
@pytest.mark.parametrize("client", CLIENTS)
def test_an_answer_ends_at_its_limit(tmp_path: Path, client: str, answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
    ask, words = CLIENTS[client]
    with server(answer) as url, pytest.raises(Unreachable) as caught:
        ask(url, tmp_path)
    assert words in caught.value.what


@pytest.mark.parametrize("client", CLIENTS)
def test_json_that_is_nested_too_deep_is_no_answer(tmp_path: Path, client: str) -> None:
    with server(_whole(DEEP)) as url, pytest.raises(Unreachable):
        CLIENTS[client][0](url, tmp_path)


def test_a_page_that_is_too_large_is_read_in_smaller_ones(tmp_path: Path) -> None:
    with server(_large_pages) as url:
        assert cluster(url, tmp_path).items("/api/v1/pods") == [{"a": 1}]


def test_pages_without_an_end_end_at_a_limit(tmp_path: Path) -> None:
    with (
        server(_whole(b'{"metadata": {"continue": "more"}, "items": [1]}')) as url,
        pytest.raises(LargeAnswer, match="did not end within 1000 bytes"),
    ):
        cluster(url, tmp_path, largest_list=1000).items("/api/v1/pods")


def test_dashboards_without_an_end_end_at_a_limit() -> None:
    page = b"[" + b",".join([b"{}"] * 1000) + b"]"
    with server(_whole(page)) as url, pytest.raises(Unreachable, match="did not end within 100000"):
        Grafana("Grafana", url, {}, call_s=30).dashboards()
