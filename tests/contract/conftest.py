"""Fixtures of the contract tests: a world, a repository of the test's own, and applications that are gone afterwards."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from promote.sandbox.real.charts import Charts
from tests.contract import worlds
from tests.contract.place import Place
from tests.contract.worlds import Repository, World
from tests.realstack.plugin import REAL, stack_of


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test once for each world; the real one only where it was asked for, and then nothing is left out."""
    if "world" in metafunc.fixturenames:
        metafunc.parametrize("world", ["sandbox", *(["real"] if metafunc.config.getoption(REAL) else [])], indirect=True)


@pytest.fixture(scope="session")
def all_worlds(request: pytest.FixtureRequest) -> Iterator[dict[str, World]]:
    with ExitStack() as stack:
        found: dict[str, World] = {"sandbox": stack.enter_context(worlds.sandbox_world())}
        if request.config.getoption(REAL):
            found["real"] = stack.enter_context(worlds.real_world(stack_of(request.config)))
        yield found


@pytest.fixture
def world(request: pytest.FixtureRequest, all_worlds: dict[str, World]) -> World:
    return all_worlds[request.param]


@pytest.fixture
def repo(tmp_path: Path, world: World) -> Iterator[Repository]:
    with worlds.repository(tmp_path, world) as made:
        yield made


@pytest.fixture
def charts() -> Iterator[Charts]:
    with worlds.charts() as served:
        yield served


@pytest.fixture
def place(world: World, repo: Repository) -> Iterator[Place]:
    """Applications of one test, in a namespace of its own."""
    made = Place(world.api, repo, f"c{uuid.uuid4().hex[:8]}")
    yield made
    made.clear()


@pytest.fixture
def rbac(world: World) -> Iterator[Any]:
    """Binds a user to rules: rbac("user-0", rules). The roles are gone afterwards."""
    names: list[str] = []
    base = "/apis/rbac.authorization.k8s.io/v1"

    def bind(user: str, rules: list[dict[str, Any]]) -> None:
        name = f"contract-{uuid.uuid4().hex[:8]}"
        names.append(name)
        world.api.create(f"{base}/clusterroles", {"metadata": {"name": name}, "rules": rules})
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
        subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
        world.api.create(f"{base}/clusterrolebindings", {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]})

    yield bind
    for name in names:
        world.api.delete(f"{base}/clusterrolebindings/{name}")
        world.api.delete(f"{base}/clusterroles/{name}")
