"""Where words leave the program: one stream, on which secrets are masked, foreign control characters dropped, signs a terminal cannot show written
in ASCII, and a closed pipe survived. Knows nothing of promotions.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import TextIO

from promote.core.redact import Redactor
from promote.report.words import ASCII, SIGNS

# Failure texts hold what other systems said; none of it may move the cursor or set a title.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Sink:
    """A text stream that never raises. None stands for a stream that was closed before the program began."""

    def __init__(self, out: TextIO | None, redact: Redactor | None = None) -> None:
        self._out = out
        self._redact = redact or Redactor()
        self.encoding: str = getattr(out, "encoding", None) or "utf-8"
        self.ascii = not _shows(SIGNS, self.encoding)
        self.broken: OSError | None = None  # why nothing is written any more

    def words(self, text: str) -> str:
        """The text as it may be shown here."""
        text = _CONTROL.sub("", self._redact.text(text))
        return text.translate(ASCII).encode(self.encoding, "replace").decode(self.encoding) if self.ascii else text

    def value(self, value: object) -> object:
        """A JSON-like value with its secrets masked."""
        return self._redact.value(value)

    def line(self, text: str) -> None:
        self.write(self.words(text) + "\n")
        self.flush()

    # What a stream is asked for, so that a terminal library can write through it:

    def write(self, text: str) -> int:
        """Write as it is: `words` is for what comes from outside, this also carries a terminal library's own sequences."""
        with self._surviving():
            if self._out is not None:
                self._out.write(text)
        return len(text)

    def flush(self) -> None:
        with self._surviving():
            if self._out is not None:
                self._out.flush()

    def isatty(self) -> bool:
        with contextlib.suppress(OSError, ValueError):
            return self._out is not None and self._out.isatty()
        return False

    def fileno(self) -> int:
        if self._out is None:
            raise OSError("no stream")
        return self._out.fileno()

    @contextlib.contextmanager
    def _surviving(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            self.broken = error if isinstance(error, OSError) else None
            out, self._out = self._out, None
            _swallow(out)


def _swallow(out: TextIO | None) -> None:
    """Point a broken stream at nothing: what is still in its buffer would otherwise fail again at exit and change the exit code."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, out.fileno())  # type: ignore[union-attr]
        finally:
            os.close(null)


def _shows(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
