"""When our own push back does not settle it. A rule or a missing right refuses it: then the workflow's `action: rollback` is the second way,
authorised by our lock as a promotion's run is, and followed in the same way. Or nobody answers.

Whatever the end, what may still come is fenced off and the refs are read before anything is said.
"""

from __future__ import annotations

import traceback

from promote.core.deadline import Deadline, insist
from promote.core.errors import Denied, Interrupted, NotFound, PromoteError, Rejected, Superseded, Unreachable
from promote.core.model import Tag, short
from promote.core.signals import held
from promote.promotion.context import Moved, Run
from promote.promotion.forge.workflow_run import FENCE_FOR_S, fence_off, run_workflow
from promote.tags.lock import LOCK, lock_at


def has_second_way(run: Run) -> bool:
    """Whether the repository's workflow moves the tags, and reads the lock."""
    return run.settings.promotion.via == "workflow" and not run.settings.workflow.legacy


def by_workflow(run: Run, before: Tag, refusal: PromoteError) -> str:
    """Have the workflow put the stable tag back to `before`, and read that it is. Returns what to show; then the run knows tag and lock.

    Raises Superseded; Interrupted when a person stopped it; else, when the tag is not back, PromoteError with both refusals.
    """
    run.tools.report.note(f"{refusal.what}: the workflow is asked to put it back")
    deadline = Deadline(run.settings.workflow.timeout, run.tools.clock)
    try:
        said = run_workflow(run, _inputs(run, before), deadline, effect="dispatch the rollback")
        if still := _look(run, before):
            raise Rejected("workflow", f"{said} and succeeded, but {still}", hint="")
        return f"by the workflow: {said}"
    except Superseded:
        raise
    except (Interrupted, Exception) as error:
        run.journal.write("note", "the move back was cut short", error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc())
        if problem := settle(run, before, error, asked=f"{refusal.what}; the workflow was asked to"):
            raise PromoteError(f"{refusal.what}; nor could the workflow, so {problem}: {_reason(error)}", hint=_hint(run, refusal, error)) from error
        return f"the workflow moved it although: {_reason(error)}"


def _inputs(run: Run, before: Tag) -> dict[str, str]:
    """The lock says what goes back where. Its id makes the request id another one than the promotion's, and another at every attempt."""
    lock = run.lock
    assert lock is not None
    return {
        "action": "rollback",
        "version": "",
        "request_id": f"{run.request_id}-back-{lock.oid[:8]}",
        "expected_commit": before.commit,
        "lock": lock.oid,
    }


def _look(run: Run, before: Tag) -> str:
    """Read the refs and write what is true into the run. Returns "" when the tag is back under our lock, else what is the matter."""
    refs = run.tools.git.refs(run.names.stable, LOCK)
    stable, name = refs.get(run.names.stable), run.settings.tags.stable
    lock = lock_at(run.tools.git, refs.get(LOCK))
    if stable and stable.object == before.object and lock and lock.request_id == run.request_id:
        if run.lock and lock.holder != run.lock.holder:
            raise Superseded(f"{LOCK} is not ours any more: {lock.sentence()}", hint="look with `promote status` before anything else")
        run.lock, run.moved, run.stable = lock, Moved.YES, before
        return ""
    if stable and run.stable and stable.object == run.stable.object:
        run.moved = Moved.YES  # as this promotion left it
        return f"{name} is still at {short(stable.commit)}"
    raise Superseded(
        f"{name} is {f'at {short(stable.commit)}' if stable else 'gone'}, which neither this promotion nor its rollback did",
        hint="somebody else moved production's tag; nothing was overwritten. See who: `promote status`",
    )


def settle(run: Run, before: Tag, error: BaseException, *, asked: str) -> str:
    """Give the move back up: fence, look, write what is true into the run. Returns "" when the tag is back after all, else what is the matter.

    The lock's state stays: whoever resumes still has to go back. `asked` begins the sentence that says how it was tried.
    Not itself interruptible. Raises Superseded; PromoteError when nothing is known; `error` itself when it is an Interrupted.
    """
    assert run.lock is not None
    clock = run.tools.clock
    with held():
        try:
            fence_off(run, error, Deadline(FENCE_FOR_S, clock), state=run.lock.state)
            problem = insist(lambda: _look(run, before), on=Unreachable, deadline=Deadline(FENCE_FOR_S, clock))
        except Superseded:
            raise
        except PromoteError as unknown:
            run.moved = Moved.UNKNOWN
            raise PromoteError(f"{asked}: {_reason(error)}; and what becomes of the tag is not known: {unknown.what}", hint=unknown.hint) from error
    if isinstance(error, Interrupted):
        raise error
    return problem


def _reason(error: BaseException) -> str:
    return f"stopped by {error.signal_name}" if isinstance(error, Interrupted) else str(getattr(error, "what", error))


def _hint(run: Run, refusal: PromoteError, error: BaseException) -> str:
    file = run.settings.workflow.file
    if isinstance(error, Rejected | NotFound) and run.workflow_run is None:
        other = f"give {file} on the trunk the input `action` (take the template promote-prod.yaml)"
    elif isinstance(error, Denied):
        other = error.hint
    elif not isinstance(error, Rejected):
        other = f"look at the runs of {file} in the Actions page"
    else:
        other = f"let the workflow's token move {run.settings.tags.stable} (a bypass in the repository's rules)"
    return f"{refusal.hint}; or {other}; then `promote resume`"
