"""The move through GitHub Actions: dispatch exactly once, follow our own run and no other, give up at the deadline."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from promote.deadline import Deadline, DeadlineExceeded, insist, wait_until
from promote.errors import PromoteError, Rejected, Unreachable
from promote.run import Run

if TYPE_CHECKING:
    from promote.clients.github_runs import GitHubRuns, RunState

APPEARS_S = 60.0  # GitHub lists a dispatched run within seconds; one that has not appeared by then is given up and fenced off


def run_workflow(run: Run, inputs: dict[str, str], deadline: Deadline) -> str:
    """Dispatch and wait for success. Returns what to show. Raises Rejected with the failing jobs' log tails, Unreachable at the deadline.

    The caller settles what happened to the tags: a failed run may have moved them, a late one may still try.
    """
    forge, workflow = run.tools.forge(), run.settings.workflow
    since = datetime.now(UTC)
    handle = run.journal.effect(
        "dispatch the workflow",
        {"file": workflow.file, "inputs": inputs},
        lambda: forge.dispatch(workflow.file, run.settings.repository.branch, inputs, request_id=run.request_id, deadline=deadline),
    )

    def find() -> RunState | None:
        ask = (lambda: forge.state(handle.id)) if handle else (lambda: forge.find(workflow.file, run.request_id, since))
        return insist(ask, on=Unreachable, deadline=deadline)

    try:
        soon = Deadline(min(APPEARS_S, deadline.left), run.tools.clock)
        first = wait_until("the dispatched run appears", find, ready=lambda s: s is not None, deadline=soon, every_s=_pace)
        assert first is not None
        run.tools.report.note(f"run {first.id} {first.url}")
        run.journal.write("note", "run", id=first.id, url=first.url)
        last = _follow(run, forge, first.id, deadline)
    except DeadlineExceeded as late:
        _cancel(run, forge, late.last)
        raise Unreachable("workflow", f"{workflow.file} did not complete within {late.seconds:.0f} s ({_words(late.last)})", hint="") from late
    if last.conclusion != "success":
        logs = "\n".join(f"    {job.job} / {job.step}: {line}" for job in forge.failed_logs(last.id, lines=15) for line in job.lines)
        raise Rejected("workflow", f"run {last.id} concluded {last.conclusion}\n{logs}", hint=f"read {last.url}")
    return f"run {last.id} took {deadline.elapsed:.0f} s"


def _pace(waited_s: float) -> float:
    """GitHub every 2 s for 30 s, then every 6 s; the first look comes soon, since small runs are quick."""
    return 0.5 if waited_s < 5 else 2.0 if waited_s < 30 else 6.0


def _follow(run: Run, forge: GitHubRuns, run_id: int, deadline: Deadline) -> RunState:
    shown = ""

    def look() -> RunState:
        nonlocal shown
        state = insist(lambda: forge.state(run_id), on=Unreachable, deadline=deadline)
        if (words := _words(state)) != shown:
            shown = words
            run.tools.report.note(f"run {run_id}: {words}")
        return state

    return wait_until("the run completes", look, ready=lambda s: s.status == "completed", deadline=deadline, every_s=_pace)


def _words(state: object) -> str:
    status = getattr(state, "status", None)
    if status is None:
        return "it never appeared in the list of runs"
    waiting = getattr(state, "waiting_for", ())
    return f"waiting for approval by {', '.join(waiting)}" if waiting else str(status).replace("_", " ")


def _cancel(run: Run, forge: GitHubRuns, state: object) -> None:
    """A courtesy: fenced, the run can move nothing any more."""
    run_id = getattr(state, "id", None)
    if run_id is None:
        return
    try:
        run.journal.effect("cancel the run", {"id": run_id}, lambda: forge.cancel(run_id), putting_back=True)
    except PromoteError as error:
        run.warnings.append(f"run {run_id} could not be cancelled: {error.what}")
