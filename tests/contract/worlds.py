"""The two worlds behind one surface. A test gets one of them and cannot know which; all differences between them are in this module."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from promote.sandbox.argocd.sync import Timing
from promote.sandbox.cluster import Cluster
from promote.sandbox.git.server import GitServer
from promote.sandbox.git.writer import GitWriter
from promote.sandbox.http_server import Request, Response
from promote.sandbox.real.charts import Charts
from tests.contract.api import Api
from tests.contract.versions import PINNED, VERSIONS, ArgoCD

USERS = {f"token-{n}": f"user-{n}" for n in range(24)}
ADMIN_TOKEN = "token-admin"
CHART = ("cert-manager", "v1.14.4")


class World(Protocol):
    """What a contract test needs of a world beside its API."""

    api: Api
    argocd: ArgoCD

    def user(self, name: str, token: str | None = None) -> Api:
        """The API as this user; another token than the user's own when one is given."""

    def serve(self, git: GitServer) -> None:
        """Let Argo CD reach this repository."""

    def expire_pages(self) -> None:
        """Make the continue tokens handed out so far too old."""

    def mid_reconcile(self, repo: Repository, name: str) -> AbstractContextManager[Callable[[], None]]:
        """The application's next reconcile stops when it has read the refs, until the end of the block; the block's value waits for that."""


@dataclass
class SandboxWorld:
    cluster: Cluster
    repositories: dict[str, Path]
    api: Api
    argocd: ArgoCD = PINNED

    def user(self, name: str, token: str | None = None) -> Api:
        return Api(self.api.url, token or next(t for t, n in USERS.items() if n == name))

    def serve(self, git: GitServer) -> None:
        self.repositories[git.repository_url] = git.path

    def expire_pages(self) -> None:
        self.cluster.api.expire_continues()

    @contextmanager
    def mid_reconcile(self, repo: Repository, name: str) -> Iterator[Callable[[], None]]:
        gate = self.cluster.controller.hold(name)
        try:
            yield lambda: _reached(gate.reached)
        finally:
            gate.opened.set()


@dataclass
class RealWorld:
    """`etcd` is its client port: compacting its history is what makes a page token too old."""

    api: Api
    tokens: dict[str, str]
    etcd: int
    argocd: ArgoCD

    def user(self, name: str, token: str | None = None) -> Api:
        return Api(self.api.url, token or self.tokens[name], self.api.authority)

    def serve(self, git: GitServer) -> None:
        """The repo-server asks over HTTP like everybody."""

    def expire_pages(self) -> None:
        """Two writes make later revisions; then everything before them is forgotten."""
        for n in range(2):
            self.api.create("/api/v1/namespaces/default/configmaps", {"metadata": {"generateName": f"later-{n}-"}})
        newest = int(self.api.get("/api/v1/namespaces", limit="1")["metadata"]["resourceVersion"])
        self._etcd("/v3/kv/compaction", {"revision": newest, "physical": True})

    @contextmanager
    def mid_reconcile(self, repo: Repository, name: str) -> Iterator[Callable[[], None]]:
        """The repo-server has listed the refs when it fetches: a commit that it has not seen before must be what it fetches."""
        held = repo.git.hold_fetches()
        try:
            yield lambda: _reached(held)
        finally:
            repo.git.release_anyway()

    def _etcd(self, path: str, body: dict[str, object]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.etcd, timeout=30)
        connection.request("POST", path, json.dumps(body))
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        assert answer.status == 200, said


def _reached(event: threading.Event) -> None:
    assert event.wait(30), "no reconcile came that far"


class HeldGit(GitServer):
    """A git server that can keep fetches waiting."""

    _reached: threading.Event | None = None
    _open = threading.Event()

    def hold_fetches(self) -> threading.Event:
        """From now on fetches wait; the event is set when the first does."""
        self._open, self._reached = threading.Event(), threading.Event()
        return self._reached

    def release_anyway(self) -> None:
        self._reached = None
        self._open.set()

    def handle(self, request: Request) -> Response:
        if self._reached and request.method == "POST" and b"want " in request.body:
            self._reached.set()
            self._open.wait(30)
        return super().handle(request)


@contextmanager
def sandbox_world() -> Iterator[SandboxWorld]:
    repositories: dict[str, Path] = {}
    cluster = Cluster("contract", repositories=repositories, timing=Timing(ready_s=0.2, sync_s=0.1, health_lag_s=0.2))
    cluster.api.users = {ADMIN_TOKEN: "admin", **USERS}
    project = {"sourceRepos": ["*"], "destinations": [{"namespace": "*", "server": "*"}], "clusterResourceWhitelist": [{"group": "*", "kind": "*"}]}
    cluster.start()
    cluster.apply({"kind": "AppProject", "metadata": {"name": "default", "namespace": "argocd"}, "spec": project})
    try:
        yield SandboxWorld(cluster, repositories, Api(cluster.url, ADMIN_TOKEN))
    finally:
        cluster.stop()


@contextmanager
def real_world(stack: dict[str, object]) -> Iterator[RealWorld]:
    """`stack` is what the plugin started: url, folder, etcd, argocd (its version, "" for the pinned one)."""
    folder = Path(str(stack["folder"]))
    tokens = json.loads((folder / "users.json").read_text())
    authority = str(folder / "certs" / "apiserver.crt")
    yield RealWorld(Api(str(stack["url"]), tokens["admin"], authority), tokens, int(str(stack["etcd"])), VERSIONS[str(stack["argocd"])])


@dataclass
class Repository:
    """One repository of its own for each test: the cache of refs is one for a repository, so a refresh by another test has no effect here."""

    git: HeldGit
    writer: GitWriter
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.git.repository_url

    def commit(self, files: dict[str, bytes | None] | None = None, message: str = "change") -> str:
        """A commit on main with these changes (None deletes); its id."""
        text = message.encode()
        parts = [b"commit refs/heads/main\nmark :1\n", f"committer Grace <grace@acme.example> {int(time.time())} +0000\n".encode()]
        parts += [b"data %d\n%s\n" % (len(text), text), b"from refs/heads/main^0\n"]
        for path, content in (files or {}).items():
            name = path.encode()
            parts.append(b"D %s\n" % name if content is None else b"M 100644 inline %s\ndata %d\n%s\n" % (name, len(content), content))
        return self.writer.git("fast-import", "--quiet", stdin=b"".join([*parts, b"get-mark :1\n"]))

    def tag(self, name: str, commit: str) -> str:
        """Create or move an annotated tag in one ref update; the tag object."""
        return self.writer.tag(name, commit)

    def nested_tag(self, name: str, commit: str) -> str:
        inner = self.writer.tag(name, commit)
        text = f"object {inner}\ntype tag\ntag {name}\ntagger Ada <ada@acme.example> 1760000001 +0000\n\nagain\n"
        outer = self.writer.git("mktag", stdin=text.encode())
        self.ref(f"refs/tags/{name}", outer)
        return outer

    def ref(self, name: str, value: str) -> None:
        """Set a ref; an empty value deletes it."""
        self.writer.git("update-ref", *(["-d", name] if not value else [name, value]))


@contextmanager
def repository(folder: Path, world: World) -> Iterator[Repository]:
    git = HeldGit(folder / "remote.git", "acme/gitops")
    git.create()
    git.start()
    try:
        writer = GitWriter(git.path)
        tree = writer.git("mktree", stdin=b"")
        writer.git("update-ref", "refs/heads/main", writer.git("commit-tree", tree, "-m", "empty"))
        world.serve(git)
        yield Repository(git, writer)
    finally:
        git.stop()


@contextmanager
def charts() -> Iterator[Charts]:
    with Charts(dict([CHART])) as served:
        assert isinstance(served, Charts)
        yield served
