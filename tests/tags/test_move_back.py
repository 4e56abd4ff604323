"""`promote publish --action=rollback` on real git: where the tag goes by hand and under a lock, and what never moves."""

from __future__ import annotations

from pathlib import Path

import pytest

from promote.cli.main import main
from promote.core.errors import NotFound, Rejected, Superseded, UsageError
from promote.core.version import parse_version
from promote.git.remote import GitRemote
from promote.tags.lock import LOCK, UNDO, Lock, acquire, advance, new_lock
from promote.tags.move_back import BackRequest, MovedBack, publish_back
from promote.tags.publish import fence, move_back, publish
from tests.support.repos import git
from tests.tags.test_publish import Bench

STABLE = "refs/tags/prod-stable"


class Bad(Bench):
    """v1.1.0 is in production and has to go; it replaced an object that no tag but the undo ref holds. `lock` is its promotion's."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        published = publish(self.git, self.settings, self.request(self.lock()))
        assert published.lock is not None
        self.promotion: Lock = published.lock
        self.bad = published.stable.object

    def over(self) -> None:
        """The promotion has ended."""
        git(self.repos.remote, "update-ref", "-d", LOCK)

    def back(self, *, to: str = "", end: GitRemote | None = None, **changes: str) -> MovedBack:
        request = BackRequest(request_id="r2", to=parse_version(to) if to else None, **changes)
        return publish_back(end or self.git, self.settings, request)

    def elsewhere(self) -> GitRemote:
        """A clone that never saw what the promotion replaced: a runner's."""
        git(self.repos.clone.parent, "clone", "-q", "--no-local", str(self.repos.remote), "fresh")
        end = GitRemote(self.repos.clone.parent / "fresh", "origin")
        assert not end.has(self.old)
        return end


@pytest.fixture
def bad(tmp_path: Path) -> Bad:
    return Bad(tmp_path)


def untouched(bad: Bad) -> bool:
    return (bad.repos.holds(STABLE), bad.repos.holds(UNDO)) == (bad.bad, bad.old)


def test_by_hand_it_goes_to_what_the_last_move_replaced_and_no_further(bad: Bad) -> None:
    bad.over()
    moved = bad.back(end=bad.elsewhere())
    assert bad.repos.holds(STABLE) == bad.old == moved.stable.object == bad.repos.holds(UNDO)
    assert moved.replaced == bad.bad == bad.repos.holds("refs/tags/prod-v1.1.0")
    assert not bad.repos.holds(LOCK)
    with pytest.raises(UsageError, match="is there already"):
        bad.back()


def test_by_hand_to_a_named_version_and_never_forward_again(bad: Bad) -> None:
    bad.over()
    assert bad.back(to="v1.0.0").stable.object == bad.repos.holds("refs/tags/prod-v1.0.0") == bad.repos.holds(STABLE)
    assert bad.repos.holds(UNDO) == bad.bad
    with pytest.raises(Rejected, match="a rollback never goes forward"):
        bad.back()
    assert bad.repos.holds(STABLE) == bad.repos.holds("refs/tags/prod-v1.0.0") and not bad.repos.holds(LOCK)


def test_a_version_that_was_never_promoted_lists_those_that_were(bad: Bad) -> None:
    bad.over()
    with pytest.raises(Rejected, match=r"Tag prod-v9\.9\.9 does not exist.*promoted: prod-v1\.0\.0, prod-v1\.1\.0"):
        bad.back(to="v9.9.9")
    git(bad.repos.remote, "update-ref", "-d", UNDO)
    with pytest.raises(Rejected, match=r"refs/promote/undo, which holds.*promoted: prod-v1\.0\.0"):
        bad.back()
    assert bad.repos.holds(STABLE) == bad.bad and not bad.repos.holds(LOCK)


def test_by_hand_it_refuses_while_a_promotion_holds_the_lock(bad: Bad) -> None:
    with pytest.raises(Rejected, match=r"has been promoting v1\.1\.0"):
        bad.back()
    assert untouched(bad) and bad.repos.holds(LOCK) == bad.promotion.oid


def test_under_the_promotions_lock_it_goes_to_what_that_replaced_and_keeps_the_lock(bad: Bad) -> None:
    moved = bad.back(end=bad.elsewhere(), lock_id=bad.promotion.oid, expected_commit=bad.repos.at("refs/tags/prod-v1.0.0"))
    assert bad.repos.holds(STABLE) == bad.old == moved.stable.object
    assert bad.repos.holds(LOCK) not in ("", bad.promotion.oid)


def test_a_resumed_rollback_brings_what_this_clone_never_saw(bad: Bad) -> None:
    move_back(bad.elsewhere(), bad.settings, bad.promotion, to=bad.old, replacing=bad.bad)
    assert bad.repos.holds(STABLE) == bad.old


def test_a_lock_that_was_replaced_authorises_nothing(bad: Bad) -> None:
    fence(bad.git, bad.promotion, state="promoted")
    with pytest.raises(Superseded, match="no longer this promotion's"):
        bad.back(lock_id=bad.promotion.oid)
    assert untouched(bad)


def test_the_lock_of_a_promotion_that_has_not_moved_the_tag_puts_nothing_back(bad: Bad) -> None:
    lock = advance(bad.git, bad.promotion, state="prechecked")
    with pytest.raises(Rejected, match="has moved the tag"):
        bad.back(lock_id=lock.oid)
    assert untouched(bad)


def test_another_commit_than_was_meant_is_refused(bad: Bad) -> None:
    with pytest.raises(Superseded, match="was meant"):
        bad.back(lock_id=bad.promotion.oid, expected_commit=bad.candidate)
    assert untouched(bad)


def test_a_foreign_move_of_the_tag_stays(bad: Bad) -> None:
    foreign = bad.repos.tag("prod-stable", force=True)
    with pytest.raises(Superseded, match="another user or process moved it"):
        bad.back(lock_id=bad.promotion.oid)
    assert bad.repos.holds(STABLE) == foreign


def test_a_branch_of_the_tags_name_is_refused(bad: Bad) -> None:
    bad.over()
    git(bad.repos.clone, "push", "-q", "origin", "HEAD:refs/heads/prod-stable")
    with pytest.raises(Superseded, match="either of the two"):
        bad.back()
    assert untouched(bad)


def test_a_first_promotion_has_nothing_to_be_put_back_to(bad: Bad) -> None:
    bad.over()
    plan: dict[str, object] = {"stable": None, "fallback": None}
    lock = acquire(bad.git, new_lock(request_id="r3", version="v1.1.0", candidate=bad.candidate, stable_before="", state="promoted", plan=plan))
    with pytest.raises(Rejected, match="knows what it replaced"):
        bad.back(lock_id=lock.oid)
    assert untouched(bad)


def test_a_missing_object_is_reported_as_missing(bad: Bad) -> None:
    end = bad.elsewhere()
    git(bad.repos.remote, "update-ref", "-d", UNDO)
    with pytest.raises(NotFound, match=f"object {bad.old} is neither here nor in any tag"):
        bad.back(end=end, lock_id=bad.promotion.oid)
    assert bad.repos.holds(STABLE) == bad.bad


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "no version was given to publish"),
        ([""], "no version was given to publish"),
        (["--action=rollback", "--lock", "0" * 40, "v1.0.0"], "the lock names where to go back to"),
        (["--action=undo"], "invalid choice: 'undo'"),
    ],
)
def test_wrong_arguments(bad: Bad, capsys: pytest.CaptureFixture[str], argv: list[str], words: str) -> None:
    (bad.repos.clone / "promotion.toml").write_text('[github]\nrepository = "acme/gitops"\n')
    assert main(["publish", "-C", str(bad.repos.clone), *argv]) == 2
    assert words in capsys.readouterr().err
    assert untouched(bad)
