"""Who is fooled by a race: Argo CD's own wait, a script that compares the revision, and promote, side by side on the real stack.

    python -m tests.realstack.waits [--seed N] [--only NAME,NAME] [--write FILE] [--side-by-side N]

Prints a line for each race and the sums. The seed decides the order, and how long after the move the judges begin to look. Exit code 1 when promote
was wrong once, or a race could not be made.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path

from promote.kube.client import connect
from promote.sandbox.real.charts import Charts
from promote.sandbox.real.cluster import RealCluster
from tests.contract.place import Place
from tests.contract.worlds import real_world, repository
from tests.realstack import build
from tests.realstack.waits.families import ROOTED
from tests.realstack.waits.judges import server
from tests.realstack.waits.run import LIMIT_S, REST_S, Situation, Stage, run
from tests.realstack.waits.scale import measure
from tests.realstack.waits.scene import Scene
from tests.realstack.waits.situations import ALONE
from tests.realstack.waits.table import NAMES, Row, page, plain, wrong

ALL: tuple[Situation, ...] = (*ALONE, *ROOTED)
CHARTS = {"cert-manager": "v1.14.4", "trust-manager": "v0.9.0"}
HEAD = """# Three ways of waiting, compared with the real state

`just compare-waits` generates this page on the real stack ([testing.md](testing.md)); do not edit it."""


def measured(stage: Stage, folder: Path, log: Path, count: int, *, poll: bool) -> list[str]:
    """The figures of a big fleet on the same stack, after the races."""
    folder.mkdir()
    with repository(folder, stage.world) as repo:
        place = Place(stage.world.api, repo, "fleet")
        try:
            return measure(Scene(stage.world.api, place, stage.charts), stage.kube, log, count, poll=poll)
        finally:
            place.clear()


def races(situations: list[Situation], seed: int, workers: int, count: int, *, poll: bool) -> tuple[list[Row], list[str]]:
    """Every race on one real stack, `workers` at a time; in the order of the list."""
    rng = random.Random(seed)
    plan = [(situation, rng.uniform(0.0, 1.5)) for situation in situations]
    rng.shuffle(plan)
    rows: dict[str, Row] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="promote-waits-")))
        cluster = RealCluster("waits", build.binaries())
        stack.callback(cluster.stop)
        cluster.start()
        world = stack.enter_context(real_world({"url": cluster.url, "folder": str(cluster.folder), "etcd": cluster.ports["etcd"]}))
        wait = stack.enter_context(server(cluster, folder))
        charts = Charts(CHARTS)
        charts.start()
        stack.callback(charts.stop)
        kube = connect("prod", cluster.folder / "kubeconfig", "admin")
        pool = stack.enter_context(ThreadPoolExecutor(workers))
        where = Stage(world=world, kube=kube, server=wait, charts=charts)
        futures = [pool.submit(run, situation, folder / f"{n:02}", where, delay=delay) for n, (situation, delay) in enumerate(plan)]
        for future in as_completed(futures):
            row = future.result()
            rows[row.name] = row
            print(plain(row), flush=True)
        figures = measured(where, folder / "fleet", cluster.folder / "argocd-application-controller.log", count, poll=poll) if count else []
    return [rows[s.__name__] for s in situations], figures  # type: ignore[attr-defined]


def tail(rows: list[Row], seed: int, seconds: float, figures: list[str]) -> str:
    fleet = "\n\n## A fleet, in the same run\n| what | result |\n|---|---|\n" + "\n".join(figures) if figures else ""
    return f"""All three start at the same moment, up to 1.5 s after the move, and have {LIMIT_S:.0f} s. The test reads the live objects of
production until {REST_S:.0f} s after the last of the three has reported: required objects must be there (or gone), and every pod must run the new image and be
ready. The verdict "there" is right only if production was there at that moment and at every later read; "not there" is right if production was not
there in the end.

- *too early*: production got there only later. *not there*: it never got there. *did not last*: it was there, but not at every later read. *was there*:
  production was there, and the verdict was "not there".
- `argocd app wait -l LABEL --sync --health --timeout {LIMIT_S:.0f}` is the 3.2.11 binary with its own argocd-server. It requests no refresh itself; it profits here
  from the refreshes that the other two request.
- The script requests one refresh and polls twice a second until every application with the label is Synced and Healthy and every git source that
  follows the tag shows the commit.
- promote runs the steps of `promote run` between the move and its suites, with the defaults of [settings.md](settings.md): convergence, then the last
  look; before each look it reads on the remote that the tag is unchanged and that no branch has its name. In a rollback it may end a blocking operation; the
  test runs such a race twice, once for promote and once for the other two.

Seed {seed}, {len(rows)} races in {seconds:.0f} s on {os.cpu_count()} cores.{fleet}"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--only", default="", help="names of races, with commas between")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table there")
    parser.add_argument("--side-by-side", type=int, default=5, metavar="N")
    parser.add_argument("--fleet", type=int, default=0, metavar="N", help="measure a fleet of that many applications afterwards")
    parser.add_argument("--poll", action="store_true", help="with --fleet: also wait for Argo CD's own poll (six minutes and more)")
    args = parser.parse_args()
    names = [n for n in args.only.split(",") if n]
    chosen = [s for s in ALL if not names or s.__name__ in names]  # type: ignore[attr-defined]
    started = time.monotonic()
    rows, figures = races(chosen, args.seed, args.side_by_side, args.fleet, poll=args.poll)
    for judge, title in NAMES.items():
        print(f"{title}: {wrong(rows, judge)} wrong of {len(rows)}")
    if args.write:
        args.write.write_text(page(rows, HEAD, tail(rows, args.seed, time.monotonic() - started, figures)))
    return 1 if wrong(rows, "promote") else 0


if __name__ == "__main__":
    sys.exit(main())
