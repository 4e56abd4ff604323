"""R3: kill -9 before and after every journaled effect of a promotion, with a second kill while it is resumed: one `promote resume` must settle it.

The points are listed by the machine: every way is run once undisturbed and its journal read. Whether it is settled is read from the bare repository
and from the cluster's own objects, never from what promote says; what it says must agree with them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from promote.commands.world import repository_files
from promote.sandbox import seed
from promote.sandbox.sandbox import Sandbox
from tests.repos import git
from tests.robustness.harness import LOCK, STABLE, Figures, dice, scratch

BIN, SITE = Path(sys.executable).parent, Path(__file__).parent / "crash_site"
PHASES = (("intent", "before"), ("intent", "after"), ("result", "before"), ("result", "after"))
GITEA = "apps/gitea/overlays/prod/service.yaml"
EVIDENCE = (
    "tasks-closed", "version-bump", "tests-passed", "dev-converged", "manifests", "breaking-changes", "documentation", "monitoring-ready",
    "alerts", "grafana", "events", "way-back",
)  # fmt: skip
_PROMETHEUS = re.compile(rb"^\[+prometheus.*\n(?:(?!\[).*\n)*", re.MULTILINE)


@dataclass(frozen=True)
class Way:
    """How a promotion goes. `via`: who moves the tag. `bad`: the version is. `verb`: what is asked for after a good promotion. `ruled`: a rule lets the
    workflow alone write the stable tag."""

    via: str
    bad: bool = False
    verb: str = ""
    ruled: bool = False


WAYS = {
    "good": Way("git"),
    "good through the workflow": Way("workflow"),
    "rolled back": Way("git", bad=True),
    "rolled back through the workflow": Way("workflow", bad=True, ruled=True),
    "asked-for rollback": Way("git", verb="rollback"),
}


@dataclass(frozen=True)
class Point:
    """One place to die at."""

    way: str
    effect: str
    nth: int
    event: str
    phase: str

    def at(self) -> str:
        return f"{self.event}|{self.effect}|{self.nth}|{self.phase}"

    def __str__(self) -> str:
        return f"{self.way}: {self.phase} the {self.event} of {self.effect!r} ({self.nth})"


@dataclass
class World:
    """A sandbox that lives on from one promotion to the next, with a clone in it."""

    sandbox: Sandbox
    folder: Path
    clone: Path
    number: int = 0

    def holds(self, ref: str) -> str:
        return git(self.sandbox.git.path, "rev-parse", "--verify", "--quiet", ref, ok=False)

    def next_version(self, *, bad: bool) -> str:
        """A commit on the trunk that would bring another image; a bad one answers 503 in production."""
        self.number += 1
        files = {"apps/vault/base/deployment.yaml": seed.deployment("vault", image=f"1.{20 + self.number}.0")}
        files[GITEA] = seed.service_config("gitea", status=503 if bad else 200, body="no" if bad else f"ok {self.number}")
        self.sandbox.commit(files, f"feat(vault): number {self.number}")
        return f"v1.{20 + self.number}.0"

    def promote(self, *args: str, at: str = "") -> tuple[int, str, str]:
        """Exit code (-9: killed at that point), the outcome it says, and its words."""
        env = {**self.sandbox.env, **({"CRASH_AT": at, "PYTHONPATH": str(SITE)} if at else {})}
        argv = [sys.executable, "-m", "promote", *args, "--json"]
        child = subprocess.Popen(
            argv, cwd=self.clone, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        out, err = child.communicate(timeout=300) if not at else _until_dead(child)
        outcome = ""
        if child.returncode != -signal.SIGKILL:
            try:
                outcome = json.loads(out)["outcome"]
            except (ValueError, KeyError):
                outcome = "no document"
        return child.returncode, outcome, " / ".join(line.strip() for line in err.decode(errors="replace").splitlines()[-3:])

    def shown(self) -> set[str]:
        """The revisions that production's applications show for the stable tag."""
        found = set()
        for app in self.sandbox.prod.list("Application"):
            sources = app["spec"].get("sources") or [app["spec"]["source"]]
            sync = app["status"]["sync"]
            revisions = sync.get("revisions") or [sync.get("revision")]
            found |= {r for s, r in zip(sources, revisions, strict=True) if s.get("targetRevision") == "prod-stable"}
        return found

    def breach(self, before: dict[str, str], version: str, code: int, outcome: str) -> str:
        """What is wrong after all was said, "" when nothing is."""
        stable, prod, working = self.holds(STABLE), self.holds(f"refs/tags/prod-{version}"), self.holds("refs/tags/prod-working")
        if self.holds(LOCK):
            return "the lock is still there"
        if not stable:
            return "the stable tag is gone"
        if outcome == "nothing" and stable not in (before[STABLE], prod, before["back"]):
            return f"nothing, but the stable tag is neither what it was nor {version} nor what it was to go back to"
        if outcome == "verified" and not stable == prod == working:
            return "verified, but stable, prod and working tag are not one object"
        if outcome == "rolled_back" and stable != before["back"]:
            return "rolled back, but the stable tag is not what it was"
        if outcome in ("unchecked", "refused") and (stable != before[STABLE] or (prod and prod != before["prod"])):
            return f"{outcome}, but a tag was moved"
        if code not in (0, 3, 5) or outcome not in ("verified", "rolled_back", "unchecked", "nothing"):
            return f"ended as {outcome} ({code})"
        wanted = self.holds(f"{STABLE}^{{commit}}")
        patience = time.monotonic() + (0 if outcome in ("verified", "rolled_back") else 30)  # these two were said to be so now
        while (shown := self.shown()) != {wanted} and time.monotonic() < patience:
            self.sandbox.refresh()
            time.sleep(0.2)
        return "" if shown == {wanted} else f"production shows {sorted(shown)}, the tag is at {wanted}"


def _until_dead(child: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """What it started keeps its pipes open, so wait for the process alone."""
    try:
        child.wait(300)
    finally:
        if child.returncode is None:
            os.killpg(child.pid, signal.SIGKILL)
    if child.returncode == -signal.SIGKILL:
        return b"", b""
    return child.communicate(timeout=60)


@contextmanager
def world(via: str, *, runner_env: Mapping[str, str] | None = None, lean: bool = False, ruled: bool = False) -> Iterator[World]:
    """`runner_env`: what the machine that runs the workflow has beside git and PATH. `lean`: without the rows that read evidence of no state.
    `ruled`: as of a `Way`."""
    with scratch() as folder:
        files = repository_files(via)
        if lean:
            files["promotion.toml"] = _PROMETHEUS.sub(b"", files["promotion.toml"])  # declared rules are the repository's own: they go by going
            files["promotion.toml"] += "".join(f'\n[[checklist.off]]\nid = "{row}"\nreason = "not what is tried here"\n' for row in EVIDENCE).encode()
        made = Sandbox(folder / "world", files=files, apps=6, act=False, commands=[BIN])
        made.runner_env |= runner_env or {}
        with made as sandbox:
            if ruled:
                sandbox.protect(STABLE, but_workflow=True)
            yield World(sandbox, folder, sandbox.clone(folder / "clone"))


def points(way: str) -> list[Point]:
    """Every effect of an undisturbed run, as its journal tells; a wave of refreshes counts once."""
    its = WAYS[way]
    with world(its.via, lean=True, ruled=its.ruled) as there:
        version = there.next_version(bad=its.bad)
        there.promote("run", version)
        if its.verb:
            there.promote(its.verb)
        journal = max((there.clone / ".git/promote/journal").glob("*.jsonl"), key=lambda p: p.stat().st_mtime)
        lines = [json.loads(line) for line in journal.read_text().splitlines()]
    seen: dict[str, int] = {}
    found = []
    for name in (line["name"] for line in lines if line["event"] == "intent"):
        seen[name] = seen.get(name, 0) + 1
        if name != "ask for a refresh" or seen[name] == 1:
            found += [Point(way, name, seen[name], event, phase) for event, phase in PHASES]
    return found


def one(there: World, point: Point, seed_: int, figures: Figures) -> None:
    """Die at the point, perhaps once more while it is resumed, then one `resume` that may end."""
    way, chance = WAYS[point.way], dice(seed_)
    verb = way.verb
    version, first = there.next_version(bad=way.bad), there.holds(STABLE)
    if verb:
        code, outcome, words = there.promote("run", version)
        if outcome != "verified":
            figures.breach(seed_, f"{point}: the promotion before it ended {outcome}: {words}")
            return
    before = {STABLE: there.holds(STABLE), "back": first, "prod": there.holds(f"refs/tags/prod-{version}") if verb else ""}
    code, outcome, words = there.promote(*([verb] if verb else ["run", version]), at=point.at())
    if code != -signal.SIGKILL:
        figures.breach(seed_, f"{point}: it was not reached: {outcome} ({code}): {words}")
        there.promote("abort", "--break-lock", "--yes")
        return
    figures.counts["kills"] += 1
    if chance.random() < 0.5:
        effect, (event, phase) = chance.choice(("take the lock over", point.effect, "release the lock", "ask for a refresh")), chance.choice(PHASES)
        code, outcome, words = there.promote("resume", at=f"{event}|{effect}|1|{phase}")
        if code == -signal.SIGKILL:
            figures.counts["second kills"] += 1
            code, outcome, words = there.promote("resume")
    else:
        code, outcome, words = there.promote("resume")
    if wrong := there.breach(before, version, code, outcome):
        figures.breach(seed_, f"{point}: {wrong}: {words}")
        there.promote("abort", "--break-lock", "--yes")
        return
    figures.counts[f"settled as {outcome}"] += 1
    if there.promote("resume")[:2] != (0, "nothing"):
        figures.breach(seed_, f"{point}: a second resume found something to do")


def shard(way: str, chosen: Sequence[tuple[Point, int]]) -> Figures:
    """Some points in one world of their own."""
    figures = Figures("R3 crash")
    with world(WAYS[way].via, lean=True, ruled=WAYS[way].ruled) as there:
        for point, number in chosen:
            one(there, point, number, figures)
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
            parts = max(1, min(workers, len(mine) // 8))
            tasks += [pool.submit(shard, way, mine[part::parts]) for part in range(parts) if mine[part::parts]]
        for task in tasks:
            got = task.result()
            figures.counts.update(got.counts)
            figures.breaches += got.breaches


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--count", type=int, default=1, help="seeds a point (default 1)")
    parser.add_argument("--every", type=int, default=3, help="one point in so many, beginning with the seed's (default 3: ten minutes on two cores)")
    parser.add_argument("--full", action="store_true", help="25 seeds at every point")
    parser.add_argument("--workers", type=int, default=max(2, (os.cpu_count() or 2) - 1))
    parser.add_argument("--only", default="", help="points whose words hold this")
    args = parser.parse_args()
    figures, started = Figures("R3 crash"), time.monotonic()
    every = 1 if args.full or args.only else args.every
    run(args.seed, 25 if args.full else args.count, figures, workers=args.workers, only=args.only, every=every)
    print(figures.line(), f"({time.monotonic() - started:.0f} s)")
    for breach in figures.breaches[:30]:
        print(f"  {breach}")
    return 1 if figures.breaches else 0


if __name__ == "__main__":
    sys.exit(main())
