"""PRECHECKED → PROMOTED: move the tag, through the workflow or directly, and find out what really happened when that is unclear (`outcome.py`).

The record on the branch is named as there only after it was read there, and whatever is wrong with it is a warning.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace

from promote.core.deadline import Deadline
from promote.core.errors import Denied, Interrupted, PromoteError, Rejected, Superseded
from promote.core.model import Verdict, short
from promote.core.signals import defer_signals
from promote.promotion.context import Moved, PromotionContext, StepResult, StepStatus
from promote.promotion.driver_checks import record_check, tags_made
from promote.promotion.forge.workflow_run import run_workflow
from promote.promotion.outcome import Direction, OutcomeUnknown, cause_of, read_outcome, resolve_outcome
from promote.tags.observation import Reading
from promote.tags.publish import Published, Request, publish, undo_commands
from promote.tags.records import has_record, record_path, write_record


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
    # From here on a move is possible: until the refs were read, "nothing moved" must not be reported, whatever escapes.
    ctx.update(moved=Moved.UNKNOWN)
    try:
        if ctx.settings.promotion.via == "git":
            detail = _directly(ctx)
        else:
            detail = run_workflow(ctx, {"version": ctx.version.text} if ctx.legacy else _inputs(ctx), deadline)
        return confirm(ctx, deadline, detail)
    except Superseded:
        raise
    except (Interrupted, Exception) as error:
        _never_dispatched(ctx, error)
        ctx.journal.write("note", "the move was cut short", error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc())
        return _give_up(ctx, error, deadline)


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
    request = replace(_request(ctx), evidence="this process ran the pre suite")
    for check in ("workflow-dispatched", "workflow-succeeded"):
        record_check(ctx, check, Verdict.DISABLED, 'promotion.via = "git": there is no workflow')
    with defer_signals():
        published = ctx.journal.effect("move the stable tag", {"to": ctx.target.commit}, lambda: publish(ctx.deps.git, ctx.settings, request))
    ctx.update(lock=published.lock, stable=published.stable, moved=Moved.YES)
    record_directly(ctx, request, published)
    return "one push"


def _never_dispatched(ctx: PromotionContext, error: BaseException) -> None:
    """The dispatch itself did not come through: no run was seen."""
    if not any(check.id == "workflow-dispatched" for check in ctx.checks):
        what = getattr(error, "what", "") or f"stopped: {type(error).__name__}"
        record_check(ctx, "workflow-dispatched", Verdict.FAILED if _refused(error) else Verdict.ERRORED, str(what))


def _inputs(ctx: PromotionContext) -> dict[str, str]:
    request = _request(ctx)
    return {
        "version": ctx.version.text,
        "request_id": request.request_id,
        "expected_commit": request.expected_commit,
        "lock": request.lock_id,
    }


def confirm(ctx: PromotionContext, deadline: Deadline, detail: str) -> StepResult:
    """Read the refs back: the move counts only if stable and the prod tag are one object at our commit and the lock shows that it was ours."""
    problem = _read_back(ctx, lambda: read_outcome(ctx, Direction.FORWARD))
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
        f"{detail} · {prod} and {ctx.settings.tags.stable} → {short(ctx.stable.commit)}{'' if ctx.legacy else ' in one push'}",
    )
    if back := ctx.target.back:
        exact, _ = undo_commands(ctx.settings, stable_now=ctx.stable.object, back_to=back.object)
        ctx.deps.report.note(f"exact undo: {exact}")
    if ctx.settings.promotion.via == "workflow" and not ctx.legacy:  # an older workflow writes none
        expect_record(ctx)
    return StepResult(status=StepStatus.PASSED)


def _read_back(ctx: PromotionContext, read: Callable[[], Reading]) -> str:
    """What is wrong with what was read back, "" when nothing is. A foreign value there is the check's failure as well."""
    try:
        return read().problem
    except Superseded as gone:
        tags_made(ctx, gone.what)
        raise


def _give_up(ctx: PromotionContext, error: BaseException, deadline: Deadline) -> StepResult:
    """End a move that `error` cut short with what is true of the tag."""
    status = StepStatus.INTERRUPTED if isinstance(error, Interrupted) else StepStatus.FAILED if _refused(error) else StepStatus.ERRORED
    reason = cause_of(error)
    try:
        problem = _read_back(ctx, lambda: resolve_outcome(ctx, error, Direction.FORWARD))
    except OutcomeUnknown as unknown:
        return _not_known(ctx, status, f"{reason}; and {unknown.what}", deadline)
    tags_made(ctx, problem)
    if not problem:  # it moved after all, and rightly: go on to proof unless a person asked to stop
        ctx.step("promote", Verdict.PASSED, deadline.elapsed, f"the move was made although: {reason}")
        return StepResult(status=StepStatus.INTERRUPTED if status is StepStatus.INTERRUPTED else StepStatus.PASSED, reason=reason)
    _candidate_still_tagged(ctx)
    ctx.step("promote", Verdict.FAILED if status is StepStatus.FAILED else Verdict.ERRORED, deadline.elapsed, f"{reason}; {problem}")
    return StepResult(status=status, reason=f"{reason}; {problem}", hint=getattr(error, "hint", "") or by_hand(ctx))


def _candidate_still_tagged(ctx: PromotionContext) -> None:
    """Raise Superseded when nothing moved because another user re-created or deleted the dev tag after it was checked."""
    try:
        dev = ctx.deps.git.ref(ctx.names.dev)
    except PromoteError:
        return  # it would only have been a better explanation
    if dev is None or dev.commit != ctx.target.commit:
        name, now = ctx.names.dev.removeprefix("refs/tags/"), f"at {short(dev.commit)}" if dev else "gone"
        raise Superseded(
            f"{name} is {now}, but {short(ctx.target.commit)} was checked: another user or process changed it meanwhile; nothing was moved",
            hint="run the promotion again for what the tag says now",
        )


def _not_known(ctx: PromotionContext, status: StepStatus, reason: str, deadline: Deadline) -> StepResult:
    """Neither "moved" nor "not moved" may be reported: manual action is needed."""
    record_check(ctx, "prod-tags-created", Verdict.ERRORED, reason)
    ctx.step("promote", Verdict.ERRORED, deadline.elapsed, reason)
    return StepResult(status=status, reason=reason, hint=by_hand(ctx))


def _refused(error: BaseException) -> bool:
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


def record_directly(ctx: PromotionContext, request: Request, published: Published) -> None:
    """Write the record of this promotion to the branch, where this process has moved the tag itself. A record that fails is a warning."""
    if warning := ctx.journal.effect(
        "write the record", {}, lambda: write_record(ctx.deps.git, ctx.settings, request, published), best_effort_journal=True
    ):
        ctx.warnings.append(warning)
    else:
        ctx.record = record_path(ctx.settings, ctx.version.text)


def look_for_record(ctx: PromotionContext) -> bool | None:
    """Whether the branch has the record of this very promotion; None, and a warning, when that cannot be read."""
    path, branch = record_path(ctx.settings, ctx.version.text), ctx.settings.repository.branch
    try:
        there = has_record(ctx.deps.git, ctx.settings, ctx.request_id, ctx.version.text)
    except PromoteError as error:
        ctx.warnings.append(f"whether {path} is on {branch} is not known: {error.what}")
        return None
    ctx.record = path if there else ""
    return there


def expect_record(ctx: PromotionContext) -> None:
    """Look for the record where the workflow should have written it, which a rule of the branch may have refused."""
    if look_for_record(ctx) is False:
        path, branch = record_path(ctx.settings, ctx.version.text), ctx.settings.repository.branch
        ctx.warnings.append(f"{path} is not on {branch}: the log of the workflow's run says why; the promotion itself is not affected")


def record_after_all(ctx: PromotionContext) -> None:
    """See to the record of a move that was cut short before it: an older workflow writes none, and ours may not have been allowed to."""
    if ctx.settings.promotion.via == "git":
        catch_up_record(ctx)
    elif not ctx.legacy:
        expect_record(ctx)


def catch_up_record(ctx: PromotionContext) -> None:
    """Write the record after all, where a move that was made directly was cut short before it."""
    if ctx.stable and look_for_record(ctx) is False:
        request = Request(version=ctx.version, request_id=ctx.request_id, promoted_by=ctx.deps.who)
        previous = ctx.target.stable.object if ctx.target.stable else ""
        record_directly(ctx, request, Published(stable=ctx.stable, previous=previous, lock=ctx.lock))
