"""Secrets in shapes that are easily missed: with a line break from a file, cut in the middle, escaped, in a URL, on another process's command line."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

from promote.checklist.smoke import smoke_url_problem
from promote.config.schema import SmokeUrl
from promote.connect import headers
from promote.core.errors import PromoteError
from promote.core.redact import Redactor, learn
from promote.git.errors import excerpt
from promote.git.remote import GitRemote
from promote.github.errors import message
from promote.kube.errors import error_of
from promote.monitoring.clients import Prometheus
from promote.sandbox.git.server import GitServer
from promote.sandbox.http_server import Fault
from promote.transport.http_probe import HttpClient

SECRET = "s3cret/of+the=smoke 4711"


@pytest.mark.parametrize(
    "shown",
    [
        SECRET, f"{SECRET}\n", repr(f"{SECRET}\r"), quote(SECRET), quote(SECRET, safe=""), quote(SECRET, safe="").lower(), SECRET.replace(" ", "%20"),
        "second-line-4712", json.dumps('with "quotes" and \\ 4713'), "'with \"quotes\" and \\\\ 4713'",
    ],
)  # fmt: skip
def test_it_is_known_however_it_is_shown(shown: str) -> None:
    known = Redactor([f"{SECRET}\r\n", "first-line-4711\n  second-line-4712\n", 'with "quotes" and \\ 4713'])
    assert not any(part in known.text(f"it is {shown}.") for part in ("4711", "4712", "4713"))


def test_a_secret_that_holds_another_is_masked_whole_in_any_order() -> None:
    learn("learnt-before")
    assert Redactor(["learnt-before-and-longer"]).text("x learnt-before-and-longer") == "x ***"


@pytest.mark.parametrize("most", range(240, 258))
def test_what_a_cut_leaves_of_it_is_masked(most: int) -> None:
    token = "kube-bearer-of-prod-1111"
    body = json.dumps({"kind": "Status", "message": f"{'d' * (most - 1)} {token} tail"}).encode()
    told = [error_of("cluster prod", "GET", "/api", 403, body).what, message({"message": f"{'d' * (most - 1)} {token} tail"})]
    told.append(excerpt(f"fatal: {'d' * (most - 8)} {token} tail"))
    assert not any(token[:12] in Redactor([token]).text(text) for text in told)
    assert Redactor([token]).text("kube-bearer is a word, kube-bearer-of-prod-1112 is not ours") == "kube-bearer is a word, ***2 is not ours"


class Echo(BaseHTTPRequestHandler):
    """Repeats the header, at a place where its value is cut."""

    def do_GET(self) -> None:
        key = self.headers.get("X-Api-Key", "")
        body = json.dumps({"word": "y" * 70 + key}).encode() if self.path == "/json" else b"x" * 68 + b" " + key.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent."""


@contextmanager
def echo() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("end", ["", "\n", "\r", "\nsecond line"])
@pytest.mark.parametrize("path", ["/", "/json"])
def test_an_answer_that_repeats_a_header_shows_no_half_of_it(monkeypatch: pytest.MonkeyPatch, end: str, path: str) -> None:
    monkeypatch.setenv("API_KEY", f"key-of-the-smoke-4711{end}")
    seen: list[object] = []
    with echo() as url:
        wanted = SmokeUrl(
            name="a", url=url + path, status=418, headers=["X-Api-Key: ${API_KEY}"], attempts=1, json=["word == 1"] if path == "/json" else []
        )
        told = smoke_url_problem(HttpClient(), wanted, lambda name, value: seen.append((name, value)))
    assert "expected  418" in told
    assert "key-of-" not in f"{told} {seen}"


def test_a_header_that_cannot_be_sent_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_TOKEN", f"one\ntwo-{'x' * 200}")
    with echo() as url, pytest.raises(PromoteError) as refused:
        Prometheus("prometheus", url, headers("prometheus", ["X-Api-Key: ${PROMETHEUS_TOKEN}"])).query("up")
    assert "a header cannot be sent" in str(refused.value) and "two-" not in str(refused.value)


TOKEN = "token-in-the-url-4711"


@pytest.mark.parametrize("user", [TOKEN, f"ada:{TOKEN}"])
def test_a_token_in_the_remotes_url_is_on_no_command_line_and_known_to_those_who_mask(tmp_path: Path, user: str) -> None:
    server, clone, seen = GitServer(tmp_path / "bare.git", "acme/gitops", tokens=(TOKEN,), private=True), tmp_path / "clone", set[bytes]()
    server.create()
    server.start()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.002):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(file.read_bytes())
                except OSError:
                    continue

    subprocess.run(["git", "init", "-q", str(clone)], check=True)
    subprocess.run(["git", "-C", str(clone), "commit", "-q", "--allow-empty", "-m", "one"], check=True)
    with (clone / ".git" / "config").open("a") as config:  # not on a command line of ours either
        config.write(f'[remote "origin"]\n\turl = {server.repository_url.replace("://", f"://{user}@")}\n')
    threading.Thread(target=look, daemon=True).start()
    git = GitRemote(clone, "origin", token=TOKEN, timeout_s=20, learn=learn)
    try:
        assert git.git("push", "-q", "origin", "HEAD:refs/heads/main").code == 0
        assert list(git.refs("refs/heads/main")) == ["refs/heads/main"]
        server.fault(Fault(kind="status", status=403, body=f"no: {TOKEN}".encode(), headers={"Content-Type": "text/plain"}))
        with pytest.raises(PromoteError) as denied:
            git.refs("refs/heads/main")
    finally:
        over.set()
        server.stop()
    assert not [line for line in seen if TOKEN.encode() in line]
    assert any(b"git-remote-http" in line or b"remote-http" in line for line in seen), "it was looked at the right moment"
    if ":" in user:
        assert "no: ***" in Redactor().text(str(denied.value))
