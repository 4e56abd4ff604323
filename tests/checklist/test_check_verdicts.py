"""Checks called one by one over real git: undetermined when what they read cannot be read."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from promote.checklist.promotion import Promotion, State
from promote.config.reader import settings_from
from promote.config.schema import SmokeUrl
from promote.core.model import Verdict
from promote.core.version import parse_version
from promote.transport.http_probe import HttpClient
from tests.support.declared import proves
from tests.support.repos import Repos, make_repos
from tests.support.verdicts import verdict_of


@pytest.fixture
def repos(tmp_path: Path) -> Repos:
    return make_repos(tmp_path)


def promotion(repos: Repos) -> Promotion:
    """v1.1.0 in this clone, to be moved by the workflow."""
    settings = settings_from({"github": {"repository": "acme/gitops"}}, repos.clone)
    return Promotion(State(settings=settings, version=parse_version("v1.1.0"), context=None))


def judge(check: str, repos: Repos) -> tuple[Verdict, str]:
    here = promotion(repos)
    return verdict_of(check, promotion=here, remote=here.remote)


def remote_gone(repos: Repos) -> None:
    shutil.rmtree(repos.remote)


def clone_unreadable(repos: Repos) -> None:
    (repos.clone / ".git" / "HEAD").write_text("no ref\n")


def index_unreadable(repos: Repos) -> None:
    (repos.clone / ".git" / "index").write_text("no index\n")


UNREADABLE: dict[str, Callable[[Repos], None]] = {
    "on-the-branch": clone_unreadable,
    "clean-tree": index_unreadable,
    "up-to-date": remote_gone,
    "candidate": remote_gone,
    "trunk": remote_gone,
    "policy-unchanged": remote_gone,
    "version-new": remote_gone,
    "stable-tag": remote_gone,
    "no-other-promotion": remote_gone,
    "workflow": remote_gone,
    "way-back": remote_gone,
}


@pytest.mark.parametrize("check", [pytest.param(check, marks=proves("check", check, "errored")) for check in UNREADABLE])
def test_a_check_that_cannot_read_its_source_is_undetermined(repos: Repos, check: str) -> None:
    UNREADABLE[check](repos)
    verdict, detail = judge(check, repos)
    assert verdict is Verdict.ERRORED, detail
    assert "\ndo   " in detail, "it names the next command"


@proves("check", "smoke-url", "errored")
def test_a_url_whose_header_needs_a_missing_variable_is_undetermined(repos: Repos) -> None:
    url = SmokeUrl(name="a", url="http://127.0.0.1:9/", headers=["Authorization: ${API_TOKEN}"])
    verdict, detail = verdict_of("smoke-url", smoke_url=url, promotion=promotion(repos), http=HttpClient())
    assert verdict is Verdict.ERRORED
    assert "API_TOKEN" in detail


@proves("check", "smoke-url", "failed")
def test_a_url_that_does_not_answer_fails(repos: Repos) -> None:
    url = SmokeUrl(name="a", url="http://127.0.0.1:9/", attempts=1)
    verdict, detail = verdict_of("smoke-url", smoke_url=url, promotion=promotion(repos), http=HttpClient())
    assert verdict is Verdict.FAILED
    assert "http://127.0.0.1:9/" in detail
