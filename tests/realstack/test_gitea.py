"""The tag transaction against a real forge (Gitea): tokens, protected tags and branches, leases, the lock. Judged by `git ls-remote`."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from promote.core.errors import Denied, PromoteError, Rejected, Superseded, Unreachable
from promote.git.push import Pushed, RefUpdate
from promote.git.remote import GitRemote
from promote.sandbox.real.gitea import READ, WRITE, Gitea
from promote.tags.lock import LOCK, UNDO, acquire, read_lock, release
from promote.tags.names import LEDGER
from promote.tags.publish import Published, move_back, publish, undo_commands
from promote.tags.records import last_entry, write_ledger, write_record
from tests.realstack.forge import NOBODY, READER, clone_of, history, listed, repository_of
from tests.robustness import races
from tests.robustness.harness import STABLE, Remote, at_once, lock_of, request_of, settings
from tests.support.repos import git

pytestmark = pytest.mark.gitea
PROD, WORKING = "refs/tags/prod-v1.1.0", "refs/tags/prod-working"


@pytest.fixture(scope="module")
def shared(gitea: Gitea, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    with repository_of(gitea) as made:
        yield history(made, tmp_path_factory.mktemp("forge"))


@pytest.fixture
def there(shared: Remote) -> Remote:
    """As at the start: production at v1.0.0, nothing protected, no lock anywhere."""
    shared.server.protect()
    shared.fresh()
    for end in shared.clones:
        for ref in git(end.root, "for-each-ref", "--format=%(refname)", "refs/promote").split():
            git(end.root, "update-ref", "-d", ref)
    return shared


def promoted(there: Remote) -> Published:
    """v1.1.0, moved by the first clone under a lock of its own."""
    end = there.clones[0]
    lock = acquire(end, lock_of(0, "v1.1.0", there.commits["v1.1.0"], there.start))
    return publish(end, settings(end), request_of(lock))


def test_one_atomic_leased_push_moves_everything(there: Remote) -> None:
    done = promoted(there)
    seen = listed(there.server)
    assert done.lock is not None
    assert seen[STABLE] == seen[PROD] == done.stable.object
    assert seen[f"{STABLE}^{{}}"] == seen[f"{PROD}^{{}}"] == there.commits["v1.1.0"]
    assert (seen[UNDO], seen[LOCK]) == (there.start, done.lock.oid)


def test_lock_undo_and_ledger_live_on_the_forge_and_are_read_from_another_clone(there: Remote) -> None:
    done, (ada, grace) = promoted(there), there.clones
    assert done.lock is not None
    assert write_ledger(ada, "request-0", {"outcome": "verified"}) == ""
    other = read_lock(grace)
    assert other is not None and (other.request_id, other.state) == ("request-0", "promoted")
    assert last_entry(grace) == {"outcome": "verified"}
    assert release(ada, done.lock).outcome is Pushed.DONE
    seen = listed(there.server)
    assert LOCK not in seen and seen[LEDGER] and seen[UNDO] == there.start


@pytest.mark.parametrize("form", ["exact", "plain"])
def test_the_undo_that_is_printed_works_by_plain_git_from_another_clone(there: Remote, form: str) -> None:
    done, grace = promoted(there), there.clones[1]
    exact, plain = undo_commands(settings(grace), stable_now=done.stable.object, back_to=there.start)
    subprocess.run(exact if form == "exact" else plain, shell=True, cwd=grace.root, check=True, capture_output=True)
    assert listed(there.server)[STABLE] == there.start


def test_a_lease_that_does_not_hold_is_stale_and_moves_nothing_of_the_push(there: Remote) -> None:
    ada, grace = there.clones
    elsewhere = git(grace.root, "rev-parse", "dev-v1.2.0")
    assert grace.push(RefUpdate(ref=STABLE, new=elsewhere, expected=there.start)).outcome is Pushed.DONE
    before = listed(there.server)
    wanted = git(ada.root, "rev-parse", "dev-v1.1.0")
    result = ada.push(RefUpdate(ref=UNDO, new=there.start, expected=""), RefUpdate(ref=STABLE, new=wanted, expected=there.start))
    assert result.outcome is Pushed.STALE and "(stale info)" in result.text, result
    assert listed(there.server) == before and before[STABLE] == elsewhere


def test_of_two_pushes_at_once_one_lands_and_the_other_is_stale(there: Remote) -> None:
    """Whether it was late for the lease or lost inside the server, which reports it in other words."""
    tags = [git(there.clones[0].root, "rev-parse", f"dev-v1.{n}.0") for n in (1, 2)]
    for _ in range(3):
        there.fresh()
        updates = [(RefUpdate(ref=STABLE, new=tag, expected=there.start), RefUpdate(ref=LOCK, new=tag, expected="")) for tag in tags]
        answers = at_once([partial(end.push, *two) for end, two in zip(there.clones, updates, strict=True)])
        (won,) = [n for n, answer in enumerate(answers) if answer.outcome is Pushed.DONE]
        assert answers[1 - won].outcome is Pushed.STALE, answers
        seen = listed(there.server)
        assert seen[STABLE] == seen[LOCK] == tags[won]


@pytest.mark.parametrize("kind", races.KINDS)
def test_two_promoters_at_once_have_one_winner(there: Remote, kind: str) -> None:
    for seed in (1, 2):
        there.fresh()
        assert races.RACES[kind](there, seed) == [], f"seed {seed}"
        seen = listed(there.server)
        assert seen[STABLE] in (there.start, *(seen.get(f"refs/tags/prod-{v}") for v in ("v1.1.0", "v1.2.0")))


def test_the_loser_gets_the_name_of_the_lock_holder(there: Remote) -> None:
    ada, grace = there.clones
    lock = acquire(ada, lock_of(0, "v1.1.0", there.commits["v1.1.0"], there.start))
    with pytest.raises(Rejected, match=f"{lock.owner}@{lock.host} has been promoting v1.1.0"):
        acquire(grace, lock_of(1, "v1.2.0", there.commits["v1.2.0"], there.start))
    assert listed(there.server)[LOCK] == lock.oid


TOKENS: dict[str, tuple[Callable[[Gitea], str], str]] = {
    "wrong": (lambda _: "0" * 40, "Authentication failed"),
    "scope read:repository": (lambda forge: forge.token("ada", READ), "403"),
    "scope write, but the account may only read": (lambda forge: forge.token(READER, WRITE), "User permission denied for writing"),
    "the account may not even see it": (lambda forge: forge.token(NOBODY, WRITE), "not found"),
}


@pytest.mark.parametrize("which", TOKENS)
def test_a_token_that_may_not_push_is_denied_and_not_taken_for_a_rule(there: Remote, tmp_path: Path, which: str) -> None:
    make, words = TOKENS[which]
    end, before = clone_of(there, tmp_path, make(there.server.forge)), listed(there.server)
    with pytest.raises(Denied) as told:
        acquire(end, lock_of(0, "v1.1.0", there.commits["v1.1.0"], there.start))
    assert words in told.value.what and "credentials" in told.value.hint, told.value
    assert listed(there.server) == before


@pytest.mark.parametrize("pattern", ["prod-*", "prod-stable", "prod-v1.1.0"])
def test_a_protected_tag_is_a_rule_in_the_forges_words_and_nothing_moves(there: Remote, pattern: str) -> None:
    there.server.protect(f"refs/tags/{pattern}")
    with pytest.raises(Rejected, match=r"a rule forbids to write .*Tag prod-(stable|v1\.1\.0) is protected"):
        promoted(there)
    seen = listed(there.server)
    assert seen[STABLE] == there.start and PROD not in seen and UNDO not in seen


def test_a_tag_protected_after_the_move_refuses_the_way_back_for_good(there: Remote) -> None:
    done, end = promoted(there), there.clones[0]
    assert done.lock is not None
    there.server.protect(STABLE)
    with pytest.raises(Rejected, match="a rule forbids to write refs/tags/prod-stable: .*Tag prod-stable is protected"):
        move_back(end, settings(end), done.lock, to=there.start, replacing=done.stable.object)
    seen = listed(there.server)
    assert (seen[STABLE], seen[LOCK]) == (done.stable.object, done.lock.oid)
    there.server.protect()
    move_back(end, settings(end), done.lock, to=there.start, replacing=done.stable.object)
    assert listed(there.server)[STABLE] == there.start


def test_who_is_allowed_a_protected_tag_may_move_it_and_move_it_back(there: Remote) -> None:
    """The recommendation of docs/forge.md: the account that promotes, and no other."""
    ada, grace = there.clones
    there.server.protect("refs/tags/prod-*", allow=("ada",))
    result = grace.push(RefUpdate(ref=STABLE, new=git(grace.root, "rev-parse", "dev-v1.2.0"), expected=there.start))
    assert (result.outcome, listed(there.server)[STABLE]) == (Pushed.RULE, there.start), result
    done = promoted(there)
    assert done.lock is not None and listed(there.server)[STABLE] == done.stable.object
    move_back(ada, settings(ada), done.lock, to=there.start, replacing=done.stable.object)
    assert listed(there.server)[STABLE] == there.start


def test_a_protected_branch_refuses_the_record_as_a_warning(there: Remote) -> None:
    done, end = promoted(there), there.clones[0]
    there.server.protect("refs/heads/main")
    before = listed(there.server)
    assert done.lock is not None
    warning = write_record(end, settings(end), request_of(done.lock), done)
    assert "was not written to refs/heads/main" in warning and "Not allowed to push to protected branch main" in warning
    assert listed(there.server) == before
    assert write_ledger(end, "request-0", {"outcome": "verified"}) == "", "only the branch is protected"


def test_a_forge_that_does_not_report_permissions_is_no_rule(there: Remote) -> None:
    """Gitea's hook declines a push also when it does not reach its own server: to be tried again, not "refused for good"."""
    before = listed(there.server)
    with there.server.forge.disturbed(), pytest.raises(Unreachable, match="Internal Server Connection Error"):
        promoted(there)
    assert listed(there.server) == before
    assert listed(there.server)[STABLE] != promoted(there).stable.object == listed(there.server)[STABLE]


def test_a_local_ref_is_not_on_the_forge(there: Remote) -> None:
    root = there.clones[0].root
    end = GitRemote(root, "origin", keeps="refs/promote/")
    lock = acquire(end, lock_of(0, "v1.1.0", there.commits["v1.1.0"], there.start))
    done = publish(end, settings(end), request_of(lock))
    assert done.lock is not None and write_ledger(end, "request-0", {"outcome": "verified"}) == ""
    assert (git(root, "rev-parse", LOCK), git(root, "rev-parse", UNDO)) == (done.lock.oid, there.start)
    assert release(end, done.lock, RefUpdate(ref=WORKING, new=done.stable.object, expected="")).outcome is Pushed.DONE
    seen = listed(there.server)
    assert seen[STABLE] == seen[PROD] == seen[WORKING] == done.stable.object
    assert not [ref for ref in seen if ref.startswith("refs/promote/")]
    assert last_entry(end) == {"outcome": "verified"}


def test_the_lease_on_the_tag_alone_keeps_two_apart_who_keep_their_locks_locally(there: Remote) -> None:
    ends = [GitRemote(end.root, "origin", keeps="refs/promote/") for end in there.clones]
    locks = [acquire(end, lock_of(n, f"v1.{n + 1}.0", there.commits[f"v1.{n + 1}.0"], there.start)) for n, end in enumerate(ends)]
    won = publish(ends[0], settings(ends[0]), request_of(locks[0]))
    with pytest.raises((Superseded, PromoteError), match="another user or process|changed meanwhile"):
        publish(ends[1], settings(ends[1]), request_of(locks[1]))
    seen = listed(there.server)
    assert seen[STABLE] == won.stable.object and "refs/tags/prod-v1.2.0" not in seen
