"""The one way to change refs on the remote: an atomic push with a lease on every ref, and a reliable report of its outcome.

Facts it relies on (git's own sources; tried on 2.39):
- A lease compares the object id the ref holds, not the peeled commit; a leading "+" or `--force` would switch it off, so neither appears here.
- Pushing an object the ref already holds answers "=" with the lease unchecked: only " ", "+", "*" and "-" mean that we changed it.
- A push may have landed even if its process died or its connection broke: then only the remote's refs show the outcome.
- A forge's hook declines for three reasons with the same "pre-receive hook declined": a rule, an account without the right to write (Gitea checks
  that there), and a hook that cannot reach its server (Gitea, GitLab). Only the text around it shows which (docs/testing.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from promote.core.errors import Denied, Forbidden, PromoteError, Rejected, Unreachable
from promote.core.foreign import split_lines
from promote.core.model import Tag, short
from promote.git.process import Done

_CHANGED_FLAGS = " +*-"
_FRAME = re.compile(r"^remote:\s*(?:error:\s*)?")
_TROUBLE = re.compile(r"internal server|internal api|API is not accessible", re.IGNORECASE)
_STALE_MARKS = ("(stale info)", "failed to update ref", "cannot lock ref", "already exists")
_DENIED_MARKS = ("Authentication failed", "could not read Username", "error: 403", "Permission")
_RULE_MARKS = ("GH013", "GH006", "repository rule violations", "protected", "hook declined", "not allowed", "prohibited", "deny updating")


@dataclass(frozen=True, kw_only=True, slots=True)
class RefUpdate:
    """Change `ref` from the object id `expected` to `new`; "" means absent (create, delete). The lease is mandatory."""

    ref: str
    new: str
    expected: str

    def is_done(self, seen: Mapping[str, Tag]) -> bool:
        """Whether the ref has the new value among the refs read from the remote."""
        return (seen[self.ref].object if self.ref in seen else "") == self.new

    def __str__(self) -> str:
        return f"{self.ref}: {short(self.expected) or 'absent'} → {short(self.new) or 'absent'}"


class Pushed(StrEnum):
    """DONE: this push changed all refs. STALE: a lease did not hold. RULE: refused for good. UNKNOWN: read the refs to learn the outcome."""

    DONE = "done"
    STALE = "stale"
    RULE = "rule"
    DENIED = "denied"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class PushResult:
    """The outcome of a push; `text` is git's own output, for the message."""

    outcome: Pushed
    text: str = ""


def push_arguments(remote: str, updates: Sequence[RefUpdate]) -> list[str]:
    """The arguments after `git` for one atomic leased push."""
    leases = [f"--force-with-lease={u.ref}:{u.expected}" for u in updates]
    return [
        "push",
        "--porcelain",
        "--atomic",
        "--no-verify",
        "--no-follow-tags",
        "--no-signed",
        "--no-recurse-submodules",
        *leases,
        "--",
        remote,
        *(f"{u.new}:{u.ref}" for u in updates),
    ]


def read_push(done: Done, updates: Sequence[RefUpdate]) -> PushResult:
    """The outcome of a push from its porcelain lines (`flag TAB from:to TAB summary`); UNKNOWN when they are not conclusive."""
    flags = {}
    for line in split_lines(done.out):
        if line[1:2] == "\t" and line.count("\t") >= 2:
            flag, refs, summary = line.split("\t", 2)
            flags[refs.partition(":")[2]] = (flag, summary)
    summaries = " ".join(dict.fromkeys(summary for flag, summary in flags.values() if flag == "!"))
    text = f"{_error_text(done.err)} {summaries}".strip()[-400:]
    if done.killed:
        return PushResult(outcome=Pushed.UNKNOWN, text="the push was ended by its deadline")
    if done.code == 0 and all(flags.get(u.ref, ("!",))[0] in _CHANGED_FLAGS for u in updates):
        return PushResult(outcome=Pushed.DONE)
    return PushResult(outcome=_outcome(done, summaries), text=text)


def _outcome(done: Done, summaries: str) -> Pushed:
    """The outcome of a push that did not change every ref."""
    words = f"{done.unquoted_err}\n{summaries}"
    if "hook declined" in summaries and _TROUBLE.search(words):
        return Pushed.UNKNOWN
    if "hook declined" in summaries and "User permission denied" in words:
        return Pushed.DENIED
    if summaries and any(mark in words for mark in _RULE_MARKS):  # a rule declines single refs; a denied login lists none
        return Pushed.RULE
    if "(atomic transaction failed)" in summaries and "cannot lock ref" in done.err:  # another push won the race after the lease check
        return Pushed.STALE
    if any(mark in summaries for mark in _STALE_MARKS):
        return Pushed.STALE
    if done.code != 0 and any(mark in words for mark in _DENIED_MARKS):
        return Pushed.DENIED
    return Pushed.UNKNOWN


def _error_text(err: str) -> str:
    """The remote's and git's messages on one line, without their prefixes."""
    # Without git's closing line: its long URL would push a rule's own text out of the part that is shown.
    found = (_FRAME.sub("", " ".join(line.split())) for line in split_lines(err))
    return " ".join(line for line in found if line and not line.startswith("error: failed to push some refs"))


def refused(remote: str, result: PushResult, what: str) -> PromoteError:
    """The exception for a push that did not do what it should."""
    where = f"git remote {remote}"
    if result.outcome is Pushed.RULE:
        hint = "allow this ref for your account in the repository's rules"
        if "refs/promote/" in what:
            hint += '; where refs under refs/promote/ can never be allowed: lock.store = "local" in promotion.toml (its cost: docs/settings.md)'
        return Forbidden(where, f"a rule forbids to {what}: {result.text}", hint=hint)
    if result.outcome is Pushed.DENIED:
        return Denied(where, f"not allowed to {what}: {result.text}", hint="use credentials that may push to this repository")
    if result.outcome is Pushed.STALE:
        return Rejected(where, f"could not {what}: a ref changed meanwhile: {result.text}", hint="look with `promote status`, then start again")
    return Unreachable(
        where, f"could not {what}: {result.text or 'no clear answer'}", hint="check the network (try `git ls-remote`), then start again"
    )
