"""kustomize as a program: what it built is asked for once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from promote.checklist.candidate import builder
from promote.config.schema import Settings
from promote.git.remote import GitRemote
from tests.support.repos import git

KUSTOMIZE = """#!/bin/sh
echo "$2" >> "$KUSTOMIZE_LOG"
[ -e "$2/broken" ] && { echo "Error: broken" >&2; exit 1; }
cat "$2/x.yaml"
"""


@dataclass(eq=False)
class OfRepository:
    """What `builder` asks of a promotion."""

    remote: GitRemote
    settings: Settings = field(default_factory=lambda: Settings(root=Path()))


def test_a_folder_of_a_commit_is_built_once_however_many_checks_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, log, repository = tmp_path / "bin" / "kustomize", tmp_path / "log", tmp_path / "repository"
    program.parent.mkdir()
    program.write_text(KUSTOMIZE)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("KUSTOMIZE_LOG", str(log))
    git(tmp_path, "init", "-q", str(repository))
    (repository / "a").mkdir()
    (repository / "a" / "x.yaml").write_text("kind: A\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "all")
    commit = git(repository, "rev-parse", "HEAD").strip()
    promotion = OfRepository(GitRemote(repository, "origin"))
    for _ in range(2):
        with builder(promotion) as build:  # type: ignore[arg-type]
            assert build is not None and build(commit, "a") == "kind: A\n"
    assert len(log.read_text().splitlines()) == 1
