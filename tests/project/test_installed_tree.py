"""What the session check accepts: only an interpreter whose child processes import this very tree."""

from __future__ import annotations

import shutil
import venv
from pathlib import Path

import pytest

from tests.support.installed import ROOT, require_this_tree


def interpreter(folder: Path, *found: Path) -> Path:
    """A Python of its own that imports from these folders and from nothing else that is installed."""
    venv.create(folder / "python", symlinks=True)
    (site,) = (folder / "python").glob("lib/python*/site-packages")
    (site / "found.pth").write_text("".join(f"{path}\n" for path in found))
    return folder / "python" / "bin" / "python"


def test_this_interpreter_and_one_that_leads_to_this_tree_are_accepted(tmp_path: Path) -> None:
    require_this_tree()
    require_this_tree(interpreter(tmp_path, ROOT))


def test_an_installed_copy_is_refused_with_the_command_that_installs_this_tree(tmp_path: Path) -> None:
    copy = tmp_path / "site"
    (copy / "promote").mkdir(parents=True)
    shutil.copy(ROOT / "promote" / "__init__.py", copy / "promote")
    python = interpreter(tmp_path, copy)
    with pytest.raises(pytest.UsageError) as refused:
        require_this_tree(python)
    assert f"import promote from {copy / 'promote'}" in str(refused.value)
    assert str(refused.value).endswith(f"do   cd {ROOT} && {python.parent}/pip install -e '.[test]'")


def test_an_interpreter_without_promote_is_refused(tmp_path: Path) -> None:
    with pytest.raises(pytest.UsageError, match="find no promote"):
        require_this_tree(interpreter(tmp_path))
