"""A repository that is not what promote expects, and one that is only unusual. Every test has its line in docs/bad-surroundings.md."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.outside import Outside, outside, without_git


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    with outside(tmp_path_factory.mktemp("repository")) as world:
        yield world


@pytest.fixture
def clone(world: Outside) -> Path:
    return world.clone()


def settings_only(world: Outside, folder: Path) -> Path:
    """A folder with nothing but our promotion.toml, which no repository is around."""
    folder.mkdir()
    (folder / "promotion.toml").write_bytes((world.clone() / "promotion.toml").read_bytes())
    world.env["GIT_CEILING_DIRECTORIES"] = str(folder.parent)
    return folder


# -- no place to work in ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["status", "tag-dev", "run", "publish"])
def test_no_repository(world: Outside, tmp_path: Path, verb: str) -> None:
    where = settings_only(world, tmp_path / "plain")
    args = [verb] if verb == "status" else [verb, "v9.9.9"]
    told = world.refused(where, *args, code=2, says=[f"{where} is not in a git repository", "go to the clone"])
    assert "remote" not in told.err


def test_no_remote(world: Outside, clone: Path) -> None:
    world.git(clone, "remote", "rename", "origin", "upstream")
    world.refused(clone, "tag-dev", "v9.9.9", code=2, says=["no usable remote 'origin'", "there is upstream", "git remote -v", "repository.remote"])


def test_no_remote_at_all(world: Outside, clone: Path) -> None:
    world.git(clone, "remote", "remove", "origin")
    world.refused(clone, "status", code=2, says=["no usable remote 'origin'", "there is none at all"])


def test_bare_repository(world: Outside, tmp_path: Path) -> None:
    bare = tmp_path / "bare.git"
    world.git(tmp_path, "clone", "-q", "--bare", world.sandbox.git.repository_url, str(bare))
    (bare / "promotion.toml").write_bytes((world.clone() / "promotion.toml").read_bytes())
    world.refused(bare, "tag-dev", "v9.9.9", code=2, says=["is a bare repository", f"git clone {bare}"])


def test_inside_the_git_directory(world: Outside, clone: Path) -> None:
    (clone / ".git" / "promotion.toml").write_bytes((clone / "promotion.toml").read_bytes())
    world.refused(clone, "status", "-C", ".git", code=2, says=["is a git directory, not a work tree", "go to the top of the clone"])


def test_no_commit_yet(world: Outside, tmp_path: Path) -> None:
    where = settings_only(world, tmp_path / "empty")
    world.git(where, "init", "-q", "-b", "main")
    world.git(where, "remote", "add", "origin", world.sandbox.git.repository_url)
    world.refused(where, "tag-dev", "v9.9.9", code=2, says=["has no commit yet", "git pull origin"])


def test_another_users_repository(world: Outside, clone: Path) -> None:
    # git's own switch for its tests: the folder counts as another user's.
    env = {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    world.refused(clone, "tag-dev", "v9.9.9", code=2, says=["git does not trust", "--add safe.directory"], env=env)


def test_no_git_on_the_path(world: Outside, clone: Path, tmp_path: Path) -> None:
    env = {"PATH": without_git(tmp_path / "bin")}
    world.refused(clone, "tag-dev", "v9.9.9", code=2, says=["git is not on PATH", "install git"], env=env)


def test_a_folder_that_is_not_there(world: Outside, clone: Path) -> None:
    world.refused(clone, "status", "-C", "nowhere", code=2, says=["nowhere is not a folder"])


# -- a clone in the wrong state ----------------------------------------------------------------------------------------------------------


def test_detached_head(world: Outside, clone: Path) -> None:
    world.git(clone, "switch", "-q", "--detach", "HEAD")
    world.stopped(clone, "run", "v1.8.0", code=1, says=["the clone is on a detached HEAD, not on main", "git switch main"])


def test_detached_head_on_the_trunk_can_be_tagged(world: Outside, clone: Path) -> None:
    world.git(clone, "switch", "-q", "--detach", "HEAD~1")
    world.tags(clone, "v1.8.0")


def test_dirty_tree(world: Outside, clone: Path) -> None:
    (clone / "README.md").write_text("changed\n")
    (clone / "é tude.txt").write_text("new\n")
    world.git(clone, "config", "status.showUntrackedFiles", "no")
    world.stopped(clone, "run", "v1.8.0", code=1, says=["2 paths changed or untracked: README.md, é tude.txt", "git stash"])


def test_tag_dev_reports_a_dirty_tree(world: Outside, clone: Path) -> None:
    (clone / "README.md").write_text("changed\n")
    told = world.tags(clone, "v1.8.0")
    assert "not in it, because not committed: README.md" in told.out


def test_local_main_ahead(world: Outside, clone: Path) -> None:
    world.commit(clone)
    world.stopped(clone, "run", "v1.8.0", code=1, says=["is not on main of the remote", "git push origin HEAD:main"])
    world.refused(clone, "tag-dev", "v1.8.0", code=2, says=["is not on main of the remote", "git push origin HEAD:main"])


def test_local_main_behind_and_ahead(world: Outside, clone: Path) -> None:
    world.git(clone, "reset", "-q", "--hard", "HEAD~2")
    world.commit(clone)
    world.stopped(clone, "run", "v1.8.0", code=1, says=["is not on main of the remote", "git push origin HEAD:main"])
    world.refused(clone, "tag-dev", "v1.8.0", code=2, says=["is not on main of the remote"])


def test_local_main_behind_with_changes_is_not_pulled(world: Outside, clone: Path) -> None:
    world.git(clone, "reset", "-q", "--hard", "HEAD~2")
    (clone / "README.md").write_text("mine\n")
    world.stopped(clone, "run", "v1.8.0", code=1, says=["0 commits ahead of and 2 behind main", "README.md"])


def test_local_main_behind_is_pulled(world: Outside, clone: Path) -> None:
    trunk = world.git(clone, "rev-parse", "HEAD")
    world.git(clone, "reset", "-q", "--hard", "HEAD~2")
    refs = world.refs()
    told = world.promote(clone, "run", "v1.0.0")  # smaller than the promoted version: ends before the move
    assert told.code == 1, told
    assert "pulled 2 commits" in told.out
    assert world.git(clone, "rev-parse", "HEAD") == trunk
    assert world.git(clone, "status", "--porcelain") == ""
    assert world.refs() == refs


def test_behind_and_a_lock_of_git_is_in_the_way(world: Outside, clone: Path) -> None:
    world.git(clone, "reset", "-q", "--hard", "HEAD~2")
    (clone / ".git" / "index.lock").touch()
    told = world.refused(clone, "run", "v1.8.0", code=5, says=["index.lock", "File exists"])
    assert "-c branch" not in told.err


# -- unusual, and no reason to refuse ------------------------------------------------------------------------------------------------------


def test_shallow_clone_cannot_be_judged(world: Outside, tmp_path: Path) -> None:
    where = tmp_path / "shallow"
    world.git(tmp_path, "clone", "-q", "--depth=1", world.sandbox.git.repository_url, str(where))
    world.stopped(where, "run", "v1.8.0", code=5, says=["this clone is shallow, so history cannot be judged", "git fetch --unshallow"])


def test_shallow_clone_can_be_tagged_and_looked_from(world: Outside, tmp_path: Path) -> None:
    where = tmp_path / "shallow"
    world.git(tmp_path, "clone", "-q", "--depth=1", world.sandbox.git.repository_url, str(where))
    world.tags(where, "v1.8.0")
    told = world.promote(where, "status")
    assert "commits behind" not in told.out
    assert "this clone is shallow (git fetch --unshallow)" in told.out


def test_work_tree_of_a_clone(world: Outside, clone: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    world.git(clone, "worktree", "add", "-q", "-b", "elsewhere", str(tree), "main")
    world.tags(tree, "v1.8.0")
    world.stopped(tree, "run", "v1.8.0", code=1, says=["the clone is on elsewhere, not on main"])
    assert list((clone / ".git" / "promote" / "journal").glob("*.jsonl")), "the journal lies with the clone: a work tree may be removed"
    assert world.git(tree, "status", "--porcelain") == ""


def with_submodule(world: Outside, clone: Path, tmp_path: Path) -> Path:
    """A clone whose trunk (on a branch of its own: the world is shared) has a submodule whose repository is unreachable by now."""
    library = tmp_path / "library"
    library.mkdir()
    world.git(library, "init", "-q", "-b", "main")
    world.commit(library)
    world.git(clone, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library), "library")
    world.git(clone, "commit", "-qm", "feat: a library")
    library.rename(tmp_path / "gone")
    return clone


def test_submodules(world: Outside, clone: Path, tmp_path: Path) -> None:
    with_submodule(world, clone, tmp_path)
    world.git(clone, "push", "-q", "origin", "HEAD:refs/heads/with-library")
    for key, value in {"push.recurseSubmodules": "on-demand", "fetch.recurseSubmodules": "true", "submodule.recurse": "true"}.items():
        world.git(clone, "config", key, value)
    text = (clone / "promotion.toml").read_text()
    (clone / "promotion.toml").write_text('[repository]\nbranch = "with-library"\n' + text)
    try:
        world.tags(clone, "v1.8.0")
        world.tags(clone, "v1.8.1", shell="cd library && promote tag-dev v1.8.1")
    finally:
        world.sandbox.writer.git("update-ref", "-d", "refs/heads/with-library")


def test_lfs_without_git_lfs(world: Outside, clone: Path) -> None:
    (clone / ".git" / "info").mkdir(exist_ok=True)
    (clone / ".git" / "info" / "attributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    for key, value in {
        "clean": "git-lfs clean -- %f",
        "smudge": "git-lfs smudge -- %f",
        "process": "git-lfs filter-process",
        "required": "true",
    }.items():
        world.git(clone, "config", f"filter.lfs.{key}", value)
    hook = clone / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ncommand -v git-lfs >/dev/null || { echo 'git-lfs was not found' >&2; exit 2; }\n")
    hook.chmod(0o755)
    world.tags(clone, "v1.8.0")


def test_a_file_that_lfs_cannot_clean(world: Outside, clone: Path) -> None:
    (clone / ".git" / "info").mkdir(exist_ok=True)
    (clone / ".git" / "info" / "attributes").write_text("README.md filter=lfs\n")
    world.git(clone, "config", "filter.lfs.clean", "git-lfs-that-is-not-there clean -- %f")
    world.git(clone, "config", "filter.lfs.required", "true")
    (clone / "README.md").write_text("changed\n")
    world.stopped(clone, "run", "v1.8.0", code=1, says=["1 path changed or untracked: README.md"])


@pytest.mark.parametrize(
    "name", ["dépôt de l'été", "with  spaces", "--force", "a;b$(c)", "漢字"], ids=["accents", "spaces", "option-like", "shell", "han"]
)
def test_names_of_folders(world: Outside, tmp_path: Path, name: str) -> None:
    where = world.sandbox.clone(tmp_path / name)
    world.tags(where, "v1.8.0")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such file names")
def test_a_folder_whose_name_is_not_utf8(world: Outside, tmp_path: Path) -> None:
    where = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    world.sandbox.clone(tmp_path / "x").rename(where)
    world.tags(where, "v1.8.0")
    world.stopped(where, "run", "v1.0.0", code=1, says=["v1.0.0"])


def test_started_in_a_folder_below(world: Outside, clone: Path) -> None:
    world.tags(clone, "v1.8.0", shell="cd apps/gitea && promote tag-dev v1.8.0")
