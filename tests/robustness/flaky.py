"""R10: whole promotions while one read in five fails (502, 503, a dropped connection): GitHub's and the clusters' GETs, git's ls-remote and fetch.

With `--storm` one write in five loses its answer as well: it was done, and its sender gets no answer.

By seed: directly or through the workflow, a good version or one whose service is broken in production. The right end is read from the bare repository
and from the cluster's own objects, GitHub's calls are counted at GitHub. The runner's own reads go well: its machine is not the one under test.
Which request meets a fault depends on the order in which threads ask, so a seed repeats the odds and the case, not every single failure.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.robustness.harness import STABLE, Figures, dice
from tests.robustness.weather import Weather
from tests.robustness.world import World, world

MOST_CALLS, ENOUGH = 150, 0.99
RUNNER = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.extraHeader", "GIT_CONFIG_VALUE_0": "X-Runner: 1"}
ENDS = {False: (0, "verified"), True: (3, "rolled_back")}


def one(there: World, seed: int, figures: Figures, *, storm: bool) -> None:
    """One promotion in bad weather. Its report must match the refs, also where it timed out."""
    bad, weather, box = dice(seed).random() < 0.3, Weather(seed, storm=storm), there.sandbox
    version, before = there.next_version(bad=bad), there.holds(STABLE)
    box.refresh()
    box.wait_settled()
    calls = len(box.github.requests)
    with there.in_weather(weather):
        code, outcome, words = there.promote("run", version)
    calls = len(box.github.requests) - calls
    figures.counts.update(weather.seen)
    figures.counts["promotions"] += 1
    figures.counts["GitHub calls"] += calls
    if calls > MOST_CALLS:
        figures.breach(seed, f"{calls} calls of GitHub")
    if (code, outcome) == ENDS[bad]:
        figures.counts[f"right end: {outcome}"] += 1
        if wrong := there.breach({STABLE: before, "back": before, "prod": ""}, version, code, outcome):
            figures.breach(seed, f"wrong outcome: {outcome}: {wrong}")
        return
    figures.counts["not finished"] += 1
    figures.notes.append(f"seed {seed} ({'bad' if bad else 'good'}): ended as {outcome} ({code}): {words}")
    _clean(there, seed, bad, before, outcome, figures)


def _clean(there: World, seed: int, bad: bool, before: str, outcome: str, figures: Figures) -> None:
    """It timed out: then its report must not be wrong, and nothing may be left in the way of the next one."""
    moved = there.holds(STABLE) != before
    if outcome == "verified" and (bad or not moved):
        figures.breach(seed, "wrong outcome: reported as verified, and it is not")
    if outcome in ("refused", "unchecked", "rolled_back") and moved:
        figures.breach(seed, f"wrong outcome: {outcome}, and the stable tag was moved")
    there.promote("resume")
    there.promote("abort", "--break-lock", "--yes")


def shard(via: str, seeds: Sequence[int], storm: bool) -> Figures:
    """Some seeds in one world of their own."""
    figures = Figures("R10 flaky")
    with world(via, runner_env=RUNNER) as there:
        for seed in seeds:
            one(there, seed, figures, storm=storm)
    return figures


def run(seed: int, count: int, figures: Figures, *, workers: int = 2, storm: bool = False) -> None:
    """`count` seeds, odd ones directly and even ones through the workflow, in `workers` processes."""
    seeds = range(seed, seed + count)
    ways = [("git", [s for s in seeds if s % 2]), ("workflow", [s for s in seeds if not s % 2])]
    parts = max(1, workers // 2)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        tasks = [pool.submit(shard, via, chosen[part::parts], storm) for via, chosen in ways for part in range(parts) if chosen[part::parts]]
        for task in tasks:
            figures.add(task.result())
    ended = count - figures.counts["not finished"]
    if ended < ENOUGH * count:
        figures.breaches.append(f"only {ended} of {count} finished unattended in the right end")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--count", type=int, default=8, help="how many seeds (default 8)")
    parser.add_argument("--full", action="store_true", help="300 seeds")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), help="processes at once (default 2)")
    parser.add_argument("--storm", action="store_true", help="one write in five loses its answer too")
    args = parser.parse_args()
    figures = Figures("R10 storm" if args.storm else "R10 flaky")
    run(args.seed, 300 if args.full else args.count, figures, workers=args.workers, storm=args.storm)
    print(figures.line())
    for line in (*figures.breaches[:20], *figures.notes[:20]):
        print(f"  {line}")
    return 1 if figures.breaches else 0


if __name__ == "__main__":
    sys.exit(main())
