"""A real bare repository over HTTP: `git http-backend` behind a token. The git in it is git's own; only a rule's refusal is in GitHub's words."""

from __future__ import annotations

import base64
import contextlib
import gzip
import os
import signal
import subprocess
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Protocol

from promote.sandbox.http_server import Request, Response, World

# A push that breaks a rule is refused as a whole; the words are those of GitHub's rulesets. A line: a pattern, and who may pass it by.
HOOK, RULE = b"pre-receive hook declined", b"push declined due to repository rule violations"
_RULE_HOOK = """#!/bin/sh
[ -f protected ] || exit 0
while read -r old new ref; do
  while read -r pattern free; do
    [ -n "$free" ] && [ "$free" = "$REMOTE_USER" ] && continue
    case "$ref" in $pattern)
      printf 'error: GH013: Repository rule violations found for %s.\\n\\n- Cannot update this protected ref.\\n\\n' "$ref" >&2
      exit 1;;
    esac
  done < protected
done
"""
# receivepack: else only an authenticated user may push. gc: it would start in the background in the middle of a test.
_SETTINGS = {"http.receivepack": "true", "receive.autogc": "false", "gc.auto": "0", "core.logAllRefUpdates": "false"}
REALM = {"WWW-Authenticate": 'Basic realm="GitHub"'}  # without it git does not ask its credential helpers


class AnyRemote(Protocol):
    """What the rest of the sandbox needs of its git remote: the embedded one below, or a repository of a real forge (real/gitea.py)."""

    path: Path
    after_push: list[Callable[[], None]]
    stopping: threading.Event
    errors: list[str]

    @property
    def url(self) -> str: ...

    @property
    def repository_url(self) -> str: ...

    @property
    def token(self) -> str:
        """The password of a user who may push."""

    def create(self) -> None: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def protect(self, *patterns: str) -> None: ...


class GitServer(World):
    """Serves `path` at URL/SLUG.git. Writing needs one of `tokens` (as the password, or as a bearer); one of `read_only` is answered 403.

    `users` maps a token to its user, for a rule that exempts some users (default: ada). `private` asks for a token for reading too. `after_push` are
    called after every request that may have changed refs.
    """

    def __init__(
        self, path: Path, slug: str, *, tokens: tuple[str, ...] = ("sandbox-token",), read_only: tuple[str, ...] = (), private: bool = False
    ) -> None:
        super().__init__("git")
        self.path, self.slug, self.tokens, self.read_only, self.private = path, slug, tokens, read_only, private
        self.users: dict[str, str] = {}
        self.after_push: list[Callable[[], None]] = []
        self._backend = Path(_git("--exec-path")) / "git-http-backend"
        self._children: set[subprocess.Popen[bytes]] = set()
        self._guard = threading.Lock()

    def create(self) -> None:
        """Make the bare repository."""
        _git("init", "--quiet", "--bare", "-b", "main", str(self.path))
        with (self.path / "config").open("a") as config:
            config.writelines(f"[{name.partition('.')[0]}]\n\t{name.partition('.')[2]} = {value}\n" for name, value in _SETTINGS.items())
        hook = self.path / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(_RULE_HOOK)
        hook.chmod(0o755)

    @property
    def repository_url(self) -> str:
        return f"{self.url}/{self.slug}.git"

    @property
    def token(self) -> str:
        return self.tokens[0]

    def protect(self, *patterns: str, free: str = "") -> None:
        """Refuse pushes to refs that match these shell patterns, as a rule set would, but to the user `free`; none lifts it."""
        (self.path / "protected").write_text("".join(f"{p} {free}\n" for p in patterns))

    def stop(self) -> None:
        self.stopping.set()
        with self._guard:
            for child in self._children:
                _kill(child)
        super().stop()

    def handle(self, request: Request) -> Response:
        prefix = f"/{self.slug}.git"
        if not request.path.startswith(f"{prefix}/"):
            return Response(status=404, body=b"Repository not found.\n")
        writes = "git-receive-pack" in (request.query.get("service", ""), request.path.rpartition("/")[2])
        if refusal := self._refused(request, writes=writes):
            return refusal
        response = self._cgi(request, request.path.removeprefix(prefix))
        if writes and request.method == "POST":
            return self._pushed(response)
        return response

    def _refused(self, request: Request, *, writes: bool) -> Response | None:
        if not writes and not self.private:
            return None
        token = _password(request)
        if token in self.tokens or (token in self.read_only and not writes):
            return None
        if token in self.read_only:
            return Response(status=403, body=f"Permission to {self.slug}.git denied to ada.\n".encode())
        return Response(status=401, body=b"Invalid username or token.\n", headers=dict(REALM))

    def _pushed(self, response: Response) -> Response:
        """The whole answer to a push (it is small), after which the refs are what they are."""
        body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
        for tell in tuple(self.after_push):
            tell()
        return Response(status=response.status, headers=response.headers, body=in_githubs_words(body))

    def _cgi(self, request: Request, path_info: str) -> Response:
        try:
            body = gzip.decompress(request.body) if request.headers.get("content-encoding") in ("gzip", "x-gzip") else request.body
        except (OSError, EOFError, zlib.error):
            return Response(status=400, body=b"the body is not gzip\n")
        with tempfile.TemporaryFile() as stdin:  # not a pipe: git may answer before it has read everything
            stdin.write(body)
            stdin.seek(0)
            child = self._start(request, path_info, len(body), stdin)
        assert child.stdout
        status, headers = 200, {}
        while (line := child.stdout.readline().rstrip(b"\r\n")) != b"":
            name, _, value = line.decode().partition(": ")
            if name == "Status":
                status = int(value.split()[0])
            else:
                headers[name] = value
        return Response(status=status, headers=headers, body=_Output(child, self._collect))

    def _start(self, request: Request, path_info: str, length: int, stdin: IO[bytes]) -> subprocess.Popen[bytes]:
        env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "GIT_PROJECT_ROOT": str(self.path),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": request.headers.get("git-protocol") or "",
            "PATH_INFO": path_info,
            "QUERY_STRING": request.raw_query,
            "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": request.headers.get("content-type") or "",
            "CONTENT_LENGTH": str(length),
            "REMOTE_USER": self.users.get(_password(request), "ada"),
            "REMOTE_ADDR": "127.0.0.1",
            "HOME": str(self.path),
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        with self._guard:
            # A session of its own, so that _kill also ends the git processes that the backend starts.
            child = subprocess.Popen(
                [str(self._backend)], env=env, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
            )
            self._children.add(child)
        if self.stopping.is_set():
            _kill(child)
        return child

    def _collect(self, child: subprocess.Popen[bytes]) -> None:
        """The child never outlives its reader by more than the moment in which a push that was taken lands."""
        assert child.stdout
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(5)
        _kill(child)
        child.stdout.close()
        child.wait()
        with self._guard:
            self._children.discard(child)


class _Output:
    """A child's output as it comes; at its end, or on `close`, the child is collected.

    Not a generator: a generator that was never started (the client left before the first byte) never reaches its `finally`.
    """

    def __init__(self, child: subprocess.Popen[bytes], collect: Callable[[subprocess.Popen[bytes]], None]) -> None:
        self._child, self._collect, self._over = child, collect, False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = b"" if self._over else self._child.stdout.read1(65536)  # type: ignore[union-attr]
        if not chunk:
            self.close()
            raise StopIteration
        return chunk

    def close(self) -> None:
        if not self._over:
            self._over = True
            self._collect(self._child)


def _kill(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def _password(request: Request) -> str:
    kind, _, value = (request.headers.get("authorization") or "").partition(" ")
    if kind.lower() == "basic":
        with contextlib.suppress(ValueError):
            return base64.b64decode(value).decode().partition(":")[2]
    return value if kind.lower() in ("bearer", "token") else ""


def _git(*args: str) -> str:
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    return subprocess.run(["git", *args], check=True, capture_output=True, text=True, env=env).stdout.strip()


def in_githubs_words(answer: bytes) -> bytes:
    """The answer to a push, with the reason of a refused ref as GitHub's rulesets give it; any other answer as it is.

    The reason stands in pkt-lines inside the pkt-lines of side band 1, so both lengths change.
    """
    if HOOK not in answer:
        return answer
    inner, outer = b"", b""
    for line in packets(answer):
        if line[:1] == b"\x01":
            inner += line[1:]
        elif line:
            outer += packet(line)
    report = b"".join(packet(line.replace(HOOK, RULE)) if line else b"0000" for line in packets(inner))
    return outer + packet(b"\x01" + report) + b"0000"


def packets(data: bytes) -> Iterator[bytes]:
    """The payloads of a run of pkt-lines (gitprotocol-common); b"" for a flush."""
    at = 0
    while at + 4 <= len(data):
        length = int(data[at : at + 4], 16)
        yield data[at + 4 : at + length] if length else b""
        at += length or 4


def packet(payload: bytes) -> bytes:
    """One pkt-line."""
    return b"%04x%s" % (len(payload) + 4, payload)
