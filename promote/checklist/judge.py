"""One row's verdict from its three phases. FAILED: the check said no. ERRORED: it could not tell, was skipped, or timed out."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from promote.errors import PromoteError
from promote.model import Verdict


@dataclass(slots=True)
class Judged:
    """What is known of a row while it runs."""

    verdict: Verdict = Verdict.PASSED
    detail: str = ""
    seconds: float = 0.0
    phases: list[str] = field(default_factory=list)

    def take(self, report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
        """Fold one phase in. The first thing that is not a pass is the one that is told."""
        self.phases.append(report.when or "")
        self.seconds += report.duration
        verdict, detail = phase_verdict(report, call)
        if verdict is not Verdict.PASSED and self.verdict is Verdict.PASSED:
            self.verdict, self.detail = verdict, detail

    def final(self) -> tuple[Verdict, str]:
        """A row has passed only when setup, call and teardown did."""
        if self.verdict is Verdict.PASSED and self.phases != ["setup", "call", "teardown"]:
            return Verdict.ERRORED, f"only {', '.join(self.phases) or 'nothing'} of it ran"
        return self.verdict, self.detail


def phase_verdict(report: pytest.TestReport, call: pytest.CallInfo[None]) -> tuple[Verdict, str]:
    """The verdict of one phase with the text that explains it."""
    error = call.excinfo.value if call.excinfo else None
    if hasattr(report, "wasxfail"):
        return Verdict.ERRORED, f"marked as expected to fail ({report.wasxfail or 'no reason'}): that is no evidence"
    if report.skipped:
        return Verdict.ERRORED, f"skipped: {getattr(error, 'msg', '') or 'no reason'}: a row that did not run has not passed"
    if report.passed:
        return Verdict.PASSED, ""
    if isinstance(error, PromoteError):
        return Verdict.ERRORED, f"{error.what}\ndo   {error.hint}"
    text = (str(error) if error is not None else "") or type(error).__name__
    if isinstance(error, AssertionError):
        text = text.partition("\nassert ")[0]  # the check's own words, without pytest's rewriting of the expression behind them
    if timed_out(error):
        return Verdict.ERRORED, f"{text}: it could not be judged in time"
    said_no = report.when == "call" and isinstance(error, AssertionError | pytest.fail.Exception)
    return (Verdict.FAILED, text) if said_no else (Verdict.ERRORED, f"{type(error).__name__}: {text}")


def timed_out(error: BaseException | None) -> bool:
    """pytest-timeout's signal method ends a test with pytest.fail and this text."""
    return isinstance(error, pytest.fail.Exception) and str(error).startswith("Timeout (>") and "pytest-timeout" in str(error)
