"""The right reporter for where we are: live on a terminal, plain lines elsewhere. Progress is on stderr when stdout carries the JSON document."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator

from promote.report.events import Reporter
from promote.report.plain import Plain
from promote.report.redact import Redactor


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
