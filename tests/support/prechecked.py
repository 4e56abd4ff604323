"""A promotion over real git whose pre suite has passed, at the moment before the move: for tests that read it, cut it short and resume it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from promote.config.schema import Settings, Workflow
from promote.core.deadline import Clock
from promote.core.model import Choices, Tag
from promote.core.version import parse_version
from promote.promotion.context import Dependencies, PromotionContext
from promote.promotion.journal import Journal
from promote.promotion.recovery.takeover import take_over_promotion
from promote.tags.lock import Lock, acquire, new_lock
from promote.tags.publish import Published, Request, publish
from promote.tags.target import Target
from tests.robustness.harness import STABLE, Remote, remote
from tests.support.silent_report import Silent

VERSION, PROD = "v1.1.0", "refs/tags/prod-v1.1.0"


@dataclass
class Place:
    """A promotion of v1.1.0 whose pre suite has passed; production is at v1.0.0, or at nothing when `first`."""

    remote: Remote
    settings: Settings
    first: bool = False
    clock: Clock = Clock()

    def __post_init__(self) -> None:
        if self.first:
            self.remote.put(STABLE, "")
        tools, end = self.deps(), self.remote.clones[0]
        commit, stable = self.remote.commits[VERSION], end.ref(STABLE)
        target = Target(
            version=parse_version(VERSION), commit=commit, from_tree=False, dev_tag=end.ref(f"refs/tags/dev-{VERSION}"), stable=stable,
            branch=Tag(ref="refs/heads/main", object=commit, commit=commit),
        )  # fmt: skip
        self.run = PromotionContext(
            deps=tools, target=target, version=parse_version(VERSION), request_id="r1", journal=Journal.open(end.git_dir, "r1"),
            choices=Choices(first=self.first),
        )  # fmt: skip
        lock = new_lock(
            request_id="r1", version=VERSION, candidate=commit, stable_before=stable.object if stable else "", state="prechecked",
            plan=self.run.plan(),
        )  # fmt: skip
        self.take(lock)

    def take(self, lock: Lock) -> None:
        """As a promotion does at its begin."""
        self.run.remember()
        taken = self.run.journal.effect("take the lock", {"holder": lock.holder}, lambda: acquire(self.remote.clones[0], lock))
        self.run.update(lock=taken)

    def deps(self, clone: int = 0) -> Dependencies:
        end = self.remote.clones[clone]
        nobody: Any = lambda: pytest.fail("nothing but git is needed")  # noqa: E731
        return Dependencies(settings=self.settings, git=end, report=Silent(), production=nobody, forge=nobody, who="us", clock=self.clock)

    def publish(self) -> tuple[Request, Published]:
        """As the workflow does for us, but for the record: this process does not hear of it."""
        assert self.run.lock
        request = Request(version=self.run.version, request_id="r1", promoted_by="ci", lock_id=self.run.lock.oid)
        return request, publish(self.remote.clones[0], self.settings, request)

    def dies(self) -> None:
        """The process is gone, and with it its hold on the journal."""
        assert self.run.journal._held is not None
        os.close(self.run.journal._held)

    def taken_up(self, clone: int = 0) -> PromotionContext:
        self.dies()
        run = take_over_promotion(self.deps(clone))
        assert run
        return run


Make = Callable[..., Place]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    with remote(tmp_path, clones=2, versions=1) as place:
        end = place.clones[0]
        yield lambda legacy=False, **kind: Place(place, Settings(root=end.root, workflow=Workflow(legacy=legacy)), **kind)
