"""The installed `promote` as a child process in a shared world, judged by what can be seen of it: words, exit code, processes, refs, files."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from promote.cli.sandbox_session import repository_files
from promote.sandbox.sandbox import TOKEN, Sandbox

BIN = Path(sys.executable).parent
MARK = "TESTS_OUTSIDE_MARK"


@dataclass(frozen=True, kw_only=True)
class Told:
    """The output and the end of one command."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


@dataclass
class Outside:
    """A running sandbox, fresh clones of it, and commands typed there."""

    sandbox: Sandbox
    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def basic(self) -> str:
        """The headers of a client that may push."""
        return base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()

    def clone(self, name: str = "") -> Path:
        return self.sandbox.clone(self.folder / (name or uuid.uuid4().hex[:8]))

    def git(self, where: Path, *args: str, ok: bool = True) -> str:
        """The test's own git: a monitor that hangs is for promote to deal with, not for us."""
        argv, env = ["git", "-c", "core.fsmonitor=false", *args], {**self.sandbox.env, **self.env}
        done = subprocess.run(argv, cwd=where, env=env, capture_output=True, text=True, errors="replace", check=False)
        assert done.returncode == 0 or not ok, f"git {args}: {done.stderr}"
        return done.stdout.strip()

    def commit(self, where: Path, path: str = "README.md", text: str = "changed\n") -> str:
        (where / path).write_text(text)
        self.git(where, "add", path)
        self.git(where, "commit", "-qm", f"change {path}")
        return self.git(where, "rev-parse", "HEAD")

    def refs(self) -> dict[str, str]:
        """Every ref of the remote, read in its own folder."""
        lines = self.sandbox.writer.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return dict(line.split(" ") for line in lines)

    def promote(self, where: Path, *args: str, env: Mapping[str, str | None] | None = None, shell: str = "", timeout: float = 100) -> Told:
        """Type it, wait for its end, and see that no process of it is left and no traceback was shown. `shell`: a line for sh instead."""
        mark = uuid.uuid4().hex
        wanted: dict[str, str | None] = {**self.sandbox.env, **self.env, **(env or {}), MARK: mark}
        argv: Sequence[str] = ["sh", "-c", shell] if shell else [str(BIN / "promote"), *args]
        child = subprocess.Popen(
            argv, cwd=where, env={k: v for k, v in wanted.items() if v is not None},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        try:
            out, err = (part.decode(errors="replace") for part in child.communicate(timeout=timeout))
        finally:
            child.kill()
            child.wait()
        for text in (out, err):
            assert "Traceback" not in text and "Exception ignored" not in text and "this is a bug" not in text, text
        until_gone(mark)
        return Told(code=child.returncode, out=out, err=err)

    def refused(self, where: Path, *args: str, code: int, says: Sequence[str], **how: Any) -> Told:
        """It ends with this code and one message of what and what to do; nothing was changed, neither on the remote nor in the folder."""
        refs, files = self.refs(), fingerprint(where)
        told = self.promote(where, *args, **how)
        assert told.code == code, told
        lines = told.err.splitlines()
        assert lines and lines[0].startswith("promote: "), told.err
        assert sum(line.startswith("promote: ") for line in lines) == sum(line.startswith("  do: ") for line in lines) == 1, told.err
        assert told.out == "", told.out
        assert [part for part in says if part not in told.err] == [], told.err
        assert self.refs() == refs, "nothing was changed on the remote"
        assert fingerprint(where) == files, "nothing was changed here"
        return told

    def stopped(self, where: Path, *args: str, code: int, says: Sequence[str], **how: Any) -> Told:
        """The same for a promotion that began and ended before the move: its last lines have the reason and the next command."""
        refs, files = self.refs(), fingerprint(where)
        told = self.promote(where, *args, **how)
        assert told.code == code, told
        text = told.out + told.err
        assert [part for part in says if part not in " ".join(text.split())] == [], text
        assert text.count("nothing was moved") == 1, text
        assert self.refs() == refs, "nothing was changed on the remote, and no lock is left there"
        assert fingerprint(where) == files, "nothing was changed here"
        return told

    def refused_late(self, where: Path, *args: str, code: int, says: Sequence[str], **how: Any) -> Told:
        """Like `refused`, when a headline was shown before."""
        refs, files = self.refs(), fingerprint(where)
        told = self.promote(where, *args, **how)
        assert told.code == code, told
        assert told.err.count("promote: ") == told.err.count("  do: ") == 1, told.err
        assert [part for part in says if part not in told.err] == [], told.err
        assert self.refs() == refs
        assert fingerprint(where) == files
        return told

    def tags(self, where: Path, version: str, **how: Any) -> Told:
        """`promote tag-dev` works: exactly the dev tag is new on the remote, at HEAD of the clone. It is taken away again."""
        refs, files, name = self.refs(), fingerprint(where), f"refs/tags/dev-{version}"
        try:
            told = self.promote(where, "tag-dev", version, **how)
            assert (told.code, told.err) == (0, ""), told
            assert {k: v for k, v in self.refs().items() if k != name} == refs
            assert self.sandbox.writer.holds(f"{name}^{{commit}}") == self.git(where, "rev-parse", "HEAD")
            assert fingerprint(where) == files
        finally:
            if self.sandbox.writer.holds(name):
                self.sandbox.writer.git("update-ref", "-d", name)
        return told


def fingerprint(where: Path) -> dict[str, str]:
    """Every file of a folder outside .git, less what a promotion leaves there on purpose, and the refs that belong to the person."""
    found = {}
    for path in sorted(where.rglob("*")):
        parts = path.relative_to(where).parts
        if path.is_file() and not path.is_symlink() and parts[0] not in (".git", "reports") and "__pycache__" not in parts:
            found["/".join(parts)] = hashlib.sha256(path.read_bytes()).hexdigest()
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    for args in (["rev-parse", "HEAD"], ["symbolic-ref", "-q", "HEAD"], ["for-each-ref", "refs/heads", "refs/tags"], ["stash", "list"]):
        found[" ".join(args)] = subprocess.run(["git", *args], cwd=where, env=clean, capture_output=True, text=True, check=False).stdout
    return found


def alive(mark: str) -> list[str]:
    """What runs with this mark in its environment: also what left the session and the process group of the command."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return [line for line in found if line.strip()]  # an ended one without a waiting parent has no command line


def until_gone(mark: str, seconds: float = 5) -> None:
    """A process that was killed takes a moment to be gone; one that was forgotten stays."""
    end = time.monotonic() + seconds
    while left := alive(mark):
        assert time.monotonic() < end, f"children are left: {left}"
        time.sleep(0.02)


@contextmanager
def outside(folder: Path, *, via: str = "git", settings: Sequence[tuple[str, str]] = ()) -> Iterator[Outside]:
    """The world, settled. `settings`: replacements in promotion.toml, as (old, new)."""
    files = repository_files(via)
    for old, new in settings:
        assert old.encode() in files["promotion.toml"], old
        files["promotion.toml"] = files["promotion.toml"].replace(old.encode(), new.encode())
    with Sandbox(folder / "world", files=files, act=False, commands=[BIN]) as sandbox:
        yield Outside(sandbox, folder)


def without_git(folder: Path) -> str:
    """A PATH that leads to our commands and to no git."""
    folder.mkdir()
    for name in ("promote", "python", "python3"):
        (folder / name).symlink_to(BIN / name)
    assert shutil.which("git", path=str(folder)) is None
    return str(folder)
