"""`pytest --real`: one real stack for the whole run, shared by its workers, and a verdict that leaves nothing out.

A world in which a contract test was skipped, expected to fail or not run at all is a failed run, and the counts of both worlds are told.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from promote.sandbox.real.cluster import RealCluster, RealStackError
from tests.realstack import build

REAL, GITEA = "--real", "--gitea"
NEEDS = {"real": REAL, "gitea": GITEA}  # marker → the option that asks for what such a test needs
WORLDS = ("sandbox", "real")
_STACK = pytest.StashKey[RealCluster]()
_COUNTS = pytest.StashKey[dict[str, Counter[str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(REAL, action="store_true", help="run the contract tests on the real stack too (just real-stack builds it)")
    versions = ", ".join(build.OTHERS)
    parser.addoption(
        "--argocd", choices=[*build.OTHERS], default="", help=f"another version of Argo CD in the real stack ({versions}; just real-stack --argocd)"
    )
    parser.addoption(GITEA, action="store_true", help="run the tests against a real forge (just real-stack --with-gitea builds it)")


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """The run's own process starts the stack; a worker is told where it is."""
    config = session.config
    if not config.getoption(REAL) or hasattr(config, "workerinput"):
        return
    config.stash[_COUNTS] = {world: Counter() for world in WORLDS}
    cluster = RealCluster("tests", build.binaries(config.getoption("--argocd")))
    try:
        cluster.start()
    except RealStackError as error:
        raise pytest.UsageError(f"the real stack was asked for: {error}") from error
    config.stash[_STACK] = cluster


def pytest_unconfigure(config: pytest.Config) -> None:
    if cluster := config.stash.get(_STACK, None):
        cluster.stop()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    if node.config.getoption(REAL):
        node.workerinput["real_stack"] = stack_of(node.config)


def stack_of(config: pytest.Config) -> dict[str, object]:
    """Where the stack of this run is: url, folder, etcd's port, and the folder of its programs."""
    if worker := getattr(config, "workerinput", None):
        return dict(worker["real_stack"])
    cluster = config.stash[_STACK]
    return {"url": cluster.url, "folder": str(cluster.folder), "etcd": cluster.ports["etcd"], "binaries": str(cluster.binaries)}


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
        world = dict(report.user_properties).get("world")
        if world in WORLDS:
            word = "xfailed or xpassed" if hasattr(report, "wasxfail") else report.outcome
            self.config.stash[_COUNTS][str(world)][word] += 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that only the real stack, or a real forge, can pass are no tests of a run that has none."""
    absent = [marker for marker, option in NEEDS.items() if not config.getoption(option)]
    left_out = [item for item in items if any(item.get_closest_marker(marker) for marker in absent)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "real: needs the real stack; left out where it was not asked for (--real)")
    config.addinivalue_line("markers", "gitea: needs a real forge; left out where it was not asked for (--gitea)")
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
