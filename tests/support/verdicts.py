"""One check of this repository called directly, and its verdict by the rules of a real run: no child pytest, and only the fixtures it needs."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FunctionType

import pytest

from promote.checklist.outcome import phase_verdict
from promote.core.model import Verdict
from tests.support.declared import saw_verdicts

ROOT = Path(__file__).resolve().parents[2]


@cache
def shipped_checks() -> dict[str, Callable[..., None]]:
    """Every check function under checks/ by the id of its `check` marker."""
    found: dict[str, Callable[..., None]] = {}
    for path in sorted((ROOT / "checks").rglob("test_*.py")):
        spec = importlib.util.spec_from_file_location(f"shipped_{path.parent.name}_{path.stem}", path)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        functions = [value for value in vars(module).values() if isinstance(value, FunctionType)]
        found |= {mark.args[0]: function for function in functions for mark in getattr(function, "pytestmark", ()) if mark.name == "check"}
    return found


def verdict_of(check: str, **fixtures: object) -> tuple[Verdict, str]:
    """Call the check with these fixtures; its verdict and the text that explains it. `evidence` is added where the check asks for it."""
    function = shipped_checks()[check]
    wanted = function.__code__.co_varnames[: function.__code__.co_argcount]
    given = {"evidence": lambda name, value: None, **fixtures}
    call = pytest.CallInfo.from_call(lambda: function(**{name: given[name] for name in wanted}), "call")
    report = pytest.TestReport(
        nodeid=check, location=("", 0, check), keywords={}, outcome="failed" if call.excinfo else "passed", longrepr=None, when="call"
    )
    verdict, detail = phase_verdict(report, call)
    saw_verdicts([(check, verdict)])
    return verdict, detail
