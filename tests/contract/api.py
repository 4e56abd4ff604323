"""The API server as the contract tests speak to it: plain requests and answers, for both worlds the same, nothing of the driver's clients."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests

Object = dict[str, Any]
ARGO = "/apis/argoproj.io/v1alpha1/namespaces/argocd"
REFRESH = "argocd.argoproj.io/refresh"
WAIT_S = 60.0


@dataclass
class Api:
    """One user of one API server. `authority` is the file with the server's certificate, "" for plain HTTP."""

    url: str
    token: str
    authority: str = ""
    session: requests.Session = field(default_factory=requests.Session)

    def call(self, method: str, path: str, body: Any = None, *, content: str = "application/json", **query: str) -> tuple[int, Object]:
        headers = {"Content-Type": content} | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        answer = self.session.request(method, self.url + path, json=body, params=query, headers=headers, verify=self.authority or True, timeout=30)
        try:
            return answer.status_code, answer.json()
        except ValueError:
            return answer.status_code, {"text": answer.text}

    def get(self, path: str, **query: str) -> Object:
        status, body = self.call("GET", path, **query)
        assert status == 200, (path, status, body)
        return body

    def items(self, path: str, **query: str) -> list[Object]:
        return list(self.get(path, **query)["items"])

    def create(self, path: str, body: Object) -> Object:
        status, made = self.call("POST", path, body)
        assert status == 201, (path, status, made)
        return made

    def patch(self, path: str, change: Object) -> Object:
        status, made = self.call("PATCH", path, change, content="application/merge-patch+json")
        assert status == 200, (path, status, made)
        return made

    def delete(self, path: str) -> None:
        status, body = self.call("DELETE", path)
        assert status in (200, 202, 404), (path, status, body)

    def application(self, name: str) -> Object:
        return self.get(f"{ARGO}/applications/{name}")

    def refresh(self, name: str) -> Object:
        """Ask for a fresh look, as often as it takes to be looked at strictly later than now; the application then."""
        before = self.application(name).get("status", {}).get("reconciledAt", "")  # a new one has no status yet
        asked = time.monotonic()

        def ask(value: str | None) -> None:
            self.patch(f"{ARGO}/applications/{name}", {"metadata": {"annotations": {REFRESH: value}}})

        def looked() -> Object | None:
            nonlocal asked
            app = self.application(name)
            if app.get("status", {}).get("reconciledAt", "") > before:
                return app
            if REFRESH not in (app["metadata"].get("annotations") or {}):
                ask("normal")
            elif time.monotonic() - asked > 5:  # one that met the end of a reconcile is not seen until something changes
                asked = time.monotonic()
                ask(None)
                ask("normal")
            return None

        return until(looked, f"{name} to be reconciled after {before}")

    def wait(self, name: str, wanted: Callable[[Object], object], *, refresh: bool = False) -> Object:
        """The application as soon as `wanted` is true of it. With `refresh` it is asked for a fresh look again and again."""
        seen: Object = {}

        def look() -> Object | None:
            nonlocal seen
            seen = self.refresh(name) if refresh else self.application(name)
            return seen if "status" in seen and wanted(seen) else None

        return until(look, lambda: f"{name}: {short(seen)}")


def until(look: Callable[[], Any], what: str | Callable[[], str], seconds: float = WAIT_S, pause: float = 0.1) -> Any:
    """The first true answer of `look`. Fails with `what` when it does not come."""
    end = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what if isinstance(what, str) else what()}"
        time.sleep(pause)


def short(app: Object) -> Object:
    """What a failed wait should show."""
    status = app.get("status") or {}
    return {k: status.get(k) for k in ("sync", "health", "operationState", "conditions", "reconciledAt")} | {"operation": app.get("operation")}


def synced(commit: str, health: str = "Healthy") -> Callable[[Object], bool]:
    """At rest on a commit: synced, in this health, no operation, and looked at since its last operation ended."""

    def test(app: Object) -> bool:
        status, state = app["status"], app["status"].get("operationState") or {}
        sync = status.get("sync") or {}
        return bool(
            sync.get("status") == "Synced"
            and commit in (sync.get("revisions") or [sync.get("revision")])
            and (status.get("health") or {}).get("status") == health
            and app.get("operation") is None
            and status.get("reconciledAt", "") >= state.get("finishedAt", "")
        )

    return test


def conditions(app: Object) -> dict[str, str]:
    return {c["type"]: c["message"] for c in app["status"].get("conditions") or []}
