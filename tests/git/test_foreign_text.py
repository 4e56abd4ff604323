"""Commits, tags and refs that other people made: each is read as a value, or refused by name, whatever characters and objects it holds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promote.candidate.commits import change_of
from promote.core.errors import PromoteError, ServiceError
from promote.git.objects import history, recent
from promote.git.parse import parse_log, parse_refs, parse_size, parse_tag
from promote.git.remote import GitRemote
from promote.tags.observation import trailers_of
from tests.support.repos import Repos, git, make_repos

SIGNS = ("\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x1f", "\x85", "\u2028", "\u2029", "\r", "\xa0", "\u200b", "\x1b", "\u202e")
NO_COMMIT = "0" * 40


@pytest.fixture
def repos(tmp_path: Path) -> Repos:
    return make_repos(tmp_path)


def made(repos: Repos, kind: str, content: str | bytes) -> str:
    """An object that git's own porcelain would not write."""
    data = content.encode() if isinstance(content, str) else content
    done = subprocess.run(
        ["git", "hash-object", "-t", kind, "-w", "--literally", "--stdin"], cwd=repos.clone, input=data, capture_output=True, check=True
    )
    return done.stdout.decode().strip()


def test_every_sign_in_a_subject_and_an_authors_name_is_read(repos: Repos) -> None:
    remote, start = GitRemote(repos.clone, "origin"), git(repos.clone, "rev-parse", "HEAD")
    for sign in SIGNS:
        message, author = f"fix: a{sign}b\n\nbody {sign} line\n\nCloses: #1{sign}", f"--author=A{sign}B <a@b>"
        git(repos.clone, "commit", "-q", "--allow-empty", "--cleanup=verbatim", author, "-m", message)
    shown, whole = remote.log(f"{start}..HEAD"), history(remote, start, "HEAD")
    assert [(c.subject, c.author) for c in shown] == [(f"fix: a{sign}b", f"A{sign}B") for sign in reversed(SIGNS)]
    assert [c.author for c in whole] == [c.author for c in shown] == [c.author for c in recent(remote, len(SIGNS))]
    assert {change_of(c).kind for c in whole} == {"fix"}
    assert [remote.commit(c.oid) for c in shown] == shown


def test_a_time_outside_of_the_calendar_is_read(repos: Repos) -> None:
    tree = git(repos.clone, "rev-parse", "HEAD^{tree}")
    commit = made(repos, "commit", f"tree {tree}\nauthor a <a@b> 99999999999999 +0000\ncommitter a <a@b> 99999999999999 +9999\n\nx\n")
    assert GitRemote(repos.clone, "origin").commit(commit).when == 0


def test_names_of_refs_are_split_at_line_feeds_alone(repos: Repos) -> None:
    for sign in ("\x85", "\u2028", "\u2029"):
        git(repos.clone, "push", "-q", "origin", f"HEAD:refs/tags/dev-v1{sign}2")
    assert {f"refs/tags/dev-v1{sign}2" for sign in ("\x85", "\u2028", "\u2029")} == set(GitRemote(repos.clone, "origin").refs("refs/tags/dev-*"))


@pytest.mark.parametrize("kind", ["blob", "tree"])
def test_another_object_than_a_commit_is_refused_by_its_kind(repos: Repos, kind: str) -> None:
    oid = git(repos.clone, "rev-parse", "HEAD^{tree}" if kind == "tree" else "HEAD:file.txt")
    remote = GitRemote(repos.clone, "origin")
    with pytest.raises(ServiceError, match=f"is a {kind}, not a commit"):
        remote.commit(oid)
    with pytest.raises(ServiceError, match=f"is a {kind}, not an annotated tag"):
        remote.read_tag(oid)
    assert remote.chain(oid) == (oid,)


def test_tags_of_tags_end_at_a_limit(repos: Repos) -> None:
    oid = git(repos.clone, "rev-parse", "HEAD")
    for depth in range(12):
        kind = "tag" if depth else "commit"
        oid = made(repos, "tag", f"object {oid}\ntype {kind}\ntag t{depth}\ntagger a <a@b> 1 +0000\n\nx\n")
    with pytest.raises(ServiceError, match="nested more than 10 deep"):
        GitRemote(repos.clone, "origin").chain(oid)


@pytest.mark.parametrize(
    "text",
    ["", "tag x\n\nm", "object x\ntag y\n\nm", "object --all\ntype commit\ntag y\n\nm", "object \u2028\ntag y", b"\xff\xfe\x00"],
    ids=["empty", "no object", "no id", "an option", "a separator", "no text"],
)
def test_a_damaged_tag_is_refused(repos: Repos, text: str | bytes) -> None:
    with pytest.raises(ServiceError, match="is a damaged tag"):
        GitRemote(repos.clone, "origin").read_tag(made(repos, "tag", text))


def test_a_second_object_line_does_not_count(repos: Repos) -> None:
    head = git(repos.clone, "rev-parse", "HEAD")
    tag = made(repos, "tag", f"object {head}\ntype commit\ntag v1\nobject {NO_COMMIT}\n\nm")
    assert GitRemote(repos.clone, "origin").read_tag(tag).target == head


def test_a_message_has_a_limit(repos: Repos) -> None:
    head = git(repos.clone, "rev-parse", "HEAD")
    tag = made(repos, "tag", f"object {head}\ntype commit\ntag v1\n\n{'x' * 1_000_001}")
    with pytest.raises(ServiceError, match="more than the 1000000 that are read"):
        GitRemote(repos.clone, "origin").read_tag(tag)


def test_a_file_has_a_limit_where_one_is_asked_for(repos: Repos) -> None:
    commit, remote = repos.commit("big.json", "x" * 200), GitRemote(repos.clone, "origin")
    assert remote.file(commit, "big.json", most=200) == "x" * 200
    with pytest.raises(ServiceError, match="big.json has 200 bytes, more than the 199"):
        remote.file(commit, "big.json", most=199)


@given(st.text())
def test_nothing_that_git_prints_ends_in_a_traceback(text: str) -> None:
    parse_refs(text)
    trailers_of(text)
    for commit in parse_log(text):
        assert isinstance(commit.when, int)
    for read in (lambda: parse_tag("0" * 40, text), lambda: parse_size(text, "x")):
        try:
            read()
        except PromoteError as error:
            assert error.what
