"""A driver that dies while an older workflow moves the tags for it, and what `resume` makes of that: the tags of such a workflow carry no trailers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from promote.cli.sandbox_session import repository_files
from promote.sandbox.sandbox import Sandbox
from promote.sandbox.scenarios import SCENARIOS
from tests.promotion.test_resume import BIN, LOCK, STABLE, Cut


@contextmanager
def played(tmp_path: Path, name: str) -> Iterator[Cut]:
    scenario = SCENARIOS[name]
    with Sandbox(tmp_path / "world", files=repository_files("workflow", scenario), act=False, commands=[BIN]) as sandbox:
        scenario.prepare(sandbox)
        yield Cut(sandbox, sandbox.clone(tmp_path / "clone"), sandbox.writer.holds(STABLE))


def state(cut: Cut) -> str:
    """The content of the lock, as git shows it."""
    return str(json.loads(cut.sandbox.writer.git("cat-file", "tag", LOCK).partition("\n\n")[2])["state"]) if cut.holds(LOCK) else ""


def test_killed_after_the_move_was_written_down_it_is_finished_and_proven(tmp_path: Path) -> None:
    with played(tmp_path, "legacy-workflow") as cut:
        cut.kill_when(lambda: state(cut) == "promoted")
        code, said, progress = cut.promote("resume")
        assert (code, said["outcome"]) == (0, "verified"), progress
        assert (cut.holds(LOCK), cut.holds("refs/tags/prod-working")) == ("", cut.holds(STABLE))


@pytest.mark.parametrize("moment", ["moved", "written down"])
def test_killed_after_a_wrong_commit_was_tagged_it_goes_back_and_is_never_called_the_version(tmp_path: Path, moment: str) -> None:
    with played(tmp_path, "legacy-wrong-commit") as cut:
        cut.kill_when(lambda: cut.holds(STABLE) not in ("", cut.old) if moment == "moved" else state(cut) == "promoted")
        code, said, progress = cut.promote("resume")
        assert (code, said["outcome"]) == (3, "rolled_back"), progress
        assert "instead of" in progress
        assert (cut.holds(LOCK), cut.holds(STABLE)) == ("", cut.old)
