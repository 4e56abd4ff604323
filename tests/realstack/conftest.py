"""A real forge for the tests of this folder: one Gitea for the run (one for each worker), repositories of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from promote.sandbox.real.gitea import Gitea, Repository
from tests.realstack import build
from tests.realstack.forge import NOBODY, READER, WRITERS, repository_of


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
    with repository_of(gitea) as made:
        yield made
