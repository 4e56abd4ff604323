"""Selects the reporter: live on a terminal, plain lines elsewhere. Progress goes to stderr when stdout carries the JSON document.

`answer` is for commands that print only at their end.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator

from promote.core.errors import PromoteError
from promote.core.foreign import one_line
from promote.core.redact import Redactor
from promote.report.plain import Plain, Reporter
from promote.report.sink import Sink


@contextlib.contextmanager
def reporter(*, json: bool, secrets: Iterable[str] = ()) -> Iterator[Reporter]:
    """A reporter whose screen is live within the block. Masks `secrets` and everything that looks like a credential."""
    out, redact = sys.stderr if json else sys.stdout, Redactor(secrets)
    plain = Plain(out, redact=redact)
    if not plain.sink.isatty() or os.environ.get("TERM") == "dumb":
        yield plain
        return
    from promote.report.terminal import Live

    live = Live(out, redact=redact)
    with live.screen:
        yield live


def answer(*lines: str, document: object = None, secrets: Iterable[str] = ()) -> None:
    """Print the lines on stdout, each on one line whatever it quotes, or the document as JSON when there is one.

    Raises BrokenPipeError when the reader closed the pipe, PromoteError when stdout cannot be written: a lost answer must not exit with 0.
    """
    out = Sink(sys.stdout, Redactor(secrets))
    if document is None:
        for text in lines:
            out.line(one_line(text))
    else:
        out.document(document)
    if isinstance(out.broken, BrokenPipeError):
        raise out.broken
    if out.broken:
        raise PromoteError(
            f"could not write the answer to stdout: {out.broken.strerror}", hint="the command itself is done; see its effect with `promote status`"
        )
