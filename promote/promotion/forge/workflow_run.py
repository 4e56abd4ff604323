"""The move through GitHub Actions: dispatch exactly once, follow our own run and no other, give up at the deadline."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from promote.core.deadline import Deadline
from promote.core.errors import PromoteError, Rejected, Superseded, Unreachable
from promote.core.model import Verdict
from promote.core.retry import DeadlineExceeded, retry_until, wait_until
from promote.promotion.context import PromotionContext
from promote.promotion.driver_checks import record_check
from promote.tags.publish import fence

if TYPE_CHECKING:
    from promote.github.workflow_runs import GitHubRuns, RunState

SKEW = timedelta(minutes=5)  # between our clock and GitHub's
FENCE_FOR_S = 60.0  # how long an unreachable remote is retried before the promotion ends STUCK
APPEARS_S = 60.0  # GitHub lists a dispatched run within seconds; one that has not appeared by then is fenced off


def run_workflow(ctx: PromotionContext, inputs: dict[str, str], deadline: Deadline, *, effect: str = "dispatch the workflow") -> str:
    """Dispatch and wait for success. Returns what to show. Raises Rejected with the failing jobs' log tails, Unreachable at the deadline.

    The run is known by its input `request_id`. `effect` is what the journal calls it; the checklist's checks speak of the promotion's own run alone.
    The caller settles what happened to the tags: a failed run may have moved them, a late one may still try.
    """
    forge, workflow, request_id = ctx.deps.forge(), ctx.settings.workflow, inputs.get("request_id", ctx.request_id)
    record = partial(record_check, ctx) if effect == "dispatch the workflow" else _unrecorded
    ctx.workflow_run = None
    since = datetime.now(UTC)
    others = {state.id for state in forge.since(workflow.file, since - SKEW)} if workflow.legacy else set()
    handle = ctx.journal.effect(
        effect,
        {"file": workflow.file, "inputs": inputs},
        lambda: forge.dispatch(workflow.file, ctx.settings.repository.branch, inputs, request_id=request_id, deadline=deadline),
    )

    def find() -> RunState | None:
        return retry_until(lambda: _find(ctx, forge, handle.id if handle else None, request_id, since, others), on=Unreachable, deadline=deadline)

    try:
        soon = Deadline(min(APPEARS_S, deadline.left), ctx.deps.clock)
        first = wait_until("the dispatched run appears", find, ready=lambda s: s is not None, deadline=soon, every_s=_pace)
        assert first is not None
        ctx.workflow_run = first.id
        ctx.deps.report.note(f"run {first.id} {first.url}")
        ctx.journal.write("note", "run", id=first.id, url=first.url)
        record("workflow-dispatched", Verdict.PASSED, run=first.id, url=first.url)
        last = _follow(ctx, forge, first.id, deadline)
    except DeadlineExceeded as late:
        which = "workflow-dispatched" if ctx.workflow_run is None else "workflow-succeeded"
        record(which, Verdict.ERRORED, f"{late.what}: not within {late.seconds:.0f} s ({_words(late.last)})")
        raise Unreachable("workflow", f"{workflow.file}: {late.what}: not within {late.seconds:.0f} s ({_words(late.last)})", hint="") from late
    verdict = Verdict.PASSED if last.conclusion == "success" else Verdict.FAILED
    record("workflow-succeeded", verdict, "" if verdict is Verdict.PASSED else f"it concluded {last.conclusion}", run=last.id, url=last.url)
    if last.conclusion != "success":
        logs = "\n".join(f"    {job.job} / {job.step}: {line}" for job in forge.failed_logs(last.id, lines=15) for line in job.lines)
        raise Rejected("workflow", f"run {last.id} concluded {last.conclusion}\n{logs}", hint=f"read {last.url}")
    return f"run {last.id} took {deadline.elapsed:.0f} s"


def _pace(waited_s: float) -> float:
    """GitHub every 2 s for 30 s, then every 6 s; the first look comes soon, since small runs are quick."""
    return 0.5 if waited_s < 5 else 2.0 if waited_s < 30 else 6.0


def _unrecorded(*_: object, **__: object) -> None:
    """Stands in for `record_check`."""


def _find(ctx: PromotionContext, forge: GitHubRuns, run_id: int | None, request_id: str, since: datetime, others: Collection[int]) -> RunState | None:
    """Our run: by the id that the dispatch answered, else by the request id in its title; an older workflow shows none, so only a single
    new one can be ours. Raises Rejected when there are several."""
    file = ctx.settings.workflow.file
    if run_id is not None:
        return forge.state(run_id)
    if not ctx.settings.workflow.legacy:
        return forge.find(file, request_id, since)
    found = [state for state in forge.since(file, since - SKEW) if state.id not in others]
    if len(found) > 1:
        ids = ", ".join(str(state.id) for state in found)
        raise Rejected("workflow", f"{len(found)} runs of {file} began since the dispatch ({ids}); which one is ours is not known", hint="")
    return found[0] if found else None


def _follow(ctx: PromotionContext, forge: GitHubRuns, run_id: int, deadline: Deadline) -> RunState:
    """Until it completes. An approval has a deadline of its own, and the run's deadline restarts after it."""
    shown = ""

    def look() -> RunState:
        nonlocal shown
        state = retry_until(lambda: forge.state(run_id), on=Unreachable, deadline=deadline)
        if (words := _words(state)) != shown:
            shown = words
            ctx.deps.report.note(f"run {run_id}: {words}")
        return state

    def over(state: RunState) -> bool:
        return state.status == "completed"

    workflow = ctx.settings.workflow
    state = wait_until("the run completes", look, ready=lambda s: over(s) or bool(s.waiting_for), deadline=deadline, every_s=_pace)
    while not over(state):
        deadline = ctx.deadline(workflow.approval_timeout)
        state = wait_until("the run is approved", look, ready=lambda s: not s.waiting_for, deadline=deadline, every_s=_pace)
        deadline = ctx.deadline(workflow.timeout)
        state = wait_until("the run completes", look, ready=lambda s: over(s) or bool(s.waiting_for), deadline=deadline, every_s=_pace)
    return state


def _words(state: object) -> str:
    status = getattr(state, "status", None)
    if status is None:
        return "it never appeared in the list of runs"
    waiting = getattr(state, "waiting_for", ())
    return f"waiting for approval by {', '.join(waiting)}" if waiting else str(status).replace("_", " ")


def cancel_run(ctx: PromotionContext) -> None:
    """Ask for our run to be cancelled, when one is known: a courtesy, since fenced off it can move nothing any more."""
    run_id = ctx.workflow_run
    if run_id is None:
        return
    try:
        ctx.journal.effect("cancel the run", {"id": run_id}, lambda: ctx.deps.forge().cancel(run_id), best_effort_journal=True)
    except PromoteError as error:
        ctx.warnings.append(f"run {run_id} could not be cancelled: {error.what}")


def fence_off(ctx: PromotionContext, error: BaseException, deadline: Deadline, *, state: str = "fenced") -> None:
    """Make our run unable to move anything, whatever `error` ended the wait for it, and cancel it. `state` is the lock's state from now on.

    A lock that was replaced before is passed over: perhaps our own run did it, which moved just now; the refs show it. Raises PromoteError when
    nothing is known.
    """
    lock = ctx.lock
    assert lock is not None
    try:
        fenced = ctx.journal.effect(
            "fence",
            {"lock": lock.oid},
            lambda: fence(ctx.deps.git, lock, state, patience=deadline),
            best_effort_journal=True,
        )
        ctx.update(lock=fenced)
    except Superseded:
        return
    if not isinstance(error, Rejected):  # a run that failed is over
        cancel_run(ctx)


def stop_run(ctx: PromotionContext, deadline: Deadline) -> None:
    """Cancel our run and wait until it is over: the only fence against a workflow that does not read the lock.

    Raises Unreachable when that cannot be known.
    """
    forge, run_id = ctx.deps.forge(), ctx.workflow_run
    if run_id is None:
        raise Unreachable("workflow", "the dispatched run was never seen, so it may still come", hint="look at the Actions page")
    if forge.state(run_id).status != "completed":
        cancel_run(ctx)
    try:
        ask = lambda: retry_until(lambda: forge.state(run_id), on=Unreachable, deadline=deadline)  # noqa: E731
        wait_until("the run is over", ask, ready=lambda s: s.status == "completed", deadline=deadline, every_s=_pace)
    except DeadlineExceeded as late:
        raise Unreachable("workflow", f"run {run_id} was cancelled and is still not over", hint="look at the Actions page") from late
