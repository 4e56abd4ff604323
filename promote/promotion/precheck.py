"""START → PRECHECKED: take the lock, remember production as it is, run the pre suite, and only then create the dev tag."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

from promote.candidate import migration_plan
from promote.checklist.protection import Proposal, judge_candidate
from promote.checklist.runner import refuse_suite
from promote.connect import alerts_reader
from promote.convergence.application_status import Goal
from promote.convergence.baseline import Baseline, take_baseline
from promote.convergence.baseline_ref import baseline_update
from promote.convergence.sign_of_life import no_sign_of_life, refresh_and_read
from promote.core.deadline import Deadline
from promote.core.errors import Rejected
from promote.core.model import CheckResult, SuiteResult, Verdict, short
from promote.core.retry import patience
from promote.core.signals import defer_signals
from promote.git.addresses import our_addresses
from promote.git.push import RefUpdate
from promote.promotion.context import PromotionContext, StepResult, StepStatus
from promote.promotion.driver_checks import candidate_tagged, record_check
from promote.promotion.steps import context, keep_baseline, suite, take
from promote.report.words import listed
from promote.tags.lock import UNDO, acquire, advance, new_lock
from promote.tags.publish import undo_update

AUTHORISE_FOR_S = 60.0  # how long renewing the lock is retried against an unreachable remote: the pre suite's work is in it


def precheck(ctx: PromotionContext) -> StepResult:
    """The transition. Nothing but the lock and, at the end, the dev tag is written."""
    ctx.deps.report.step_started("before")
    if refused := _refused(ctx):
        return refused
    _take_lock(ctx)
    deadline = ctx.deadline(ctx.settings.suites.timeout)
    stop = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        try:
            # Side by side: all only read. The smoke suite as it passes now is what a rollback has to bring back.
            baseline = pool.submit(_baseline, ctx)
            smoke = pool.submit(suite, ctx, "smoke", "before", deadline, quiet=True, stop=stop)
            result = suite(ctx, "pre", "before", deadline)
            before = smoke.result()
            passed = frozenset(check.id for check in before.checks if check.verdict is Verdict.PASSED)
            keep_baseline(ctx, baseline.result(), smoke_passed=passed)
        except BaseException:
            stop.set()
            raise
    ctx.step("before", result.verdict, deadline.elapsed, result.reason)
    if result.verdict is not Verdict.PASSED:
        return StepResult(status=StepStatus.of(result.verdict), reason=f"the pre suite did not pass: {result.reason}", hint=_what_to_do(result))
    if unasked := _unasked(before):
        why, hint = unasked.detail.partition("\n")[0], "every [[smoke.urls]] must be one that can be asked from here: pytest checks/smoke"
        return StepResult(status=StepStatus.ERRORED, reason=f"the smoke suite could prove nothing after a move: {unasked.id}: {why}", hint=hint)
    if late := _too_late(ctx):
        return StepResult(status=StepStatus.ERRORED, reason=late, hint="see what took so long (the suites' JUnit), or set promotion.timeout higher")
    _way_back(ctx)
    if silent := _silent(ctx, result):
        return silent
    _candidate(ctx, result)
    _announce(ctx)
    return StepResult(status=StepStatus.PASSED)


def _refused(ctx: PromotionContext) -> StepResult | None:
    """The checks that protect the tag, judged here: before them no file of the repository is run, and no cluster is asked with its settings."""
    judged = judge_candidate(Proposal(git=ctx.deps.git, settings=ctx.settings, target=ctx.target, choices=ctx.choices))
    result = refuse_suite("pre", judged, context=context(ctx, "before"), settings=ctx.settings, reports=ctx.reports / "pre")
    if result is None:
        return None
    for check in judged:
        ctx.deps.report.check(check)
    take(ctx, result)
    ctx.step("before", result.verdict, result.seconds, result.reason)
    names = listed([check.id for check in judged if check.verdict.blocks])
    return StepResult(status=StepStatus.of(result.verdict), reason=f"refused before any check ran: {names}", hint=f"correct {names} and start again")


def _baseline(ctx: PromotionContext) -> Baseline:
    """Production as it is, read as patiently as a check reads: a throttled request must not cost the whole pre suite."""
    with patience(ctx.deadline(ctx.settings.suites.check_timeout)):
        return take_baseline(ctx.deps.production(), alerts_reader(ctx.settings))


def _take_lock(ctx: PromotionContext) -> None:
    target = ctx.target
    lock = new_lock(
        request_id=ctx.request_id,
        version=ctx.version.text,
        candidate=target.commit,
        stable_before=target.stable.object if target.stable else "",
        state="prechecking",
        replaces=target.prod_tag.object if target.prod_tag and (ctx.choices.again or ctx.choices.recreate_prod) else "",
        plan=ctx.plan(),
    )
    with defer_signals():
        detail = {"stable_before": lock.stable_before, "holder": lock.holder}
        ctx.update(lock=ctx.journal.effect("take the lock", detail, lambda: acquire(ctx.deps.git, lock)))


def _what_to_do(result: SuiteResult) -> str:
    names = ", ".join(check.id for check in result.failed[:5])
    return f"correct {names or 'what the log says'} and start again; all checks by hand: pytest checks/pre (log: {result.log})"


def _unasked(smoke: SuiteResult) -> CheckResult | None:
    """A declared address that could not be requested (none declared, a header's variable is not set): it would be unknown after the move as well, and
    cost a rollback. One that answers wrongly is production's own trouble, which the new version may be meant to fix."""
    return next((check for check in smoke.checks if check.id.startswith("smoke-url[") and check.verdict is Verdict.ERRORED), None)


def _too_late(ctx: PromotionContext) -> str:
    """What is begun must have the time to be proven: else it would be moved only to be moved back."""
    wanted, left = ctx.settings.argocd.converge_timeout + ctx.settings.post.soak, ctx.ends.left
    if left >= wanted:
        return ""
    return f"{left:.0f} s are left of promotion.timeout ({ctx.ends.seconds:.0f} s), and production may take {wanted:.0f} s"


def _way_back(ctx: PromotionContext) -> None:
    """The check `stable-tag` reports this too; this guard holds even where the checks were changed. Raises Rejected."""
    if ctx.target.stable is None and not ctx.choices.first:
        name = ctx.settings.tags.stable
        hint = f"create {name} once at what production runs; when production never ran anything: --first"
        raise Rejected("promotion", f"{name} does not exist on the remote: there is nothing to go back to", hint=hint)


def _silent(ctx: PromotionContext, result: SuiteResult) -> StepResult | None:
    """Request Argo CD's sign of life again, where the check `provable` saw one: the suite may have taken minutes since. None when it came.

    Raises PromoteError when the cluster cannot be read.
    """
    if not any(check.id == "provable" and check.verdict is Verdict.PASSED for check in result.checks):
        return None
    argocd, stable = ctx.deps.production(), ctx.target.stable
    chain = (stable.object, stable.commit) if stable else (ctx.target.commit,)
    goal = Goal.for_tag(chain, ctx.settings, our_addresses(ctx.deps.git, ctx.settings.repository))
    _, silent = refresh_and_read(argocd, goal, ctx.settings, ctx.deps.clock)
    if not silent:
        return None
    lines = no_sign_of_life(silent, ctx.settings, argocd.namespace)
    record_check(ctx, "provable", Verdict.FAILED, "\n".join(lines))
    reason, _, hint = lines[0].partition("\n")
    return StepResult(status=StepStatus.FAILED, reason=reason, hint=hint.strip().removeprefix("fix: "))


def _candidate(ctx: PromotionContext, result: SuiteResult) -> None:
    """Create the dev tag at the checked commit (if it is not there) in the same push that renews the lock, then read the branch again."""
    git, target, lock = ctx.deps.git, ctx.target, ctx.lock
    assert lock is not None
    verdict_id = hashlib.sha256(repr([(r.id, r.verdict.value) for r in result.checks]).encode() + target.commit.encode()).hexdigest()[:12]
    updates: list[RefUpdate] = []
    tag = ""
    name = ctx.names.dev.removeprefix("refs/tags/")
    if target.dev_tag is None or target.dev_tag.commit != target.commit:
        tag = git.make_tag(name=name, commit=target.commit, message=f"Dev release {ctx.version}")
        updates = [RefUpdate(ref=ctx.names.dev, new=tag, expected=target.dev_tag.object if target.dev_tag else "")]
    if ctx.settings.workflow.legacy and ctx.settings.promotion.via == "workflow":  # an older workflow knows nothing of the undo ref
        updates += undo_update(git.ref(UNDO), lock.stable_before)
    if ctx.baseline and target.stable:
        goal = Goal.for_tag((target.stable.object, target.stable.commit), ctx.settings, our_addresses(git, ctx.settings.repository))
        updates.append(baseline_update(git, ctx.request_id, ctx.baseline, goal, ctx.smoke_before or frozenset()))
    with defer_signals():
        authorised = ctx.journal.effect(
            "authorise the move",
            {"dev_tag": name, "commit": target.commit, "prechecked": verdict_id},
            lambda: advance(git, lock, *updates, patience=Deadline(AUTHORISE_FOR_S, ctx.deps.clock), state="prechecked", prechecked=verdict_id),
        )
        ctx.update(lock=authorised)
    candidate_tagged(ctx)
    made = "was there already" if not tag else "moved here" if target.dev_tag else "created and pushed"
    ctx.step("candidate", Verdict.PASSED, 0.0, f"{name} → {git.describe(target.commit)} (tag {made})")
    head = git.refs(ctx.names.branch).get(ctx.names.branch)
    if head is not None and head.commit != target.branch.commit:
        git.fetch(ctx.names.branch)
        if not git.is_ancestor(target.commit, head.commit):
            raise Rejected(
                "promotion",
                f"{ctx.settings.repository.branch} was rewritten during the checks: {short(target.commit)} is no longer on it",
                hint="look at the branch, then start again",
            )


def _announce(ctx: PromotionContext) -> None:
    """Report what is special about this one before anything moves."""
    note = ctx.deps.report.note
    if flags := ctx.choices.describe():
        note(f"allowed for this promotion: {' '.join(flags)}")
    if ctx.target.back is None:
        note("first promotion: there is nothing to roll back to; a failure leaves the tag and ends STUCK")
    elif ctx.target.stable is None:
        note(f"first promotion: a failure goes back to {ctx.deps.git.describe(ctx.target.back.commit)}")
    ctx.hold = unsafe_rollback(ctx)
    if ctx.hold:
        note(f"{ctx.hold}: a failure after the move is held (STUCK), not rolled back")
    if ctx.settings.workflow.legacy and ctx.settings.promotion.via == "workflow":
        file = ctx.settings.workflow.file
        note(f"{file} takes only a version (workflow.legacy): a late run cannot be fenced off, and the tag is absent for a moment")


def unsafe_rollback(ctx: PromotionContext) -> str:
    """The plan file of this version may say `rollback: unsafe` (a one-way migration). Returns the sentence for it, or ""."""
    path = ctx.settings.promotion.plan_file(ctx.version)
    why = migration_plan.unsafe(ctx.deps.git.file(ctx.target.commit, path) or "")
    return "" if why is None else f"{path} says rollback: unsafe" + (f" ({why})" if why else "")
