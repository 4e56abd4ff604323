"""Argument lists of the real programs, for one stack on loopback. Starts nothing.

Flags that are not obvious are explained where they are; versions and their sources: docs/testing.md.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from promote.sandbox.real.processes import free_ports

CONTROLLERS = (
    "deployment-controller", "replicaset-controller", "statefulset-controller", "daemonset-controller", "job-controller", "namespace-controller",
    "garbage-collector-controller", "serviceaccount-controller", "endpointslice-controller", "cronjob-controller",
)  # fmt: skip
NEEDED = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "kustomize", "helm", "argocd", "crds")
Argv = list[str | Path | int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ports:
    """One free port for each listener."""

    etcd: int
    etcd_peer: int
    api: int
    controller_manager: int
    scheduler: int
    kubelet: int
    redis: int
    repo_server: int
    repo_metrics: int
    argocd_metrics: int

    @staticmethod
    def free() -> Ports:
        names = Ports.__slots__
        return Ports(**dict(zip(names, free_ports(len(names)), strict=True)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Programs:
    """`binaries` is a folder as tests/realstack/build.py fills it, `state` the stack's own folder."""

    binaries: Path
    state: Path
    ports: Ports

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    def missing(self) -> list[str]:
        """What the folder of binaries lacks."""
        return [name for name in NEEDED if not (self.binaries / name).exists()]

    def etcd(self) -> Argv:
        client, peer = (f"http://127.0.0.1:{p}" for p in (self.ports.etcd, self.ports.etcd_peer))
        # fmt: off
        return [self.binaries / "etcd", "--data-dir", self.state / "etcd", "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
                "--unsafe-no-fsync", "--log-level", "error"]
        # fmt: on

    def api_server(self) -> Argv:
        # ServiceAccount: nothing here makes tokens for pods. TaintNodesByCondition: no node-lifecycle controller takes the not-ready taint away.
        # ListFromCacheSnapshot: pages come from etcd, so that a compacted one really is too old (410), as it was before 1.34.
        key = self.state / "sa.key"
        # fmt: off
        return [self.binaries / "kube-apiserver", "--etcd-servers", f"http://127.0.0.1:{self.ports.etcd}", "--bind-address", "127.0.0.1",
                "--advertise-address", "127.0.0.1", "--secure-port", self.ports.api, "--cert-dir", self.state / "certs",
                "--token-auth-file", self.state / "tokens.csv", "--authorization-mode", "RBAC",
                "--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", key,
                "--service-account-signing-key-file", key, "--service-cluster-ip-range", "10.96.0.0/16", "--endpoint-reconciler-type", "none",
                "--kubelet-preferred-address-types", "InternalIP",
                "--feature-gates", "ListFromCacheSnapshot=false",
                "--disable-admission-plugins", "ServiceAccount,TaintNodesByCondition", "--profiling=false", "--allow-privileged=true"]
        # fmt: on

    def controller_manager(self) -> Argv:
        # fmt: off
        return [self.binaries / "kube-controller-manager", "--kubeconfig", self.kubeconfig, "--leader-elect=false",
                "--secure-port", self.ports.controller_manager, "--bind-address", "127.0.0.1",
                "--service-account-private-key-file", self.state / "sa.key", "--cert-dir", self.state / "kcm",
                "--controllers", ",".join(CONTROLLERS), "--concurrent-deployment-syncs", 10]
        # fmt: on

    def scheduler(self) -> Argv:
        # fmt: off
        return [self.binaries / "kube-scheduler", "--kubeconfig", self.kubeconfig, "--leader-elect=false",
                "--secure-port", self.ports.scheduler, "--bind-address", "127.0.0.1", "--cert-dir", self.state / "scheduler"]
        # fmt: on

    def kwok(self) -> Argv:
        # fmt: off
        return [self.binaries / "kwok", "--kubeconfig", self.kubeconfig, "--manage-all-nodes=true", "--config", self.state / "kwok.yaml",
                "--node-ip", "127.0.0.1", "--node-port", self.ports.kubelet, "--server-address", f"127.0.0.1:{self.ports.kubelet}",
                "--tls-cert-file", self.state / "certs" / "apiserver.crt", "--tls-private-key-file", self.state / "certs" / "apiserver.key"]
        # fmt: on

    def redis(self) -> Argv:
        return ["redis-server", "--port", self.ports.redis, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]

    def repo_server(self) -> Argv:
        # fmt: off
        return [self.binaries / "argocd", "--address", "127.0.0.1", "--port", self.ports.repo_server, "--metrics-address", "127.0.0.1",
                "--metrics-port", self.ports.repo_metrics, "--redis", f"127.0.0.1:{self.ports.redis}", "--disable-tls"]
        # fmt: on

    def application_controller(self) -> Argv:
        # fmt: off
        return [self.binaries / "argocd", "--kubeconfig", self.kubeconfig, "--namespace", "argocd",
                "--repo-server", f"127.0.0.1:{self.ports.repo_server}", "--repo-server-plaintext",
                "--redis", f"127.0.0.1:{self.ports.redis}", "--metrics-port", self.ports.argocd_metrics]
        # fmt: on

    def environment(self, program: str = "") -> Mapping[str, str]:
        """Nothing of the caller's clusters, git or home. `program` picks what the one Argo CD binary is."""
        path = os.pathsep.join([str(self.binaries), os.environ.get("PATH", os.defpath)])
        base = {"PATH": path, "HOME": str(self.state), "TMPDIR": str(self.state / "tmp"), "GIT_CONFIG_NOSYSTEM": "1"}
        if not program:
            return base
        # ARGOCD_FAKE_IN_CLUSTER: "https://kubernetes.default.svc" then is the API server of KUBECONFIG.
        return base | {
            "ARGOCD_BINARY_NAME": program,
            "ARGOCD_FAKE_IN_CLUSTER": "true",
            "ARGOCD_GPG_ENABLED": "false",
            "ARGOCD_APPLICATION_NAMESPACES": "team-a,team-b",
            "ARGOCD_HYDRATOR_ENABLED": "true",
            "ARGOCD_TLS_DATA_PATH": str(self.state / "tls"),
            "ARGOCD_SSH_DATA_PATH": str(self.state / "ssh"),
            "KUBECONFIG": str(self.kubeconfig),
        }


def new_token() -> str:
    """A unique bearer token."""
    return secrets.token_hex(16)
