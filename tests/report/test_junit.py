"""The JUnit writer: one form for each verdict, valid whatever the text holds, never greener than the suite."""

from __future__ import annotations

from pathlib import Path

import pytest
import xmlschema

from promote.core.model import CheckResult, SuiteResult, Verdict
from promote.core.redact import Redactor
from promote.report.junit import write_junit
from tests.support.junit import read

# What commits, clusters and programs really send: terminal codes, NUL, half a surrogate pair, a non-character, XML's own signs.
EVIL = "\x1b[2J\x1b[31mred\x1b[0m \x00 \ud800 \ufffe ]]> <failure/> & \"quoted\" 'too'\r\nsecond line"


def result(*checks: CheckResult, verdict: Verdict | None = None, reason: str = "because", suite: str = "pre") -> SuiteResult:
    return SuiteResult(suite=suite, verdict=verdict or Verdict.worst(r.verdict for r in checks), checks=checks, seconds=1.5, reason=reason)


def check(verdict: Verdict, detail: str = "", **evidence: object) -> CheckResult:
    return CheckResult(id=verdict.value, suite="pre", verdict=verdict, detail=detail, seconds=0.25, evidence=evidence)


def test_each_verdict_has_its_own_form(tmp_path: Path) -> None:
    said = {
        Verdict.PASSED: ("passed", ""), Verdict.FAILED: ("failure", "the tag moved"), Verdict.ERRORED: ("error", "no answer"),
        Verdict.WAIVED: ("skipped", "waived by Ada: ticket 12"), Verdict.DISABLED: ("skipped", "not configured: grafana.url is empty"),
        Verdict.WARNING: ("skipped", "an alert fires"),
    }  # fmt: skip
    assert set(said) == set(Verdict), "a new verdict needs a form"
    write_junit(tmp_path / "x.xml", [result(*(check(v, f"{text}\nmore" if text else "") for v, (_, text) in said.items()))], Redactor())
    cases = read(tmp_path / "x.xml")["pre"]
    assert {name: (case.outcome, case.message) for name, case in cases.items()} == {v.value: form for v, form in said.items()}
    assert cases["failed"].text == "the tag moved\nmore"


@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.PASSED])
def test_any_text_makes_a_valid_file(tmp_path: Path, verdict: Verdict) -> None:
    bad = CheckResult(id=f"x{EVIL}", suite="pre", verdict=verdict, detail=EVIL, evidence={f"n{EVIL}": EVIL, "list": [EVIL]})
    write_junit(tmp_path / "x.xml", [result(bad, reason=EVIL)], Redactor(), version=EVIL)
    case, *_ = read(tmp_path / "x.xml")["pre"].values()
    assert "\\x1b[2Jred \\x00 \\ud800 \\ufffe ]]>" in case.text and "<failure/> &" in case.text


def test_a_suite_that_is_no_pass_has_a_case_that_says_so(tmp_path: Path) -> None:
    """Ended by its deadline after every check passed: only the suite knows."""
    write_junit(tmp_path / "x.xml", [result(check(Verdict.PASSED), verdict=Verdict.ERRORED, reason="ended by its deadline of 4 s")], Redactor())
    cases = read(tmp_path / "x.xml")["pre"]
    assert (cases["the suite itself"].outcome, cases["the suite itself"].message) == ("error", "ended by its deadline of 4 s")


def test_secrets_are_masked_also_where_xml_would_escape_them(tmp_path: Path) -> None:
    secret = 'very&"secret<key'
    said = CheckResult(
        id=f"x {secret}", suite="pre", verdict=Verdict.FAILED, detail=f"sent {secret}", evidence={"key": secret, secret: {"a": [secret]}}
    )
    write_junit(tmp_path / "x.xml", [result(said, reason=secret)], Redactor([secret]), version=secret)
    assert "secret" not in (tmp_path / "x.xml").read_text()
    assert read(tmp_path / "x.xml")["pre"]["x ***"].properties["key"] == "***"


def test_evidence_is_a_property_and_a_long_one_is_cut(tmp_path: Path) -> None:
    write_junit(tmp_path / "x.xml", [result(check(Verdict.PASSED, applications=101, log="x" * 9000))], Redactor())
    seen = read(tmp_path / "x.xml")["pre"]["passed"].properties
    assert (seen["applications"], len(seen["log"])) == ("101", 2000)


def test_several_suites_share_a_file(tmp_path: Path) -> None:
    write_junit(tmp_path / "x.xml", [result(check(Verdict.PASSED)), result(check(Verdict.FAILED, "no"), suite="smoke")], Redactor())
    assert {name: [c.outcome for c in cases.values()] for name, cases in read(tmp_path / "x.xml").items()} == {
        "pre": ["passed"],
        "smoke": ["failure"],
    }


def test_the_schema_notices_a_file_that_breaks_it(tmp_path: Path) -> None:
    (tmp_path / "x.xml").write_text('<testsuites><testsuite name="pre" tests="0" failures="0" errors="0"><case/></testsuite></testsuites>')
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        read(tmp_path / "x.xml")
