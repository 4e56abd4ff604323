"""R6: each guard is taken out in turn, in a copy of the tree, and a test has to go red. A guard that no test misses protects nothing.

python -m tests.robustness.guards [--only NAME]
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.robustness.guard import Guard
from tests.robustness.guard_table_judging import JUDGING
from tests.robustness.guard_table_moving import MOVING
from tests.robustness.harness import scratch

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = 2
ENOUGH_S = 300


GUARDS = (*JUDGING, *MOVING)


def copy(folder: Path) -> Path:
    """The tree as git knows it, with uncommitted changes, and with Python's compiled files: it is the same but for one file."""
    there = folder / "tree"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name in listed:
        source = ROOT / name
        if source.is_file():
            (there / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, there / name)  # with its time, by which Python knows what it has compiled
    for inside in {Path(name).parent for name in listed if name.endswith(".py")}:
        if (compiled := ROOT / inside / "__pycache__").is_dir():
            shutil.copytree(compiled, there / inside / "__pycache__", dirs_exist_ok=True)
    return there


@dataclass(frozen=True)
class Answer:
    """`wrong`: "" when a test went red without the guard, else what happened. `red`: which test did."""

    guard: Guard
    red: str = ""
    wrong: str = ""


def missed(guard: Guard) -> Answer:
    with scratch() as folder:
        tree = copy(folder)
        path = tree / guard.file
        text = path.read_text()
        if text.count(guard.before) != 1:
            return Answer(guard, wrong=f"its text stands {text.count(guard.before)} times in {guard.file}: the table is out of date")
        path.write_text(text.replace(guard.before, guard.after))
        for stale in path.parent.glob(f"__pycache__/{path.stem}.*"):
            stale.unlink()
        code, said = run(tree, guard.tests, guard.words)
    if code is None:
        return Answer(guard, red=f"{guard.tests} did not end")
    found = re.search(r"^FAILED (.*?)(?: - .*)?$", said, re.MULTILINE)
    if code != 1 or not found:
        return Answer(guard, wrong=f"pytest ended with {code}: {_end(said)}")
    return Answer(guard, red=found[1])


def green(file: str, words: str) -> str:
    """The same tests with every guard in place: else being red would prove nothing."""
    with scratch() as folder:
        code, said = run(copy(folder), file, words)
    if code is None:
        return f"{file} {words} did not end within {ENOUGH_S} s with every guard in place"
    return "" if code == 0 else f"{file} {words} is not green with every guard in place: {_end(said)}"


def by_file(guards: Iterable[Guard]) -> dict[str, str]:
    """Each file of tests that some guard names, with the words that choose all that is asked of it: "" for the whole file."""
    asked: dict[str, set[str]] = {}
    for guard in guards:
        for test in guard.tests.split():
            file, _, name = test.partition("::")
            asked.setdefault(file, set()).add(name or guard.words)
    return {file: "" if "" in words else " or ".join(sorted(words)) for file, words in asked.items()}


def interpreter(tree: Path) -> Path:
    """A Python that finds the tree and not the installed package: programs that a test starts with an environment of its own have to run the tree too."""
    home = tree.parent / "python"
    venv.create(home, symlinks=True)
    site = next(home.glob("lib/python*/site-packages"))
    (site / "tree.pth").write_text(f"{tree}\n{sysconfig.get_path('purelib')}\n")  # a path that stands in a .pth has its own .pth files ignored
    program = home / "bin" / "promote"
    program.write_text(f"#!{home}/bin/python\nimport sys\nfrom promote.cli.main import main\nsys.exit(main())\n")
    program.chmod(0o755)
    return home / "bin" / "python"


def run(tree: Path, tests: str, words: str) -> tuple[int | None, str]:
    """(exit code, output); None when it had to be ended: without a guard something may wait for ever."""
    argv = [
        str(interpreter(tree)),
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:hypothesispytest",  # a second for each, and no words of it are needed
        *tests.split(),
        *(("-k", words) if words else ()),
    ]
    env = {**{k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(argv, cwd=tree, env=env, capture_output=True, text=True, check=False, timeout=ENOUGH_S)
    except subprocess.TimeoutExpired:
        return None, ""
    return done.returncode, done.stdout + done.stderr


def _end(said: str) -> str:
    return " ".join(said.split())[-300:]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="guards in whose name this expression is found")
    args = parser.parse_args()
    chosen = [g for g in GUARDS if re.search(args.only, g.name)]
    if not chosen:
        parser.error(f"no guard's name holds {args.only!r}")
    started = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        control = [pool.submit(green, *which) for which in by_file(chosen).items()]
        answers = []
        for answer in pool.map(missed, chosen):
            answers.append(answer)
            print(f"  {'✗' if answer.wrong else '✓'} {answer.guard.name}: {answer.wrong or answer.red}", flush=True)
        red = [said for said in (c.result() for c in control) if said]
    for said in red:
        print(f"  ✗ control: {said}")
    survived = sum(bool(answer.wrong) for answer in answers)
    print(
        f"R6 guards: {len(chosen)} taken out one by one, {len(chosen) - survived} missed by a test, {survived} by none; {time.monotonic() - started:.0f} s"
    )
    return 1 if survived or red else 0


if __name__ == "__main__":
    sys.exit(main())
