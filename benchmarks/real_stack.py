"""Promotions on a real API server and a real Argo CD: good, smoke failure with its rollback, and a bad revision that is stuck retrying.

    python benchmarks/real_stack.py KUBECONFIG ARGO_CD_SOURCE

KUBECONFIG leads to a cluster with Argo CD (context "prod") that can reach loopback; ARGO_CD_SOURCE is a checkout of Argo CD, whose own install
manifests and end-to-end test applications make the fleet. Prints one line a scenario: outcome and seconds. The remote is real git over HTTP.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from promote.clients.kube import Kube, connect
from promote.commands.world import TEMPLATES, checks_folder
from promote.sandbox.git_server import GitServer
from promote.sandbox.git_writer import GitWriter
from promote.sandbox.http_world import Request, Response, World

FLEET = (
    "config-map", "deployment", "guestbook", "helm-guestbook", "hook-and-deployment", "multi-namespace", "one-deployment", "secrets", "service",
    "sync-waves", "crashing-guestbook", "kustomize", "failure-during-sync", "networking", "ssa-revision-history", "hook", "crd-creation",
)  # fmt: skip
# Their sync can never succeed, so they can never show a commit; they live in the fleet, and the selector leaves them out.
HOPELESS = ("failure-during-sync", "networking", "ssa-revision-history", "hook", "kustomize")
DEV = ("config-map", "guestbook", "service")
TOKEN = "real-stack"


class Smoke(World):
    """Answers as the live ConfigMap fleet-smoke in production says."""

    def __init__(self, kube: Kube) -> None:
        super().__init__("smoke")
        self.kube = kube

    def handle(self, request: Request) -> Response:
        data = self.kube.get("/api/v1/namespaces/fleet-service/configmaps/fleet-smoke").get("data") or {}
        return Response(status=int(data.get("status", 200)), body=data.get("body", "").encode())


def application(name: str, env: str, url: str) -> dict[str, object]:
    target = "prod-stable" if env == "prod" else "main"
    meta = {"name": name if env == "prod" else f"dev-{name}", "namespace": "argocd", "labels": {"promote": "no" if name in HOPELESS else "yes"}}
    destination = {"server": "https://kubernetes.default.svc", "namespace": f"{'fleet' if env == 'prod' else 'dev'}-{name}"}
    policy = {"automated": {"prune": True, "selfHeal": True}, "syncOptions": ["CreateNamespace=true"]}
    source = {"repoURL": url, "targetRevision": target, "path": f"apps/{name}"}
    spec = {"project": "default", "destination": destination, "source": source, "syncPolicy": policy}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": meta, "spec": spec}


def smoke_map(status: int, body: str) -> bytes:
    return yaml.safe_dump(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "fleet-smoke"}, "data": {"status": str(status), "body": body}}
    ).encode()


def repository(source: Path, url: str, smoke_url: str) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for name in FLEET:
        folder = source / "test" / "e2e" / "testdata" / name
        files |= {f"apps/{name}/{p.relative_to(folder)}": p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
        files[f"argocd/prod/{name}.yaml"] = yaml.safe_dump(application(name, "prod", url)).encode()
    for name in DEV:
        files[f"argocd/dev/{name}.yaml"] = yaml.safe_dump(application(name, "dev", url)).encode()
    checks = checks_folder()
    files |= {f"checks/{p.relative_to(checks).as_posix()}": p.read_bytes() for p in sorted(checks.rglob("*.py"))}
    files["apps/service/smoke.yaml"] = smoke_map(200, "ok")
    files["justfile"] = (TEMPLATES / "justfile").read_bytes()
    files[".gitignore"] = b"reports/\n__pycache__/\n"
    files["promotion.toml"] = f"""
promotion.via = "git"
github.repository = "acme/gitops"
baseline.max_unhealthy = 0.3
[prod]
kubeconfig = ""
context = "prod"
root = "fleet"
selector = "promote=yes"
[dev]
kubeconfig = ""
context = "prod"
[argocd]
converge_timeout = "60s"
degraded_grace = "10s"
look_every = "1s"
[[smoke.urls]]
name = "fleet"
url = "{smoke_url}/"
tries = 2
""".encode()
    return files


def settle(kube: Kube, seconds: float) -> None:
    """Until the applications that can are synced, or the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        apps = kube.items("/apis/argoproj.io/v1alpha1/namespaces/argocd/applications")
        mine = [a for a in apps if (a["metadata"].get("labels") or {}).get("promote") == "yes"]
        late = [a["metadata"]["name"] for a in mine if ((a.get("status") or {}).get("sync") or {}).get("status") != "Synced" or a.get("operation")]
        if len(mine) > len(DEV) and not late:
            return
        time.sleep(1)
    print("not settled:", late)


def promote(clone: Path, env: dict[str, str], version: str) -> dict[str, object]:
    started = time.monotonic()
    argv = [sys.executable, "-m", "promote", "run", version, "--json"]
    done = subprocess.run(argv, cwd=clone, env=env, stdout=subprocess.PIPE, text=True, check=False)
    said: dict[str, object] = json.loads(done.stdout)
    steps = ", ".join(f"{s['name']} {s['seconds']}" for s in said["steps"])  # type: ignore[attr-defined]
    print(f"== {version}: {said['outcome']} exit {done.returncode} in {time.monotonic() - started:.1f} s ({steps})", flush=True)
    return said


def main() -> int:
    kubeconfig, source = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    kube = connect("prod", kubeconfig, "prod")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        server, smoke = GitServer(folder / "remote.git", "acme/gitops", tokens=(TOKEN,)), Smoke(kube)
        server.create()
        with server, smoke:
            return scenarios(folder, server, smoke, kube, kubeconfig, source)


def scenarios(folder: Path, server: GitServer, smoke: Smoke, kube: Kube, kubeconfig: Path, source: Path) -> int:
    url, writer = server.repository_url, GitWriter(server.path)
    (folder / "credentials").write_text(server.url.replace("://", f"://x:{TOKEN}@") + "\n")
    (folder / "gitconfig").write_text(f"[user]\n\tname = Ada\n\temail = a@b.c\n[credential]\n\thelper = store --file={folder / 'credentials'}\n")
    env = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(folder), "KUBECONFIG": str(kubeconfig),
           "GIT_CONFIG_GLOBAL": str(folder / "gitconfig")}  # fmt: skip
    clone = folder / "clone"
    subprocess.run(["git", "clone", "-q", url, str(clone)], env=env, check=True, capture_output=True)
    for path, content in repository(source, url, smoke.url).items():
        (clone / path).parent.mkdir(parents=True, exist_ok=True)
        (clone / path).write_bytes(content)
    for args in (["add", "-A"], ["commit", "-qm", "feat: fleet"], ["tag", "-a", "prod-v1.0.0", "-m", "1"], ["tag", "-a", "prod-stable", "-m", "1"],
                 ["push", "-q", "--tags", "origin", "HEAD:main"]):  # fmt: skip
        subprocess.run(["git", *args], cwd=clone, env=env, check=True)
    for name, branch in (("fleet", "prod"), ("dev", "dev")):
        root = application("guestbook", branch, url)
        root["metadata"] = {"name": name, "namespace": "argocd", "labels": {"promote": "yes"}}
        root["spec"] |= {"destination": {"server": "https://kubernetes.default.svc", "namespace": "argocd"}}  # type: ignore[operator]
        root["spec"]["source"]["path"] = f"argocd/{branch}"  # type: ignore[index]
        subprocess.run(["kubectl", "-n", "argocd", "delete", "application", name, "--ignore-not-found", "--wait=false"], env=env, check=True)
        subprocess.run(["kubectl", "apply", "-f", "-"], input=json.dumps(root).encode(), env=env, check=True)
    settle(kube, 90)
    subprocess.run(["kubectl", "-n", "argocd", "get", "applications"], env=env, check=False)
    writer.commit({"apps/service/extra.yaml": smoke_map(200, "x").replace(b"fleet-smoke", b"extra")}, "feat(service): one more")
    good = promote(clone, env, "v1.1.0")
    writer.commit({"apps/service/smoke.yaml": smoke_map(503, "db migration pending")}, "feat(service): breaks the smoke test in production")
    healed = promote(clone, env, "v1.2.0")
    writer.commit({"apps/service/smoke.yaml": smoke_map(200, "ok"), "apps/one-deployment/bad.yaml": b"apiVersion: v1\nkind: Service\nmetadata:\n  name: bad\nspec:\n"
                   b"  ports:\n  - port: 9999999\n"}, "feat(one-deployment): a Service that no API server takes")  # fmt: skip
    stuck = promote(clone, env, "v1.3.0")
    subprocess.run(["git", "ls-remote", "origin"], cwd=clone, env=env, check=False)
    subprocess.run(["kubectl", "-n", "argocd", "get", "applications"], env=env, check=False)
    return 0 if [r["outcome"] for r in (good, healed, stuck)] == ["verified", "rolled_back", "rolled_back"] else 1


if __name__ == "__main__":
    sys.exit(main())
