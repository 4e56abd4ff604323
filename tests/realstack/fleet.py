"""Fleets in one real cluster, under one root, that dev and production share: one from the outside world, and one of any size.

The first is Argo CD's own install manifests and the applications of its end-to-end tests, copied at test time from the module that the builder
linked as `argo-cd-source`.
"""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from promote.sandbox.git.server import GitServer
from promote.sandbox.git.writer import GitWriter
from promote.sandbox.real.cluster import RealCluster
from promote.sandbox.seed import Commit, deployment
from promote.sandbox.services import Services
from tests.contract.api import Object, until
from tests.contract.place import AUTOMATED
from tests.realstack.driver import environment, kubeconfig, tool_files
from tests.realstack.journey import USER, api_of, grant
from tests.realstack.seen import Seen

WELL = (
    "config-map", "crashing-guestbook", "crd-creation", "deployment", "guestbook", "helm", "helm-guestbook", "hook-and-deployment", "multi-namespace",
    "one-deployment", "secrets", "service", "sync-waves",
)  # fmt: skip
DEGRADED = ("core-install", "kustomize")  # Synced, and Progressing for ever: what a baseline tolerates
# Their sync can never succeed or never ends, so they can never show a commit; they live in the fleet, and `prod.selector` leaves them out.
HOPELESS = ("failure-during-sync", "hook", "networking", "post-delete-hook", "ssa-revision-history")
DEV = ("config-map", "guestbook", "service")
ROOT, TOKEN, LABEL = "fleet", "fleet-token", "promote"
SETTLE_S = 300.0


def _yaml(data: object) -> bytes:
    return yaml.safe_dump(data, sort_keys=False).encode()


def _folder(name: str) -> str:
    """Where an application lies in the repository. core-install builds on its neighbours."""
    return f"manifests/{name}" if name == "core-install" else f"test/e2e/testdata/{name}"


def application(name: str, env: str, url: str, path: str, namespace: str, *, counts: bool = True) -> Object:
    meta = {"name": name, "namespace": "argocd", "labels": {LABEL: "yes" if counts else "no"}}
    source = {"repoURL": url, "targetRevision": "prod-stable" if env == "prod" else "main", "path": path}
    destination = {"server": "https://kubernetes.default.svc", "namespace": namespace}
    # Argo CD's own definitions are too big for the annotation of a client-side apply
    policy = AUTOMATED if name != "core-install" else {**AUTOMATED, "syncOptions": [*AUTOMATED["syncOptions"], "ServerSideApply=true"]}
    spec = {"project": "default", "destination": destination, "source": source, "syncPolicy": policy}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": meta, "spec": spec}


def root(env: str, url: str) -> Object:
    return application(ROOT if env == "prod" else "dev", env, url, f"argocd/{env}", "argocd")


def argo_cds_own(url: str, source: Path) -> dict[str, bytes]:
    """Argo CD's files as they are, and an Application for each."""
    files: dict[str, bytes] = {}
    for part in ("manifests", *(_folder(name) for name in (*WELL, "kustomize", *HOPELESS))):
        files |= {p.relative_to(source).as_posix(): p.read_bytes() for p in sorted((source / part).rglob("*")) if p.is_file()}
    for name in (*WELL, *DEGRADED, *HOPELESS):
        files[f"argocd/prod/{name}.yaml"] = _yaml(application(name, "prod", url, _folder(name), f"fleet-{name}", counts=name not in HOPELESS))
    for name in DEV:
        files[f"argocd/dev/{name}.yaml"] = _yaml(application(f"dev-{name}", "dev", url, _folder(name), f"dev-{name}"))
    return files


def many(url: str, count: int) -> dict[str, bytes]:
    """So many applications of one Deployment each; dev has the first three."""
    files: dict[str, bytes] = {}
    for name in (f"service-{n:03}" for n in range(1, count + 1)):
        files[f"apps/{name}/deployment.yaml"] = deployment(name)
        files[f"argocd/prod/{name}.yaml"] = _yaml(application(name, "prod", url, f"apps/{name}", name))
        if name <= "service-003":
            files[f"argocd/dev/{name}.yaml"] = _yaml(application(f"dev-{name}", "dev", url, f"apps/{name}", f"dev-{name}"))
    return files


@dataclass
class Fleet:
    """A running one. `count` applications follow the tag or the trunk and can come to rest, all but `degraded` in health.

    `env` leads a driver with the documented rights there.
    """

    folder: Path
    cluster: RealCluster
    git: GitServer
    writer: GitWriter
    env: dict[str, str]
    seen: Seen
    count: int
    degraded: tuple[str, ...]

    def commit(self, files: dict[str, bytes], message: str) -> str:
        return self.writer.commit(files, message)

    def settle(self) -> None:
        """Until those that can are at rest at the tag; the others stay as they are."""
        until(lambda: self._there() and not self.seen.late(self.seen.refs()["refs/tags/prod-stable^{}"]), self._late, seconds=SETTLE_S, pause=0.5)

    def _there(self) -> bool:
        found = self.seen.applications()
        # a CustomResourceDefinition is Degraded until it is established: synced is not yet at rest
        return (
            len(found) == self.count
            and all("health" in (a.get("status") or {}) for a in found.values())
            and set(self.seen.degraded()) == set(self.degraded)
        )

    def _late(self) -> str:
        def word(app: Object, part: str) -> Any:
            return (app.get("status") or {}).get(part, {}).get("status")

        return str({name: (word(app, "sync"), word(app, "health")) for name, app in self.seen.applications().items()})

    def promote(self, *args: str) -> tuple[dict[str, Any], str, str]:
        """(a command's JSON document, its progress, its figures), typed in a fresh clone once the fleet is at rest."""
        self.settle()
        clone, started = self.folder / uuid.uuid4().hex[:8], time.monotonic()
        subprocess.run(["git", "clone", "--quiet", self.git.repository_url, str(clone)], env=self.env, check=True, capture_output=True)
        argv = ["promote", *args, "--json"]
        done = subprocess.run(argv, cwd=clone, env=self.env, capture_output=True, text=True, check=False, timeout=250, stdin=subprocess.DEVNULL)
        said: dict[str, Any] = json.loads(done.stdout)
        steps = ", ".join(f"{s['name']} {s['seconds']}" for s in said["steps"])
        return said, done.stderr, f"promote {args[0]}: {said['outcome']} after {time.monotonic() - started:.1f} s ({steps})"


@contextmanager
def running(
    folder: Path, programs: Path, files: Callable[[str], dict[str, bytes]], smoke: str, limit: str = "25s", degraded: tuple[str, ...] = ()
) -> Iterator[Fleet]:
    """One real cluster with a whole fleet in it, at rest as far as it can be.

    `files`: the repository's URL → its applications. `smoke`: the Deployment that is asked. `limit`: how long production may take.
    `degraded`: the applications that never get Healthy.
    """
    cluster, git = RealCluster("fleet", programs), GitServer(folder / "remote.git", "acme/gitops", tokens=(TOKEN,))
    git.create()
    with git, Services(cluster) as services:
        try:
            cluster.start()
            url, writer = git.repository_url, GitWriter(git.path)
            held = files(url)
            texts = {"MAX_UNHEALTHY": "0.2", "ROOT": ROOT, "PROD": f'selector = "{LABEL}=yes"', "LIMIT": limit, "SMOKE": f"{services.url}/{smoke}/"}
            carried = held | tool_files(texts)
            tags = ("prod-v1.0.0", "prod-stable", "prod-working")
            writer.load([Commit("feat: the fleet", "Ada <ada@acme.example>", "2026-11-01T09:00:00Z", carried, tags)])
            grant(cluster, "promote")
            seen = Seen(url=url, env=environment(folder, git, TOKEN), api=api_of(cluster), selector=f"{LABEL}=yes")
            count = sum(f"{LABEL}: 'yes'".encode() in content for path, content in held.items() if path.startswith("argocd/"))
            made = Fleet(
                folder,
                cluster,
                git,
                writer,
                {**seen.env, "KUBECONFIG": kubeconfig(folder, cluster.access, cluster.tokens[USER])},
                seen,
                count + 2,
                degraded,
            )
            for env in ("prod", "dev"):
                cluster.apply(root(env, url))
            made.settle()
            yield made
        finally:
            cluster.stop()
