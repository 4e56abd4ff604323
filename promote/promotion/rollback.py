"""ROLLING_BACK → ROLLED_BACK: put the stable tag back to the recorded object, and prove production is as it was. "Moved back" alone is not that."""

from __future__ import annotations

from promote.core.deadline import Deadline
from promote.core.errors import Denied, Forbidden, PromoteError, Rejected, Unreachable
from promote.core.model import SuiteResult, Tag, Verdict, short
from promote.core.signals import held
from promote.promotion.context import Moved, Result, Run, Said
from promote.promotion.forge.rollback_by_workflow import by_workflow, has_second_way, settle
from promote.promotion.steps import failing, goal_of, proofs, settle_cluster
from promote.tags.publish import move_back

RESUME = "correct what is named, then prove it with `promote resume` (or give the lock up: `promote abort`)"
PUSH_FOR_S = 120.0  # how long a push back is tried against an unreachable remote: production is broken meanwhile


def roll_back(run: Run) -> Result:
    """The transition. FAILED and ERRORED both mean that a person must look: the flow ends STUCK."""
    before = run.target.back
    if before is None:
        return Result(
            said=Said.FAILED,
            reason=f"there is no earlier {run.settings.tags.stable} to go back to (first promotion): the tag stays where it is",
            hint="give up the lock with `promote abort`, then fix forward with a new version",
        )
    if run.stable is None or run.stable.object != before.object:  # resumed: it may be back already
        _push_back(run, before)
    converged = settle_cluster(run, goal_of(run), rollback=True)
    if converged.verdict is not Verdict.PASSED:
        return Result(said=Said(converged.verdict.value), reason=converged.reason, hint=RESUME)
    _name_recreated(run)
    for name, result in proofs(run, "back"):
        if (verdict := _proven_back(run, name, result)) is not Verdict.PASSED:
            return Result(said=Said(verdict.value), reason=f"after the tag was moved back: {failing(result)}", hint=RESUME)
    run.still_ours()
    return Result(said=Said.PASSED)


def _push_back(run: Run, before: Tag) -> None:
    lock, replacing = run.lock, run.stable
    assert lock is not None and replacing is not None
    run.tools.report.step_started("rollback")
    deadline = Deadline(PUSH_FOR_S, run.tools.clock)
    run.t_before = run.tools.clock.now()
    how = "lease held"
    run.moved = Moved.UNKNOWN  # from here on it may be back: until that is known, neither is said, whatever escapes
    try:
        with held():
            run.lock = run.journal.effect(
                "move the stable tag back",
                {"to": before.object, "replacing": replacing.object},
                lambda: move_back(
                    run.tools.git, run.settings, lock, to=before.object, replacing=replacing.object, keep_undo=not run.undo_moves, patience=deadline
                ),
                putting_back=True,
            )
            run.moved, run.stable = Moved.YES, before  # within: a stop request that came meanwhile counts at the end of this block
    except (Forbidden, Denied) as refusal:
        run.moved = Moved.YES  # where we put it
        if not has_second_way(run):
            raise
        how = by_workflow(run, before, refusal)
    except (Unreachable, Rejected) as unclear:
        run.workflow_run = None  # the one that moved it forward is over: there is nothing to cancel
        if problem := settle(run, before, unclear, asked=f"{run.settings.tags.stable} was to be put back"):
            raise PromoteError(f"{problem}: {unclear.what}", hint=RESUME) from unclear
        how = "although nobody answered" if isinstance(unclear, Unreachable) else f"although: {unclear.what}"
    run.step("rollback", Verdict.PASSED, deadline.elapsed, f"{run.settings.tags.stable} → {short(before.commit)}, {how}")


def _name_recreated(run: Run) -> None:
    """Applications that the bad version had removed exist again, but as new ones: what they kept in volumes is said to be gone."""
    if run.baseline is None:
        return
    now = {(m["metadata"]["namespace"], m["metadata"]["name"]): m["metadata"].get("uid") for m in run.tools.production().manifests()}
    for manifest in run.baseline.manifests:
        meta = manifest["metadata"]
        uid = now.get((meta["namespace"], meta["name"]))
        if uid is None or uid == meta.get("uid"):
            continue
        resources = manifest.get("status", {}).get("resources") or []
        claims = [f"{r.get('namespace', '')}/{r['name']}" for r in resources if r.get("kind") == "PersistentVolumeClaim"]
        lost = f"; these volume claims are new, their data is not there unless you restore it: {', '.join(claims)}" if claims else ""
        run.warnings.append(f"{meta['name']} had been removed and was created anew{lost}")


def _proven_back(run: Run, name: str, result: SuiteResult) -> Verdict:
    """Post must pass; of smoke, the checks that passed before the promotion: what was broken then is not this rollback's to mend."""
    if name != "smoke" or result.verdict is Verdict.PASSED or run.smoke_before is None:
        return result.verdict
    owed = {check.id: check.verdict for check in result.checks if check.id in run.smoke_before}
    if len(owed) < len(run.smoke_before):
        return Verdict.ERRORED  # one that passed before did not report
    if not_owed := [check.id for check in result.failed if check.id not in run.smoke_before]:
        run.tools.report.note(f"did not pass before the promotion either: {', '.join(not_owed)}: not counted")
    return Verdict.worst(owed.values()) if owed else Verdict.PASSED
