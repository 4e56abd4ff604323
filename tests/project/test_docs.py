"""The documentation matches the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from promote.cli.main import parser
from promote.config.reference import reference
from promote.core.model import End
from promote.sandbox.scenarios import SCENARIOS

ROOT = Path(__file__).resolve().parents[2]


def test_the_settings_page_is_made_from_the_settings() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == reference(), "python -m promote.config.reference > docs/settings.md"


@pytest.mark.parametrize("end", End)
def test_every_end_is_documented_with_its_exit_code(end: End) -> None:
    assert re.search(rf"\| {end.exit_code} \| `{end.value}` \|", (ROOT / "docs" / "endings.md").read_text())


def test_every_command_is_documented() -> None:
    (verbs,) = (a.choices for a in parser()._actions if a.dest == "command")
    text = (ROOT / "docs" / "commands.md").read_text()
    assert [v for v in verbs or () if f"promote {v}" not in text] == []


def test_every_scenario_is_documented_with_its_end() -> None:
    text = (ROOT / "docs" / "endings.md").read_text()
    assert [n for n, s in SCENARIOS.items() if f"| `{n}` | {s.what} | {s.outcome} |" not in text] == []


def test_links_in_the_readme_resolve() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_ci_runs_the_very_line_that_the_readme_names() -> None:
    (line,) = re.findall(r"^    (python3 -m venv .*/just test)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert line == "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/just test"
    assert f"({line})" in (ROOT / ".ci" / "run").read_text()


def test_every_install_of_this_tree_is_editable() -> None:
    """An installed copy would go on running the code of before an edit."""
    pages = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / ".ci").iterdir(),
        *(ROOT / ".github").rglob("*.y*ml"),
    ]
    installs = [line for page in pages if page.exists() for line in page.read_text().splitlines() if ".[test]" in line]
    assert len(installs) >= 5
    assert [line for line in installs if "-e '.[test]'" not in line] == []


def test_every_test_against_a_real_forge_has_its_line_and_every_line_its_test() -> None:
    files = [ROOT / "tests" / "realstack" / name for name in ("test_gitea.py", "test_gitea_promotions.py")]
    there = {name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)}
    assert set(re.findall(r"`(test_(?!gitea)\w+)`", (ROOT / "docs" / "forge.md").read_text())) == there
