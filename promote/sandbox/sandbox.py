"""The assembled world: a seeded repository, GitHub, a prod and a dev cluster, the services, the monitoring, and the environment that leads there."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from promote.sandbox import seed
from promote.sandbox.argocd.compare import at_rest, shows
from promote.sandbox.argocd.sync import Timing
from promote.sandbox.cluster import AnyCluster, Cluster
from promote.sandbox.git.server import AnyRemote, GitServer
from promote.sandbox.git.writer import GitWriter
from promote.sandbox.github.workflow_run import Runner
from promote.sandbox.github.world import GitHubWorld
from promote.sandbox.monitoring.alertmanager import Alertmanager
from promote.sandbox.monitoring.grafana import Dashboard, Grafana
from promote.sandbox.monitoring.prometheus import Prometheus
from promote.sandbox.real.charts import Charts
from promote.sandbox.real.cluster import RealCluster
from promote.sandbox.services import Services

SLUG, TOKEN = "acme/gitops", "sandbox-token"
WORKFLOW_TOKEN, BOT = "sandbox-workflow-token", "github-actions[bot]"  # what a workflow's steps push with, and as whom
_CHARTS = re.compile(rb"https://charts\.[a-z]+\.example")
QUICK = Timing(progress_deadline_s=0.8)  # the one application that never gets ready decides how long a start takes


class Sandbox:
    """`files` are extra files of the seeded repository; @GITHUB_API@, @REPOSITORY_URL@, @SERVICES_URL@, @PROMETHEUS_URL@,
    @ALERTMANAGER_URL@, @GRAFANA_URL@ and @KUBECONFIG@ in them are filled in.

    `real` is the folder of the real stack's programs: both clusters are made of them then. `remote` is another remote than the embedded one.

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
        same_cluster: bool = False,
        real: Path | None = None,
        remote: AnyRemote | None = None,
    ) -> None:
        self.directory, self._files, self.apps = directory, files, apps
        path = os.pathsep.join([*(str(c) for c in commands), os.environ.get("PATH", os.defpath)])
        self._path = path
        self.git: AnyRemote = remote or GitServer(directory / "remote.git", SLUG, tokens=(TOKEN, WORKFLOW_TOKEN))
        if isinstance(self.git, GitServer):
            self.git.users[WORKFLOW_TOKEN] = BOT
        self._workflow_token = self.git.token if remote else WORKFLOW_TOKEN
        self.writer = GitWriter(self.git.path)
        self._repositories: dict[str, Path] = {}
        timing = timing or QUICK
        self.prod = _cluster("prod", self._repositories, timing, real)
        self.dev = self.prod if same_cluster else _cluster("dev", self._repositories, timing, real)
        self._dev_suffix = "-dev" if same_cluster else ""
        self.charts = Charts(seed.CHARTS) if real else None
        self._settle_s = 300.0 if real else 90.0
        self.services = Services(self.prod)
        self.prometheus, self.alertmanager = Prometheus(self.prod), Alertmanager(self.prod)
        boards = (Dashboard("k8s-cluster", "Cluster", "Kubernetes"), Dashboard("k8s-apps", "Applications", "Kubernetes"))
        self.grafana = Grafana(*boards, tokens={TOKEN: "Editor"})
        self._act = (shutil.which("act", path=path) or "") if act is not False else ""
        self.github: GitHubWorld
        self.env: dict[str, str] = {}
        self.runner_env: dict[str, str] = {}  # set before `start`: what the runner's machine has beside git and PATH
        self._others: list[threading.Thread] = []

    def start(self) -> None:
        """Everything up and seeded; `wait_settled` waits for the applications."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.git.create()
        self.git.start()
        for world in (self.services, self.prometheus, self.alertmanager, self.grafana):
            world.start()
        self._repositories[self.git.repository_url] = self.git.path
        if self.charts:
            self.charts.start()
        with ThreadPoolExecutor(2) as pool:  # real ones take their time
            for started in [pool.submit(cluster.start) for cluster in self._clusters()]:
                started.result()
        self._environment()
        runner = Runner(self.directory / "runs", self.git.repository_url, SLUG, self._machine(), token=self._workflow_token, act=self._act or None)
        self.github = GitHubWorld(
            SLUG,
            read_workflow=self._workflow,
            head=lambda: self.writer.holds("refs/heads/main"),
            refs=self._refs,
            runner=runner,
            token=self.git.token,
            workflow_token=self._workflow_token,
        )
        self.github.start()
        self.writer.load(self._reachable(seed.history(self.apps, self.git.repository_url, self._filled(), dev_suffix=self._dev_suffix)))
        for env, cluster in (("prod", self.prod), ("dev", self.dev)):
            kinds = [{"group": "*", "kind": "*"}]
            project = {"sourceRepos": ["*"], "destinations": [{"namespace": "*", "server": "*"}], "clusterResourceWhitelist": kinds}
            cluster.apply({"kind": "AppProject", "metadata": {"name": "default", "namespace": "argocd"}, "spec": project})
            cluster.apply(seed.root_application(env, self.git.repository_url, self._dev_suffix if env == "dev" else ""))

    def stop(self) -> None:
        """Nothing is left: no thread, process or socket."""
        monitoring = (self.prometheus, self.alertmanager, self.grafana)
        for part in (getattr(self, "github", None), self.services, *monitoring, *self._clusters(), self.charts, self.git):
            if part is not None:
                part.stop()
        for thread in self._others:
            thread.join(10)

    def _clusters(self) -> tuple[AnyCluster, ...]:
        return (self.prod,) if self.dev is self.prod else (self.prod, self.dev)

    def __enter__(self) -> Sandbox:
        try:
            self.start()
            self.wait_settled()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _reachable(self, commits: Sequence[seed.Commit]) -> list[seed.Commit]:
        """The history with chart repositories that a real repo-server can reach; the embedded one needs none."""
        if not self.charts:
            return list(commits)
        url = self.charts.url.encode()
        return [replace(c, files={path: _CHARTS.sub(url, content) for path, content in c.files.items()}) for c in commits]

    def _filled(self) -> dict[str, bytes]:
        places = {
            b"@GITHUB_API@": self.github.url,
            b"@REPOSITORY_URL@": self.git.repository_url,
            b"@SERVICES_URL@": self.services.url,
            b"@PROMETHEUS_URL@": self.prometheus.url,
            b"@ALERTMANAGER_URL@": self.alertmanager.url,
            b"@GRAFANA_URL@": self.grafana.url,
            b"@KUBECONFIG@": self.env["KUBECONFIG"],
        }
        filled = {}
        for path, content in self._files.items():
            for place, url in places.items():
                content = content.replace(place, url.encode())  # noqa: PLW2901 - one replacement after the other
            filled[path] = content
        return filled

    def _environment(self) -> None:
        """Own git configuration, kubeconfig, token and identity: nothing of the person who runs it."""
        config, credentials, kubeconfig = (self.directory / name for name in ("gitconfig", "credentials", "kubeconfig"))
        # git's own `store` helper: a URL with a token would show in command lines and in the clone's config.
        credentials.write_text(self.git.url.replace("://", f"://x-access-token:{self.git.token}@") + "\n")
        credentials.chmod(0o600)
        config.write_text(
            f"[user]\n\tname = Ada\n\temail = ada@acme.example\n[credential]\n\thelper = store --file={credentials}\n[init]\n\tdefaultBranch = main\n"
        )
        places = {"prod": self.prod, "dev": self.dev}
        kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "prod",
                    "clusters": [{"name": name, "cluster": c.access} for name, c in places.items()],
                    "users": [{"name": name, "user": {"token": c.token}} for name, c in places.items()],
                    "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "argocd"}} for name in places],
                }
            )
        )
        kubeconfig.chmod(0o600)
        self.env = {
            "PATH": self._path,
            "HOME": str(self.directory),
            "KUBECONFIG": str(kubeconfig),
            "GITHUB_TOKEN": self.git.token,
            "GRAFANA_TOKEN": TOKEN,
            "GIT_CONFIG_GLOBAL": str(config),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            **{f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in (("NAME", "Ada"), ("EMAIL", "ada@acme.example"))},
        }

    def _machine(self) -> dict[str, str]:
        """The environment of the machine that runs workflows: no identity, no credentials, no clusters. A step has what its `env:` gives it."""
        home = self.directory / "runner"
        home.mkdir(exist_ok=True)
        (home / "gitconfig").write_text("")
        git = {"GIT_CONFIG_GLOBAL": str(home / "gitconfig"), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
        return {"PATH": self._path, "HOME": str(home), **git, **self.runner_env}

    def _refs(self) -> dict[str, tuple[str, str]]:
        lines = self.writer.git("for-each-ref", "--format=%(refname) %(objecttype) %(objectname)").splitlines()
        return {name: (kind, oid) for name, kind, oid in (line.split() for line in lines)}

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
        """A colleague pushes to main; None deletes a file. Returns the commit. Raises RuntimeError when the branch keeps moving meanwhile."""
        for _ in range(3):
            with contextlib.suppress(RuntimeError):  # another user pushed between the two: fast-import does not overwrite that
                return self._import(files, message)
        return self._import(files, message)

    def _import(self, files: Mapping[str, bytes | None], message: str) -> str:
        return self.writer.git("fast-import", "--quiet", stdin=_as_stream(files, message))

    def protect(self, *patterns: str, but_workflow: bool = False) -> None:
        """A ruleset on these refs (full names, shell patterns): pushes are refused, and the API shows the rule. None lifts it.

        `but_workflow`: what a workflow pushes passes the rule by.
        """
        if but_workflow and isinstance(self.git, GitServer):
            self.git.protect(*patterns, free=BOT)
        else:
            self.git.protect(*patterns)
        condition = {"ref_name": {"include": list(patterns), "exclude": []}}
        rule = {
            "id": 1, "name": "protected", "target": "tag", "enforcement": "active", "current_user_can_bypass": "never", "conditions": condition,
            "rules": [{"type": "creation"}, {"type": "update"}, {"type": "deletion"}],
        }  # fmt: skip
        self.github.rulesets = {1: rule} if patterns else {}

    def meanwhile(self, act: Callable[[], None]) -> None:
        """Run `act` as another user, in a thread that `stop` waits for; it should end when `git.stopping` is set."""
        thread = threading.Thread(target=act, name="another user", daemon=True)
        self._others.append(thread)
        thread.start()

    def refresh(self) -> None:
        """Both Argo CDs look at everything now, as after a webhook."""
        note = {"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}
        for cluster in self._clusters():
            for app in cluster.list("Application"):
                cluster.patch("Application", app["metadata"]["namespace"], app["metadata"]["name"], note)

    def wait_settled(self, timeout_s: float | None = None) -> None:
        """Until every application exists, is reconciled at the revision it tracks now, and has come to rest."""
        timeout_s = timeout_s or self._settle_s
        end = time.monotonic() + timeout_s
        while late := [f"{c.name}/{name}" for c in self._clusters() for name in self._late(c)]:
            if time.monotonic() > end:
                raise TimeoutError(f"not settled within {timeout_s:.0f} s: {', '.join(late)}")
            time.sleep(0.5 if self.charts else 0.02)

    def _late(self, cluster: AnyCluster) -> list[str]:
        apps, wanted = cluster.list("Application"), (len(seed.names(self.apps)) + 1) * (1 if len(self._clusters()) == 2 else 2)
        if len(apps) < wanted:
            return [f"{wanted - len(apps)} missing"]
        if late := [a["metadata"]["name"] for a in apps if not at_rest(a)]:
            return late
        tracked = {name: self.writer.holds(f"refs/{kind}/{name}^{{commit}}") for name, kind in (("prod-stable", "tags"), ("main", "heads"))}
        return [a["metadata"]["name"] for a in apps if not shows(a, self.git.repository_url, tracked)]


def _cluster(name: str, repositories: Mapping[str, Path], timing: Timing, real: Path | None) -> Any:
    """An AnyCluster; tests of the embedded world reach into it further, so no narrower type is promised."""
    return RealCluster(name, real) if real else Cluster(name, repositories=repositories, timing=timing)


def _as_stream(files: Mapping[str, bytes | None], message: str) -> bytes:
    """One commit on top of main for `git fast-import`, which needs no work tree (update-index cannot delete in a bare repository)."""
    text = message.encode()
    head = f"commit refs/heads/main\nmark :1\ncommitter Grace <grace@acme.example> {int(time.time())} +0000\n".encode()
    stream = [head, b"data %d\n%s\n" % (len(text), text), b"from refs/heads/main^0\n"]
    for path, content in files.items():
        stream.append(f"D {path}\n".encode() if content is None else f"M 100644 inline {path}\ndata {len(content)}\n".encode() + content + b"\n")
    return b"".join([*stream, b"get-mark :1\n"])
