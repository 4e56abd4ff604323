"""Executing a workflow file of the repository: through `act` where it is installed, else its `run:` steps under bash in a fresh clone.

Either way the steps are the file's own. Without act, `uses:` steps are passed over (checkout is the fresh clone) and only the expressions that
this world knows are filled in.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


class Execution:
    """A job under way in its own process group."""

    def __init__(self, job: Callable[[Execution], tuple[int, str]]) -> None:
        self.child: subprocess.Popen[bytes] | None = None
        self.killed = threading.Event()
        self._result: tuple[int, str] = (1, "")
        self._thread = threading.Thread(target=self._go, args=(job,), name="job", daemon=True)
        self._thread.start()

    def _go(self, job: Callable[[Execution], tuple[int, str]]) -> None:
        self._result = job(self)

    def wait(self) -> tuple[int, str]:
        self._thread.join()
        return self._result

    def run(self, argv: list[str], cwd: Path, env: Mapping[str, str]) -> tuple[int, str]:
        """One child, its output and exit code."""
        if self.killed.is_set():
            return 130, ""
        self.child = subprocess.Popen(
            argv, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        out, _ = self.child.communicate()
        return self.child.returncode, out.decode(errors="replace")

    def kill(self) -> None:
        self.killed.set()
        if self.child and self.child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.child.pid, signal.SIGKILL)


class Runner:
    """Starts jobs. `env` is what a runner machine would have; `act` the binary or None for the plain form."""

    def __init__(self, folder: Path, repository_url: str, slug: str, env: Mapping[str, str], *, token: str, act: str | None) -> None:
        self.folder, self.url, self.slug, self.env, self.token, self.act = folder, repository_url, slug, dict(env), token, act

    def start(self, file: str, inputs: Mapping[str, str], run_id: int, api_url: str) -> Execution:
        return Execution(lambda execution: self._job(execution, file, dict(inputs), run_id, api_url))

    def _job(self, execution: Execution, file: str, inputs: dict[str, str], run_id: int, api_url: str) -> tuple[int, str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=f"run-{run_id}-", dir=self.folder))
        clone = place / "work"
        try:
            code, out = execution.run(["git", "clone", "--quiet", self.url, str(clone)], place, self.env)
            if code:
                return code, out
            env = self.env | {
                "GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": str(run_id), "GITHUB_REPOSITORY": self.slug, "GITHUB_ACTOR": "ada",
                "GITHUB_SERVER_URL": self.url.rpartition(f"/{self.slug}")[0], "GITHUB_API_URL": api_url,
            }  # fmt: skip
            run = self._with_act if self.act else self._plainly
            return run(execution, clone, file, inputs, env)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _with_act(self, execution: Execution, clone: Path, file: str, inputs: dict[str, str], env: dict[str, str]) -> tuple[int, str]:
        """The real nektos/act on the host, without Docker or network: checkout is the clone act was started in."""
        home = clone.parent / "home"
        (home / ".config" / "act").mkdir(parents=True)
        (home / ".config" / "act" / "actrc").write_text("")
        event, secrets_file = clone.parent / "event.json", clone.parent / "secrets"
        event.write_text(json.dumps({"inputs": inputs, "repository": {"full_name": self.slug, "default_branch": "main"}}))
        secrets_file.write_text(f"GITHUB_TOKEN={self.token}\n")
        keep = [f"--env={k}={env[k]}" for k in ("GIT_CONFIG_GLOBAL", "PATH") if k in env]
        argv = [
            str(self.act), "workflow_dispatch", "-W", f".github/workflows/{file}", "-P", "ubuntu-latest=-self-hosted", "-e", str(event),
            "--secret-file", str(secrets_file), "--actor", "ada", *keep, "--env", f"GITHUB_RUN_ID={env['GITHUB_RUN_ID']}",
        ]  # fmt: skip
        hidden = {k: v for k, v in env.items() if not k.startswith("GITHUB_")}
        return execution.run(argv, clone, hidden | {"XDG_CACHE_HOME": str(home / ".cache"), "XDG_CONFIG_HOME": str(home / ".config")})

    def _plainly(self, execution: Execution, clone: Path, file: str, inputs: dict[str, str], env: dict[str, str]) -> tuple[int, str]:
        workflow = yaml.safe_load((clone / ".github" / "workflows" / file).read_text())
        log = []
        for job in workflow["jobs"].values():
            for step in job["steps"]:
                name = step.get("name") or step.get("uses") or "run"
                if "run" not in step:
                    log.append(f"{name}: the clone is here already")
                    continue
                step_env = {
                    k: self._fill(str(v), inputs, env)
                    for k, v in {**(workflow.get("env") or {}), **(job.get("env") or {}), **(step.get("env") or {})}.items()
                }
                code, out = execution.run(["bash", "-eo", "pipefail", "-c", self._fill(step["run"], inputs, env)], clone, env | step_env)
                log.append(f"{name}\n{out}")
                if code:
                    return code, "\n".join(log)
        return 0, "\n".join(log)

    def _fill(self, text: str, inputs: Mapping[str, str], env: Mapping[str, str]) -> str:
        """Expressions this world knows; anything else becomes empty, as an unset context value does."""
        known: dict[str, Any] = {
            **{f"{prefix}.{k}": v for prefix in ("inputs", "github.event.inputs") for k, v in inputs.items()},
            "github.token": self.token,
            "secrets.GITHUB_TOKEN": self.token,
            "github.actor": "ada",
            "github.run_id": env.get("GITHUB_RUN_ID", ""),
            "github.repository": self.slug,
        }

        def value(match: re.Match[str]) -> str:
            for part in match[1].split("||"):
                word = part.strip()
                if found := word.strip("'") if word.startswith("'") else known.get(word, ""):
                    return str(found)
            return ""

        return _EXPRESSION.sub(value, text)
