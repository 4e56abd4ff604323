"""The tag transaction on real git: what moves, what never moves, and what a late or foreign writer meets."""

from __future__ import annotations

from pathlib import Path

import pytest

from promote.cli.main import main
from promote.config.schema import Settings
from promote.core.errors import Rejected, Superseded
from promote.core.model import Tag
from promote.core.version import parse_version
from promote.git.push import Pushed, RefUpdate
from promote.git.remote import GitRemote
from promote.tags.lock import LOCK, UNDO, Lock, acquire, advance, new_lock, read_lock, release
from promote.tags.names import LEDGER, ref_names
from promote.tags.observation import trailers_of
from promote.tags.publish import Request, fence, move_back, publish
from promote.tags.records import read_ledger, write_ledger, write_record
from tests.support.repos import Repos, git, make_repos

V2 = parse_version("v1.1.0")


class Bench:
    """A remote with a candidate tagged dev-v1.1.0, and our end of it."""

    def __init__(self, folder: Path) -> None:
        self.repos: Repos = make_repos(folder)
        self.old = self.repos.holds("refs/tags/prod-stable")
        self.candidate = self.repos.commit(text="two", message="feat: two")
        self.repos.tag("dev-v1.1.0")
        self.settings = Settings(root=self.repos.clone)
        self.git = GitRemote(self.repos.clone, "origin")

    def lock(self) -> Lock:
        return acquire(self.git, new_lock(request_id="r1", version="v1.1.0", candidate=self.candidate, stable_before=self.old, state="prechecked"))

    def request(self, lock: Lock | None, **changes: str) -> Request:
        values = {"request_id": "r1", "promoted_by": "ada", "expected_commit": self.candidate, "lock_id": lock.oid if lock else ""} | changes
        return Request(version=V2, **values)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_one_push_moves_stable_prod_undo_and_lock_to_one_object(bench: Bench) -> None:
    lock = bench.lock()
    published = publish(bench.git, bench.settings, bench.request(lock))
    at = bench.repos
    assert at.at("refs/tags/prod-stable") == bench.candidate
    assert at.holds("refs/tags/prod-stable") == at.holds("refs/tags/prod-v1.1.0") == published.stable.object
    assert at.holds(UNDO) == bench.old
    assert published.lock is not None
    assert at.holds(LOCK) == published.lock.oid != lock.oid


def test_the_prod_tag_names_user_version_and_origin(bench: Bench) -> None:
    published = publish(bench.git, bench.settings, bench.request(bench.lock()))
    said = trailers_of(bench.git.read_tag(published.stable.object).message)
    assert (said["Version"], said["Commit"], said["Request-Id"], said["Previous-Stable"]) == ("v1.1.0", bench.candidate, "r1", bench.old)
    assert bench.git.chain(published.stable.object) == (published.stable.object, bench.candidate)


def test_a_fenced_run_moves_nothing_even_when_stable_holds_the_old_value_again(bench: Bench) -> None:
    """The ABA case: the lease on stable alone would hold; the lock is what stops the late run."""
    lock = bench.lock()
    fence(bench.git, lock)
    with pytest.raises(Superseded, match="no longer this promotion's"):
        publish(bench.git, bench.settings, bench.request(lock))
    assert bench.repos.holds("refs/tags/prod-stable") == bench.old
    assert not bench.repos.holds("refs/tags/prod-v1.1.0")


@pytest.mark.parametrize(
    "changes",
    [{"state": "prechecking"}, {"version": "v9.9.9"}, {"candidate": "HEAD~1"}],
    ids=["not checked yet", "another version", "another commit"],
)
def test_a_lock_authorises_only_the_move_it_was_written_for(bench: Bench, changes: dict[str, str]) -> None:
    """Its id is no secret: `git ls-remote` shows it."""
    values = {"state": "prechecked", "version": "v1.1.0", "candidate": bench.candidate} | changes
    values["candidate"] = bench.git.commit_of(values["candidate"])
    lock = acquire(bench.git, new_lock(request_id="r1", stable_before=bench.old, **values))
    with pytest.raises(Rejected, match="does not authorise to publish v1.1.0"):
        publish(bench.git, bench.settings, bench.request(lock))
    assert bench.repos.holds("refs/tags/prod-stable") == bench.old


def test_a_token_that_the_remotes_refusal_repeats_is_masked(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    token = "of-a-forge-whose-tokens-have-no-form"
    bench.repos.commit("promotion.toml", text="\n")
    hook = bench.repos.remote / "hooks" / "pre-receive"
    hook.write_text(f"#!/bin/sh\necho 'GH013: Repository rule violations found for {token}' >&2\nexit 1\n")
    hook.chmod(0o755)
    monkeypatch.setenv("GITHUB_TOKEN", token)
    assert main(["publish", "v1.1.0", "-C", str(bench.repos.clone), "--json"]) != 0
    said = capsys.readouterr()
    assert "a rule forbids" in said.out and "a rule forbids" in said.err
    assert token not in said.out + said.err


def test_the_lock_lease_alone_stops_a_push_that_read_before_the_fence(bench: Bench) -> None:
    lock = bench.lock()
    fence(bench.git, lock)
    with pytest.raises(Superseded, match="no longer this promotion's"):
        advance(bench.git, lock, RefUpdate(ref="refs/tags/prod-stable", new=bench.candidate, expected=bench.old), state="promoted")
    assert bench.repos.holds("refs/tags/prod-stable") == bench.old


def test_a_run_whose_lock_was_broken_moves_nothing(bench: Bench) -> None:
    lock = bench.lock()
    git(bench.repos.clone, "push", "-q", "origin", f":{LOCK}")
    with pytest.raises(Superseded, match="it was deleted"):
        publish(bench.git, bench.settings, bench.request(lock))
    assert (bench.repos.holds("refs/tags/prod-stable"), bench.repos.holds(LOCK)) == (bench.old, "")


def test_a_foreign_move_is_never_overwritten(bench: Bench) -> None:
    lock = bench.lock()
    foreign = bench.repos.tag("prod-stable", force=True)
    with pytest.raises(Superseded):
        publish(bench.git, bench.settings, bench.request(lock))
    assert bench.repos.holds("refs/tags/prod-stable") == foreign


def test_a_foreign_move_after_ours_is_not_rolled_back_over(bench: Bench) -> None:
    published = publish(bench.git, bench.settings, bench.request(bench.lock()))
    foreign = bench.repos.tag("prod-stable", force=True)
    assert published.lock is not None
    with pytest.raises(Superseded, match="another user or process moved"):
        move_back(bench.git, bench.settings, published.lock, to=bench.old, replacing=published.stable.object)
    assert bench.repos.holds("refs/tags/prod-stable") == foreign


def test_a_branch_that_hides_the_tag_does_not_keep_it_from_going_back(bench: Bench) -> None:
    """Production is broken meanwhile; the branch is reported by the next look."""
    published = publish(bench.git, bench.settings, bench.request(bench.lock()))
    git(bench.repos.clone, "push", "-q", "origin", "HEAD:refs/heads/prod-stable")
    assert published.lock is not None
    move_back(bench.git, bench.settings, published.lock, to=bench.old, replacing=published.stable.object)
    assert bench.repos.holds("refs/tags/prod-stable") == bench.old


def test_move_back_restores_the_very_object(bench: Bench) -> None:
    published = publish(bench.git, bench.settings, bench.request(bench.lock()))
    assert published.lock is not None
    move_back(bench.git, bench.settings, published.lock, to=bench.old, replacing=published.stable.object)
    assert bench.repos.holds("refs/tags/prod-stable") == bench.old
    assert bench.repos.holds("refs/tags/prod-v1.1.0") == published.stable.object


def test_a_missing_dev_tag_lists_the_available_ones(bench: Bench) -> None:
    request = Request(version=parse_version("v9.9.9"), request_id="r1", promoted_by="ada")
    with pytest.raises(Rejected, match=r"dev-v9\.9\.9 does not exist.*Available dev tags: dev-v1\.1\.0"):
        publish(bench.git, bench.settings, request)


def test_a_dev_tag_re_created_after_the_checks_is_refused(bench: Bench) -> None:
    lock = bench.lock()
    bench.repos.commit(text="three")
    bench.repos.tag("dev-v1.1.0", force=True)
    with pytest.raises(Superseded, match="was checked"):
        publish(bench.git, bench.settings, bench.request(lock))


def test_an_existing_prod_tag_is_refused_and_kept(bench: Bench) -> None:
    kept = bench.repos.tag("prod-v1.1.0", "HEAD~1")
    with pytest.raises(Rejected, match="exists already"):
        publish(bench.git, bench.settings, bench.request(bench.lock()))
    assert bench.repos.holds("refs/tags/prod-v1.1.0") == kept


def test_by_hand_it_takes_and_releases_its_own_lock_and_is_marked_unchecked(bench: Bench) -> None:
    published = publish(bench.git, bench.settings, bench.request(None, expected_commit=""))
    assert bench.repos.at("refs/tags/prod-stable") == bench.candidate
    assert not bench.repos.holds(LOCK)
    assert trailers_of(bench.git.read_tag(published.stable.object).message)["Prechecked"] == "no"


def test_by_hand_it_refuses_while_a_promotion_is_under_way(bench: Bench) -> None:
    bench.lock()
    with pytest.raises(Rejected, match="has been promoting"):
        publish(bench.git, bench.settings, bench.request(None))
    assert bench.repos.holds("refs/tags/prod-stable") == bench.old


def test_a_branch_of_the_tags_name_is_refused(bench: Bench) -> None:
    git(bench.repos.clone, "push", "-q", "origin", "HEAD:refs/heads/prod-stable")
    with pytest.raises(Superseded, match="either of the two"):
        publish(bench.git, bench.settings, bench.request(bench.lock()))


def test_only_one_of_two_gets_the_lock_and_the_other_learns_who_has_it(bench: Bench) -> None:
    bench.lock()
    with pytest.raises(Rejected, match="has been promoting v1.1.0"):
        bench.lock()


def test_a_promoter_that_lost_the_lock_does_not_release_it(bench: Bench) -> None:
    lock = bench.lock()
    theirs = fence(bench.git, lock)
    assert release(bench.git, lock).outcome is not Pushed.DONE
    assert bench.repos.holds(LOCK) == theirs.oid


def test_the_lock_reads_back_as_written(bench: Bench) -> None:
    lock = bench.lock()
    assert read_lock(GitRemote(bench.repos.clone, "origin")) == lock


def test_refs_peel_nested_tags_to_the_commit(bench: Bench) -> None:
    git(bench.repos.clone, "tag", "-a", "nested", "dev-v1.1.0", "-m", "a tag of a tag")
    git(bench.repos.clone, "push", "-q", "origin", "refs/tags/nested")
    tag = bench.git.ref("refs/tags/nested")
    assert tag == Tag(ref="refs/tags/nested", object=bench.repos.holds("refs/tags/nested"), commit=bench.candidate)
    assert len(bench.git.chain(tag.object)) == 3


def test_a_push_of_the_same_object_is_not_taken_for_ours(bench: Bench) -> None:
    """git answers "up to date" without looking at the lease; only a change counts."""
    update = RefUpdate(ref="refs/tags/prod-stable", new=bench.old, expected=bench.candidate)
    assert bench.git.push(update).outcome is not Pushed.DONE


def test_a_push_of_which_only_a_part_is_there_is_not_done(bench: Bench) -> None:
    there = RefUpdate(ref="refs/tags/prod-stable", new=bench.old, expected=bench.old)
    refused = RefUpdate(ref="refs/tags/dev-v1.1.0", new=bench.old, expected=bench.old)
    assert bench.git.push_and_look(there, refused)[0] is False


def test_the_record_lands_on_a_branch_that_moved_meanwhile(bench: Bench) -> None:
    request = bench.request(bench.lock())
    published = publish(bench.git, bench.settings, request)
    moved = bench.repos.commit(path="other.txt")
    assert write_record(bench.git, bench.settings, request, published) == ""
    assert git(bench.repos.remote, "rev-parse", "main~1") == moved
    assert '"version": "v1.1.0"' in git(bench.repos.remote, "show", "main:.promotions/prod-v1.1.0.json")
    assert git(bench.repos.clone, "status", "--porcelain") == ""


def test_the_ledger_is_a_chain_of_commits(bench: Bench) -> None:
    for number in (1, 2):
        assert write_ledger(bench.git, f"r{number}", {"outcome": "verified", "version": "v1.1.0"}) == ""
    assert git(bench.repos.remote, "rev-list", "--count", LEDGER) == "2"


def test_hostile_git_configuration_changes_nothing(bench: Bench) -> None:
    git(bench.repos.clone, "tag", "-a", "local-only", "-m", "must not travel")
    for key, value in {"tag.gpgSign": "true", "push.followTags": "true", "commit.gpgSign": "true", "core.hooksPath": str(bench.repos.clone)}.items():
        git(bench.repos.clone, "config", key, value)
    hook = bench.repos.clone / "pre-push"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    publish(bench.git, bench.settings, bench.request(bench.lock()))
    assert bench.repos.at("refs/tags/prod-stable") == bench.candidate
    assert not bench.repos.holds("refs/tags/local-only")


def test_names_follow_the_settings(bench: Bench) -> None:
    names = ref_names(bench.settings, "v1.1.0")
    assert (names.dev, names.prod, names.stable) == ("refs/tags/dev-v1.1.0", "refs/tags/prod-v1.1.0", "refs/tags/prod-stable")


def test_the_prod_tag_names_the_ledgers_head_so_that_a_rewritten_one_shows(bench: Bench) -> None:
    assert not write_ledger(bench.git, "r0", {"outcome": "verified", "version": "v1.0.0", "request_id": "r0"})
    head = bench.repos.holds(LEDGER)
    publish(bench.git, bench.settings, bench.request(bench.lock()))
    named = trailers_of(bench.git.read_tag(bench.repos.holds("refs/tags/prod-stable")).message)["Ledger"]
    assert named == head
    assert not write_ledger(bench.git, "r1", {"outcome": "verified", "version": "v1.1.0", "request_id": "r1"})
    assert read_ledger(bench.git, named=named) == ({"outcome": "verified", "version": "v1.1.0", "request_id": "r1"}, "")
    forged = bench.git.commit_file(None, "20990101T000000Z-r9.json", '{"outcome": "verified", "version": "v1.1.0", "request_id": "r9"}', "forged")
    git(bench.repos.clone, "push", "-q", "-f", "origin", f"{forged}:{LEDGER}")
    assert read_ledger(bench.git)[0], "without the name nothing shows"
    entry, damaged = read_ledger(bench.git, named=named)
    assert entry == {} and "was rewritten" in damaged
    git(bench.repos.remote, "update-ref", "-d", LEDGER)
    entry, damaged = read_ledger(bench.git, named=named)
    assert entry == {} and "was deleted" in damaged
