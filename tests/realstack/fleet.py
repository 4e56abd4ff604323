"""A fleet that nobody here wrote: Argo CD's own install manifests and the applications of its end-to-end tests, under one root, in one real cluster.

They are copied at test time from the module that the builder linked as `argo-cd-source`. Dev and production share the cluster.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from promote.commands.world import TEMPLATES, checks_folder
from promote.sandbox.git_server import GitServer
from promote.sandbox.git_writer import GitWriter
from promote.sandbox.real.cluster import RealCluster
from promote.sandbox.seed import Commit
from tests.contract.api import Object, until
from tests.contract.place import AUTOMATED
from tests.realstack.journey import BIN, USER, api_of, grant
from tests.realstack.seen import Seen

WELL = (
    "config-map", "crashing-guestbook", "crd-creation", "deployment", "guestbook", "helm", "helm-guestbook", "hook-and-deployment", "multi-namespace",
    "one-deployment", "secrets", "service", "sync-waves",
)  # fmt: skip
UNWELL = ("core-install", "kustomize")  # Synced, and Progressing for ever: what a baseline excuses
# Their sync can never succeed or never ends, so they can never show a commit; they live in the fleet, and `prod.selector` leaves them out.
HOPELESS = ("failure-during-sync", "hook", "networking", "post-delete-hook", "ssa-revision-history")
DEV = ("config-map", "guestbook", "service")
ROOT, TOKEN, LABEL = "fleet", "fleet-token", "promote"
SETTINGS = """
promotion.via = "git"
github.repository = "acme/gitops"
baseline.max_unhealthy = 0.2
[prod]
kubeconfig = ""
context = "prod"
root = "fleet"
selector = "promote=yes"
[dev]
kubeconfig = ""
context = "prod"
[argocd]
converge_timeout = "25s"
degraded_grace = "10s"
look_every = "0.5s"
looks = 2
[post]
event_watch = "1s"
[tasks]
source = "none"
[[checklist.off]]
id = "tests-passed"
reason = "nobody tests these applications"
[[checklist.off]]
id = "documentation"
reason = "they are documented elsewhere"
"""


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


def repository(source: Path, url: str) -> dict[str, bytes]:
    """Argo CD's files as they are, an Application for each, and what a repository that uses promote carries."""
    files: dict[str, bytes] = {}
    for part in ("manifests", *(_folder(name) for name in (*WELL, "kustomize", *HOPELESS))):
        files |= {p.relative_to(source).as_posix(): p.read_bytes() for p in sorted((source / part).rglob("*")) if p.is_file()}
    for name in (*WELL, *UNWELL, *HOPELESS):
        files[f"argocd/prod/{name}.yaml"] = _yaml(application(name, "prod", url, _folder(name), f"fleet-{name}", counts=name not in HOPELESS))
    for name in DEV:
        files[f"argocd/dev/{name}.yaml"] = _yaml(application(f"dev-{name}", "dev", url, _folder(name), f"dev-{name}"))
    files |= {f"checks/{p.relative_to(checks_folder()).as_posix()}": p.read_bytes() for p in sorted(checks_folder().rglob("*.py"))}
    files["justfile"] = (TEMPLATES / "justfile").read_bytes()
    files[".gitignore"] = b"reports/\n__pycache__/\n"
    files["promotion.toml"] = SETTINGS.encode()
    return files


@dataclass
class Fleet:
    """The running fleet; `env` leads a driver with the documented rights there."""

    folder: Path
    cluster: RealCluster
    git: GitServer
    writer: GitWriter
    env: dict[str, str]
    seen: Seen

    def commit(self, files: dict[str, bytes], message: str) -> str:
        return self.writer.commit(files, message)

    def clone(self, name: str) -> Path:
        subprocess.run(["git", "clone", "--quiet", self.git.repository_url, str(self.folder / name)], env=self.env, check=True, capture_output=True)
        return self.folder / name

    def settle(self) -> None:
        """Until those that can are at rest at the tag; the others stay as they are."""
        until(lambda: self._there() and not self.seen.late(self.seen.refs()["refs/tags/prod-stable^{}"]), self._late, seconds=120, pause=0.5)

    def _there(self) -> bool:
        found = self.seen.applications()
        return len(found) == len(WELL) + len(UNWELL) + len(DEV) + 2 and all("health" in (a.get("status") or {}) for a in found.values())

    def _late(self) -> str:
        return str({name: (app.get("status") or {}).get("sync", {}).get("status") for name, app in self.seen.applications().items()})


@contextmanager
def running(folder: Path, programs: Path) -> Iterator[Fleet]:
    """One real cluster with the whole fleet in it, at rest as far as it can be."""
    cluster, git = RealCluster("fleet", programs), GitServer(folder / "remote.git", "acme/gitops", tokens=(TOKEN,))
    git.create()
    with git:
        try:
            cluster.start()
            files = repository(programs / "argo-cd-source", git.repository_url)
            writer = GitWriter(git.path)
            writer.load([Commit("feat: the fleet", "Ada <ada@acme.example>", "2026-11-01T09:00:00Z", files, ("prod-v1.0.0", "prod-stable"))])
            grant(cluster, "promote")
            seen = Seen(url=git.repository_url, env=_env(folder, git), api=api_of(cluster), selector=f"{LABEL}=yes")
            made = Fleet(folder, cluster, git, writer, {**_env(folder, git), "KUBECONFIG": _kubeconfig(folder, cluster)}, seen)
            for env in ("prod", "dev"):
                cluster.apply(root(env, git.repository_url))
            made.settle()
            yield made
        finally:
            cluster.stop()


def _env(folder: Path, git: GitServer) -> dict[str, str]:
    (folder / "credentials").write_text(git.url.replace("://", f"://x:{TOKEN}@") + "\n")
    (folder / "gitconfig").write_text(
        f"[user]\n\tname = Ada\n\temail = ada@acme.example\n[credential]\n\thelper = store --file={folder / 'credentials'}\n"
    )
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)])
    return {"PATH": path, "HOME": str(folder), "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}


def _kubeconfig(folder: Path, cluster: RealCluster) -> str:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "prod",
        "clusters": [{"name": "prod", "cluster": cluster.access}],
        "users": [{"name": "prod", "user": {"token": cluster.tokens[USER]}}],
        "contexts": [{"name": "prod", "context": {"cluster": "prod", "user": "prod", "namespace": "argocd"}}],
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump(document))
    return str(folder / "kubeconfig")
