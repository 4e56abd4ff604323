"""One check's verdict from its three phases. FAILED: an assertion did not hold. ERRORED: the check was undetermined, skipped, or timed out."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from promote.core.errors import PromoteError
from promote.core.in_flight import waiting_on
from promote.core.model import Verdict


@dataclass(slots=True)
class CallGuard:
    """What the check's own function did, seen from inside: no hook of another plugin can make a failure of it a pass."""

    ran: bool = False
    returned: bool = False
    error: BaseException | None = None

    def watch(self, function: Callable[..., object]) -> Callable[..., object]:
        """The same function, watched."""

        @functools.wraps(function)
        def run(*args: object, **kwargs: object) -> object:
            self.ran = True
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                self.error = error
                raise
            self.returned = True
            return result

        return run


class Undetermined(PromoteError):
    """Raised by a check that cannot tell. `what` says why, with the values; `hint` says what to do: a command, or one sentence.

    The check is then ERRORED, never passed and never failed. Any other exception except AssertionError and `pytest.fail` has the same
    verdict; this one is reported without a traceback.
    """


class CheckWarning(Exception):
    """Ends a check that cannot tell with a warning, which does not block. Only checks registered with `may_warn` may raise it."""


@dataclass(slots=True)
class CheckOutcome:
    """What is known of a check while it runs."""

    guard: CallGuard = field(default_factory=CallGuard)

    verdict: Verdict = Verdict.PASSED
    detail: str = ""
    seconds: float = 0.0
    phases: list[str] = field(default_factory=list)

    def take(self, report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
        """Fold one phase in. The first phase that did not pass is reported."""
        if report.when == "setup" and self.phases:  # a plugin repeats the check: it must run whole, and the earlier verdict still counts
            self.phases.clear()
            self.guard.ran = self.guard.returned = False
            self.guard.error = None
        self.phases.append(report.when or "")
        self.seconds += report.duration
        verdict, detail = phase_verdict(report, call)
        if verdict is not Verdict.PASSED and self.verdict is Verdict.PASSED:
            self.verdict, self.detail = verdict, detail

    def final(self) -> tuple[Verdict, str]:
        """A check has passed only when setup, call and teardown did."""
        if self.verdict is Verdict.PASSED and self.phases != ["setup", "call", "teardown"]:
            return Verdict.ERRORED, f"only {', '.join(self.phases) or 'nothing'} of it ran"
        if self.verdict is Verdict.PASSED and not self.guard.returned:
            hidden = self.guard.error
            if hidden is None:
                return Verdict.ERRORED, "reported as passed, but its function " + ("did not return" if self.guard.ran else "was never called")
            is_failure = isinstance(hidden, AssertionError | pytest.fail.Exception)
            return (Verdict.FAILED if is_failure else Verdict.ERRORED), f"{_own_words(hidden)}\n(something in this suite had turned it into a pass)"
        return self.verdict, self.detail


def phase_verdict(report: pytest.TestReport, call: pytest.CallInfo[None]) -> tuple[Verdict, str]:
    """The verdict of one phase with the text that explains it."""
    error = call.excinfo.value if call.excinfo else None
    if hasattr(report, "wasxfail"):
        return Verdict.ERRORED, f"marked as expected to fail ({report.wasxfail or 'no reason'}): that is no evidence"
    if report.skipped:
        return Verdict.ERRORED, f"skipped: {getattr(error, 'msg', '') or 'no reason'}: a check that did not run has not passed"
    if report.passed and error is None:  # a report can be changed by anybody
        return Verdict.PASSED, ""
    if isinstance(error, CheckWarning):
        return Verdict.WARNING, str(error)
    if isinstance(error, PromoteError):
        return Verdict.ERRORED, f"{error.what}\ndo   {error.hint}"
    text = _own_words(error)
    if timed_out(error):
        doing = f"; {words}" if (words := waiting_on()) else ""
        return (
            Verdict.ERRORED,
            f"{text}: it could not be judged in time{doing}\ndo   start again; a check's limit is suites.check_timeout in promotion.toml",
        )
    is_failure = report.when == "call" and isinstance(error, AssertionError | pytest.fail.Exception)
    return (Verdict.FAILED, text) if is_failure else (Verdict.ERRORED, f"{type(error).__name__}: {text}")


def _own_words(error: BaseException | None) -> str:
    """The check's own words, without pytest's rewriting of the expression behind them."""
    text = (str(error) if error is not None else "") or type(error).__name__
    return text.partition("\nassert ")[0] if isinstance(error, AssertionError) else text


def timed_out(error: BaseException | None) -> bool:
    """pytest-timeout's signal method ends a test with pytest.fail and this text."""
    return isinstance(error, pytest.fail.Exception) and str(error).startswith("Timeout (>") and "pytest-timeout" in str(error)
