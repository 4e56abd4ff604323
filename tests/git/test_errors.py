"""Who may ask again, who needs other credentials, whose address is wrong: from git's words, never from an address in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from promote.core.errors import Denied, PromoteError, ServiceError, Unreachable, UsageError
from promote.git.errors import git_error
from promote.git.process import Done

URL = "http://127.0.0.1:59729/acme/gitops.git/"
# what git wrote (Gitea 1.26 or an unreachable address) → the error, and words of what to do
CASES: dict[str, tuple[str, type[PromoteError], str]] = {
    "a wrong token": (f"remote: Failed to authenticate user\nfatal: Authentication failed for '{URL}'\n", Denied, "check the credentials"),
    "no token": ("fatal: could not read Username for 'http://127.0.0.1:59729': terminal prompts disabled\n", Denied, "GITHUB_TOKEN"),
    "forbidden": (f"remote: Forbidden\nfatal: unable to access '{URL}': The requested URL returned error: 403\n", Denied, "check the credentials"),
    "hidden or absent": (
        f"remote: Repository not found\nfatal: repository '{URL}' not found\n",
        Denied,
        "a forge also answers this for a repository they may not read",
    ),
    "unreachable": ("fatal: unable to access 'http://127.0.0.1:40312/x.git/': Failed to connect to 127.0.0.1\n", Unreachable, "check the network"),
    "out of order": (f"fatal: unable to access '{URL}': The requested URL returned error: 500\n", Unreachable, "check the network"),
    "a misleading name": ("fatal: unable to access 'https://git/Permission denied/403/': Could not resolve host: git\n", Unreachable, "network"),
    "no such remote": ("fatal: 'upstream' does not appear to be a git repository\n", UsageError, "git remote -v"),
    "anything else": ("fatal: bad object 1234\n", ServiceError, "by hand"),
}


@pytest.mark.parametrize("which", CASES)
def test_the_class_of_the_error_decides_the_hint(which: str) -> None:
    err, kind, words = CASES[which]
    done = Done(code=128, out="", err=err)
    error = git_error(done, "ls-remote", remote="origin", root=Path(), timeout_s=60, in_repository=lambda: True)
    assert type(error) is kind and words in error.hint, error
