"""What the tests against a real forge share: a repository with a history and clones of it, and its refs by `git ls-remote`."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from promote.git.remote import GitRemote
from promote.sandbox.real.gitea import Gitea, Repository
from tests.robustness.harness import Remote, populated
from tests.support.repos import git

WRITERS, READER, NOBODY = ("ada", "grace"), "rita", "eve"


@contextmanager
def repository_of(forge: Gitea) -> Iterator[Repository]:
    """A private one of its own. What its watchers could not do is a failure."""
    made = forge.repository(f"gitops-{uuid.uuid4().hex[:8]}", writers=WRITERS, readers=(READER,))
    yield made
    made.stop()
    assert made.errors == []


def listed(repository: Repository) -> dict[str, str]:
    """Every ref as `git ls-remote` prints it, peeled values (`^{}`) included: seen from outside, with a token of its own."""
    url = with_token(repository, repository.forge.token("grace"))
    done = subprocess.run(["git", "ls-remote", url], capture_output=True, text=True, check=True)
    return {ref: oid for oid, ref in (line.split("\t") for line in done.stdout.splitlines())}


def with_token(repository: Repository, token: str) -> str:
    return repository.repository_url.replace("//", f"//x:{token}@", 1)


def history(repository: Repository, folder: Path, *, versions: int = 2, clones: int = 2) -> Remote:
    """Production at v1.0.0, later versions tagged for dev; the clones belong to those who may write, in turn."""
    repository.create()
    repository.start()
    tokens = [repository.forge.token(WRITERS[number % len(WRITERS)]) for number in range(clones)]
    return populated(repository, folder, tokens, versions=versions)


def clone_of(there: Remote, folder: Path, token: str) -> GitRemote:
    """The first clone once more, for the user with this token (clones over the network need the right to read)."""
    git(folder, "clone", "-q", str(there.clones[0].root), str(folder / "theirs"))
    git(folder / "theirs", "remote", "set-url", "origin", with_token(there.server, token))
    return GitRemote(folder / "theirs", "origin")
