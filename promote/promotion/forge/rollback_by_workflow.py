"""When our own push back does not settle it. A rule or a missing right refuses it: then the workflow's `action: rollback` is the second way,
authorised by our lock as a promotion's run is, and followed in the same way. Or nobody answers.

Whatever the end, what may still come is fenced off and the refs are read before anything is said.
"""

from __future__ import annotations

import traceback

from promote.core.deadline import Deadline
from promote.core.errors import Denied, Interrupted, NotFound, PromoteError, Rejected, Superseded, Unreachable
from promote.core.model import Tag, short
from promote.core.retry import retry_until
from promote.core.signals import defer_signals
from promote.promotion.context import Moved, PromotionContext
from promote.promotion.forge.workflow_run import FENCE_FOR_S, fence_off, run_workflow
from promote.tags.lock import LOCK, lock_at


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
        said = run_workflow(ctx, _inputs(ctx, before), deadline, effect="dispatch the rollback")
        if still := _look(ctx, before):
            raise Rejected("workflow", f"{said} and succeeded, but {still}", hint="")
        return f"by the workflow: {said}"
    except Superseded:
        raise
    except (Interrupted, Exception) as error:
        ctx.journal.write("note", "the move back was cut short", error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc())
        if problem := resolve_outcome(ctx, before, error, asked=f"{refusal.what}; the workflow was asked to"):
            raise PromoteError(f"{refusal.what}; nor could the workflow, so {problem}: {_reason(error)}", hint=_hint(ctx, refusal, error)) from error
        return f"the workflow moved it although: {_reason(error)}"


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


def _look(ctx: PromotionContext, before: Tag) -> str:
    """Read the refs and write what is true into the run. Returns "" when the tag is back under our lock, else what is the matter."""
    refs = ctx.deps.git.refs(ctx.names.stable, LOCK)
    stable, name = refs.get(ctx.names.stable), ctx.settings.tags.stable
    lock = lock_at(ctx.deps.git, refs.get(LOCK))
    if stable and stable.object == before.object and lock and lock.request_id == ctx.request_id:
        if ctx.lock and lock.holder != ctx.lock.holder:
            raise Superseded(f"{LOCK} is not ours any more: {lock.sentence()}", hint="look with `promote status` before anything else")
        ctx.lock, ctx.moved, ctx.stable = lock, Moved.YES, before
        return ""
    if stable and ctx.stable and stable.object == ctx.stable.object:
        ctx.moved = Moved.YES  # as this promotion left it
        return f"{name} is still at {short(stable.commit)}"
    raise Superseded(
        f"{name} is {f'at {short(stable.commit)}' if stable else 'gone'}, which neither this promotion nor its rollback did",
        hint="somebody else moved production's tag; nothing was overwritten. See who: `promote status`",
    )


def resolve_outcome(ctx: PromotionContext, before: Tag, error: BaseException, *, asked: str) -> str:
    """Give the move back up: fence, look, write what is true into the run. Returns "" when the tag is back after all, else what is the matter.

    The lock's state stays: whoever resumes still has to go back. `asked` begins the sentence that says how it was tried.
    Not itself interruptible. Raises Superseded; PromoteError when nothing is known; `error` itself when it is an Interrupted.
    """
    assert ctx.lock is not None
    clock = ctx.deps.clock
    with defer_signals():
        try:
            fence_off(ctx, error, Deadline(FENCE_FOR_S, clock), state=ctx.lock.state)
            problem = retry_until(lambda: _look(ctx, before), on=Unreachable, deadline=Deadline(FENCE_FOR_S, clock))
        except Superseded:
            raise
        except PromoteError as unknown:
            ctx.moved = Moved.UNKNOWN
            raise PromoteError(f"{asked}: {_reason(error)}; and what becomes of the tag is not known: {unknown.what}", hint=unknown.hint) from error
    if isinstance(error, Interrupted):
        raise error
    return problem


def _reason(error: BaseException) -> str:
    return f"stopped by {error.signal_name}" if isinstance(error, Interrupted) else str(getattr(error, "what", error))


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
