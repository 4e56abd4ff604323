"""The process that owns one set of real programs: starts them, reports that on stdout, and stops them when stdin ends, whatever happened to its
starter.

    python -m promote.sandbox.real.guard {cluster|gitea} BINARIES STATE

It runs in a session of its own, so that a ^C in the terminal reaches the starter alone, who then closes stdin. STATE is removed at the end.
One JSON line on stdout: {"ready": seconds, "url": API server or forge, "ports": {…}, "pids": {…}} or {"error": text}.
"""

from __future__ import annotations

import json
import select
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from types import FrameType

import yaml

from promote.sandbox.real import gitea_server, stages
from promote.sandbox.real.processes import Processes, StartError
from promote.sandbox.real.programs import Ports, Programs, new_token
from promote.sandbox.real.rest import Rest, RestError

USERS = 24  # with no rights of their own: tests bind roles to them
CONFIG_MAPS = ("argocd-cm", "argocd-cmd-params-cm", "argocd-rbac-cm", "argocd-ssh-known-hosts-cm", "argocd-tls-certs-cm", "argocd-gpg-keys-cm")
LOOK_S = 0.5


class Stopped(Exception):
    """The parent requested the end."""


def _on_signal(number: int, _: FrameType | None) -> None:
    raise Stopped(signal.Signals(number).name)


def main(argv: list[str]) -> int:
    started, what, (binaries, state) = time.monotonic(), argv[0], (Path(p).resolve() for p in argv[1:])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _on_signal)
    state.mkdir(parents=True, exist_ok=True)
    processes = Processes(state)
    try:
        facts = gitea_server.bring_up(binaries, state, processes) if what == "gitea" else _cluster(binaries, state, processes)
        _say({"ready": round(time.monotonic() - started, 1), **facts, "pids": processes.pids()})
        return _watch(processes)
    except (Stopped, BrokenPipeError):
        return 0
    except (StartError, RestError, OSError, subprocess.SubprocessError) as error:
        _say({"error": f"{error}"})
        return 1
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        processes.stop()
        shutil.rmtree(state, ignore_errors=True)


def _say(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _watch(processes: Processes) -> int:
    """Until stdin ends, or a program does."""
    while not processes.dead():
        # An end of stdin cannot be missed: the kernel closes the starter's side however it dies.
        if select.select([sys.stdin], [], [], LOOK_S)[0] and not sys.stdin.readline():
            return 0
    for name in processes.dead():
        sys.stderr.write(f"{name} ended by itself:\n{processes.tail(name)}\n")
    return 1


def _cluster(binaries: Path, state: Path, processes: Processes) -> dict[str, object]:
    programs = Programs(binaries=binaries, state=state, ports=Ports.free())
    _bring_up(programs, processes)
    return {"url": f"https://127.0.0.1:{programs.ports.api}", "ports": asdict(programs.ports)}


def _bring_up(programs: Programs, processes: Processes) -> None:
    """In the order of who needs whom; what needs only the API server comes up side by side."""
    state, ports, plain = programs.state, programs.ports, programs.environment()
    for folder in ("tls", "ssh", "tmp"):
        (state / folder).mkdir(exist_ok=True)
    processes.start("etcd", programs.etcd(), plain)
    processes.start("redis", programs.redis(), plain)
    subprocess.run(["openssl", "genrsa", "-out", str(state / "sa.key"), "2048"], check=True, capture_output=True, stdin=subprocess.DEVNULL)
    token = _credentials(state)
    processes.wait_port("etcd", ports.etcd)
    processes.start("kube-apiserver", programs.api_server(), plain)
    processes.wait_port("kube-apiserver", ports.api)
    _kubeconfig(programs, token)
    rest = Rest(f"https://127.0.0.1:{ports.api}", token, state / "certs" / "apiserver.crt")
    rest.wait("/readyz")
    rest.wait("/api/v1/namespaces/default")
    lines = ("starting", "fatal: configuration key missing")
    (state / "pod.log").write_text("".join(f"2026-01-01T00:00:00.000000000Z stderr F {line}\n" for line in lines))
    (state / "kwok.yaml").write_text(stages.configuration(state / "pod.log"))
    processes.start("kube-controller-manager", programs.controller_manager(), plain)
    processes.start("kube-scheduler", programs.scheduler(), plain)
    processes.start("kwok", programs.kwok(), plain)
    processes.start("argocd-repo-server", programs.repo_server(), programs.environment("argocd-repo-server"))
    _argocd_objects(rest, programs.binaries / "crds")
    processes.wait_port("argocd-repo-server", ports.repo_server)
    processes.start("argocd-application-controller", programs.application_controller(), programs.environment("argocd-application-controller"))
    processes.wait_port("argocd-application-controller", ports.argocd_metrics)
    if dead := processes.dead():
        raise StartError(f"{dead[0]} ended by itself:\n{processes.tail(dead[0])}")


def _credentials(state: Path) -> str:
    """The token file: an administrator, and users without any right."""
    admin = new_token()
    users = {f"user-{n}": new_token() for n in range(USERS)}
    file = state / "tokens.csv"
    file.touch(mode=0o600)
    file.write_text(f'{admin},admin,admin,"system:masters"\n' + "".join(f"{token},{name},{name}\n" for name, token in users.items()))
    (state / "users.json").touch(mode=0o600)
    (state / "users.json").write_text(json.dumps({"admin": admin, **users}))
    return admin


def _kubeconfig(programs: Programs, token: str) -> None:
    cluster = {"server": f"https://127.0.0.1:{programs.ports.api}", "certificate-authority": str(programs.state / "certs" / "apiserver.crt")}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "admin",
        "clusters": [{"name": "real", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "admin", "context": {"cluster": "real", "user": "admin", "namespace": "argocd"}}],
    }
    programs.kubeconfig.touch(mode=0o600)
    programs.kubeconfig.write_text(yaml.safe_dump(document))


def _argocd_objects(rest: Rest, crds: Path) -> None:
    """What must be there before Argo CD's controller starts, and nodes to run on."""
    room = {"cpu": "320", "memory": "2560Gi", "pods": "10000"}
    part_of = {"app.kubernetes.io/part-of": "argocd"}
    for number in range(2):
        rest.apply({"kind": "Node", "metadata": {"name": f"node-{number}"}, "status": {"allocatable": room, "capacity": room}})
    for file in sorted(crds.glob("*.yaml")):
        rest.apply(yaml.safe_load(file.read_text()))
    rest.apply({"kind": "Namespace", "metadata": {"name": "argocd"}})
    for name in CONFIG_MAPS:
        rest.apply({"kind": "ConfigMap", "metadata": {"name": name, "namespace": "argocd", "labels": part_of}})
    secret = {"name": "argocd-secret", "namespace": "argocd", "labels": part_of}
    rest.apply({"kind": "Secret", "metadata": secret, "stringData": {"server.secretkey": new_token()}})
    rest.wait("/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects")
    rest.wait("/apis/argoproj.io/v1alpha1/namespaces/argocd/applications")
    rest.apply(
        {
            "kind": "AppProject",
            "metadata": {"name": "default", "namespace": "argocd"},
            "spec": {
                "sourceRepos": ["*"],
                "destinations": [{"namespace": "*", "server": "*"}],
                "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
            },
        }
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
