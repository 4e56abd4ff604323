"""The result of one pytest session for the suites it was started for: which checks reported, which did not, and the exit code that follows.

`pytest checks/pre` and `promote check pre` are judged by the same function, so no option of pytest (-k, --lf, -x, --collect-only, workers, a plugin
that leaves tests out or runs them again) can end a session with 0 while a required check has no verdict.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

from promote import connect
from promote.checklist.promotion import State, state_of
from promote.checklist.registry import CHECKS, disabled_checks, not_applicable, required_checks
from promote.checklist.suite_verdict import suite_verdict
from promote.config.schema import Settings
from promote.core.foreign import one_line, split_lines
from promote.core.model import CheckResult, SuiteResult, Verdict
from promote.core.redact import Redactor
from promote.report.words import MARKS

WORKER_KEY = "promote"  # of xdist's workeroutput
REDACTOR = pytest.StashKey[Redactor]()
SUITES = ("pre", "post", "smoke")
OTHER = "other"  # tests outside the suites' folders that run in the same session: they count like checks, and none of them is required
_SEVERITY = {Verdict.PASSED: 0, Verdict.DISABLED: 1, Verdict.WARNING: 1, Verdict.WAIVED: 1, Verdict.ERRORED: 2, Verdict.FAILED: 3}
_WORDS = {Verdict.PASSED: "passed", Verdict.FAILED: "failed", Verdict.ERRORED: "undetermined"}
_EXITS = {Verdict.PASSED: pytest.ExitCode.OK, Verdict.FAILED: pytest.ExitCode.TESTS_FAILED}


def suite_of(path: Path, settings: Settings) -> str:
    """The suite in whose folder a file lies, else OTHER."""
    return next((name for name in SUITES if path.resolve().is_relative_to(folder_of(name, settings))), OTHER)


def folder_of(suite: str, settings: Settings) -> Path:
    """Where the suite's files lie, symbolic links resolved: the command line may name another way there."""
    return Path(settings.checks_root / getattr(settings.suites, suite)).resolve()


def named_suites(config: pytest.Config) -> tuple[str, ...]:
    """The suites that the command line asks for: a path in a suite's folder, or above it but below the repository's top.

    A run from the top is a run of the team's own tests, which may find the checks as well: it counts for a suite only when it runs one of its checks.
    """
    try:
        settings = state_of(config).settings
    except pytest.UsageError:
        return ()  # no settings, no checklist; when checks are found, the error is raised then
    start = config.invocation_params.dir
    asked = [(start / arg.partition("::")[0]).resolve() for arg in config.args]
    top = settings.checks_root.resolve()
    return tuple(
        name
        for name in SUITES
        for folder in (folder_of(name, settings),)
        if any(path.is_relative_to(folder) or (folder.is_relative_to(path) and path != top and path.is_relative_to(top)) for path in asked)
    )


def redactor(config: pytest.Config) -> Redactor:
    """Masks the forge's token and what the headers of promotion.toml take from the environment: nothing of it goes into a report or the record."""
    if REDACTOR not in config.stash:
        config.stash[REDACTOR] = Redactor((*connect.secrets(), *connect.header_secrets(state_of(config).settings)))
    return config.stash[REDACTOR]


def is_worker(config: pytest.Config) -> bool:
    """Whether this process is one that xdist started: it judges, and its controller shows, writes and ends."""
    return hasattr(config, "workerinput")


@dataclass
class Session:
    """The checks of one session by id. In a run with workers the controller has one too, filled from what the workers report."""

    judged: dict[str, CheckResult] = field(default_factory=dict)
    collected: dict[str, str] = field(default_factory=dict)  # id -> suite, also of those that were deselected
    ids: dict[str, str] = field(default_factory=dict)  # node id -> id, of those that were selected
    begun: list[str] = field(default_factory=list)  # node ids
    suites: set[str] = field(default_factory=set)  # that were started
    engaged: bool = False  # this session runs checks, so what it prints, writes and ends with is the checklist's business

    def start(self, suites: Iterable[str]) -> None:
        """The session turned out to run checks, of these suites among others."""
        self.engaged = True
        self.suites |= {*suites} & {*SUITES}

    def collection(self) -> str:
        """The collected checks, and those judged so far, as text: from it a controller learns which checks were left out."""
        return json.dumps(
            {"ids": self.ids, "collected": self.collected, "suites": sorted(self.suites), "checks": [packed(check) for check in self.judged.values()]}
        )

    def add_collection(self, text: str) -> None:
        reported = json.loads(text)
        self.ids |= reported["ids"]
        self.collected |= reported["collected"]
        self.start(reported["suites"])
        for check in reported["checks"]:
            self.take(unpacked(check))

    def take(self, check: CheckResult) -> bool:
        """Keep a verdict. A repeated check (a plugin's retry) never improves its earlier verdict: only a worse one counts."""
        before = self.judged.get(check.id)
        if before and _SEVERITY[check.verdict] <= _SEVERITY[before.verdict]:
            return False
        self.judged[check.id] = check
        return True

    def results(self, state: State, exit_status: int) -> list[SuiteResult]:
        """One result for each suite that was started. `exit_status`: pytest's own."""
        found = [self._result(name, state, 0) for name in self._names()]
        if exit_status and all(result.verdict is Verdict.PASSED for result in found):
            found = [self._result(name, state, exit_status) for name in self._names()]
        return found

    def _names(self) -> list[str]:
        alone = {check.suite for check in self.judged.values()} - {*SUITES}
        return [*(name for name in SUITES if name in self.suites), *sorted(alone)]

    def _result(self, suite: str, state: State, exit_status: int) -> SuiteResult:
        checks = [check for check in self.judged.values() if check.suite == suite]
        off: dict[str, str] = {}
        required: list[str] = []
        if suite in SUITES:
            off = left_out(state, [suite])
            known = required_checks(suite, state.settings, from_tree=state.from_tree(), versioned=state.versioned())
            own = [i for i, where in self.collected.items() if where == suite and i.partition("[")[0] not in off]
            required = [*known, *own]
        begun = [i for node in self.begun if (i := self.ids.get(node, "")) and self.collected[i] == suite]
        verdict, reason, missing = suite_verdict(suite, checks, required=required, begun=begun, exit_status=exit_status, policy=state.policy)
        unasked = [CheckResult(id=i, suite=suite, verdict=Verdict.DISABLED, detail=why) for i, why in off.items()]
        seconds = sum(check.seconds for check in checks)
        return SuiteResult(suite=suite, verdict=verdict, checks=(*checks, *missing, *unasked), seconds=seconds, reason=reason)


def left_out(state: State, suites: Iterable[str]) -> dict[str, str]:
    """The checks of these suites that have nothing to judge here, each with why: disabled, no version, no work tree."""
    beside = not_applicable(from_tree=state.from_tree(), versioned=state.versioned())
    off = {check: why for suite in suites for check, why in disabled_checks(suite, state.settings, versioned=state.versioned()).items()}
    return {spec.id: why for spec in CHECKS if spec.suite in suites and (why := off.get(spec.id) or beside.get(spec.id, ""))}


def exit_code(results: Iterable[SuiteResult]) -> pytest.ExitCode:
    """0 passed, 1 a check failed, 5 undetermined: as `promote check`. pytest's own number 5 (no tests ran) means the same."""
    return _EXITS.get(Verdict.worst(result.verdict for result in results), pytest.ExitCode.NO_TESTS_COLLECTED)


def packed(check: CheckResult) -> str:
    """A check as ASCII text: what a report carries from a worker to its controller, whatever the evidence holds."""
    return json.dumps(asdict(check), default=str)


def unpacked(text: str) -> CheckResult:
    fields = json.loads(text)
    return CheckResult(**{**fields, "verdict": Verdict(fields["verdict"])})


def shown(check: CheckResult) -> str:
    """The text shown for a check: its detail, or the warning of one that passed."""
    return check.detail or (str(check.evidence.get("warning") or "") if check.verdict is Verdict.PASSED else "")


def summary_lines(session: Session, results: Iterable[SuiteResult], settings: Settings, *, interrupted: bool) -> list[str]:
    """The checklist at the end of a session: one line a check, the checks that did not run by name, each suite's verdict."""
    results = list(results)
    checks = [check for result in results for check in result.checks]
    lines = [_line(check) for check in checks if check.verdict is not Verdict.DISABLED and (check.id in session.judged or not check.verdict.blocks)]
    lines += [_line(check) for check in checks if check.verdict is Verdict.DISABLED]
    for result in results:
        if names := [check.id for check in result.failed if check.id not in session.judged]:
            folder = getattr(settings.suites, result.suite)
            lines += [f"? not run: {', '.join(names)}", f"  do   {_whole_suite(session, names, folder)}"]
    end = "interrupted" if interrupted else f"exit code {int(exit_code(results))}"
    verdicts = ", ".join(f"{result.suite} {_WORDS[result.verdict]}" + (f" ({result.reason})" if _unexplained(result) else "") for result in results)
    return [*lines, f"{verdicts}: {end}"]


def _line(check: CheckResult) -> str:
    text = shown(check)
    return f"{MARKS[check.verdict]} {check.id}" + (f": {one_line(split_lines(text)[0])}" if text else "")


def _unexplained(result: SuiteResult) -> bool:
    """No check explains why the suite did not pass."""
    return result.verdict.blocks and not result.failed


def _whole_suite(session: Session, names: Iterable[str], folder: str) -> str:
    """The command for the whole answer. Checks that were never collected are missing for another reason than an option."""
    if any(name in session.collected for name in names):
        return f"pytest {folder}   for the whole answer: without -k, -m, --lf, -x, --collect-only or a single test"
    return f"pytest {folder}   for the whole answer; git status {folder} shows whether its files are all there"
