"""Which commit is meant, with real git: flags, one question with a safe default, and what a first promotion needs."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from promote.cli.run import choices_of
from promote.config.schema import Settings
from promote.core.errors import Rejected, UsageError
from promote.core.model import Choices
from promote.core.version import parse_version
from promote.git.remote import GitRemote
from promote.promotion.choose_candidate import bring_forward, choose
from tests.support.repos import Repos, git, make_repos

VERSION = parse_version("v1.1.0", "semver")


@pytest.fixture
def repos(tmp_path: Path) -> Repos:
    return make_repos(tmp_path)


def deps(repos: Repos) -> Any:
    return SimpleNamespace(settings=Settings(root=repos.clone), git=GitRemote(repos.clone, "origin"))


def never(text: str) -> str:
    raise AssertionError(f"asked: {text}")


def answer(word: str) -> Any:
    asked: list[str] = []

    def ask(text: str) -> str:
        asked.append(text)
        assert len(asked) == 1, "a question is asked once"
        return word

    return ask


def flags(**given: Any) -> argparse.Namespace:
    every = {
        "tagged": False,
        "recreate_dev": False,
        "recreate_prod": False,
        "first": False,
        "first_fallback": None,
        "downgrade": False,
        "again": False,
    }
    return argparse.Namespace(**{**every, **given})


def tagged_then_moved_on(repos: Repos) -> tuple[str, str]:
    tagged = repos.commit(text="two")
    repos.tag("dev-v1.1.0")
    return tagged, repos.commit(text="three")


def test_without_a_dev_tag_head_is_meant_and_nothing_is_asked(repos: Repos) -> None:
    head = repos.commit(text="two")
    target, _ = choose(deps(repos), VERSION, Choices(), tagged=False, ask=never)
    assert (target.commit, target.from_tree) == (head, True)


@pytest.mark.parametrize(("word", "which"), [("t", 0), ("tagged", 0), ("r", 1)])
def test_the_question_settles_which(repos: Repos, word: str, which: int) -> None:
    commits = tagged_then_moved_on(repos)
    target, choices = choose(deps(repos), VERSION, Choices(), tagged=False, ask=answer(word))
    assert (target.commit, choices.recreate_dev, target.from_tree) == (commits[which], which == 1, which == 1)


@pytest.mark.parametrize("word", ["", "s", "stop", "yes", "T r"])
def test_anything_else_stops(repos: Repos, word: str) -> None:
    tagged_then_moved_on(repos)
    with pytest.raises(UsageError) as stopped:
        choose(deps(repos), VERSION, Choices(), tagged=False, ask=answer(word))
    assert "--tagged" in stopped.value.hint
    assert "--recreate-dev" in stopped.value.hint


def test_flags_answer_it(repos: Repos) -> None:
    tagged, head = tagged_then_moved_on(repos)
    assert choose(deps(repos), VERSION, Choices(), tagged=True, ask=never)[0].commit == tagged
    assert choose(deps(repos), VERSION, Choices(recreate_dev=True), tagged=False, ask=never)[0].commit == head
    assert choose(deps(repos), VERSION, Choices(again=True), tagged=False, ask=never)[0].commit == tagged
    with pytest.raises(UsageError, match="contradict"):
        choices_of(flags(tagged=True, recreate_dev=True))


def test_records_of_promotions_after_the_tag_mean_nothing(repos: Repos) -> None:
    tagged = repos.commit(text="two")
    repos.tag("dev-v1.1.0")
    repos.commit(path=".promotions/prod-v1.0.0.json", text="{}")
    assert choose(deps(repos), VERSION, Choices(), tagged=False, ask=never)[0].commit == tagged
    repos.commit(path="apps/x.yaml", text="a: 1")
    with pytest.raises(UsageError):
        choose(deps(repos), VERSION, Choices(), tagged=False, ask=answer(""))


def test_a_first_promotion_needs_that_there_is_no_tag(repos: Repos) -> None:
    choices = choices_of(flags(first=True))
    with pytest.raises(UsageError, match="not the first promotion"):
        choose(deps(repos), VERSION, choices, tagged=False, ask=never)
    git(repos.clone, "push", "-q", "origin", ":refs/tags/prod-stable")
    target, _ = choose(deps(repos), VERSION, choices, tagged=False, ask=never)
    assert (target.stable, target.back) == (None, None)


def test_the_way_back_of_a_first_promotion_is_a_commit_of_the_trunk(repos: Repos) -> None:
    first = git(repos.clone, "rev-parse", "HEAD")
    repos.commit(text="two")
    git(repos.clone, "push", "-q", "origin", ":refs/tags/prod-stable")
    choices = choices_of(flags(first_fallback="HEAD~1"))
    target, settled = choose(deps(repos), VERSION, choices, tagged=False, ask=never)
    assert target.back is not None
    assert (target.back.object, settled.fallback, settled.describe()) == (first, first, ["--first", f"--first-fallback {first[:7]}"])
    with pytest.raises(UsageError, match="no such commit"):
        choose(deps(repos), VERSION, replace(choices, fallback="nonsense"), tagged=False, ask=never)
    git(repos.clone, "commit", "-q", "--allow-empty", "-m", "only here")
    with pytest.raises(Rejected, match="not on main"):
        choose(deps(repos), VERSION, replace(choices, fallback="HEAD"), tagged=False, ask=never)


def test_a_clone_that_is_behind_is_brought_forward_only_when_nothing_can_be_lost(repos: Repos) -> None:
    here = deps(repos)
    head = repos.commit(text="two")
    git(repos.clone, "reset", "-q", "--hard", "HEAD~1")
    (repos.clone / "draft.txt").write_text("mine")
    assert bring_forward(here.settings, here.git) == (0, head)
    (repos.clone / "draft.txt").unlink()
    assert bring_forward(here.settings, here.git) == (1, head)
    assert git(repos.clone, "rev-parse", "HEAD") == head
