"""The pytest plugin (entry point `promote`): options, the `check` marker, evidence, the recorder and the summary.

Inert in test runs that have no check and no --promote option. Hooks at module level only parse and register; state lives in `Checklist`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from promote.checklist.conclusion import Conclusion
from promote.checklist.fixtures import *  # noqa: F403 - fixtures are found by name in a plugin module
from promote.checklist.outcome import CheckOutcome, timed_out
from promote.checklist.promotion import state_of, usable
from promote.checklist.recorder import Recorder
from promote.checklist.registry import CHECKS, NO_RULES, NO_URL, limit_of
from promote.checklist.session import WORKER_KEY, Session, is_worker, left_out, named_suites, packed, redactor, suite_of
from promote.config.schema import FILE_NAME
from promote.core.deadline import Deadline
from promote.core.errors import PromoteError
from promote.core.in_flight import clear
from promote.core.model import CheckResult, Verdict
from promote.core.redact import Redactor
from promote.core.retry import patience

EVIDENCE = pytest.StashKey[dict[str, object]]()
OUTCOME = pytest.StashKey[CheckOutcome]()
PATIENT_SHARE = 0.8  # of a check's limit: what is left is for the request in flight and the report
ALONE_S = 15.0  # outside a promotion: a person waits for the answer and can start again
_DO, _WHY = re.compile(r"\n[^\S\n]*do\b"), re.compile(r"\n[^\S\n]*why\b")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("promote", "promotion checklist")
    group.addoption("--promote-version", metavar="VERSION", help="the version to check (default: that of HEAD's dev tag, else HEAD as it is)")
    group.addoption("--promote-config", metavar="FILE", help="promotion.toml (default: the nearest one at or above the first argument)")
    group.addoption("--promote-context", metavar="FILE", help="what `promote run` tells its suites; not for use by hand")
    group.addoption("--promote-root", metavar="FOLDER", help="the clone, when the settings and checks are a copy; not for use by hand")
    group.addoption("--promote-recorder", metavar="FILE", help="where to write the verdicts as JSON lines")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Compiled files beside the checks would be changes of the very clone that is judged."""
    named = early_config.known_args_namespace.file_or_dir
    start = early_config.invocation_params.dir / (named[0].partition("::")[0] if named else "")
    if any((folder / FILE_NAME).is_file() for folder in (start, *start.parents)):
        sys.dont_write_bytecode = True


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", 'check(id, fix=""): this test is the checklist check `id`; `fix` is the command or sentence that fixes it')
    path = config.getoption("--promote-recorder")
    recorder, session = Recorder(Path(path) if path else None), Session()
    config.pluginmanager.register(Checklist(config, recorder, session, asked=bool(path)), "promote-checklist")
    if not is_worker(config):
        config.pluginmanager.register(Conclusion(config, recorder, session, asked=bool(path)), "promote-conclusion")


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
        # Other reporters read these, also across the channel of xdist, which cannot carry half a surrogate pair (a file name that is no UTF-8).
        node.user_properties.append((name, str(seen[name])[:2000].encode("utf-8", "backslashreplace").decode()))

    return remember


class Checklist:
    """Judges the checks of one session, in the process that runs them; `Conclusion` draws the session's conclusion from them."""

    def __init__(self, config: pytest.Config, recorder: Recorder, session: Session, *, asked: bool) -> None:
        self.config, self.recorder, self.session, self.asked = config, recorder, session, asked
        self._items: list[pytest.Item] = []  # all that were collected, before -k and others take some away

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        self._items.append(item)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        if not (self.asked or named_suites(config) or any(item.get_closest_marker("check") for item in items)):
            return
        state = usable(config)
        self.session.collected = {check_id(item): suite_of(item.path, state.settings) for item in self._items}
        self.session.start(self.session.collected[check_id(item)] for item in items)
        self._take_out_ambiguous(items)
        for item in items:
            item.user_properties.append(("check", check_id(item)))
            if isinstance(item, pytest.Function):
                item.obj = item.stash.setdefault(OUTCOME, CheckOutcome()).guard.watch(item.obj)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(limit_of(_plain(check_id(item)), state.settings), method="signal"))
        self.session.ids = {item.nodeid: check_id(item) for item in items}
        off = left_out(state, {spec.suite for spec in CHECKS})
        out = [i for i in items if _plain(check_id(i)) in off]
        if out:
            items[:] = [i for i in items if i not in out]
            config.hook.pytest_deselected(items=out)
        self.recorder.write("collected", ids=[check_id(i) for i in items])
        if is_worker(config):
            config.workeroutput[WORKER_KEY] = self.session.collection()  # type: ignore[attr-defined]

    def _take_out_ambiguous(self, items: list[pytest.Item]) -> None:
        """Two checks with one id, or a marker without one: their verdicts could not be distinguished, so neither runs and both are undetermined."""
        places: dict[str, list[str]] = {}
        for item in items:
            places.setdefault(check_id(item), []).append(item.nodeid)
        wrong = {check: f"stands twice: {nodes[0]} and {nodes[1]}; give each its own id" for check, nodes in places.items() if len(nodes) > 1}
        wrong |= {item.nodeid: "@pytest.mark.check needs the check's id" for item in items if _nameless(item)}
        for check, why in wrong.items():
            self._record(CheckResult(id=check, suite=self.session.collected[check], verdict=Verdict.ERRORED, detail=why))
        items[:] = [item for item in items if check_id(item) not in wrong]

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        if nodeid in self.session.ids:
            self.recorder.write("begin", id=self.session.ids[nodeid])
            clear()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """A read that meets a passing fault is repeated until shortly before the check's own limit, so that the check can still report it. In a
        suite that no promotion started, not as long: its user can start it again."""
        if item.nodeid not in self.session.ids:
            return (yield)
        state = state_of(self.config)
        limit = limit_of(_plain(check_id(item)), state.settings) * PATIENT_SHARE
        with patience(Deadline(min(limit, ALONE_S) if state.alone else limit)):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        check = self.session.ids.get(item.nodeid)
        if check is None:
            return report
        judged = item.stash.setdefault(OUTCOME, CheckOutcome())
        judged.take(report, call)
        _dress(report, call, item)
        policy = state_of(self.config).policy
        if report.failed:
            _show_as_skipped(report, item, policy.stands(check, judged.verdict, judged.detail))
        if report.when == "teardown":
            verdict, detail = policy.stands(check, *judged.final())
            seen, detail = item.stash.get(EVIDENCE, {}), redactor(self.config).text(detail)
            if verdict is Verdict.FAILED:
                detail = _with_why_and_fix(detail, why=_why(item, check), fix=_fix(item))
            seconds = round(judged.seconds, 3)
            result = CheckResult(id=check, suite=self.session.collected[check], verdict=verdict, seconds=seconds, detail=detail, evidence=seen)
            self._record(result)
            report.promote_check = packed(result)  # type: ignore[attr-defined]  # what a worker sends to its controller
        _mask(report, redactor(self.config))
        return report

    def _record(self, check: CheckResult) -> None:
        """On disk before the next check starts."""
        if self.session.take(check):
            self.recorder.write(
                "check", id=check.id, verdict=check.verdict.value, detail=check.detail, seconds=check.seconds, evidence=check.evidence
            )


def check_id(item: pytest.Item) -> str:
    """The marker's id, with the parameter's id for a parametrised check; a user's unmarked test goes by its node id."""
    marker = item.get_closest_marker("check")
    if marker is None or _nameless(item):
        return item.nodeid
    callspec = getattr(item, "callspec", None)
    return f"{marker.args[0]}[{callspec.id}]" if callspec else str(marker.args[0])


def _nameless(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("check")
    return marker is not None and not (marker.args and isinstance(marker.args[0], str))


def _plain(check: str) -> str:
    """The registered id of a check, without the parameter of one that stands several times."""
    return check.partition("[")[0]


def _show_as_skipped(report: pytest.TestReport, item: pytest.Item, stands: tuple[Verdict, str]) -> None:
    """A check that may fail is no failure of pytest's either: in JUnit and on the screen it is skipped, with its text and the owner of its waiver."""
    verdict, detail = stands
    if not verdict.blocks:
        report.outcome = "skipped"
        path, line, _ = item.location
        report.longrepr = (path, (line or 0) + 1, f"{verdict.value}: {detail}")


def _fix(item: pytest.Item) -> str:
    marker = item.get_closest_marker("check")
    return str(marker.kwargs.get("fix", "")) if marker else ""


def _why(item: pytest.Item, check: str) -> str:
    """Why a registered check matters: its function's docstring. Of declared checks (an address, a number) the declaration says it all."""
    spec = next((spec for spec in CHECKS if spec.id == check), None)
    return " ".join((getattr(getattr(item, "obj", None), "__doc__", None) or "").split()) if spec and not spec.sources else ""


def _with_why_and_fix(detail: str, *, why: str, fix: str) -> str:
    """A failure shows the facts, why they matter, and what to do. Parts that the check's own text lacks are added."""
    do = _DO.search(detail)
    seen, rest = (detail[: do.start()], detail[do.start() :]) if do else (detail, f"\ndo   {fix}" if fix else "")
    return seen + (f"\nwhy  {why}" if why and not _WHY.search(seen) else "") + rest


def _mask(report: pytest.TestReport, redact: Redactor) -> None:
    """What goes into JUnit and on the screen: the failure, what was captured, the properties. A text without a secret keeps its form and colours."""
    if report.longrepr is not None:
        shown = report.longreprtext if not isinstance(report.longrepr, tuple) else report.longrepr[2]
        if (clean := redact.shown(shown)) != shown:
            report.longrepr = (*report.longrepr[:2], clean) if isinstance(report.longrepr, tuple) else clean
    report.sections = [(name, redact.shown(text)) for name, text in report.sections]
    report.user_properties = [(name, redact.value(value)) for name, value in report.user_properties]


def _dress(report: pytest.TestReport, call: pytest.CallInfo[None], item: pytest.Item) -> None:
    """For errors that a person can cause one clear text instead of a traceback, and the fix beside a failure."""
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, PromoteError):
        report.longrepr = f"{error.what}\ndo: {error.hint}"
    if report.failed and (fix := _fix(item)) and not timed_out(error):
        report.sections.append(("How to fix", fix))
