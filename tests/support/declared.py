"""Tests declare what they show about an entry of a registry, and a declaration that does not come true fails its test.

`@proves("check", "trunk", "failed")` (or `pytest.param(…, marks=proves(…))`) declares a fact. The helpers that run the program call `saw` with every
fact they observe. When a test has passed, each fact that it declares must be among those observed while it ran. `declarations` collects
the declared facts of all tests without running them, so that a test over a registry can ask for entries that no test shows.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
Fact = tuple[str, ...]
_OUTPUT = "PROMOTE_DECLARATIONS"
_seen: set[Fact] = set()


def proves(*fact: str) -> pytest.MarkDecorator:
    """Declare a fact: a kind of registry, the entry's name, and the fact shown about it."""
    return pytest.mark.proves(*fact)


def proves_verdicts(checks: Mapping[str, str]) -> list[pytest.MarkDecorator]:
    """Declare a verdict for each of several checks, by id."""
    return [proves("check", base_id(check), verdict) for check, verdict in checks.items()]


def base_id(check: str) -> str:
    """`promql[restarts]` and `promql[scraped]` are entries of one registered check, `promql`."""
    return check.partition("[")[0]


def saw(*fact: str) -> None:
    """Record an observed fact; called by the helpers that run the program, never by a test."""
    _seen.add(fact)


def saw_verdicts(checks: Iterable[tuple[str, str]]) -> None:
    """Record the verdict of each check, given as (id, verdict)."""
    for check, verdict in checks:
        saw("check", base_id(check), str(verdict))


def declarations(tests: Path = ROOT / "tests") -> frozenset[Fact]:
    """Every declared fact of the tests below `tests`. Tests that are skipped or expected to fail declare nothing."""
    files = [str(path) for path in sorted(tests.rglob("test_*.py")) if re.search("proves|proofs", path.read_text())]
    argv = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    output = Path(os.environ["HOME"]) / "declarations.json"
    done = subprocess.run(argv, cwd=ROOT, env={**os.environ, _OUTPUT: str(output)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    return frozenset(tuple(fact) for fact in json.loads(output.read_text()))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "proves(kind, name, what): the test shows this of a registry's entry (tests/support/declared.py)")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Write the declared facts where `declarations` asked for them."""
    if output := os.environ.get(_OUTPUT):
        counted = [item for item in session.items if not any(mark.name in ("skip", "xfail") for mark in item.iter_markers())]
        Path(output).write_text(json.dumps(sorted({mark.args for item in counted for mark in item.iter_markers("proves")})))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Fail a test that passed without showing what it declares."""
    _seen.clear()
    result = yield
    declared = {mark.args for mark in pyfuncitem.iter_markers("proves")}
    assert declared <= _seen, f"declared, but not observed in this test: {sorted(declared - _seen)}"
    return result
