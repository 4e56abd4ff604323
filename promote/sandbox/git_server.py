"""A real bare repository over HTTP: `git http-backend` behind a token. The git in it is git's own."""

from __future__ import annotations

import base64
import contextlib
import gzip
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from promote.sandbox.http_world import Request, Response, World

_RULE_HOOK = """#!/bin/sh
while read -r old new ref; do
  for pattern in $(cat "$GIT_DIR/protected" 2>/dev/null); do
    case "$ref" in $pattern)
      echo "error: GH013: Repository rule violations found for $ref." >&2
      echo "- Cannot update this protected ref." >&2
      exit 1;;
    esac
  done
done
"""


class GitServer(World):
    """Serves `path` at URL/acme/gitops.git. Reading is free, writing needs a token; a read-only token is refused with 403."""

    def __init__(self, path: Path, slug: str, *, tokens: tuple[str, ...] = ("sandbox-token",), read_only: tuple[str, ...] = ()) -> None:
        super().__init__("git")
        self.path, self.slug, self.tokens, self.read_only = path, slug, tokens, read_only
        self._backend = Path(_git("--exec-path")) / "git-http-backend"

    def create(self) -> None:
        """Make the bare repository."""
        _git("init", "--quiet", "--bare", "-b", "main", str(self.path))
        _git("-C", str(self.path), "config", "http.receivepack", "true")
        hook = self.path / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(_RULE_HOOK)
        hook.chmod(0o755)

    @property
    def repository_url(self) -> str:
        return f"{self.url}/{self.slug}.git"

    def protect(self, *patterns: str) -> None:
        """Refuse pushes to refs that match these shell patterns, as a rule set would."""
        (self.path / "protected").write_text("\n".join(patterns))

    def handle(self, request: Request) -> Response:
        prefix = f"/{self.slug}.git"
        if not request.path.startswith(prefix):
            return Response(status=404, body=b"no such repository\n")
        if "git-receive-pack" in request.path or "git-receive-pack" in request.raw_query:
            token = _password(request)
            if token in self.read_only:
                return Response(status=403, body=b"Permission to write denied\n")
            if token not in self.tokens:
                return Response(status=401, body=b"authentication required\n", headers={"WWW-Authenticate": 'Basic realm="git"'})
        return self._cgi(request, request.path.removeprefix(prefix))

    def _cgi(self, request: Request, path_info: str) -> Response:
        body = gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body
        env = {
            "PATH": os.environ.get("PATH", ""),
            "GIT_PROJECT_ROOT": str(self.path),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": request.headers.get("git-protocol") or "",
            "PATH_INFO": path_info,
            "QUERY_STRING": request.raw_query,
            "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": request.headers.get("content-type") or "",
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_USER": "sandbox",
            "REMOTE_ADDR": "127.0.0.1",
            "HOME": str(self.path),
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        child = subprocess.Popen(
            [str(self._backend)], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
        assert child.stdin and child.stdout
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(body)
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()
        status, headers = 200, {}
        while (line := child.stdout.readline().rstrip(b"\r\n")) != b"":
            name, _, value = line.decode().partition(": ")
            if name == "Status":
                status = int(value.split()[0])
            else:
                headers[name] = value
        return Response(status=status, headers=headers, body=_stream(child))


def _stream(child: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """The child's output as it comes; the child never outlives its reader."""
    assert child.stdout
    try:
        while chunk := child.stdout.read1(65536):  # type: ignore[attr-defined]
            yield chunk
    finally:
        if child.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(5)
        if child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        child.stdout.close()
        child.wait()


def _password(request: Request) -> str:
    kind, _, value = (request.headers.get("authorization") or "").partition(" ")
    if kind.lower() == "basic":
        with contextlib.suppress(ValueError):
            return base64.b64decode(value).decode().partition(":")[2]
    return value if kind.lower() in ("bearer", "token") else ""


def _git(*args: str) -> str:
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    return subprocess.run(["git", *args], check=True, capture_output=True, text=True, env=env).stdout.strip()
