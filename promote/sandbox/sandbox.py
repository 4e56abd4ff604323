"""The assembled world: a seeded repository, GitHub, a prod and a dev cluster, the services, and the environment that leads to them."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from promote.sandbox import seed
from promote.sandbox.argo_sync import Timing
from promote.sandbox.cluster import Cluster
from promote.sandbox.git_server import GitServer
from promote.sandbox.git_writer import GitWriter
from promote.sandbox.github_world import GitHubWorld
from promote.sandbox.services import Services
from promote.sandbox.workflow_run import Runner

SLUG, TOKEN = "acme/gitops", "sandbox-token"


class Sandbox:
    """`files` are extra files of the seeded repository; @GITHUB_API@, @REPOSITORY_URL@ and @SERVICES_URL@ in them are filled in.

    `act`: None uses it where it is found, False never. `commands` are folders put first on the PATH of everything that runs inside.
    """

    def __init__(
        self,
        directory: Path,
        *,
        files: Mapping[str, bytes],
        apps: int = 12,
        act: bool | None = None,
        commands: Sequence[Path] = (),
        timing: Timing | None = None,
    ) -> None:
        self.directory, self._files, self.apps = directory, files, apps
        path = os.pathsep.join([*(str(c) for c in commands), os.environ.get("PATH", os.defpath)])
        self._path = path
        self.git = GitServer(directory / "remote.git", SLUG, tokens=(TOKEN,))
        self.writer = GitWriter(self.git.path)
        self._repositories: dict[str, Path] = {}
        self.prod = Cluster("prod", repositories=self._repositories, timing=timing)
        self.dev = Cluster("dev", repositories=self._repositories, timing=timing)
        self.services = Services(self.prod)
        self._act = (shutil.which("act", path=path) or "") if act is not False else ""
        self.github: GitHubWorld
        self.env: dict[str, str] = {}

    def start(self) -> None:
        """Everything up and seeded; `wait_settled` waits for the applications."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.git.create()
        self.git.start()
        self.services.start()
        self._repositories[self.git.repository_url] = self.git.path
        for cluster in (self.prod, self.dev):
            cluster.start()
        self._environment()
        runner = Runner(self.directory / "runs", self.git.repository_url, SLUG, self.env, token=TOKEN, act=self._act or None)
        self.github = GitHubWorld(SLUG, read_workflow=self._workflow, head=lambda: self.writer.holds("refs/heads/main"), runner=runner, token=TOKEN)
        self.github.start()
        self.writer.load(seed.history(self.apps, self.git.repository_url, self._filled()))
        for env, cluster in (("prod", self.prod), ("dev", self.dev)):
            project = {"sourceRepos": ["*"], "destinations": [{"namespace": "*", "server": "*"}]}
            cluster.apply({"kind": "AppProject", "metadata": {"name": "default", "namespace": "argocd"}, "spec": project})
            cluster.apply(seed.root_application(env, self.git.repository_url))

    def stop(self) -> None:
        for part in (getattr(self, "github", None), self.services, self.prod, self.dev, self.git):
            if part is not None:
                part.stop()

    def __enter__(self) -> Sandbox:
        self.start()
        self.wait_settled()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _filled(self) -> dict[str, bytes]:
        places = {b"@GITHUB_API@": self.github.url, b"@REPOSITORY_URL@": self.git.repository_url, b"@SERVICES_URL@": self.services.url}
        filled = {}
        for path, content in self._files.items():
            for place, url in places.items():
                content = content.replace(place, url.encode())  # noqa: PLW2901 - one replacement after the other
            filled[path] = content
        return filled

    def _environment(self) -> None:
        """Own git configuration, kubeconfig, token and identity: nothing of the person who runs it."""
        config, credentials, kubeconfig = (self.directory / name for name in ("gitconfig", "credentials", "kubeconfig"))
        credentials.write_text(self.git.url.replace("://", f"://x-access-token:{TOKEN}@") + "\n")
        credentials.chmod(0o600)
        config.write_text(
            f"[user]\n\tname = Ada\n\temail = ada@acme.example\n[credential]\n\thelper = store --file={credentials}\n[init]\n\tdefaultBranch = main\n"
        )
        user = {"name": "sandbox", "user": {"token": TOKEN}}
        kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "prod",
                    "clusters": [{"name": c.name, "cluster": {"server": c.url}} for c in (self.prod, self.dev)],
                    "users": [user],
                    "contexts": [
                        {"name": c.name, "context": {"cluster": c.name, "user": "sandbox", "namespace": "argocd"}} for c in (self.prod, self.dev)
                    ],
                }
            )
        )
        kubeconfig.chmod(0o600)
        self.env = {
            "PATH": self._path,
            "HOME": str(self.directory),
            "KUBECONFIG": str(kubeconfig),
            "GITHUB_TOKEN": TOKEN,
            "GIT_CONFIG_GLOBAL": str(config),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
        }

    def _workflow(self, file: str) -> str | None:
        try:
            return self.writer.git("show", f"main:.github/workflows/{file}")
        except RuntimeError:
            return None

    def clone(self, path: Path) -> Path:
        """A clone on main, ready to push."""
        subprocess.run(["git", "clone", "--quiet", self.git.repository_url, str(path)], check=True, env=self.env, capture_output=True)
        return path

    def commit(self, files: Mapping[str, bytes | None], message: str) -> str:
        """A colleague pushes to main."""
        return self.writer.commit(files, message)

    def wait_settled(self, timeout_s: float = 30) -> None:
        """Until every application of both clusters exists, is reconciled at what it tracks, and has come to rest."""
        end = time.monotonic() + timeout_s
        wanted = len(seed.names(self.apps)) + 1
        while not all(_settled(c, wanted) for c in (self.prod, self.dev)):
            if time.monotonic() > end:
                late = [a["metadata"]["name"] for c in (self.prod, self.dev) for a in c.list("Application") if not _at_rest(a)]
                raise TimeoutError(f"not settled within {timeout_s:.0f} s: {', '.join(late) or 'applications missing'}")
            time.sleep(0.05)


def _settled(cluster: Cluster, wanted: int) -> bool:
    apps = cluster.list("Application")
    return len(apps) >= wanted and all(_at_rest(a) for a in apps)


def _at_rest(app: dict[str, object]) -> bool:
    status = app.get("status")
    if not isinstance(status, dict) or app.get("operation") is not None:
        return False
    state = status.get("operationState") or {}
    seen_since = str(status.get("reconciledAt", "")) >= str(state.get("finishedAt", ""))
    return bool(
        (status.get("sync") or {}).get("status") == "Synced" and (status.get("health") or {}).get("status") in ("Healthy", "Degraded") and seen_since
    )
