"""The second way to put production's tag back, where a rule or a missing right refuses our own push: the workflow's `action: rollback`, authorised by
our lock as a promotion's run is, and followed in the same way.
"""

from __future__ import annotations

import traceback

from promote.core.deadline import Deadline
from promote.core.errors import Denied, Interrupted, NotFound, PromoteError, Rejected, Superseded
from promote.core.model import Tag
from promote.promotion.context import PromotionContext
from promote.promotion.forge.workflow_run import run_workflow
from promote.promotion.outcome import Direction, cause_of, read_outcome, resolve_outcome


def has_second_way(ctx: PromotionContext) -> bool:
    """Whether the repository's workflow moves the tags, and reads the lock."""
    return ctx.settings.promotion.via == "workflow" and not ctx.settings.workflow.legacy


def by_workflow(ctx: PromotionContext, before: Tag, refusal: PromoteError) -> str:
    """Have the workflow put the stable tag back to `before`, and read that it is. Returns what to show; then the run knows tag and lock.

    Raises Superseded; Interrupted when a person stopped it; else, when the tag is not back, PromoteError with both refusals.
    """
    ctx.deps.report.note(f"{refusal.what}: the workflow is asked to put it back")
    deadline = Deadline(ctx.settings.workflow.timeout, ctx.deps.clock)
    try:
        done = run_workflow(ctx, _inputs(ctx, before), deadline, effect="dispatch the rollback")
        if still := read_outcome(ctx, Direction.BACK).problem:
            raise Rejected("workflow", f"{done} and succeeded, but {still}", hint="")
        return f"by the workflow: {done}"
    except Superseded:
        raise
    except (Interrupted, Exception) as error:
        ctx.journal.write("note", "the move back was cut short", error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc())
        if problem := still_away(ctx, error, asked=f"{refusal.what}; the workflow was asked to"):
            raise PromoteError(f"{refusal.what}; nor could the workflow, so {problem}: {cause_of(error)}", hint=_hint(ctx, refusal, error)) from error
        return f"the workflow moved it although: {cause_of(error)}"


def still_away(ctx: PromotionContext, error: BaseException, *, asked: str) -> str:
    """Give up a move back that `error` cut short. Returns "" when the tag is back after all, else what is wrong.

    `asked` begins the sentence that says how it was tried.

    Raises Superseded; PromoteError when it is not known; `error` itself when it is an Interrupted.
    """
    try:
        reading = resolve_outcome(ctx, error, Direction.BACK)
    except Superseded:
        raise
    except PromoteError as unknown:
        raise PromoteError(f"{asked}: {cause_of(error)}; and whether the tag is back is not known: {unknown.what}", hint=unknown.hint) from error
    if isinstance(error, Interrupted):
        raise error
    return reading.problem


def _inputs(ctx: PromotionContext, before: Tag) -> dict[str, str]:
    """The lock says what goes back where. Its id makes the request id another one than the promotion's, and another at every attempt."""
    lock = ctx.lock
    assert lock is not None
    return {
        "action": "rollback",
        "version": "",
        "request_id": f"{ctx.request_id}-back-{lock.oid[:8]}",
        "expected_commit": before.commit,
        "lock": lock.oid,
    }


def _hint(ctx: PromotionContext, refusal: PromoteError, error: BaseException) -> str:
    file = ctx.settings.workflow.file
    if isinstance(error, Rejected | NotFound) and ctx.workflow_run is None:
        other = f"give {file} on the trunk the input `action` (take the template promote-prod.yaml)"
    elif isinstance(error, Denied):
        other = error.hint
    elif not isinstance(error, Rejected):
        other = f"look at the runs of {file} in the Actions page"
    else:
        other = f"let the workflow's token move {ctx.settings.tags.stable} (a bypass in the repository's rules)"
    return f"{refusal.hint}; or {other}; then `promote resume`"
