"""ROLLING_BACK → ROLLED_BACK: put the stable tag back to the recorded object, and prove production is as it was. "Moved back" alone is not that."""

from __future__ import annotations

from promote.deadline import Deadline, insist
from promote.errors import Unreachable
from promote.model import SuiteResult, Tag, Verdict, short
from promote.publish import move_back
from promote.run import Result, Run, Said
from promote.signals import held
from promote.steps import failing, goal_of, proofs, settle_cluster

PUSH_FOR_S = 120.0  # how long a push back is tried against an unreachable remote: production is broken meanwhile


def roll_back(run: Run) -> Result:
    """The transition. FAILED and ERRORED both mean that a person must look: the flow ends STUCK."""
    before = run.target.stable
    if before is None:
        return Result(
            said=Said.FAILED,
            reason=f"there is no earlier {run.settings.tags.stable} to go back to (first promotion)",
            hint="fix forward with a new version, or move the tag by hand",
        )
    _push_back(run, before)
    converged = settle_cluster(run, goal_of(run), rollback=True)
    if converged.verdict is not Verdict.PASSED:
        return Result(said=Said(converged.verdict.value), reason=converged.reason, hint="correct what is named, then `promote status`")
    for name, result in proofs(run, "back"):
        if (verdict := _proven_back(run, name, result)) is not Verdict.PASSED:
            return Result(
                said=Said(verdict.value), reason=f"after the tag was moved back: {failing(result)}", hint="see the rows, then `promote status`"
            )
    run.still_ours()
    return Result(said=Said.PASSED)


def _push_back(run: Run, before: Tag) -> None:
    lock, replacing = run.lock, run.stable
    assert lock is not None and replacing is not None
    run.tools.report.step_started("rollback")
    deadline = Deadline(PUSH_FOR_S, run.tools.clock)
    run.t_before = run.tools.clock.now()
    with held():
        run.lock = run.journal.effect(
            "move the stable tag back",
            {"to": before.object, "replacing": replacing.object},
            lambda: insist(
                lambda: move_back(run.tools.git, run.settings, lock, to=before.object, replacing=replacing.object, keep_undo=not run.undo_moves),
                on=Unreachable,
                deadline=deadline,
            ),
            putting_back=True,
        )
    run.stable = before
    run.step("rollback", Verdict.PASSED, deadline.elapsed, f"{run.settings.tags.stable} → {short(before.commit)}, lease held")


def _proven_back(run: Run, name: str, result: SuiteResult) -> Verdict:
    """Post must pass; of smoke, the rows that passed before the promotion: what was broken then is not this rollback's to mend."""
    if name != "smoke" or result.verdict is Verdict.PASSED or run.smoke_before is None:
        return result.verdict
    owed = {row.id: row.verdict for row in result.rows if row.id in run.smoke_before}
    if len(owed) < len(run.smoke_before):
        return Verdict.ERRORED  # one that passed before did not report
    if not_owed := [row.id for row in result.failed if row.id not in run.smoke_before]:
        run.tools.report.note(f"did not pass before the promotion either: {', '.join(not_owed)}: not counted")
    return Verdict.worst(owed.values()) if owed else Verdict.PASSED
