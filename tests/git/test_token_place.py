"""Which host gets the forge's token, asked by git itself over HTTP."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from promote.core.errors import PromoteError
from promote.git.process import token_place
from promote.git.remote import GitRemote
from tests.support.repos import git

TOKEN = "ghp_of_the_remotes_own_host_alone00000000"


class Host:
    """A host that asks for credentials, or redirects every request to `to`. `given` are the passwords that it received."""

    def __init__(self, to: str = "") -> None:
        given = self.given = list[str]()

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None: ...

            def do_GET(self) -> None:
                if to:
                    self.send_response(301)
                    self.send_header("Location", to + self.path)
                    self.end_headers()
                    return
                if sent := self.headers.get("Authorization"):
                    given.append(base64.b64decode(sent.split()[1]).decode().partition(":")[2])
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="x"')
                self.end_headers()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def port(self) -> int:
        return self.server.server_address[1]


@contextmanager
def serving(host: Host) -> Iterator[Host]:
    thread = threading.Thread(target=host.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield host
    finally:
        host.server.shutdown()
        host.server.server_close()


def ask(folder: Path, url: str) -> None:
    git(folder, "init", "-q", ".")
    git(folder, "remote", "add", "origin", url)
    with pytest.raises(PromoteError):
        GitRemote(folder, "origin", token=TOKEN).refs("refs/heads/main")


def test_the_remotes_own_host_gets_it(tmp_path: Path) -> None:
    with serving(Host()) as own:
        ask(tmp_path, f"http://127.0.0.1:{own.port}/acme/gitops.git")
    assert TOKEN in own.given


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_host_that_an_answer_redirects_to_gets_none(tmp_path: Path, name: str) -> None:
    with serving(Host()) as other, serving(Host(to=f"http://{name}:{other.port}")) as own:
        ask(tmp_path, f"http://127.0.0.1:{own.port}/acme/gitops.git")
    assert not other.given


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://forge.example/acme/gitops.git", "forge.example"),
        ("https://ada@forge.example:8443/acme/gitops.git", "forge.example:8443"),
        ("git@forge.example:acme/gitops.git", None),
        ("ssh://git@forge.example/acme/gitops.git", None),
        ("/srv/gitops.git", None),
    ],
)
def test_only_an_http_remote_has_a_place_for_it(url: str, host: str | None) -> None:
    assert token_place(url).get("PROMOTE_GIT_HOST") == host
