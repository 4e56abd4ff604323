"""Games of Hypothesis over one real remote. PROMOTE_EXAMPLES=N plays N of them instead of the few of `just test`; a failing one is printed as code."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.robustness.harness import Remote, remote

ASKED = int(os.environ.get("PROMOTE_EXAMPLES") or 0)  # read here: no test sees such variables
_HELD: list[Remote] = []


def the_remote() -> Remote:
    """That of the game which is played: Hypothesis makes the machines itself, so nothing can be handed to them."""
    return _HELD[-1]


def play(game: type[RuleBasedStateMachine], *, few: int, steps: int, versions: int) -> None:
    """`few` games (the same ones every time), or as many as were asked for, of at most so many steps."""
    profile = settings(
        max_examples=ASKED or few, stateful_step_count=steps, deadline=None, derandomize=not ASKED, database=None, print_blob=True,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate, *([Phase.shrink] if ASKED else [])],  # shrinking real git takes minutes
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="promote-proof-") as folder, remote(Path(folder), clones=2, versions=versions) as there:
        _HELD.append(there)
        try:
            run_state_machine_as_test(game, settings=profile)
        finally:
            _HELD.pop()
