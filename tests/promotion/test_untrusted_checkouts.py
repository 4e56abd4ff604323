"""A checkout that was not reviewed: no promotion runs code from it, and no verdict comes from it. Driver processes in the embedded world."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from promote.cli.sandbox_session import repository_files
from promote.sandbox.sandbox import Sandbox
from tests.model.journal import problems

BIN = Path(sys.executable).parent
JUDGED = {"candidate", "trunk", "policy-unchanged"}
STABLE, LOCK = "refs/tags/prod-stable", "refs/promote/lock"


@dataclass
class Ci:
    """A machine that promotes from its own clone, and the mark that foreign code leaves when it runs."""

    sandbox: Sandbox
    clone: Path
    mark: Path

    @property
    def code(self) -> str:
        """Python that leaves the mark, with the variables that it could steal."""
        return f"import os\nopen({str(self.mark)!r}, 'a').write(' '.join(sorted(os.environ)) + '\\n')\n"

    def git(self, *args: str) -> str:
        done = subprocess.run(["git", *args], cwd=self.clone, env=self.sandbox.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def promote(self, *args: str, env: Mapping[str, str] | None = None) -> tuple[int, dict[str, Any], str]:
        argv = [str(BIN / "promote"), *args, "--json"]
        done = subprocess.run(
            argv, cwd=self.clone, env={**self.sandbox.env, **(env or {})}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, json.loads(done.stdout), done.stderr

    def checks_out(self, version: str, files: Mapping[str, str]) -> str:
        """Another user pushes a branch and a dev tag, and no more; this machine checks the tag out."""
        self.git("switch", "-q", "--detach", "origin/main")
        for path, text in files.items():
            (self.clone / path).parent.mkdir(parents=True, exist_ok=True)
            (self.clone / path).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "chore: not reviewed")
        self.git("push", "-q", "-f", "origin", "HEAD:refs/heads/evil")
        self.git("tag", "-a", f"dev-{version}", "-m", "x")
        self.git("push", "-q", "origin", f"refs/tags/dev-{version}")
        return self.git("rev-parse", "HEAD")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("world"), files=repository_files("git"), act=False, commands=[BIN]) as world:
        world.wait_settled()
        yield world


@pytest.fixture
def ci(sandbox: Sandbox, tmp_path: Path) -> Iterator[Ci]:
    it = Ci(sandbox, sandbox.clone(tmp_path / "ci"), tmp_path / "mark")
    yield it
    assert problems([it.clone]) == [], "every journal is a path of the model (tests/model)"


EMPTY = "import pytest\n\n@pytest.mark.check('trunk')\ndef test_trunk(): pass\n\n@pytest.mark.check('policy-unchanged')\ndef test_policy(): pass\n"
TAGS = {
    "v1.9.1": lambda ci: {"checks/conftest.py": ci.code},
    "v1.9.2": lambda ci: {"checks/pre/test_candidate.py": ci.code + EMPTY},
    "v1.9.3": lambda ci: {"promotion.toml": '[repository]\nbranch = "evil"\n' + (ci.clone / "promotion.toml").read_text(), "conftest.py": ci.code},
    "v1.9.4": lambda ci: {"docs/notes.md": "not reviewed\n"},
}


@pytest.mark.parametrize("version", TAGS)
def test_an_unmerged_commit_is_refused_from_its_own_tag(ci: Ci, version: str) -> None:
    before = ci.sandbox.writer.holds(STABLE)
    ci.checks_out(version, TAGS[version](ci))
    code, said, shown = ci.promote("run", version, "--tagged")
    assert (code, said["outcome"]) == (1, "refused"), shown
    assert not ci.mark.exists(), ci.mark.read_text()
    assert (ci.sandbox.writer.holds(STABLE), ci.sandbox.writer.holds(LOCK)) == (before, "")
    assert {c["id"] for c in said["checks"] if c["verdict"] == "failed"} >= {"trunk"}
    assert all("no code of the repository runs before" in c["detail"] for c in said["checks"] if c["id"] not in JUDGED), "no other check ran"
    code, said, shown = ci.promote("check", "pre", version)
    assert (code, ci.mark.exists()) == (1, False), shown
    assert all("no code of the repository runs before" in c["detail"] for c in said["checks"] if c["id"] not in JUDGED), "no other check ran"


def test_what_production_runs_is_not_proven_by_another_checkouts_rules(ci: Ci) -> None:
    ci.checks_out("v1.9.8", {"checks/conftest.py": ci.code})
    code, said, shown = ci.promote("run", "v1.7.4", "--tagged")
    assert (code, said["outcome"], ci.mark.exists()) == (1, "refused", False), shown
    assert "checks/conftest.py" in shown


def test_the_driver_runs_the_trunks_suites_in_any_checkout(ci: Ci, tmp_path: Path) -> None:
    """Neither what lies in the clone nor PYTHONPATH is imported, and the note names what differs here."""
    marked = f"import sys\nif 'pytest' in ' '.join(sys.orig_argv):\n    open({str(ci.mark)!r}, 'a').write('sitecustomize')\n"
    paths = {"checks/conftest.py": ci.code, "checks/smoke/test_urls.py": ci.code, "conftest.py": ci.code, "yaml.py": ci.code, "pytest.py": ci.code}
    for path, text in paths.items():
        (ci.clone / path).write_text(text)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/sitecustomize.py").write_text(marked)
    code, said, shown = ci.promote("check", "smoke", env={"PYTHONPATH": str(tmp_path / "mine")})
    assert (code, said["outcome"], ci.mark.exists()) == (0, "passed", False), shown
    assert "judged by the checks of main; here differ: checks/conftest.py, checks/smoke/test_urls.py, conftest.py" in shown
    assert list((ci.clone / ".git").glob("promote-suites-*")) == [], "the private folder is gone"
    ci.git("restore", ".")


def test_a_checkout_that_names_another_trunk_runs_no_suite(ci: Ci) -> None:
    text = (ci.clone / "promotion.toml").read_text()
    ci.checks_out("v1.9.9", {"promotion.toml": '[repository]\nbranch = "evil"\n' + text, "checks/conftest.py": ci.code})
    code, said, shown = ci.promote("check", "smoke")
    assert (code, said["outcome"], ci.mark.exists()) == (5, "errored", False), shown
    assert "the remote's default branch is main" in said["reason"]
