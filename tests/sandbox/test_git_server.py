"""The embedded git server, by real git: who may read and write, the answer of a rule, lost answers, and leftovers when it stops."""

from __future__ import annotations

import gzip
import http.client
import os
import socket
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from promote.sandbox.git.server import HOOK, RULE, GitServer, in_githubs_words, packet, packets
from promote.sandbox.http_server import Fault, Request, Response, World
from tests.support.repos import git as plain_git

SLUG, RW, RO = "acme/gitops", "rw-token", "ro-token"
PACK = "git-receive-pack$"


def until(condition: Callable[[], object], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def child_commands() -> list[str]:
    """What runs now as a descendant of this process and serves git."""
    seen = subprocess.run(["ps", "-A", "-o", "args="], capture_output=True, text=True, check=True).stdout
    return [line for line in seen.splitlines() if "git-http-backend" in line or "git receive-pack" in line or "upload-pack" in line]


def own_children() -> set[str]:
    """The processes that this one started and has not collected."""
    return {pid for task in Path("/proc/self/task").glob("*/children") for pid in task.read_text().split()}


class Remote:
    """A server with one commit on main, a clone of it, and git as a user calls it."""

    def __init__(self, folder: Path, *, private: bool = False) -> None:
        self.folder = folder
        self.server = GitServer(folder / "remote.git", SLUG, tokens=(RW,), read_only=(RO,), private=private)
        self.server.create()
        self.server.start()
        self.clone = folder / "clone"
        plain_git(folder, "init", "-q", "-b", "main", str(self.clone))
        plain_git(self.clone, "commit", "-q", "--allow-empty", "-m", "first")
        assert self.git("push", "-q", self.url(RW), "main").returncode == 0

    def url(self, token: str = "", user: str = "x-access-token") -> str:
        return self.server.repository_url.replace("://", f"://{user}:{token}@") if token else self.server.repository_url

    def git(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        safe = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
        return subprocess.run(["git", *args], cwd=self.clone, env=clean | safe | env, capture_output=True, text=True, check=False, timeout=60)

    def push(self, *args: str, token: str = RW) -> subprocess.CompletedProcess[str]:
        return self.git("push", "--porcelain", *args[:-1], self.url(token), args[-1])

    def holds(self, ref: str) -> str:
        done = subprocess.run(["git", "-C", str(self.server.path), "rev-parse", "--verify", "-q", ref], capture_output=True, text=True, check=False)
        return done.stdout.strip()


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Remote]:
    it = Remote(tmp_path)
    yield it
    it.server.stop()
    assert it.server.errors == []


class TestTokens:
    @pytest.mark.parametrize("user", ["x-access-token", "ada"])
    def test_any_user_with_the_token_writes(self, remote: Remote, user: str) -> None:
        assert remote.git("push", remote.url(RW, user), "main:refs/heads/x").returncode == 0
        assert remote.holds("refs/heads/x") == remote.holds("refs/heads/main")

    def test_a_wrong_one_fails_to_authenticate(self, remote: Remote) -> None:
        done = remote.push("main:refs/heads/x", token="wrong")
        assert done.returncode != 0 and "Authentication failed" in done.stderr
        assert remote.holds("refs/heads/x") == ""

    def test_none_is_asked_for(self, remote: Remote) -> None:
        assert "could not read Username" in remote.git("push", remote.url(), "main:refs/heads/x").stderr

    def test_a_read_only_one_is_refused_for_good(self, remote: Remote) -> None:
        done = remote.push("main:refs/heads/x", token=RO)
        assert done.returncode != 0 and "403" in done.stderr
        assert remote.git("ls-remote", remote.url(RO)).returncode == 0

    def test_reading_is_free_unless_the_repository_is_private(self, remote: Remote, tmp_path: Path) -> None:
        assert remote.git("ls-remote", remote.url()).returncode == 0
        (tmp_path / "second").mkdir()
        private = Remote(tmp_path / "second", private=True)
        try:
            asked = [private.git("ls-remote", private.url(token)).returncode == 0 for token in ("", "wrong", RO, RW)]
        finally:
            private.server.stop()
        assert asked == [False, False, True, True]

    def test_another_repository_is_not_there(self, remote: Remote) -> None:
        assert "not found" in remote.git("ls-remote", remote.url().replace("gitops", "gitops2")).stderr


class TestRules:
    def test_answer_in_githubs_words(self, remote: Remote) -> None:
        remote.server.protect("refs/tags/prod-*")
        plain_git(remote.clone, "tag", "-a", "prod-stable", "-m", "x")
        done = remote.push("refs/tags/prod-stable")
        assert done.returncode != 0
        assert "remote: error: GH013: Repository rule violations found for refs/tags/prod-stable." in done.stderr
        assert "[remote rejected] (push declined due to repository rule violations)" in done.stdout
        assert remote.holds("refs/tags/prod-stable") == ""

    def test_take_the_other_refs_of_the_push_along(self, remote: Remote) -> None:
        remote.server.protect("refs/tags/prod-*")
        plain_git(remote.clone, "tag", "prod-1")
        done = remote.git("push", "--porcelain", remote.url(RW), "main:refs/heads/free", "refs/tags/prod-1")
        assert done.stdout.count("(push declined due to repository rule violations)") == 2
        assert remote.holds("refs/heads/free") == ""

    def test_can_be_lifted(self, remote: Remote) -> None:
        remote.server.protect("refs/heads/x")
        assert remote.push("main:refs/heads/x").returncode != 0
        remote.server.protect()
        assert remote.push("main:refs/heads/x").returncode == 0

    def test_leave_every_other_answer_as_git_gave_it(self) -> None:
        answer = packet(b"\x01" + packet(b"unpack ok\n") + b"0000") + b"0000"
        assert in_githubs_words(answer) is answer

    def test_are_put_into_packets_of_the_right_length(self) -> None:
        report = packet(b"unpack ok\n") + packet(b"ng refs/heads/x " + HOOK + b"\n") + b"0000"
        answer = packet(b"\x02error: no\n") + packet(b"\x01" + report[:9]) + packet(b"\x01" + report[9:]) + b"0000"
        lines = list(packets(in_githubs_words(answer)))
        assert lines[0] == b"\x02error: no\n" and lines[-1] == b""
        assert list(packets(lines[1][1:])) == [b"unpack ok\n", b"ng refs/heads/x " + RULE + b"\n", b""]


class TestPushes:
    def test_an_atomic_leased_one_moves_all_or_nothing(self, remote: Remote) -> None:
        old = remote.holds("refs/heads/main")
        plain_git(remote.clone, "commit", "-q", "--allow-empty", "-m", "second")
        new = plain_git(remote.clone, "rev-parse", "HEAD")
        leases = [f"--force-with-lease=refs/heads/main:{old}", f"--force-with-lease=refs/tags/t:{old}"]
        done = remote.git("push", "--porcelain", "--atomic", *leases, remote.url(RW), f"{new}:refs/heads/main", f"{new}:refs/tags/t")
        assert "(stale info)" in done.stdout
        assert (remote.holds("refs/heads/main"), remote.holds("refs/tags/t")) == (old, "")

    def test_a_big_one_comes_in_chunks_and_goes_out_again(self, remote: Remote, tmp_path: Path) -> None:
        (remote.clone / "big").write_bytes(os.urandom(6_000_000))
        plain_git(remote.clone, "add", "-A")
        plain_git(remote.clone, "commit", "-q", "-m", "big")
        assert remote.push("main").returncode == 0
        back = remote.git("clone", "-q", remote.url(), str(tmp_path / "back"))
        assert back.returncode == 0 and (tmp_path / "back" / "big").stat().st_size == 6_000_000

    def test_what_a_client_zipped_is_unzipped(self, remote: Remote) -> None:
        """git zips a fetch's body when it is long; here it is done by hand, so that the test cannot miss it."""
        want = remote.holds("refs/heads/main")
        body = packet(f"want {want}\n".encode()) + b"0000" + packet(b"done\n")
        connection = http.client.HTTPConnection(remote.server.url.removeprefix("http://"), timeout=10)
        headers = {"Content-Type": "application/x-git-upload-pack-request", "Content-Encoding": "gzip"}
        connection.request("POST", f"/{SLUG}.git/git-upload-pack", gzip.compress(body), headers)
        assert b"PACK" in connection.getresponse().read()
        connection.close()

    def test_git_speaks_its_second_protocol(self, remote: Remote) -> None:
        assert "version 2" in remote.git("ls-remote", remote.url(), GIT_TRACE_PACKET="1").stderr

    def test_a_callback_runs_before_the_answer(self, remote: Remote) -> None:
        seen: list[str] = []
        remote.server.after_push.append(lambda: seen.append(remote.holds("refs/heads/x")))
        remote.push("main:refs/heads/x")
        assert seen == [remote.holds("refs/heads/main")]


class TestFaults:
    def test_a_push_whose_answer_is_lost_has_landed(self, remote: Remote) -> None:
        remote.server.fault(Fault(kind="drop_after", path=PACK, method="POST", times=1))
        assert remote.push("main:refs/heads/x").returncode != 0
        assert remote.holds("refs/heads/x") != ""

    @pytest.mark.parametrize("kind", ["drop_before", "refuse", "status"])
    def test_a_push_that_never_got_there_has_not(self, remote: Remote, kind: str) -> None:
        remote.server.fault(Fault(kind=kind, path=PACK, method="POST"))  # type: ignore[arg-type]
        assert remote.push("main:refs/heads/x").returncode != 0
        assert remote.holds("refs/heads/x") == ""

    def test_git_itself_sends_again_what_a_kept_alive_connection_lost(self, remote: Remote) -> None:
        """libcurl does, where not a byte was answered: a lost answer then reads like a refusal, though the push landed."""
        posts = len([r for r in remote.server.requests if r[0] == "POST"])
        remote.server.fault(Fault(kind="drop_after", path=PACK, method="POST", times=1))
        done = remote.push("main:refs/heads/x")
        assert len([r for r in remote.server.requests if r[0] == "POST"]) == posts + 2
        assert "[remote rejected]" in done.stdout
        assert remote.holds("refs/heads/x") == remote.holds("refs/heads/main")

    @pytest.mark.parametrize(("header", "sent"), [("Transfer-Encoding: chunked", b"10\r\n0000"), ("Content-Length: 16", b"0000")])
    def test_half_a_push_is_none(self, remote: Remote, header: str, sent: bytes) -> None:
        """A client that is killed while it sends."""
        before, port = list(remote.server.requests), int(remote.server.url.rpartition(":")[2])
        login = "Basic " + b64encode(f"x:{RW}".encode()).decode()
        head = f"POST /{SLUG}.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nAuthorization: {login}\r\n{header}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(head.encode() + sent)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1000) == b""
        assert remote.server.requests == before


class Words(World):
    """Answers in one piece, or in two."""

    def handle(self, request: Request) -> Response:
        return Response(body=iter([b"he", b"llo"]) if request.path == "/stream" else b"hello")


class TestHttp:
    @pytest.mark.parametrize("path", ["/", "/stream"])
    def test_a_dripping_answer_is_whole_in_the_end(self, path: str) -> None:
        with Words("words") as world:
            world.fault(Fault(kind="drip", times=1))
            with requests.get(world.url + path, stream=True, timeout=10) as answer:
                assert list(answer.raw.stream(1)) == [b"h", b"e", b"l", b"l", b"o"]

    def test_the_head_of_an_answer_has_its_length_and_no_body(self) -> None:
        with Words("words") as world, requests.Session() as session:
            assert session.head(world.url, timeout=5).headers["Content-Length"] == "5"
            assert session.get(world.url, timeout=5).text == "hello", "the connection is still in step"


class TestStop:
    def test_ends_a_push_that_hangs_in_a_hook_and_leaves_nothing(self, tmp_path: Path) -> None:
        remote = Remote(tmp_path)
        hook, began = remote.server.path / "hooks" / "pre-receive", tmp_path / "began"
        hook.write_text(f"#!/bin/sh\ntouch {began}\nexec sleep 600\n")
        threads = set(threading.enumerate())
        pushing = threading.Thread(target=remote.push, args=("main:refs/heads/x",))
        pushing.start()
        until(began.exists)
        remote.server.stop()
        pushing.join(20)
        assert not pushing.is_alive()
        until(lambda: set(threading.enumerate()) <= threads)
        until(lambda: not [c for c in child_commands() if str(tmp_path) in c])
        assert remote.holds("refs/heads/x") == ""

    def test_hangs_up_on_connections_that_are_kept_alive(self, tmp_path: Path) -> None:
        remote = Remote(tmp_path)
        connection = http.client.HTTPConnection(remote.server.url.removeprefix("http://"), timeout=10)
        connection.request("GET", "/nothing")
        assert connection.getresponse().read() and connection.sock is not None
        remote.server.stop()
        assert connection.sock.recv(1) == b""
        assert not [t for t in threading.enumerate() if "process_request" in t.name]
        connection.close()

    def test_an_answer_that_no_client_reads_leaves_no_child(self, remote: Remote) -> None:
        path, query = f"/{SLUG}.git/info/refs", "service=git-upload-pack"
        asked = Request(method="GET", path=path, query={"service": "git-upload-pack"}, raw_query=query, headers={}, body=b"")
        before = own_children()
        answer = remote.server.handle(asked)
        assert len(own_children() - before) == 1
        answer.body.close()  # type: ignore[union-attr]
        assert own_children() <= before

    def test_can_be_called_twice_and_before_the_start(self, tmp_path: Path) -> None:
        server = GitServer(tmp_path / "r.git", SLUG)
        server.stop()
        server.start()
        server.stop()
        server.stop()
