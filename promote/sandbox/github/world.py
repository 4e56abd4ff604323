"""GitHub's REST API with state: workflows of the repository, dispatches, runs, jobs, logs behind a signed redirect, refs, rulesets.

Runs really run: `workflow_run.py` executes the repository's own workflow file. Answers have the form that PyGithub 2.10 and `gh` read.
Not here: what no promotion asks for (writing issues, reviews, several jobs of a run shown one by one).
"""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Callable, Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any

from promote.sandbox.github.actions import OVER, Actions, Runner, WorkflowRun, now
from promote.sandbox.github.records import Records
from promote.sandbox.github.view import View, wanted
from promote.sandbox.github.workflow_text import Workflow, fill, read_workflow
from promote.sandbox.http_server import Request, Response, World, json_response

__all__ = ["GitHubWorld", "WorkflowRun"]
Object = dict[str, Any]
Refs = Mapping[str, tuple[str, str]]  # full name → (type, object id)
FIRST_RUN = 8100


class GitHubWorld(World):
    """`read_workflow(file)` gives a workflow file of the trunk or None, `refs` the repository's refs; `runner` executes a workflow.

    `read_only` are tokens that may look but not act, `workflow_token` is what a run's steps have. `run_details = False` is a GHES up to 3.20,
    `rulesets = None` one without rulesets.
    `fail_run`, `hang_run`, `fail_after_move` and `before_run` concern the next run only.
    """

    def __init__(
        self,
        slug: str,
        *,
        read_workflow: Callable[[str], str | None],
        head: Callable[[], str],
        runner: Runner,
        token: str,
        read_only: Collection[str] = (),
        workflow_token: str = "",
        refs: Callable[[], Refs] | None = None,
        queue_s: float = 0.3,
    ) -> None:
        super().__init__("github")
        self.slug, self.token, self.read_only, self.workflow_token = slug, token, read_only, workflow_token or token
        self.run_details = True
        self.rulesets: dict[int, Object] | None = {}
        self.actions = Actions(runner, lambda: self.url, queue_s)
        self.runs = self.actions.runs
        self.records = Records()
        self.released = self.actions.released
        self._read, self._head, self._refs = read_workflow, head, refs
        self._files: dict[int, str] = {}
        self._signed: dict[str, int] = {}

    def fail_run(self, log_text: str) -> None:
        """The job fails before it does anything."""
        self.actions.fail_text = log_text

    def hang_run(self) -> None:
        """The job does nothing until `released` is set, also when it is cancelled; then it goes on if its run has not ended."""
        self.actions.hang = True

    def fail_after_move(self) -> None:
        """The job does all its work, and then its runner is lost: the conclusion is failure."""
        self.actions.fail_after = True

    def before_run(self, act: Callable[[WorkflowRun], None]) -> None:
        """Call this after the run began and before its job does anything."""
        self.actions.before = act

    def ask_approval(self, *environments: str) -> None:
        """Jobs of these environments wait for a reviewer; of every job when none is named."""
        self.actions.environments = set(environments or ("*",))

    def approve(self) -> None:
        self.actions.approve()

    def stop(self) -> None:
        super().stop()
        self.actions.stop()

    @property
    def view(self) -> View:
        return View(self.url, self.slug)

    def handle(self, request: Request) -> Response:
        if request.path.startswith("/signed/"):
            return self._log(request)
        if refusal := self._refused(request):
            return refusal
        if request.path == "/rate_limit":
            core = {"limit": 5000, "remaining": 4999, "reset": 0, "used": 1}
            return json_response({"resources": {"core": core, "search": core}, "rate": core})
        if request.path == "/user":
            return json_response(self.view.user())
        prefix, path = f"/repos/{self.slug}", request.path.rstrip("/")
        if path != prefix and not path.startswith(f"{prefix}/"):
            return _message(404, "Not Found")
        return self._repository(path.removeprefix(prefix).strip("/"), request)

    def _refused(self, request: Request) -> Response | None:
        token = request.headers.get("authorization", "").rpartition(" ")[2]
        if not token:
            return _message(401, "Requires authentication")
        if token not in (self.token, self.workflow_token, *self.read_only):
            return _message(401, "Bad credentials")
        if token in self.read_only and request.method != "GET":
            return _message(403, "Resource not accessible by personal access token")
        return None

    def _repository(self, path: str, request: Request) -> Response:
        parts = path.split("/")
        if not path:
            return json_response(self.view.repository())
        if recorded := self.records.answer(parts, request, self.view):
            return recorded
        if parts[:2] == ["actions", "workflows"] and len(parts) > 2:
            return self._workflows(parts[2], parts[3:], request)
        if parts == ["actions", "runs"]:
            return self._list(request, self.runs)
        if parts[:2] == ["actions", "runs"]:
            return self._run(parts[2:], request)
        if parts[:2] == ["actions", "jobs"]:
            return self._jobs(parts[2:])
        if parts[:1] == ["git"] and self._refs:
            return self._git(parts[1:], self._refs(), request)
        if parts[:1] in (["rulesets"], ["rules"]) and self.rulesets is not None:
            return self._rules(parts, self.rulesets, request)
        return _message(404, "Not Found")

    def _workflows(self, name: str, rest: list[str], request: Request) -> Response:
        file = self._files.get(int(name), "") if name.isdigit() else name
        text = self._read(file) if file else None
        if text is None:
            return _message(404, "Not Found")
        # GitHub's ids of workflows are numbers that stay the same for a file.
        workflow, number = read_workflow(file, text), zlib.crc32(file.encode())
        self._files[number] = file
        if not rest:
            return json_response(self.view.workflow(number, workflow))
        if rest == ["dispatches"] and request.method == "POST":
            return self._dispatch(workflow, request)
        if rest == ["runs"]:
            return self._list(request, [r for r in self.runs if r.file == file])
        return _message(404, "Not Found")

    def _list(self, request: Request, runs: list[WorkflowRun]) -> Response:
        return self.view.page(request, "workflow_runs", [self.view.run(r) for r in reversed(runs) if wanted(r, request.query)])

    def _dispatch(self, workflow: Workflow, request: Request) -> Response:
        try:
            body = request.json() or {}
        except ValueError:
            return _message(400, "Problems parsing JSON")
        details, ref = body.get("return_run_details", False), str(body.get("ref", ""))
        # Servers that are older than the key refuse it.
        if "return_run_details" in body and not self.run_details:
            return _message(422, 'Invalid request.\n\n"return_run_details" is not a permitted key.')
        given = {k: str(v) for k, v in (body.get("inputs") or {}).items()}
        head = self._resolve(ref)
        if refusal := f"No ref found for: {ref}" if head is None else workflow.refusal(given):
            return _message(422, refusal)
        run = self._new_run(workflow, workflow.complete(given), ref.removeprefix("refs/heads/"), head or "")
        self.actions.submit(run, cancels=workflow.cancels)
        if not details:
            return Response(status=204)
        return json_response({"workflow_run_id": run.id, "run_url": self.view.run(run)["url"], "html_url": self.view.html(run)})

    def _resolve(self, ref: str) -> str | None:
        """The commit a dispatch names by branch or tag; None when there is none. Without a repository to look into, the trunk's head."""
        if self._refs is None:
            return self._head()
        refs = self._refs()
        return next((refs[name][1] for name in (ref, f"refs/heads/{ref}", f"refs/tags/{ref}") if name in refs), None)

    def _new_run(self, workflow: Workflow, inputs: Mapping[str, str], branch: str, head: str) -> WorkflowRun:
        known = {f"inputs.{k}": v for k, v in inputs.items()} | {"github.workflow": workflow.name, "github.ref": f"refs/heads/{branch}"}
        return WorkflowRun(
            id=FIRST_RUN + len(self.runs), file=workflow.file, title=fill(workflow.run_name, known).strip(), name=workflow.name, inputs=inputs,
            created=now(), group=fill(workflow.group, known), head=head, branch=branch, job=workflow.job, environment=workflow.environment,
            number=1 + sum(r.file == workflow.file for r in self.runs), timeout_s=workflow.timeout_s, planned=workflow.steps,
        )  # fmt: skip

    def _run(self, rest: list[str], request: Request) -> Response:
        run = next((r for r in self.runs if str(r.id) == rest[0]), None)
        if run is None:
            return _message(404, "Not Found")
        if not rest[1:]:
            return json_response(self.view.run(run))
        if rest[1:] == ["jobs"]:
            return self.view.page(request, "jobs", [self.view.job(run)])
        if rest[1:] == ["pending_deployments"]:
            return json_response([self.view.pending_deployment(run)] if run.status == "waiting" else [])
        if rest[1:] == ["cancel"] and request.method == "POST":
            return json_response({}, 202) if self.actions.cancel(run) else _message(409, "Cannot cancel a workflow run that is completed.")
        return _message(404, "Not Found")

    def _jobs(self, rest: list[str]) -> Response:
        run = next((r for r in self.runs if rest and str(r.id) == rest[0]), None)
        if run is None or (rest[1:] == ["logs"] and run.status != OVER):
            return _message(404, "Not Found")
        if not rest[1:]:
            return json_response(self.view.job(run))
        key = secrets.token_hex(8)
        self._signed[key] = run.id
        return Response(status=302, headers={"Location": f"{self.url}/signed/{key}"})

    def _log(self, request: Request) -> Response:
        """The storage behind the redirect. It refuses a token beside the signature, as the real one does."""
        if "authorization" in request.headers:
            return Response(status=400, body=b"Only one auth mechanism allowed")
        run = next((r for r in self.runs if r.id == self._signed.get(request.path.rpartition("/")[2])), None)
        if run is None:
            return Response(status=403, body=b"Signature did not match.")
        # Every line of GitHub's logs begins with a time of seven decimal digits.
        lines = "".join(f"{run.created[:-1]}.0000000Z {line}\n" for line in run.log.splitlines())
        return Response(body=lines.encode(), headers={"Content-Type": "text/plain"})

    def _git(self, rest: list[str], refs: Refs, request: Request) -> Response:
        name = f"refs/{'/'.join(rest[1:])}"
        if rest[:1] == ["ref"]:
            return json_response(self.view.ref(name, *refs[name])) if name in refs else _message(404, "Not Found")
        if rest[:1] == ["matching-refs"]:
            return self.view.page(request, "", [self.view.ref(n, *refs[n]) for n in sorted(refs) if n.startswith(name)])
        return _message(404, "Not Found")

    def _rules(self, parts: list[str], rulesets: Mapping[int, Object], request: Request) -> Response:
        if parts == ["rulesets"]:
            keys = ("id", "name", "target", "enforcement")
            return self.view.page(request, "", [{k: r[k] for k in keys} for r in rulesets.values()])
        if parts[0] == "rulesets":
            found = rulesets.get(int(parts[1])) if parts[1].isdigit() else None
            return json_response(found) if found else _message(404, "Not Found")
        ref = f"refs/heads/{'/'.join(parts[2:])}"
        covering = [
            r for r in rulesets.values() if r["target"] == "branch" and any(fnmatchcase(ref, p) for p in r["conditions"]["ref_name"]["include"])
        ]
        return self.view.page(request, "", [{**rule, "ruleset_id": r["id"]} for r in covering for rule in r["rules"]])


def _message(status: int, text: str) -> Response:
    return json_response({"message": text, "documentation_url": "https://docs.github.com/rest", "status": str(status)}, status)
