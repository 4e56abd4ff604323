"""A driver that dies (kill -9) at a chosen moment, and what `resume` and `abort` make of it: always an end of the table, always the world first."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from promote.cli.sandbox_session import repository_files
from promote.sandbox.http_server import Fault
from promote.sandbox.sandbox import Sandbox
from promote.sandbox.scenarios import SCENARIOS
from tests.model.journal import problems
from tests.support.json_documents import read_document

BIN = Path(sys.executable).parent
STABLE, LOCK, PROD = "refs/tags/prod-stable", "refs/promote/lock", "refs/tags/prod-v1.8.0"


@dataclass
class Cut:
    """A world in which a promotion was killed, and the clone it was started in."""

    sandbox: Sandbox
    clone: Path
    old: str

    def promote(self, *args: str, clone: Path | None = None) -> tuple[int, dict[str, Any], str]:
        argv = [sys.executable, "-m", "promote", *args, "--json"]
        done = subprocess.run(
            argv, cwd=clone or self.clone, env=self.sandbox.env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, read_document(args[0], done.stdout), done.stderr

    def holds(self, ref: str) -> str:
        return self.sandbox.writer.holds(ref)

    def start(self, version: str = "v1.8.0") -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "promote", "run", version, "--json"]
        return subprocess.Popen(
            argv, cwd=self.clone, env=self.sandbox.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
            start_new_session=True,
        )  # fmt: skip

    def kill_when(self, moment: Callable[[], bool]) -> None:
        child = self.start()
        until(moment)
        child.kill()
        child.communicate()
        subprocess.run(["pkill", "-9", "-s", str(child.pid)], check=False)  # a machine that is switched off takes the suites along


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the moment never came"
        time.sleep(0.01)


@pytest.fixture
def cut(tmp_path: Path) -> Iterator[Cut]:
    files = repository_files("git")
    files["promotion.toml"] = files["promotion.toml"].replace(b'sample_timeout = "10s"', b'sample_timeout = "3s"')
    with Sandbox(tmp_path / "world", files=files, act=False, commands=[BIN]) as sandbox:
        SCENARIOS["good"].prepare(sandbox)
        yield Cut(sandbox, sandbox.clone(tmp_path / "clone"), sandbox.writer.holds(STABLE))
        assert problems([tmp_path / "clone"]) == [], "every journal is a path of the model (tests/model)"


def test_killed_during_the_checks_its_lock_is_released(cut: Cut) -> None:
    cut.kill_when(lambda: cut.holds(LOCK) != "")
    code, said, progress = cut.promote("run", "v1.8.1")
    assert code in (1, 5), progress
    assert "promote resume" in progress, "the next run names the command for the lock"
    code, said, progress = cut.promote("resume")
    assert (code, said["outcome"]) == (5, "unchecked"), progress
    assert (cut.holds(STABLE), cut.holds(LOCK), cut.holds(PROD)) == (cut.old, "", "")
    assert cut.promote("resume")[:2] == (0, {"outcome": "nothing", "exit": 0}), "a second time there is nothing to do"
    code, said, progress = cut.promote("run", "v1.8.0")
    assert (code, said["outcome"]) == (0, "verified"), progress


def test_killed_after_the_move_it_is_finished_and_proven(cut: Cut) -> None:
    cut.kill_when(lambda: cut.holds(STABLE) != cut.old)
    code, said, progress = cut.promote("resume")
    assert (code, said["outcome"]) == (0, "verified"), progress
    assert cut.holds(STABLE) == cut.holds("refs/tags/prod-working") == cut.holds(PROD)
    assert cut.holds(LOCK) == ""
    (entry,) = cut.sandbox.writer.git("ls-tree", "--name-only", "refs/promote/ledger").splitlines()
    assert json.loads(cut.sandbox.writer.git("show", f"refs/promote/ledger:{entry}"))["outcome"] == "verified"


def test_killed_after_the_move_it_can_be_aborted(cut: Cut) -> None:
    cut.kill_when(lambda: cut.holds(STABLE) != cut.old)
    code, said, progress = cut.promote("abort")
    assert (code, said["outcome"], said["exit"]) == (0, "rolled_back", 0), progress
    assert (cut.holds(STABLE), cut.holds(LOCK)) == (cut.old, "")
    assert "ended by `promote abort`" in progress


def test_aborted_before_the_move_nothing_was_and_is_moved(cut: Cut) -> None:
    cut.kill_when(lambda: cut.holds("refs/tags/dev-v1.8.0") != "" or cut.holds(LOCK) != "")
    code, said, progress = cut.promote("abort")
    assert (code, said["exit"]) == (0, 0), progress
    assert (cut.holds(STABLE), cut.holds(LOCK)) == (cut.old, "")


def test_a_foreign_change_meanwhile_is_left_alone(cut: Cut) -> None:
    cut.kill_when(lambda: cut.holds(STABLE) != cut.old)
    foreign = cut.sandbox.writer.tag("prod-stable", cut.holds("refs/tags/prod-v1.7.3^{commit}"), "hotfix")
    code, said, progress = cut.promote("resume")
    assert (code, said["outcome"]) == (6, "superseded"), progress
    assert (cut.holds(STABLE), cut.holds(LOCK)) == (foreign, "")


def test_it_is_not_taken_from_a_living_process_nor_from_another_clone(cut: Cut, tmp_path: Path) -> None:
    child = cut.start()
    until(lambda: cut.holds(LOCK) != "")
    code, said, progress = cut.promote("abort")
    assert (code, said["outcome"]) == (2, "usage"), progress
    assert f"still running (process {child.pid})" in said["error"]
    code, said, progress = cut.promote("resume", clone=cut.sandbox.clone(tmp_path / "elsewhere"))
    assert (code, said["outcome"]) == (2, "usage"), progress
    assert "it gave its last sign of life" in said["error"] and "promote abort --break-lock" in said["hint"]
    out, progress = child.communicate(timeout=90)
    assert (child.returncode, json.loads(out)["outcome"]) == (0, "verified"), progress


def test_stopped_twice_the_journal_is_left_and_resumed(cut: Cut) -> None:
    """^C once: back first, then proof. ^C again: stop now; the tag is back, but unproven."""
    child = cut.start()
    until(lambda: cut.holds(STABLE) != cut.old)
    child.send_signal(signal.SIGINT)
    until(lambda: cut.holds(STABLE) == cut.old)
    child.send_signal(signal.SIGINT)
    out, progress = child.communicate(timeout=60)
    assert (child.returncode, json.loads(out)["outcome"]) == (4, "stuck"), progress
    assert "promote resume" in progress
    assert cut.holds(LOCK) != ""
    code, said, progress = cut.promote("resume")
    assert (code, said["outcome"]) == (3, "rolled_back"), progress
    assert (cut.holds(STABLE), cut.holds(LOCK)) == (cut.old, "")


@pytest.fixture
def elsewhere(cut: Cut, tmp_path: Path) -> Path:
    """Another machine's clone, for which a promotion is silent after 3 seconds."""
    clone = cut.sandbox.clone(tmp_path / "elsewhere")
    short_beats(clone)
    return clone


def short_beats(clone: Path) -> None:
    path = clone / "promotion.toml"
    path.write_text(path.read_text() + '\n[lock]\nheartbeat = "1s"\n')


def test_another_machine_finishes_it_from_the_lock_alone(cut: Cut, elsewhere: Path) -> None:
    """velero was Degraded before the move: the resuming clone knows that too, or it would not be proven."""
    cut.kill_when(lambda: cut.holds(STABLE) != cut.old)
    until_silent(cut)
    code, said, progress = cut.promote("resume", clone=elsewhere)
    assert (code, said["outcome"]) == (0, "verified"), progress
    assert cut.holds(STABLE) == cut.holds("refs/tags/prod-working") == cut.holds(PROD)
    assert cut.holds(LOCK) == ""
    assert cut.promote("resume")[:2] == (0, {"outcome": "nothing", "exit": 0}), "and where it began there is nothing left to do"


def test_another_machine_brings_production_back_from_the_lock_alone(cut: Cut, elsewhere: Path) -> None:
    cut.kill_when(lambda: cut.holds(STABLE) != cut.old)
    until_silent(cut)
    code, said, progress = cut.promote("abort", clone=elsewhere)
    assert (code, said["outcome"]) == (0, "rolled_back"), progress
    assert (cut.holds(STABLE), cut.holds(LOCK)) == (cut.old, "")


def test_another_machine_releases_a_promotion_that_stopped_before_the_move(cut: Cut, elsewhere: Path) -> None:
    cut.kill_when(lambda: cut.holds(LOCK) != "")
    until_silent(cut)
    code, said, progress = cut.promote("resume", clone=elsewhere)
    assert (code, said["outcome"]) == (5, "unchecked"), progress
    assert (cut.holds(STABLE), cut.holds(LOCK), cut.holds(PROD)) == (cut.old, "", "")


def until_silent(cut: Cut) -> None:
    """Four beats of the other machine's settings after the last sign of life."""
    signs = [ref for ref in (LOCK, "refs/promote/heartbeat") if cut.holds(ref)]
    last = max(datetime.fromisoformat(json.loads(cut.sandbox.writer.git("cat-file", "tag", ref).partition("\n\n")[2])["at"]) for ref in signs)
    until(lambda: (datetime.now(UTC) - last).total_seconds() > 4)


def test_an_orphan_is_resumed_and_a_living_promotion_is_not(cut: Cut, elsewhere: Path) -> None:
    assert cut.promote("resume", "--if-orphaned", "2s", clone=elsewhere)[:2] == (0, {"outcome": "nothing", "exit": 0}), "no promotion runs"
    short_beats(cut.clone)
    for settings in (cut.clone / "promotion.toml", elsewhere / "promotion.toml"):  # the same for both, and as on the trunk
        cut.sandbox.commit({"promotion.toml": settings.read_bytes()}, "chore: hurry")
    subprocess.run(["git", "checkout", "-q", "--", "promotion.toml"], cwd=cut.clone, check=True)
    cut.sandbox.prod.api.fault(Fault(kind="hang", path="/applications", seconds=20))  # a promotion that takes its time
    child = cut.start()
    until(lambda: cut.holds("refs/promote/heartbeat") != "")
    code, said, progress = cut.promote("resume", "--if-orphaned", "3s", clone=elsewhere)
    assert (code, said) == (0, {"outcome": "nothing", "exit": 0}), progress
    assert "not an orphan" in progress
    child.kill()
    child.communicate()
    subprocess.run(["pkill", "-9", "-s", str(child.pid)], check=False)
    cut.sandbox.prod.api.clear_faults()
    until_silent(cut)
    code, said, progress = cut.promote("resume", "--if-orphaned", "3s", clone=elsewhere)
    assert (code, said["outcome"]) == (5, "unchecked"), progress
    assert "watching for 2 s whether it lives" in progress
    assert (cut.holds(STABLE), cut.holds(LOCK)) == (cut.old, "")


def test_a_lock_is_broken_only_after_confirmation(cut: Cut) -> None:
    cut.kill_when(lambda: cut.holds(STABLE) != cut.old)
    moved, lock = cut.holds(STABLE), cut.holds(LOCK)
    code, said, _ = cut.promote("abort", "--break-lock")
    assert (code, said["outcome"]) == (2, "usage")
    assert (
        "has been promoting v1.8.0 since" in said["error"] and "NOT what it was when the lock was taken" in said["error"] and "--yes" in said["hint"]
    )
    assert cut.holds(LOCK) == lock
    code, said, _ = cut.promote("abort", "--break-lock", "--yes")
    assert (code, said["outcome"], said["lock"]) == (0, "lock_broken", lock)
    assert (cut.holds(LOCK), cut.holds(STABLE)) == ("", moved), "no tag is touched"
    assert cut.promote("abort", "--break-lock", "--yes")[:2] == (0, {"outcome": "nothing", "exit": 0})


def test_an_unreadable_lock_can_be_broken(cut: Cut) -> None:
    cut.sandbox.writer.git("update-ref", LOCK, "refs/heads/main")
    code, said, progress = cut.promote("resume")
    assert (code, "is not a lock this version can read" in said["error"], "--break-lock" in said["hint"]) == (5, True, True), progress
    assert cut.promote("abort", "--break-lock", "--yes")[0] == 0
    assert cut.holds(LOCK) == ""


def test_a_lost_baseline_tolerates_nothing(cut: Cut) -> None:
    """velero was Degraded before: without the baseline that is unknown, so the promotion is not called proven."""
    cut.kill_when(lambda: cut.holds(STABLE) != cut.old)
    (cut.clone / "reports" / "v1.8.0" / "baseline.json").unlink()
    cut.sandbox.writer.git("update-ref", "-d", "refs/promote/baseline")
    code, said, progress = cut.promote("resume")
    assert (code, said["outcome"]) == (4, "stuck"), progress
    assert "velero" in said["reason"]


def test_a_move_whose_record_was_not_written_gets_it_when_resumed(cut: Cut) -> None:
    cut.kill_when(lambda: cut.holds(STABLE) != cut.old)
    path = ".promotions/prod-v1.8.0.json"
    cut.sandbox.commit({path: None}, "as if it had been killed a moment earlier") if cut.holds(f"main:{path}") else None
    code, said, progress = cut.promote("resume")
    assert (code, said["record"]) == (0, path), progress
    assert json.loads(cut.sandbox.writer.git("show", f"main:{path}"))["commit"] == cut.holds(f"{STABLE}^{{commit}}")


@pytest.mark.parametrize(("verb", "moved"), [("resume", True), ("abort", False)])
def test_a_rollback_killed_before_its_push(cut: Cut, verb: str, moved: bool) -> None:
    assert cut.promote("run", "v1.8.0")[0] == 0
    shipped = cut.holds(STABLE)
    cut.sandbox.prod.api.fault(Fault(kind="hang", path="/applications", seconds=60))  # its baseline is not to be had
    argv = [sys.executable, "-m", "promote", "rollback"]
    child = subprocess.Popen(argv, cwd=cut.clone, env=cut.sandbox.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    until(lambda: cut.holds(LOCK) != "")
    child.kill()
    child.wait()
    cut.sandbox.prod.api.clear_faults()
    code, said, progress = cut.promote(verb)
    assert (code, said["exit"]) == (0, 0), progress
    assert cut.holds(STABLE) == (cut.old if moved else shipped)
    assert cut.holds(LOCK) == ""


@pytest.fixture
def no_custom_refs(cut: Cut) -> Cut:
    """A remote that takes branches and tags and nothing else."""
    cut.sandbox.writer.git("config", "receive.hideRefs", "refs/promote")
    return cut


def test_where_the_lock_may_not_be_made_the_ref_and_the_way_round_are_named(no_custom_refs: Cut) -> None:
    code, said, progress = no_custom_refs.promote("run", "v1.8.0")
    assert (code, said["outcome"]) == (5, "unchecked"), progress
    assert "a rule forbids to take the lock" in said["reason"] and LOCK in said["reason"]
    assert 'lock.store = "local"' in progress
    assert no_custom_refs.holds(STABLE) == no_custom_refs.old


def test_with_a_lock_in_the_clone_it_ships_and_is_resumed_after_a_crash(no_custom_refs: Cut) -> None:
    cut = no_custom_refs
    text = (cut.clone / "promotion.toml").read_text() + '\n[lock]\nstore = "local"\n'
    cut.sandbox.commit({"promotion.toml": text.encode()}, "chore: keep the lock here")
    cut.kill_when(lambda: cut.holds(STABLE) != cut.old)
    assert cut.holds(LOCK) == "", "the remote has none"
    code, said, progress = cut.promote("run", "v1.8.1")
    assert code in (1, 5) and "has been promoting v1.8.0" in progress, "the clone's own promotions are kept apart"
    code, said, progress = cut.promote("abort")
    assert (code, said["outcome"]) == (0, "rolled_back"), progress
    assert cut.holds(STABLE) == cut.old
    code, said, progress = cut.promote("run", "v1.8.0", "--again")
    assert (code, said["outcome"]) == (0, "verified"), progress
    assert cut.holds(STABLE) == cut.holds("refs/tags/prod-working") == cut.holds(PROD) != cut.old
    assert cut.promote("rollback")[0] == 0
    assert cut.holds(STABLE) == cut.old


def test_put_back_by_hand_after_a_crash_it_is_proven_back(cut: Cut) -> None:
    cut.kill_when(lambda: cut.holds(STABLE) != cut.old)
    cut.sandbox.writer.git("update-ref", STABLE, cut.old)
    cut.sandbox.refresh()
    code, said, progress = cut.promote("resume")
    assert (code, said["outcome"]) == (3, "rolled_back"), progress
    assert "was put back by hand" in progress
    assert (cut.holds(STABLE), cut.holds(LOCK)) == (cut.old, "")


def when_moved(cut: Cut, act: Callable[[], object]) -> None:
    """Act once, before the push that moved the tag is answered."""
    done: list[object] = []

    def look() -> None:
        if cut.holds(STABLE) != cut.old and not done:
            done.append(act())

    cut.sandbox.git.after_push.append(look)


OBSERVERS = {"prometheus": "promql[scraped]", "alertmanager": "alerts"}


@pytest.mark.parametrize("observer", OBSERVERS)
def test_an_observer_that_is_away_holds_a_healthy_production_until_it_is_back(cut: Cut, observer: str) -> None:
    world = getattr(cut.sandbox, observer)
    when_moved(cut, lambda: world.fault(Fault(kind="status", status=500)))
    code, said, progress = cut.promote("run", "v1.8.0")
    assert (code, said["outcome"]) == (4, "stuck"), progress
    assert OBSERVERS[observer] in said["reason"] and "could not be determined for" in said["reason"]
    assert cut.holds(STABLE) != cut.old and cut.holds(LOCK)
    assert cut.promote("status")[0] == 0
    world.clear_faults()
    code, said, progress = cut.promote("resume")
    assert (code, said["outcome"]) == (0, "verified"), progress
    assert cut.holds(STABLE) != cut.old and cut.holds(LOCK) == ""


def test_a_grafana_that_is_away_is_reported_and_holds_nothing(cut: Cut) -> None:
    when_moved(cut, lambda: cut.sandbox.grafana.fault(Fault(kind="status", status=500)))
    code, said, progress = cut.promote("run", "v1.8.0")
    assert (code, said["outcome"]) == (0, "verified"), progress
    assert [check["verdict"] for check in said["checks"] if check["id"] == "grafana"] == ["warning"]


@pytest.mark.parametrize(("verb", "repaired", "exit_code"), [("resume", True, 3), ("resume", False, 3), ("abort", False, 0)])
def test_a_rollback_that_got_stuck_ends_once_status_is_content(cut: Cut, verb: str, repaired: bool, exit_code: int) -> None:
    when_moved(cut, lambda: cut.sandbox.services.fault(Fault(kind="status", path="/gitea", status=500)))
    code, said, progress = cut.promote("run", "v1.8.0")
    assert (code, said["outcome"]) == (4, "stuck"), progress
    assert cut.holds(STABLE) == cut.old and cut.holds(LOCK)
    assert "it is not proven that production followed" not in progress
    assert cut.promote("status")[0] == 0
    if repaired:
        cut.sandbox.services.clear_faults()
    code, said, progress = cut.promote(verb)
    assert (code, said["outcome"]) == (exit_code, "rolled_back"), progress
    assert cut.holds(STABLE) == cut.old and cut.holds(LOCK) == ""
    assert any("smoke-url[gitea]" in warning for warning in said["warnings"]) is not repaired
