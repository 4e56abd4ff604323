"""One race: a repository and applications of its own on the real stack, the moment that is raced, and what production must then hold.

The truth is read from the live objects, never from an Application's status: that is what the judges go by.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from promote.argocd.application import Application, parse_application
from promote.sandbox.real.charts import Charts
from tests.contract.api import ARGO, Api, Object, synced
from tests.contract.place import Place, dump
from tests.contract.worlds import Repository

TAG = "stable"
LABEL = "race"


@dataclass(frozen=True, kw_only=True, slots=True)
class Want:
    """One fact about production: the object at `path` (None when it is not there) passes `test`."""

    words: str
    path: str
    test: Callable[[Object | None], bool]

    def holds(self, api: Api) -> bool:
        status, found = api.call("GET", self.path)
        return self.test(found if status == 200 else None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Race:
    """`move` is the raced change. `target` is the commit production must be at; `accepted` every id that may stand for it.

    `stir` is done once a second while the end is watched: it must stay so when Argo CD looks again.
    `before` and `t_before`: production before the promotion, where the race is the rollback of one.
    """

    target: str
    move: Callable[[], object]
    wants: Sequence[Want]
    accepted: tuple[str, ...] = ()
    root: str = ""
    rollback: bool = False
    stir: Callable[[], object] | None = None
    before: Mapping[str, Application] | None = None
    t_before: datetime | None = None


@dataclass
class Scene:
    """What a situation is made with."""

    api: Api
    place: Place
    charts: Charts
    word: str = field(default_factory=lambda: f"r{uuid.uuid4().hex[:8]}")
    others: list[threading.Thread] = field(default_factory=list)

    @property
    def repo(self) -> Repository:
        return self.place.repo

    @property
    def labels(self) -> Object:
        return {LABEL: self.word}

    @property
    def selector(self) -> str:
        return f"{LABEL}={self.word}"

    def app(self, word: str = "app", target: str = TAG, path: str = "app", **spec: Any) -> str:
        return self.place.app(word, target, path, labels=self.labels, **spec)

    def commit(self, files: Mapping[str, bytes | None]) -> str:
        return self.repo.commit(dict(files))

    def move(self, commit: str) -> None:
        self.repo.tag(TAG, commit)

    def deployed(self, files: Mapping[str, bytes], **spec: Any) -> str:
        """An application at rest on a commit with these files; the commit."""
        commit = self.commit(dict(files))
        self.move(commit)
        name = self.app(**spec)
        self.api.wait(name, synced(commit))
        return commit

    def child(self, word: str, path: str, **spec: Any) -> bytes:
        """The manifest of an application that a root creates."""
        return dump(self.place.manifest(word, TAG, path, labels=self.labels, **spec))

    def rooted(self, files: Mapping[str, bytes], children: Sequence[str], **spec: Any) -> tuple[str, str]:
        """A root over the manifests in root/, and its children, at rest: (its name, the commit)."""
        commit = self.commit(dict(files))
        self.move(commit)
        destination = {"server": "https://kubernetes.default.svc", "namespace": "argocd"}
        root = self.app("root", path="root", destination=destination, **spec)
        self.api.wait(root, synced(commit))
        for word in children:
            self.api.wait(self.place.track(word), at_rest)
        return root, commit

    def snapshot(self) -> tuple[Mapping[str, Application], datetime]:
        """The applications as the driver's baseline has them, and when that was."""
        found = map(parse_application, self.api.items(f"{ARGO}/applications", labelSelector=self.selector))
        return {a.key: a for a in found}, datetime.now(UTC)

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Another user does something that much later; `settle` waits for it."""

        def run() -> None:
            time.sleep(seconds)
            act()

        thread = threading.Thread(target=run, daemon=True)
        self.others.append(thread)
        thread.start()

    def settle(self) -> None:
        for thread in self.others:
            thread.join()

    def refresh(self, *words: str) -> None:
        for word in words:
            self.api.patch(f"{ARGO}/applications/{self.place.name(word)}", {"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}})

    def data(self, name: str = "settings", **data: str) -> Want:
        """A ConfigMap with exactly this data."""
        shown = ", ".join(f"{k}={v}" for k, v in data.items())
        return Want(words=f"{name}: {shown}", path=self._path("/api/v1", "configmaps", name), test=lambda o: o is not None and o.get("data") == data)

    def gone(self, name: str, namespace: str = "") -> Want:
        """A ConfigMap that must not be there (any more)."""
        path = f"/api/v1/namespaces/{namespace or self.place.namespace}/configmaps/{name}"
        return Want(words=f"no {name}", path=path, test=lambda o: o is None)

    def dropped(self, word: str) -> Want:
        """An application that must not be there any more."""
        return Want(words=f"no application {word}", path=f"{ARGO}/applications/{self.place.name(word)}", test=lambda o: o is None)

    def serves(self, image: str, name: str = "web") -> Want:
        """A Deployment whose every pod runs this image and is ready."""
        return Want(
            words=f"{name} runs {image}",
            path=self._path("/apis/apps/v1", "deployments", name),
            test=lambda o: o is not None and _rolled_out(o, image),
        )

    def takes(self, service: str) -> Want:
        """A Service that is there."""
        return Want(words=f"Service {service}", path=self._path("/api/v1", "services", service), test=lambda o: o is not None)

    def _path(self, group: str, kind: str, name: str) -> str:
        return f"{group}/namespaces/{self.place.namespace}/{kind}/{name}"


def at_rest(app: Object) -> bool:
    """Synced and Healthy, no operation, looked at since the last one ended."""
    status = app.get("status") or {}
    ended = (status.get("operationState") or {}).get("finishedAt", "")
    well = (status.get("sync") or {}).get("status") == "Synced" and (status.get("health") or {}).get("status") == "Healthy"
    return well and app.get("operation") is None and status.get("reconciledAt", "") >= ended


def _rolled_out(live: Object, image: str) -> bool:
    spec, status = live["spec"], live.get("status") or {}
    wanted, meta = spec.get("replicas", 1), live["metadata"]
    counts = {status.get(k, 0) for k in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")}
    return (
        spec["template"]["spec"]["containers"][0]["image"] == image and status.get("observedGeneration") == meta["generation"] and counts == {wanted}
    )


def waits_for_retry(app: Object) -> bool:
    state = (app.get("status") or {}).get("operationState") or {}
    return bool(app.get("operation") is not None and state.get("phase") == "Running" and state.get("finishedAt"))
