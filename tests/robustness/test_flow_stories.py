"""Whole promotions with one thing in their way, in one process: each ends as it must, and its report is true (`flow_game.py` judges it)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from promote.core.model import Verdict
from tests.robustness.cluster import Ways
from tests.robustness.flow_game import VERSIONS, Game, Weather
from tests.robustness.harness import LOCK, Remote, remote

LATE = Ways(lag=15.0, stale=3, takes=8.0, rolls=12.0)
QUICK = Ways(lag=0.0, takes=0.0, rolls=0.0)


def weather(
    *deeds: tuple[float | str, str], web: str = "", ways: Ways = QUICK, soak: float = 0.0, timeout: float = 7200.0, **suites: Verdict
) -> Weather:
    said = {name.replace("_", " "): verdict for name, verdict in suites.items()}
    return Weather(ways=(ways, ways, ways), broken=("", web, ""), suites=said, deeds=deeds, soak=soak, timeout=timeout)


NO, UNKNOWN = Verdict.FAILED, Verdict.ERRORED
# The checks take 5 s, then the tag moves.
IN_CHECKS, CONVERGING, IN_POST, BACK_IN_POST = "pre before", 6.0, "post after", "post back"
STORIES: dict[str, tuple[Weather, str]] = {
    "all is well": (weather(), "verified"),
    "it takes its time": (weather(ways=LATE), "verified"),
    "Argo CD never refreshes": (weather(ways=Ways(deaf=True)), "stuck"),
    "a soak": (weather(soak=6.0), "verified"),
    "degraded": (weather(web="Degraded"), "rolled_back"),
    "never rolls out": (weather(web="Progressing"), "rolled_back"),
    "the sync fails": (weather(web="sync"), "rolled_back"),
    "a hook fails under a Synced surface": (weather(web="hook"), "rolled_back"),
    "something stays OutOfSync": (weather(web="prune"), "rolled_back"),
    "the checks fail": (weather(pre_before=NO), "refused"),
    "the checks are undetermined": (weather(pre_before=UNKNOWN), "unchecked"),
    "post fails": (weather(post_after=NO), "rolled_back"),
    "smoke is undetermined": (weather(smoke_after=UNKNOWN), "rolled_back"),
    "post fails on the way back too": (weather(post_after=NO, post_back=NO), "stuck"),
    "it breaks after it was proven": (weather((IN_POST, "it breaks")), "rolled_back"),
    "it breaks in the soak": (weather((60.0, "it breaks"), soak=90.0), "rolled_back"),
    "moved during the checks": (weather((IN_CHECKS, "a move")), "superseded"),
    "moved while it converges": (weather((CONVERGING, "a move")), "superseded"),
    "moved during post": (weather((IN_POST, "a move")), "superseded"),
    "deleted during post": (weather((IN_POST, "a deletion")), "superseded"),
    "put back by hand": (weather((IN_POST, "put back")), "superseded"),
    "hidden by a branch": (weather((IN_POST, "a branch")), "superseded"),
    "the lock is broken during the checks": (weather((IN_CHECKS, "break the lock")), "superseded"),
    "the lock is broken during post": (weather((IN_POST, "break the lock")), "verified"),
    "the lock is broken and post fails": (weather((IN_POST, "break the lock"), post_after=NO), "rolled_back"),
    "the lock is broken on the way back": (weather((BACK_IN_POST, "break the lock"), post_after=NO), "rolled_back"),
    "taken over": (weather((IN_POST, "take over")), "superseded"),
    "moved on the way back": (weather((BACK_IN_POST, "a move"), post_after=NO), "superseded"),
    "hidden on the way back": (weather((BACK_IN_POST, "a branch"), post_after=NO), "superseded"),
    "taken over on the way back": (weather((BACK_IN_POST, "take over"), post_after=NO), "superseded"),
    "stopped during the checks": (weather((IN_CHECKS, "^C")), "interrupted"),
    "stopped while it converges": (weather((CONVERGING, "^C")), "rolled_back"),
    "stopped during post": (weather((IN_POST, "^C")), "rolled_back"),
    "an answer is lost": (weather((IN_CHECKS, "lose an answer")), "verified"),
    "an answer and the network are lost": (weather((IN_CHECKS, "lose it and the network")), "verified"),
    "both are lost on the way back": (weather((IN_POST, "lose it and the network"), post_after=NO), "rolled_back"),
}  # fmt: skip


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    with remote(tmp_path_factory.mktemp("flow"), clones=2, versions=VERSIONS) as made:
        yield made


def _play(there: Remote, one: Weather, *, skew: float = 0.0, degraded: bool = False) -> Game:
    game = Game(there, skew=skew, degraded=degraded)
    game.ship(0, one)
    return game


@pytest.mark.parametrize("name", STORIES)
def test_it_ends_as_it_must(there: Remote, name: str) -> None:
    one, end = STORIES[name]
    assert _play(there, one).ended == end


@pytest.mark.parametrize("moment", [IN_CHECKS, CONVERGING, IN_POST], ids=["in the checks", "converging", "in post"])
@pytest.mark.parametrize("who", [0, 1], ids=["here", "elsewhere"])
def test_killed_it_is_resumed(there: Remote, moment: float | str, who: int) -> None:
    game = _play(there, weather((moment, "crash")))
    assert game.ended == "killed" and there.holds(LOCK)
    game.take_over_promotion(who, {})
    assert (game.ended, there.holds(LOCK)) == ("unchecked" if moment == IN_CHECKS else "verified", "")


@pytest.mark.parametrize(("moment", "end"), [(IN_CHECKS, "unchecked"), (CONVERGING, "verified"), (IN_POST, "verified")])
def test_taken_over_by_one_who_dies_it_is_resumed_where_it_began(there: Remote, moment: float | str, end: str) -> None:
    game = _play(there, weather((moment, "take over")))
    assert game.ended == "superseded" and there.holds(LOCK)
    game.take_over_promotion(0, {})
    assert (game.ended, there.holds(LOCK)) == (end, "")


@pytest.mark.parametrize("skew", [-300.0, 300.0], ids=["behind", "ahead"])
@pytest.mark.parametrize("name", ["all is well", "it takes its time", "a hook fails under a Synced surface", "the sync fails", "post fails"])
def test_a_cluster_whose_clock_is_wrong_changes_nothing(there: Remote, name: str, skew: float) -> None:
    one, end = STORIES[name]
    assert _play(there, one, skew=skew).ended == end


def test_a_promotion_that_may_not_take_its_time_moves_nothing(there: Remote) -> None:
    """The checks took 5 s of 123 s, and production may take two minutes."""
    game = _play(there, weather(timeout=123.0))
    assert game.ended == "unchecked" and game.reason == "118 s are left of promotion.timeout (123 s), and production may take 120 s"


def test_a_promotion_that_takes_too_long_goes_back_and_takes_its_time_for_that(there: Remote) -> None:
    slow = Ways(lag=0.0, takes=0.0, rolls=112.0)
    game = _play(there, weather(timeout=140.0, soak=6.0, ways=slow))
    assert game.ended == "rolled_back"
    assert game.time.passed > 200, "the way back is as long as the way there"
    assert "promotion.timeout, 140 s, is over" in said(there), "in the journal"


def said(there: Remote) -> str:
    return " ".join(path.read_text() for clone in there.clones for path in clone.git_dir.glob("promote/journal/*.jsonl"))


def test_an_application_that_was_degraded_before_is_not_counted(there: Remote) -> None:
    assert _play(there, weather(), degraded=True).ended == "verified"
