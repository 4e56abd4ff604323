"""The model is searched completely; each rule of the protocol left out breaks a promise, so the search can fail; and what a driver may do is the
table that journals are held against."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from promote.tags.observation import RefState, classify
from tests.model.journal import EDGES, problem
from tests.model.protocol import RULES, A, B, Model
from tests.model.refs import FOLLOWS, NOT_OURS, expected, observed

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def model() -> Model:
    model = Model()
    assert model.search() == ""
    return model


@pytest.mark.timeout(300)
def test_every_promise_holds_in_every_state(model: Model) -> None:
    assert f"{len(model.seen):,} states" in (ROOT / "docs/reliability.md").read_text(), f"the model has {len(model.seen):,} states"
    assert {end for s in model.seen for _, end in s.said} == {"verified", "rolled back", "unchecked", "stuck", "superseded"}, "every end is reached"
    assert any(dict(s.said) == {"A": "verified", "B": "verified"} for s in model.seen), "one promotion after another"
    assert json.loads(EDGES.read_text()) == model.edges(), "write Model().edges() to edges.json"


@pytest.mark.timeout(300)
def test_classify_says_of_every_state_what_the_model_says(model: Model) -> None:
    """In every state that can be reached, for every driver that looks at the refs there, what the model lets it do is what `classify` allows."""
    answers: Counter[tuple[str, RefState]] = Counter()
    for state in model.seen:
        for who, promotion in (("p", A), ("r", A), ("q", B)):
            place = getattr(state, who).at
            labels = {label for label, _ in model.driver(state, who, promotion)} if place in FOLLOWS else set()
            for expectation in expected(state, who, promotion):
                answer = classify(observed(state, promotion), expectation).state
                answers[place, answer] += 1
                for label, follows in FOLLOWS[place].items():
                    assert (label in labels) is (answer in follows), f"{who} {place}: {label} after {answer}, in {state}"
    kept, moved = {RefState.OURS, *NOT_OURS}, {RefState.OURS, RefState.UNMOVED, *NOT_OURS}
    wanted = {"moving": kept, "promoted": kept, "proving back": kept, "looking": moved | {RefState.PUT_BACK}, "looking back": moved}
    assert set(answers) == {(place, answer) for place, all_of in wanted.items() for answer in all_of}, "each answer was asked for in each place"


@pytest.mark.parametrize("rule", RULES)
def test_without_a_rule_a_promise_is_broken(rule: str) -> None:
    assert Model(without=frozenset({rule})).search() != ""


def journal(*effects: str, end: str = "") -> list[dict[str, object]]:
    lines: list[dict[str, object]] = []
    for effect in effects:
        name, _, how = effect.partition(" !")
        lines += [{"event": "intent", "name": name}, {"event": "error" if how or effect.endswith("!") else "result", "name": name.rstrip(" !")}]
    return [*lines, *([{"event": "state", "name": end}] if end else [])]


GOOD = ("take the lock", "authorise the move", "move the stable tag")
FORBIDDEN = (*GOOD, "move the stable tag back !")


@pytest.mark.parametrize(
    ("effects", "end"),
    [
        (GOOD, "verified"),
        ((*GOOD, "move the stable tag back"), "rolled_back"),
        (("take the lock",), "refused"),
        (("take the lock", "authorise the move", "dispatch the workflow", "fence"), "unchecked"),
        (("take the lock", "authorise the move", "dispatch the workflow"), "verified"),
        (("take the lock", "authorise the move", "take the lock over"), "unchecked"),
        ((*GOOD, "take the lock over", "move the stable tag back", "take the lock over"), "rolled_back"),
        (("take the lock", "authorise the move !", "take the lock over"), "unchecked"),  # taken over, and its new owner died
        (GOOD, ""),
        ((*FORBIDDEN, "dispatch the rollback"), "rolled_back"),
        ((*FORBIDDEN, "dispatch the rollback", "fence"), "stuck"),
        ((*FORBIDDEN, "dispatch the rollback", "fence !"), "rolled_back"),
        ((*FORBIDDEN, "dispatch the rollback !", "fence"), "stuck"),
        ((*GOOD, "move the stable tag back !", "fence"), "stuck"),  # no reply, and it had not come
        ((*GOOD, "move the stable tag back !", "fence !"), "rolled_back"),  # it had
        ((*GOOD, "move the stable tag back !", "fence"), "rolled_back"),  # it had not, and a user ran the undo that was printed
        ((*GOOD, "fence"), "rolled_back"),  # the tags could not be read back, and a user put the old one back: docs/architecture.md, `PUT_BACK`
        ((*GOOD, "fence"), "verified"),  # nor could they, and it was there
        ((*FORBIDDEN, "dispatch the rollback", "take the lock over", "move the stable tag back !", "dispatch the rollback"), "rolled_back"),
    ],
)
def test_such_journals_are_paths(effects: tuple[str, ...], end: str) -> None:
    assert problem(journal(*effects, end=end)) == ""


@pytest.mark.parametrize(
    ("effects", "end"),
    [
        (("take the lock", "move the stable tag"), "verified"),  # without authorisation
        (("take the lock", "authorise the move"), "verified"),  # without a move
        (("take the lock", "move the stable tag", "authorise the move"), "verified"),
        ((*GOOD, "move the stable tag"), "verified"),
        ((*GOOD, "move the stable tag"), ""),  # cut short, and wrong already
        ((*GOOD, "move the stable tag back"), "verified"),
        (GOOD, "rolled_back"),
        (GOOD, "unchecked"),
        (("take the lock", "authorise the move"), "rolled_back"),
        (("take the lock", "authorise the move", "fence", "move the stable tag"), "verified"),
        (("take the lock", "move the stable tag back"), "rolled_back"),
        ((*GOOD, "dispatch the rollback"), "rolled_back"),  # its own push was not tried
        ((*FORBIDDEN, "dispatch the rollback", "dispatch the rollback"), "rolled_back"),  # twice
        (("take the lock", "authorise the move", "fence"), "rolled_back"),  # abandoned before it was tried
    ],
)
def test_such_journals_are_not(effects: tuple[str, ...], end: str) -> None:
    assert problem(journal(*effects, end=end)) != ""
