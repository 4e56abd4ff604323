"""Whether the working directory is a clone to promote from. Checked once, first, because git reports the different faults in similar words."""

from __future__ import annotations

from promote.core.errors import UsageError
from promote.git.errors import excerpt, mask
from promote.git.remote import GitRemote
from promote.git.url import normalise_repository


def check_clone(git: GitRemote) -> GitRemote:
    """Return `git` itself. Raises UsageError for: no repository, another user's, bare, no such remote, or a remote that pushes to another
    repository."""
    found = git.git("rev-parse", "--is-bare-repository", "--is-inside-work-tree")
    if "dubious ownership" in found.err:
        raise UsageError(
            f"git does not trust {git.root}: it belongs to another user", hint=f"if you trust it: git config --global --add safe.directory {git.root}"
        )
    if "not a git repository" in found.err:
        raise UsageError(f"{git.root} is not in a git repository", hint="go to the clone of your GitOps repository")
    if found.code:
        raise UsageError(f"git cannot work in {git.root}: {excerpt(found.err) or found.why}", hint="try `git status` there")
    bare, inside = found.out.split()
    if bare == "true":
        raise UsageError(f"{git.root} is a bare repository", hint=f"promote works in a clone with a work tree: git clone {git.root} FOLDER")
    if inside != "true":
        raise UsageError(f"{git.root} is a git directory, not a work tree", hint="go to the top of the clone")
    _check_remote(git)
    return git


def _check_remote(git: GitRemote) -> None:
    name = git.remote
    read = git.git("remote", "get-url", name)
    if read.code:
        there = ", ".join(git.git("remote").out.split()) or "none at all"
        raise UsageError(
            f"git has no usable remote {name!r} in {git.root}; there is {there}",
            hint="see `git remote -v`, add one with `git remote add`; the name is repository.remote in promotion.toml",
        )
    written = git.git("remote", "get-url", "--push", "--all", name).out.split("\n")
    # Only the path is compared: the same host may have two names (an ssh alias).
    elsewhere = [url for url in written if url and _path(url) != _path(read.out)]
    if elsewhere:
        raise UsageError(
            f"remote {name!r} reads {mask(read.out.strip())} but pushes to {mask(', '.join(elsewhere))}",
            hint=f"promote has to read what it pushed: git config --unset-all remote.{name}.pushurl, and look for url.*.pushInsteadOf",
        )


def _path(url: str) -> str:
    return normalise_repository(mask(url.strip())).partition("/")[2]
