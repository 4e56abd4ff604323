"""The end of a pytest session by hand: its exit code, its summary, its JUnit file, and what GitHub Actions is shown.

Registered in the process that owns the terminal: alone, or as the controller of xdist's workers, whose verdicts arrive on their reports.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from promote import connect
from promote.checklist.promotion import STATE, state_of, usable
from promote.checklist.recorder import Recorder
from promote.checklist.session import WORKER_KEY, Session, exit_code, named_suites, redactor, shown, suite_of, summary_lines, unpacked
from promote.core.foreign import split_lines
from promote.core.model import CheckResult, SuiteResult, Verdict
from promote.report import github_actions
from promote.report.junit import write_junit


class Conclusion:
    """`asked`: the driver started this session. It judges the record by itself, and its own report speaks to GitHub Actions."""

    def __init__(self, config: pytest.Config, recorder: Recorder, session: Session, *, asked: bool) -> None:
        self.config, self.recorder, self.checks = config, recorder, session
        self.results: list[SuiteResult] = []
        self._uncollected: list[pytest.CollectReport] = []
        self._meant_to_run = self._interrupted = False
        self._log = ActionsLog(config) if connect.on_actions() and not asked else None

    def pytest_sessionstart(self) -> None:
        if named := named_suites(self.config):
            if file := self._junit_path():
                file.unlink(missing_ok=True)  # an earlier run's file must not answer for this one, however this one ends
            self._start(named)
            if self.config.pluginmanager.has_plugin("dsession"):
                state = usable(self.config)  # raises one clear sentence here; from a worker it would be an internal error
                self._write_junit(self.checks.results(state, 0))

    def pytest_report_header(self, config: pytest.Config) -> list[str]:
        return config.stash[STATE].header() if self.checks.engaged and STATE in config.stash else []

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Not called by --fixtures and the like, which collect and never meant to run anything."""
        self._meant_to_run = True

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._uncollected.append(report)

    def pytest_collection_finish(self) -> None:
        if self.checks.engaged and self._meant_to_run:
            self._start(())
            self._write_junit(self.checks.results(usable(self.config), 0))  # "did not report", in case the process dies before it can report more

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.checks.begun.append(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the verdicts of workers, which arrive here. One of this process is known already, and hearing it again changes nothing."""
        if text := getattr(report, "promote_check", ""):
            check = unpacked(text)
            self._start([check.suite])
            self.checks.take(check)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker of xdist is done."""
        if text := getattr(node, "workeroutput", {}).get(WORKER_KEY):
            self.checks.add_collection(text)
            self._start(())

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self._interrupted = excinfo.type is KeyboardInterrupt  # pytest ends -x and collection errors with a subclass of it: that is no Ctrl-C

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Generator[None, None, None]:
        """After all plugins that are no wrappers (pytest's own JUnit writer is none) and before the summary."""
        yield
        self.recorder.write("finish", exit=int(exitstatus))
        if not (self.checks.engaged and self._meant_to_run) or exitstatus == pytest.ExitCode.USAGE_ERROR:
            return
        for report in self._uncollected:
            self.checks.take(self._uncollected_check(report))
        self.results = self.checks.results(usable(self.config), int(exitstatus) or int(session.exitstatus))
        self._write_junit(self.results)
        if not self._interrupted:
            session.exitstatus = exit_code(self.results)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.results:
            state = state_of(self.config)
            terminalreporter.section(f"checklist: {state.describe()}")
            for line in summary_lines(self.checks, self.results, state.settings, interrupted=self._interrupted):
                terminalreporter.write_line(line)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """After pytest's last line, the failures' texts included; also when a session ends without a summary."""
        if self._log:
            checks = [
                (check.id, check.verdict, shown(check)) for result in self.results for check in result.checks if check.verdict is not Verdict.DISABLED
            ]
            self._log.end_silence(state_of(self.config).describe() if checks else "", checks)

    def _start(self, suites: Iterable[str]) -> None:
        self.checks.start(suites)
        if self._log:
            self._log.silence()

    def _uncollected_check(self, report: pytest.CollectReport) -> CheckResult:
        path = self.config.rootpath / report.nodeid.partition("::")[0]
        text = redactor(self.config).text(report.longreprtext).strip()
        last = split_lines(text)[-1].removeprefix("E").strip() if text else "no reason was given"
        suite = suite_of(path, state_of(self.config).settings)
        return CheckResult(id=report.nodeid, suite=suite, verdict=Verdict.ERRORED, detail=f"cannot be collected: {last}\n{text}")

    def _junit_path(self) -> Path | None:
        """Where --junitxml points, read as pytest reads it."""
        given = getattr(self.config.option, "xmlpath", None)
        return self.config.invocation_params.dir / os.path.expanduser(os.path.expandvars(given)) if given else None  # noqa: PTH111

    def _write_junit(self, results: list[SuiteResult]) -> None:
        """Write over the file that pytest writes.

        pytest's writer knows phases, not verdicts: any exception in a call is a <failure>, the suite is called pytest, a check without a report is
        not there. To correct it, reports would have to claim a wrong phase to every other plugin, and be invented for checks that never ran.
        """
        if path := self._junit_path():
            state = state_of(self.config)
            about = state.context or state.target
            write_junit(path, results, redactor(self.config), version=str(about.version or ""), commit=about.commit)


class ActionsLog:
    """The output in a step of GitHub Actions: no command that a check prints is obeyed, and checks that did not pass are annotated.

    Opens the silence once, closes it once and then annotates. Only the process that owns the log may have one: a worker's output is no log.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._token = ""

    def silence(self) -> None:
        """From here on nothing that a check or a captured output prints is obeyed as a command."""
        if not self._token:
            self._token = secrets.token_hex(16)
            self._line(f"::stop-commands::{self._token}")

    def end_silence(self, title: str, checks: Sequence[tuple[str, Verdict, str]]) -> None:
        """End the silence, annotate, and write the step's summary. Called when pytest has printed its last line, the failures' texts included."""
        if not self._token:
            return
        self._line(f"::{self._token}::")
        self._token = ""
        for line in github_actions.commands(checks):
            self._line(line)
        if checks and (file := connect.step_summary()):
            with file.open("a", encoding="utf-8") as page:
                page.write(github_actions.summary(f"checklist: {title}", checks))

    def _line(self, text: str) -> None:
        """A command counts only at the start of a line, and pytest may be in the middle of one."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(text)
        else:
            sys.stdout.write(f"\n{text}\n")
