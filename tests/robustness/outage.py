"""R8, in the middle: one endpoint dies at some request of a promotion, and is dead until the command has ended. Then it is back, and `promote resume`
settles whatever was left.

At which request, and whether directly or through the workflow, the seed decides; a dead git remote is dead for the workflow's runner as well. What the
command reported must match the refs, it ends within its deadlines, leaves no child, and names the endpoint where that was the reason.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import count, product
from multiprocessing import get_context
from typing import Any

from promote.sandbox.http_server import Fault, Request
from tests.robustness.harness import STABLE, Figures, dice
from tests.robustness.world import World, world
from tests.support.processes import left, mark

NAME = "R8 outage"
TIMEOUT_S = 75  # promotion.timeout; the way back has it once more
ENOUGH_S = 2 * TIMEOUT_S + 240  # the fence, the look after it and the push back have patience of their own (docs/reliability.md)
ENDS = (("verified", 0), ("refused", 1), ("rolled_back", 3), ("stuck", 4), ("unchecked", 5))
KINDS = ("refuse", "hang", "drip")
ENDPOINTS: dict[str, tuple[str, Callable[[World], Any]]] = {  # the word that names it, and where it is
    "git remote": ("git remote", lambda there: there.sandbox.git),
    "GitHub": ("GitHub", lambda there: there.sandbox.github),
    "prod cluster": ("cluster prod", lambda there: there.sandbox.prod.api),
    "dev cluster": ("cluster dev", lambda there: there.sandbox.dev.api),
    "smoke URLs": ("smoke-url", lambda there: there.sandbox.services),
    "Prometheus": ("Prometheus", lambda there: there.sandbox.prometheus),
    "Alertmanager": ("Alertmanager", lambda there: there.sandbox.alertmanager),
    "Grafana": ("Grafana", lambda there: there.sandbox.grafana),
}
OBSERVERS = ("Prometheus", "Alertmanager", "Grafana")  # none of them is production: without them a good version stays (stuck, or verified)
SETTINGS = {
    b'[promotion]\n': f'[promotion]\ntimeout = "{TIMEOUT_S}s"\n'.encode(), b'converge_timeout = "60s"': b'converge_timeout = "20s"',
    b'\ntimeout = "60s"': b'\ntimeout = "20s"', b"[github]\n": b'[repository]\ntimeout = "4s"\n[suites]\ncheck_timeout = "25s"\n[github]\n',
    b"[dev]\n": b'[dev]\nconverge_timeout = "10s"\n',
}  # fmt: skip


def dies(kind: Any, nth: int) -> Callable[[Request], Fault | None]:
    """The weather of a place that is dead from its `nth` request on."""
    seen = count(1)
    return lambda _: Fault(kind=kind, seconds=600.0) if next(seen) >= nth else None


def one(there: World, seed: int, name: str, kind: str, usual: Mapping[str, int], figures: Figures) -> None:
    """One promotion of a good version, during which that endpoint dies in that way."""
    word, where = ENDPOINTS[name]
    nth, marked = dice(seed).randint(1, max(1, usual[name])), mark()
    case = f"{name}: {kind} from request {nth} of {usual[name]} on"
    version, before = there.next_version(bad=False), there.holds(STABLE)
    there.sandbox.refresh()
    there.sandbox.wait_settled()
    started = time.monotonic()
    with there.in_weather(dies(kind, nth), where(there)):
        code, outcome, words = there.promote("run", version, marked=marked, within_s=2 * ENOUGH_S)
        took = time.monotonic() - started
    figures.counts[f"ended {outcome}"] += 1
    figures.notes.append(f"{took:5.1f} s  {outcome:11} {case}")
    wrong = [f"took {took:.0f} s"] if took > ENOUGH_S else []
    if outcome == "rolled_back" and name in OBSERVERS:
        wrong.append("rolled back a healthy production because an observer was away")
    if behind := left(marked):
        wrong.append(f"left {behind}")
    if why := _lie(there, before, code, outcome):
        wrong.append(f"{outcome} ({code}), {why}")
    if outcome != "verified" and word.lower() not in there.said.lower():
        wrong.append(f"does not name {word!r}")
    wrong += _settle(there, {STABLE: before, "back": before, "prod": ""}, version, figures)
    if wrong:
        figures.breach(seed, f"{case}: {'; '.join(wrong)}: {words}")


def _lie(there: World, before: str, code: int, outcome: str) -> str:
    """The untrue part of its reported end, "" when all is true."""
    moved = there.holds(STABLE) != before
    if (outcome, code) not in ENDS:
        return "which is no end"
    if outcome in ("refused", "unchecked", "rolled_back") and moved:
        return "and the stable tag is another one"
    if outcome == "verified" and not (moved and there.shown() == {there.holds(f"{STABLE}^{{commit}}")}):
        return "and production does not run it"
    return ""


def _settle(there: World, first: dict[str, str], version: str, figures: Figures) -> list[str]:
    """Everything answers again: one `resume` is enough."""
    code, outcome, words = there.promote("resume")
    wrong = "it ends as stuck" if outcome == "stuck" else there.breach(first, version, code, outcome)
    if not wrong:
        figures.counts[f"settled as {outcome}"] += 1
        return []
    there.promote("abort", "--break-lock", "--yes")
    return [f"its resume: {wrong}: {words}"]


def shard(via: str, chosen: Sequence[tuple[int, str, str]]) -> Figures:
    """Some cases in one world of their own; its first promotion shows how often each endpoint is asked."""
    figures = Figures(NAME)
    with world(via, settings=SETTINGS) as there:
        version, places = there.next_version(bad=False), {name: where(there) for name, (_, where) in ENDPOINTS.items()}
        there.sandbox.refresh()
        there.sandbox.wait_settled()
        asked = {name: len(place.requests) for name, place in places.items()}
        first = there.promote("run", version)
        assert first[1] == "verified", first
        usual = {name: len(place.requests) - asked[name] for name, place in places.items()}
        for seed, name, kind in chosen:
            one(there, seed, name, kind, usual, figures)
    return figures


def run(seed: int, seeds: int, figures: Figures, *, workers: int = 4, only: str = "", every: int = 1) -> None:
    """`seeds` seeds for each case, odd ones directly and even ones through the workflow. `every`: one case in so many, by the first seed."""
    cases = [(name, kind) for name, kind in product(ENDPOINTS, KINDS) if only in f"{name}: {kind}"][seed % every :: every]
    wanted = [(seed + len(cases) * n + at, *case) for n in range(seeds) for at, case in enumerate(cases)]
    ways = {"git": [w for w in wanted if w[0] % 2], "workflow": [w for w in wanted if not w[0] % 2]}
    parts = max(1, workers // 2)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        tasks = [pool.submit(shard, via, chosen[part::parts]) for via, chosen in ways.items() for part in range(parts) if chosen[part::parts]]
        for task in tasks:
            figures.add(task.result())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--count", type=int, default=1, help="seeds a case (default 1)")
    parser.add_argument("--every", type=int, default=1, help="only one case in so many, beginning with the seed's")
    parser.add_argument("--full", action="store_true", help="25 seeds a case")
    parser.add_argument("--workers", type=int, default=4, help="processes at once (default 4: they wait)")
    parser.add_argument("--only", default="", help="cases whose words hold this; with --seed N --count 1 and the words of a breach: that one again")
    args = parser.parse_args()
    figures = Figures(NAME)
    run(args.seed, 25 if args.full else args.count, figures, workers=args.workers, only=args.only, every=1 if args.full else args.every)
    if not figures.notes:
        parser.error(f"nothing was tried: no words hold {args.only!r}")
    print(figures.line())
    for line in (*figures.breaches[:30], *sorted(figures.notes)[-5:]):
        print(f"  {line}")
    return 1 if figures.breaches else 0


if __name__ == "__main__":
    sys.exit(main())
