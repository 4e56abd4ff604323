"""PRECHECKED → PROMOTED: move the tag, through the workflow or directly, and find out what really happened when that is unclear.

Whatever interrupts it, `settle` has the last word: fence our run off, then read the refs. Only then is "nothing moved" said.
"""

from __future__ import annotations

import traceback

from promote.core.deadline import Deadline, insist
from promote.core.errors import Denied, Interrupted, PromoteError, Rejected, Superseded, Unreachable
from promote.core.model import Tag, Verdict, short
from promote.core.signals import held
from promote.promotion.context import Moved, Result, Run, Said
from promote.promotion.driver_checks import judge, tags_made
from promote.promotion.forge.legacy_workflow import compare
from promote.promotion.forge.workflow_run import FENCE_FOR_S, fence_off, run_workflow, stop_run
from promote.promotion.recording import expect_record, record_directly
from promote.tags.lock import LOCK, lock_at
from promote.tags.publish import Request, publish, undo_commands


def promote(run: Run) -> Result:
    """The transition. PASSED only when the refs on the remote were read back and are as wanted."""
    assert run.lock is not None
    run.t_before = run.moved_at = run.tools.clock.now()
    if run.target.stable:
        _, plain = undo_commands(run.settings, stable_now="", back_to="")
        run.tools.report.undo([f"promote rollback       (or, without this tool: {plain})"])
    run.journal.write("note", "t_before", at=run.t_before.isoformat())
    run.tools.report.step_started("promote")
    deadline = run.deadline(run.settings.workflow.timeout)
    # From here on a move is possible: until the refs were read, "nothing moved" must not be said, whatever escapes.
    run.moved = Moved.UNKNOWN
    try:
        if run.settings.promotion.via == "git":
            detail = _directly(run)
        else:
            detail = run_workflow(run, {"version": run.version.text} if is_legacy(run) else _inputs(run), deadline)
        return confirm(run, deadline, detail)
    except Superseded:
        raise
    except (Interrupted, Exception) as error:
        _never_dispatched(run, error)
        run.journal.write("note", "the move was cut short", error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc())
        return settle(run, error, deadline)


def _request(run: Run) -> Request:
    assert run.lock is not None
    return Request(
        version=run.version,
        request_id=run.request_id,
        promoted_by=run.tools.who,
        expected_commit=run.target.commit,
        lock_id=run.lock.oid,
    )


def _directly(run: Run) -> str:
    request = _request(run)
    for check in ("workflow-dispatched", "workflow-succeeded"):
        judge(run, check, Verdict.DISABLED, 'promotion.via = "git": there is no workflow')
    with held():
        published = run.journal.effect("move the stable tag", {"to": run.target.commit}, lambda: publish(run.tools.git, run.settings, request))
    run.lock, run.stable, run.moved = published.lock, published.stable, Moved.YES
    record_directly(run, request, published)
    return "one push"


def _never_dispatched(run: Run, error: BaseException) -> None:
    """The dispatch itself did not come through: nobody saw a run."""
    if not any(check.id == "workflow-dispatched" for check in run.checks):
        what = getattr(error, "what", "") or f"stopped: {type(error).__name__}"
        judge(run, "workflow-dispatched", Verdict.FAILED if _said_no(error) else Verdict.ERRORED, str(what))


def is_legacy(run: Run) -> bool:
    """Whether an older workflow moves the tags, which knows no lock."""
    return run.settings.workflow.legacy and run.settings.promotion.via == "workflow"


def _inputs(run: Run) -> dict[str, str]:
    request = _request(run)
    return {
        "version": run.version.text,
        "request_id": request.request_id,
        "expected_commit": request.expected_commit,
        "lock": request.lock_id,
    }


def confirm(run: Run, deadline: Deadline, detail: str) -> Result:
    """Read the refs back: the move counts only if stable and the prod tag are one object at our commit and the lock says it was us."""
    problem = _read_back(run)
    tags_made(run, problem)
    if problem:
        run.step("promote", Verdict.FAILED, deadline.elapsed, problem)
        return Result(said=Said.FAILED, reason=problem, hint=by_hand(run))
    assert run.stable is not None
    prod = run.names.prod.removeprefix("refs/tags/")
    run.step(
        "promote",
        Verdict.PASSED,
        deadline.elapsed,
        f"{detail} · {prod} and {run.settings.tags.stable} → {short(run.stable.commit)}{'' if is_legacy(run) else ' in one push'}",
    )
    if back := run.target.back:
        exact, _ = undo_commands(run.settings, stable_now=run.stable.object, back_to=back.object)
        run.tools.report.note(f"exact undo: {exact}")
    if run.settings.promotion.via == "workflow" and not is_legacy(run):  # an older workflow writes none
        expect_record(run)
    return Result(said=Said.PASSED)


def _read_back(run: Run) -> str:
    """What `look` says; somebody else's value there is the check's failure as well."""
    try:
        return look(run)
    except Superseded as gone:
        tags_made(run, gone.what)
        raise


def look(run: Run) -> str:
    """Read what became of the move and write it into the run. Returns "" when it is what we asked for, else what is the matter.

    Raises Superseded when somebody else's value is there.
    """
    if is_legacy(run):
        return compare(run)
    refs = run.tools.git.refs(run.names.stable, run.names.prod, LOCK)
    stable, prod, before = refs.get(run.names.stable), refs.get(run.names.prod), run.target.stable
    lock, unmoved = lock_at(run.tools.git, refs.get(LOCK)), (stable.object if stable else "") == (before.object if before else "")
    ours = lock is not None and lock.request_id == run.request_id
    if unmoved and not (ours and lock and lock.state == "promoted"):
        run.moved = Moved.NO
        return f"{run.settings.tags.stable} is still {f'at {short(stable.commit)}' if stable else 'absent'}: nothing was moved"
    if stable is None or lock is None or not ours or not (unmoved or (prod and prod.object == stable.object)):
        now = short(stable.commit) if stable else "nothing"
        raise Superseded(
            f"{run.settings.tags.stable} is at {now}, which this promotion did not put there",
            hint="somebody else moved production's tag; nothing was overwritten. See who: `promote status`",
        )
    if run.lock and lock.holder != run.lock.holder:
        raise Superseded(f"{LOCK} is not ours any more: {lock.sentence()}", hint="look with `promote status` before anything else")
    run.lock, run.moved, run.stable = lock, Moved.YES, Tag(ref=stable.ref, object=stable.object, commit=stable.commit)
    if unmoved:
        return f"{run.settings.tags.stable} was moved, and put back to {short(stable.commit)} by hand"
    if stable.commit != run.target.commit:
        return f"{run.settings.tags.stable} was moved to {short(stable.commit)} instead of {short(run.target.commit)}"
    return ""


def settle(run: Run, error: BaseException, deadline: Deadline) -> Result:
    """Give up a move whose outcome is not known: fence, look, and say what is true. Not itself interruptible."""
    said = Said.INTERRUPTED if isinstance(error, Interrupted) else Said.FAILED if _said_no(error) else Said.ERRORED
    reason = f"stopped by {error.signal_name}" if isinstance(error, Interrupted) else getattr(error, "what", str(error))
    patience = Deadline(FENCE_FOR_S, run.tools.clock)
    with held():
        try:
            if is_legacy(run):  # it does not read the lock: only a run that is over moves nothing any more
                stop_run(run, patience)
            else:
                fence_off(run, error, patience, state="promoted" if run.moved is Moved.YES else "fenced")
        except PromoteError as unfenced:
            return _not_known(run, said, f"{reason}; and a late move could not be fenced off: {unfenced.what}", deadline)
        try:
            what = insist(lambda: _read_back(run), on=Unreachable, deadline=Deadline(FENCE_FOR_S, run.tools.clock))
        except Unreachable as unread:
            return _not_known(run, said, f"{reason}; and what became of the tag could not be read: {unread.what}", deadline)
    tags_made(run, what)
    if not what:  # it moved after all, and rightly: go on to proof unless a person asked to stop
        run.step("promote", Verdict.PASSED, deadline.elapsed, f"the move was made although: {reason}")
        return Result(said=Said.INTERRUPTED if said is Said.INTERRUPTED else Said.PASSED, reason=reason)
    _candidate_still_tagged(run)
    run.step("promote", Verdict.ERRORED if said is not Said.FAILED else Verdict.FAILED, deadline.elapsed, f"{reason}; {what}")
    return Result(said=said, reason=f"{reason}; {what}", hint=getattr(error, "hint", "") or by_hand(run))


def _candidate_still_tagged(run: Run) -> None:
    """Raise Superseded when the reason that nothing moved is that somebody re-created or deleted the dev tag after it was checked."""
    try:
        dev = run.tools.git.ref(run.names.dev)
    except PromoteError:
        return  # it would only have been a better explanation
    if dev is None or dev.commit != run.target.commit:
        name, now = run.names.dev.removeprefix("refs/tags/"), f"at {short(dev.commit)}" if dev else "gone"
        raise Superseded(
            f"{name} is {now}, but {short(run.target.commit)} was checked: somebody changed it meanwhile; nothing was moved",
            hint="run the promotion again for what the tag says now",
        )


def _not_known(run: Run, said: Said, reason: str, deadline: Deadline) -> Result:
    """Neither moved nor unmoved can be said: a person must look."""
    run.moved = Moved.UNKNOWN
    judge(run, "prod-tags-created", Verdict.ERRORED, reason)
    run.step("promote", Verdict.ERRORED, deadline.elapsed, reason)
    return Result(said=said, reason=reason, hint=by_hand(run))


def _said_no(error: BaseException) -> bool:
    return isinstance(error, Rejected | Denied)


def by_hand(run: Run) -> str:
    """The seed's manual method with this run's real values, in its leased form."""
    remote, names = run.settings.repository.remote, run.names
    prod, commit = names.prod.removeprefix("refs/tags/"), run.target.commit
    before = run.target.stable.object if run.target.stable else ""
    replaced = run.lock.replaces if run.lock else ""
    lease = f"--force-with-lease={names.stable}:{before} --force-with-lease={names.prod}:{replaced}"
    return (
        f"by hand: git fetch {remote} {names.dev} && git tag {'-f ' if replaced else ''}-a {prod} {commit} -m 'Prod release {run.version}' && "
        f"git push --atomic {lease} {remote} {names.prod} {names.prod}:{names.stable}; then `promote status`"
    )
