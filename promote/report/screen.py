"""The right reporter for where we are: live on a terminal, plain lines elsewhere. Progress is on stderr when stdout carries the JSON document.

And `answer`, for the commands that only have something to say at their end.
"""

from __future__ import annotations

import contextlib
import json as json_format
import os
import sys
from collections.abc import Iterable, Iterator

from promote.core.errors import PromoteError
from promote.core.redact import Redactor
from promote.report.events import Reporter
from promote.report.plain import Plain
from promote.report.sink import Sink


@contextlib.contextmanager
def reporter(*, json: bool, secrets: Iterable[str] = ()) -> Iterator[Reporter]:
    """Within the block the screen is live. `secrets` are masked wherever they would be shown, beside what looks like a credential."""
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
    """Say the lines on stdout, or the document as JSON when there is one.

    Raises BrokenPipeError when nobody reads any more, PromoteError when stdout cannot be written: an answer that was not given is not one.
    """
    out = Sink(sys.stdout, Redactor(secrets))
    for text in lines if document is None else [json_format.dumps(out.value(document), indent=2, default=str)]:
        out.line(text)
    if isinstance(out.broken, BrokenPipeError):
        raise out.broken
    if out.broken:
        raise PromoteError(
            f"the answer could not be written to stdout: {out.broken.strerror}", hint="what the command did is done; look at it with `promote status`"
        )
