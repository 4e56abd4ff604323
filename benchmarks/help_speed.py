"""How long `promote --help` takes against `python -c pass`: the ratio of medians, goal at most 4.

python benchmarks/help_speed.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time


def median(argv: list[str], runs: int = 15) -> float:
    taken = []
    for _ in range(runs):
        started = time.perf_counter()
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def main() -> int:
    nothing, help_text = median([sys.executable, "-c", "pass"]), median([sys.executable, "-m", "promote", "--help"])
    print(f"python -c pass {nothing * 1000:.0f} ms · promote --help {help_text * 1000:.0f} ms · ratio {help_text / nothing:.1f} (goal 4)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
