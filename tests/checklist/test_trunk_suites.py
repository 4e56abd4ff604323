"""The suites that the driver runs are the trunk's, whatever the work tree, git's attributes and the environment look like: real git, real child pytest."""

from __future__ import annotations

import stat
import textwrap
from pathlib import Path

import pytest

from promote.checklist.context import SuiteContext
from promote.checklist.trunk_suites import PREFIX, run_trunk_suite, suites_of_trunk
from promote.config.reader import read_settings
from promote.core.deadline import Deadline
from promote.core.errors import UsageError
from promote.core.model import SuiteResult, Verdict
from promote.git.remote import GitRemote
from tests.support.repos import Repos, git, make_repos

SETTINGS = '[[smoke.urls]]\nname = "a"\nurl = "http://127.0.0.1:9/"\n'
CHECK = "checks/smoke/test_a.py"
GOOD = """\
import os
import sys
from pathlib import Path

import helper
import pytest
import yaml


@pytest.mark.check("smoke-url[a]")
def test_a(promotion, evidence):
    evidence("limit", helper.LIMIT)
    evidence("file", str(Path(__file__).resolve()))
    evidence("root", str(promotion.settings.root))
    evidence("current", str(Path.cwd()))
    evidence("path", sys.path)
"""
BAD = "import pytest\n\n@pytest.mark.check('smoke-url[a]')\ndef test_a(): assert False, 'the work tree'\n"
RAISES = "raise RuntimeError('imported from the wrong place')\n"


@pytest.fixture
def repos(tmp_path: Path) -> Repos:
    made = make_repos(tmp_path)
    git(made.remote, "symbolic-ref", "HEAD", "refs/heads/main")
    for path, text in {"promotion.toml": SETTINGS, CHECK: GOOD, "checks/smoke/helper.py": "LIMIT = 7\n", "apps/a.yaml": "a: 1\n"}.items():
        made.commit(path, text, "chore: rules")
    return made


def context(commit: str) -> SuiteContext:
    return SuiteContext(
        version="v1.0.0", commit=commit, from_tree=False, dev_tag=None, previous=None, stable=None, request_id="r", lock="", state="after",
        baseline_file=None,
    )  # fmt: skip


def run(repos: Repos, settings: str = SETTINGS) -> SuiteResult:
    (repos.clone / "promotion.toml").write_text(settings)
    trunk = git(repos.clone, "rev-parse", "origin/main")
    return run_trunk_suite(
        "smoke", repos.clone / "checks/smoke", git=GitRemote(repos.clone, "origin"), trunk=trunk, settings=read_settings(repos.clone / "promotion.toml"),
        context=context(trunk), reports=repos.clone / "reports", deadline=Deadline(60),
    )  # fmt: skip


def test_the_trunks_checks_run_and_those_of_the_work_tree_do_not(repos: Repos) -> None:
    for path, text in {CHECK: BAD, "checks/conftest.py": RAISES, "conftest.py": RAISES, "checks/smoke/test_b.py": BAD}.items():
        (repos.clone / path).write_text(text)
    git(repos.clone, "update-index", "--assume-unchanged", CHECK)
    result = run(repos, SETTINGS + '[[checklist.disabled]]\nid = "smoke-url"\nreason = "softened here"\n')
    assert result.verdict is Verdict.PASSED, Path(result.log).read_text()
    (check,) = result.checks
    seen = check.evidence
    assert (seen["limit"], seen["root"], seen["current"]) == (7, str(repos.clone), str(repos.clone))
    assert str(seen["file"]).startswith(f"{repos.clone / '.git' / PREFIX}"), "the code lies in the private folder, git and files in the clone"


def test_a_failing_check_of_the_trunk_is_not_softened_by_the_work_tree(repos: Repos) -> None:
    repos.commit(CHECK, BAD, "chore: strict")
    (repos.clone / CHECK).write_text(GOOD)
    git(repos.clone, "update-index", "--skip-worktree", CHECK)
    result = run(repos)
    assert (result.verdict, "the work tree" in result.checks[0].detail) == (Verdict.FAILED, True)


def test_nothing_is_imported_from_the_clone_or_the_environment(repos: Repos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("sitecustomize.py", "yaml.py", "pytest_timeout.py"):
        (mine / name).write_text(RAISES)
    for path in ("yaml.py", "pytest.py", "sitecustomize.py", ".git/conftest.py", "pytest.ini"):
        (repos.clone / path).write_text(RAISES)
    monkeypatch.setenv("PYTHONPATH", str(mine))
    monkeypatch.setenv("PYTHONSTARTUP", str(mine / "yaml.py"))
    result = run(repos)
    assert result.verdict is Verdict.PASSED, Path(result.log).read_text()
    path = result.checks[0].evidence["path"]
    assert isinstance(path, list) and not {str(mine), str(repos.clone), ""} & {*path}


def test_attributes_and_filters_change_no_byte_and_only_the_rules_are_taken(repos: Repos) -> None:
    text = GOOD + "# $Id$ $Format:%H$\n"
    repos.commit(CHECK, text, "chore: a check")
    repos.commit(".gitattributes", "checks/** ident export-subst export-ignore eol=crlf filter=x\n", "chore: attributes")
    git(repos.clone, "config", "filter.x.smudge", "false")
    trunk = git(repos.clone, "rev-parse", "HEAD")
    rules = suites_of_trunk(GitRemote(repos.clone, "origin"), read_settings(repos.clone / "promotion.toml"), trunk)
    assert (rules.checks_root / CHECK).read_bytes() == text.encode()
    assert sorted(p.relative_to(rules.checks_root).as_posix() for p in rules.checks_root.rglob("*") if p.is_file()) == [
        "checks/smoke/helper.py", CHECK, "promotion.toml",
    ]  # fmt: skip
    assert stat.S_IMODE(rules.checks_root.stat().st_mode) == 0o700
    assert rules.root == repos.clone


def test_a_link_among_the_checks_is_followed_and_one_that_leaves_them_is_refused(repos: Repos) -> None:
    (repos.clone / "checks/smoke/also.py").symlink_to("helper.py")
    git(repos.clone, "add", "-A")
    repos.commit("checks/smoke/x.txt", "x", "chore: a link")
    remote, settings = GitRemote(repos.clone, "origin"), read_settings(repos.clone / "promotion.toml")
    rules = suites_of_trunk(remote, settings, git(repos.clone, "rev-parse", "HEAD"))
    assert (rules.checks_root / "checks/smoke/also.py").read_text() == "LIMIT = 7\n"
    (repos.clone / "checks/smoke/out.py").symlink_to("../../apps/a.yaml")
    git(repos.clone, "add", "-A")
    repos.commit("checks/smoke/x.txt", "y", "chore: a link that leaves")
    with pytest.raises(UsageError, match="out.py is a link to"):
        suites_of_trunk(remote, settings, git(repos.clone, "rev-parse", "HEAD"))
    result = run(repos)
    assert (result.verdict, "out.py is a link to" in result.reason) == (Verdict.ERRORED, True)


def test_a_branch_that_names_itself_the_trunk_gives_no_checks(repos: Repos) -> None:
    git(repos.clone, "switch", "-qc", "evil")
    git(repos.clone, "push", "-q", "origin", "evil")
    result = run(repos, f'[repository]\nbranch = "evil"\n{SETTINGS}')
    assert (result.verdict, result.checks) == (Verdict.ERRORED, ())
    assert "the remote's default branch is main" in result.reason


def test_a_trunk_without_settings_judges_nothing(repos: Repos) -> None:
    git(repos.clone, "rm", "-q", "promotion.toml")
    git(repos.clone, "commit", "-qm", "chore: gone")
    git(repos.clone, "push", "-q", "origin", "HEAD:main")
    result = run(repos)
    assert (result.verdict, "has no promotion.toml" in result.reason) == (Verdict.ERRORED, True)


def test_the_suites_may_lie_elsewhere_on_the_trunk_than_here(repos: Repos) -> None:
    repos.commit("ci/smoke/test_a.py", textwrap.dedent(GOOD).replace("import helper\n", "").replace("helper.LIMIT", "9"), "chore: moved")
    repos.commit("promotion.toml", SETTINGS + '[suites]\nsmoke = "ci/smoke"\n', "chore: moved")
    result = run(repos)
    assert result.verdict is Verdict.PASSED, result
    assert result.checks[0].evidence["limit"] == 9
