"""One situation of the field on the shared real stack: a repository, a namespace and a driver with the documented rights of its own.

One after another: an application that follows a tag named prod-stable of another repository is undetermined until that repository is declared
foreign, so each situation removes its applications.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from promote.sandbox.git.server import GitServer
from promote.sandbox.git.writer import GitWriter
from promote.sandbox.seed import Commit
from tests.contract.api import Api, Object, until
from tests.contract.place import AUTOMATED, deployment, dump
from tests.realstack.driver import tool_files
from tests.realstack.seen import Seen

TOKEN = "field-token"
REST_S, PROMOTE_S = 90.0, 400.0
PROJECTS = "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects"
MERGE = "application/merge-patch+json"
PLURALS = {"Application": "applications", "ApplicationSet": "applicationsets", "AppProject": "appprojects"}


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended: exit code, its JSON document, its progress on stderr."""

    code: int
    document: dict[str, Any]
    progress: str

    @property
    def outcome(self) -> str:
        return str(self.document.get("outcome"))

    @property
    def text(self) -> str:
        """Everything it said, for assertions about names and for the message of a failed one."""
        return json.dumps(self.document) + self.progress

    def check(self, name: str) -> dict[str, Any]:
        """The last result of one check."""
        return next(c for c in reversed(self.document["checks"]) if c["id"] == name)


@dataclass
class Situation:
    """`namespace` holds what its applications deploy. `front` is its application without faults, which the smoke test asks."""

    api: Api
    name: str
    folder: Path
    git: GitServer
    writer: GitWriter
    env: dict[str, str]
    smoke_base: str
    made: list[tuple[str, str, str]] = field(default_factory=list)
    root: str = ""

    @property
    def namespace(self) -> str:
        return f"field-{self.name}"

    @property
    def url(self) -> str:
        return self.git.repository_url

    @property
    def front(self) -> str:
        return f"front-{self.name}"

    def named(self, word: str) -> str:
        """An application's name that no other situation has."""
        return f"{word}-{self.name}"

    @property
    def seen(self) -> Seen:
        return Seen(url=self.url, env=self.env, api=self.api)

    def app(self, word: str, path: str = "", *, target: str = "prod-stable", home: str = "argocd", meta: Object | None = None, **spec: Any) -> Object:
        """An Application manifest that follows the tag; `home` is its own namespace."""
        own = {} if {"source", "sources", "sourceHydrator"} & set(spec) else {"source": self.source(path or f"apps/{word}", target)}
        destination = {"server": "https://kubernetes.default.svc", "namespace": self.namespace}
        body = {"project": "default", "destination": destination, "syncPolicy": AUTOMATED, **own, **spec}
        metadata = {"name": self.named(word), "namespace": home, **(meta or {})}
        return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": metadata, "spec": body}

    def source(self, path: str, target: str = "prod-stable") -> Object:
        return {"repoURL": self.url, "targetRevision": target, "path": path}

    def begin(
        self, files: Mapping[str, bytes], *apps: Object, root: str = "", limit: str = "30s", namespaces: str = '["argocd"]', argocd: str = "",
        more: str = "",
    ) -> None:  # fmt: skip
        """The first commit under all tags; `front`, a dev application and `apps` at rest on it. `argocd`, `more`: lines of promotion.toml, the former
        of its table [argocd]."""
        self.root = root
        own = {f"argocd/dev/{self.named('dev')}.yaml": dump(self.app("dev", "apps/front", target="main", destination=_in(f"dev-{self.name}")))}
        if not root:
            own |= {f"argocd/prod/{a['metadata']['name']}.yaml": dump(a) for a in (self.app("front"), *apps)}
        texts = {"MAX_UNHEALTHY": "0.5", "ROOT": root, "PROD": f"namespaces = {namespaces}", "LIMIT": limit, "ARGOCD": argocd}
        texts |= {"SMOKE": f"{self.smoke_base}/{self.front}/", "MORE": f'[manifests]\non_unrendered = "accepted"\n{more}'}
        carried = tool_files(texts) | own | {"apps/front/deployment.yaml": deployment(self.front, image="front:1")} | dict(files)
        tags = ("prod-v1.0.0", "prod-stable", "prod-working")
        self.writer.load([Commit("feat: the fleet", "Ada <ada@acme.example>", "2026-11-01T09:00:00Z", carried, tags)])
        self.create(self.app("dev", "apps/front", target="main", destination=_in(f"dev-{self.name}")))
        if not root:
            self.create(self.app("front"))
        self.create(*apps)
        for made in (self.app("front"), *apps):
            self.rest(made["metadata"]["name"], made["metadata"]["namespace"])

    def create(self, *manifests: Object) -> None:
        for manifest in manifests:
            namespace, plural = manifest["metadata"]["namespace"], PLURALS[manifest["kind"]]
            self.api.create(f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/{plural}", manifest)
            self.made.append((namespace, plural, manifest["metadata"]["name"]))

    def commit(self, files: Mapping[str, bytes | None], message: str = "feat: version 2") -> str:
        """A colleague's commit on the trunk."""
        return self.writer.commit(dict(files), message)

    def status(self, name: str, home: str = "argocd") -> Object:
        return self.api.get(f"/apis/argoproj.io/v1alpha1/namespaces/{home}/applications/{name}")

    def rest(self, name: str, home: str = "argocd", *, sync: str = "Synced", health: str = "Healthy") -> None:
        """Wait until an application shows both."""
        shown: tuple[Any, Any] = (None, None)

        def look() -> bool:
            nonlocal shown
            code, app = self.api.call("GET", f"/apis/argoproj.io/v1alpha1/namespaces/{home}/applications/{name}")
            status = app.get("status") or {} if code == 200 else {}  # the root may still have to create it
            shown = (status.get("sync") or {}).get("status"), (status.get("health") or {}).get("status")
            return shown == (sync, health)

        until(look, lambda: f"{name} is {shown}", seconds=REST_S, pause=0.3)

    def refresh(self, name: str, home: str = "argocd") -> None:
        path = f"/apis/argoproj.io/v1alpha1/namespaces/{home}/applications/{name}"
        self.api.patch(path, {"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}})

    def promote(self, *args: str) -> Ended:
        """A command typed in a fresh clone."""
        clone = self.folder / uuid.uuid4().hex[:8]
        subprocess.run(["git", "clone", "--quiet", self.url, str(clone)], env=self.env, check=True, capture_output=True)
        return self.type(clone, *args)

    def type(self, clone: Path, *args: str) -> Ended:
        argv = ["promote", *args, "--json"]
        done = subprocess.run(argv, cwd=clone, env=self.env, capture_output=True, text=True, check=False, timeout=PROMOTE_S, stdin=subprocess.DEVNULL)
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        return Ended(code=done.returncode, document=json.loads(done.stdout), progress=done.stderr)

    def images(self, namespace: str = "") -> dict[str, str]:
        """Pod name → image, as the API server shows them."""
        pods = self.api.items(f"/api/v1/namespaces/{namespace or self.namespace}/pods")
        return {p["metadata"]["name"]: p["spec"]["containers"][0]["image"] for p in pods}

    def moved(self, version: str) -> bool:
        return f"refs/tags/prod-{version}" in self.seen.refs()

    @contextmanager
    def meanwhile(self, act: Callable[[threading.Event], None]) -> Iterator[None]:
        """Run `act` beside the block; it should end when its event is set. Its failure fails the test."""
        stop, failures = threading.Event(), list[BaseException]()

        def run() -> None:
            try:
                act(stop)
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        if failures:
            raise failures[0]

    def pod_status(self, pod: Object, phase: str, state: Object, *, ready: bool = False) -> None:
        """What a kubelet would write about a pod of one container."""
        container = {"name": "main", "image": pod["spec"]["containers"][0]["image"], "imageID": "", "ready": ready, "restartCount": 0, "state": state}
        conditions = [{"type": kind, "status": str(ready)} for kind in ("Ready", "ContainersReady")]
        path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}/status"
        self.api.patch(path, {"status": {"phase": phase, "conditions": conditions, "containerStatuses": [container]}})

    def clear(self) -> None:
        """Remove what was created, so that other situations meet nothing of it."""
        for namespace, plural, name in reversed(self.made):
            path = f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/{plural}/{name}"
            status, app = self.api.call("GET", path)
            if status != 200:
                continue
            if app.get("operation"):
                self.api.call("PATCH", path, {"status": {"operationState": {"phase": "Terminating"}}}, content=MERGE)
            self.api.call("PATCH", path, {"metadata": {"finalizers": None}}, content=MERGE)
            self.api.call("DELETE", path)
        for namespace in (self.namespace, f"dev-{self.name}"):
            self.api.call("DELETE", f"/api/v1/namespaces/{namespace}")


def now() -> str:
    """The time as Kubernetes writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _in(namespace: str) -> Object:
    return {"server": "https://kubernetes.default.svc", "namespace": namespace}
