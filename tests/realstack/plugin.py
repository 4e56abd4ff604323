"""`pytest --real`: one real stack for the whole run, shared by its workers, and a verdict that leaves nothing out.

A world in which a contract test was skipped, expected to fail or not run at all is a failed run, and the counts of both worlds are printed.
Tests marked `large` are run with `--large` alone; a run that left them out prints that. The figures of a test are printed at the end.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from promote.sandbox.real.cluster import RealCluster, RealStackError
from tests.realstack import build

REAL, GITEA, LARGE = "--real", "--gitea", "--large"
NEEDS = {"real": REAL, "gitea": GITEA, "large": LARGE}  # marker → the option that asks for what such a test needs
WORLDS = ("sandbox", "real")
_PROGRAMS = pytest.StashKey[Path]()
_STACK = pytest.StashKey[RealCluster]()
_COUNTS = pytest.StashKey[dict[str, Counter[str]]]()
_LEFT_OUT = pytest.StashKey[int]()
_FIGURES = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(REAL, action="store_true", help="run the contract tests on the real stack too (just real-stack builds it)")
    versions = ", ".join(build.OTHERS)
    parser.addoption(
        "--argocd", choices=[*build.OTHERS], default="", help=f"another version of Argo CD in the real stack ({versions}; just real-stack --argocd)"
    )
    parser.addoption(GITEA, action="store_true", help="run the tests against a real forge (just real-stack --with-gitea builds it)")
    parser.addoption(LARGE, action="store_true", help="with --real: also what takes minutes (a hundred applications)")


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Workers get the stack's address, so it is started before them; a run without workers starts it when the first test asks for it."""
    config = session.config
    if not config.getoption(REAL) or hasattr(config, "workerinput"):
        return
    config.stash[_COUNTS], config.stash[_FIGURES] = {world: Counter() for world in WORLDS}, []
    if lacking := build.missing(programs(config)):
        raise pytest.UsageError(f"the real stack was asked for: {programs(config)} has no {', '.join(lacking)}: build it first (just real-stack)")
    if config.getoption("numprocesses", None):
        try:
            _started(config)
        except RealStackError as error:
            raise pytest.UsageError(f"the real stack was asked for: {error}") from error


def _started(config: pytest.Config) -> RealCluster:
    if _STACK not in config.stash:
        cluster = RealCluster("tests", programs(config))
        cluster.start()
        config.stash[_STACK] = cluster
    return config.stash[_STACK]


def programs(config: pytest.Config) -> Path:
    """The folder of the stack's programs, from the run's environment (a test has another HOME)."""
    return config.stash[_PROGRAMS]


def pytest_unconfigure(config: pytest.Config) -> None:
    if cluster := config.stash.get(_STACK, None):
        cluster.stop()


def measured(config: pytest.Config, figure: str) -> None:
    """Something to print at the end of a run without workers, where no single test measured it."""
    config.stash[_FIGURES].append(figure)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    if node.config.getoption(REAL):
        node.workerinput["real_stack"] = stack_of(node.config)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """The run prints what a worker left out."""
    if left_out := getattr(node, "workeroutput", {}).get("left_out", 0):
        node.config.stash[_LEFT_OUT] = left_out


def stack_of(config: pytest.Config) -> dict[str, object]:
    """Where the stack of this run is: url, folder, ports and process ids by program, and the version of Argo CD that was asked for."""
    if worker := getattr(config, "workerinput", None):
        return dict(worker["real_stack"])
    cluster = _started(config)
    facts = {"ports": cluster.ports, "pids": cluster.pids, "etcd": cluster.ports["etcd"]}
    return {"url": cluster.url, "folder": str(cluster.folder), "argocd": config.getoption("--argocd"), **facts}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    if report.when == "call" or report.outcome != "passed":
        report.user_properties.append(("world", _world_of(item)))
    return report


def _world_of(item: pytest.Item) -> str:
    call = getattr(item, "callspec", None)
    return str(call.params.get("world", "")) if call else ""


class _Counting:
    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            test = report.nodeid.rpartition("::")[2]
            self.config.stash[_FIGURES] += [f"{test}: {said}" for name, said in report.user_properties if name == "measured"]
        world = dict(report.user_properties).get("world")
        if world in WORLDS:
            word = "xfailed or xpassed" if hasattr(report, "wasxfail") else report.outcome
            self.config.stash[_COUNTS][str(world)][word] += 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that only the real stack, or a real forge, can pass are no tests of a run that has none, and long ones are asked for by name."""
    absent = [marker for marker, option in NEEDS.items() if not config.getoption(option)]
    left_out = [item for item in items if any(item.get_closest_marker(marker) for marker in absent)]
    if left_out:
        large = [item for item in left_out if config.getoption(REAL) and item.get_closest_marker("large")]
        config.stash[_LEFT_OUT] = getattr(config, "workeroutput", {})["left_out"] = len(large)
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "real: needs the real stack; left out where it was not asked for (--real)")
    config.addinivalue_line("markers", "gitea: needs a real forge; left out where it was not asked for (--gitea)")
    config.addinivalue_line("markers", "large: takes minutes on the real stack; left out, and listed as such, without --large")
    config.stash[_PROGRAMS] = build.binaries(config.getoption("--argocd"))
    if config.getoption(REAL) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Counting(config), "contract-counts")


def _unequal(config: pytest.Config) -> bool:
    counts = config.stash[_COUNTS]
    only_passed = all(set(counts[world]) <= {"passed"} for world in WORLDS)
    return not only_passed or counts["sandbox"] != counts["real"]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _COUNTS in session.config.stash and session.exitstatus == pytest.ExitCode.OK and _unequal(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.getoption(GITEA):
        terminalreporter.write_line("real forge: not asked for; its tests were not run (just real-stack --with-gitea, then just e2e)")
    if _COUNTS not in config.stash:
        terminalreporter.write_line("real stack: not asked for; its half of the contract tests was not run (just real-stack, then just e2e)")
        return
    counts, cluster = config.stash[_COUNTS], config.stash.get(_STACK, None)
    said = "; ".join(f"{world} " + (", ".join(f"{n} {word}" for word, n in sorted(counts[world].items())) or "none") for world in WORLDS)
    started = f" (real stack up after {cluster.seconds} s)" if cluster else ""
    terminalreporter.write_line(f"contract tests: {said}{started}", red=_unequal(config), green=not _unequal(config))
    for figure in config.stash[_FIGURES]:
        terminalreporter.write_line(f"measured: {figure}")
    if left_out := config.stash.get(_LEFT_OUT, 0):
        terminalreporter.write_line(f"{left_out} large test{'s' if left_out > 1 else ''} not run: asked for with {LARGE}", yellow=True)
