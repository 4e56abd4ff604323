"""Hypothesis plays the world around whole promotions (`flow_game.py`): a cluster that shows the tag late, from a cache, wrongly or never, suites that
fail, clocks that differ, another user at the tag, a second promoter, ^C and kill -9 at any second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from promote.core.model import Verdict
from tests.robustness.cluster import Ways
from tests.robustness.flow_game import VERSIONS, Game, Weather
from tests.robustness.play import play, the_remote

SEEN: Counter[str] = Counter()
HOW = ("", "", "", "", "Degraded", "Progressing", "sync", "hook", "prune")
DEEDS = (
    "a move", "a deletion", "put back", "a branch", "it breaks", "break the lock", "take over", "crash", "crash", "^C", "lose an answer", "lose it and the network",
)  # fmt: skip
LATE: dict[str, st.SearchStrategy[Any]] = {
    "lag": st.sampled_from([0.0, 1.0, 4.0, 15.0]), "stale": st.sampled_from([0, 0, 1, 3]), "takes": st.sampled_from([0.0, 2.0, 8.0]),
    "rolls": st.sampled_from([0.0, 3.0, 12.0]),
}  # fmt: skip
WAYS = st.builds(Ways, **LATE)
SAID = st.sampled_from([Verdict.PASSED] * 6 + [Verdict.FAILED, Verdict.ERRORED])
AFTER = st.fixed_dictionaries(dict.fromkeys(("post after", "smoke after", "post back", "smoke back"), SAID))
WELL, CALM, PASSING = st.just(("", "", "")), st.just(()), st.just({})
DEED = st.tuples(st.sampled_from(["pre before", 6.0, 8.0, 12.0, 20.0, "post after", "post back"]), st.sampled_from(DEEDS))


def _weather(*, broken: Any = WELL, suites: Any = PASSING, deeds: Any = CALM, ways: Any = WAYS) -> st.SearchStrategy[Weather]:
    soak = st.sampled_from([0.0, 0.0, 6.0])
    return st.builds(Weather, ways=st.tuples(ways, ways, ways), broken=broken, suites=suites, deeds=deeds, soak=soak)


BROKEN = st.tuples(*[st.sampled_from(HOW)] * 3)
# One kind of trouble at a time half of the time: with all of them at once hardly anything ever ends well.
WEATHER = st.one_of(
    _weather(),
    _weather(broken=BROKEN),
    _weather(suites=AFTER),
    _weather(deeds=DEED.map(lambda deed: (deed,))),
    _weather(deeds=st.tuples(DEED, DEED), broken=BROKEN),
    _weather(ways=st.builds(Ways, **LATE, deaf=st.sampled_from([False] * 5 + [True])), deeds=st.tuples(DEED), suites=AFTER),
    _weather(suites=st.fixed_dictionaries({"pre before": SAID})),
)


class Flow(RuleBasedStateMachine):
    game: Game

    @initialize(skew=st.sampled_from([0.0, 0.0, 1.0, 300.0, -300.0]), degraded=st.booleans())
    def a_world(self, skew: float, degraded: bool) -> None:
        self.game = Game(the_remote(), skew=skew, degraded=degraded, seen=SEEN)

    @rule(who=st.integers(0, 1), weather=WEATHER)
    def ship(self, who: int, weather: Weather) -> None:
        self.game.ship(who, weather)

    @rule(who=st.integers(0, 1), suites=st.one_of(PASSING, AFTER))
    def take_over_promotion(self, who: int, suites: Mapping[str, Verdict]) -> None:
        self.game.take_over_promotion(who, suites)


@pytest.mark.timeout(3600)
def test_the_reported_end_is_true_however_late_the_cluster_is() -> None:
    SEEN.clear()
    play(Flow, few=6, steps=6, versions=VERSIONS)
    print(dict(SEEN))
    assert set(SEEN) >= {"verified", "rolled_back"}, SEEN
