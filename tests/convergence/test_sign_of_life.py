"""Argo CD's answer to a refresh: awaited, requested again when it is lost, and its absence known before anything moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from promote.argocd.application import Application
from promote.convergence.sign_of_life import REST_S, no_sign_of_life, refresh_and_read
from promote.core.deadline import Clock, Deadline
from promote.core.retry import wait_until
from tests.support.production import SETTINGS, Production, production, with_argocd
from tests.support.repos import git

SLOW = with_argocd(refresh_timeout=30, refresh_interval=5, poll_interval=2)


@dataclass
class Time:
    """A clock that only its sleeps move."""

    now: float = 0.0

    @property
    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.now, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """The root, web and db at rest."""
    with production(tmp_path_factory.mktemp("life")) as world:
        world.argocd.refresh(world.argocd.applications())
        wait_until(
            "rest", world.argocd.applications, ready=lambda apps: len(apps) == 3 and all(map(_rests, apps)), deadline=Deadline(20), every_s=0.05
        )
        yield world


def _rests(app: Application) -> bool:
    return app.sync == "Synced" and not app.in_progress and not app.refresh_pending


@pytest.fixture
def frozen(prod: Production) -> Iterator[Production]:
    prod.cluster.freeze()
    try:
        yield prod
    finally:
        prod.cluster.thaw()
        wait_until("rest", prod.argocd.applications, ready=lambda apps: all(map(_rests, apps)), deadline=Deadline(20), every_s=0.05)


def patches(prod: Production) -> list[str]:
    return [path.rpartition("/")[2] for method, path in prod.cluster.api.requests if method == "PATCH"]


def goal(prod: Production):
    return prod.move(git(prod.clone, "rev-parse", "HEAD"))


def test_an_answer_comes_from_the_root_and_one_application_of_each_destination(prod: Production):
    earlier = len(patches(prod))
    manifests, silent = refresh_and_read(prod.argocd, goal(prod), SETTINGS, Clock())
    assert (sorted(manifests), silent) == (["argocd/argocd", "argocd/db", "argocd/web"], [])
    assert "argocd" in patches(prod)[earlier:] and len(set(patches(prod)[earlier:])) <= 2


def test_a_controller_that_does_not_answer_is_named_after_the_whole_time(frozen: Production):
    time, earlier = Time(), len(patches(frozen))
    _, silent = refresh_and_read(frozen.argocd, goal(frozen), SLOW, time.clock)
    assert time.now == 30
    assert "argocd" in {a.name for a in silent}
    lines = no_sign_of_life(silent[:1], SLOW, "argocd")
    assert lines[0].startswith(f"no sign of life from Argo CD for https://kubernetes.default.svc: {silent[0].name} was not refreshed within 30 s\n")
    # Each repetition removes the pending request and writes it again; at 5, 10, … 25 s.
    assert patches(frozen)[earlier:].count("argocd") == 1 + 2 * 5


def test_a_lost_request_is_repeated(prod: Production):
    prod.cluster.controller.overlook_next_refresh("argocd")
    _, silent = refresh_and_read(prod.argocd, goal(prod), with_argocd(refresh_timeout=30, refresh_interval=0.1), Clock())
    assert silent == []


def test_one_that_may_come_to_rest_is_refreshed_and_awaited_for_a_while(frozen: Production):
    def restless(app: Application) -> bool:
        return app.name == "web"

    frozen.cluster.thaw()
    time, earlier = Time(), len(patches(frozen))
    refresh_and_read(frozen.argocd, goal(frozen), SLOW, time.clock, restless=restless)
    assert "web" in patches(frozen)[earlier:]
    assert REST_S <= time.now < REST_S + 2, "not for the whole refresh_timeout"
