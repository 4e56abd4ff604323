"""All proofs, three at a time, for each of them waits too. What one prints is printed when it ends, with its time."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

# The longest first.
PROOFS = (
    "crash", "guards", "outage --every 2", "deadlines", "secrets", "flaky --storm", "flaky", "races", "foreign", "suites (R7)", "dispatch", "continuity", "stale",
)  # fmt: skip
UNSEEDED = {  # they take no options: each of their cases is tried anyway
    "guards": ("-m", "tests.robustness.guards"),
    "suites (R7)": ("-m", "pytest", "-q", "tests/checklist/test_suites.py"),
}


def argv_of(proof: str, options: Sequence[str]) -> Sequence[str]:
    """The variables of its Python."""
    name, *own = proof.split()
    return UNSEEDED.get(proof) or ("-m", f"tests.robustness.{name}", *own, *options)


def run(argv: Sequence[str]) -> tuple[int, str, float]:
    """(exit code, what it printed, seconds) of one proof."""
    started = time.monotonic()
    done = subprocess.run([sys.executable, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout.rstrip(), time.monotonic() - started


def _figures(words: str) -> str:
    """Without the lines of what went well, of which there are many."""
    return "\n".join(line for line in words.splitlines() if not line.startswith("  ✓"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="just robustness", description=__doc__, epilog="Other options go to each proof: --full, --seed N.")
    parser.add_argument("--jobs", type=int, default=3, help="proofs at once (default 3)")
    args, options = parser.parse_known_args()
    started, failed = time.monotonic(), []
    with ThreadPoolExecutor(args.jobs) as pool:
        running = {pool.submit(run, argv_of(name, options)): name for name in PROOFS}
        for ended in as_completed(running):
            code, words, seconds = ended.result()
            failed += [running[ended]] if code else []
            print(f"== {running[ended]}: {'failed' if code else 'holds'}, {seconds:.0f} s\n{_figures(words)}\n", flush=True)
    print(
        f"{len(PROOFS) - len(failed)} of {len(PROOFS)} hold, {time.monotonic() - started:.0f} s"
        + (f"; failed: {', '.join(failed)}" if failed else "")
    )
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
