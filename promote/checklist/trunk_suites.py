"""The suites as the trunk has them: their files are taken out of git's object database into a private folder, and run from there.

No file of the work tree is read for it: its index, filters, attributes and links decide nothing.
"""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from shutil import rmtree
from tempfile import mkdtemp
from threading import Lock
from typing import Any

from promote.checklist.protection import not_the_trunk, policy_folders
from promote.checklist.runner import run_suite
from promote.config.reader import parse_file, settings_from
from promote.config.schema import FILE_NAME, Settings
from promote.core.errors import NotFound, PromoteError, UsageError, os_error_message
from promote.core.model import SuiteResult, Verdict, short
from promote.git.objects import blobs
from promote.git.remote import GitRemote
from promote.git.trunk import LINK, Entry, entries

PREFIX = "promote-suites-"
LEFT_S = 86400.0  # a folder older than this belongs to a process that was killed


_taken: dict[tuple[Path, str], Settings] = {}
_one_at_a_time = Lock()  # the pre and the smoke suite start together


def suites_of_trunk(git: GitRemote, settings: Settings, commit: str) -> Settings:
    """The settings of the trunk's commit, which must be in this clone: `root` is the clone, `code` a private folder with the suites.

    Taken out once for a process; the folder is deleted at its end. `settings` are those of the work tree: they name the trunk, which the remote has
    to confirm. Raises PromoteError.
    """
    with _one_at_a_time:
        if (settings.root, commit) not in _taken:
            _taken[settings.root, commit] = _take(git, settings, commit)
        return _taken[settings.root, commit]


def _take(git: GitRemote, settings: Settings, commit: str) -> Settings:
    if wrong := not_the_trunk(git, settings.repository.branch):
        what, _, do = wrong.partition("\ndo   ")
        raise UsageError(what, hint=do)
    contents, wanted = dict[str, bytes](), settings
    for _ in range(2):  # the second time when the trunk's settings name other folders than those of the work tree
        folders, files = policy_folders(wanted)
        there = [e for e in entries(git, commit, *folders, *files) if e.mode != "040000"]
        contents = _contents(git, there)
        if FILE_NAME not in contents:
            raise NotFound("git", f"{short(commit)} of {settings.repository.branch} has no {FILE_NAME}", hint="merge it first")
        read = settings_from(parse_file(Path(FILE_NAME), read=lambda _: contents[FILE_NAME]), settings.root)  # noqa: B023 - called at once
        if policy_folders(read) == (folders, files):
            break
        wanted = read
    return replace(read, code=_write(git, there, contents))


def _contents(git: GitRemote, there: list[Entry]) -> dict[str, bytes]:
    for entry in there:
        parts = PurePosixPath(entry.path).parts
        if entry.mode == "160000":
            raise UsageError(f"{entry.path} is a submodule: its checks are not part of the trunk", hint="put the checks into this repository")
        if ".." in parts or ".git" in parts:
            raise UsageError(f"{entry.path!r} is no path of a check", hint="remove it from the trunk")
    found = blobs(git, [entry.oid for entry in there])
    return {entry.path: found[entry.oid] for entry in there}


def _write(git: GitRemote, there: list[Entry], contents: Mapping[str, bytes]) -> Path:
    """In the git directory: the system's temporary folder may be full, or emptied during a long promotion. Only this user can read it."""
    names = {entry.path for entry in there}
    links = {e.path: _inside(e.path, os.fsdecode(contents[e.path]), names) for e in there if e.mode == LINK}
    try:
        _remove_leftovers(git.git_dir)
        folder = Path(mkdtemp(dir=git.git_dir, prefix=PREFIX))
        atexit.register(rmtree, folder, ignore_errors=True)
        for name, content in contents.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name in links:
                path.symlink_to(links[name])
            else:
                path.write_bytes(content)
    except OSError as error:
        raise PromoteError(
            f"cannot write the trunk's checks: {os_error_message(error)}", hint=f"free space, or make {git.git_dir} writable"
        ) from error
    return folder


def _inside(path: str, target: str, names: set[str]) -> str:
    """The target of a symbolic link, which must lead to another file of the suites. Raises UsageError."""
    leads_to = os.path.normpath(PurePosixPath(path).parent / target)
    if not any(name == leads_to or name.startswith(f"{leads_to}/") for name in names):
        raise UsageError(f"{path} is a link to {target}, which is none of the checks", hint="put the file itself there")
    return target


def _remove_leftovers(git_dir: Path) -> None:
    for old in git_dir.glob(f"{PREFIX}*"):
        if time.time() - old.lstat().st_mtime > LEFT_S:
            rmtree(old, ignore_errors=True)


def run_trunk_suite(name: str, _folder: Path, *, git: GitRemote, trunk: str, settings: Settings, **how: Any) -> SuiteResult:
    """`run_suite` with the checks and settings that the trunk's commit `trunk` has; the work tree's folder is not read."""
    try:
        rules = suites_of_trunk(git, settings, trunk)
    except PromoteError as error:
        return SuiteResult(suite=name, verdict=Verdict.ERRORED, checks=(), seconds=0.0, reason=f"the trunk's checks cannot be used: {error.what}")
    return run_suite(name, rules.checks_root / getattr(rules.suites, name), settings=rules, **how)
