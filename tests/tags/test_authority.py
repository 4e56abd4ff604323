"""What may move production's tag, asked by a user who may push branches, dev tags and every ref under `refs/promote/`, but no prod tag."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from promote.cli.main import main
from promote.config.schema import Settings
from promote.core.errors import NotFound, Rejected, UsageError
from promote.core.model import Tag
from promote.git.remote import GitRemote
from promote.tags.authority import WayBack, require_on_trunk, trunk_settings
from promote.tags.lock import LOCK, UNDO, Lock, UnreadableLock, acquire, new_lock
from promote.tags.publish import publish
from tests.support.repos import git
from tests.tags.test_publish import Bench

STABLE = "refs/tags/prod-stable"
CHECKED_ONLY = "[promotion]\nallow_unchecked = false\n"


class Hostile(Bench):
    """The bench with settings on the trunk, and a commit that was pushed and never merged."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.merged = self.candidate
        self.repos.commit("promotion.toml", CHECKED_ONLY, "chore: settings")
        git(self.repos.clone, "switch", "-qc", "evil")
        git(self.repos.clone, "commit", "-q", "--allow-empty", "-m", "chore: harmless")
        self.evil = git(self.repos.clone, "rev-parse", "HEAD")
        git(self.repos.clone, "push", "-q", "origin", "HEAD:refs/heads/evil")

    def publish(self, *argv: str) -> int:
        return main(["publish", "-C", str(self.repos.clone), *argv])

    def forge_lock(self, **content: object) -> Lock:
        known: dict[str, object] = {"request_id": "r1", "version": "v1.1.0", "candidate": self.evil, "stable_before": self.old, "state": "prechecked"}
        return acquire(self.git, new_lock(**{**known, **content}))  # type: ignore[arg-type]


@pytest.fixture
def hostile(tmp_path: Path) -> Hostile:
    return Hostile(tmp_path)


def test_a_lock_authorises_no_commit_that_was_never_merged(hostile: Hostile, capsys: pytest.CaptureFixture[str]) -> None:
    hostile.repos.tag("dev-v1.1.0", hostile.evil, force=True)
    lock = hostile.forge_lock()
    assert hostile.publish(f"--lock={lock.oid}", f"--expected-commit={hostile.evil}", "v1.1.0") == 1
    assert "which is not on main: only merged commits go to production" in capsys.readouterr().err
    assert hostile.repos.holds(STABLE) == hostile.old


def test_a_lock_alone_is_no_evidence_of_a_pre_suite(hostile: Hostile, capsys: pytest.CaptureFixture[str]) -> None:
    lock = hostile.forge_lock(candidate=hostile.merged)
    assert hostile.publish(f"--lock={lock.oid}", "v1.1.0") == 1
    assert "the lock alone is no evidence" in capsys.readouterr().err
    assert hostile.repos.holds(STABLE) == hostile.old


def test_the_settings_of_the_branch_that_is_checked_out_do_not_count(hostile: Hostile, capsys: pytest.CaptureFixture[str]) -> None:
    (hostile.repos.clone / "promotion.toml").write_text('[promotion]\nallow_unchecked = true\n[repository]\nbranch = "evil"\n')
    assert hostile.publish("v1.1.0") == 1
    assert "promotion.allow_unchecked is false" in capsys.readouterr().err
    assert hostile.repos.holds(STABLE) == hostile.old


def test_a_trunk_without_settings_moves_nothing(bench_without: Bench) -> None:
    with pytest.raises(UsageError, match="there is no promotion.toml of main"):
        trunk_settings(bench_without.git, bench_without.settings)


@pytest.fixture
def bench_without(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_an_old_lock_that_is_pushed_again_authorises_nothing(hostile: Hostile) -> None:
    passed = (datetime.now(UTC) - timedelta(days=3)).isoformat()
    lock = acquire(hostile.git, hostile_lock(hostile, passed))
    with pytest.raises(Rejected, match=r"its pre suite passed 72\.0 h ago, and a promotion lasts at most 2\.0 h"):
        publish(hostile.git, hostile.settings, hostile.request(lock))
    assert hostile.repos.holds(STABLE) == hostile.old


@pytest.mark.parametrize("at", ["", "yesterday", "9999", "2026-13-41T00:00:00+00:00"])
def test_a_lock_without_a_time_that_can_be_read_authorises_nothing(hostile: Hostile, at: str) -> None:
    lock = acquire(hostile.git, hostile_lock(hostile, at))
    with pytest.raises(UnreadableLock):
        publish(hostile.git, hostile.settings, hostile.request(lock))
    assert hostile.repos.holds(STABLE) == hostile.old


def hostile_lock(hostile: Hostile, at: str) -> Lock:
    return Lock(
        request_id="r1", version="v1.1.0", candidate=hostile.merged, stable_before=hostile.old, state="prechecked", owner="eve", host="h",
        since=at, at=at,
    )  # fmt: skip


@pytest.mark.parametrize("where", ["evil", "dev-v1.1.0"])
def test_the_undo_ref_leads_only_to_what_production_ran(hostile: Hostile, capsys: pytest.CaptureFixture[str], where: str) -> None:
    hostile.repos.tag("dev-v1.1.0", hostile.evil, force=True)
    git(hostile.repos.clone, "push", "-q", "-f", "origin", f"{where}:{UNDO}")
    assert hostile.publish("--action=rollback") == 1
    assert "which no promotion put there" in capsys.readouterr().err
    assert hostile.repos.holds(STABLE) == hostile.old and not hostile.repos.holds(LOCK)


def test_a_lock_that_asks_for_a_rollback_leads_only_to_what_production_ran(hostile: Hostile, capsys: pytest.CaptureFixture[str]) -> None:
    plan = {"asked_rollback": True, "stable": {"ref": STABLE, "object": hostile.evil, "commit": hostile.evil}, "undo_moves": False}
    lock = hostile.forge_lock(state="rolling_back", plan=plan)
    assert hostile.publish("--action=rollback", f"--lock={lock.oid}") == 1
    assert "which no promotion put there" in capsys.readouterr().err
    assert hostile.repos.holds(STABLE) == hostile.old


def test_a_rollback_never_goes_forward(hostile: Hostile, capsys: pytest.CaptureFixture[str]) -> None:
    hostile.repos.tag("prod-v1.1.0", hostile.merged)
    assert hostile.publish("--action=rollback", "v1.1.0") == 1
    assert "a rollback never goes forward" in capsys.readouterr().err
    assert hostile.repos.holds(STABLE) == hostile.old


def stable_of(bench: Bench) -> Tag:
    return Tag(ref=STABLE, object=bench.repos.holds(STABLE), commit=bench.repos.at(STABLE))


def test_what_a_promotion_replaced_is_a_way_back_even_without_a_prod_tag(hostile: Hostile) -> None:
    publish(hostile.git, hostile.settings, hostile.request(acquire(hostile.git, new(hostile))))
    back = Tag(ref=STABLE, object=hostile.old, commit=hostile.repos.at("refs/tags/prod-v1.0.0"))
    WayBack.read(hostile.git, hostile.settings, stable_of(hostile)).require(hostile.git, hostile.settings, back)


def test_a_stable_tag_that_no_promotion_made_is_not_believed(hostile: Hostile) -> None:
    message = f"Promotion\n\nPrevious-Stable: {hostile.evil}\n"
    forged = hostile.git.make_tag(name="prod-v1.1.0", commit=hostile.merged, message=message)
    git(hostile.repos.clone, "push", "-q", "-f", "origin", f"{forged}:{STABLE}")
    way = WayBack.read(hostile.git, hostile.settings, stable_of(hostile))
    with pytest.raises(Rejected, match="which no promotion put there"):
        way.require(hostile.git, hostile.settings, Tag(ref=STABLE, object=hostile.evil, commit=hostile.evil))


def test_the_way_back_of_a_first_promotion_is_a_commit_of_the_trunk(hostile: Hostile) -> None:
    git(hostile.repos.remote, "update-ref", "-d", STABLE)
    publish(hostile.git, hostile.settings, hostile.request(acquire(hostile.git, new(hostile, stable_before=""))))
    way, first = WayBack.read(hostile.git, hostile.settings, stable_of(hostile)), hostile.repos.at("refs/tags/prod-v1.0.0")
    git(hostile.repos.remote, "update-ref", "-d", "refs/tags/prod-v1.0.0")
    way.require(hostile.git, hostile.settings, Tag(ref=STABLE, object=first, commit=first))
    with pytest.raises(Rejected, match="which no promotion put there"):
        way.require(hostile.git, hostile.settings, Tag(ref=STABLE, object=hostile.evil, commit=hostile.evil))


def new(hostile: Hostile, **changes: str) -> Lock:
    known = {"request_id": "r1", "version": "v1.1.0", "candidate": hostile.merged, "stable_before": hostile.old, "state": "prechecked"}
    return new_lock(**{**known, **changes})  # type: ignore[arg-type]


def test_a_shallow_clone_does_not_know_what_was_merged(hostile: Hostile, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{hostile.repos.remote}", "shallow")
    shallow = GitRemote(tmp_path / "shallow", "origin")
    shallow.fetch("refs/heads/evil")
    git(shallow.root, "fetch", "-q", "--depth=1", "origin", "dev-v1.1.0")
    with pytest.raises(NotFound, match="this clone is shallow") as error:
        require_on_trunk(shallow, Settings(root=shallow.root), hostile.merged, "dev-v1.1.0")
    assert "--unshallow" in error.value.hint


def test_a_workflow_that_could_not_know_of_the_pre_suite_is_refused_before_it_runs(hostile: Hostile, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "-C", str(hostile.repos.clone), "v1.1.0"]) == 2
    assert 'a workflow (promotion.via = "workflow") has no evidence' in capsys.readouterr().err
    assert not hostile.repos.holds(LOCK)
