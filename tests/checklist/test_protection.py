"""The checks that the driver judges before any code of the repository runs: real git, and every way we know to make a clone look like the trunk."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from promote.checklist.protection import Proposal, judge_candidate, judge_policy
from promote.config.reader import read_settings
from promote.core.model import CheckResult, Verdict
from promote.core.version import parse_version
from promote.git.remote import GitRemote
from promote.tags.target import resolve_target
from tests.support.repos import Repos, git, make_repos

CHECK = "checks/pre/test_a.py"
FILES = {
    "promotion.toml": '[promotion]\nvia = "git"\n',
    CHECK: "def test_a(): assert False\n",
    "checks/smoke/test_b.py": "def test_b(): assert False\n",
    "checks/helper.py": "LIMIT = 1\n",
    "conftest.py": "LIMIT = 2\n",
}
SOFT = "def test_a(): pass\n"


@pytest.fixture
def repos(tmp_path: Path) -> Repos:
    made = make_repos(tmp_path)
    for path, text in FILES.items():
        made.commit(path, text, "chore: rules")
    git(made.remote, "symbolic-ref", "HEAD", "refs/heads/main")
    return made


def proposal(clone: Path, version: str = "") -> Proposal:
    settings, remote = read_settings(clone / "promotion.toml"), GitRemote(clone, "origin")
    wanted = parse_version(version, settings.version.scheme) if version else None
    return Proposal(git=remote, settings=settings, target=resolve_target(remote, settings, wanted))


def judged(clone: Path, version: str = "") -> dict[str, CheckResult]:
    return {check.id: check for check in judge_candidate(proposal(clone, version))}


def blocking(clone: Path, version: str = "") -> dict[str, Verdict]:
    return {check.id: check.verdict for check in judged(clone, version).values() if check.verdict.blocks}


def test_a_clone_of_the_trunk_passes(repos: Repos) -> None:
    seen = judged(repos.clone)
    assert {check.verdict for check in seen.values()} == {Verdict.PASSED}, seen
    assert seen["policy-unchanged"].evidence["trees"] == {
        path: git(repos.clone, "rev-parse", f"HEAD:{path}") for path in ("checks", "conftest.py", "promotion.toml")
    }


def flagged(flag: str) -> Callable[[Path], str]:
    def act(clone: Path) -> str:
        git(clone, "update-index", flag, CHECK)
        (clone / CHECK).write_text(SOFT)
        return CHECK

    return act


def excluded(path: str, text: str = "import os\n") -> Callable[[Path], str]:
    def act(clone: Path) -> str:
        (clone / ".git/info/exclude").write_text(f"{path}\n")
        (clone / path).parent.mkdir(parents=True, exist_ok=True)
        (clone / path).write_text(text)
        return path

    return act


def filtered(clone: Path) -> str:
    git(clone, "config", "filter.x.clean", "git show :%f")
    (clone / ".git/info/attributes").write_text(f"{CHECK} filter=x\n")
    (clone / CHECK).write_text(SOFT)
    return CHECK


def line_ends(clone: Path) -> str:
    git(clone, "config", "core.autocrlf", "input")
    (clone / CHECK).write_bytes(FILES[CHECK].replace("\n", "\r\n").encode())
    return CHECK


def folder_elsewhere(clone: Path) -> str:
    (clone / "checks").rename(clone.parent / "soft")
    (clone / "checks").symlink_to(clone.parent / "soft")
    git(clone, "config", "core.symlinks", "false")
    return "checks"


def suite_elsewhere(clone: Path) -> str:
    (clone / "checks/pre").rename(clone.parent / "soft")
    (clone / "checks/pre").symlink_to(clone.parent / "soft")
    return "checks/pre"


def file_elsewhere(clone: Path) -> str:
    (clone / CHECK).rename(clone.parent / "same.py")
    (clone / CHECK).symlink_to(clone.parent / "same.py")
    return CHECK


def another_index(clone: Path) -> str:
    """Committed here, so that the clone is clean, and not on the trunk."""
    (clone / CHECK).write_text(SOFT)
    git(clone, "commit", "-qam", "chore: soft")
    return CHECK


def removed(clone: Path) -> str:
    (clone / CHECK).unlink()
    return CHECK


def a_folder_of_its_name(clone: Path) -> str:
    (clone / "promotion.toml").write_text(FILES["promotion.toml"] + "[checklist]\nadvisory = ['tests-passed']\n")
    return "promotion.toml"


WAYS: dict[str, Callable[[Path], str]] = {
    "edited and assume-unchanged": flagged("--assume-unchanged"),
    "edited and skip-worktree": flagged("--skip-worktree"),
    "edited behind a clean filter": filtered,
    "other line ends that git would hide": line_ends,
    "edited and committed here": another_index,
    "edited settings": a_folder_of_its_name,
    "deleted": removed,
    "a conftest that git ignores": excluded("checks/conftest.py"),
    "a conftest beside the checks that git ignores": excluded("checks/smoke/conftest.py"),
    "a package file at the top that git ignores": excluded("__init__.py"),
    "a module beside the checks": excluded("checks/pre/yaml.py"),
    "a compiled module beside the checks": excluded("checks/pre/yaml.pyc"),
    "the folder of all suites is a link": folder_elsewhere,
    "the folder of a suite is a link": suite_elsewhere,
    "a file is a link to the same text": file_elsewhere,
}


@pytest.mark.parametrize("way", WAYS)
def test_rules_that_differ_in_this_clone_alone_are_named_and_refused(repos: Repos, way: str) -> None:
    path = WAYS[way](repos.clone)
    policy = judged(repos.clone)["policy-unchanged"]
    assert policy.verdict is Verdict.FAILED
    assert path in policy.detail.partition("\n")[0], policy.detail


UNDONE = [way for way in WAYS if "link" not in way and "committed" not in way]


@pytest.mark.parametrize("way", UNDONE)
def test_the_printed_command_undoes_it(repos: Repos, way: str) -> None:
    WAYS[way](repos.clone)
    detail = judged(repos.clone)["policy-unchanged"].detail
    command = detail.partition("do   undo it: ")[2].partition("; or have it reviewed")[0]
    subprocess.run(["sh", "-ec", command], cwd=repos.clone, check=True, capture_output=True)
    (repos.clone / ".git/info/attributes").unlink(missing_ok=True)
    assert blocking(repos.clone) == {}, command


def test_what_tools_leave_beside_the_checks_is_no_difference(repos: Repos) -> None:
    for path in ("checks/pre/__pycache__/test_a.cpython-312.pyc", "checks/.pytest_cache/README.md", "reports/v1.0.0/pre/pre.xml"):
        (repos.clone / path).parent.mkdir(parents=True, exist_ok=True)
        (repos.clone / path).write_text("x")
    (repos.clone / CHECK).chmod(0o755)
    assert blocking(repos.clone) == {}


def test_a_suite_outside_of_the_repository_is_undetermined(repos: Repos) -> None:
    repos.commit("promotion.toml", '[suites]\npre = "../checks/pre"\n')
    policy = judged(repos.clone)["policy-unchanged"]
    assert (policy.verdict, "outside of the repository" in policy.detail) == (Verdict.ERRORED, True)


# -- the trunk ---------------------------------------------------------------------------------------------------------------------------------


def unmerged(repos: Repos, settings: str = "") -> str:
    """A commit that only a branch and its own dev tag have, checked out as a CI job does."""
    git(repos.clone, "switch", "-qc", "evil")
    if settings:
        (repos.clone / "promotion.toml").write_text(settings)
    git(repos.clone, "add", "-A")
    git(repos.clone, "commit", "-q", "--allow-empty", "-m", "chore: not reviewed")
    git(repos.clone, "push", "-q", "origin", "evil")
    repos.tag("dev-v1.9.0")
    git(repos.clone, "switch", "-q", "--detach", "dev-v1.9.0")
    return git(repos.clone, "rev-parse", "HEAD")


def test_an_unmerged_commit_is_refused_with_its_tag(repos: Repos) -> None:
    unmerged(repos)
    seen = judged(repos.clone, "v1.9.0")
    assert {i: c.verdict for i, c in seen.items() if c.verdict.blocks} == {"trunk": Verdict.FAILED}
    assert "is not on main of the remote" in seen["trunk"].detail and "dev-v1.9.0 alone ships nothing" in seen["trunk"].detail


def test_a_branch_that_names_itself_the_trunk_is_not_the_trunk(repos: Repos) -> None:
    unmerged(repos, '[repository]\nbranch = "evil"\n')
    seen = judged(repos.clone, "v1.9.0")
    assert {i: c.verdict for i, c in seen.items() if c.verdict.blocks} == {"trunk": Verdict.FAILED}
    assert "the remote's default branch is main" in seen["trunk"].detail
    assert judge_policy(proposal(repos.clone, "v1.9.0")).verdict is Verdict.FAILED


def test_a_trunk_that_is_not_the_default_branch_is_named_by_it_or_by_the_clone(repos: Repos) -> None:
    unmerged(repos, '[repository]\nbranch = "evil"\n')
    git(repos.clone, "config", "promote.trunk", "evil")
    assert blocking(repos.clone, "v1.9.0") == {}
    git(repos.clone, "config", "--unset", "promote.trunk")
    git(repos.clone, "switch", "-q", "main")
    repos.commit("promotion.toml", '[repository]\nbranch = "evil"\n')
    git(repos.clone, "switch", "-q", "--detach", "dev-v1.9.0")
    assert blocking(repos.clone, "v1.9.0") == {}


def test_a_graft_of_this_clone_puts_nothing_on_the_trunk(repos: Repos) -> None:
    evil, main = unmerged(repos), git(repos.clone, "rev-parse", "main")
    (repos.clone / ".git/info/grafts").write_text(f"{main} {git(repos.clone, 'rev-parse', 'main~1')} {evil}\n")
    git(repos.clone, "merge-base", "--is-ancestor", evil, "main")  # git itself believes it
    assert blocking(repos.clone, "v1.9.0") == {"trunk": Verdict.FAILED}


def test_a_shallow_clone_is_undetermined(repos: Repos, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth", "1", repos.remote.as_uri(), "shallow")
    assert blocking(tmp_path / "shallow") == {"trunk": Verdict.ERRORED}


def test_a_file_that_cannot_be_read_is_undetermined(repos: Repos) -> None:
    os.mkfifo(repos.clone / "checks/pre/pipe")
    assert blocking(repos.clone) == {"policy-unchanged": Verdict.FAILED}, "a pipe is never opened"
    (repos.clone / "checks/pre/pipe").unlink()
    (repos.clone / "checks/pre").chmod(0)
    try:
        expected = {} if os.geteuid() == 0 else {"policy-unchanged": Verdict.ERRORED}
        assert blocking(repos.clone) == expected
    finally:
        (repos.clone / "checks/pre").chmod(0o755)
