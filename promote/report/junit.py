"""JUnit files: the one writer, for suites and for the driver's own checks.

A verdict has one form each: `<failure>` the check fails, `<error>` the check is undetermined, `<skipped>` with the reason the check does not
count here (waived, disabled, warning). The files follow Jenkins' junit-10 schema, with one addition that pytest writes too: `<properties>` in a
`<testcase>`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from promote.core.foreign import one_line
from promote.core.model import CheckResult, SuiteResult, Verdict
from promote.core.private import private_folder, write_private
from promote.core.redact import Redactor

LONGEST_VALUE = 2000  # characters of a property: evidence, not a log
_ELEMENTS = {Verdict.FAILED: "failure", Verdict.ERRORED: "error", Verdict.WAIVED: "skipped", Verdict.DISABLED: "skipped", Verdict.WARNING: "skipped"}
_TYPES = {Verdict.ERRORED: "undetermined"}  # others: the verdict's own value
_ILLEGAL = re.compile("[\ufffe\uffff]")  # what is visible and XML 1.0 has no escape for


def write_junit(path: Path, results: Sequence[SuiteResult], redact: Redactor, **about: object) -> None:
    """Write one file with a `<testsuite>` for each result. `about`: properties of every suite, for example version and commit. Raises OSError."""
    private_folder(path.parent)
    write_private(path, junit_xml(results, redact, about))


def junit_xml(results: Sequence[SuiteResult], redact: Redactor, about: Mapping[str, object] | None = None) -> bytes:
    """The document as UTF-8. Secrets are masked here too, before XML's own escapes could hide them from a search."""
    top = ElementTree.Element("testsuites")
    for result in results:
        top.append(_suite(result, redact, about or {}))
    for name in ("tests", "failures", "errors"):
        top.set(name, str(sum(int(suite.get(name, "0")) for suite in top)))
    document: bytes = ElementTree.tostring(top, encoding="utf-8", xml_declaration=True)
    return document


def _suite(result: SuiteResult, redact: Redactor, about: Mapping[str, object]) -> ElementTree.Element:
    checks = [*result.checks]
    if result.verdict.blocks and not result.failed:
        # No check explains why the suite did not pass (its deadline, pytest's own end): without this the file would be green.
        checks.append(CheckResult(id="the suite itself", suite=result.suite, verdict=result.verdict, detail=result.reason))
    tags = [_ELEMENTS.get(check.verdict, "") for check in checks]
    numbers = {"tests": len(checks), "failures": tags.count("failure"), "errors": tags.count("error"), "skipped": tags.count("skipped")}
    named = {"name": result.suite, **{name: str(number) for name, number in numbers.items()}, "time": f"{result.seconds:.3f}"}
    suite = ElementTree.Element("testsuite", named)
    _properties(suite, {**about, "verdict": _type(result.verdict), "reason": result.reason}, redact)
    for check in checks:
        suite.append(_case(check, redact))
    return suite


def _case(check: CheckResult, redact: Redactor) -> ElementTree.Element:
    named = {"name": _legal(one_line(redact.shown(check.id))), "classname": f"promote.{check.suite}", "time": f"{check.seconds:.3f}"}
    case = ElementTree.Element("testcase", named)
    _properties(case, {"check": check.id, **check.evidence}, redact)
    if tag := _ELEMENTS.get(check.verdict):
        detail = _legal(redact.shown(check.detail))
        first = detail.partition("\n")[0] or "no reason was given"
        ElementTree.SubElement(case, tag, {"type": _type(check.verdict), "message": first}).text = detail
    return case


def _properties(parent: ElementTree.Element, values: Mapping[str, object], redact: Redactor) -> None:
    holder = ElementTree.SubElement(parent, "properties")
    for name, value in values.items():
        shown = _legal(redact.shown(str(redact.value(value)))[:LONGEST_VALUE])
        ElementTree.SubElement(holder, "property", {"name": _legal(redact.shown(name)), "value": shown})


def _type(verdict: Verdict) -> str:
    return _TYPES.get(verdict, verdict.value)


def _legal(text: str) -> str:
    return _ILLEGAL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
