"""Each proof in its short form: a few seeds of every kind, in a minute altogether."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.robustness import continuity, crash, deadlines, dispatch, flaky, foreign, outage, races, secrets, stale
from tests.robustness.harness import Figures

PROOFS: dict[str, tuple[Callable[[int, int, Figures], None], int]] = {
    "R1 races": (races.run, 12),
    "R2 dispatch": (dispatch.run, 10),
    "R3 crash": (lambda seed, count, figures: crash.run(seed, 1, figures, ways=("good",), most=count), 2),
    "R4 continuity": (continuity.run, 4),
    "R5 foreign moves": (foreign.run, 12),
    "R6 stale cluster": (stale.run, len(stale.PLAYS)),
    "R8 deadlines": (lambda seed, count, figures: deadlines.run(seed, count, figures, only="git remote: "), 1),
    "R8 outage": (lambda seed, count, figures: outage.run(seed, count, figures, only="GitHub: refuse"), 1),
    "R9 secrets": (secrets.run, 3),
    "R10 flaky": (flaky.run, 2),
    "R10 storm": (lambda seed, count, figures: flaky.run(seed, count, figures, storm=True), 2),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", PROOFS)
def test_it_holds(name: str) -> None:
    proof, count = PROOFS[name]
    figures = Figures(name)
    proof(1, count, figures)
    assert figures.breaches == [], figures.line()
    assert sum(figures.counts.values()) >= count, figures.line()


def test_eight_at_once() -> None:
    figures = Figures("R1 races")
    races.run(1, 2, figures, ways=8)
    assert figures.breaches == [], figures.line()
