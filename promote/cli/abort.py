"""`promote abort`: give up a promotion that was cut short: production's tag back where it was, proven, and the lock released."""

from __future__ import annotations

import argparse

from promote.cli import resume
from promote.cli.bootstrap import open_repository, terminal_question
from promote.config.schema import Settings
from promote.connect import secrets
from promote.core.errors import Rejected, UsageError
from promote.core.model import short
from promote.git.remote import GitRemote
from promote.report.screen import answer
from promote.tags.heartbeat import sign_of
from promote.tags.lock import LOCK, lock_words, remove_lock
from promote.tags.names import ref_names


def main(args: argparse.Namespace) -> int:
    return break_lock(args) if args.break_lock else resume.main(args)


def break_lock(args: argparse.Namespace) -> int:
    """Delete the lock, of any owner, and nothing else. Shows the owner and asks for confirmation first. Returns the exit code.

    A living owner is fenced off by it: its next push fails, and it ends superseded.
    """
    settings, git = open_repository(args.folder)
    ref = git.ref(LOCK)
    if ref is None:
        answer("nothing to do: the lock is free", document={"outcome": "nothing", "exit": 0} if args.json else None, secrets=secrets())
        return 0
    shown = _what_it_is(git, settings)
    if not args.yes:
        _ask(shown)
    result = remove_lock(git, ref.object)
    if result:
        raise Rejected("lock", f"{LOCK} was not deleted: {result}", hint="look with `promote status`, then decide again")
    lines = [*shown, f"the lock {short(ref.object)} is gone; no tag was touched and nothing was proven", "next: promote status"]
    answer(*lines, document={"outcome": "lock_broken", "exit": 0, "lock": ref.object, "was": shown} if args.json else None, secrets=secrets())
    return 0


def _what_it_is(git: GitRemote, settings: Settings) -> list[str]:
    """Whose it is, how long it has been silent, and where production's tag is compared to when it was taken."""
    lock, words = lock_words(git)
    if lock is None:
        return [words]
    stable = git.ref(ref_names(settings, lock.version).stable)
    now = short(stable.commit) if stable else "absent"
    same = (stable.object if stable else "") == lock.stable_before
    sign = sign_of(git, lock)
    return [
        words,
        f"its last sign of life: {sign.at:%Y-%m-%d %H:%M:%S} UTC",
        f"{settings.tags.stable} is {now}: " + ("as when the lock was taken" if same else "NOT what it was when the lock was taken"),
    ]


def _ask(shown: list[str]) -> None:
    """Raises UsageError without a terminal, or when the answer is not yes."""
    reply = terminal_question("\n".join([*shown, "Break this lock? Type yes: "]))
    if reply != "yes":
        raise UsageError(
            f"the lock was left alone: {'; '.join(shown)}",
            hint="`promote resume` or `promote abort` once its owner is gone; without a terminal, and when you are sure: --yes",
        )
