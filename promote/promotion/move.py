"""PRECHECKED → PROMOTED: move the tag, through the workflow or directly, and find out what really happened when that is unclear.

Whatever interrupts it, `settle` has the last word: fence our run off, then read the refs. Only then is "nothing moved" said.
"""

from __future__ import annotations

import traceback

from promote.core.deadline import Deadline
from promote.core.errors import Denied, Interrupted, PromoteError, Rejected, Superseded, Unreachable
from promote.core.model import Tag, Verdict, short
from promote.core.retry import retry_until
from promote.core.signals import defer_signals
from promote.promotion.context import Moved, PromotionContext, StepResult, StepStatus
from promote.promotion.driver_checks import record_check, tags_made
from promote.promotion.forge.legacy_workflow import compare
from promote.promotion.forge.workflow_run import FENCE_FOR_S, fence_off, run_workflow, stop_run
from promote.promotion.recording import expect_record, record_directly
from promote.tags.lock import LOCK, lock_at
from promote.tags.publish import Request, publish, undo_commands


def promote(ctx: PromotionContext) -> StepResult:
    """The transition. PASSED only when the refs on the remote were read back and are as wanted."""
    assert ctx.lock is not None
    ctx.t_before = ctx.moved_at = ctx.deps.clock.now()
    if ctx.target.stable:
        _, plain = undo_commands(ctx.settings, stable_now="", back_to="")
        ctx.deps.report.undo([f"promote rollback       (or, without this tool: {plain})"])
    ctx.journal.write("note", "t_before", at=ctx.t_before.isoformat())
    ctx.deps.report.step_started("promote")
    deadline = ctx.deadline(ctx.settings.workflow.timeout)
    # From here on a move is possible: until the refs were read, "nothing moved" must not be said, whatever escapes.
    ctx.moved = Moved.UNKNOWN
    try:
        if ctx.settings.promotion.via == "git":
            detail = _directly(ctx)
        else:
            detail = run_workflow(ctx, {"version": ctx.version.text} if is_legacy(ctx) else _inputs(ctx), deadline)
        return confirm(ctx, deadline, detail)
    except Superseded:
        raise
    except (Interrupted, Exception) as error:
        _never_dispatched(ctx, error)
        ctx.journal.write("note", "the move was cut short", error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc())
        return resolve_outcome(ctx, error, deadline)


def _request(ctx: PromotionContext) -> Request:
    assert ctx.lock is not None
    return Request(
        version=ctx.version,
        request_id=ctx.request_id,
        promoted_by=ctx.deps.who,
        expected_commit=ctx.target.commit,
        lock_id=ctx.lock.oid,
    )


def _directly(ctx: PromotionContext) -> str:
    request = _request(ctx)
    for check in ("workflow-dispatched", "workflow-succeeded"):
        record_check(ctx, check, Verdict.DISABLED, 'promotion.via = "git": there is no workflow')
    with defer_signals():
        published = ctx.journal.effect("move the stable tag", {"to": ctx.target.commit}, lambda: publish(ctx.deps.git, ctx.settings, request))
    ctx.lock, ctx.stable, ctx.moved = published.lock, published.stable, Moved.YES
    record_directly(ctx, request, published)
    return "one push"


def _never_dispatched(ctx: PromotionContext, error: BaseException) -> None:
    """The dispatch itself did not come through: nobody saw a run."""
    if not any(check.id == "workflow-dispatched" for check in ctx.checks):
        what = getattr(error, "what", "") or f"stopped: {type(error).__name__}"
        record_check(ctx, "workflow-dispatched", Verdict.FAILED if _said_no(error) else Verdict.ERRORED, str(what))


def is_legacy(ctx: PromotionContext) -> bool:
    """Whether an older workflow moves the tags, which knows no lock."""
    return ctx.settings.workflow.legacy and ctx.settings.promotion.via == "workflow"


def _inputs(ctx: PromotionContext) -> dict[str, str]:
    request = _request(ctx)
    return {
        "version": ctx.version.text,
        "request_id": request.request_id,
        "expected_commit": request.expected_commit,
        "lock": request.lock_id,
    }


def confirm(ctx: PromotionContext, deadline: Deadline, detail: str) -> StepResult:
    """Read the refs back: the move counts only if stable and the prod tag are one object at our commit and the lock says it was us."""
    problem = _read_back(ctx)
    tags_made(ctx, problem)
    if problem:
        ctx.step("promote", Verdict.FAILED, deadline.elapsed, problem)
        return StepResult(status=StepStatus.FAILED, reason=problem, hint=by_hand(ctx))
    assert ctx.stable is not None
    prod = ctx.names.prod.removeprefix("refs/tags/")
    ctx.step(
        "promote",
        Verdict.PASSED,
        deadline.elapsed,
        f"{detail} · {prod} and {ctx.settings.tags.stable} → {short(ctx.stable.commit)}{'' if is_legacy(ctx) else ' in one push'}",
    )
    if back := ctx.target.back:
        exact, _ = undo_commands(ctx.settings, stable_now=ctx.stable.object, back_to=back.object)
        ctx.deps.report.note(f"exact undo: {exact}")
    if ctx.settings.promotion.via == "workflow" and not is_legacy(ctx):  # an older workflow writes none
        expect_record(ctx)
    return StepResult(status=StepStatus.PASSED)


def _read_back(ctx: PromotionContext) -> str:
    """What `look` says; somebody else's value there is the check's failure as well."""
    try:
        return look(ctx)
    except Superseded as gone:
        tags_made(ctx, gone.what)
        raise


def look(ctx: PromotionContext) -> str:
    """Read what became of the move and write it into the run. Returns "" when it is what we asked for, else what is the matter.

    Raises Superseded when somebody else's value is there.
    """
    if is_legacy(ctx):
        return compare(ctx)
    refs = ctx.deps.git.refs(ctx.names.stable, ctx.names.prod, LOCK)
    stable, prod, before = refs.get(ctx.names.stable), refs.get(ctx.names.prod), ctx.target.stable
    lock, unmoved = lock_at(ctx.deps.git, refs.get(LOCK)), (stable.object if stable else "") == (before.object if before else "")
    ours = lock is not None and lock.request_id == ctx.request_id
    if unmoved and not (ours and lock and lock.state == "promoted"):
        ctx.moved = Moved.NO
        return f"{ctx.settings.tags.stable} is still {f'at {short(stable.commit)}' if stable else 'absent'}: nothing was moved"
    if stable is None or lock is None or not ours or not (unmoved or (prod and prod.object == stable.object)):
        now = short(stable.commit) if stable else "nothing"
        raise Superseded(
            f"{ctx.settings.tags.stable} is at {now}, which this promotion did not put there",
            hint="somebody else moved production's tag; nothing was overwritten. See who: `promote status`",
        )
    if ctx.lock and lock.holder != ctx.lock.holder:
        raise Superseded(f"{LOCK} is not ours any more: {lock.sentence()}", hint="look with `promote status` before anything else")
    ctx.lock, ctx.moved, ctx.stable = lock, Moved.YES, Tag(ref=stable.ref, object=stable.object, commit=stable.commit)
    if unmoved:
        return f"{ctx.settings.tags.stable} was moved, and put back to {short(stable.commit)} by hand"
    if stable.commit != ctx.target.commit:
        return f"{ctx.settings.tags.stable} was moved to {short(stable.commit)} instead of {short(ctx.target.commit)}"
    return ""


def resolve_outcome(ctx: PromotionContext, error: BaseException, deadline: Deadline) -> StepResult:
    """Give up a move whose outcome is not known: fence, look, and say what is true. Not itself interruptible."""
    said = StepStatus.INTERRUPTED if isinstance(error, Interrupted) else StepStatus.FAILED if _said_no(error) else StepStatus.ERRORED
    reason = f"stopped by {error.signal_name}" if isinstance(error, Interrupted) else getattr(error, "what", str(error))
    patience = Deadline(FENCE_FOR_S, ctx.deps.clock)
    with defer_signals():
        try:
            if is_legacy(ctx):  # it does not read the lock: only a run that is over moves nothing any more
                stop_run(ctx, patience)
            else:
                fence_off(ctx, error, patience, state="promoted" if ctx.moved is Moved.YES else "fenced")
        except PromoteError as unfenced:
            return _not_known(ctx, said, f"{reason}; and a late move could not be fenced off: {unfenced.what}", deadline)
        try:
            what = retry_until(lambda: _read_back(ctx), on=Unreachable, deadline=Deadline(FENCE_FOR_S, ctx.deps.clock))
        except Unreachable as unread:
            return _not_known(ctx, said, f"{reason}; and what became of the tag could not be read: {unread.what}", deadline)
    tags_made(ctx, what)
    if not what:  # it moved after all, and rightly: go on to proof unless a person asked to stop
        ctx.step("promote", Verdict.PASSED, deadline.elapsed, f"the move was made although: {reason}")
        return StepResult(status=StepStatus.INTERRUPTED if said is StepStatus.INTERRUPTED else StepStatus.PASSED, reason=reason)
    _candidate_still_tagged(ctx)
    ctx.step("promote", Verdict.ERRORED if said is not StepStatus.FAILED else Verdict.FAILED, deadline.elapsed, f"{reason}; {what}")
    return StepResult(status=said, reason=f"{reason}; {what}", hint=getattr(error, "hint", "") or by_hand(ctx))


def _candidate_still_tagged(ctx: PromotionContext) -> None:
    """Raise Superseded when the reason that nothing moved is that somebody re-created or deleted the dev tag after it was checked."""
    try:
        dev = ctx.deps.git.ref(ctx.names.dev)
    except PromoteError:
        return  # it would only have been a better explanation
    if dev is None or dev.commit != ctx.target.commit:
        name, now = ctx.names.dev.removeprefix("refs/tags/"), f"at {short(dev.commit)}" if dev else "gone"
        raise Superseded(
            f"{name} is {now}, but {short(ctx.target.commit)} was checked: somebody changed it meanwhile; nothing was moved",
            hint="run the promotion again for what the tag says now",
        )


def _not_known(ctx: PromotionContext, said: StepStatus, reason: str, deadline: Deadline) -> StepResult:
    """Neither moved nor unmoved can be said: a person must look."""
    ctx.moved = Moved.UNKNOWN
    record_check(ctx, "prod-tags-created", Verdict.ERRORED, reason)
    ctx.step("promote", Verdict.ERRORED, deadline.elapsed, reason)
    return StepResult(status=said, reason=reason, hint=by_hand(ctx))


def _said_no(error: BaseException) -> bool:
    return isinstance(error, Rejected | Denied)


def by_hand(ctx: PromotionContext) -> str:
    """The seed's manual method with this run's real values, in its leased form."""
    remote, names = ctx.settings.repository.remote, ctx.names
    prod, commit = names.prod.removeprefix("refs/tags/"), ctx.target.commit
    before = ctx.target.stable.object if ctx.target.stable else ""
    replaced = ctx.lock.replaces if ctx.lock else ""
    lease = f"--force-with-lease={names.stable}:{before} --force-with-lease={names.prod}:{replaced}"
    return (
        f"by hand: git fetch {remote} {names.dev} && git tag {'-f ' if replaced else ''}-a {prod} {commit} -m 'Prod release {ctx.version}' && "
        f"git push --atomic {lease} {remote} {names.prod} {names.prod}:{names.stable}; then `promote status`"
    )
