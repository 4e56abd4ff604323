"""The pytest plugin (entry point `promote`): options, the `check` marker, evidence, the recorder and the summary.

Inert in test runs that have no check and no --promote option. Hooks at module level only parse and register; state lives in `Checklist`.
"""

from __future__ import annotations

import re
import secrets
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from promote import connect
from promote.checklist.fixtures import *  # noqa: F403 - fixtures are found by name in a plugin module
from promote.checklist.outcome import CheckOutcome, timed_out
from promote.checklist.promotion import STATE, state_of, usable
from promote.checklist.recorder import Recorder
from promote.checklist.registry import CHECKS, NO_RULES, NO_URL, limit_of, not_applicable
from promote.config.schema import FILE_NAME
from promote.core.errors import PromoteError
from promote.core.in_flight import clear
from promote.core.model import Verdict
from promote.core.redact import Redactor
from promote.report import github_actions

EVIDENCE = pytest.StashKey[dict[str, object]]()
REDACTOR = pytest.StashKey[Redactor]()
OUTCOME = pytest.StashKey[CheckOutcome]()
MARKS = {Verdict.PASSED: "✓", Verdict.FAILED: "✗", Verdict.ERRORED: "?", Verdict.WARNING: "!", Verdict.WAIVED: "~"}
_DO, _WHY = re.compile(r"\n\s*do\b"), re.compile(r"\n\s*why\b")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("promote", "promotion checklist")
    group.addoption("--promote-version", metavar="VERSION", help="the version to check (default: that of HEAD's dev tag, else HEAD as it is)")
    group.addoption("--promote-config", metavar="FILE", help="promotion.toml (default: the nearest one at or above the first argument)")
    group.addoption("--promote-context", metavar="FILE", help="what `promote run` tells its suites; not for use by hand")
    group.addoption("--promote-recorder", metavar="FILE", help="where to write the verdicts as JSON lines")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Compiled files beside the checks would be changes of the very clone that is judged."""
    named = early_config.known_args_namespace.file_or_dir
    start = early_config.invocation_params.dir / (named[0].partition("::")[0] if named else "")
    if any((folder / FILE_NAME).is_file() for folder in (start, *start.parents)):
        sys.dont_write_bytecode = True


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", 'check(id, fix=""): this test is the checklist check `id`; `fix` is the command or sentence that mends it')
    path = config.getoption("--promote-recorder")
    config.pluginmanager.register(Checklist(config, Recorder(Path(path) if path else None), asked=bool(path)), "promote-checklist")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "smoke_url" in metafunc.fixturenames:
        urls = state_of(metafunc.config).settings.smoke.urls
        metafunc.parametrize("smoke_url", urls or [None], ids=[u.name for u in urls] or [NO_URL.partition("[")[2].rstrip("]")])
    if "promql_query" in metafunc.fixturenames:
        rules = state_of(metafunc.config).settings.prometheus.queries
        metafunc.parametrize("promql_query", rules or [None], ids=[r.name for r in rules] or [NO_RULES])


@pytest.fixture
def evidence(request: pytest.FixtureRequest) -> Callable[[str, object], None]:
    """`evidence("commit", sha)`: what the check saw, kept in the report, the record and as a JUnit property."""
    node: pytest.Item = request.node
    seen: dict[str, object] = node.stash.setdefault(EVIDENCE, {})

    def remember(name: str, value: object) -> None:
        seen[name] = redactor(request.config).value(value)
        node.user_properties.append((name, str(seen[name])[:2000]))

    return remember


class Checklist:
    """Follows one session: collects checks, judges them, records and summarises."""

    def __init__(self, config: pytest.Config, recorder: Recorder, *, asked: bool) -> None:
        self.config, self.recorder, self.asked = config, recorder, asked
        self.ids: dict[str, str] = {}
        self.checks: list[tuple[str, Verdict, str]] = []
        self.left_out: dict[str, str] = {}
        self._silence = ""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        if not self.asked and not any(item.get_closest_marker("check") for item in items):
            return
        state = usable(config)
        seen: dict[str, str] = {}
        for item in items:
            check = check_id(item)
            if check in seen:
                raise pytest.UsageError(f"check {check!r} stands twice: {seen[check]} and {item.nodeid}; give each its own id")
            seen[check] = item.nodeid
            self.ids[item.nodeid] = check
            item.user_properties.append(("check", check))
            if isinstance(item, pytest.Function):
                item.obj = item.stash.setdefault(OUTCOME, CheckOutcome()).guard.watch(item.obj)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(limit_of(_plain(check), state.settings), method="signal"))
        off = {spec.id: f"disabled: {why}" for spec in CHECKS if (why := spec.disabled_reason(state.settings))}
        off |= not_applicable(from_tree=state.from_tree(), versioned=state.versioned())
        out = [i for i in items if _plain(check_id(i)) in off]
        if out:
            self.left_out = {_plain(check_id(i)): off[_plain(check_id(i))] for i in out}
            items[:] = [i for i in items if i not in out]
            config.hook.pytest_deselected(items=out)
        self.recorder.write("collected", ids=[self.ids[i.nodeid] for i in items])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        if nodeid in self.ids:
            self.recorder.write("begin", id=self.ids[nodeid])
            clear()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        check = self.ids.get(item.nodeid)
        if check is None:
            return report
        judged = item.stash.setdefault(OUTCOME, CheckOutcome())
        judged.take(report, call)
        _dress(report, call, item)
        policy = state_of(self.config).policy
        if report.failed:
            _excuse(report, item, policy.stands(check, judged.verdict, judged.detail))
        if report.when == "teardown":
            verdict, detail = policy.stands(check, *judged.final())
            seen, detail = item.stash.get(EVIDENCE, {}), redactor(self.config).text(detail)
            if verdict is Verdict.FAILED:
                detail = _whole(detail, why=_why(item, check), fix=_fix(item))
            warning = str(seen.get("warning") or "") if verdict is Verdict.PASSED else ""
            self.checks.append((check, verdict, detail or warning))
            self.recorder.write("check", id=check, verdict=verdict.value, detail=detail, seconds=round(judged.seconds, 3), evidence=seen)
        _mask(report, redactor(self.config))
        return report

    def pytest_sessionstart(self) -> None:
        """In a step of GitHub Actions nothing that a check or a captured output prints may be obeyed as a command."""
        if self.speaks_to_actions():
            self._silence = secrets.token_hex(16)
            sys.stdout.write(f"::stop-commands::{self._silence}\n")

    def speaks_to_actions(self) -> bool:
        """By hand in CI; under the driver its own report speaks."""
        return connect.on_actions() and not self.asked

    def pytest_report_header(self, config: pytest.Config) -> list[str]:
        return config.stash[STATE].header() if STATE in config.stash else []

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.checks:
            return
        state = self.config.stash[STATE]
        terminalreporter.section(f"checklist: {state.describe()}")
        for check, verdict, detail in self.checks:
            terminalreporter.write_line(f"{MARKS[verdict]} {check}" + (f": {detail.splitlines()[0]}" if detail else ""))
        for check, why in self.left_out.items():
            terminalreporter.write_line(f"- {check}: {why}")
        if self.speaks_to_actions():
            self._tell_actions(terminalreporter, state.describe())

    def _tell_actions(self, terminalreporter: pytest.TerminalReporter, title: str) -> None:
        clean = Redactor(connect.secrets())
        checks = [(check, verdict, clean.text(detail)) for check, verdict, detail in self.checks]
        terminalreporter.write_line(f"::{self._silence}::")
        for line in github_actions.commands(checks):
            terminalreporter.write_line(line)
        if file := connect.step_summary():
            with file.open("a", encoding="utf-8") as page:
                page.write(github_actions.summary(f"checklist: {title}", checks))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self.recorder.write("finish", exit=int(exitstatus))


def redactor(config: pytest.Config) -> Redactor:
    """Masks the forge's token and what the headers of promotion.toml take from the environment: nothing of it goes into a report or the record."""
    if REDACTOR not in config.stash:
        config.stash[REDACTOR] = Redactor((*connect.secrets(), *connect.header_secrets(state_of(config).settings)))
    return config.stash[REDACTOR]


def check_id(item: pytest.Item) -> str:
    """The marker's id, with the parameter's id for a parametrised check; a user's unmarked test goes by its node id."""
    marker = item.get_closest_marker("check")
    if marker is None:
        return item.nodeid
    if not marker.args or not isinstance(marker.args[0], str):
        raise pytest.UsageError(f"{item.nodeid}: @pytest.mark.check needs the check's id")
    callspec = getattr(item, "callspec", None)
    return f"{marker.args[0]}[{callspec.id}]" if callspec else marker.args[0]


def _plain(check: str) -> str:
    """The registered id of a check, without the parameter of one that stands several times."""
    return check.partition("[")[0]


def _excuse(report: pytest.TestReport, item: pytest.Item, stands: tuple[Verdict, str]) -> None:
    """A check that may fail is no failure of pytest's either: in JUnit and on the screen it is skipped, with who answers for it and what it said."""
    verdict, detail = stands
    if not verdict.blocks:
        report.outcome = "skipped"
        path, line, _ = item.location
        report.longrepr = (path, (line or 0) + 1, f"{verdict.value}: {detail}")


def _fix(item: pytest.Item) -> str:
    marker = item.get_closest_marker("check")
    return str(marker.kwargs.get("fix", "")) if marker else ""


def _why(item: pytest.Item, check: str) -> str:
    """Why a registered check matters: what its function's docstring says. Of declared checks (an address, a number) the declaration says it all."""
    spec = next((spec for spec in CHECKS if spec.id == check), None)
    return " ".join((getattr(getattr(item, "obj", None), "__doc__", None) or "").split()) if spec and not spec.sources else ""


def _whole(detail: str, *, why: str, fix: str) -> str:
    """A failure says what was seen, why that matters, and what to do: what the check itself does not say is put in its place."""
    do = _DO.search(detail)
    seen, rest = (detail[: do.start()], detail[do.start() :]) if do else (detail, f"\ndo   {fix}" if fix else "")
    return seen + (f"\nwhy  {why}" if why and not _WHY.search(seen) else "") + rest


def _mask(report: pytest.TestReport, redact: Redactor) -> None:
    """What goes into JUnit and on the screen: the failure, what was captured, the properties. A text without a secret keeps its form and colours."""
    if report.longrepr is not None:
        shown = report.longreprtext if not isinstance(report.longrepr, tuple) else report.longrepr[2]
        if (clean := redact.text(shown)) != shown:
            report.longrepr = (*report.longrepr[:2], clean) if isinstance(report.longrepr, tuple) else clean
    report.sections = [(name, redact.text(text)) for name, text in report.sections]
    report.user_properties = [(name, redact.value(value)) for name, value in report.user_properties]


def _dress(report: pytest.TestReport, call: pytest.CallInfo[None], item: pytest.Item) -> None:
    """For errors that a person can cause one clear text instead of a traceback, and the fix beside a failure."""
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, PromoteError):
        report.longrepr = f"{error.what}\ndo: {error.hint}"
    if report.failed and (fix := _fix(item)) and not timed_out(error):
        report.sections.append(("How to fix", fix))
