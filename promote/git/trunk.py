"""The trunk of a remote repository: its default branch, and the files of a commit beside those of this work tree, byte for byte."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from promote.core.errors import PromoteError, ServiceError, os_error_message
from promote.git.errors import mask
from promote.git.remote import GitRemote

FILES, LINK = ("100644", "100755", "100664"), "120000"
# Written by tools beside the files they read. Neither Python nor pytest reads a check from them.
CACHES = frozenset({"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".DS_Store"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A path of a commit's tree. `mode` is git's: 100644 and 100755 are files, 120000 a symbolic link, 040000 a folder, 160000 a submodule."""

    mode: str
    oid: str
    path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Differences:
    """Paths of the work tree that differ from a commit: with other contents, only here, only in the commit."""

    changed: tuple[str, ...]
    added: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def paths(self) -> list[str]:
        """All of them, sorted."""
        return sorted((*self.changed, *self.added, *self.missing))


@cache
def default_branch(git: GitRemote) -> str:
    """The branch that the remote's HEAD names; "" when the remote does not say. Read once. Raises ServiceError."""
    done = git.git("ls-remote", "--quiet", "--symref", git.remote, "HEAD")
    if done.code:
        raise ServiceError(f"git remote {git.remote}", f"HEAD cannot be read: {mask(' '.join(done.err.split()))[-256:]}", hint="try git ls-remote")
    lines = [line.split("\t") for line in done.out.split("\n") if line.startswith("ref: refs/heads/")]
    return next((line[0].removeprefix("ref: refs/heads/") for line in lines if line[1:] == ["HEAD"]), "")


def entries(git: GitRemote, commit: str, *paths: str) -> list[Entry]:
    """What a commit has at and below these paths, which are relative to the clone's settings; folders included."""
    done = git.git("ls-tree", "-r", "-t", "-z", commit, "--", *paths)
    if done.code:
        raise ServiceError("git", f"`git ls-tree` failed: {mask(' '.join(done.err.split()))[-256:]}", hint="git fetch")
    found = []
    for record in done.raw.split(b"\0"):
        head, _, path = record.partition(b"\t")
        if record:
            mode, _, oid = head.decode().split(" ")
            found.append(Entry(mode=mode, oid=oid, path=os.fsdecode(path)))
    return found


def differences(root: Path, there: Sequence[Entry], folders: Sequence[str], files: Sequence[str], *, besides: Sequence[str] = ()) -> Differences:
    """How the work tree at `root` differs from the entries of a commit, in these folders and single files.

    The bytes on disk are hashed here: git's index and its flags, its ignore rules, its filters and attributes decide nothing. No symbolic link is
    followed. `besides`: paths that do not count. Raises PromoteError when a file cannot be read.
    """
    wanted = {e.path: e for e in there if e.mode != "040000" and CACHES.isdisjoint(e.path.split("/"))}
    here = {path for path in files if os.path.lexists(root / path)}
    for folder in folders:
        here.update(path for path in _walk(root, folder) if path not in besides and not any(path.startswith(f"{b}/") for b in besides))
    changed = [path for path, entry in wanted.items() if path in here and not _same(root / path, entry)]
    return Differences(changed=tuple(sorted(changed)), added=tuple(sorted(here - {*wanted})), missing=tuple(sorted({*wanted} - here)))


def _walk(root: Path, folder: str) -> Iterator[str]:
    """Everything but folders, at and below `folder`. A symbolic link is one entry, wherever it leads."""
    parts = [part for part in folder.split("/") if part != "."]
    for depth in range(1, len(parts) + 1):
        above = "/".join(parts[:depth])
        if not os.path.lexists(root / above):
            return
        if (root / above).is_symlink() or not (root / above).is_dir():
            yield above
            return
    yield from _below(root, "/".join(parts))


def _below(root: Path, folder: str) -> Iterator[str]:
    try:
        found = sorted(os.scandir(root / folder), key=lambda e: e.name)
    except OSError as error:
        raise PromoteError(f"{folder}: {os_error_message(error)}", hint="make it readable") from error
    for entry in found:
        path = f"{folder}/{entry.name}" if folder else entry.name
        if entry.name in CACHES or path == ".git":
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _below(root, path)
        else:
            yield path


def _same(path: Path, entry: Entry) -> bool:
    try:
        kind = path.lstat().st_mode
        if stat.S_ISLNK(kind):
            return entry.mode == LINK and blob_id(os.fsencode(path.readlink()), entry.oid) == entry.oid
        return stat.S_ISREG(kind) and entry.mode in FILES and blob_id(path.read_bytes(), entry.oid) == entry.oid
    except OSError as error:
        raise PromoteError(os_error_message(error), hint="make it readable") from error


def blob_id(content: bytes, like: str) -> str:
    """The id that git gives a file with these bytes, by the hash function of the id `like`."""
    digest = hashlib.sha256 if len(like) == 64 else hashlib.sha1
    return digest(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
