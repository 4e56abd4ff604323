"""Programs of others: what they leave behind holds neither us nor their last words."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from promote.core.errors import Unreachable
from promote.transport.programs import run_program

LEAVES_A_DAEMON = "setsid sleep 600 & echo $! > daemon; echo done"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    if (left := tmp_path / "daemon").exists():
        os.kill(int(left.read_text()), signal.SIGKILL)


def test_one_that_ended_is_not_late_because_its_daemon_holds_its_pipes(folder: Path) -> None:
    ended = run_program(["sh", "-c", LEAVES_A_DAEMON], cwd=folder, seconds=0.5)
    assert (ended.code, ended.out) == (0, "done\n")


def test_one_that_does_not_end_is_ended_with_its_words(folder: Path) -> None:
    with pytest.raises(Unreachable, match=r"did not end within 0 s; its last output: done"):
        run_program(["sh", "-c", f"{LEAVES_A_DAEMON}; sleep 600"], cwd=folder, seconds=0.4)
