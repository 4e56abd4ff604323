"""GitHub Actions runs in this project's words: dispatch exactly once, follow one run, read why it failed, cancel it.

The only module that imports PyGithub. Facts it stands on (PyGithub 2.10): its default retry re-sends POST, which makes two runs of one dispatch;
it throttles itself; `logs_url()` is a signed URL that must be fetched without the token; errors are GithubException and raw requests exceptions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from promote.deadline import Deadline
from promote.errors import Denied, NotFound, Rejected, ServiceError, Unreachable

if TYPE_CHECKING:
    from github import Github
    from github.Repository import Repository
    from github.Workflow import Workflow
    from github.WorkflowRun import WorkflowRun

CALL_S = 15
CLOCK_SKEW = timedelta(minutes=2)
PUBLIC_API = "api.github.com"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunHandle:
    """A run that the dispatch itself named."""

    id: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RunState:
    """One look at a run. `conclusion` is "" until completed; `waiting_for` names who must approve."""

    id: int
    status: str
    conclusion: str
    title: str
    url: str
    waiting_for: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class JobLog:
    """The last lines of a job that did not succeed."""

    job: str
    step: str
    lines: tuple[str, ...]


class GitHubRuns:
    """The workflow runs of one repository."""

    def __init__(self, api_url: str, repository: str, token: str) -> None:
        self._api_url, self._name, self._token = api_url, repository, token

    def dispatch(self, file: str, ref: str, inputs: dict[str, str], *, request_id: str, deadline: Deadline) -> RunHandle | None:
        """Dispatch once. None when GitHub did not say which run it made, or when the answer was ambiguous: the caller looks for the request id.

        Raises Rejected (undeclared input, unknown ref), Denied, NotFound. Never sends again after an answer that may hide an effect.
        """
        del request_id, deadline
        workflow = self._workflow(file)
        try:
            return self._send(workflow, ref, inputs, details=True)
        except Rejected as error:
            if "return_run_details" not in error.what and "not a permitted key" not in error.what:
                raise
            return self._send(workflow, ref, inputs, details=False)  # GHES up to 3.20 does not know that field, and said so before any effect
        except Unreachable:
            return None

    def _send(self, workflow: Workflow, ref: str, inputs: dict[str, str], *, details: bool) -> RunHandle | None:
        with self._errors("dispatch the workflow"):
            made: Any = cast(Any, workflow).create_dispatch(ref, inputs, throw=True, return_run_details=details)
        return RunHandle(id=made.id) if details and not isinstance(made, bool) else None

    def find(self, file: str, request_id: str, since: datetime) -> RunState | None:
        """The run whose title carries the request id; never simply the latest, which may be another's."""
        created = f">={(since - CLOCK_SKEW).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        with self._errors("list the runs"):
            for run in self._workflow(file).get_runs(event="workflow_dispatch", created=created):
                if request_id in (run.display_title or ""):
                    return self._state(run)
        return None

    def state(self, run_id: int) -> RunState:
        with self._errors(f"read run {run_id}"):
            return self._state(self._repository.get_workflow_run(run_id))

    def _state(self, run: WorkflowRun) -> RunState:
        waiting: tuple[str, ...] = ()
        if run.status == "waiting":
            _, data = run.requester.requestJsonAndCheck("GET", f"{run.url}/pending_deployments")
            waiting = tuple(_approver(r) for entry in data for r in entry.get("reviewers") or []) or ("a reviewer",)
        return RunState(
            id=run.id,
            status=run.status or "",
            conclusion=run.conclusion or "",
            title=run.display_title or "",
            url=run.html_url or "",
            waiting_for=waiting,
        )

    def failed_logs(self, run_id: int, lines: int = 30) -> tuple[JobLog, ...]:
        """The log tails of the jobs that did not succeed; a sentence instead of lines when a log cannot be had."""
        with self._errors(f"read the jobs of run {run_id}"):
            jobs = [j for j in self._repository.get_workflow_run(run_id).jobs() if j.conclusion not in ("success", "skipped")]
        return tuple(JobLog(job=j.name, step=_failed_step(j), lines=self._tail(j.logs_url, lines)) for j in jobs)

    def _tail(self, signed: Callable[[], str], lines: int) -> tuple[str, ...]:
        import requests

        try:
            with self._errors("find the log"):
                url = signed()
            answer = requests.get(url, timeout=CALL_S)  # without the token: the URL carries its own right
            answer.raise_for_status()
        except (ServiceError, requests.RequestException) as error:
            return (f"(no log: {type(error).__name__})",)
        return tuple(line.partition("Z ")[2] or line for line in answer.text.splitlines()[-lines:])

    def cancel(self, run_id: int) -> bool:
        """Ask for a run to be cancelled; False when it had completed."""
        with self._errors(f"cancel run {run_id}"):
            return self._repository.get_workflow_run(run_id).cancel()

    @cached_property
    def _github(self) -> Github:
        from github import Auth, Github, GithubRetry

        local = urlsplit(self._api_url).hostname != PUBLIC_API
        retry = GithubRetry(total=5, backoff_factor=0.2, allowed_methods={"GET", "HEAD"}, max_rate_limit_wait=60, retry_after_max=60)
        pause = {"seconds_between_requests": None, "seconds_between_writes": None} if local else {}
        return Github(auth=Auth.Token(self._token), base_url=self._api_url, timeout=CALL_S, retry=retry, **pause)  # type: ignore[arg-type]

    @cached_property
    def _repository(self) -> Repository:
        return self._github.get_repo(self._name, lazy=True)

    def _workflow(self, file: str) -> Workflow:
        with self._errors(f"find the workflow {file}"):
            return self._repository.get_workflow(file)

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        """Vendor errors stop here."""
        import requests
        from github import GithubException

        try:
            yield
        except GithubException as error:
            raise self._translated(error.status, _message(error.data), doing) from error
        except requests.RequestException as error:
            text = f"could not {doing}: {type(error).__name__}"
            raise Unreachable("GitHub", text, hint=f"check the network and {self._api_url}; GitHub's own state: githubstatus.com") from error

    def _translated(self, status: int, said: str, doing: str) -> ServiceError:
        what = f"could not {doing} in {self._name}: {status} {said}".rstrip()
        if status == 401:
            return Denied("GitHub", what, hint='the token is wrong or expired: export GITHUB_TOKEN="$(gh auth token)"')
        if status == 403 and "rate limit" in said.lower():
            return Unreachable("GitHub", what, hint="wait for the limit to pass, then try again")
        if status == 403:
            return Denied("GitHub", what, hint="the token needs `actions: write` and `contents: read` on this repository")
        if status == 404:
            return NotFound("GitHub", what, hint="check github.repository, workflow.file and that the token may see the repository")
        if status in (400, 409, 410, 422):
            return Rejected(
                "GitHub", what, hint="compare the workflow's inputs with docs/workflow.md; it is read from the trunk as the remote has it"
            )
        return Unreachable("GitHub", what, hint="try again; GitHub's own state: githubstatus.com")


def _message(data: object) -> str:
    """GitHub's own message; of a proxy's page nothing but that it was one."""
    if isinstance(data, dict):
        return str(data.get("message", ""))[:256]
    return "(an answer that is not GitHub's)" if data else ""


def _approver(reviewer: dict[str, Any]) -> str:
    who = reviewer.get("reviewer") or {}
    return str(who.get("login") or who.get("slug") or who.get("name") or "a reviewer")


def _failed_step(job: Any) -> str:
    return next((s.name for s in job.steps if s.conclusion not in ("success", "skipped", None)), "")
