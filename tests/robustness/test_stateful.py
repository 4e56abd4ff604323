"""Hypothesis plays the world: two promoters, a foreign pusher, crashes, takeovers and lost answers, in any order, over real git HTTP.

A small model knows after every step the refs that the remote must hold and who may write; a difference is shrunk to the shortest way there.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from promote.core.errors import Rejected, Superseded
from promote.sandbox.http_server import Fault
from promote.tags.lock import Lock, acquire, advance, read_lock, release
from promote.tags.publish import fence, move_back, publish
from tests.robustness.harness import LOCK, STABLE, lock_of, request_of
from tests.robustness.harness import settings as settings_of
from tests.robustness.play import ASKED, play, the_remote

VERSIONS, SHADOW = 12, "refs/heads/prod-stable"
SEEN: Counter[str] = Counter()
OURS = ("begin", "move", "back", "give_up", "take_over", "end", "crash")
FOREIGN = ("a move", "a deletion", "put back", "a branch", "no branch", "break the lock")
DEEDS = (*("ship", "back", "move") * 4, *("robbed",) * 2, *OURS, *OURS, *FOREIGN)


@dataclass
class Promoter:
    """What one of them believes: the lock it holds (perhaps held), and the object it moved the stable tag to."""

    lock: Lock | None = None
    moved: str = ""


class Game(RuleBasedStateMachine):
    """`stable` and `lock` are what the remote must hold, `undo` what the undo ref must."""

    def __init__(self) -> None:
        super().__init__()
        self.there = the_remote()
        self.there.fresh()
        self.there.put(SHADOW, "")
        self.there.put("refs/promote/undo", "")
        self.people = [Promoter(), Promoter()]
        self.stable, self.lock, self.next = self.there.start, "", 1

    @initialize()
    def nothing_has_happened(self) -> None:
        assert self.there.holds(LOCK) == ""

    def teardown(self) -> None:
        self.there.server.clear_faults()

    @invariant()
    def the_remote_holds_what_was_said(self) -> None:
        assert self.there.holds(STABLE) == self.stable
        assert self.there.holds(LOCK) == self.lock

    @rule(who=st.integers(0, 1), deed=st.sampled_from(DEEDS), lost=st.booleans())
    def step(self, who: int, deed: str, lost: bool) -> None:
        """One rule for all: Hypothesis leaves whole rules out of a game, and hardly any of these proves much alone."""
        if deed in FOREIGN:
            self.another_user(deed)
        else:
            getattr(self, deed)(who, lost)

    def ship(self, who: int, lost: bool) -> None:
        self.begin(who, lost)
        self.move(who, lost)

    def begin(self, who: int, lost: bool) -> None:
        if self.next > VERSIONS:
            return
        git, version = self.there.clones[who], f"v1.{self.next}.0"
        self._lose(lost)
        try:
            lock = acquire(git, lock_of(who, version, self.there.commits[version], self.stable))
        except Rejected as no:
            assert self.lock, f"it was free: {no}"
            assert "has been promoting v1." in no.what
            return
        assert not self.lock, "taken from its holder"
        self.people[who], self.lock, self.next = Promoter(lock), lock.oid, self.next + 1

    def move(self, who: int, lost: bool) -> None:
        me, git = self.people[who], self.there.clones[who]
        if me.lock is None or me.moved:
            return
        prod = f"refs/tags/prod-{me.lock.version}"  # is there when this promotion was moved once, and put back by another user
        may = me.lock.oid == self.lock and me.lock.stable_before == self.stable and not self.there.holds(SHADOW) and not self.there.holds(prod)
        self._lose(lost)
        try:
            done = publish(git, settings_of(git), request_of(me.lock))
        except (Rejected, Superseded) as no:
            assert not may, f"it was free to move: {no}"
            SEEN["refused"] += 1
            return
        assert may, "moved without the right to"
        assert done.lock
        assert self.there.holds(prod) == done.stable.object
        self.people[who] = Promoter(done.lock, done.stable.object)
        self.stable, self.lock = done.stable.object, done.lock.oid
        SEEN["moved, the answer lost" if lost else "moved"] += 1

    def back(self, who: int, lost: bool) -> None:
        me, git = self.people[who], self.there.clones[who]
        if me.lock is None or not me.moved or not me.lock.stable_before:
            return
        may = me.lock.oid == self.lock and me.moved == self.stable
        self._lose(lost)
        try:
            lock = move_back(git, settings_of(git), me.lock, to=me.lock.stable_before, replacing=me.moved)
        except (Rejected, Superseded) as no:
            assert not may, f"it was free to go back: {no}"
            return
        assert may, "went back without the right to"
        self.stable, self.lock = me.lock.stable_before, lock.oid
        self.people[who] = Promoter(lock)
        SEEN["went back"] += 1

    def give_up(self, who: int, lost: bool) -> None:
        """Fence: from then on whatever was under way with the lock of before can move nothing."""
        me = self.people[who]
        if me.lock is None:
            return
        may = me.lock.oid == self.lock
        self._lose(lost)
        try:
            me.lock = fence(self.there.clones[who], me.lock)
        except (Rejected, Superseded) as no:
            assert not may, f"the lock was its own: {no}"
            return
        assert may, "fenced another user"
        self.lock = me.lock.oid
        SEEN["fenced"] += 1

    def take_over(self, who: int, lost: bool) -> None:
        """As `promote resume` does from the lock alone."""
        git = self.there.clones[who]
        lock = read_lock(git)
        if lock is None:
            assert not self.lock
            return
        self._lose(lost)
        assert lock.oid == self.lock
        lock = advance(git, lock, state=lock.state)
        moved = self.stable if self.stable == self.there.holds(f"refs/tags/prod-{lock.version}") else ""
        self.people[who], self.lock = Promoter(lock, moved), lock.oid
        SEEN["taken over"] += 1

    def robbed(self, who: int, lost: bool) -> None:
        """The other takes the lock over, and its former holder does not know yet."""
        self.take_over(1 - who, lost=False)
        self.give_up(who, lost)

    def end(self, who: int, lost: bool) -> None:
        me = self.people[who]
        if me.lock is None:
            return
        mine = me.lock.oid == self.lock
        self._lose(lost)
        release(self.there.clones[who], me.lock)
        self.people[who] = Promoter()
        if mine:
            self.lock = ""

    def crash(self, who: int, lost: bool) -> None:
        self.people[who] = Promoter()

    def another_user(self, deed: str) -> None:
        """Has all rights, and uses no lease."""
        if deed == "break the lock":
            self.there.put(LOCK, "")
            self.lock = ""
        elif deed in ("a branch", "no branch"):
            self.there.put(SHADOW, self.there.commits["v1.0.0"] if deed == "a branch" else "")
        else:
            self.stable = {"a move": self.there.commits["v1.2.0"], "a deletion": "", "put back": self.there.start}[deed]
            if self.stable or self.there.holds(STABLE):
                self.there.put(STABLE, self.stable)

    def _lose(self, lost: bool) -> None:
        """The next push happens, and its answer does not arrive."""
        self.there.server.clear_faults()
        if lost:
            self.there.server.fault(Fault(kind="drop_after", method="POST", path="git-receive-pack", times=1))


@pytest.mark.timeout(1800)
def test_the_world_may_do_what_it_likes() -> None:
    SEEN.clear()
    play(Game, few=8, steps=40, versions=VERSIONS)
    print(dict(SEEN))
    few = {"moved", "refused", "fenced", "taken over"}  # what a short play always comes to
    assert set(SEEN) >= (few | {"moved, the answer lost", "went back"} if ASKED else few), SEEN
