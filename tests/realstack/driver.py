"""What a driver needs in a cluster and a repository of a test's own: its environment, its kubeconfig, and the files that it expects in the repository."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import yaml

from promote.cli.sandbox_session import TEMPLATES, checks_folder
from promote.sandbox.git.server import GitServer
from tests.contract.api import Object
from tests.realstack.journey import BIN

# Dev and production share the cluster, and the applications have neither tests nor documents.
SETTINGS = """
promotion.via = "git"
github.repository = "acme/gitops"
baseline.max_unhealthy = @MAX_UNHEALTHY@
[prod]
kubeconfig = ""
context = "prod"
root_app = "@ROOT@"
@PROD@
[dev]
kubeconfig = ""
context = "prod"
[argocd]
converge_timeout = "@LIMIT@"
degraded_grace = "10s"
poll_interval = "0.5s"
successes = 2
@ARGOCD@
[post]
event_window = "1s"
[tasks]
source = "none"
[[checklist.disabled]]
id = "tests-passed"
reason = "these applications have no tests"
[[checklist.disabled]]
id = "documentation"
reason = "they are documented elsewhere"
[[smoke.urls]]
name = "front"
url = "@SMOKE@"
attempts = 2
interval = "0.5s"
@MORE@
"""


def tool_files(texts: Mapping[str, str]) -> dict[str, bytes]:
    """The files of a repository that uses promote. `texts`: of the places in `SETTINGS`, by name; those without one stay empty."""
    files = {f"checks/{p.relative_to(checks_folder()).as_posix()}": p.read_bytes() for p in sorted(checks_folder().rglob("*.py"))}
    files |= {"justfile": (TEMPLATES / "justfile").read_bytes(), ".gitignore": b"reports/\n__pycache__/\n"}
    settings = SETTINGS
    for place in ("MAX_UNHEALTHY", "ROOT", "PROD", "LIMIT", "ARGOCD", "SMOKE", "MORE"):
        settings = settings.replace(f"@{place}@", texts.get(place, ""))
    return files | {"promotion.toml": settings.encode()}


def environment(folder: Path, git: GitServer, token: str) -> dict[str, str]:
    """Nothing of the developer's own; git logs in at the server with the token."""
    (folder / "credentials").write_text(git.url.replace("://", f"://x:{token}@") + "\n")
    (folder / "gitconfig").write_text(
        f"[user]\n\tname = Ada\n\temail = ada@acme.example\n[credential]\n\thelper = store --file={folder / 'credentials'}\n"
    )
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)])
    return {"PATH": path, "HOME": str(folder), "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}


def kubeconfig(folder: Path, access: Object, token: str) -> str:
    """The path of a file whose only context, `prod`, is one user of one cluster."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "prod",
        "clusters": [{"name": "prod", "cluster": access}],
        "users": [{"name": "prod", "user": {"token": token}}],
        "contexts": [{"name": "prod", "context": {"cluster": "prod", "user": "prod", "namespace": "argocd"}}],
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump(document))
    return str(folder / "kubeconfig")
