"""Runs one race: made ready, moved, judged by all three at once, and the truth read when they spoke and again when everything is at rest."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from promote.kube.client import Kube
from promote.sandbox.real.charts import Charts
from tests.contract.api import Api
from tests.contract.place import Place
from tests.contract.worlds import RealWorld, repository
from tests.realstack.waits.judges import Said, Server, baseline, guard, naive, promote
from tests.realstack.waits.scene import Race, Scene
from tests.realstack.waits.table import Found, Row

LIMIT_S = 30.0
REST_S = 9.0  # the first retry of a failed sync comes after 5 s
PAUSE_S = 0.2
Situation = Callable[[Scene], Race]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """Where races are run: the real stack, its argocd-server, and charts that it can fetch."""

    world: RealWorld
    kube: Kube
    server: Server
    charts: Charts


def run(situation: Situation, folder: Path, stage: Stage, *, delay: float) -> Row:
    """`delay`: seconds between the move and the judges' first look.

    A rollback is run twice: promote may act in it, and the two others must not be helped by that.
    """
    folder.mkdir()
    name, what = situation.__name__, (situation.__doc__ or "").strip()  # type: ignore[attr-defined]
    row = Row(name=name, what=what)
    rollback = _once(situation, folder / "one", stage, delay, row)
    if rollback:
        _once(situation, folder / "two", stage, delay, row, acting=True)
    return row


def _once(situation: Situation, folder: Path, stage: Stage, delay: float, row: Row, *, acting: bool = False) -> bool:
    folder.mkdir()
    with repository(folder, stage.world) as repo:
        place = Place(stage.world.api, repo, f"w{folder.parent.name}{folder.name}")
        scene = Scene(stage.world.api, place, stage.charts)
        try:
            return _judged(situation, scene, stage, delay, row, acting=acting)
        finally:
            scene.settle()
            place.clear()


def _judged(situation: Situation, scene: Scene, stage: Stage, delay: float, row: Row, *, acting: bool) -> bool:
    race = situation(scene)
    before, t_before = (race.before, race.t_before) if race.before is not None and race.t_before else (baseline(stage.kube, scene), datetime.now(UTC))
    race.move()
    ours = guard(scene)
    time.sleep(delay)
    judges: dict[str, Callable[[], Said]] = {
        "argocd": lambda: stage.server.wait(scene.selector, LIMIT_S),
        "naive": lambda: naive(scene, race, LIMIT_S),
        "promote": lambda: promote(stage.kube, scene, race, before, t_before, ours, LIMIT_S),
    }
    asked = [name for name in judges if not race.rollback or (name == "promote") == acting]
    with Watch(scene.api, race) as watch, ThreadPoolExecutor(len(asked)) as pool:
        heard = {name: pool.submit(_heard, judges[name]) for name in asked}
        spoke = {name: future.result() for name, future in heard.items()}
        scene.settle()
        rest = time.monotonic()
        while time.monotonic() < rest + REST_S:
            if race.stir:
                race.stir()
            time.sleep(1)
    for name, (said, at) in spoke.items():
        row.said[name] = watch.found(said, at, rest)
    return race.rollback


def _heard(judge: Callable[[], Said]) -> tuple[Said, float]:
    said = judge()
    return said, time.monotonic()


class Watch:
    """Looks at production all the time, with a connection of its own."""

    def __init__(self, api: Api, race: Race) -> None:
        self._api, self._race = Api(api.url, api.token, api.authority), race
        self.looks: list[tuple[float, list[str]]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(PAUSE_S):
            self.looks.append((time.monotonic(), [want.words for want in self._race.wants if not want.holds(self._api)]))

    def found(self, said: Said, at: float, rest: float) -> Found:
        """`rest`: since when nothing happens any more; what lacks at any look from then on lacks in the end. `held` is the first look that began after the judge spoke: later than the judge's own, which is in its favour."""
        after = [lacking for began, lacking in self.looks if began > at + PAUSE_S] or [self.looks[-1][1]]
        left = next((lacking for lacking in after if lacking), [])
        lacking = dict.fromkeys(words for began, look in self.looks if began > rest for words in look)
        return Found(said=said, held=not after[0], left=", ".join(left), lacking=", ".join(lacking))
