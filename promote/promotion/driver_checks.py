"""The checks that the driver itself judges, while it moves and at the end: same report, same record, a JUnit file of their own.

A check says what was read back afterwards, never what was meant. Nothing is decided here: the flow does not read these checks.
"""

from __future__ import annotations

from promote.checklist.registry import CHECKS
from promote.core.errors import PromoteError
from promote.core.model import CheckResult, SuiteResult, Verdict
from promote.promotion.context import PromotionContext
from promote.report.junit import write_junit

NAME = "during"


def record_check(ctx: PromotionContext, check: str, verdict: Verdict, detail: str = "", /, **evidence: object) -> None:
    """Remember one check; the last word about it counts."""
    suite = next(spec.suite for spec in CHECKS if spec.id == check)
    ctx.checks[:] = [r for r in ctx.checks if r.id != check]
    masked, seen = ctx.deps.redact, {name: ctx.deps.redact.value(value) for name, value in evidence.items()}
    ctx.checks.append(CheckResult(id=check, suite=suite, verdict=verdict, detail=masked.text(detail), evidence=seen))


def candidate_tagged(ctx: PromotionContext) -> None:
    """Whether the dev tag is on the remote at the commit that was checked."""
    name = ctx.names.dev.removeprefix("refs/tags/")
    try:
        tag = ctx.deps.git.ref(ctx.names.dev)
    except PromoteError as error:
        record_check(ctx, "dev-tag-created", Verdict.ERRORED, error.what)
        return
    if tag is None or tag.commit != ctx.target.commit:
        seen = f"at {tag.commit}" if tag else "not there"
        record_check(ctx, "dev-tag-created", Verdict.FAILED, f"{name} is {seen}, {ctx.target.commit} was checked", tag=name)
    else:
        record_check(ctx, "dev-tag-created", Verdict.PASSED, tag=name, object=tag.object, commit=tag.commit)


def tags_made(ctx: PromotionContext, problem: str) -> None:
    """What was read back of the move: `problem` is "" when both tags are one object at the candidate."""
    stable = ctx.stable
    if problem:
        record_check(ctx, "prod-tags-created", Verdict.FAILED, problem)
    elif stable is None:
        record_check(ctx, "prod-tags-created", Verdict.ERRORED, "the tags were not read")
    else:
        names = [ctx.names.prod.removeprefix("refs/tags/"), ctx.settings.tags.stable]
        record_check(ctx, "prod-tags-created", Verdict.PASSED, tags=names, object=stable.object, commit=stable.commit)


def working_moved(ctx: PromotionContext) -> None:
    """Whether prod-working holds the object that was proven."""
    name = ctx.settings.tags.working
    try:
        tag = ctx.deps.git.ref(ctx.names.working)
    except PromoteError as error:
        record_check(ctx, "prod-working-updated", Verdict.ERRORED, error.what)
        return
    if ctx.stable and tag and tag.object == ctx.stable.object:
        record_check(ctx, "prod-working-updated", Verdict.PASSED, tag=name, object=tag.object, commit=tag.commit)
    else:
        at = f"at {tag.object}" if tag else "not there"
        wanted = ctx.stable.object if ctx.stable else "nothing that was proven"
        record_check(ctx, "prod-working-updated", Verdict.FAILED, f"{name} is {at}, not {wanted}\ndo   promote mark-working", tag=name)


def write_report(ctx: PromotionContext) -> str:
    """The checks as JUnit beside the suites' own files. Returns its path, "" when there is no such check. Raises OSError."""
    checks = tuple(check for check in ctx.checks if check.suite in (NAME, "after"))
    if not checks:
        return ""
    # PASSED first: checks that are all disabled leave nothing open, since nothing had to be judged.
    verdict = Verdict.worst([Verdict.PASSED, *(check.verdict for check in checks)])
    bad = [check.id for check in checks if check.verdict.blocks]
    reason = f"{len(bad)} of {len(checks)}: {', '.join(bad)}" if bad else ""
    result = SuiteResult(suite=NAME, verdict=verdict, checks=checks, seconds=sum(check.seconds for check in checks), reason=reason)
    path = ctx.reports / NAME / f"{NAME}.xml"
    write_junit(path, [result], ctx.deps.redact, version=ctx.version.text, commit=ctx.target.commit)
    return str(path)
