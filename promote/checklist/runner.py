"""One suite in a child pytest: its own process group, its own deadline, and a verdict that only its recorder can give.

Exit code 0 proves nothing (all skipped, `os._exit(0)`, `--collect-only` in an environment variable all exit 0): passed means that a regular finish
was recorded, something was collected, and every required check reported passed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from promote import connect
from promote.checklist.context import SuiteContext
from promote.checklist.policy import Policy
from promote.checklist.recorder import read_events
from promote.checklist.registry import disabled_checks, required_checks
from promote.checklist.suite_verdict import suite_verdict
from promote.config.schema import FILE_NAME, Settings
from promote.core.deadline import Deadline
from promote.core.errors import PromoteError
from promote.core.model import CheckResult, SuiteResult, Verdict
from promote.core.private import private_folder, write_private
from promote.core.redact import Redactor
from promote.core.signals import defer_signals
from promote.report.junit import write_junit
from promote.report.words import listed

TICK_S = 0.05
_HIJACKS = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_CURRENT_TEST")
# Only what the verdict needs is loaded: a plugin that happens to be installed must neither judge nor cost (one of them takes 0.6 s to import).
_PLUGINS = ("promote.checklist.plugin", "pytest_timeout")
# Isolated (-I): nothing is imported from the current folder, PYTHONPATH or the user's own packages, and no sitecustomize of theirs runs. The folder
# of this package comes last, for an installation that only PYTHONPATH makes importable.
_START = "import sys; sys.path.append(sys.argv.pop(1)); import pytest; sys.exit(pytest.console_main())"
_HOME = Path(connect.__file__).resolve().parent.parent


def run_suite(
    name: str,
    folder: Path,
    *,
    context: SuiteContext,
    settings: Settings,
    reports: Path,
    deadline: Deadline,
    on_check: Callable[[CheckResult], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> SuiteResult:
    """Run the checks in `folder` and judge them. Never raises for what a check does.

    Writes NAME.xml (JUnit), NAME.log and NAME.jsonl under `reports`. Setting `stop` ends it like its deadline would.
    """
    recorder, log, junit = (reports / f"{name}.{end}" for end in ("jsonl", "log", "xml"))
    try:
        private_folder(reports)
        for old in (recorder, junit):
            old.unlink(missing_ok=True)
        context_file = context.write(reports / f"{name}.context.json")
        write_private(log, b"")
    except OSError as error:
        raise PromoteError(
            f"{error.filename or reports}: cannot be made: {error.strerror}", hint="suites.reports in promotion.toml must be a writable folder"
        ) from error
    about = {"version": context.version or "", "commit": context.commit, "state": context.state}
    redact = connect.redactor(settings)
    if not folder.is_dir():
        result = SuiteResult(suite=name, verdict=Verdict.ERRORED, checks=(), seconds=0.0, reason=f"there is no folder {folder}", log=str(log))
        return _with_junit(result, junit, redact, about)
    rules = settings.checks_root
    argv = [
        *(sys.executable, "-I", "-B", "-u", "-c", _START, str(_HOME), str(folder)),
        *("-c", os.devnull, f"--rootdir={rules}", f"--confcutdir={rules}", "-p", "no:cacheprovider", "-q"),
        *(arg for plugin in (*_PLUGINS, *settings.suites.plugins) for arg in ("-p", plugin)),
        *("--color=no", f"--promote-recorder={recorder}", f"--promote-config={rules / FILE_NAME}", f"--promote-root={settings.root}"),
        f"--promote-context={context_file}",
    ]
    started = time.monotonic()
    try:
        killed = _run(argv, log, settings.root, recorder, deadline, _Announcer(name, on_check), stop or threading.Event())
    finally:  # also when a person stops it: what a check has printed by then stays on disk
        with defer_signals():
            _mask(redact, log, recorder)
    events = read_events(recorder)
    checks = _checks(name, events)
    versioned = context.version is not None
    required = required_checks(name, settings, from_tree=context.from_tree, versioned=versioned)
    policy = Policy.of(settings, context.waivers, back=context.state == "back")
    begun = [str(e["id"]) for e in events if e["event"] == "begin"]
    # Only at a regular end: without this event the session broke off, whatever its checks say.
    finish = next((int(e["exit"]) for e in reversed(events) if e["event"] == "finish"), None)
    verdict, reason, missing = suite_verdict(name, checks, required=required, begun=begun, exit_status=finish, policy=policy)
    if killed:
        verdict, reason = Verdict.worst([Verdict.ERRORED, verdict]), f"ended by its deadline of {deadline.seconds:.0f} s; {reason}"
    off = tuple(
        CheckResult(id=r, suite=name, verdict=Verdict.DISABLED, detail=why) for r, why in disabled_checks(name, settings, versioned=versioned).items()
    )
    for check in (*missing, *off):
        on_check(check)
    result = SuiteResult(
        suite=name, verdict=verdict, checks=(*checks, *missing, *off), seconds=time.monotonic() - started, reason=reason, log=str(log)
    )
    return _with_junit(result, junit, redact, about)


def refuse_suite(name: str, judged: tuple[CheckResult, ...], *, context: SuiteContext, settings: Settings, reports: Path) -> SuiteResult | None:
    """The result of a suite that must not start, because a check that protects the tag does not pass; None when all of them pass.

    Its other checks are undetermined. Writes NAME.xml as `run_suite` does, and removes what an earlier run left there.
    """
    bad = [check for check in judged if check.verdict.blocks]
    if not bad:
        return None
    about = {"version": context.version or "", "commit": context.commit, "state": context.state}
    names = listed([check.id for check in bad])
    why = f"not run: {names} did not pass, and no code of the repository runs before"
    required = required_checks(name, settings, from_tree=context.from_tree, versioned=context.version is not None)
    first = tuple(check.id for check in judged)
    rest = tuple(CheckResult(id=check, suite=name, verdict=Verdict.ERRORED, detail=why) for check in required if check not in first)
    verdict = Verdict.worst(check.verdict for check in judged)
    result = SuiteResult(
        suite=name, verdict=verdict, checks=(*bad, *(check for check in judged if check not in bad), *rest), reason=f"{names}; nothing else ran",
        seconds=sum(check.seconds for check in judged),
    )  # fmt: skip
    with contextlib.suppress(OSError):
        private_folder(reports)
        for old in ("jsonl", "log", "xml"):
            (reports / f"{name}.{old}").unlink(missing_ok=True)
    return _with_junit(result, reports / f"{name}.xml", connect.redactor(settings), about)


def _with_junit(result: SuiteResult, path: Path, redact: Redactor, about: Mapping[str, object]) -> SuiteResult:
    """Write the JUnit file from the verdicts, not in the child: it also has the checks that never ran, and is there when the child was killed."""
    try:
        write_junit(path, [result], redact, **about)
    except OSError:
        return result  # the verdict does not depend on it, and the report names no file then
    return replace(result, junit=str(path))


class _Announcer:
    """Passes each check on once, as soon as it is on disk."""

    def __init__(self, suite: str, on_check: Callable[[CheckResult], None]) -> None:
        self._suite, self._on_check, self._announced = suite, on_check, 0

    def look(self, recorder: Path) -> None:
        checks = _checks(self._suite, read_events(recorder))
        for check in checks[self._announced :]:
            self._on_check(check)
        self._announced = len(checks)


def _run(argv: list[str], log: Path, cwd: Path, recorder: Path, deadline: Deadline, announcer: _Announcer, stop: threading.Event) -> bool:
    """Start the child and watch it; True when the deadline ended it. Whatever ends us ends its whole group."""
    env = {k: v for k, v in os.environ.items() if k not in _HIJACKS} | {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONDONTWRITEBYTECODE": "1",  # for what the checks start
    }
    child: subprocess.Popen[bytes] | None = None
    with log.open("wb") as out:
        try:
            with defer_signals():  # a stop request during the start would orphan the child
                child = subprocess.Popen(
                    argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
                )
            while not deadline.expired and not stop.is_set():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(TICK_S)
                    return False
                announcer.look(recorder)
            return True
        finally:
            if child:
                _end_session(child.pid)
                child.wait()
            announcer.look(recorder)


def _mask(redact: Redactor, *files: Path) -> None:
    """The plugin masks what it reports; this takes what a check wrote past it (its own descriptor 2, a program it ran), and
    the secrets that only the driver knows."""
    for file in files:
        with contextlib.suppress(OSError):
            text = file.read_text(encoding="utf-8", errors="surrogateescape")
            if (clean := redact.text(text)) != text:
                file.write_text(clean, encoding="utf-8", errors="surrogateescape")


def _end_session(leader: int) -> None:
    """Kill the child's group, and where /proc tells them the groups that its checks made in the same session (a team's tests, kustomize)."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            if int(status.read_text().rpartition(")")[2].split()[3]) == leader:
                os.kill(int(status.parent.name), signal.SIGKILL)


def _checks(suite: str, events: list[dict[str, object]]) -> tuple[CheckResult, ...]:
    """The last event of an id counts: a check that is run again is written again only when it says worse."""
    checks = (
        CheckResult(
            id=str(e["id"]), suite=suite, verdict=Verdict(str(e["verdict"])), seconds=float(str(e["seconds"])), detail=str(e["detail"]),
            evidence=e["evidence"] if isinstance(e["evidence"], dict) else {},
        )
        for e in events
        if e["event"] == "check"
    )  # fmt: skip
    return tuple({check.id: check for check in checks}.values())
