"""JUnit files as a CI server reads them: valid by the schema, then suite by suite and case by case."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import xmlschema


@dataclass(frozen=True)
class Case:
    """`outcome`: passed, failure, error or skipped; `text`: the element's text, "" when passed."""

    outcome: str
    message: str
    text: str
    properties: dict[str, str]


@cache
def _schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(Path(__file__).with_name("junit-10.xsd"))


def read(path: Path | str) -> dict[str, dict[str, Case]]:
    """{suite: {check: case}}. Raises when the file breaks the schema, or its numbers do not count its cases."""
    _schema().validate(str(path))
    top = ElementTree.parse(path).getroot()
    found: dict[str, dict[str, Case]] = {}
    for suite in top.iter("testsuite"):
        cases = found.setdefault(suite.get("name", ""), {})
        for case in suite.iter("testcase"):
            (ending,) = [e for e in case if e.tag != "properties"] or [ElementTree.Element("passed")]
            seen = {p.get("name", ""): p.get("value", "") for p in case.iter("property")}
            assert seen["check"] not in cases, "a check stands once"
            cases[seen["check"]] = Case(ending.tag, ending.get("message", ""), ending.text or "", seen)
        outcomes = [case.outcome for case in cases.values()]
        numbers = {"tests": len(cases), **{f"{kind}s": outcomes.count(kind) for kind in ("failure", "error")}, "skipped": outcomes.count("skipped")}
        assert {name: int(suite.get(name, "-1")) for name in numbers} == numbers
    for name in ("tests", "failures", "errors"):
        assert int(top.get(name, "-1")) == sum(int(suite.get(name, "-1")) for suite in top)
    return found


def outcomes(path: Path | str, suite: str) -> dict[str, str]:
    """{check: outcome} of the one suite that the file has."""
    found = read(path)
    assert [*found] == [suite], f"suites: {[*found]}"
    return {name: case.outcome for name, case in found[suite].items()}
