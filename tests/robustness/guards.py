"""R6: each guard is taken out in turn, in a copy of the tree, and a test has to go red. One that nothing misses protects nobody.

python -m tests.robustness.guards [--only NAME]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.robustness.harness import scratch

ROOT = Path(__file__).resolve().parents[2]
PREDICATE = "tests/unit/test_convergence_predicate.py tests/unit/test_convergence_looks.py tests/unit/test_convergence_fleet.py"
AT_ONCE = 3
ENOUGH_S = 300


@dataclass(frozen=True)
class Guard:
    """`before` is the guard's exact text in `file`, `after` what stands there without it; `tests` (files, then -k words) must miss it."""

    name: str
    file: str
    before: str
    after: str
    tests: str
    words: str = ""


GUARDS = (
    Guard("deleting", "promote/arrival.py", "    if app.deleting:\n", "    if False:\n", PREDICATE),
    Guard("operation in progress", "promote/arrival.py", "    if app.in_progress:\n", "    if False:\n", PREDICATE),
    Guard("freshness", "promote/arrival.py", "    if not fresh(app, fresh_after):\n", "    if False:\n", PREDICATE),
    Guard("strictly later", "promote/arrival.py", "app.reconciled > fresh_after)", "app.reconciled >= fresh_after)", PREDICATE),
    Guard("conditions", "promote/arrival.py", "    if app.errors:\n        kind", "    if False:\n        kind", PREDICATE),
    Guard("revision", "promote/arrival.py", "    if where:\n", "    if False:\n", PREDICATE),
    Guard("sync status", "promote/arrival.py", 'if app.sync != "Synced" or app.out_of_sync:', "if False:", PREDICATE),
    Guard("resources", "promote/arrival.py", 'if app.sync != "Synced" or app.out_of_sync:', 'if app.sync != "Synced":', PREDICATE),
    Guard("last sync", "promote/arrival.py", " or _last_sync(app, goal, t_before, forgive_other)", "", PREDICATE),
    Guard("health", "promote/arrival.py", '    return app.health == "Healthy" or', "    return True or", PREDICATE),
    Guard("the lease", "promote/clients/git_push.py", "        *leases,\n", '        "--force",\n', "tests/robustness/test_short.py", "R5 or R1"),
    Guard("all or nothing", "promote/clients/git_push.py", '        "--atomic",\n', "", "tests/integration/test_publish.py"),
    Guard(
        "the fence", "promote/publish.py", "    if lock is None or lock.oid != request.lock_id:\n", "    if lock is None:\n",
        "tests/integration/test_publish.py", "fenced",
    ),
    Guard(
        "the lock's lease", "promote/lock.py", "RefUpdate(ref=LOCK, new=following.oid, expected=lock.oid)", "RefUpdate(ref=LOCK, new=following.oid, expected=git.ref(LOCK).object)",
        "tests/integration/test_publish.py", "lease_alone",
    ),
    Guard(
        "expected_commit", "promote/publish.py", "    if request.expected_commit and dev.commit != request.expected_commit:\n", "    if False:\n",
        "tests/integration/test_publish.py", "re_created",
    ),
    Guard(
        "the old value of the lock", "promote/publish.py", "    if before != lock.stable_before:\n", "    if False:\n",
        "tests/integration/test_publish.py", "foreign",
    ),
    Guard("the branch of the tag's name", "promote/publish.py", "    if names.shadow in refs:\n", "    if False:\n", "tests/integration/test_publish.py", "branch"),
    Guard(
        "re-read after an unclear push", "promote/clients/git_remote.py", '        return all((seen[u.ref].object if u.ref in seen else "") == u.new for u in updates), result, seen\n',
        "        return False, result, seen\n", "tests/integration/test_publish.py tests/integration/test_interrupts.py tests/integration/test_scenarios.py", "",
    ),
    Guard("recorder's finish", "promote/suite.py", "    if not finish:\n", "    if False:\n", "tests/integration/test_suites.py"),
    Guard("required rows", "promote/suite.py", "for name in required if name not in reported", "for name in () if name not in reported", "tests/integration/test_suites.py"),
    Guard("pytest's own end", "promote/suite.py", '    if finish[-1]["exit"] != 0:\n', "    if False:\n", "tests/integration/test_suites.py"),
    Guard("the witness", "promote/checklist/judge.py", "not self.witness.returned", "False", "tests/integration/test_suites.py"),
    Guard(
        "intent before the act", "promote/journal.py", '        self.write("intent", name', '        result = act()\n        self.write("intent", name',
        "tests/unit/test_journal.py",
    ),
    Guard("no act without memory", "promote/journal.py", '            if event == "intent" and not fields.get("putting_back"):\n', "            if False:\n", "tests/unit/test_journal.py"),
    Guard("what protects the tag", "promote/checklist/registry.py", "return frozenset(r.id for r in ROWS if r.protected)", "return frozenset()", "tests/unit/test_waivers.py"),
    Guard("unknown is no pass", "promote/model.py", "return Verdict.PASSED if seen == {Verdict.PASSED} else Verdict.ERRORED", "return Verdict.PASSED", "tests/unit tests/integration/test_suites.py", "worst or suite"),
)  # fmt: skip


def copy(folder: Path) -> Path:
    """The tree as git knows it, with what is not committed yet."""
    there = folder / "tree"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name in listed:
        source = ROOT / name
        if source.is_file():
            (there / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, there / name)
    return there


def missed(guard: Guard) -> str:
    """ "" when a test goes red without the guard, else what happened."""
    with scratch() as folder:
        tree = copy(folder)
        path = tree / guard.file
        text = path.read_text()
        if text.count(guard.before) != 1:
            return f"its text stands {text.count(guard.before)} times in {guard.file}: the table is out of date"
        path.write_text(text.replace(guard.before, guard.after))
        code, said = run(tree, guard.tests, guard.words)
    return "" if code in (1, None) else f"pytest ended with {code}: {said}"


def green(tests: str, words: str) -> str:
    """The same tests with every guard in place: else being red would prove nothing."""
    with scratch() as folder:
        code, said = run(copy(folder), tests, words)
    return "" if code == 0 else f"{tests} {words} is not green with every guard in place: {said}"


def run(tree: Path, tests: str, words: str) -> tuple[int | None, str]:
    """(exit code, the end of what it said); None when it had to be ended: without a guard something may wait for ever."""
    argv = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *tests.split(), *(("-k", words) if words else ())]
    env = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(argv, cwd=tree, env=env, capture_output=True, text=True, check=False, timeout=ENOUGH_S)
    except subprocess.TimeoutExpired:
        return None, ""
    return done.returncode, " ".join(done.stdout.split())[-300:]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="guards whose name holds this")
    args = parser.parse_args()
    chosen = [g for g in GUARDS if args.only in g.name]
    started = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        control = [pool.submit(green, *which) for which in dict.fromkeys((g.tests, g.words) for g in chosen)]
        answers = list(pool.map(missed, chosen))
        red = [said for said in (c.result() for c in control) if said]
    for guard, answer in zip(chosen, answers, strict=True):
        print(f"  {'✗' if answer else '✓'} {guard.name}" + (f": {answer}" if answer else ""))
    for said in red:
        print(f"  ✗ control: {said}")
    survived = sum(map(bool, answers))
    print(
        f"R6 guards: {len(chosen)} taken out one by one, {len(chosen) - survived} missed by a test, {survived} by none; {time.monotonic() - started:.0f} s"
    )
    return 1 if survived or red else 0


if __name__ == "__main__":
    sys.exit(main())
