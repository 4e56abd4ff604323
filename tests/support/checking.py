"""A sandbox in which the pre suite is run by hand, as a developer would, and its verdicts are read check by check."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from promote.checklist.recorder import read_events
from promote.cli.sandbox_session import repository_files
from promote.sandbox.sandbox import Sandbox
from tests.support.declared import saw_verdicts
from tests.support.forked import run_forked, run_module

BIN = Path(sys.executable).parent


@dataclass
class Desk:
    """A developer's clone beside a running world. `path` are folders put first on PATH, `env` its variables besides those of the world."""

    sandbox: Sandbox
    clone: Path
    path: list[Path] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    version: str = "v1.8.0"

    def commit(self, message: str, files: Mapping[str, bytes | None] | None = None) -> str:
        """A colleague pushes, and the clone is brought up to date."""
        made = self.sandbox.commit(files if files is not None else {"docs/notes.md": f"# Notes\n\n{message}\n".encode()}, message)
        self.git("pull", "-q", "--ff-only")
        return made.strip() or self.git("rev-parse", "HEAD")

    def settings(self, *pairs: tuple[str, str], more: str = "") -> None:
        """Replace text in promotion.toml and push it."""
        text = self.git("show", "HEAD:promotion.toml") + "\n"
        for old, new in pairs:
            assert old in text, f"{old!r} is not in promotion.toml"
            text = text.replace(old, new)
        tomllib.loads(text + more)
        self.commit("chore: settings", {"promotion.toml": (text + more).encode()})

    def show(self, path: str) -> bytes | None:
        """A file of HEAD as it is there; None when it is not."""
        done = subprocess.run(["git", "show", f"HEAD:{path}"], cwd=self.clone, env=self.sandbox.env, capture_output=True, check=False)
        return done.stdout if done.returncode == 0 else None

    def git(self, *args: str) -> str:
        done = subprocess.run(["git", *args], cwd=self.clone, env=self.sandbox.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def check(self, *options: str, version: str | None = None, fresh: bool = False) -> dict[str, dict[str, Any]]:
        """The pre suite; every check's event by its id. `fresh`: in a new interpreter, as a developer starts it, instead of a forked one."""
        recorder = self.sandbox.directory / "checks.jsonl"
        recorder.unlink(missing_ok=True)
        env = self.sandbox.env | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"} | self.env
        env["PATH"] = ":".join([*map(str, self.path), env["PATH"]])
        args = ["checks/pre", "-q", "-p", "no:cacheprovider", "-p", "promote.checklist.plugin", "-p", "pytest_timeout"]
        args += [f"--promote-recorder={recorder}", "--promote-version", version or self.version, *options]
        done = (run_module if fresh else run_forked)("pytest", args, cwd=self.clone, env=env)
        checks = {e["id"]: e for e in read_events(recorder) if e["event"] == "check"}
        assert checks, done.stdout + done.stderr
        saw_verdicts((check, event["verdict"]) for check, event in checks.items())
        return checks


def verdicts(checks: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The checks that did not pass."""
    return {i: r["verdict"] for i, r in checks.items() if r["verdict"] != "passed"}


@contextmanager
def desk(folder: Path) -> Iterator[Desk]:
    """A running world with a clone of its repository."""
    with Sandbox(folder / "world", files=repository_files("git"), act=False, commands=[BIN]) as sandbox:
        yield Desk(sandbox, sandbox.clone(folder / "clone"))
