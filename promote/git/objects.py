"""Bulk reads of history, trees and files: one git process per call, for any number of objects. Reads this clone's objects only; writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from promote.core.errors import NotFound, ServiceError
from promote.core.foreign import moment
from promote.git.errors import mask
from promote.git.remote import GitRemote

FORMAT = "%H%x00%P%x00%an%x00%ct%x00%B"  # NUL: the one character that none of them can hold
FIELDS = 5
FILE, PROGRAM = "100644", "100755"


@dataclass(frozen=True, kw_only=True, slots=True)
class LoggedCommit:
    """One commit with its whole message. `when` is the committer time in seconds since the epoch."""

    oid: str
    parents: tuple[str, ...]
    author: str
    when: int
    message: str


def history(remote: GitRemote, old: str | None, new: str) -> list[LoggedCommit]:
    """The commits reachable from `new` and not from `old`, newest first; without `old` all of them.

    Raises NotFound in a shallow clone, where missing commits would look like an empty history.
    """
    if remote.is_shallow():
        raise NotFound("git", "this clone is shallow, so its history has holes", hint="git fetch --unshallow")
    text = _bytes(remote, "log", "-z", f"--format={FORMAT}", f"{old}..{new}" if old else new, "--").decode(errors="replace")
    return _commits(text)


def recent(remote: GitRemote, count: int) -> list[LoggedCommit]:
    """The newest commits of HEAD, at most `count`; empty when HEAD has no commit."""
    done = remote.git("log", "-z", f"-{count}", f"--format={FORMAT}", "HEAD", "--")
    return _commits(done.raw.decode(errors="replace")) if done.code == 0 else []


def _commits(text: str) -> list[LoggedCommit]:
    fields = text.split("\0")
    return [
        LoggedCommit(oid=oid, parents=tuple(parents.split()), author=author, when=moment(when), message=message.strip())
        for oid, parents, author, when, message in zip(*(fields[n::FIELDS] for n in range(FIELDS)), strict=False)
    ]


def tree(remote: GitRemote, commit: str) -> tuple[dict[str, str], dict[str, str]]:
    """The tree of a commit as two maps path → object id: (regular files, symbolic links and submodules)."""
    found: dict[str, str] = {}
    links: dict[str, str] = {}
    for entry in _bytes(remote, "ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0"):
        head, _, path = entry.partition(b"\t")
        mode, _, rest = head.partition(b" ")
        if entry:
            kind = found if mode.decode() in (FILE, PROGRAM) else links
            kind[path.decode(errors="surrogateescape")] = rest.rpartition(b" ")[2].decode()
    return found, links


def blobs(remote: GitRemote, oids: Iterable[str]) -> Mapping[str, bytes]:
    """The contents of these objects, by id. Raises ServiceError when one is not in this clone."""
    wanted = list(dict.fromkeys(oids))
    if not wanted:
        return {}
    raw, at, found = _bytes(remote, "cat-file", "--batch", stdin=("\n".join(wanted) + "\n").encode()), 0, {}
    for oid in wanted:
        line = raw[at : (end := raw.index(b"\n", at))].decode()
        if line.endswith(("missing", "ambiguous")):
            raise ServiceError("git", f"the object {oid} is not in this clone", hint="git fetch; in a partial clone: git fetch --refetch")
        size = int(line.rpartition(" ")[2])
        found[oid] = raw[end + 1 : end + 1 + size]
        at = end + 1 + size + 1
    return found


def archive(remote: GitRemote, commit: str) -> bytes:
    """All files of a commit as a tar archive."""
    return _bytes(remote, "archive", "--format=tar", commit)


def _bytes(remote: GitRemote, *args: str, stdin: bytes | None = None) -> bytes:
    done = remote.git(*args, stdin=stdin)
    if done.code:
        raise ServiceError("git", f"`git {args[0]}` failed: {mask(' '.join(done.err.split()))[-256:]}", hint="run it by hand to see more; git fetch")
    return done.raw
