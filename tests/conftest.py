"""Every test starts in a clean place: no credentials, no git settings and no cluster of the person who runs it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.installed import require_this_tree

pytest_plugins = ["pytester", "tests.support.declared", "tests.realstack.plugin", "tests.support.prechecked"]

_LEADS_OUT = ("GIT_", "GITHUB_", "GH_", "KUBE", "PROMOTE_")


def pytest_configure(config: pytest.Config) -> None:
    """Once for a session: the workers of xdist run the same interpreter as the process that starts them."""
    if not hasattr(config, "workerinput"):
        require_this_tree()


def pytest_xdist_auto_num_workers() -> int:
    """Two for each core: most tests wait for other processes more than they compute."""
    return 2 * (os.cpu_count() or 1)


@pytest.fixture(autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """HOME in a temporary folder, identity fixed, nothing that leads to a real repository, forge or cluster."""
    home = tmp_path_factory.mktemp("home")
    for name in [n for n in os.environ if n.startswith(_LEADS_OUT)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada Tester")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
    (home / ".gitconfig").write_text("[init]\n\tdefaultBranch = main\n[protocol]\n\tfile = always\n")
    return home
