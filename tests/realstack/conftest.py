"""A real forge for the tests of this folder: one Gitea for the run (one for each worker), a repository of its own for each test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from promote.sandbox.real.gitea import Gitea, Repository
from tests.realstack import build
from tests.realstack.forge import NOBODY, READER, WRITERS


@pytest.fixture(scope="session")
def gitea() -> Iterator[Gitea]:
    """With two who may write, one who may read, and one who may neither."""
    forge = Gitea(build.binaries())
    forge.start()
    try:
        for name in (*WRITERS, READER, NOBODY):
            forge.account(name)
        yield forge
    finally:
        forge.stop()


@pytest.fixture
def repository(gitea: Gitea) -> Iterator[Repository]:
    """An empty, private one. What its watchers could not do is a failure."""
    made = gitea.repository(f"gitops-{uuid.uuid4().hex[:8]}", writers=WRITERS, readers=(READER,))
    yield made
    made.stop()
    assert made.errors == []
