"""The three who wait: Argo CD's own command, a loop over what the status shows, and promote. Each reports "there" or "not there" and when."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from promote.argocd.application import Application, parse_application
from promote.argocd.client import ArgoCD
from promote.config.schema import ArgoCD as ArgoSettings
from promote.config.schema import ProdCluster, Settings
from promote.convergence.application_status import Goal
from promote.convergence.wait import converge, last_look
from promote.core.deadline import Deadline
from promote.core.errors import Superseded
from promote.core.model import Verdict
from promote.git.url import Addresses
from promote.kube.client import Kube
from promote.sandbox.real.cluster import RealCluster
from promote.sandbox.real.processes import Processes, free_ports
from promote.sandbox.real.programs import Ports, Programs
from tests.contract.api import ARGO, REFRESH, Object
from tests.realstack.waits.scene import TAG, Race, Scene

LOOK_S = 0.5
LAST_LOOK_S = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What a judge concluded, after how many seconds, and in which words."""

    there: bool
    seconds: float
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A running argocd-server, and how its command line is called."""

    programs: Programs
    address: str

    def wait(self, selector: str, seconds: float) -> Said:
        """`argocd app wait -l SELECTOR --sync --health`, the built binary."""
        started = time.monotonic()
        argv = [self.programs.binaries / "argocd", "app", "wait", "-l", selector, "--sync", "--health", "--timeout", f"{seconds:.0f}",
                "--server", self.address, "--plaintext"]  # fmt: skip
        env = {**self.programs.environment(), "ARGOCD_BINARY_NAME": "argocd"}
        done = subprocess.run([str(a) for a in argv], env=env, capture_output=True, text=True, check=False, timeout=seconds + 60)
        words = "exit 0" if done.returncode == 0 else f"exit {done.returncode}: {_last(done.stderr)}"
        return Said(there=done.returncode == 0, seconds=time.monotonic() - started, words=words)


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:160] if lines else ""


@contextmanager
def server(cluster: RealCluster, folder: Path) -> Iterator[Server]:
    """argocd-server beside the stack, without TLS and without logins, until the end of the block."""
    programs = Programs(binaries=cluster.binaries, state=cluster.folder, ports=Ports(**cluster.ports))
    port, metrics = free_ports(2)
    # fmt: off
    argv: list[str | Path | int] = [
        programs.binaries / "argocd", "--insecure", "--disable-auth", "--address", "127.0.0.1", "--port", port, "--metrics-port", metrics,
        "--kubeconfig", programs.kubeconfig, "--namespace", "argocd", "--redis", f"127.0.0.1:{programs.ports.redis}",
        "--repo-server", f"127.0.0.1:{programs.ports.repo_server}", "--repo-server-plaintext",
    ]
    # fmt: on
    processes = Processes(folder)
    try:
        processes.start("argocd-server", argv, programs.environment("argocd-server"))
        processes.wait_port("argocd-server", port)
        yield Server(programs=programs, address=f"127.0.0.1:{port}")
    finally:
        processes.stop()


def naive(scene: Scene, race: Race, seconds: float) -> Said:
    """Ask every application for a refresh once, then look until all are Synced and Healthy and show the commit."""
    started = time.monotonic()
    for app in scene.api.items(f"{ARGO}/applications", labelSelector=scene.selector):
        scene.api.call("PATCH", f"{ARGO}/applications/{app['metadata']['name']}", {"metadata": {"annotations": {REFRESH: "normal"}}},
                       content="application/merge-patch+json")  # fmt: skip
    while True:
        apps = scene.api.items(f"{ARGO}/applications", labelSelector=scene.selector)
        late = [a["metadata"]["name"] for a in apps if not _looks_there(a, race.accepted or (race.target,))]
        passed = time.monotonic() - started
        if apps and not late:
            return Said(there=True, seconds=passed, words="Synced, Healthy, at the commit")
        if passed > seconds:
            return Said(there=False, seconds=passed, words=f"gave up on {len(late)} of {len(apps)}")
        time.sleep(LOOK_S)


def _looks_there(app: Object, accepted: tuple[str, ...]) -> bool:
    """What everybody's script looks at. A chart has no commit to compare."""
    spec, status = app["spec"], app.get("status") or {}
    sync, sources = status.get("sync") or {}, spec.get("sources") or [spec["source"]]
    shown = sync.get("revisions") or [sync.get("revision", "")]
    tracked = [
        r for s, r in zip(sources, shown, strict=False) if not s.get("chart") and s.get("targetRevision", "").removeprefix("refs/tags/") == TAG
    ]
    return sync.get("status") == "Synced" and (status.get("health") or {}).get("status") == "Healthy" and all(r in accepted for r in tracked)


def guard(scene: Scene) -> Callable[[], None]:
    """What `promote run` asks before every look: the tag holds what the move left there, and no branch has its name."""
    ours = scene.repo.writer.holds(f"refs/tags/{TAG}")

    def still_ours() -> None:
        told = subprocess.run(["git", "ls-remote", scene.repo.url], capture_output=True, text=True, check=True, timeout=30).stdout
        refs = {name: oid for oid, name in (line.split("\t") for line in told.splitlines())}
        if f"refs/heads/{TAG}" in refs:
            raise Superseded(f"there is a branch {TAG}", hint="")
        if refs.get(f"refs/tags/{TAG}") != ours:
            raise Superseded(f"{TAG} was moved", hint="")

    return still_ours


def promote(
    kube: Kube, scene: Scene, race: Race, before: Mapping[str, Application], t_before: datetime, ours: Callable[[], None], seconds: float
) -> Said:
    """What `promote run` does between the move and the suites, with the settings' defaults: converge, then the last look."""
    started = time.monotonic()
    argo = replace(ArgoSettings(), converge_timeout=seconds)
    settings = Settings(root=Path(), prod=ProdCluster(root_app=race.root, selector=scene.selector), argocd=argo)
    goal = Goal(commit=race.target, accepted=frozenset(race.accepted or (race.target,)), names=frozenset({TAG, f"refs/tags/{TAG}"}),
                repository=Addresses.of(scene.repo.url), root=race.root)  # fmt: skip
    argocd = ArgoCD(kube, settings.prod.namespaces, scene.selector)
    how: dict[str, Any] = {"baseline": before, "t_before": t_before, "settings": settings, "rollback": race.rollback, "guard": ours}
    try:
        result = converge(argocd, goal, deadline=Deadline(seconds), **how)
        if result.verdict is Verdict.PASSED:
            result = last_look(argocd, goal, deadline=Deadline(LAST_LOOK_S), **how)
    except Superseded as error:
        return Said(there=False, seconds=time.monotonic() - started, words=f"superseded: {error.what}")
    there = result.verdict is Verdict.PASSED
    return Said(there=there, seconds=time.monotonic() - started, words=result.reason)


def baseline(kube: Kube, scene: Scene) -> Mapping[str, Application]:
    """The applications as the driver reads them just before the move."""
    found = map(parse_application, ArgoCD(kube, ["argocd"], scene.selector).manifests())
    return {a.key: a for a in found}
