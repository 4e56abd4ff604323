"""The verdict of a suite: one function for `promote check` and the driver as for `pytest checks/SUITE`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from promote.checklist.policy import Policy
from promote.core.model import CheckResult, Verdict


def suite_verdict(
    suite: str, checks: Sequence[CheckResult], *, required: Iterable[str], begun: Iterable[str], exit_status: int | None, policy: Policy
) -> tuple[Verdict, str, tuple[CheckResult, ...]]:
    """(verdict, one sentence, checks made up for those that did not report).

    `required`: ids that have to report. `begun`: ids that started. `exit_status`: pytest's own, None when it did not reach its regular end.
    """
    reported = {check.id for check in checks}
    broken_off = [name for name in dict.fromkeys(begun) if name not in reported]
    silent = [name for name in dict.fromkeys(required) if name not in reported and name not in broken_off]
    missing = tuple(_missing(name, suite, policy, begun=name in broken_off) for name in (*broken_off, *silent))
    verdicts = [check.verdict for check in (*checks, *missing)]
    if exit_status is None:
        return Verdict.worst([Verdict.ERRORED, *verdicts]), "the suite did not reach its end", missing
    if not checks:
        return Verdict.ERRORED, "no check ran", missing
    worst = Verdict.worst(verdicts)
    bad = [check.id for check in (*checks, *missing) if check.verdict.blocks]
    if worst is not Verdict.PASSED:
        return worst, f"{len(bad)} of {len(verdicts)}: {', '.join(bad[:6])}" if bad else "no check passed", missing
    if exit_status != 0:
        return Verdict.ERRORED, f"every check passed, but pytest ended with {exit_status}", missing
    return Verdict.PASSED, f"{verdicts.count(Verdict.PASSED)} passed", missing


def _missing(name: str, suite: str, policy: Policy, *, begun: bool) -> CheckResult:
    why = "the suite ended while it ran: its log has the reason" if begun else "did not report: deleted, deselected or never reached"
    verdict, detail = policy.stands(name, Verdict.ERRORED, why)
    return CheckResult(id=name, suite=suite, verdict=verdict, detail=detail)
