"""The shared stack of a `--real` run, and one situation a test."""

from __future__ import annotations

import json
import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from promote.sandbox.cluster import AnyCluster
from promote.sandbox.git.server import GitServer
from promote.sandbox.git.writer import GitWriter
from promote.sandbox.real.cluster import RealCluster
from promote.sandbox.real.processes import Processes, free_ports
from promote.sandbox.real.programs import Ports, Programs
from promote.sandbox.real.rest import Rest
from promote.sandbox.services import Services
from tests.contract.api import Api, Object
from tests.realstack.driver import environment, kubeconfig
from tests.realstack.field.situation import PROJECTS, TOKEN, Situation
from tests.realstack.journey import USER, grant
from tests.realstack.plugin import programs, stack_of

ANYTHING: Object = {
    "sourceRepos": ["*"],
    "destinations": [{"namespace": "*", "server": "*"}],
    "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
    "sourceNamespaces": ["team-a", "team-b"],
}


@dataclass
class Stack:
    """One real cluster with Argo CD: how its administrator and the driver reach it."""

    api: Api
    rest: Rest
    access: Object
    driver_token: str
    services: Services
    programs: Programs
    controller: int

    @contextmanager
    def without_controller(self) -> Iterator[None]:
        """Argo CD's application controller stands still."""
        os.kill(self.controller, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.controller, signal.SIGCONT)


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    found = stack_of(request.config)
    folder, url = Path(str(found["folder"])), str(found["url"])
    authority = folder / "certs" / "apiserver.crt"
    tokens = json.loads((folder / "users.json").read_text())
    rest = Rest(url, tokens["admin"], authority)
    grant(cast(RealCluster, rest), "promote")  # it only applies
    for namespace in ("team-a", "team-b"):
        rest.apply({"kind": "Namespace", "metadata": {"name": namespace}})
    access = {"server": url, "certificate-authority": str(authority)}
    services = Services(cast(AnyCluster, rest))  # it only lists and gets
    with services:
        built = Programs(binaries=programs(request.config), state=folder, ports=Ports(**cast(dict[str, int], found["ports"])))
        controller = cast(dict[str, int], found["pids"])["argocd-application-controller"]
        yield Stack(Api(url, tokens["admin"], str(authority)), rest, access, tokens[USER], services, built, controller)
    rest.close()


@pytest.fixture(scope="session")
def application_sets(stack: Stack) -> Iterator[None]:
    """Argo CD's ApplicationSet controller with progressive syncs, for as long as the run."""
    name, built, processes = "argocd-applicationset-controller", stack.programs, Processes(stack.programs.state)
    metrics, probes, webhook = free_ports(3)
    # fmt: off
    argv = [built.binaries / "argocd", "--kubeconfig", built.kubeconfig, "--namespace", "argocd", "--enable-progressive-syncs",
            "--metrics-addr", f"127.0.0.1:{metrics}", "--probe-addr", f"127.0.0.1:{probes}", "--webhook-addr", f"127.0.0.1:{webhook}",
            "--argocd-repo-server", f"127.0.0.1:{built.ports.repo_server}", "--repo-server-plaintext"]
    # fmt: on
    processes.start(name, argv, built.environment(name))
    try:
        processes.wait_port(name, probes)
        yield
    finally:
        processes.stop()


@pytest.fixture
def situation(stack: Stack, tmp_path: Path) -> Iterator[Situation]:
    git = GitServer(tmp_path / "remote.git", "acme/gitops", tokens=(TOKEN,))
    git.create()
    with git:
        env = environment(tmp_path, git, TOKEN) | {"KUBECONFIG": kubeconfig(tmp_path, stack.access, stack.driver_token), "NO_COLOR": "1"}
        made = Situation(stack.api, uuid.uuid4().hex[:6], tmp_path, git, GitWriter(git.path), env, stack.services.url)
        try:
            yield made
        finally:
            made.clear()


@pytest.fixture
def project(situation: Situation) -> Iterator[str]:
    """A project of Argo CD's namespace that allows applications in team-a."""
    name = f"team-{situation.name}"
    situation.api.create(PROJECTS, {"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": name}, "spec": ANYTHING})
    yield name
    situation.clear()
    situation.api.delete(f"{PROJECTS}/{name}")
