"""Asked to promote what production's tag already holds: there is nothing to do only if production is proven to run it now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from promote.checklist.protection import Proposal, judge_policy
from promote.connect import alerts_reader
from promote.convergence.application_status import Goal
from promote.convergence.baseline import Baseline, take_baseline
from promote.convergence.baseline_ref import read_baseline
from promote.convergence.membership import known_goal
from promote.convergence.probe import observe
from promote.convergence.wait import ConvergenceResult
from promote.core.model import AppState, Tag, Verdict
from promote.git.addresses import our_addresses
from promote.git.remote import GitRemote
from promote.promotion.context import Dependencies, PromotionContext, StepResult, StepStatus
from promote.promotion.steps import failing, goal_of, keep_baseline, known_before, proofs
from promote.tags.records import last_entry


def verify_current(ctx: PromotionContext) -> StepResult:
    """Look at production as after a move, but move nothing and take no lock. What was unhealthy when it was proven is still ignored.

    Raises what the clients raise.
    """
    stable = ctx.target.stable
    assert stable is not None
    policy = judge_policy(Proposal(git=ctx.deps.git, settings=ctx.settings, target=ctx.target, choices=ctx.choices))
    if policy.verdict.blocks:  # these settings name the clusters and programs that are asked next
        ctx.deps.report.check(policy)
        ctx.checks.append(policy)
        return StepResult(
            status=StepStatus.of(policy.verdict), reason="refused before anything was looked at: policy-unchanged", hint="correct it and start again"
        )
    ctx.update(stable=stable)
    ctx.deps.report.note(f"{stable.name} is {ctx.version} already: nothing is moved; looking whether production runs it")
    entry = last_entry(ctx.deps.git)
    everything = with_troubles_then(ctx.deps.git, entry, take_baseline(ctx.deps.production(), alerts_reader(ctx.settings)))
    keep_baseline(ctx, _only(everything, tolerated_then(entry, stable)), smoke_passed=None)
    goal = goal_of(ctx, everything.manifests)
    seen = observe(
        ctx.deps.production(),
        goal,
        ctx.settings,
        seconds=ctx.settings.suites.check_timeout,
        baseline=known_before(ctx, goal),
        clock=ctx.deps.clock,
    )
    ctx.applications, ctx.proven_at = seen.applications, seen.proven_at
    ctx.step("converge", seen.verdict, seen.seconds, seen.reason)
    if seen.verdict is not Verdict.PASSED:
        return _not_proven(ctx, seen.verdict, seen.reason)
    for _, result in proofs(ctx, "after"):
        if result.verdict is not Verdict.PASSED:
            return _not_proven(ctx, result.verdict, failing(result))
    ctx.still_ours()
    return StepResult(status=StepStatus.PASSED, reason=f"nothing to do: production runs {ctx.version} already")


def _not_proven(ctx: PromotionContext, verdict: Verdict, reason: str) -> StepResult:
    return StepResult(
        status=StepStatus.of(verdict),
        reason=f"{ctx.settings.tags.stable} is {ctx.version} already, but production is not proven to run it: {reason}",
        hint="fix the named cause and start again, or `promote rollback`",
    )


def present_evidence(deps: Dependencies, stable: Tag, entry: Mapping[str, object]) -> ConvergenceResult:
    """Whether production runs the stable tag's commit now, after a refresh: the evidence of `promote status`, and of `resume` and `abort` once the
    tag is back. `entry`: the ledger's newest. Raises what the clients raise."""
    settings, git = deps.settings, deps.git
    manifests = deps.production().manifests()
    goal = known_goal(Goal.for_tag(git.chain(stable.object), settings, our_addresses(git, settings.repository)), git, manifests)
    then = tolerated_then(entry, stable)  # already unhealthy when this was proven: no evidence that production does not run it
    known = with_troubles_then(git, entry, take_baseline(deps.production(), pods=False)).applications(goal) if then else {}
    before = {key: app for key, app in known.items() if app.name in then}
    return observe(deps.production(), goal, settings, seconds=settings.suites.check_timeout / 2, baseline=before)


def tolerated_then(entry: Mapping[str, object], stable: Tag) -> frozenset[str]:
    """The applications that were unhealthy already when this very tag object was last proven, as the ledger's newest entry says."""
    after = entry.get("stable_after")
    if not isinstance(after, dict) or after.get("object") != stable.object:
        return frozenset()
    applications = entry.get("applications")
    return frozenset(a["name"] for a in applications if a["verdict"] == AppState.TOLERATED) if isinstance(applications, list) else frozenset()


def with_troubles_then(git: GitRemote, entry: Mapping[str, object], now: Baseline) -> Baseline:
    """Production as it is, but with the troubles that its applications had before the promotion of this ledger entry.

    Where the remote has no baseline of that promotion (a rollback by `promote rollback` publishes none), what is unhealthy now counts as what was.
    """
    then = read_baseline(git, str(entry.get("request_id") or ""))
    return now if then is None else replace(now, troubles=then.troubles, unread=then.unread)


def _only(baseline: Baseline, names: frozenset[str]) -> Baseline:
    apps = tuple(m for m in baseline.manifests if m["metadata"]["name"] in names)
    theirs = {(m["spec"].get("destination") or {}).get("namespace") for m in apps}
    return replace(baseline, manifests=apps, pod_manifests=tuple(p for p in baseline.pod_manifests if p["metadata"]["namespace"] in theirs))
