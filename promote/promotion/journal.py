"""The local half of a promotion's memory: intent → effect → result, each a JSON line that is on disk before the next thing happens.

One file a promotion under the common git directory (`promote/journal/<request id>.jsonl`), so it never dirties the work tree.
A promotion pushes inside `effect()` and nowhere else, but for its heartbeats. The file is readable by its owner only, and secrets are masked in
every line.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from promote.core.errors import PromoteError
from promote.core.private import private_folder
from promote.core.redact import Redactor

T = TypeVar("T")
SCHEMA = 1


class Journal:
    """Append-only. An intent that cannot be written raises PromoteError: what cannot be remembered is not done.

    Any other line that cannot be written is `trouble`, which the end of the promotion reports: what was done must still be finished.
    """

    def __init__(self, path: Path, redact: Redactor | None = None) -> None:
        self.path = path
        self._redact = redact or Redactor()
        self._held: int | None = None
        self.trouble = ""

    @classmethod
    def open(cls, git_dir: Path, request_id: str, redact: Redactor | None = None) -> Journal:
        folder = git_dir / "promote" / "journal"
        try:
            private_folder(folder)
        except OSError as error:
            raise PromoteError(
                f"{folder}: the journal folder cannot be made: {error.strerror}", hint="make it writable; nothing was changed"
            ) from error
        return cls(folder / f"{request_id}.jsonl", redact)

    def hold(self) -> None:
        """Show that a process works on this promotion, for as long as it lives: a lock on the file, which the system drops with the process."""
        try:
            self._held = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PromoteError(
                f"{self.path}: another process of this clone works on this promotion already", hint="wait for it, or stop it with ^C or SIGTERM"
            ) from error
        except OSError as error:
            raise PromoteError(
                f"{self.path}: cannot be held: {error.strerror}", hint="free space or make it writable; nothing was changed"
            ) from error

    def release_anyway(self) -> None:
        """Show no longer that a process works on it."""
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def write(self, event: str, name: str, **fields: object) -> None:
        """One durable line. Keys: schema, at (UTC), event (intent, result, error, state, note), name, and what the event is about."""
        plain = json.loads(json.dumps(fields, default=str))  # as text first: the text form of a value is masked like the rest
        line = json.dumps({"schema": SCHEMA, "at": datetime.now(UTC).isoformat(), "event": event, "name": name, **_pairs(self._redact, plain)})
        try:
            self._append(line.encode() + b"\n")
        except OSError as error:
            self.trouble = self.trouble or f"{self.path}: cannot be written: {error.strerror}"
            if event == "intent" and not fields.get("best_effort_journal"):
                raise PromoteError(self.trouble, hint="free space or make it writable, then `promote status`") from error

    def _append(self, line: bytes) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            while line:  # a disk that fills up takes a part of it and reports that only at the next try
                line = line[os.write(descriptor, line) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def effect(self, name: str, detail: Mapping[str, object], act: Callable[[], T], *, best_effort_journal: bool = False) -> T:
        """Write the intent, act, write the result. An exception is written too and passes on.

        `best_effort_journal`: the act restores production or the lock, or only asks for a look. It is done even when the journal cannot be
        written.
        """
        self.write("intent", name, **detail, **({"best_effort_journal": True} if best_effort_journal else {}))
        try:
            result = act()
        except BaseException as error:
            self.write("error", name, error=f"{type(error).__name__}: {str(error)[:256]}")
            raise
        self.write("result", name, result=result)
        return result


def _pairs(redact: Redactor, fields: Mapping[str, object]) -> Mapping[str, object]:
    masked = redact.value(fields)
    return masked if isinstance(masked, dict) else {}


def is_open_elsewhere(path: Path) -> bool:
    """Whether a living process holds this journal. Raises PromoteError when it may not be looked at (another user's)."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _unreadable(path: Path, error: OSError) -> PromoteError:
    return PromoteError(
        f"{path}: the journal cannot be read: {error.strerror}", hint="resume as the user who began this promotion, or from another clone"
    )


def read_journal(path: Path) -> list[dict[str, object]]:
    """All whole lines; a torn last one (the machine died while writing) is left out. Raises PromoteError when it cannot be read."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise _unreadable(path, error) from error
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found
