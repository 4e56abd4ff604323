"""The checks that the driver itself judges, while it moves and at the end: same report, same record, a JUnit file of their own.

A check says what was read back afterwards, never what was meant. Nothing is decided here: the flow does not read these checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree

from promote.checklist.registry import CHECKS
from promote.core.errors import PromoteError
from promote.core.model import CheckResult, Verdict
from promote.promotion.context import Run

NAME = "during"


def judge(run: Run, check: str, verdict: Verdict, detail: str = "", /, **evidence: object) -> None:
    """Remember one check; the last word about it counts."""
    suite = next(spec.suite for spec in CHECKS if spec.id == check)
    run.checks[:] = [r for r in run.checks if r.id != check]
    masked, seen = run.tools.redact, {name: run.tools.redact.value(value) for name, value in evidence.items()}
    run.checks.append(CheckResult(id=check, suite=suite, verdict=verdict, detail=masked.text(detail), evidence=seen))


def candidate_tagged(run: Run) -> None:
    """Whether the dev tag is on the remote at the commit that was checked."""
    name = run.names.dev.removeprefix("refs/tags/")
    try:
        tag = run.tools.git.ref(run.names.dev)
    except PromoteError as error:
        judge(run, "dev-tag-created", Verdict.ERRORED, error.what)
        return
    if tag is None or tag.commit != run.target.commit:
        seen = f"at {tag.commit}" if tag else "not there"
        judge(run, "dev-tag-created", Verdict.FAILED, f"{name} is {seen}, {run.target.commit} was checked", tag=name)
    else:
        judge(run, "dev-tag-created", Verdict.PASSED, tag=name, object=tag.object, commit=tag.commit)


def tags_made(run: Run, problem: str) -> None:
    """What was read back of the move: `problem` is "" when both tags are one object at the candidate."""
    stable = run.stable
    if problem:
        judge(run, "prod-tags-created", Verdict.FAILED, problem)
    elif stable is None:
        judge(run, "prod-tags-created", Verdict.ERRORED, "the tags were not read")
    else:
        names = [run.names.prod.removeprefix("refs/tags/"), run.settings.tags.stable]
        judge(run, "prod-tags-created", Verdict.PASSED, tags=names, object=stable.object, commit=stable.commit)


def working_moved(run: Run) -> None:
    """Whether prod-working holds the object that was proven."""
    name = run.settings.tags.working
    try:
        tag = run.tools.git.ref(run.names.working)
    except PromoteError as error:
        judge(run, "prod-working-updated", Verdict.ERRORED, error.what)
        return
    if run.stable and tag and tag.object == run.stable.object:
        judge(run, "prod-working-updated", Verdict.PASSED, tag=name, object=tag.object, commit=tag.commit)
    else:
        at = f"at {tag.object}" if tag else "not there"
        wanted = run.stable.object if run.stable else "nothing that was proven"
        judge(run, "prod-working-updated", Verdict.FAILED, f"{name} is {at}, not {wanted}\ndo   promote mark-working", tag=name)


def write_junit(run: Run) -> str:
    """The checks as JUnit beside the suites' own files. Returns its path, "" when there is no such check."""
    checks = [check for check in run.checks if check.suite in (NAME, "after")]
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
    path = run.reports / NAME / f"{NAME}.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(ElementTree.tostring(top, encoding="utf-8", xml_declaration=True))
    return str(path)


def _properties(case: ElementTree.Element, values: Mapping[str, object]) -> None:
    holder = ElementTree.SubElement(case, "properties")
    for name, value in values.items():
        ElementTree.SubElement(holder, "property", {"name": name, "value": str(value)})
