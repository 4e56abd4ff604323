"""What GitHub knows about a commit and about issues: check runs, statuses, the checks a branch requires, tasks. Only reads.

The connection, its retries and its errors are those of `github_runs`. Facts it stands on: issues and pull requests share their numbers, a list of
issues holds both; a run of a workflow leaves check runs on the commit it was dispatched at, ours too.
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

FEW = 20  # up to so many issues are asked for one by one, beyond that the list is read
_RUN = re.compile(r"/actions/runs/([0-9]+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckState:
    """One check run or commit status, the newest of its name. `state`: success, pending, or what else GitHub concluded."""

    name: str
    state: str
    url: str = ""

    def describe(self) -> str:
        return f"{self.name}: {self.state}" + (f" {self.url}" if self.url else "")


class GitHubEvidence(GitHubRuns):
    """Raises the classes of promote.core.errors, nothing of a vendor."""

    def issues(self, ids: Iterable[str]) -> Mapping[str, Task]:
        """The issues among `#12`-like ids; pull requests and what does not exist are left out."""
        numbers = {int(i.removeprefix("#")) for i in ids}
        if len(numbers) > FEW:
            return self._listed(numbers)
        return {task.id: task for number in sorted(numbers) if (task := self._issue(number))}

    def _issue(self, number: int) -> Task | None:
        try:
            with self._errors(f"read issue #{number}"):
                return _task(self._repository.get_issue(number))
        except NotFound:
            self._seen()
            return None
        except Rejected:  # 410: deleted
            return None

    def _seen(self) -> None:
        """A 404 of one issue means that it is not there only if the repository itself can be seen. Raises NotFound otherwise."""
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
        """Check runs and statuses of a commit; without those of the workflow file `not_of`.

        Of a status the newest of its name counts. Of check runs with one name in several suites (two workflows may have a job `build`) the worst.
        """
        ours = self._runs_of(not_of, commit) if not_of else set()
        with self._errors(f"read the checks of {commit[:7]}"):
            at = self._repository.get_commit(commit)
            newest: dict[str, CheckState] = {}
            for check in (_check(r) for r in at.get_check_runs() if _run_of(r) not in ours):  # the latest of each suite, says GitHub
                newest[check.name] = max(check, newest.get(check.name, check), key=_badness)
            said: dict[str, CheckState] = {}
            for status in at.get_statuses():  # newest first
                said.setdefault(status.context, CheckState(name=status.context, state=status.state, url=status.target_url or ""))
        return tuple(sorted([*newest.values(), *said.values()], key=lambda c: c.name))

    def _runs_of(self, file: str, commit: str) -> set[int]:
        """The runs of a workflow at a commit; none when there is no such workflow."""
        try:
            with self._errors(f"list the runs of {file}"):
                return {r.id for r in self._repository.get_workflow(file).get_runs(head_sha=commit)}
        except NotFound:
            return set()

    def required_checks(self, branch: str) -> tuple[str, ...]:
        """The checks that the rulesets of a branch require; () where there are none or the API does not show them."""
        try:
            with self._errors(f"read the rules of {branch}"):
                _, rules = self._github.requester.requestJsonAndCheck("GET", f"/repos/{self._name}/rules/branches/{branch}")
                wanted = [r for r in rules if r.get("type") == "required_status_checks"]
                entries = [c for r in wanted for c in (r.get("parameters") or {}).get("required_status_checks") or ()]
                return tuple(dict.fromkeys(str(c["context"]) for c in entries))
        except PromoteError as error:
            if isinstance(error, NotFound | Denied):  # not every plan shows them; then every check counts, which asks for more, not for less
                return ()
            raise


def _task(issue: Issue) -> Task | None:
    if not isinstance(issue.number, int) or not issue.state:
        raise TypeError("no issue in the answer")
    if "/pull/" in (issue.html_url or ""):  # the field pull_request is absent from a listed issue, and asking for it would fetch every one again
        return None
    return Task(id=f"#{issue.number}", title=issue.title or "", status=issue.state, url=issue.html_url or "")


def _badness(check: CheckState) -> int:
    return {"success": 0, "skipped": 1, "neutral": 1, "pending": 3}.get(check.state, 4 if check.state in ("failure", "timed_out") else 2)


def _run_of(check: Any) -> int:
    match = _RUN.search(check.details_url or "")
    return int(match[1]) if match else 0


def _check(run: Any) -> CheckState:
    return CheckState(name=run.name, state=(run.conclusion or "none") if run.status == "completed" else "pending", url=run.html_url or "")
