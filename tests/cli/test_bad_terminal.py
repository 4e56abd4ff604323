"""Terminals that are narrow, old, without UTF-8, without colour, or not there at all. Every test has its line in docs/bad-surroundings.md."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.outside import BIN, Outside, outside

ESCAPE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")
# A healthy production is not needed here, a quick answer is: the one application that is never ready fails at once.
QUICK = [('degraded_grace = "3s"', 'degraded_grace = "0s"')]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    with outside(tmp_path_factory.mktemp("terminal"), settings=QUICK) as world:
        yield world


@pytest.fixture
def clone(world: Outside) -> Path:
    return world.clone()


def on_terminal(world: Outside, where: Path, *args: str, columns: int, env: dict[str, str]) -> tuple[int, str]:
    """Type it on a terminal of this width; (exit code, everything the terminal was sent)."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    child = subprocess.Popen(
        [str(BIN / "promote"), *args], cwd=where, env={**world.sandbox.env, "LANG": "C.UTF-8", **env},
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    seen, end = b"", time.monotonic() + 90
    while time.monotonic() < end:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                seen += os.read(ours, 65536)
            except OSError:  # the last one who held the other end is gone
                break
        elif child.poll() is not None:
            break
    os.close(ours)
    code = child.wait(10)
    return code, seen.decode(errors="replace")


@pytest.mark.parametrize("columns", [40, 15])
def test_narrow(world: Outside, clone: Path, columns: int) -> None:
    """What moves stays within the width; what stands, a command to copy among it, is never cut."""
    (clone / "README.md").write_text("changed\n")
    code, seen = on_terminal(world, clone, "run", "v1.8.0", columns=columns, env={"TERM": "xterm-256color"})
    assert code == 1
    plain = ESCAPE.sub("", seen)
    moving = [line for line in re.split(r"[\r\n]+", plain) if "  … " in line]
    assert moving, "the live view was on"
    assert [line for line in moving if len(line) >= columns] == []
    assert "git stash --include-untracked, or commit and push them" in plain


def test_no_color(world: Outside, clone: Path) -> None:
    (clone / "README.md").write_text("changed\n")
    _, coloured = on_terminal(world, clone, "run", "v1.8.0", columns=80, env={"TERM": "xterm-256color"})
    _, plain = on_terminal(world, clone, "run", "v1.8.0", columns=80, env={"TERM": "xterm-256color", "NO_COLOR": "1"})

    def colours(text: str) -> list[str]:
        numbers = [n for codes, letter in ESCAPE.findall(text) if letter == "m" for n in codes.split(";") if n]
        return [n for n in numbers if 30 <= int(n) <= 49 or 90 <= int(n) <= 107]

    assert colours(coloured)
    assert colours(plain) == []


@pytest.mark.parametrize("term", ["dumb", "", "teletype-of-1962"], ids=["dumb", "empty", "unknown"])
def test_unknown_terminals(world: Outside, clone: Path, term: str) -> None:
    (clone / "README.md").write_text("changed\n")
    code, seen = on_terminal(world, clone, "run", "v1.8.0", columns=80, env={"TERM": term})
    assert code == 1
    assert "nothing was moved" in ESCAPE.sub("", seen)
    if term == "dumb":
        assert "\x1b" not in seen


ASCII = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "c-locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
}


@pytest.mark.parametrize("env", ASCII.values(), ids=list(ASCII))
def test_without_utf8(world: Outside, clone: Path, env: dict[str, str]) -> None:
    told = world.promote(clone, "status", env=env)
    assert told.code == 1, told  # production is not all well in this world
    assert "prod-stable -> " in told.out
    assert told.out.isascii()
    refused = world.refused(clone, "run", "v１.0.0", code=2, says=["is not a semver version"], env=env)
    assert refused.err.isascii()


def test_a_promotion_without_utf8(world: Outside, clone: Path) -> None:
    (clone / "é.txt").write_text("new\n")
    told = world.stopped(clone, "run", "v1.8.0", code=1, says=["x clean-tree", "1 path changed or untracked"], env=ASCII["c-locale"])
    assert told.out.isascii()


def test_a_pipe_without_a_terminal(world: Outside, clone: Path) -> None:
    (clone / "README.md").write_text("changed\n")
    told = world.stopped(clone, "run", "v1.8.0", code=1, says=["README.md"], env={"TERM": "xterm", "FORCE_COLOR": "1"})
    assert "\x1b" not in told.out + told.err


def test_status_into_a_pipe_that_is_closed_early(world: Outside, clone: Path) -> None:
    told = world.promote(clone, shell="promote status | head -1")
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith("stable ") and told.out.count("\n") == 1


def closed_early(world: Outside, clone: Path, *args: str) -> tuple[int, str]:
    """The reader is gone before the first byte."""
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        [str(BIN / "promote"), *args], cwd=clone, env=world.sandbox.env, stdout=theirs, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(theirs)
    return done.returncode, done.stderr


def test_a_closed_pipe_ends_status_as_sigpipe_would(world: Outside, clone: Path) -> None:
    assert closed_early(world, clone, "status") == (141, "")


def test_a_closed_pipe_and_the_help(world: Outside, clone: Path) -> None:
    assert closed_early(world, clone, "--help") == (141, "")


def test_a_closed_pipe_does_not_stop_a_promotion(world: Outside, clone: Path) -> None:
    """Its end is decided by the checks, not by who is listening."""
    (clone / "README.md").write_text("changed\n")
    refs = world.refs()
    assert closed_early(world, clone, "run", "v1.8.0") == (1, "")
    assert world.refs() == refs


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("args", ["status", "status --json", "--help"], ids=["status", "json", "help"])
def test_stdout_on_a_full_disk(world: Outside, clone: Path, args: str) -> None:
    told = world.promote(clone, shell=f"promote {args} > /dev/full")
    assert told.code == 5, told
    assert "stdout" in told.err and "No space left on device" in told.err
    assert told.err.count("promote: ") == told.err.count("  do: ") == 1


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "0<&- 1>&- 2>&-"], ids=["stdout", "stderr", "all"])
def test_streams_that_are_closed(world: Outside, clone: Path, closed: str) -> None:
    refs = world.refs()
    told = world.promote(clone, shell=f"promote run v1.2.3+b7 {closed}")
    assert told.code == 2, told
    assert told.out == "", "what belongs on stderr does not turn up on stdout"
    (clone / "README.md").write_text("changed\n")
    assert world.promote(clone, shell=f"promote run v1.8.0 {closed}").code == 1
    assert world.refs() == refs


def test_json_is_one_document_whatever_the_terminal(world: Outside, clone: Path) -> None:
    told = world.promote(clone, "status", "--json", env={**ASCII["c-locale"], "TERM": "dumb"})
    assert json.loads(told.out)["production"] == "failed"
    assert told.err == ""


def test_a_commit_cannot_move_the_cursor(world: Outside, clone: Path) -> None:
    """Subjects of commits are other people's text."""
    world.sandbox.writer.tag("prod-stable", (old := world.sandbox.writer.holds("refs/tags/prod-stable^{commit}")))
    evil = world.sandbox.writer.git("commit-tree", f"{old}^{{tree}}", "-p", old, "-m", "fix: \x1b]0;owned\x07\x1b[2Jnothing to see")
    before = world.refs()
    try:
        world.sandbox.writer.git("update-ref", "refs/heads/main", evil)
        world.git(clone, "fetch", "-q", "origin", "main")
        world.git(clone, "reset", "-q", "--hard", "FETCH_HEAD")
        told = world.promote(clone, "tag-dev", "v1.8.0")
        assert "nothing to see" in told.out
        assert "\x1b" not in told.out
    finally:
        world.sandbox.writer.git("update-ref", "refs/heads/main", before["refs/heads/main"])
        world.sandbox.writer.git("update-ref", "-d", "refs/tags/dev-v1.8.0")
