"""Refs that are kept in the clone because the remote takes none of their kind (`lock.store = "local"`): read and replaced under lease too.

They change after the remote's do, so a process that dies in between leaves them behind; whoever picks a promotion up goes by the remote's tags.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from promote.core.model import Tag, short
from promote.git.process import Done
from promote.git.push import Pushed, PushResult, RefUpdate


class KeptRefs:
    """The refs of one clone under `prefix`; with an empty prefix there are none."""

    def __init__(self, read: Callable[..., str], git: Callable[..., Done], prefix: str) -> None:
        self._read, self._git, self.prefix = read, git, prefix

    def _mine(self, ref: str) -> bool:
        return bool(self.prefix) and ref.startswith(self.prefix)

    def split(self, refs: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of refs: (kept here, the remote's)."""
        return tuple(r for r in refs if self._mine(r)), tuple(r for r in refs if not self._mine(r))

    def divide(self, updates: Sequence[RefUpdate]) -> tuple[list[RefUpdate], list[RefUpdate]]:
        """Updates: (kept here, the remote's)."""
        return [u for u in updates if self._mine(u.ref)], [u for u in updates if not self._mine(u.ref)]

    def refs(self, names: Sequence[str]) -> dict[str, Tag]:
        """The named ones that exist."""
        lines = self._read("for-each-ref", "--format=%(refname) %(objectname) %(*objectname)", *names).splitlines()
        found = (line.split(" ") for line in lines)
        return {name: Tag(ref=name, object=oid, commit=peeled or oid) for name, oid, peeled in found}

    def stale(self, updates: Sequence[RefUpdate]) -> str:
        """Which of them no longer holds what is to be replaced; "" when all do."""
        held = self.refs([u.ref for u in updates])
        wrong = [u.ref for u in updates if (held[u.ref].object if u.ref in held else "") != u.expected]
        return f"{', '.join(wrong)} of this clone changed meanwhile" if wrong else ""

    def write(self, updates: Sequence[RefUpdate]) -> PushResult:
        """All of them in one transaction, each over the value that is expected."""
        verbs = [f"update {u.ref} {u.new} {u.expected or '0' * len(u.new)}" if u.new else f"delete {u.ref} {u.expected}" for u in updates]
        done = self._git("update-ref", "--stdin", stdin="\n".join(["start", *verbs, "prepare", "commit", ""]).encode())
        if done.code == 0:
            return PushResult(outcome=Pushed.DONE)
        what = ", ".join(f"{u.ref} ({short(u.expected) or 'absent'})" for u in updates)
        return PushResult(outcome=Pushed.STALE, text=f"{what} of this clone: {' '.join(done.err.split())}")
