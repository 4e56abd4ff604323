"""Production as anybody sees it: the remote's refs as `git ls-remote` lists them, the applications as the API server answers an administrator.

Nothing of the driver is used here; what a promotion claims is held against this.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from tests.contract.api import ARGO, Api, Object

STABLE, WORKING, LOCK, UNDO = "refs/tags/prod-stable", "refs/tags/prod-working", "refs/promote/lock", "refs/promote/undo"
Refs = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """`url` is the repository's, `env` leads git there; `selector` are labels of the applications that are looked at."""

    url: str
    env: Mapping[str, str]
    api: Api
    selector: str = ""

    def refs(self) -> Refs:
        """Every ref of the remote; REF^{} is the commit that a tag leads to."""
        done = subprocess.run(["git", "ls-remote", self.url], env=dict(self.env), capture_output=True, text=True, check=True)
        return {ref: oid for oid, ref in (line.split("\t") for line in done.stdout.splitlines())}

    def applications(self) -> dict[str, Object]:
        query = {"labelSelector": self.selector} if self.selector else {}
        return {app["metadata"]["name"]: app for app in self.api.items(f"{ARGO}/applications", **query)}

    def late(self, commit: str) -> list[str]:
        """Applications that follow the tag and are not at rest on the commit, each with what it shows."""
        following = [(name, shown, _rests(app)) for name, app in self.applications().items() if (shown := self._shown(app))]
        assert following, "no application follows the tag"
        return [f"{name}: {shown}{'' if rests else ', not at rest'}" for name, shown, rests in following if set(shown) != {commit} or not rests]

    def _shown(self, app: Object) -> list[str]:
        """The revisions of the sources that follow the tag."""
        sync = (app.get("status") or {}).get("sync") or {}
        sources = app["spec"].get("sources") or [app["spec"]["source"]]
        revisions = sync.get("revisions") or [sync.get("revision", "")]  # none until it was first looked at
        return [r for s, r in zip(sources, revisions, strict=True) if (s["repoURL"], s["targetRevision"]) == (self.url, "prod-stable")]

    def degraded(self) -> dict[str, str]:
        """Applications that are not Healthy."""
        # Argo CD's first write of a new application's health can have a time and no status.
        return {name: word for name, app in self.applications().items() if (word := app["status"]["health"].get("status", "")) != "Healthy"}

    def proven(self, version: str, commit: str) -> None:
        """All that `verified` claims."""
        refs = self.refs()
        assert refs[STABLE] == refs[f"refs/tags/prod-{version}"] == refs[WORKING]
        assert refs[f"{STABLE}^{{}}"] == commit == refs[f"refs/tags/dev-{version}^{{}}"]
        assert LOCK not in refs
        assert self.late(commit) == []

    def back(self, before: Refs, degraded: Mapping[str, str]) -> None:
        """All that `rolled_back` claims: the very tag object of before, and no application is worse than before."""
        refs = self.refs()
        assert (refs[STABLE], refs[WORKING]) == (before[STABLE], before[WORKING])
        assert LOCK not in refs
        assert self.late(before[f"{STABLE}^{{}}"]) == []
        assert self.degraded().items() <= dict(degraded).items()


def _rests(app: Object) -> bool:
    return app.get("operation") is None and app["status"]["sync"]["status"] == "Synced"
