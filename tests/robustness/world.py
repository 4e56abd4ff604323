"""A sandbox that whole promotions run against, one after the other, as processes of their own; their reports are compared with the refs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from promote.cli.sandbox_session import repository_files
from promote.sandbox import seed
from promote.sandbox.http_server import Fault, Request
from promote.sandbox.http_server import World as HttpWorld
from promote.sandbox.sandbox import Sandbox
from tests.robustness.harness import LOCK, STABLE, scratch
from tests.support.repos import git

BIN, SITE = Path(sys.executable).parent, Path(__file__).parent / "crash_site"
GITEA = "apps/gitea/overlays/prod/service.yaml"
# `provable` is among them because it requires production at rest, which a process that was killed in the run before may not have left.
EVIDENCE = (
    "tasks-closed", "version-bump", "tests-passed", "dev-converged", "manifests", "breaking-changes", "documentation", "monitoring-ready",
    "alerts", "grafana", "events", "way-back", "provable",
)  # fmt: skip
_PROMETHEUS = re.compile(rb"^\[+prometheus.*\n(?:(?!\[).*\n)*", re.MULTILINE)


@dataclass
class World:
    """A sandbox that lives on from one promotion to the next, with a clone in it."""

    sandbox: Sandbox
    folder: Path
    clone: Path
    number: int = 0
    said: str = ""  # what the last command wrote for people

    def holds(self, ref: str) -> str:
        return git(self.sandbox.git.path, "rev-parse", "--verify", "--quiet", ref, ok=False)

    def next_version(self, *, bad: bool) -> str:
        """A commit on the trunk that would bring another image; a bad one answers 503 in production."""
        self.number += 1
        files = {"apps/vault/base/deployment.yaml": seed.deployment("vault", image=f"1.{20 + self.number}.0")}
        files[GITEA] = seed.service_config("gitea", status=503 if bad else 200, body="no" if bad else f"ok {self.number}")
        self.sandbox.commit(files, f"feat(vault): number {self.number}")
        return f"v1.{20 + self.number}.0"

    def promote(self, *args: str, at: str = "", marked: Mapping[str, str] | None = None, within_s: float = 300) -> tuple[int, str, str]:
        """Exit code (-9: killed at that point), its reported outcome, and its last words. `marked`: a mark in its environment."""
        env = {**self.sandbox.env, **(marked or {}), **({"CRASH_AT": at, "PYTHONPATH": str(SITE)} if at else {})}
        argv = [sys.executable, "-m", "promote", *args, "--json"]
        child = subprocess.Popen(
            argv, cwd=self.clone, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        out, err = child.communicate(timeout=within_s) if not at else _until_dead(child)
        outcome = ""
        if child.returncode != -signal.SIGKILL:
            try:
                outcome = json.loads(out)["outcome"]
            except (ValueError, KeyError):
                outcome = "no document"
        self.said = err.decode(errors="replace")
        return child.returncode, outcome, " / ".join(line.strip() for line in self.said.splitlines()[-3:])

    @contextmanager
    def in_weather(self, weather: Callable[[Request], Fault | None] | None, *only: HttpWorld) -> Iterator[None]:
        """Everything that promote talks to, or these places alone, for as long as the block runs."""
        worlds = only or (self.sandbox.github, self.sandbox.git, self.sandbox.prod.api, self.sandbox.dev.api)
        for place in worlds:
            place.weather = weather
        try:
            yield
        finally:
            for place in worlds:
                place.weather = None

    def shown(self) -> set[str]:
        """The revisions that production's applications show for the stable tag."""
        found = set()
        for app in self.sandbox.prod.list("Application"):
            sources = app["spec"].get("sources") or [app["spec"]["source"]]
            sync = app["status"]["sync"]
            revisions = sync.get("revisions") or [sync.get("revision")]
            found |= {r for s, r in zip(sources, revisions, strict=True) if s.get("targetRevision") == "prod-stable"}
        return found

    def breach(self, before: dict[str, str], version: str, code: int, outcome: str) -> str:
        """The fault in its report, "" without one."""
        stable, prod, working = self.holds(STABLE), self.holds(f"refs/tags/prod-{version}"), self.holds("refs/tags/prod-working")
        if self.holds(LOCK):
            return "the lock is still there"
        if not stable:
            return "the stable tag is gone"
        if outcome == "nothing" and stable not in (before[STABLE], prod, before["back"]):
            return f"nothing, but the stable tag is neither what it was nor {version} nor what it was to go back to"
        if outcome == "verified" and not stable == prod == working:
            return "verified, but stable, prod and working tag are not one object"
        if outcome == "rolled_back" and stable != before["back"]:
            return "rolled back, but the stable tag is not what it was"
        if outcome in ("unchecked", "refused") and (stable != before[STABLE] or (prod and prod != before["prod"])):
            return f"{outcome}, but a tag was moved"
        if code not in (0, 3, 5) or outcome not in ("verified", "rolled_back", "unchecked", "nothing"):
            return f"ended as {outcome} ({code})"
        wanted = self.holds(f"{STABLE}^{{commit}}")
        patience = time.monotonic() + (0 if outcome in ("verified", "rolled_back") else 30)  # these two are claims about the present
        while (shown := self.shown()) != {wanted} and time.monotonic() < patience:
            self.sandbox.refresh()
            time.sleep(0.2)
        return "" if shown == {wanted} else f"production shows {sorted(shown)}, the tag is at {wanted}"


def _until_dead(child: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """What it started keeps its pipes open, so wait for the process alone."""
    try:
        child.wait(300)
    finally:
        if child.returncode is None:
            os.killpg(child.pid, signal.SIGKILL)
    if child.returncode == -signal.SIGKILL:
        return b"", b""
    return child.communicate(timeout=60)


@contextmanager
def world(
    via: str,
    *,
    runner_env: Mapping[str, str] | None = None,
    settings: Mapping[bytes, bytes] | None = None,
    lean: bool = False,
    ruled: bool = False,
) -> Iterator[World]:
    """`runner_env`: what the machine that runs the workflow has beside git and PATH. `settings`: other words in promotion.toml.
    `lean`: without the checks that read evidence of no state. `ruled`: as of a `Way`."""
    with scratch() as folder:
        files = repository_files(via)
        for old, new in (settings or {}).items():
            assert old in files["promotion.toml"], old
            files["promotion.toml"] = files["promotion.toml"].replace(old, new)
        if lean:
            files["promotion.toml"] = _PROMETHEUS.sub(b"", files["promotion.toml"])  # declared rules are the repository's own: they go by going
            files["promotion.toml"] += "".join(
                f'\n[[checklist.disabled]]\nid = "{check}"\nreason = "not tried here"\n' for check in EVIDENCE
            ).encode()
        made = Sandbox(folder / "world", files=files, apps=6, act=False, commands=[BIN])
        made.runner_env |= runner_env or {}
        with made as sandbox:
            if ruled:
                sandbox.protect(STABLE, but_workflow=True)
            yield World(sandbox, folder, sandbox.clone(folder / "clone"))
