"""Refs stored in the clone because the remote does not accept them (`lock.store = "local"`): read and replaced under lease too.

They change after the remote's refs, so a process that dies in between leaves them outdated; resume and takeover therefore trust the remote's tags.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from promote.core.foreign import split_lines
from promote.core.model import Tag, short
from promote.git.process import Done
from promote.git.push import Pushed, PushResult, RefUpdate


class LocalRefs:
    """The refs of one clone under `prefix`; an empty prefix selects none."""

    def __init__(self, read: Callable[..., str], git: Callable[..., Done], prefix: str) -> None:
        self._read, self._git, self.prefix = read, git, prefix

    def _mine(self, ref: str) -> bool:
        return bool(self.prefix) and ref.startswith(self.prefix)

    def split(self, refs: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Split ref names into (local ones, the remote's)."""
        return tuple(r for r in refs if self._mine(r)), tuple(r for r in refs if not self._mine(r))

    def divide(self, updates: Sequence[RefUpdate]) -> tuple[list[RefUpdate], list[RefUpdate]]:
        """Split updates into (local ones, the remote's)."""
        return [u for u in updates if self._mine(u.ref)], [u for u in updates if not self._mine(u.ref)]

    def refs(self, names: Sequence[str]) -> dict[str, Tag]:
        """The refs among `names` that exist, by name."""
        found = (line.split(" ") for line in split_lines(self._read("for-each-ref", "--format=%(refname) %(objectname) %(*objectname)", *names)))
        return {name: Tag(ref=name, object=oid, commit=peeled or oid) for name, oid, peeled in found}

    def stale(self, updates: Sequence[RefUpdate]) -> str:
        """The refs that no longer hold the expected value, as a message; "" when all do."""
        held = self.refs([u.ref for u in updates])
        wrong = [u.ref for u in updates if (held[u.ref].object if u.ref in held else "") != u.expected]
        return f"{', '.join(wrong)} of this clone changed meanwhile" if wrong else ""

    def write(self, updates: Sequence[RefUpdate]) -> PushResult:
        """Write all updates in one transaction, each under the lease of its expected value."""
        verbs = [f"update {u.ref} {u.new} {u.expected or '0' * len(u.new)}" if u.new else f"delete {u.ref} {u.expected}" for u in updates]
        done = self._git("update-ref", "--stdin", stdin="\n".join(["start", *verbs, "prepare", "commit", ""]).encode())
        if done.code == 0:
            return PushResult(outcome=Pushed.DONE)
        what = ", ".join(f"{u.ref} ({short(u.expected) or 'absent'})" for u in updates)
        return PushResult(outcome=Pushed.STALE, text=f"{what} of this clone: {' '.join(done.err.split())}")
