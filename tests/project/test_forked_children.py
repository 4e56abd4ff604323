"""The forked children of the tests (tests/support/forked.py) find what a new interpreter finds."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.forked import run_forked, run_module

SEEN = """
import json, os, subprocess, sys
own = {name: value for name, value in os.environ.items() if name.startswith("TEST_")}
print(__name__, os.getcwd(), sys.argv[1:], own, sys.path[0], sys.dont_write_bytecode, repr(sys.stdin.read()), flush=True)
subprocess.run(["sh", "-c", 'echo "$TEST_A"; echo "$PWD" >&2'], check=True)
sys.exit(3)
"""


def test_they_have_the_folder_environment_arguments_and_exit_code_that_they_were_given(tmp_path: Path) -> None:
    (tmp_path / "seen.py").write_text(SEEN)
    env = {"PATH": os.environ["PATH"], "TEST_A": "a", "PYTHONDONTWRITEBYTECODE": "1"}
    new, forked = (run("seen", ["-x", "y z"], cwd=tmp_path, env=env) for run in (run_module, run_forked))
    assert (forked.returncode, forked.stdout) == (new.returncode, new.stdout + new.stderr)
    assert forked.returncode == 3 and "{'TEST_A': 'a'}" in forked.stdout


def test_one_child_leaves_nothing_for_the_next(tmp_path: Path) -> None:
    (tmp_path / "first.py").write_text("import os, promote.connect\nos.environ['TEST_B'] = promote.connect.TOKEN_FILE = 'changed'\n")
    (tmp_path / "second.py").write_text("import os, promote.connect\nprint(os.environ.get('TEST_B'), promote.connect.TOKEN_FILE)\n")
    env = {"PATH": os.environ["PATH"]}
    assert run_forked("first", [], cwd=tmp_path, env=env).returncode == 0
    assert run_forked("second", [], cwd=tmp_path, env=env).stdout == "None GITHUB_TOKEN_FILE\n"


def test_an_error_in_one_is_shown_and_ends_it_with_1(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('no way')\n")
    done = run_forked("broken", [], cwd=tmp_path, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 1 and "RuntimeError: no way" in done.stdout
