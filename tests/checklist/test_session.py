"""What a session remembers of its checks, without running pytest."""

from __future__ import annotations

import pytest

from promote.checklist.session import Session, exit_code, packed, unpacked
from promote.core.model import CheckResult, SuiteResult, Verdict


def said(verdict: Verdict, **evidence: object) -> CheckResult:
    return CheckResult(id="trunk", suite="pre", verdict=verdict, detail="why", seconds=0.5, evidence=evidence)


@pytest.mark.parametrize(
    ("first", "second", "counts"), [("failed", "passed", "failed"), ("errored", "waived", "errored"), ("passed", "failed", "failed")]
)
def test_a_check_that_is_asked_again_can_only_get_worse(first: str, second: str, counts: str) -> None:
    session = Session()
    assert session.take(said(Verdict(first))), "the first answer is news"
    assert session.take(said(Verdict(second))) == (second == counts)
    assert session.judged["trunk"].verdict == counts


def test_a_result_travels_from_a_worker_as_ascii() -> None:
    result = said(Verdict.FAILED, name="a\udc80", list=[1, {"x": None}])
    assert packed(result).isascii() and unpacked(packed(result)) == result


@pytest.mark.parametrize(("verdicts", "code"), [(["passed", "passed"], 0), (["passed", "errored"], 5), (["failed", "errored"], 1), ([], 5)])
def test_the_exit_code_is_that_of_the_worst_suite(verdicts: list[str], code: int) -> None:
    assert exit_code(SuiteResult(suite="pre", verdict=Verdict(v), checks=(), seconds=0.0) for v in verdicts) == code
