"""The end of a promotion whose lock another user holds by now: that lock stays, and its holder is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from promote.cli.summary import final_lines
from promote.config.schema import Settings
from promote.core.errors import Superseded, UsageError
from promote.core.model import Choices, End, Tag, Verdict
from promote.core.version import parse_version
from promote.git.push import RefUpdate
from promote.git.remote import GitRemote
from promote.promotion.context import Dependencies, Moved, PromotionContext, StepResult, StepStatus
from promote.promotion.finalize import finalize
from promote.promotion.journal import Journal
from promote.promotion.outcome import Direction, read_outcome
from promote.promotion.recovery.takeover import take_over_promotion
from promote.tags.lock import LOCK, acquire, advance, new_lock, release, release_anyway, take_over, write_lock
from promote.tags.publish import Request, publish
from promote.tags.target import Target
from tests.support.repos import Repos, git, make_repos
from tests.support.silent_report import Silent

STABLE = "refs/tags/prod-stable"


class Bench:
    """A promotion of v1.1.0 that holds the lock, ready to be closed."""

    def __init__(self, folder: Path) -> None:
        self.repos: Repos = make_repos(folder)
        self.candidate = self.repos.commit(text="two", message="feat: two")
        end, nobody = GitRemote(self.repos.clone, "origin"), lambda: pytest.fail("nothing but git is needed")
        stable = end.ref(STABLE)
        assert stable
        at: Any = nobody
        tools = Dependencies(settings=Settings(root=self.repos.clone), git=end, report=Silent(), production=at, forge=at, who="us")
        version, trunk = parse_version("v1.1.0"), Tag(ref="refs/heads/main", object=self.candidate, commit=self.candidate)
        target = Target(version=version, commit=self.candidate, from_tree=False, dev_tag=None, stable=stable, branch=trunk, prod_tag=None)
        self.run = PromotionContext(
            deps=tools, target=target, version=version, request_id="r1", journal=Journal.open(folder, "r1"), choices=Choices()
        )
        lock = new_lock(request_id="r1", version="v1.1.0", candidate=self.candidate, stable_before=stable.object, state="promoted")
        self.run.update(lock=acquire(end, lock), stable=stable)

    def stranger(self, folder: Path) -> GitRemote:
        """Another clone of the same remote."""
        git(folder, "clone", "-q", str(self.repos.remote), "elsewhere")
        return GitRemote(folder / "elsewhere", "origin")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_lock_that_is_ours_is_released_without_a_word(bench: Bench) -> None:
    finalize(bench.run, End.VERIFIED, {})
    assert (bench.run.warnings, bench.repos.holds(LOCK)) == ([], "")
    assert bench.repos.holds("refs/tags/prod-working") == bench.repos.holds(STABLE)


def test_a_lock_that_we_renewed_without_hearing_so_is_ours(bench: Bench) -> None:
    assert bench.run.lock
    renewed = advance(bench.run.deps.git, bench.run.lock, state="prechecked")
    assert renewed.oid != bench.run.lock.oid
    finalize(bench.run, End.UNCHECKED, {})
    assert (bench.run.warnings, bench.repos.holds(LOCK)) == ([], "")


def test_a_working_tag_at_what_no_other_clone_has_is_remarked_on_and_holds_nothing_up(bench: Bench, tmp_path: Path) -> None:
    there = bench.stranger(tmp_path)
    git(there.root, "commit", "-q", "--allow-empty", "-m", "hotfix")
    git(there.root, "tag", "-a", "-m", "by hand", "prod-working")
    git(there.root, "push", "-q", "origin", "refs/tags/prod-working")
    finalize(bench.run, End.VERIFIED, {})
    assert bench.repos.holds(LOCK) == ""
    assert bench.repos.holds("refs/tags/prod-working") == bench.repos.holds(STABLE)
    assert [w for w in bench.run.warnings if "prod-working goes back" in w] == bench.run.warnings != []


def test_a_ledger_for_which_there_is_no_room_is_a_warning_and_the_lock_goes(bench: Bench, tmp_path: Path) -> None:
    bench.run.update(moved=Moved.YES)
    bench.run.deps.git.git_dir = tmp_path / "gone"  # where its scratch files would be
    finalize(bench.run, End.VERIFIED, {"outcome": "verified"})
    (warning,) = bench.run.warnings
    assert "refs/promote/ledger" in warning and "gone: No such file or directory" in warning and "cannot write to " in warning
    assert bench.repos.holds(LOCK) == ""


def test_a_lock_whose_remote_is_gone_is_not_reported_as_released(bench: Bench, tmp_path: Path) -> None:
    away = bench.repos.remote.rename(tmp_path / "away")
    finalize(bench.run, End.VERIFIED, {})
    away.rename(bench.repos.remote)
    (warning,) = bench.run.warnings
    assert warning.startswith(f"whether {LOCK} was released is not known: git has no usable remote 'origin'") and "`promote resume`" in warning
    assert bench.run.lock and bench.repos.holds(LOCK) == bench.run.lock.oid


@pytest.mark.parametrize("end", [End.VERIFIED, End.UNCHECKED, End.SUPERSEDED])
def test_who_took_the_lock_over_is_named_and_keeps_it(bench: Bench, tmp_path: Path, end: End) -> None:
    there, lock = bench.stranger(tmp_path), bench.run.lock
    assert lock
    there.fetch(LOCK)
    theirs = write_lock(there, replace(lock, owner="grace", host="laptop-7", holder="hers"))
    assert there.push_and_look(RefUpdate(ref=LOCK, new=theirs.oid, expected=lock.oid))[0]
    finalize(bench.run, end, {})
    (warning,) = bench.run.warnings
    assert warning.startswith(f"{LOCK} is another user's by now: grace@laptop-7 has been promoting v1.1.0 since ")
    assert bench.repos.holds(LOCK) == theirs.oid
    checks = {check.id: check.verdict for check in bench.run.checks}
    assert checks == ({"prod-working-updated": Verdict.FAILED} if end is End.VERIFIED else {}), "it was not ours to move either"
    assert ("prod-working was left where it is" in warning) is (end is End.VERIFIED)


def test_a_takeover_is_written_into_the_lock(bench: Bench, tmp_path: Path) -> None:
    there, lock = bench.stranger(tmp_path), bench.run.lock
    assert lock
    there.fetch(LOCK)
    theirs = take_over(there, replace(lock, owner="grace", host="laptop-7", at="2026-11-25T10:00:00+00:00"))
    assert (theirs.owner, theirs.host) == (lock.owner, lock.host), "this process runs on the machine that took the first lock"
    assert (theirs.state, theirs.at, theirs.since) == (lock.state, "2026-11-25T10:00:00+00:00", lock.since), (
        "since when is the promotion's, not the taker's"
    )


def test_a_move_by_hand_releases_its_own_lock_only(bench: Bench, tmp_path: Path) -> None:
    there, lock = bench.stranger(tmp_path), bench.run.lock
    assert lock
    there.fetch(LOCK)
    theirs = take_over(there, lock)
    assert (release_anyway(bench.run.deps.git, lock), bench.repos.holds(LOCK)) == ("", theirs.oid)
    assert (release_anyway(there, lock), bench.repos.holds(LOCK)) == ("", theirs.oid), "a new holder is another process"
    assert (release_anyway(there, theirs), bench.repos.holds(LOCK)) == ("", "")


def test_a_lock_that_was_broken_is_missed(bench: Bench, tmp_path: Path) -> None:
    there, lock = bench.stranger(tmp_path), bench.run.lock
    assert lock
    release(there, lock)
    finalize(bench.run, End.UNCHECKED, {})
    assert bench.run.warnings == [f"{LOCK} was deleted meanwhile: nothing keeps others from promoting"]


def test_a_lock_that_was_taken_over_after_our_run_moved_is_not_ours_again(bench: Bench, tmp_path: Path) -> None:
    """The same promotion, the same request: only the holder of the lock shows that another machine continues it."""
    bench.repos.tag("dev-v1.1.0")
    assert bench.run.lock
    bench.run.update(lock=advance(bench.run.deps.git, bench.run.lock, state="prechecked"))
    request = Request(version=bench.run.version, request_id="r1", promoted_by="the run", lock_id=bench.run.lock.oid)
    moved = publish(bench.run.deps.git, bench.run.settings, request)
    assert (look(bench), bench.run.lock) == ("", moved.lock), "our run moved it: the lock goes on with us"
    there = bench.stranger(tmp_path)
    there.fetch(LOCK)
    assert moved.lock
    take_over(there, moved.lock)
    with pytest.raises(Superseded, match="is no longer this promotion's"):
        look(bench)


def look(bench: Bench) -> str:
    """What is wrong with a move forward, as read from the refs; "" when it is as asked for."""
    return read_outcome(bench.run, Direction.FORWARD).problem


def _moved_by(bench: Bench, *, request_id: str = "r1", prod: bool = True) -> None:
    """Production's tag is moved while our lock, or another promotion's, is there; with its prod tag or without."""
    tag = bench.repos.tag("prod-v1.1.0")
    lock, end = bench.run.lock, bench.run.deps.git
    assert lock
    theirs = write_lock(end, replace(lock, request_id=request_id))
    names = [STABLE, *(["refs/tags/prod-v1.1.0"] if prod else [])]
    if not prod:
        git(bench.repos.clone, "push", "-q", "origin", ":refs/tags/prod-v1.1.0")
    git(bench.repos.clone, "push", "-q", "--force", "origin", f"{theirs.oid}:{LOCK}", *(f"{tag}:{name}" for name in names))


def test_a_move_that_our_run_made_is_ours(bench: Bench) -> None:
    _moved_by(bench)
    assert look(bench) == ""


def test_a_move_of_another_promotion_is_not_ours(bench: Bench) -> None:
    _moved_by(bench, request_id="r2")
    with pytest.raises(Superseded, match="this promotion did not put it there"):
        look(bench)


def test_a_move_without_its_prod_tag_is_not_ours(bench: Bench) -> None:
    _moved_by(bench, prod=False)
    with pytest.raises(Superseded, match="this promotion did not put it there"):
        look(bench)


def test_a_lock_made_by_hand_has_too_little_to_be_resumed(bench: Bench) -> None:
    with pytest.raises(UsageError, match="does not say what it was about"):
        take_over_promotion(bench.run.deps)


def test_how_long_production_was_bad_is_omitted_without_the_days(bench: Bench) -> None:
    bench.run.update(moved=Moved.YES)
    bench.run.bad_since = datetime.now(UTC) - timedelta(hours=25)
    (first, *_) = final_lines(bench.run, End.ROLLED_BACK, StepResult(status=StepStatus.PASSED))
    assert "Bad for 900" in first, "90,000 s, not 3,600"
