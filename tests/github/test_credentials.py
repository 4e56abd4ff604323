"""Where the forge's token comes from: real small programs stand for `gh` and for a credential helper. No prompt appears, no token is on a command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from promote.git.push import Pushed, RefUpdate
from promote.git.remote import GitRemote
from tests.promotion.test_resume import until
from tests.robustness.harness import TOKEN, remote
from tests.support.repos import git

SAY = "import sys; from pathlib import Path; from promote.connect import forge_token; from promote.config.schema import Settings;"
ASK = SAY + "print(forge_token(Settings(root=Path('.'))))"


class Machine:
    """An environment with nothing of ours, and the programs that a test puts on its PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.config = folder, folder / "gitconfig"
        (folder / "bin").mkdir()
        self.config.write_text("")
        self.env = {
            "PATH": f"{folder / 'bin'}:{os.defpath}:/usr/local/bin",
            "HOME": str(folder),
            "GIT_CONFIG_GLOBAL": str(self.config),
            "GIT_CONFIG_NOSYSTEM": "1",
        }

    def gh(self, script: str) -> None:
        self._program("gh", script)

    def helper(self, script: str) -> None:
        self._program("helper", script)
        self.config.write_text(f"[credential]\n\thelper = {self.folder / 'bin' / 'helper'}\n")

    def _program(self, name: str, script: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def ask(self, code: str = ASK, **env: str) -> tuple[str, str]:
        done = subprocess.run(
            [sys.executable, "-c", code], env=self.env | env, cwd=self.folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        return done.stdout.strip(), done.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_environment_comes_first(machine: Machine) -> None:
    machine.gh("echo of-gh")
    assert machine.ask(GITHUB_TOKEN="of-the-environment")[0] == "of-the-environment"
    assert machine.ask(GH_TOKEN="of-the-other-one")[0] == "of-the-other-one"


def test_then_a_file(machine: Machine, tmp_path: Path) -> None:
    machine.gh("echo of-gh")
    (tmp_path / "token").write_text("of-a-file\n")
    assert machine.ask(GITHUB_TOKEN_FILE=str(tmp_path / "token"))[0] == "of-a-file"
    assert "cannot be read" in machine.ask(GITHUB_TOKEN_FILE=str(tmp_path / "absent"))[1]
    (tmp_path / "token").write_text("\n")
    assert "is empty" in machine.ask(GITHUB_TOKEN_FILE=str(tmp_path / "token"))[1]


def test_then_gh_for_the_forge_that_is_configured(machine: Machine) -> None:
    machine.gh('[ "$*" = "auth token --hostname github.com" ] && echo of-gh')
    machine.helper('[ "$1" = get ] && echo username=x && echo password=of-git')
    assert machine.ask()[0] == "of-gh"


def test_then_gits_own_helpers(machine: Machine) -> None:
    machine.gh("echo 'no oauth token found' >&2; exit 1")
    machine.helper('[ "$1" = get ] && grep -q host=github.com && echo username=x && echo password=of-git')
    assert machine.ask()[0] == "of-git"


def test_a_gh_without_output_is_skipped(machine: Machine) -> None:
    machine.gh("exit 0")
    machine.helper('[ "$1" = get ] && echo username=x && echo password=of-git')
    assert machine.ask()[0] == "of-git"


def test_without_a_token_every_source_is_named_and_no_prompt_appears(machine: Machine) -> None:
    said = machine.ask()[1]
    for way in ("no GitHub token in the environment", "gh auth token", "GITHUB_TOKEN_FILE", "git's credential helpers", "github.com"):
        assert way in said


def test_one_that_hangs_is_ended_with_what_it_started(machine: Machine, tmp_path: Path) -> None:
    machine.gh(f"echo $$ > {tmp_path / 'pid'}; sleep 600 & wait")
    short = "import promote.github.credentials as c; c.PROGRAM_S = 1.0;" + ASK
    assert "no GitHub token" in machine.ask(short)[1]
    group = (tmp_path / "pid").read_text().strip()
    until(lambda: subprocess.run(["pgrep", "-g", group, "-r", "R,S,D"], capture_output=True, check=False).stdout == b"", 10)


def test_one_that_leaves_a_daemon_with_its_output_has_answered(machine: Machine, tmp_path: Path) -> None:
    machine.gh(f"setsid sh -c 'echo $$ > {tmp_path / 'pid'}; exec sleep 600' & echo of-gh")
    short = "import promote.github.credentials as c; c.PROGRAM_S = 1.0;" + ASK
    try:
        assert machine.ask(short)[0] == "of-gh"
    finally:
        if (tmp_path / "pid").exists():
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_a_token_is_found_once_passed_to_children_and_masked(machine: Machine, tmp_path: Path) -> None:
    machine.gh(f"echo asked >> {tmp_path / 'asked'}; echo of-gh-and-secret")
    code = ASK + (
        "; import os, subprocess; from promote.core.redact import Redactor; forge_token(Settings(root=Path('.')));"
        "print(Redactor().text('x of-gh-and-secret y'));"
        "subprocess.run([sys.executable, '-c', 'import os; print(os.environ[\"GITHUB_TOKEN\"])'])"
    )
    out, _ = machine.ask(code)
    assert sorted(out.splitlines()) == sorted(["of-gh-and-secret", "x *** y", "of-gh-and-secret"])
    assert (tmp_path / "asked").read_text().splitlines() == ["asked"]


def test_a_password_in_the_remotes_url_serves_without_being_on_a_command_line(tmp_path: Path) -> None:
    """As git itself would use it, and also percent-encoded; the wrong one is refused."""
    with remote(tmp_path, clones=1, versions=1) as there:
        (end,) = there.clones
        url = git(end.root, "remote", "get-url", "origin")
        assert f":{TOKEN}@" in url
        trace = tmp_path / "trace"
        os.environ["GIT_TRACE"] = str(trace)
        try:
            assert _push(end, "refs/tags/one") is Pushed.DONE
        finally:
            del os.environ["GIT_TRACE"]
        assert TOKEN not in trace.read_text() and "remote-http" in trace.read_text()
        encoded = "".join(f"%{ord(c):02x}" for c in TOKEN)
        git(end.root, "remote", "set-url", "origin", url.replace(TOKEN, encoded))
        assert _push(end, "refs/tags/two") is Pushed.DONE
        git(end.root, "remote", "set-url", "origin", url.replace(TOKEN, "wrong"))
        assert _push(end, "refs/tags/three") is Pushed.DENIED


def _push(end: GitRemote, ref: str) -> Pushed:
    here = GitRemote(end.root, "origin")  # reads the remote's URL again
    return here.push(RefUpdate(ref=ref, new=here.head(), expected="")).outcome
