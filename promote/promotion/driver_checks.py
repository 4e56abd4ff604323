"""The checks that the driver itself judges, while it moves and at the end: same report, same record, a JUnit file of their own.

A check says what was read back afterwards, never what was meant. Nothing is decided here: the flow does not read these checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree

from promote.checklist.registry import CHECKS
from promote.core.errors import PromoteError
from promote.core.model import CheckResult, Verdict
from promote.promotion.context import PromotionContext

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


def write_junit(ctx: PromotionContext) -> str:
    """The checks as JUnit beside the suites' own files. Returns its path, "" when there is no such check."""
    checks = [check for check in ctx.checks if check.suite in (NAME, "after")]
    if not checks:
        return ""
    count = {v: sum(r.verdict is v for r in checks) for v in Verdict}
    numbers = {"tests": len(checks), "failures": count[Verdict.FAILED], "errors": count[Verdict.ERRORED], "skipped": count[Verdict.DISABLED]}
    top = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(top, "testsuite", {"name": NAME, **{k: str(v) for k, v in numbers.items()}})
    for check in checks:
        case = ElementTree.SubElement(suite, "testcase", {"classname": f"promote.{check.suite}", "name": check.id, "time": f"{check.seconds:.3f}"})
        _properties(case, {"check": check.id, **check.evidence})
        tag = {Verdict.FAILED: "failure", Verdict.ERRORED: "error", Verdict.DISABLED: "skipped"}.get(check.verdict)
        if tag:
            ElementTree.SubElement(case, tag, {"message": check.detail.partition("\n")[0]}).text = check.detail
    path = ctx.reports / NAME / f"{NAME}.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(ElementTree.tostring(top, encoding="utf-8", xml_declaration=True))
    return str(path)


def _properties(case: ElementTree.Element, values: Mapping[str, object]) -> None:
    holder = ElementTree.SubElement(case, "properties")
    for name, value in values.items():
        ElementTree.SubElement(holder, "property", {"name": name, "value": str(value)})
