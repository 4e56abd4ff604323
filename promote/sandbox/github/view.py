"""How the GitHub world shows itself: runs, jobs and refs as JSON of the REST API, filters and pages of lists. Keeps no state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from promote.sandbox.github.actions import OVER, WorkflowRun
from promote.sandbox.github.workflow_run import ACTOR
from promote.sandbox.github.workflow_text import Workflow
from promote.sandbox.http_server import Request, Response, json_response

Object = dict[str, Any]


class View:
    """`api` is the API's address, `slug` the repository's owner/name."""

    def __init__(self, api: str, slug: str) -> None:
        self.api, self.slug = api, slug
        self.base = f"{api}/repos/{slug}"

    def user(self, login: str = ACTOR) -> Object:
        return {"login": login, "id": 1, "type": "User", "url": f"{self.api}/users/{login}", "html_url": f"{self.api}/{login}"}

    def repository(self) -> Object:
        owner, _, name = self.slug.partition("/")
        return {
            "id": 1, "name": name, "full_name": self.slug, "owner": self.user(owner), "private": False, "default_branch": "main",
            "url": self.base, "html_url": f"{self.api}/{self.slug}", "permissions": {"admin": False, "push": True, "pull": True},
        }  # fmt: skip

    def workflow(self, number: int, workflow: Workflow) -> Object:
        path = f".github/workflows/{workflow.file}"
        url = f"{self.base}/actions/workflows/{number}"
        html = f"{self.api}/{self.slug}/blob/main/{path}"
        return {"id": number, "name": workflow.name, "path": path, "state": "active", "url": url, "html_url": html}

    def html(self, run: WorkflowRun) -> str:
        return f"{self.api}/{self.slug}/actions/runs/{run.id}"

    def run(self, run: WorkflowRun) -> Object:
        url = f"{self.base}/actions/runs/{run.id}"
        return {
            "id": run.id, "name": run.name, "display_title": run.title, "event": "workflow_dispatch", "status": run.status,
            "conclusion": run.conclusion, "path": f".github/workflows/{run.file}", "head_branch": run.branch, "head_sha": run.head,
            "run_number": run.number, "run_attempt": 1, "created_at": run.created, "run_started_at": run.created,
            "updated_at": run.updated or run.created, "html_url": self.html(run), "url": url, "actor": self.user(), "triggering_actor": self.user(),
            "pull_requests": [], **{f"{name}_url": f"{url}/{name}" for name in ("jobs", "cancel", "logs", "rerun", "artifacts")},
        }  # fmt: skip

    def job(self, run: WorkflowRun) -> Object:
        """A run's one job. Its id is the run's."""
        shown = {s.name: s.conclusion for s in run.steps}
        names = [*shown, *(name for name in run.planned if name not in shown)]
        steps = [_step(n, name, shown.get(name), run) for n, name in enumerate(names, 1)]
        return {
            "id": run.id, "run_id": run.id, "name": run.job, "workflow_name": run.name, "status": "queued" if run.status == "pending" else run.status,
            "conclusion": run.conclusion, "steps": steps, "head_sha": run.head, "head_branch": run.branch, "run_attempt": 1,
            "created_at": run.created, "started_at": run.created, "completed_at": run.updated if run.status == OVER else None,
            "url": f"{self.base}/actions/jobs/{run.id}", "run_url": f"{self.base}/actions/runs/{run.id}",
            "html_url": f"{self.html(run)}/job/{run.id}", "labels": ["ubuntu-latest"], "runner_name": "sandbox",
        }  # fmt: skip

    def ref(self, name: str, kind: str, oid: str) -> Object:
        url = f"{self.base}/git/{name}"
        return {"ref": name, "node_id": oid, "url": url, "object": {"type": kind, "sha": oid, "url": f"{self.base}/git/{kind}s/{oid}"}}

    def pending_deployment(self, run: WorkflowRun) -> Object:
        reviewer = {"type": "User", "reviewer": self.user("grace")}
        return {"environment": {"id": 1, "name": run.environment or "production"}, "wait_timer": 0, "reviewers": [reviewer]}

    def page(self, request: Request, key: str, items: Sequence[Object]) -> Response:
        """One page of a list, with the Link header that leads to the next. With an empty `key` the list stands alone."""
        # GitHub's greatest page and its default.
        size, number = min(100, int(request.query.get("per_page") or 30)), int(request.query.get("page") or 1)
        shown = list(items[(number - 1) * size : number * size])
        headers = {}
        if number * size < len(items):
            query = urlencode({**request.query, "page": number + 1})
            headers["Link"] = f'<{self.api}{request.path}?{query}>; rel="next"'
        return json_response({"total_count": len(items), key: shown} if key else shown, headers=headers)


def _step(number: int, name: str, conclusion: str | None, run: WorkflowRun) -> Object:
    """A step that the job knows of: not yet begun (None), under way (""), or over. What a job that ended never came to is skipped."""
    if conclusion is None:
        status, conclusion = (OVER, "skipped") if run.status == OVER else ("queued", None)
    elif not conclusion:
        status, conclusion = (OVER, run.conclusion) if run.status == OVER else ("in_progress", None)
    else:
        status = OVER
    return {"name": name, "number": number, "status": status, "conclusion": conclusion}


def wanted(run: WorkflowRun, query: Mapping[str, str]) -> bool:
    """GitHub's filters on a list of runs."""
    return (
        query.get("event", "workflow_dispatch") == "workflow_dispatch"
        and query.get("branch", run.branch) == run.branch
        and query.get("head_sha", run.head) == run.head
        and query.get("actor", ACTOR) == ACTOR
        and query.get("status", run.status) in (run.status, run.conclusion)
        and _within(run.created, query.get("created", ""))
    )


def _within(created: str, span: str) -> bool:
    """GitHub's date syntax: >=A, >A, <=B, <B, A..B with * for an open end, or a day."""
    low, dots, high = span.partition("..")
    if dots:
        return (low == "*" or created >= low) and (high == "*" or created[: len(high)] <= high)
    bound = span.lstrip("<>=")
    if span.startswith(">"):
        return created >= bound if span.startswith(">=") else created[: len(bound)] > bound
    if span.startswith("<"):
        return created[: len(bound)] <= bound if span.startswith("<=") else created < bound
    return created.startswith(bound)
