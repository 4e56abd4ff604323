"""R2: the dispatch of the workflow under nine faults, among runs of other people: at most one run of ours, and never another's followed.

Decoys are runs of the same workflow and version with other request ids: there before, dispatched while ours is, and newer than ours.
"""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promote.config.schema import Settings
from promote.config.schema import Workflow as WorkflowSettings
from promote.core.deadline import Deadline
from promote.core.errors import Denied, PromoteError, Rejected, Unreachable
from promote.core.model import Tag
from promote.core.version import parse_version
from promote.git.remote import GitRemote
from promote.github.workflow_runs import GitHubRuns
from promote.promotion.context import Dependencies, PromotionContext
from promote.promotion.forge.workflow_run import run_workflow
from promote.promotion.journal import Journal
from promote.sandbox.http_server import Fault, Request, Response
from promote.tags.target import Target
from tests.github.test_workflow_runs import DISPATCHES, TOKEN, Forge, Job, earlier
from tests.robustness.harness import Figures, dice, main, scratch
from tests.support.silent_report import Silent

PATIENCE_S = 6.0
COMMIT = "0" * 40


def status(code: int, **headers: str) -> Fault:
    return Fault(kind="status", path=DISPATCHES, times=1, status=code, body=b'{"message": "no"}', headers=headers)


FAULTS: dict[str, Fault | None] = {
    "none": None,
    "400": status(400),
    "422": status(422),
    "403 secondary limit": Fault(
        kind="status", path=DISPATCHES, times=1, status=403, headers={"Retry-After": "1"},
        body=b'{"message": "You have exceeded a secondary rate limit", "documentation_url": "https://docs.github.com/rest/overview/rate-limits"}',
    ),
    "429": status(429, **{"Retry-After": "1"}),
    "502 before": status(502),
    "502 after": None,
    "hang": Fault(kind="hang", path=DISPATCHES, times=1, seconds=3),
    "dropped before": Fault(kind="drop_before", path=DISPATCHES, times=1),
    "dropped after": Fault(kind="drop_after", path=DISPATCHES, times=1),
    "broken off": Fault(kind="cut", path=DISPATCHES, times=1),
}  # fmt: skip


class Bad(Forge):
    """Answers 502 to a dispatch that it carried out, once; another user dispatches at the same moment."""

    after_502 = False
    company = 0

    def handle(self, request: Request) -> Response:
        if not (request.method == "POST" and request.path.endswith("/dispatches")):
            return super().handle(request)
        for _ in range(self.company):
            self.decoy()
        self.company = 0
        answer = super().handle(request)
        if self.after_502:
            self.after_502 = False
            return Response(status=502, body=b"<html>Bad gateway</html>")
        return answer

    def decoy(self) -> None:
        """Another person's promotion of the same version, in the list from now on."""
        request_id = f"20261123-120000-{secrets.token_hex(3)}"
        inputs = {"version": "v1.2.3", "request_id": request_id}
        earlier(self, title=f"promote v1.2.3 ({request_id})", inputs=inputs)


@dataclass(frozen=True)
class Seen:
    answer: str | PromoteError
    followed: int | None


def run(seed: int, count: int, figures: Figures) -> None:
    names = list(FAULTS)
    for number in range(seed, seed + count):
        name = names[number % len(names)]
        with scratch() as folder, Bad(Job()) as forge:
            assert isinstance(forge, Bad)
            figures.counts[name] += 1
            for what in _one(folder, forge, name, number):
                figures.breach(number, f"{name}: {what}")


def _one(folder: Path, forge: Bad, name: str, seed: int) -> list[str]:
    roll, request_id = dice(seed), f"20261123-120000-{seed:06x}"
    for _ in range(roll.randrange(3)):
        forge.decoy()
    forge.company = roll.randrange(3)
    forge.after_502 = name == "502 after"
    if fault := FAULTS[name]:
        forge.fault(fault)
    seen = _dispatch(folder, forge, request_id)
    forge.decoy()
    ours = [r for r in forge.runs if r.inputs.get("request_id") == request_id]
    found = [] if len(ours) <= 1 else [f"{len(ours)} runs of ours"]
    if seen.followed is not None and seen.followed not in {r.id for r in ours}:
        found.append(f"followed run {seen.followed}, which is not ours")
    if isinstance(seen.answer, str) and not ours:
        found.append("reported as run, and there is no run of ours")
    if isinstance(seen.answer, PromoteError):
        found += [] if isinstance(seen.answer, Rejected | Denied | Unreachable) else [f"{type(seen.answer).__name__}: {seen.answer.what}"]
        if ours and name in ("none", "502 after", "dropped after"):
            found.append(f"our run was not found: {seen.answer.what}")
    return found


def _dispatch(folder: Path, forge: Bad, request_id: str) -> Seen:
    client = GitHubRuns(forge.url, forge.slug, TOKEN, call_s=1)
    settings = Settings(root=folder, workflow=WorkflowSettings(file="promote.yaml"))
    nobody: Any = lambda: None  # noqa: E731
    tools = Dependencies(settings=settings, git=GitRemote(folder, "origin"), report=Silent(), production=nobody, forge=lambda: client, who="us")
    version, trunk = parse_version("v1.2.3"), Tag(ref="refs/heads/main", object=COMMIT, commit=COMMIT)
    target = Target(version=version, commit=COMMIT, from_tree=False, dev_tag=None, stable=None, branch=trunk, prod_tag=None)
    it = PromotionContext(deps=tools, target=target, version=version, request_id=request_id, journal=Journal.open(folder, request_id))
    try:
        answer: str | PromoteError = run_workflow(it, {"version": "v1.2.3", "request_id": request_id}, Deadline(PATIENCE_S))
    except PromoteError as error:
        answer = error
    return Seen(answer, it.workflow_run)


if __name__ == "__main__":
    sys.exit(main(__doc__, run, name="R2 dispatch", count=50, full=500))
