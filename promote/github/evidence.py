"""GitHub's data about a commit and about issues: check runs, statuses, the checks a branch requires, tasks. Read only.

Shares the connection, retries and errors of `workflow_runs`. Facts it relies on: issues and pull requests share one numbering, and a list of issues
contains both; a workflow run adds check runs to the commit it was dispatched at, and so does promote's own workflow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from promote.core.errors import Denied, NotFound, PromoteError, Rejected
from promote.core.model import Task
from promote.github.workflow_runs import GitHubRuns

if TYPE_CHECKING:
    from github.Issue import Issue

FEW = 20  # up to this many issues are requested one by one; for more, the list is read
_RUN = re.compile(r"/actions/runs/([0-9]+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckState:
    """One check run or commit status, the newest of its name. `state`: success, pending, or GitHub's other conclusions."""

    name: str
    state: str
    url: str = ""

    def describe(self) -> str:
        return f"{self.name}: {self.state}" + (f" {self.url}" if self.url else "")


class GitHubEvidence(GitHubRuns):
    """A client for this data. Raises only the classes of promote.core.errors."""

    def issues(self, ids: Iterable[str]) -> Mapping[str, Task]:
        """The issues among ids like `#12`, by id; omits pull requests and numbers that do not exist."""
        numbers = {int(i.removeprefix("#")) for i in ids}
        if len(numbers) > FEW:
            return self._listed(numbers)
        return {task.id: task for number in sorted(numbers) if (task := self._issue(number))}

    def _issue(self, number: int) -> Task | None:
        try:
            with self._errors(f"read issue #{number}"):
                return _task(self._repository.get_issue(number))
        except NotFound:
            self._check_repository_is_visible()
            return None
        except Rejected:  # 410: deleted
            return None

    def _check_repository_is_visible(self) -> None:
        """Raises NotFound when the token may not read the repository: only otherwise does a 404 mean that an issue does not exist."""
        with self._errors("read the repository"):
            if not isinstance(self._github.get_repo(self._name, lazy=False).id, int):
                raise TypeError("no repository in the answer")

    def _listed(self, numbers: set[int]) -> Mapping[str, Task]:
        found: dict[str, Task] = {}
        with self._errors("list the issues"):
            for issue in self._repository.get_issues(state="all", sort="created", direction="desc"):
                if issue.number < min(numbers):
                    break
                if issue.number in numbers and (task := _task(issue)):
                    found[task.id] = task
        return found

    def checks(self, commit: str, *, not_of: str = "") -> tuple[CheckState, ...]:
        """Check runs and statuses of a commit by name, except those of the workflow file `not_of`.

        Of several statuses with one name the newest counts; of several check runs (two workflows may have a job `build`) the worst.
        """
        ours = self._runs_of(not_of, commit) if not_of else set()
        with self._errors(f"read the checks of {commit[:7]}"):
            at = self._repository.get_commit(commit)
            newest: dict[str, CheckState] = {}
            for check in (_check(r) for r in at.get_check_runs() if _run_of(r) not in ours):  # GitHub returns the latest of each suite
                newest[check.name] = max(check, newest.get(check.name, check), key=_badness)
            statuses: dict[str, CheckState] = {}
            for status in at.get_statuses():  # newest first
                statuses.setdefault(status.context, CheckState(name=status.context, state=status.state, url=status.target_url or ""))
        return tuple(sorted([*newest.values(), *statuses.values()], key=lambda c: c.name))

    def _runs_of(self, file: str, commit: str) -> set[int]:
        """The ids of a workflow's runs at a commit; empty when the workflow does not exist."""
        try:
            with self._errors(f"list the runs of {file}"):
                return {r.id for r in self._repository.get_workflow(file).get_runs(head_sha=commit)}
        except NotFound:
            return set()

    def required_checks(self, branch: str) -> tuple[str, ...]:
        """The checks that the rulesets of a branch require; () when there are none or the API does not show them."""
        try:
            with self._errors(f"read the rules of {branch}"):
                _, rules = self._github.requester.requestJsonAndCheck("GET", f"/repos/{self._name}/rules/branches/{branch}")
                wanted = [r for r in rules if r.get("type") == "required_status_checks"]
                entries = [c for r in wanted for c in (r.get("parameters") or {}).get("required_status_checks") or ()]
                return tuple(dict.fromkeys(str(c["context"]) for c in entries))
        except PromoteError as error:
            if isinstance(error, NotFound | Denied):  # not every plan shows them; () makes every check count, which is stricter
                return ()
            raise


def _task(issue: Issue) -> Task | None:
    if not isinstance(issue.number, int) or not issue.state:
        raise TypeError("no issue in the answer")
    if "/pull/" in (issue.html_url or ""):  # not `pull_request`: a listed issue lacks it, and reading it would fetch every issue again
        return None
    return Task(id=f"#{issue.number}", title=issue.title or "", status=issue.state, url=issue.html_url or "")


def _badness(check: CheckState) -> int:
    return {"success": 0, "skipped": 1, "neutral": 1, "pending": 3}.get(check.state, 4 if check.state in ("failure", "timed_out") else 2)


def _run_of(check: Any) -> int:
    match = _RUN.search(check.details_url or "")
    return int(match[1]) if match else 0


def _check(run: Any) -> CheckState:
    return CheckState(name=run.name, state=(run.conclusion or "none") if run.status == "completed" else "pending", url=run.html_url or "")
