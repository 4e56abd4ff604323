"""What the GitHub world remembers beside runs: issues and pull requests, check runs and statuses of commits. REST shapes, no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from promote.sandbox.github.view import View
from promote.sandbox.http_server import Request, Response, json_response

Object = dict[str, Any]
STAMP = "2026-11-01T08:{:02}:{:02}Z"
SUCCESS = ("ci / build", "ci / functional")


@dataclass
class Records:
    """`automatic` are the results that the repository's CI gives every commit; `add_check` and `add_status` override them for one commit.

    A number in `deleted` answers 410, one that was never made 404.
    """

    automatic: tuple[str, ...] = SUCCESS
    issues: dict[int, Object] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    checks: dict[str, list[Object]] = field(default_factory=dict)
    statuses: dict[str, list[Object]] = field(default_factory=dict)

    def add_issue(self, number: int, title: str, state: str = "open", *, pull_request: bool = False) -> None:
        self.issues[number] = {"number": number, "title": title, "state": state, "pull": pull_request}

    def add_check(
        self, commit: str, name: str, conclusion: str | None = "success", *, status: str = "completed", details: str = "", suite: int = 1
    ) -> None:
        """A check run, newer than all before it; each workflow's run has a suite of its own."""
        runs = self.checks.setdefault(commit, [])
        runs.append(
            {"name": name, "status": status, "conclusion": conclusion if status == "completed" else None, "details_url": details, "suite": suite}
        )

    def add_status(self, commit: str, context: str, state: str) -> None:
        """A commit status of the older kind, newer than all before it."""
        self.statuses.setdefault(commit, []).append({"context": context, "state": state})

    def answer(self, parts: list[str], request: Request, view: View) -> Response | None:
        """`parts` is the path below the repository; None when it is nothing of this."""
        if parts == ["issues"]:
            return view.page(request, "", self._filtered(request.query, view))
        if parts[:1] == ["issues"] and len(parts) == 2 and parts[1].isdigit():
            return self._one(int(parts[1]), view)
        if parts[:1] == ["commits"] and parts[2:] == ["check-runs"]:
            return view.page(request, "check_runs", self._checks(parts[1], request.query, view))
        if parts[:1] == ["commits"] and parts[2:] == ["statuses"]:
            return view.page(request, "", self._statuses(parts[1], view))
        if parts[:1] == ["statuses"] and len(parts) == 2:  # where PyGithub asks; the newer path is the one above
            return view.page(request, "", self._statuses(parts[1], view))
        if parts[:1] == ["commits"] and len(parts) == 2:
            return json_response({"sha": parts[1], "url": f"{view.base}/commits/{parts[1]}", "html_url": f"{view.base}/commit/{parts[1]}"})
        return None

    def _one(self, number: int, view: View) -> Response:
        if number in self.deleted:
            return json_response({"message": "This issue was deleted", "documentation_url": "https://docs.github.com/rest"}, 410)
        if number not in self.issues:
            return json_response({"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"}, 404)
        return json_response(_issue(self.issues[number], view))

    def _filtered(self, query: Mapping[str, str], view: View) -> list[Object]:
        state, newest_first = query.get("state", "open"), query.get("direction", "desc") == "desc"
        shown = [i for n, i in sorted(self.issues.items(), reverse=newest_first) if n not in self.deleted]
        return [_issue(i, view) for i in shown if state in ("all", i["state"])]

    def _checks(self, commit: str, query: Mapping[str, str], view: View) -> list[Object]:
        mine = self.checks.get(commit, [])
        reported = {c["name"] for c in mine}
        every = [{"name": n, "status": "completed", "conclusion": "success", "details_url": ""} for n in self.automatic if n not in reported] + mine
        runs = [_check(number, c, commit, view) for number, c in enumerate(every, 1)]
        if query.get("filter", "latest") == "latest":
            runs = list({(r["name"], r["check_suite"]["id"]): r for r in runs}.values())
        return [r for r in runs if query.get("check_name", r["name"]) == r["name"]]

    def _statuses(self, commit: str, view: View) -> list[Object]:
        every = list(enumerate(self.statuses.get(commit, []), 1))
        return [
            {
                "id": n, "context": s["context"], "state": s["state"], "description": None, "target_url": f"{view.api}/statuses/{n}",
                "url": f"{view.base}/statuses/{commit}", "created_at": STAMP.format(n // 60, n % 60), "updated_at": STAMP.format(n // 60, n % 60),
                "creator": view.user(),
            }
            for n, s in reversed(every)
        ]  # fmt: skip


def _issue(issue: Object, view: View) -> Object:
    number = issue["number"]
    kind = "pull" if issue["pull"] else "issues"
    url = f"{view.base}/issues/{number}"
    shown = {
        "id": 5000 + number, "number": number, "title": issue["title"], "state": issue["state"], "url": url, "body": None, "labels": [],
        "html_url": f"{view.api}/{view.slug}/{kind}/{number}", "user": view.user(), "assignees": [], "locked": False, "comments": 0,
        "created_at": STAMP.format(0, number % 60), "updated_at": STAMP.format(1, number % 60),
        "closed_at": STAMP.format(2, 0) if issue["state"] == "closed" else None,
        "state_reason": "completed" if issue["state"] == "closed" else None,
    }  # fmt: skip
    if issue["pull"]:
        shown["pull_request"] = {"url": f"{view.base}/pulls/{number}", "html_url": shown["html_url"], "merged_at": shown["closed_at"]}
    return shown


def _check(number: int, check: Object, commit: str, view: View) -> Object:
    url = f"{view.base}/check-runs/{number}"
    return {
        "id": number, "name": check["name"], "head_sha": commit, "status": check["status"], "conclusion": check["conclusion"], "url": url,
        "html_url": f"{view.api}/{view.slug}/runs/{number}", "details_url": check["details_url"] or f"{view.api}/{view.slug}/runs/{number}",
        "external_id": "", "started_at": STAMP.format(number // 60, number % 60), "check_suite": {"id": check.get("suite", 1)},
        "completed_at": STAMP.format(number // 60, number % 60) if check["status"] == "completed" else None, "pull_requests": [],
        "output": {"title": None, "summary": None, "text": None, "annotations_count": 0, "annotations_url": f"{url}/annotations"},
        "app": {"id": 15368, "slug": "github-actions", "name": "GitHub Actions", "owner": view.user("github")},
    }  # fmt: skip
