"""The `promote` that child processes of a test import: it has to be the one of this tree, or an edit is tested against an older copy."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INSTALL = "pip install -e '.[test]'"


def imported_by(python: Path) -> Path | None:
    """The package folder that `python`, started in an empty folder, imports as `promote`; None when it finds none."""
    with tempfile.TemporaryDirectory() as folder:
        argv = [str(python), "-c", "import promote; print(promote.__file__)"]
        child = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    return Path(child.stdout.strip()).resolve().parent if child.returncode == 0 else None


def require_this_tree(python: Path | None = None) -> None:
    """Raise pytest.UsageError unless child processes of `python` (default: this interpreter) import `promote` from this tree."""
    python = python or Path(sys.executable)
    found = imported_by(python)
    if found != ROOT / "promote":
        instead = f"import promote from {found}" if found else "find no promote"
        raise pytest.UsageError(
            f"child processes of the tests {instead}, not from {ROOT / 'promote'}: they would not run the code of this tree\n"
            f"do   cd {ROOT} && {python.parent / INSTALL}"
        )
