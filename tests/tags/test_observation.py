"""How `classify` reads refs that the model of the protocol does not have, how each answer is worded, and which ones raise."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from promote.config.schema import Settings
from promote.core.errors import Superseded
from promote.core.model import Tag
from promote.tags.lock import LOCK, Lock, UnreadableLock
from promote.tags.names import ref_names
from promote.tags.observation import Kept, Move, Observation, Reading, RefState, Sign, classify, describe, superseded

NAMES = ref_names(Settings(root=None), "v1.1.0")  # type: ignore[arg-type]
OLD, NEW, OTHER = "0" * 40, "1" * 40, "2" * 40
GIT: Any = type("Git", (), {"remote": "origin"})()


def tag(oid: str, *, ref: str = NAMES.stable, commit: str = "") -> Tag:
    return Tag(ref=ref, object=oid, commit=commit or oid)


def lock(state: str = "promoted", *, request_id: str = "r1", holder: str = "h1") -> Lock:
    return Lock(
        request_id=request_id, state=state, version="v1.1.0", candidate=NEW, stable_before=OLD, owner="ada", host="box", since="now", holder=holder,
        oid="l1",
    )  # fmt: skip


def seen(stable: str, says: Lock | None, **more: Any) -> Observation:
    return Observation(
        names=NAMES, stable=tag(stable) if stable else None, says=says, lock=tag(says.oid, ref=LOCK) if says else None,
        prod=tag(NEW, ref=NAMES.prod), **more,
    )  # fmt: skip


MOVE = Move(request_id="r1", holder="h1", before=OLD, sign=Sign.PROD_TAG, commit=NEW, entered="promoted", back=OLD)
OLDER = replace(MOVE, sign=Sign.OLDER_WORKFLOW, reads_lock=False)
SHADOW = tag(OTHER, ref=NAMES.shadow)
UNREAD = UnreadableLock("the lock cannot be read", hint="upgrade")


@pytest.mark.parametrize(
    ("observation", "expected", "state"),
    [
        (seen(NEW, lock()), MOVE, RefState.OURS),
        (seen(NEW, lock()), replace(MOVE, commit=OTHER), RefState.OTHER_COMMIT),
        (seen(OLD, lock("fenced")), MOVE, RefState.UNMOVED),
        (seen(OLD, lock()), MOVE, RefState.PUT_BACK),
        (seen("", lock()), MOVE, RefState.FOREIGN),
        (seen("", lock()), replace(MOVE, before=""), RefState.FOREIGN),  # a first promotion, moved and then deleted
        (seen("", lock("fenced")), replace(MOVE, before=""), RefState.UNMOVED),
        (seen(NEW, None, unreadable=UNREAD), MOVE, RefState.UNKNOWN),
        (seen(NEW, None), MOVE, RefState.FOREIGN),
        (seen(NEW, lock(holder="h2")), MOVE, RefState.LOCK_LOST),
        (seen(NEW, lock(request_id="r2")), MOVE, RefState.FOREIGN),
        (seen(OTHER, lock()), MOVE, RefState.FOREIGN),
        (seen(NEW, lock(), made_by="r2"), replace(MOVE, sign=Sign.TRAILER), RefState.FOREIGN),
        (seen(NEW, lock(), made_by="r1"), replace(MOVE, sign=Sign.TRAILER), RefState.OURS),
        (seen("", lock("prechecked")), OLDER, RefState.DELETED),
        (seen(NEW, lock("prechecked")), OLDER, RefState.OURS),
        (seen(NEW, lock("prechecked")), replace(OLDER, prod_before=NEW), RefState.FOREIGN),  # the prod tag was there before
        (seen(OLD, lock("prechecked")), OLDER, RefState.UNMOVED),
        (seen(OLD, lock("prechecked", holder="h2")), OLDER, RefState.LOCK_LOST),
        (seen(OLD, None), OLDER, RefState.LOCK_LOST),
        (seen(NEW, lock()), Kept(stable=NEW, lock="l1"), RefState.OURS),
        (seen(NEW, lock(), shadow=SHADOW), Kept(stable=NEW, lock="l1"), RefState.SHADOWED),
        (seen(NEW, lock(), shadow=SHADOW), Kept(stable=NEW, lock="l1", shadow=False), RefState.OURS),
        (seen(OTHER, lock()), Kept(stable=NEW, lock="l1"), RefState.FOREIGN),
        (seen("", lock()), Kept(stable=NEW), RefState.FOREIGN),
        (seen("", None), Kept(stable=""), RefState.OURS),
        (seen(NEW, None), Kept(stable=NEW, lock="l1"), RefState.LOCK_LOST),
        (seen(NEW, lock()), Kept(stable=NEW, lock="l0"), RefState.LOCK_LOST),
    ],
)
def test_what_the_refs_mean(observation: Observation, expected: Kept | Move, state: RefState) -> None:
    assert classify(observation, expected).state is state


def test_a_move_counts_as_made_only_under_its_own_lock() -> None:
    """Of every combination of refs: no answer is "made" without this promotion's id and this process's name in the lock."""
    made = {RefState.OURS, RefState.OTHER_COMMIT, RefState.PUT_BACK}
    locks = [None, *(lock(s, request_id=r, holder=h) for s in ("prechecked", "promoted", "fenced") for r in ("r1", "r2") for h in ("h1", "h2"))]
    for stable, says, maker, sign in itertools.product(("", OLD, NEW, OTHER), locks, ("r1", "r2"), Sign):
        for expected in (replace(MOVE, sign=sign, to=NEW), replace(MOVE, sign=sign, to=NEW, reads_lock=False)):
            if classify(seen(stable, says, made_by=maker), expected).state in made:
                assert says is not None and (says.request_id, says.holder) == ("r1", "h1")
                assert stable in (NEW, OLD) or sign is Sign.TRAILER


@pytest.mark.parametrize("state", RefState)
def test_each_answer_is_worded(state: RefState) -> None:
    for expected in (MOVE, replace(MOVE, sign=Sign.OBJECT, to=OLD), Kept(stable=NEW, lock="l1")):
        words = describe(Reading(state=state, seen=seen(OTHER, lock(), unreadable=UNREAD), expected=expected))
        assert words and "None" not in words


def test_who_holds_the_lock_is_named() -> None:
    lost = classify(seen(NEW, lock(holder="h2")), MOVE)
    assert str(superseded(GIT, lost)).startswith(f"{LOCK} is no longer this promotion's: ada")
    gone = classify(seen(NEW, None), Kept(stable=NEW, lock="l1"))
    assert superseded(GIT, gone).what == f"{LOCK} is no longer this promotion's: it was deleted"


def test_a_branch_that_hides_the_tag_comes_with_the_command_that_deletes_it() -> None:
    error = superseded(GIT, classify(seen(NEW, lock(), shadow=SHADOW), Kept(stable=NEW)))
    assert isinstance(error, Superseded) and error.hint.endswith("git push origin :refs/heads/prod-stable")
