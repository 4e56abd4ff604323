"""Whose repository an address is, by the refs that are read there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from promote.config.schema import Repository
from promote.git.addresses import identify, is_same, our_addresses
from promote.git.remote import GitRemote
from promote.git.url import Addresses
from promote.sandbox.git.server import GitServer
from tests.support.repos import Repos, git, make_repos

STABLE = "refs/tags/prod-stable"
LOCK, HEARTBEAT = "refs/promote/lock", "refs/promote/heartbeat"


class Served:
    """Our repository behind an HTTP server, a clone whose remote is that server, and copies behind servers of their own."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.repos: Repos = make_repos(folder)
        self.server = self.serve(self.repos.remote)
        git(self.repos.clone, "remote", "set-url", "origin", self.server.repository_url)
        self.git = GitRemote(self.repos.clone, "origin")
        self.ours = our_addresses(self.git, Repository())

    def serve(self, path: Path, *, private: bool = False) -> GitServer:
        server = GitServer(path, "acme/gitops", private=private)
        server.start()
        self.stack.callback(server.stop)
        return server

    def copy(self, name: str) -> Path:
        """A mirror at this moment."""
        git(self.folder, "clone", "-q", "--mirror", str(self.repos.remote), f"{name}.git")
        return self.folder / f"{name}.git"

    def lock(self) -> None:
        git(self.repos.remote, "update-ref", LOCK, self.repos.holds(STABLE))

    def asked(self, url: str) -> Addresses:
        return identify(self.git, self.ours, [url], STABLE)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with ExitStack() as stack:
        yield Served(tmp_path, stack)


def test_the_same_server_under_another_name_is_ours(served: Served) -> None:
    served.lock()
    alias = served.server.repository_url.replace("127.0.0.1", "localhost")
    assert served.ours.unclear(alias)
    assert alias in served.asked(alias)


def test_a_fork_with_our_tag_as_it_is_now_stays_unclear(served: Served) -> None:
    fork = served.copy("fork")
    served.lock()
    found = served.asked(served.serve(fork).repository_url)
    assert found.unclear(served.serve(fork).repository_url)


def test_a_mirror_that_lags_behind_is_not_ours_any_more(served: Served) -> None:
    mirror = served.serve(served.copy("mirror")).repository_url
    assert mirror in served.asked(mirror)
    git(served.repos.clone, "remote", "set-url", "--push", "origin", str(served.repos.remote))
    served.repos.commit(text="two")
    served.repos.tag("prod-stable", force=True)
    assert served.asked(mirror).unclear(mirror)


def test_a_repository_that_shares_nothing_with_ours_is_foreign(served: Served, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = make_repos(tmp_path / "other")
    git(other.clone, "commit", "-q", "--amend", "--no-edit", "--author", "Bob <bob@acme.example>")
    git(other.clone, "push", "-qf", "origin", "HEAD:main")
    for name in ("prod-v1.0.0", "prod-stable"):
        other.tag(name, force=True)
    url = served.serve(other.remote).repository_url
    found = served.asked(url)
    assert url not in found and not found.unclear(url)


def test_an_address_that_cannot_be_read_stays_unclear(served: Served) -> None:
    private = served.serve(served.repos.remote, private=True).repository_url
    for url in (private, "http://127.0.0.1:9/acme/gitops.git", f"file://{served.repos.remote}", f"ext::cat {served.repos.remote}", "--upload-pack=x"):
        assert served.asked(url).unclear(url), url


def test_no_token_of_ours_is_sent_there(served: Served) -> None:
    private = served.serve(served.repos.remote, private=True)
    git_with_token = GitRemote(served.repos.clone, "origin", token=private.token)
    found = identify(git_with_token, served.ours, [private.repository_url], STABLE)
    assert found.unclear(private.repository_url)


def test_the_address_as_written_and_with_instead_of_are_both_ours(served: Served) -> None:
    url = served.server.repository_url
    git(served.repos.clone, "config", f"url.{url}.insteadOf", "https://github.com/acme/gitops")
    git(served.repos.clone, "remote", "set-url", "origin", "https://github.com/acme/gitops")
    found = our_addresses(GitRemote(served.repos.clone, "origin"), Repository(addresses=["http://gitea.svc/acme/gitops"], foreign=["git@x:y/z"]))
    assert url in found and "git@github.com:Acme/gitops.git" in found and "http://gitea.svc/acme/gitops.git" in found
    assert not found.unclear("https://x/y/z")


def test_our_own_refs_tell_a_fork_from_a_mirror() -> None:
    ours = {STABLE: "1", "refs/heads/main": "2", LOCK: "3", HEARTBEAT: "4"}
    assert is_same(ours, {**ours, HEARTBEAT: "5"}, STABLE)
    assert not is_same(ours, {k: v for k, v in ours.items() if k != LOCK}, STABLE)
    assert not is_same(ours, {**ours, STABLE: "9"}, STABLE)
    assert not is_same({"refs/heads/main": "2"}, {"refs/heads/main": "2"}, STABLE)
    plain = {STABLE: "1", "refs/heads/main": "2"}
    assert is_same(plain, {**plain, "refs/pull/1/head": "7"}, STABLE)
    assert not is_same(plain, {**plain, "refs/heads/more": "7"}, STABLE)
