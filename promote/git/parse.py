"""What git prints, as values. Whatever a commit, a tag or a ref's name holds, it is a value or a ServiceError."""

from __future__ import annotations

from dataclasses import dataclass

from promote.core.errors import ServiceError
from promote.core.foreign import OID, moment, split_lines
from promote.core.model import short

LOG = "--format=%H%x00%s%x00%an%x00%ct"  # with -z: NUL is the one character that no field holds
SIZE = "--batch-check=%(objectname) %(objecttype) %(objectsize)"
LONGEST_TAG = 1_000_000  # bytes of a tag object that are read: one of ours has a few thousand


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """One commit for display. `when` is the committer time in seconds since the epoch."""

    oid: str
    subject: str
    author: str
    when: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TagObject:
    """An annotated tag: the object it points at, its name and its message."""

    oid: str
    target: str
    name: str
    message: str


def parse_refs(text: str) -> dict[str, str]:
    """The listing of `ls-remote`: object ids by ref name."""
    return {name: oid for oid, _, name in (line.partition("\t") for line in split_lines(text))}


def parse_log(text: str) -> list[Commit]:
    """The commits that `git log -z` prints in the form `LOG`."""
    fields = text.split("\0")
    four = zip(*(fields[n::4] for n in range(4)), strict=False)  # a last NUL leaves an empty field
    return [Commit(oid=oid, subject=subject, author=author, when=moment(when)) for oid, subject, author, when in four]


def parse_size(text: str, name: str) -> tuple[str, int]:
    """(kind, bytes) of an object as `cat-file` prints them in the form `SIZE`. Raises ServiceError when it is missing."""
    match text.split("\n", maxsplit=1)[0].split(" "):
        case [_, kind, size] if size.isdecimal():
            return kind, int(size)
    raise ServiceError("git", f"the object {name} is not in this clone", hint="git fetch; look with `promote status`")


def require_tag(oid: str, kind: str, size: int) -> None:
    """Raises ServiceError when an object of this kind and size is not an annotated tag to read."""
    if kind != "tag" or size > LONGEST_TAG:
        what = f"a {kind}, not an annotated tag" if kind != "tag" else f"a tag of {size} bytes, more than the {LONGEST_TAG} that are read"
        raise ServiceError("git", f"{short(oid)} is {what}", hint=f"look at it with `git cat-file -p {short(oid)}`")


def parse_tag(oid: str, text: str) -> TagObject:
    """A tag object. Raises ServiceError when it lacks what git itself writes."""
    head, _, message = text.partition("\n\n")
    fields = dict(reversed([line.partition(" ")[::2] for line in split_lines(head)]))  # as git reads it: the first of a name counts
    if not OID.fullmatch(fields.get("object", "")) or "tag" not in fields:
        raise ServiceError("git", f"{short(oid)} is a damaged tag", hint=f"look at it with `git cat-file -p {short(oid)}`")
    return TagObject(oid=oid, target=fields["object"], name=fields["tag"], message=message)
