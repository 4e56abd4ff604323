"""docs/bad-surroundings.md and the tests it speaks of are the same list."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "bad-surroundings.md"


def lines_of_the_page() -> list[tuple[str, str, list[str]]]:
    """(file, test, cells) of every line of a table; the file is named in the heading above it."""
    found, file = [], ""
    for line in PAGE.read_text().splitlines():
        if heading := re.match(r"## .*\(`(tests/\w+/\w+\.py)`\)$", line):
            file = heading[1]
        elif line.startswith("| ") and not line.startswith("| situation"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            found.append((file, cells[-1].strip("`"), cells))
    return found


def test_every_line_is_a_test_and_every_test_has_its_line() -> None:
    told = Counter(f"{file}::{test}" for file, test, _ in lines_of_the_page())
    files = sorted({file for file, _, _ in lines_of_the_page()})
    argv = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    collected = Counter(line for line in done.stdout.splitlines() if "::" in line)
    assert len(files) == 4
    assert sorted((told - collected).elements()) == [], "lines without a test, or twice"
    assert sorted((collected - told).elements()) == [], "tests without a line"


def test_every_line_has_all_four_parts() -> None:
    assert [cells for _, _, cells in lines_of_the_page() if len(cells) != 4 or not all(cells)] == []
