"""A stop request in the moments that belong to no step: while the lock is taken, while the tag goes back, between two steps, after the last one.

The remote's own hook sends the signal, in the middle of the push that it sees: no moment has to be guessed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from promote.cli.sandbox_session import repository_files
from promote.core.errors import Interrupted
from promote.core.model import End
from promote.core.signals import as_interrupts, defer_signals
from promote.promotion.context import Moved, StepResult, StepStatus
from promote.promotion.journal import Journal
from promote.promotion.state_machine import State, run_promotion
from promote.sandbox.sandbox import Sandbox
from promote.sandbox.scenarios import SCENARIOS
from tests.promotion.test_interrupts import until
from tests.promotion.test_state_machine import fake_run
from tests.support.json_documents import read_document

BIN = Path(sys.executable).parent
STABLE, LOCK, HEART = "refs/tags/prod-stable", "refs/promote/lock", "refs/promote/heartbeat"
# Before the push that sets REF to something (the Nth such one) has its effect, the driver gets the signal to stop.
HOOK = """#!/bin/sh
while read -r old new ref; do
  [ "$ref" = "{ref}" ] || continue
  echo x >> seen
  [ "$(wc -l < seen)" -eq {nth} ] && kill -{signal} "$(cat driver)"
  {pause}
done
exit 0
"""


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "world", files=repository_files("git"), act=False, commands=[BIN]) as world:
        yield world


def stopped(sandbox: Sandbox, clone: Path, *args: str, at: str, nth: int = 1, pause: str = ":", stop: str = "INT") -> tuple[int, dict[str, Any], str]:
    """(exit code, document, progress) of a command that gets the signal to stop in the middle of a push."""
    hook, bare = sandbox.git.path / "hooks" / "pre-receive", sandbox.git.path
    before = hook.read_text()
    (bare / "seen").unlink(missing_ok=True)
    (bare / "driver").unlink(missing_ok=True)
    hook.write_text(HOOK.format(ref=at, nth=nth, pause=pause, signal=stop))
    argv = ["sh", "-c", f'echo $$ > "{bare}/driver"; exec "$@"', "sh", sys.executable, "-m", "promote", *args, "--json"]
    try:
        done = subprocess.run(argv, cwd=clone, env=dict(sandbox.env), capture_output=True, text=True, check=False, timeout=150)
    finally:
        hook.write_text(before)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, read_document(args[0], done.stdout), done.stderr


def test_a_rollback_stopped_while_it_takes_the_lock_leaves_none(sandbox: Sandbox, tmp_path: Path) -> None:
    old = sandbox.writer.holds(STABLE)
    code, said, progress = stopped(sandbox, sandbox.clone(tmp_path / "clone"), "rollback", "--to", "v1.7.3", at=LOCK)
    assert (sandbox.writer.holds(LOCK), sandbox.writer.holds(STABLE)) == ("", old), progress
    assert "nothing was moved: prod-stable is still" in progress
    assert (code, said["outcome"], said["exit"]) == (130, "interrupted", 130)


def test_stopped_while_the_tag_goes_back_it_does_not_report_the_tag_as_unmoved(sandbox: Sandbox, tmp_path: Path) -> None:
    old = sandbox.writer.holds(STABLE)
    version = SCENARIOS["smoke-fails"].prepare(sandbox)
    code, said, progress = stopped(sandbox, sandbox.clone(tmp_path / "clone"), "run", version, at=STABLE, nth=2)
    assert sandbox.writer.holds(STABLE) == old
    assert (code, said["outcome"]) == (4, "stuck"), progress
    assert said["stable_after"]["object"] == old
    assert "was moved back by us, but it is not proven that production followed" in progress
    assert "stays so" not in progress


def test_a_rollback_by_hand_stopped_during_its_push_keeps_the_lock_and_reports_the_move(sandbox: Sandbox, tmp_path: Path) -> None:
    clone, then = sandbox.clone(tmp_path / "clone"), sandbox.writer.holds("refs/tags/prod-v1.7.3")
    code, said, progress = stopped(sandbox, clone, "rollback", "--to", "v1.7.3", at=STABLE)
    assert sandbox.writer.holds(STABLE) == then
    assert (code, said["outcome"]) == (4, "stuck"), progress
    assert "another user" not in progress and "nothing was moved" not in progress
    assert sandbox.writer.holds(LOCK) != "", "`promote resume` proves it"


def test_stopped_after_its_last_step_a_promotion_is_what_it_is(tmp_path: Path) -> None:
    files = repository_files("git")
    files["promotion.toml"] += b'\n[lock]\nheartbeat = "1s"\n'
    with Sandbox(tmp_path / "world", files=files, act=False, commands=[BIN]) as sandbox:
        version, clone = SCENARIOS["good"].prepare(sandbox), sandbox.clone(tmp_path / "clone")
        code, said, progress = stopped(sandbox, clone, "run", version, at="refs/tags/prod-working")
        assert (code, said["outcome"], sandbox.writer.holds(LOCK)) == (0, "verified", ""), progress


@pytest.mark.parametrize(
    ("stop_at", "ends"), [(State.PROMOTED, End.ROLLED_BACK), (State.PRECHECKED, End.INTERRUPTED), (State.ROLLING_BACK, End.ROLLED_BACK)]
)
def test_between_two_steps_it_is_answered_by_the_next(tmp_path: Path, stop_at: State, ends: End) -> None:
    run = fake_run(tmp_path)

    class Stopping(Journal):
        """Its driver gets the signal to stop while it writes its state."""

        def write(self, event: str, name: str, **fields: object) -> None:
            if (event, name) == ("state", stop_at.value):
                os.kill(os.getpid(), signal.SIGINT)
            super().write(event, name, **fields)

    run.journal = Stopping(tmp_path / "j.jsonl")

    def moves(run: Any) -> StepResult:
        run.update(moved=Moved.YES)
        return StepResult(status=StepStatus.PASSED)

    steps: Any = {
        State.START: lambda _r: StepResult(status=StepStatus.PASSED), State.PRECHECKED: moves, State.PROMOTED: lambda _r: StepResult(status=StepStatus.FAILED),
        State.ROLLING_BACK: lambda _r: StepResult(status=StepStatus.PASSED),
    }  # fmt: skip
    with as_interrupts():
        end, _ = run_promotion(run, transitions=steps)
    assert end is ends


def test_a_stop_that_was_held_is_not_lost_and_none_outlives_the_program(tmp_path: Path) -> None:
    with as_interrupts():
        with pytest.raises(Interrupted), defer_signals():
            os.kill(os.getpid(), signal.SIGTERM)
        with defer_signals(drop=True):
            os.kill(os.getpid(), signal.SIGTERM)
    assert tmp_path.is_dir()


def _left_behind(sandbox: Sandbox, clone: Path) -> str:
    """Kills a promotion as soon as the tag has moved; what the tag held before."""
    old = sandbox.writer.holds(STABLE)
    version = SCENARIOS["good"].prepare(sandbox)
    argv = [sys.executable, "-m", "promote", "run", version]
    child = subprocess.Popen(argv, cwd=clone, env=sandbox.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    until(lambda: sandbox.writer.holds(STABLE) != old)
    child.kill()
    child.wait()
    return old


def test_a_resume_stopped_while_it_takes_the_lock_over_does_not_report_that_nothing_moved(sandbox: Sandbox, tmp_path: Path) -> None:
    clone = sandbox.clone(tmp_path / "clone")
    old = _left_behind(sandbox, clone)
    moved = sandbox.writer.holds(STABLE)
    code, said, progress = stopped(sandbox, clone, "resume", at=LOCK)
    assert (code, said["outcome"], sandbox.writer.holds(STABLE)) == (4, "stuck", moved), progress
    assert "nothing was moved" not in progress and "not moved" not in progress
    assert sandbox.writer.holds(LOCK) != "", "the next `promote resume` goes on"
    done = subprocess.run(
        [sys.executable, "-m", "promote", "abort", "--keep"], cwd=clone, env=sandbox.env, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, sandbox.writer.holds(LOCK), sandbox.writer.holds(STABLE)) == (4, "", moved), done.stderr
    assert moved != old and "not moved" not in done.stdout, done.stdout
    assert f"true now: prod-stable → {sandbox.writer.holds(STABLE + '^{commit}')[:7]}" in done.stdout


def test_a_closed_stdout_ends_a_resume_as_any_other_command(sandbox: Sandbox, tmp_path: Path) -> None:
    clone = sandbox.clone(tmp_path / "clone")
    argv = ["bash", "-c", '"$@" | true; exit "${PIPESTATUS[0]}"', "bash", sys.executable, "-m", "promote", "resume"]
    done = subprocess.run(argv, cwd=clone, env=sandbox.env, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (141, "")
