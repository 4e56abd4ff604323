"""R3: kill -9 before and after every journaled effect of a promotion, with a second kill while it is resumed: one `promote resume` must settle it.

The points are listed by the machine: every way is run once undisturbed and its journal read. Before an effect stands the line of its intent, after it
that of its result or error: whether it dies just before or just after that line is written, the seed decides, and the next one decides the other. Whether it
is settled is read from the bare repository and from the cluster's own objects, never from promote's output, which must agree with them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from tests.robustness.harness import STABLE, Figures
from tests.robustness.weather import Weather
from tests.robustness.world import World, world

AGAIN_SHARE = 1 / 3  # of the settled ones resumed once more, to hear that nothing is left: a start of Python each
EVENTS, SIDES = ("intent", "result", "error"), ("before", "after")


@dataclass(frozen=True)
class Way:
    """How a promotion goes. `via`: who moves the tag. `bad`: the version is. `asked`: it is a rollback that was asked for, to and fro between two
    versions that were shipped before. `ruled`: a rule lets the workflow alone write the stable tag."""

    via: str
    bad: bool = False
    asked: bool = False
    ruled: bool = False


WAYS = {
    "good": Way("git"),
    "good through the workflow": Way("workflow"),
    "rolled back": Way("git", bad=True),
    "rolled back through the workflow": Way("workflow", bad=True, ruled=True),
    "asked-for rollback": Way("git", asked=True),
}
SHIPPED = ("v1.7.4", "v1.21.0")  # by the seed, and as the first version of a world


@dataclass(frozen=True)
class Point:
    """One place to die at: before an effect (its intent) or after it (its result or error), the `nth` of that name."""

    way: str
    effect: str
    nth: int
    event: str

    def at(self, seed: int) -> str:
        return f"{self.event}|{self.effect}|{self.nth}|{SIDES[seed % 2]}"

    def __str__(self) -> str:
        return f"{self.way}: {self.event} of {self.effect!r} ({self.nth})"


def points(way: str) -> list[Point]:
    """Every effect of an undisturbed run, as listed in its journal; a wave of refreshes counts once."""
    its = WAYS[way]
    with world(its.via, lean=True, ruled=its.ruled) as there:
        there.promote(*_asked(there, its)[0])
        journal = max((there.clone / ".git/promote/journal").glob("*.jsonl"), key=lambda p: p.stat().st_mtime)
        lines = [json.loads(line) for line in journal.read_text().splitlines()]
    seen: Counter[tuple[str, str]] = Counter()
    found = []
    for event, name in ((line["event"], line["name"]) for line in lines if line["event"] in EVENTS):
        seen[event, name] += 1
        if name != "ask for a refresh" or seen[event, name] == 1:
            found.append(Point(way, name, seen[event, name], event))
    return found


def _asked(there: World, way: Way) -> tuple[list[str], str, str]:
    """The command line, its version, and the object to which production goes back."""
    if not way.asked:
        return ["run", version := there.next_version(bad=way.bad)], version, there.holds(STABLE)
    if not there.number:
        ended = there.promote("run", there.next_version(bad=False))
        assert ended[1] == "verified", ended
    tags = {version: there.holds(f"refs/tags/prod-{version}") for version in SHIPPED}
    (to,) = (version for version, tag in tags.items() if there.holds(f"{tag}^{{commit}}") != there.holds(f"{STABLE}^{{commit}}"))
    return ["rollback", "--to", to], to, tags[to]


def one(there: World, point: Point, seed_: int, figures: Figures, *, storm: bool) -> None:
    """Die at the point, perhaps once more while it is resumed, then one `resume` that may end. In a `storm` that is done in bad weather."""
    chance, (argv, version, back) = random.Random(f"{seed_}: {point}"), _asked(there, WAYS[point.way])
    before = {STABLE: there.holds(STABLE), "back": back, "prod": there.holds(f"refs/tags/prod-{version}")}
    code, outcome, words = there.promote(*argv, at=point.at(seed_))
    if code != -signal.SIGKILL:
        figures.breach(seed_, f"{point}: it was not reached: {outcome} ({code}): {words}")
        there.promote("abort", "--break-lock", "--yes")
        return
    figures.counts["kills"] += 1
    again = ""
    if chance.random() < 0.5:
        effect = chance.choice(("take the lock over", point.effect, "release the lock", "ask for a refresh"))
        again = f"{chance.choice(('intent', 'result'))}|{effect}|1|{chance.choice(SIDES)}"
    with there.in_weather(Weather(seed_, storm=True) if storm else None):
        code, outcome, words = there.promote("resume", at=again)
        if code == -signal.SIGKILL:
            figures.counts["second kills"] += 1
            code, outcome, words = there.promote("resume")
    if wrong := there.breach(before, version, code, outcome):
        figures.breach(seed_, f"{point}: {wrong}: {words}")
        there.promote("abort", "--break-lock", "--yes")
        return
    figures.counts[f"settled as {outcome}"] += 1
    if chance.random() < AGAIN_SHARE and there.promote("resume")[:2] != (0, "nothing"):
        figures.breach(seed_, f"{point}: a second resume found something to do")


def shard(way: str, chosen: Sequence[tuple[Point, int]], storm: bool) -> Figures:
    """Some points in one world of their own."""
    figures = Figures("R3 crash")
    with world(WAYS[way].via, lean=True, ruled=WAYS[way].ruled) as there:
        for point, number in chosen:
            one(there, point, number, figures, storm=storm)
    return figures


def run(
    first_seed: int,
    seeds: int,
    figures: Figures,
    *,
    ways: Sequence[str] = tuple(WAYS),
    workers: int = 2,
    only: str = "",
    most: int = 0,
    every: int = 1,
    storm: bool = False,
) -> None:
    """Every point with every seed, in `workers` processes. `only`: points whose words hold this. `most`: no more than so many, spread over all of them.
    `every`: one point in so many; the next seed takes the next ones.
    """
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        listed = [p for found in pool.map(points, ways) for p in found if only in str(p)]
        step = max(1, len(listed) // most) if most else every
        listed = listed[first_seed % step :: step]
        figures.counts["points"] += len(listed)
        tasks = []
        for way in ways:
            mine = [(p, first_seed + n) for n in range(seeds) for p in listed if p.way == way]
            parts = max(1, min(workers, len(mine) // 12))
            tasks += [pool.submit(shard, way, mine[part::parts], storm) for part in range(parts) if mine[part::parts]]
        for task in tasks:
            figures.add(task.result())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--count", type=int, default=3, help="seeds a point (default 3)")
    parser.add_argument("--every", type=int, default=1, help="only one point in so many, beginning with the seed's")
    parser.add_argument("--full", action="store_true", help="25 seeds at every point")
    parser.add_argument("--workers", type=int, default=2 * (os.cpu_count() or 1), help="processes at once (default: two a core)")
    parser.add_argument("--only", default="", help="points whose words hold this; with --seed N --count 1 and the words of a breach: that one again")
    parser.add_argument("--storm", action="store_true", help="resume in bad weather: one read in five fails, one write in five loses its answer")
    args = parser.parse_args()
    figures, started = Figures("R3 crash"), time.monotonic()
    run(args.seed, 25 if args.full else args.count, figures, workers=args.workers, only=args.only, every=args.every, storm=args.storm)
    if not figures.counts["points"]:
        parser.error(f"nothing was tried: no words hold {args.only!r}")
    print(figures.line(), f"({time.monotonic() - started:.0f} s)")
    for breach in figures.breaches[:30]:
        print(f"  {breach}")
    return 1 if figures.breaches else 0


if __name__ == "__main__":
    sys.exit(main())
