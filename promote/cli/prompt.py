"""What a person says to `promote run`: the flags, and the answer to a question on the terminal."""

from __future__ import annotations

import argparse
import sys

from promote.core.errors import UsageError
from promote.core.model import Choices


def choices_of(args: argparse.Namespace) -> Choices:
    """The flags of `promote run`. Raises UsageError for a pair that contradicts itself."""
    if args.tagged and args.recreate_dev:
        raise UsageError("--tagged and --recreate-dev contradict each other", hint="promote the tagged commit, or put the tag on HEAD: choose one")
    fallback = args.first_fallback or ""
    return Choices(
        recreate_dev=args.recreate_dev,
        recreate_prod=args.recreate_prod,
        first=args.first or bool(fallback),
        fallback=fallback,
        downgrade=args.downgrade,
        again=args.again,
    )


def terminal_question(text: str) -> str:
    """Ask on the terminal; "" (the safe default) without one, so that no job ever waits for a person."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return ""
    print(text, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower()
