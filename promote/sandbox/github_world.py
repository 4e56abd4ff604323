"""GitHub's REST API for Actions, with state: workflows of the repository, dispatches, runs, jobs, logs behind a signed redirect, cancellation.

Runs really run: `workflow_run.py` executes the repository's own workflow file.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import yaml

from promote.sandbox.http_world import Request, Response, World, json_response
from promote.sandbox.workflow_run import Execution, Runner

Object = dict[str, Any]
_INPUT = re.compile(r"\$\{\{\s*inputs\.(\w+)\s*\}\}")


@dataclass(kw_only=True, slots=True)
class WorkflowRun:
    """One run. `status`: queued, in_progress, waiting, completed."""

    id: int
    file: str
    title: str
    name: str
    inputs: dict[str, str]
    created: str
    group: str
    head: str
    status: str = "queued"
    conclusion: str | None = None
    log: str = ""
    failed_step: str = ""
    execution: Execution | None = field(default=None, repr=False)


class GitHubWorld(World):
    """`read_workflow(file)` gives a workflow file of the trunk or None; `runner` executes it."""

    def __init__(
        self, slug: str, *, read_workflow: Callable[[str], str | None], head: Callable[[], str], runner: Runner, token: str, queue_s: float = 0.3
    ) -> None:
        super().__init__("github")
        self.slug, self.token, self.queue_s = slug, token, queue_s
        self.run_details = True
        self.needs_approval = False
        self.runs: list[WorkflowRun] = []
        self._read, self._head, self._runner = read_workflow, head, runner
        self._fail_text: str | None = None
        self._hang = False
        self.released = threading.Event()
        self._changed = threading.Condition()
        self._signed: dict[str, int] = {}
        self._worker: threading.Thread | None = None

    def fail_run(self, log_text: str) -> None:
        """The next run's job fails before it does anything."""
        self._fail_text = log_text

    def hang_run(self) -> None:
        """The next run stays in progress until `released` is set, then goes on."""
        self._hang = True

    def stop(self) -> None:
        super().stop()
        self.released.set()
        for run in self.runs:
            if run.execution:
                run.execution.kill()
        with self._changed:
            self._changed.notify_all()
        if self._worker:
            self._worker.join(10)

    def handle(self, request: Request) -> Response:
        if request.path.startswith("/signed/"):
            return self._log(request)
        said = request.headers.get("authorization", "")
        if said.rpartition(" ")[2] != self.token:
            return json_response({"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest"}, 401)
        prefix = f"/repos/{self.slug}"
        if request.path == "/rate_limit":
            return json_response({"resources": {"core": {"limit": 5000, "remaining": 4999, "reset": 0, "used": 1}}})
        if not request.path.startswith(prefix):
            return _missing()
        rest = request.path.removeprefix(prefix).strip("/").split("/")
        if rest == [""]:
            return json_response(
                {"id": 1, "name": self.slug.partition("/")[2], "full_name": self.slug, "url": f"{self.url}{prefix}", "default_branch": "main"}
            )
        if rest[:2] == ["actions", "workflows"]:
            return self._workflows(rest[2:], request)
        if rest[:2] == ["actions", "runs"]:
            return self._runs(rest[2:], request)
        if rest[:2] == ["actions", "jobs"]:
            return self._jobs(rest[2:])
        return _missing()

    def _workflows(self, rest: list[str], request: Request) -> Response:
        file = rest[0] if rest else ""
        text = self._read(file)
        if text is None:
            return _missing()
        if len(rest) == 1:
            return json_response(
                {"id": file, "name": file, "path": f".github/workflows/{file}", "state": "active", "url": self._url(f"workflows/{file}")}
            )
        if rest[1] == "dispatches" and request.method == "POST":
            return self._dispatch(file, yaml.safe_load(text), request.json() or {})
        runs = [r for r in self.runs if r.file == file and r.created >= request.query.get("created", "").removeprefix(">=")]
        return json_response({"total_count": len(runs), "workflow_runs": [self._shown(r) for r in reversed(runs)]})

    def _dispatch(self, file: str, workflow: Object, body: Object) -> Response:
        details = body.pop("return_run_details", False)
        if details and not self.run_details:
            return json_response({"message": 'Invalid request.\n\n"return_run_details" is not a permitted key.'}, 422)
        loose: dict[Any, Any] = workflow  # YAML 1.1 reads the key `on` as true
        trigger = loose.get("on") or loose.get(True) or {}
        declared = ((trigger.get("workflow_dispatch") or {}).get("inputs")) or {}
        given = {k: str(v) for k, v in (body.get("inputs") or {}).items()}
        if unknown := sorted(set(given) - set(declared)):
            return json_response({"message": f"Unexpected inputs provided: {unknown}"}, 422)
        if missing := sorted(k for k, v in declared.items() if v.get("required") and not given.get(k)):
            return json_response({"message": f"Required input '{missing[0]}' not provided"}, 422)
        inputs = {k: str(v.get("default", "")) for k, v in declared.items()} | given
        title = _INPUT.sub(lambda m: inputs.get(m[1], ""), str(workflow.get("run-name") or workflow.get("name") or file)).strip()
        group = str((workflow.get("concurrency") or {}).get("group", "")) if isinstance(workflow.get("concurrency"), dict) else ""
        with self._changed:
            run = WorkflowRun(
                id=8100 + len(self.runs), file=file, title=title, name=str(workflow.get("name", file)), inputs=inputs,
                created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), group=group, head=self._head(),
            )  # fmt: skip
            for other in self.runs:  # one pending run a group: a newer one replaces it
                if group and other.group == group and other.status == "queued":
                    other.status, other.conclusion = "completed", "cancelled"
            self.runs.append(run)
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="actions", daemon=True)
                self._worker.start()
            self._changed.notify_all()
        if not details:
            return Response(status=204)
        return json_response({"workflow_run_id": run.id, "run_url": self._url(f"runs/{run.id}"), "html_url": self._html(run)})

    def _work(self) -> None:
        """One run at a time, in order: what the concurrency group of the workflow asks for."""
        while not self.stopping.is_set():
            with self._changed:
                waiting = [r for r in self.runs if r.status in ("queued", "waiting")]
                if not waiting or (self.needs_approval and waiting[0].status == "waiting"):
                    self._changed.wait(0.5)
                    continue
            run = waiting[0]
            self.stopping.wait(self.queue_s)
            if self.needs_approval:
                run.status = "waiting"
                continue
            if run.status in ("queued", "waiting"):
                self._execute(run)

    def _execute(self, run: WorkflowRun) -> None:
        run.status = "in_progress"
        if self._fail_text is not None:
            run.log, run.failed_step, self._fail_text = self._fail_text, "Move the tags", None
            run.status, run.conclusion = "completed", "failure"
            return
        if self._hang:
            self._hang = False
            self.released.wait()
            if self.stopping.is_set():
                return
        execution = self._runner.start(run.file, run.inputs, run.id, self.url)
        run.execution = execution
        code, run.log = execution.wait()
        if run.status != "completed":
            run.failed_step = "" if code == 0 else "Move the tags"
            run.conclusion = "success" if code == 0 else "failure"
            run.status = "completed"

    def approve(self) -> None:
        """A reviewer lets waiting runs go."""
        with self._changed:
            self.needs_approval = False
            self._changed.notify_all()

    def _runs(self, rest: list[str], request: Request) -> Response:
        run = next((r for r in self.runs if rest and str(r.id) == rest[0]), None)
        if run is None:
            return _missing()
        if len(rest) == 1:
            return json_response(self._shown(run))
        if rest[1] == "jobs":
            return json_response({"total_count": 1, "jobs": [self._job(run)]})
        if rest[1] == "pending_deployments":
            return json_response([{"environment": {"name": "production"}, "reviewers": [{"type": "User", "reviewer": {"login": "grace"}}]}])
        if rest[1] == "cancel" and request.method == "POST":
            if run.status == "completed":
                return json_response({"message": "Cannot cancel a workflow run that is completed."}, 409)
            run.status, run.conclusion = "completed", "cancelled"
            if run.execution:
                run.execution.kill()
            return json_response({}, 202)
        return _missing()

    def _jobs(self, rest: list[str]) -> Response:
        if len(rest) == 2 and rest[1] == "logs":
            key = secrets.token_hex(8)
            self._signed[key] = int(rest[0])
            return Response(status=302, headers={"Location": f"{self.url}/signed/{key}"})
        return _missing()

    def _log(self, request: Request) -> Response:
        if "authorization" in request.headers:
            return Response(status=400, body=b"Only one auth mechanism allowed")
        run_id = self._signed.get(request.path.rpartition("/")[2])
        run = next((r for r in self.runs if r.id == run_id), None)
        lines = "".join(f"2026-01-01T00:00:00.0000000Z {line}\n" for line in (run.log if run else "").splitlines())
        return Response(body=lines.encode(), headers={"Content-Type": "text/plain"})

    def _job(self, run: WorkflowRun) -> Object:
        step = {"name": run.failed_step or "Move the tags", "status": run.status, "conclusion": run.conclusion, "number": 1}
        return {
            "id": run.id, "run_id": run.id, "name": "promote", "status": run.status, "conclusion": run.conclusion, "steps": [step],
            "url": self._url(f"jobs/{run.id}"), "html_url": self._html(run),
        }  # fmt: skip

    def _shown(self, run: WorkflowRun) -> Object:
        url = self._url(f"runs/{run.id}")
        return {
            "id": run.id,
            "name": run.name,
            "display_title": run.title,
            "event": "workflow_dispatch",
            "status": run.status,
            "conclusion": run.conclusion,
            "head_branch": "main",
            "head_sha": run.head,
            "run_number": run.id - 8099,
            "run_attempt": 1,
            "created_at": run.created,
            "updated_at": run.created,
            "html_url": self._html(run),
            "url": url,
            **{f"{name}_url": f"{url}/{name}" for name in ("jobs", "cancel", "logs")},
        }

    def _url(self, path: str) -> str:
        return f"{self.url}/repos/{self.slug}/actions/{path}"

    def _html(self, run: WorkflowRun) -> str:
        return f"{self.url}/{self.slug}/actions/runs/{run.id}"


def _missing() -> Response:
    return json_response({"message": "Not Found", "documentation_url": "https://docs.github.com/rest"}, 404)
