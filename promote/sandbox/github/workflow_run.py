"""Executing a workflow file of the repository: through `act` where it is installed, else its `run:` steps under bash in a fresh clone.

Either way the steps are the file's own, the log reads like GitHub's, and the machine knows no credentials but the token a step is given.
Without act, `uses:` steps are passed over (checkout is the fresh clone) and only the expressions of workflow_text.py are filled in.
Facts about act (0.2.89, tried): every step is in a session of its own, so killing act's group spares a step that ignores the hang-up; repository
and server come from the clone's remote, so both are given by --env; without --no-cache-server it opens a port; checkout copies its directory.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from promote.sandbox.github.processes import kill_tree
from promote.sandbox.github.workflow_text import Step, fill

ACTOR = "ada"
_COMMAND = re.compile(r"^::error(?: [^:]*)?::(.*)$")
_ACT_OWN = ("Set up job", "Complete job")


class Execution:
    """A job under way: its lines so far, its steps, and the way to end it."""

    def __init__(self, job: Callable[[Execution], int]) -> None:
        self.lines: list[str] = []
        self.steps: list[Step] = []
        self.killed = threading.Event()
        self._child: subprocess.Popen[str] | None = None
        self._guard = threading.Lock()
        self._code = 1
        self._thread = threading.Thread(target=self._go, args=(job,), name="job", daemon=True)
        self._thread.start()

    def _go(self, job: Callable[[Execution], int]) -> None:
        try:
            self._code = job(self)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:  # a workflow that cannot be run has failed
            self.lines.append(f"##[error]{type(error).__name__}: {error}")

    def wait(self) -> tuple[int, str]:
        """(exit code, log), when it is over."""
        self._thread.join()
        return self._code, "\n".join(self.lines)

    def run(self, argv: list[str], cwd: Path, env: Mapping[str, str], line: Callable[[str], None] | None = None) -> int:
        """One child in its own process group; each line of its output goes to `line`. Returns its exit code."""
        with self._guard:
            if self.killed.is_set():
                return 130
            self._child = child = subprocess.Popen(
                argv, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                start_new_session=True, text=True, errors="replace",
            )  # fmt: skip
        assert child.stdout
        with child.stdout:
            for text in child.stdout:
                (line or self.lines.append)(text.rstrip("\n"))
        return child.wait()

    def kill(self) -> None:
        """At once and with everything it started, like a machine that is switched off."""
        with self._guard:
            self.killed.set()
            if self._child and self._child.poll() is None:
                kill_tree(self._child.pid)

    def begin(self, name: str) -> Step:
        self.steps.append(Step(name=name))
        self.lines += [f"##[group]Run {name}", "##[endgroup]"]
        return self.steps[-1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What one job is run with: the clone, the file, its inputs, and the variables GitHub sets."""

    clone: Path
    file: str
    inputs: Mapping[str, str]
    variables: Mapping[str, str]


class Runner:
    """Starts jobs. `env` is what the runner's machine has (no token: that is the step's); `act` the binary, or None for the plain form."""

    def __init__(self, folder: Path, repository_url: str, slug: str, env: Mapping[str, str], *, token: str, act: str | None) -> None:
        self.folder, self.url, self.slug, self.env, self.token, self.act = folder, repository_url, slug, dict(env), token, act

    def start(self, file: str, inputs: Mapping[str, str], run_id: int, api_url: str) -> Execution:
        return Execution(lambda execution: self._run(execution, file, dict(inputs), run_id, api_url))

    def _run(self, execution: Execution, file: str, inputs: dict[str, str], run_id: int, api_url: str) -> int:
        with self._place(run_id) as place:
            clone = place / "work"
            if code := execution.run(["git", "clone", "--quiet", self.url, str(clone)], place, self.env | self._credentials()):
                return code
            variables = {
                "CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": str(run_id), "GITHUB_RUN_ATTEMPT": "1", "GITHUB_REPOSITORY": self.slug,
                "GITHUB_ACTOR": ACTOR, "GITHUB_EVENT_NAME": "workflow_dispatch", "GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main",
                "GITHUB_SERVER_URL": self.url.removesuffix(f"/{self.slug}.git"), "GITHUB_API_URL": api_url,
            }  # fmt: skip
            job = Job(clone=clone, file=file, inputs=inputs, variables=variables)
            return self._with_act(execution, job) if self.act else self._plainly(execution, job)

    def _credentials(self) -> dict[str, str]:
        """For checkout alone: nothing of them stays in the clone (persist-credentials: false) or shows in argv."""
        value = base64.b64encode(f"x-access-token:{self.token}".encode()).decode()
        # Configuration by the environment: other users can read a command line, and the clone keeps its config file.
        return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.extraHeader", "GIT_CONFIG_VALUE_0": f"Authorization: Basic {value}"}

    @contextmanager
    def _place(self, run_id: int) -> Iterator[Path]:
        self.folder.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=f"run-{run_id}-", dir=self.folder))
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _with_act(self, execution: Execution, job: Job) -> int:
        home = job.clone.parent / "home"
        (home / ".config" / "act").mkdir(parents=True)
        (home / ".config" / "act" / "actrc").write_text("")  # act asks for its images when there is none
        event, secret = job.clone.parent / "event.json", job.clone.parent / "secrets"
        event.write_text(json.dumps({"inputs": dict(job.inputs), "repository": {"full_name": self.slug, "default_branch": "main"}}))
        secret.write_text(f"GITHUB_TOKEN={self.token}\n")  # never in argv, which everybody can read
        secret.chmod(0o600)
        argv = [
            str(self.act), "workflow_dispatch", "-W", f".github/workflows/{job.file}", "-P", "ubuntu-latest=-self-hosted", "-e", str(event),
            "--secret-file", str(secret), "--actor", ACTOR, "--json", "--no-cache-server", *(f"--env={k}={v}" for k, v in job.variables.items()),
            *self._stand_ins(job),
        ]  # fmt: skip
        env = self.env | {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache"), "XDG_CONFIG_HOME": str(home / ".config")}
        return execution.run(argv, job.clone, env, lambda line: self._read_log_line(execution, line))

    def _stand_ins(self, job: Job) -> list[str]:
        """Nothing here reaches GitHub's actions: upload-artifact is stood in for by one that copies what it is given to `artifacts/NAME`."""
        text = (job.clone / ".github" / "workflows" / job.file).read_text()
        folder, kept = job.clone.parent / "upload-artifact", self.folder / "artifacts"
        folder.mkdir(exist_ok=True)
        script = 'test -e "$FROM" && mkdir -p "$TO" && cp -r "$FROM" "$TO"'
        step = {"run": script, "shell": "bash", "env": {"FROM": "${{ inputs.path }}", "TO": f"{kept}/${{{{ inputs.name }}}}"}}
        action = {"name": "stand-in", "inputs": {"name": {}, "path": {}, "if-no-files-found": {}}, "runs": {"using": "composite", "steps": [step]}}
        (folder / "action.yml").write_text(yaml.safe_dump(action))
        asked = set(re.findall(r"uses:\s*(actions/upload-artifact@\S+)", text))
        return [f"--local-repository={name}={folder}" for name in sorted(asked)]

    def _read_log_line(self, execution: Execution, line: str) -> None:
        """One line of act's JSON log, put as GitHub would."""
        try:
            entry = json.loads(line)
        except ValueError:
            entry = {"raw_output": not line.startswith(("Error: Job ", "Error: context canceled")), "msg": line}
        name, text = entry.get("step", ""), str(entry.get("msg", "")).rstrip("\n")
        if name and name not in _ACT_OWN and not any(s.name == name for s in execution.steps) and "stepResult" not in entry:
            execution.begin(name)
        if entry.get("raw_output"):
            execution.lines.append(text)
        elif entry.get("level") == "error":
            execution.lines.append("##[error]" + str(entry.get("arg") or text.replace("exit status", "Process completed with exit code")))
        elif name not in _ACT_OWN and (result := entry.get("stepResult")):
            for step in execution.steps:
                if step.name == name and not step.conclusion:
                    step.conclusion = str(result)

    def _plainly(self, execution: Execution, job: Job) -> int:
        workflow = yaml.safe_load((job.clone / ".github" / "workflows" / job.file).read_text())
        known = self._known(job)
        for work in workflow["jobs"].values():
            for number, step in enumerate(work["steps"], 1):
                shown = execution.begin(str(step.get("name") or step.get("uses") or f"Run step {number}"))
                outer = {**(workflow.get("env") or {}), **(work.get("env") or {}), **(step.get("env") or {})}
                code = self._step(execution, job, step, {k: fill(str(v), known) for k, v in outer.items()})
                shown.conclusion = "failure" if code else "success"
                if code:
                    execution.lines.append(f"##[error]Process completed with exit code {code}.")
                    return code
        return 0

    def _step(self, execution: Execution, job: Job, step: Mapping[str, object], env: Mapping[str, str]) -> int:
        if "run" not in step:
            execution.lines.append(f"{step.get('uses')}: passed over, the fresh clone is here already")
            return 0
        files = {f"GITHUB_{n}": str(job.clone.parent / n.lower()) for n in ("STEP_SUMMARY", "OUTPUT", "ENV", "PATH")}
        for file in files.values():
            Path(file).touch()
        machine = self.env | dict(job.variables) | files | {"GITHUB_WORKSPACE": str(job.clone)}
        script = fill(str(step["run"]), self._known(job))
        # bash as GitHub starts it where a step has `shell: bash`.
        return execution.run(["bash", "-eo", "pipefail", "-c", script], job.clone, machine | dict(env), lambda t: self._add_line(execution, t))

    def _add_line(self, execution: Execution, line: str) -> None:
        """One line of a step: the token is masked and error commands are shown as GitHub shows them."""
        execution.lines.append(_COMMAND.sub(r"##[error]\1", line.replace(self.token, "***")))

    def _known(self, job: Job) -> dict[str, str]:
        return {
            **{f"{prefix}.{k}": v for prefix in ("inputs", "github.event.inputs") for k, v in job.inputs.items()},
            **{f"github.{k.removeprefix('GITHUB_').lower()}": v for k, v in job.variables.items() if k.startswith("GITHUB_")},
            "github.token": self.token,
            "secrets.GITHUB_TOKEN": self.token,
        }
