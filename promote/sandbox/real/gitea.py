"""A real forge on loopback: Gitea with accounts, tokens and repositories, each of which can stand in the place of the embedded git server."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from promote.sandbox.real.gitea_server import ADMIN, NEEDED
from promote.sandbox.real.guarded import Guarded
from promote.sandbox.real.processes import free_ports
from promote.sandbox.real.programs import new_token

WRITE, READ = ("write:repository",), ("read:repository",)
WATCH_S = 0.01
# A hook beside Gitea's own: a push does not end before its watcher has seen it (or half a minute is over).
_TELL = """#!/bin/sh
seen="{folder}/$$"
: > "$seen" || exit 0
n=0
while [ -e "$seen" ] && [ $n -lt 1500 ]; do n=$((n + 1)); sleep 0.02; done
"""


class GiteaError(Exception):
    """Gitea's API refused a request; the message contains its answer."""


class Gitea(Guarded):
    """One Gitea with an administrator who owns every repository. `start`, then `account` and `repository`."""

    build = "just real-stack --with-gitea"

    def __init__(self, binaries: Path) -> None:
        super().__init__("gitea", "gitea", binaries)
        self.url, self._token = "", ""
        self._passwords: dict[str, str] = {}

    def lacking(self) -> list[str]:
        return [name for name in NEEDED if not (self.binaries / name).exists()]

    def wait(self) -> dict[str, Any]:
        ready = super().wait()
        self.url = ready["url"]
        self._token = json.loads((self.folder / "admin.json").read_text())["token"]
        return ready

    def api(self, method: str, path: str, body: Mapping[str, object] | None = None, login: tuple[str, str] | None = None) -> Any:
        """One call as the administrator, or as an account with its password. Returns the JSON answer; raises GiteaError."""
        authorization = f"Basic {base64.b64encode(':'.join(login).encode()).decode()}" if login else f"token {self._token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.url}/api/v1{path}", data, {"Authorization": authorization, "Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                raise GiteaError(f"{method} {path}: {error.code} {error.read()[:300].decode(errors='replace')}") from error

    def account(self, name: str) -> None:
        """A new one, without a right to anything private."""
        self._passwords[name] = new_token()
        who = {"username": name, "email": f"{name}@acme.example", "password": self._passwords[name], "must_change_password": False}
        self.api("POST", "/admin/users", who)

    def token(self, name: str, scopes: Sequence[str] = WRITE) -> str:
        """A new access token of an account, limited to `scopes` and the account's own rights."""
        body = {"name": new_token(), "scopes": list(scopes)}
        made = self.api("POST", f"/users/{name}/tokens", body, login=(name, self._passwords[name]))
        return str(made["sha1"])

    def repository(self, name: str, *, writers: Sequence[str] = (), readers: Sequence[str] = (), private: bool = True) -> Repository:
        """An empty one; the first writer's token is the one that its sandbox uses."""
        self.api("POST", f"/admin/users/{ADMIN}/repos", {"name": name, "private": private, "default_branch": "main"})
        for permission, names in (("write", writers), ("read", readers)):
            for who in names:
                self.api("PUT", f"/repos/{ADMIN}/{name}/collaborators/{who}", {"permission": permission})
        return Repository(self, name, self.token(writers[0]) if writers else "")

    @contextlib.contextmanager
    def disturbed(self) -> Any:
        """Within the block git's hooks cannot reach the server, as during a restart, so they cannot check whether a push is allowed."""
        config = self.folder / "app.ini"
        text, (unused,) = config.read_text(), free_ports(1)
        port = self.ports["gitea"]
        config.write_text(text.replace(f"LOCAL_ROOT_URL = http://127.0.0.1:{port}/", f"LOCAL_ROOT_URL = http://127.0.0.1:{unused}/"))
        try:
            yield
        finally:
            config.write_text(text)


class Repository:
    """One repository of a Gitea. Its surface is that of the embedded git server (git_server.py)."""

    def __init__(self, forge: Gitea, name: str, token: str) -> None:
        self.forge, self.name, self.token = forge, name, token
        self.path = forge.folder / "repositories" / ADMIN / f"{name}.git"
        self.after_push: list[Callable[[], None]] = []
        self.stopping = threading.Event()
        self.errors: list[str] = []
        self._seen = forge.folder / f"seen-{name}"
        self._watch = threading.Thread(target=self._listen, name=f"gitea-{name}", daemon=True)

    @property
    def url(self) -> str:
        return self.forge.url

    @property
    def repository_url(self) -> str:
        return f"{self.forge.url}/{ADMIN}/{self.name}.git"

    def create(self) -> None:
        """It is there already: let pushes be seen."""
        self._seen.mkdir()
        hook = self.path / "hooks" / "post-receive.d" / "seen"
        hook.write_text(_TELL.format(folder=self._seen))
        hook.chmod(0o755)

    def start(self) -> None:
        self._watch.start()

    def stop(self) -> None:
        self.stopping.set()
        if self._watch.is_alive():
            self._watch.join(10)

    def _listen(self) -> None:
        while not self.stopping.wait(WATCH_S):
            for push in sorted(self._seen.iterdir()):
                try:
                    for tell in tuple(self.after_push):
                        tell()
                except Exception as error:  # a test asks for these at its end
                    self.errors.append(repr(error))
                push.unlink(missing_ok=True)

    def protect(self, *patterns: str, allow: Sequence[str] = ()) -> None:
        """Gitea's own protection of these refs (full names; shell patterns for tags) against all but the administrator and who is allowed to.

        None lifts it.
        """
        for kind, key in (("tag_protections", "id"), ("branch_protections", "rule_name")):
            for rule in self._api("GET", f"/{kind}"):
                self._api("DELETE", f"/{kind}/{rule[key]}")
        for pattern in patterns:
            if pattern.startswith("refs/tags/"):
                self._api("POST", "/tag_protections", {"name_pattern": pattern.removeprefix("refs/tags/"), "whitelist_usernames": [ADMIN, *allow]})
            else:
                self._api("POST", "/branch_protections", {"rule_name": pattern.removeprefix("refs/heads/"), "enable_push": False})

    def _api(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        return self.forge.api(method, f"/repos/{ADMIN}/{self.name}{path}", body)
