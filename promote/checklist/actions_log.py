"""The output of a pytest session in a step of GitHub Actions: no command printed by a check is obeyed, and checks that did not pass are annotated."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence

import pytest

from promote import connect
from promote.core.model import Verdict
from promote.report import github_actions


class ActionsLog:
    """Opens the silence once, closes it once and then annotates. Only the process that owns the log may have one: a worker's output is no log."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._token = ""

    def silence(self) -> None:
        """From here on nothing that a check or a captured output prints is obeyed as a command."""
        if not self._token:
            self._token = secrets.token_hex(16)
            self._line(f"::stop-commands::{self._token}")

    def speak(self, title: str, checks: Sequence[tuple[str, Verdict, str]]) -> None:
        """End the silence, annotate, and write the step's summary. Called when pytest has printed its last line, the failures' texts included."""
        if not self._token:
            return
        self._line(f"::{self._token}::")
        self._token = ""
        for line in github_actions.commands(checks):
            self._line(line)
        if checks and (file := connect.step_summary()):
            with file.open("a", encoding="utf-8") as page:
                page.write(github_actions.summary(f"checklist: {title}", checks))

    def _line(self, text: str) -> None:
        """A command counts only at the start of a line, and pytest may be in the middle of one."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(text)
        else:
            sys.stdout.write(f"\n{text}\n")
