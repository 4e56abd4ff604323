"""Asked to promote what production's tag already holds: there is nothing to do only if production is proven to run it now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from promote.connect import alerts_reader
from promote.convergence.baseline import Baseline, take_baseline
from promote.convergence.probe import observe
from promote.core.model import AppState, End, Tag, Verdict
from promote.promotion.context import Result, Run, Said
from promote.promotion.steps import failing, goal_of, keep_baseline, known_before, proofs
from promote.tags.records import last_entry


def prove_it_stands(run: Run) -> Result:
    """Look at production as after a move, but move nothing and take no lock. What was unwell when it was proven is still not counted.

    Raises what the clients raise.
    """
    stable = run.target.stable
    assert stable is not None
    run.stable = stable
    run.tools.report.note(f"{stable.name} is {run.version} already: nothing is moved; looking whether production runs it")
    everything = take_baseline(run.tools.production(), alerts_reader(run.settings))
    keep_baseline(run, _only(everything, excused_then(last_entry(run.tools.git), stable)), smoke_passed=None)
    goal = goal_of(run)
    seen = observe(
        run.tools.production(),
        goal,
        run.settings,
        seconds=run.settings.suites.row_timeout,
        baseline=known_before(run, goal),
        clock=run.tools.clock,
    )
    run.applications, run.proven_at = seen.applications, seen.proven_at
    run.step("converge", seen.verdict, seen.seconds, seen.reason)
    if seen.verdict is not Verdict.PASSED:
        return _not_proven(run, seen.verdict, seen.reason)
    for _, result in proofs(run, "after"):
        if result.verdict is not Verdict.PASSED:
            return _not_proven(run, result.verdict, failing(result))
    run.still_ours()
    return Result(said=Said.PASSED, reason=f"nothing to do: production runs {run.version} already")


def end_of(result: Result) -> End:
    """Nothing was moved, whatever was seen."""
    ends = {Said.PASSED: End.VERIFIED, Said.FAILED: End.REFUSED, Said.SUPERSEDED: End.SUPERSEDED, Said.INTERRUPTED: End.INTERRUPTED}
    return ends.get(result.said, End.UNCHECKED)


def _not_proven(run: Run, verdict: Verdict, reason: str) -> Result:
    return Result(
        said=Said(verdict.value),
        reason=f"{run.settings.tags.stable} is {run.version} already, but production is not proven to run it: {reason}",
        hint="mend what is named and start again, or `promote rollback`",
    )


def excused_then(entry: Mapping[str, object], stable: Tag) -> frozenset[str]:
    """The applications that were unwell already when this very tag object was last proven, as the ledger's newest entry says."""
    after = entry.get("stable_after")
    if not isinstance(after, dict) or after.get("object") != stable.object:
        return frozenset()
    applications = entry.get("applications")
    return frozenset(a["name"] for a in applications if a["verdict"] == AppState.EXCUSED) if isinstance(applications, list) else frozenset()


def _only(baseline: Baseline, names: frozenset[str]) -> Baseline:
    apps = tuple(m for m in baseline.manifests if m["metadata"]["name"] in names)
    theirs = {(m["spec"].get("destination") or {}).get("namespace") for m in apps}
    return replace(baseline, manifests=apps, pod_manifests=tuple(p for p in baseline.pod_manifests if p["metadata"]["namespace"] in theirs))
