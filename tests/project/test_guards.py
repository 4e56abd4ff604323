"""The table of guards fits the tree: every text is in its file, every test it names exists."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.robustness.guard import Guard
from tests.robustness.guards import GUARDS, ROOT

_LEAST = 182
_RANDOM = re.compile(r"\b(R1|R2|R5)\b")  # chance decides whether these proofs meet the moment


@pytest.fixture(scope="session")
def collected() -> list[str]:
    """The ids of all tests in the files that the table names, collected once."""
    files = sorted({test.partition("::")[0] for guard in GUARDS for test in guard.tests.split()})
    argv = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-1000:]
    return [line for line in done.stdout.splitlines() if "::" in line]


def selects(guard: Guard, test: str) -> bool:
    """Whether the guard's files, tests and -k words choose this test: the words by pytest's rules, in file, class, name and parameters."""
    if not any(test == chosen or test.startswith((f"{chosen}::", f"{chosen}[")) for chosen in guard.tests.split()):
        return False
    text = test.lower()
    words = re.sub(r"[^\s()]+", lambda m: m[0] if m[0] in ("and", "or", "not") else str(m[0].lower() in text), guard.words)
    return not words or bool(eval(words))  # of True, False, and, or, not and brackets


def test_every_guard_selects_a_test(collected: list[str]) -> None:
    assert [guard.name for guard in GUARDS if not any(selects(guard, test) for test in collected)] == []


def test_every_test_that_a_guard_names_exists(collected: list[str]) -> None:
    named = {test for guard in GUARDS for test in guard.tests.split()}
    assert {name for name in named if not any(test == name or test.startswith((f"{name}::", f"{name}[")) for test in collected)} == set()


def test_the_text_of_every_guard_occurs_once() -> None:
    assert {guard.name: n for guard in GUARDS if (n := (ROOT / guard.file).read_text().count(guard.before)) != 1} == {}


def test_no_guard_was_dropped_and_each_has_its_own_name() -> None:
    assert len({guard.name for guard in GUARDS}) == len(GUARDS) >= _LEAST
    page = (ROOT / "docs" / "reliability.md").read_text()
    assert f"| {len(GUARDS)} guards, " in page, f"write {len(GUARDS)} guards into docs/reliability.md: each was seen to be missed by its test"


def test_every_guard_has_a_test_that_does_not_depend_on_chance() -> None:
    short = "tests/robustness/test_short.py"
    assert [guard.name for guard in GUARDS if guard.tests.split() == [short] and _RANDOM.search(guard.words)] == []
