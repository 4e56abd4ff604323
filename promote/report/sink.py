"""The one way text leaves the program: a stream that masks secrets, shows control characters as escapes, replaces signs the terminal cannot show by
ASCII, prints no command that GitHub Actions would obey, and survives a closed pipe. Independent of promotions.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from typing import TextIO

from promote.core.errors import PromoteError
from promote.core.redact import Redactor
from promote.report.github_actions import inert, inert_json, on_actions
from promote.report.words import ASCII, SIGNS


class Sink:
    """A text stream that never raises. `out` None: the stream was closed before the program started."""

    def __init__(self, out: TextIO | None, redact: Redactor | None = None) -> None:
        self._out = out
        self._redact = redact or Redactor()
        self.encoding: str = getattr(out, "encoding", None) or "utf-8"
        self.ascii = not _shows(SIGNS, self.encoding)
        self.actions = on_actions()
        self.broken: OSError | None = None  # the error after which nothing is written any more

    def clean(self, text: str) -> str:
        """The text in the form in which it may be shown on this stream: failure texts quote other systems."""
        shown = self._redact.shown(text)
        text = inert(shown) if self.actions else shown
        return text.translate(ASCII).encode(self.encoding, "replace").decode(self.encoding) if self.ascii else text

    def value(self, value: object) -> object:
        """A JSON-like value with its secrets masked."""
        return self._redact.value(value)

    def line(self, text: str) -> None:
        self.write(self.clean(text) + "\n")
        self.flush()

    def error(self, error: PromoteError) -> None:
        """What is wrong and what to do. A quoted text of several lines cannot begin one of its own."""
        further = "\n    "
        self.line(f"promote: {error.what.replace(chr(10), further)}" + (f"\n  do: {error.hint.replace(chr(10), further)}" if error.hint else ""))

    def document(self, value: object) -> None:
        """A JSON document, with its secrets masked. JSON has escapes of its own for all that a text may hold."""
        text = json.dumps(self.value(value), indent=2, default=str)
        self.write((inert_json(text) if self.actions else text) + "\n")
        self.flush()

    # The interface of a text stream, so that a terminal library can write through this object:

    def write(self, text: str) -> int:
        """Write text unchanged, because it may contain a terminal library's own control sequences; use `clean` for text from outside."""
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
    """Redirect a broken stream to /dev/null: flushing its buffer at exit would otherwise fail again and change the exit code."""
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
