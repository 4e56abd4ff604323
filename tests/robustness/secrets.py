"""R9: secrets go through whole promotions, good and bad, and are looked for in everything that is left: screens, files, git objects, command lines.

Looked for as they are, percent-encoded and in base64. The sandbox's worlds are full of them, so only what promote and its children wrote counts.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import yaml

from promote.cli.sandbox_session import repository_files
from promote.sandbox.http_server import Fault
from promote.sandbox.sandbox import TOKEN, WORKFLOW_TOKEN, Sandbox
from promote.sandbox.scenarios import SCENARIOS
from tests.robustness.harness import Figures, dice, main, scratch
from tests.support.processes import is_marked, mark

SMOKE, PROMETHEUS, PASSWORD = "smoke-header-secret-4711", "prometheus-header-secret-42", "url-password-secret-0815"
KUBE = {"prod": "kube-bearer-of-prod-1111", "dev": "kube-bearer-of-dev-2222"}
BIN = Path(sys.executable).parent
# A team's own smoke check that does everything a check should not do with a secret.
LOUD = b"""
import os, subprocess, sys, warnings, logging

def test_loud():
    for name in ("GITHUB_TOKEN", "SMOKE_TOKEN", "PROMETHEUS_TOKEN"):
        secret = os.environ[name]
        print("out", secret); print("err", secret, file=sys.stderr); logging.getLogger("team").warning("log %s", secret)
        subprocess.run(["sh", "-c", 'echo "program $SECRET" >&2'], env={**os.environ, "SECRET": secret}, check=True)
        os.write(2, f"descriptor {secret}".encode())
    bearer = f"Authorization: Bearer {os.environ['GITHUB_TOKEN']}"
    raise RuntimeError(f"{bearer} {os.environ['SMOKE_TOKEN']} {os.environ['PROMETHEUS_TOKEN']}")
"""


@dataclass
class Watch:
    """Looks at the command lines of every process that has the mark while something runs: others on this machine may be careless."""

    forms: Mapping[str, str]
    marked: Mapping[str, str]
    found: set[str] = field(default_factory=set)
    looks: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.01):
            self.looks += 1
            for process in (p for p in Path("/proc").iterdir() if p.name.isdigit()):
                try:
                    line = (process / "cmdline").read_bytes()
                    shown = {name for form, name in self.forms.items() if form.encode() in line}
                    if shown and is_marked(process, self.marked):
                        self.found |= shown
                except OSError:
                    continue


@dataclass
class Case:
    """One world with one way to go wrong, and the promotion in it."""

    world: Sandbox
    clone: Path
    env: dict[str, str]
    forms: Mapping[str, str]
    marked: Mapping[str, str]

    def run(self, *args: str) -> tuple[int, dict[str, bytes]]:
        """The exit code, and everything that was written, by place."""
        with Watch(self.forms, self.marked) as watch:
            done = subprocess.run(
                [sys.executable, "-m", "promote", *args], cwd=self.clone, env=self.env, capture_output=True, check=False, stdin=subprocess.DEVNULL
            )
        left = {"stdout": done.stdout, "stderr": done.stderr, "command lines": " ".join(watch.found).encode()}
        assert watch.looks > 10
        scratch_files = Path(self.env["TMPDIR"]).rglob("*")  # where the traceback of a bug is kept
        own = [*scratch_files, *(p for folder in ("reports", ".git/promote") for p in (self.clone / folder).rglob("*"))]
        for path in [*own, Path(self.env["GITHUB_STEP_SUMMARY"])]:
            if path.is_file():
                left[path.relative_to(self.clone.parent).as_posix()] = path.read_bytes()
        for where, folder in (("objects of the clone", self.clone), ("objects of the remote", self.world.git.path)):
            left[where] = subprocess.run(
                ["git", "cat-file", "--batch-all-objects", "--batch", "--unordered"], cwd=folder, capture_output=True, check=True
            ).stdout
        return done.returncode, left


def _secrets() -> dict[str, str]:
    """Every form of every secret → what it is."""
    named = {
        "forge token": TOKEN, "workflow's token": WORKFLOW_TOKEN, "kube token of prod": KUBE["prod"], "kube token of dev": KUBE["dev"], "smoke header": SMOKE,
        "prometheus header": PROMETHEUS, "URL password": PASSWORD,
    }  # fmt: skip
    forms: dict[str, str] = {}
    for name, secret in named.items():
        for form in (secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode(), f"x-access-token:{secret}"):
            forms[form] = name
    return forms


def _own_tokens(kubeconfig: Path) -> None:
    """One for each cluster, that of dev from an exec plugin: the embedded API servers take any."""
    document = yaml.safe_load(kubeconfig.read_text())
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": KUBE["dev"]}}
    plugin = kubeconfig.parent / "kube-plugin"
    plugin.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(credential)}\nEND\n")
    plugin.chmod(0o700)
    asked = {"apiVersion": credential["apiVersion"], "command": str(plugin), "interactiveMode": "Never"}
    for user in document["users"]:
        user["user"] = {"token": KUBE["prod"]} if user["name"] == "prod" else {"exec": asked}
    kubeconfig.write_text(yaml.safe_dump(document))


def _echo(world: Sandbox, where: str) -> None:
    """An endpoint that refuses, with every secret in its answer: as a proxy's debug page would."""
    body = json.dumps({"message": f"denied: {TOKEN} {KUBE['prod']} Bearer {KUBE['dev']} {SMOKE} {PROMETHEUS}", "kind": "Status"}).encode()
    place = {"kube": world.prod.api, "dev": world.dev.api, "github": world.github, "prometheus": world.prometheus, "smoke": world.services}[where]
    place.fault(Fault(kind="status", status=401 if where != "smoke" else 500, body=body, headers={"Content-Type": "application/json"}))


def _good(case: Case) -> None:
    SCENARIOS["good"].prepare(case.world)


def _back(case: Case) -> None:
    SCENARIOS["smoke-fails"].prepare(case.world)


def _loud(case: Case) -> None:
    case.world.commit({"checks/smoke/test_loud.py": LOUD}, "test: a loud one")
    SCENARIOS["good"].prepare(case.world)


def _bug(path: str) -> Callable[[Case], None]:
    """The driver meets a bug of its own where it opens such a file; the error's words hold secrets."""

    def prepare(case: Case) -> None:
        SCENARIOS["good"].prepare(case.world)
        case.env |= {"PYTHONPATH": str(Path(__file__).parent / "bug_site"), "BUG_AT": path}

    return prepare


def _password(case: Case) -> None:
    """Credentials in the remote's URL, and the wrong ones: git's own error names the URL."""
    url = case.world.git.repository_url.replace("://", f"://ada:{PASSWORD}@")
    subprocess.run(["git", "remote", "set-url", "origin", url], cwd=case.clone, check=True)
    case.env["GIT_CONFIG_GLOBAL"] = os.devnull


def _denied(where: str) -> Callable[[Case], None]:
    def prepare(case: Case) -> None:
        SCENARIOS["good"].prepare(case.world)
        _echo(case.world, where)

    return prepare


CASES: dict[str, tuple[Callable[[Case], None], set[int]]] = {
    "good": (_good, {0}),
    "rolled back": (_back, {3}),
    "a loud check": (_loud, {3}),
    "a bug before anything": (_bug("promotion.toml"), {5}),
    "a bug in the promotion": (_bug("/reports/"), {5}),
    "a password in the URL": (_password, {5}),
    **{f"{where} refuses": (_denied(where), {1, 5}) for where in ("kube", "dev", "prometheus")},
    "github refuses": (_denied("github"), {1, 5}),
    "smoke refuses": (_denied("smoke"), {1, 3, 5, 0}),
}


def one(seed: int, name: str, figures: Figures) -> None:
    """One case in a world of its own."""
    prepare, codes = CASES[name]
    files = repository_files("git")
    settings = files["promotion.toml"].decode()
    settings = settings.replace('contains = "ok"', 'contains = "ok"\nheaders = ["X-Api-Key: ${SMOKE_TOKEN}"]', 1)
    settings = settings.replace('sample_timeout = "10s"', 'sample_timeout = "10s"\nheaders = ["Authorization: Bearer ${PROMETHEUS_TOKEN}"]', 1)
    files["promotion.toml"] = settings.encode()
    with scratch() as folder, Sandbox(folder / "world", files=files, apps=6, act=False, commands=[BIN]) as world:
        marked = mark()
        env = {**world.env, **marked, "SMOKE_TOKEN": SMOKE, "PROMETHEUS_TOKEN": PROMETHEUS, "GITHUB_ACTIONS": "true"}
        env["TMPDIR"] = str(folder / "tmp")
        Path(env["TMPDIR"]).mkdir()
        env["GITHUB_STEP_SUMMARY"] = str(folder / "clone-summary.md")
        case = Case(world, world.clone(folder / "clone"), env, _secrets(), marked)
        _own_tokens(Path(env["KUBECONFIG"]))
        prepare(case)
        code, left = case.run("run", "v1.8.0", *(["--json"] if dice(seed).random() < 0.5 else []))
        figures.counts[name] += 1
        if code not in codes:
            figures.breach(seed, f"{name}: ended with {code}: {left['stderr'][-400:]!r} {left['stdout'][-400:]!r}")
        for place, content in left.items():
            for form, secret in case.forms.items():
                if form.encode() in content or (place == "command lines" and secret.encode() in content):
                    at = content.find(form.encode())
                    figures.breach(seed, f"{name}: {secret} in {place}: {content[max(0, at - 60) : at + 20]!r}")
        figures.counts["places looked at"] += len(left)


def run(seed: int, count: int, figures: Figures) -> None:
    """`count` cases in turn, beginning with the seed's."""
    names = list(CASES)
    for number in range(seed, seed + count):
        one(number, names[(number - 1) % len(names)], figures)


if __name__ == "__main__":
    sys.exit(main(__doc__, run, name="R9 secrets", count=len(CASES), full=5 * len(CASES)))
