"""Every entry of the project's registries is shown by tests and described in the docs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from promote.checklist import registry
from promote.core.model import EXIT_CODES
from promote.sandbox.scenarios import SCENARIOS
from tests.support.declared import Fact, declarations
from tests.support.json_documents import described
from tests.support.verdicts import shipped_checks

ROOT = Path(__file__).resolve().parents[2]
CANNOT_BE_UNDETERMINED = {check.id: check.always_decided for check in registry.CHECKS if check.always_decided}
CHECKS = sorted({check.id for check in registry.CHECKS} | set(shipped_checks()))


def needed() -> Iterable[Fact]:
    """What tests have to show of each registered entry."""
    for check in CHECKS:
        yield ("check", check, "failed")
        if check not in CANNOT_BE_UNDETERMINED:
            yield ("check", check, "errored")
    for page in described():
        for key in page.keys:
            yield ("json", page.heading, key)
    for end, code in EXIT_CODES.items():
        yield ("ending", end.value, str(code))
    for name, scenario in SCENARIOS.items():
        yield ("scenario", name, scenario.outcome)


def test_every_entry_is_shown_by_the_tests_that_it_needs() -> None:
    """Missing here: write a test that shows the fact, and declare it with `proves` (tests/support/declared.py)."""
    assert sorted(set(needed()) - declarations()) == []


def sections(page: str) -> dict[str, str]:
    """The text under each ``### `name` `` heading of a page."""
    text = (ROOT / "docs" / page).read_text()
    return dict(re.findall(r"^### `([^`\n]+)`\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL))


def test_every_check_has_a_section_with_its_failing_and_its_undetermined_case() -> None:
    described = sections("checklist.md")
    assert sorted(set(described) ^ set(CHECKS)) == [], "a check without a section, or a section without a check"
    assert [check for check, text in described.items() if not re.search(r"\bFails (?:when|without)\b", text)] == []
    wanted = {check: CANNOT_BE_UNDETERMINED.get(check, "Undetermined") for check in CHECKS}
    assert [check for check, word in wanted.items() if word not in described[check]] == []
