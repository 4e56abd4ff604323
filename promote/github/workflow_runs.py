"""GitHub Actions runs: dispatch exactly once, follow one run, read why it failed, cancel it, read the rules on a tag.

Never moves a tag and keeps no state between calls. Facts about PyGithub 2.10: its default retry re-sends POST, so that one dispatch makes two runs;
it throttles itself; objects are lazy, so a missing workflow shows at the first request; `logs_url()` is a signed URL that must be fetched without
the token; it raises GithubException and raw requests exceptions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from promote.core.deadline import Deadline
from promote.core.errors import Denied, NotFound, PromoteError, Rejected, ServiceError, Unreachable
from promote.core.in_flight import in_flight
from promote.github.errors import may_have_happened, refused, silent
from promote.github.logs import fetch_signed, log_tail
from promote.github.rules import TagRules, denied

if TYPE_CHECKING:
    from github import Github
    from github.Repository import Repository
    from github.Workflow import Workflow
    from github.WorkflowRun import WorkflowRun

CALL_S = 15
CLOCK_SKEW = timedelta(minutes=2)
PUBLIC_API = "api.github.com"
_DETAILS = "return_run_details"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunHandle:
    """The run that the answer to a dispatch named."""

    id: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RunState:
    """The state of a run. `conclusion` is "" until it is completed; `waiting_for` names the users and teams who must approve."""

    id: int
    status: str
    conclusion: str
    title: str
    url: str
    created: datetime | None = None
    waiting_for: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class JobLog:
    """The last lines of a job that did not succeed: up to its last error line when the log marks one."""

    job: str
    step: str
    lines: tuple[str, ...]


class GitHubRuns:
    """The workflow runs of one repository. Every method raises only Denied, NotFound, Rejected or Unreachable of core.errors."""

    def __init__(self, api_url: str, repository: str, token: str, *, call_s: int = CALL_S) -> None:
        """`call_s`: the limit for one request, in whole seconds (PyGithub accepts no fractions)."""
        self._api_url, self._name, self._token, self._call_s = api_url, repository, token, call_s

    def dispatch(self, file: str, ref: str, inputs: dict[str, str], *, request_id: str, deadline: Deadline) -> RunHandle | None:
        """Dispatch the workflow once. None when the answer named no run, or got lost although the dispatch may have taken effect.

        After None the caller has to `find` the run by `request_id`, which `inputs` should pass on to the run's name. Raises Rejected (undeclared
        input, unknown ref), Denied, NotFound; Unreachable only when certainly nothing was dispatched.
        """
        if deadline.expired:
            raise Unreachable(
                "GitHub",
                f"could not dispatch {file} ({request_id}): no time is left",
                hint="increase workflow.timeout in promotion.toml, and start again",
            )
        workflow = self._workflow(file)
        try:
            return self._once(workflow, file, ref, inputs, details=True)
        except Rejected as error:
            if _DETAILS not in error.what:
                raise
        # GHES up to 3.20 does not know that field, and rejects the request before any effect.
        return self._once(workflow, file, ref, inputs, details=False)

    def _once(self, workflow: Workflow, file: str, ref: str, inputs: dict[str, str], *, details: bool) -> RunHandle | None:
        try:
            return self._send(workflow, file, ref, inputs, details=details)
        except Unreachable as error:
            if may_have_happened(error.__cause__):
                return None
            raise

    def _send(self, workflow: Workflow, file: str, ref: str, inputs: dict[str, str], *, details: bool) -> RunHandle | None:
        try:
            with self._errors(f"dispatch {file} on {ref}"):
                made: Any = cast(Any, workflow).create_dispatch(ref, inputs, throw=True, return_run_details=details)
        except NotFound as error:
            hint = f".github/workflows/{file} must be on the default branch and on {ref} (workflow.file, repository.branch), and the token"
            raise NotFound("GitHub", error.what.removeprefix("GitHub: "), hint=f"{hint} must be able to see {self._name}") from error
        return RunHandle(id=made.id) if details and not isinstance(made, bool) else None

    def find(self, file: str, request_id: str, since: datetime) -> RunState | None:
        """The run whose title contains the request id, or None. Never just the latest run, which may belong to another dispatch."""
        if not request_id:
            return None
        oldest = since.astimezone(UTC) - CLOCK_SKEW
        with self._errors(f"list the runs of {file}"):
            return next((self._state(run) for run in self._dispatched(file, oldest) if request_id in (run.display_title or "")), None)

    def since(self, file: str, since: datetime) -> list[RunState]:
        """Every dispatched run created since then, newest first."""
        with self._errors(f"list the runs of {file}"):
            return [self._state(run) for run in self._dispatched(file, since.astimezone(UTC).replace(microsecond=0))]

    def _dispatched(self, file: str, oldest: datetime) -> Iterator[WorkflowRun]:
        for run in self._workflow(file).get_runs(event="workflow_dispatch", created=f">={oldest:%Y-%m-%dT%H:%M:%SZ}"):
            # Filtered again here, because some servers ignore a filter that they do not know.
            if run.event == "workflow_dispatch" and run.created_at.astimezone(UTC) >= oldest:
                yield run

    def state(self, run_id: int) -> RunState:
        """The current state of a run."""
        with self._errors(f"read run {run_id}"):
            return self._state(self._repository.get_workflow_run(run_id))

    def _state(self, run: WorkflowRun) -> RunState:
        if not isinstance(run.id, int) or not run.status:
            raise TypeError("no run in the answer")  # PyGithub turns a page that is not GitHub's into an empty run
        return RunState(
            id=run.id,
            status=run.status or "",
            conclusion=run.conclusion or "",
            title=run.display_title or "",
            url=run.html_url or "",
            created=run.created_at,
            waiting_for=self._approvers(run) if run.status == "waiting" else (),
        )

    def _approvers(self, run: WorkflowRun) -> tuple[str, ...]:
        """The users and teams who may approve a waiting run; the environment's name when there are none (a wait timer)."""
        try:
            with self._errors(f"read the required reviewers of run {run.id}"):
                _, data = run.requester.requestJsonAndCheck("GET", f"{run.url}/pending_deployments")
        except (Denied, NotFound):
            return ("a reviewer",)
        entries = data if isinstance(data, list) else []
        people = tuple(_approver(r) for entry in entries for r in entry.get("reviewers") or [])
        places = tuple(f"environment {(entry.get('environment') or {}).get('name', '?')}" for entry in entries)
        return people or places or ("a reviewer",)

    def failed_logs(self, run_id: int, lines: int = 30) -> tuple[JobLog, ...]:
        """The last log lines of each job that did not succeed; one line with the reason when a log cannot be read."""
        with self._errors(f"read the jobs of run {run_id}"):
            jobs = [j for j in self._repository.get_workflow_run(run_id).jobs() if j.conclusion not in ("success", "skipped")]
            return tuple(JobLog(job=j.name, step=_failed_step(j), lines=self._tail(j.logs_url, lines)) for j in jobs)

    def _tail(self, signed: Callable[[], str], lines: int) -> tuple[str, ...]:
        try:
            with self._errors("read the job's log"):
                return log_tail(fetch_signed(signed(), within_s=self._call_s), lines)
        except ServiceError as error:
            return (f"(no log: {error.what.removeprefix('GitHub: ')})",)

    def cancel(self, run_id: int) -> bool:
        """Request that a run is cancelled; False when it had already completed."""
        try:
            with self._errors(f"cancel run {run_id}"):
                self._github.requester.requestJsonAndCheck("POST", f"/repos/{self._name}/actions/runs/{run_id}/cancel")
        except Rejected:
            return False
        return True

    def tag_rules(self, name: str) -> TagRules:
        """The rules that forbid this token's owner to move the tag `name`; not `known` when the API has no rulesets or does not show them.

        A workflow pushes with its own token, which the rulesets may treat differently.
        """
        base, ask = f"/repos/{self._name}/rulesets", self._github.requester.requestJsonAndCheck
        try:
            with self._errors("read the rulesets"):
                _, listed = ask("GET", base, parameters={"includes_parents": "true", "targets": "tag", "per_page": 100})
                tags = [r for r in listed if r.get("target") == "tag" and r.get("enforcement") == "active"]
                rulesets, ref = [ask("GET", f"{base}/{r['id']}")[1] for r in tags], f"refs/tags/{name}"
                return TagRules(known=True, denies=denied(rulesets, ref), back_only=denied(rulesets, ref, back_only=True))
        except PromoteError as error:
            return TagRules(known=False, why=error.what)

    @cached_property
    def _github(self) -> Github:
        from promote.github.session import connect

        own = urlsplit(self._api_url).hostname != PUBLIC_API
        return connect(self._api_url, self._token, call_s=self._call_s, unhurried=not own)

    @cached_property
    def _repository(self) -> Repository:
        return self._github.get_repo(self._name)

    def _workflow(self, file: str) -> Workflow:
        with self._errors(f"find the workflow {file}"):
            return self._repository.get_workflow(file)

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        """Convert the errors of the libraries; `doing` is a verb phrase for the message."""
        import requests
        from github import GithubException
        from urllib3.exceptions import HTTPError

        try:
            with in_flight("GitHub"):
                yield
        except requests.HTTPError as error:
            raise refused(error.response.status_code, None, error.response.headers, doing=doing, where=self._name) from error
        except (requests.RequestException, HTTPError) as error:
            raise silent(error, doing=doing, api_url=self._api_url) from error
        except GithubException as error:
            raise refused(error.status, error.data, error.headers, doing=doing, where=self._name) from error
        except (AssertionError, KeyError, TypeError, AttributeError, RuntimeError) as error:
            # PyGithub fails like this on an answer without GitHub's structure (a proxy's page with 200) and on a redirect to another host.
            what = f"could not {doing} in {self._name}: the answer is not GitHub's"
            raise Unreachable("GitHub", what, hint="check github.api_url and the proxy in between") from error


def _approver(reviewer: dict[str, Any]) -> str:
    who = reviewer.get("reviewer") or {}
    return str(who.get("login") or who.get("slug") or who.get("name") or "a reviewer")


def _failed_step(job: Any) -> str:
    return next((s.name for s in job.steps if s.conclusion not in ("success", "skipped", None)), "")
