"""From a folder to the things a command works with: settings, the remote, the tools of a promotion, and a question to the user."""

from __future__ import annotations

import getpass
import socket
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from promote import connect
from promote.config.reader import find_settings_file, read_settings
from promote.config.schema import Settings
from promote.core.errors import UsageError
from promote.git.clone import check_clone
from promote.git.remote import GitRemote
from promote.report.sink import Sink

if TYPE_CHECKING:
    from promote.promotion.context import Dependencies
    from promote.report.plain import Reporter


def open_repository(folder: Path) -> tuple[Settings, GitRemote]:
    """Find promotion.toml at or above `folder` and the git remote it speaks of. Raises UsageError."""
    settings = settings_of(folder)
    return settings, check_clone(connect.remote(settings))


def settings_of(folder: Path) -> Settings:
    """Find and read promotion.toml at or above `folder`. Raises UsageError."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint="name the clone of your GitOps repository")
    if folder.resolve().name != ".git" and (folder / "HEAD").is_file() and (folder / "objects").is_dir():
        raise UsageError(
            f"{folder.resolve()} is a bare repository", hint=f"promote works in a clone with a work tree: git clone {folder.resolve()} FOLDER"
        )
    return connect.keep_secret(read_settings(find_settings_file(folder.resolve())))


def who() -> str:
    """Who asks, for the tag and the record: the CI actor and run, or user@host."""
    if connect.on_actions():
        return f"{connect.ci_actor() or 'unknown'} (run {connect.ci_run() or '?'})"
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        return f"unknown@{socket.gethostname()}"


def tools(settings: Settings, git: GitRemote, report: Reporter) -> Dependencies:
    """What a promotion reaches the world through; clients connect at their first use."""
    from promote.promotion.context import Dependencies

    return Dependencies(
        settings=settings,
        git=git,
        report=report,
        who=who(),
        production=cache(lambda: connect.production(settings)),
        forge=cache(lambda: connect.forge(settings, git)),
        redact=connect.redactor(settings),
    )


def terminal_question(text: str) -> str:
    """Ask on the terminal; "" (the safe default) without one, so that no job ever waits for a person."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return ""
    screen = Sink(sys.stderr)
    screen.write(screen.clean(text))
    screen.flush()
    return sys.stdin.readline().strip().lower()
