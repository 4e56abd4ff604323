"""The protocol as a state machine: refs, two drivers of one promotion, a second promotion, workflow runs, lost answers, and other users.

P promotes A. R takes A's promotion over from the lock, while P is dead or still lives. Q promotes B as soon as no lock is there. A run of the workflow
moves forward for P, and back for a driver whose own push back is forbidden by a rule. A push whose answer was lost may land at any later time. Another user moves or deletes the stable tag, puts the old
value back, and may break the lock. What production shows is a free choice at every look.

A promise that is broken is written into the state; `search` looks at every state that can be reached. `without` leaves one rule out: each of them
must then break a promise, or it would not be needed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

OLD, A, B, FOREIGN, GONE = "old", "A", "B", "foreign", "gone"
RULES = (
    "the lock in the push",  # a move leases the lock as well as the stable tag
    "the lease on stable",  # it replaces only what it was authorised to replace
    "fence before giving up",  # "nothing was moved" is reported only after the lock was replaced
    "look after giving up",  # … and after the refs were read again
    "takeover replaces the lock",  # who picks a promotion up makes the former owner's token worthless
    "the last look",  # verified is reported only of the present refs
    "release only one's own",  # the lock is deleted under its lease
    "one lock",  # a promotion begins only where there is none
)
Label = str


@dataclass(frozen=True, slots=True)
class Lock:
    """`token` is the object id: a new one at every replacement. `state` is the promotion's state in the lock, `holder` its driver: a run keeps it."""

    token: int
    promotion: str
    state: str
    holder: str


@dataclass(frozen=True, slots=True)
class Driver:
    """Where a driver is, the token that it believes it owns, and the stable value that it may replace."""

    at: str = "absent"
    token: int = -1
    before: str = OLD


@dataclass(frozen=True, slots=True)
class Push:
    """A move under way without a waiting driver: a workflow's, or one whose answer was lost."""

    promotion: str
    token: int
    before: str
    to: str
    state: str
    holder: str


@dataclass(frozen=True, slots=True)
class State:
    stable: str = OLD
    lock: Lock | None = None
    tokens: int = 0
    p: Driver = Driver(at="start")
    r: Driver = Driver()
    q: Driver = Driver(at="start")
    run: Push | None = None
    run_is: str = "none"
    late: Push | None = None
    said: tuple[tuple[str, str], ...] = ()  # promotion → its end, once the owner of its lock has reported one
    others: int = 0
    broken: str = ""


@dataclass
class Model:
    """Transitions under all rules but those in `without`."""

    without: frozenset[str] = frozenset()
    seen: dict[State, tuple[State, Label] | None] = field(default_factory=dict)

    def has(self, rule: str) -> bool:
        assert rule in RULES, rule
        return rule not in self.without

    # -- writing -----------------------------------------------------------------------------------------------------------------------

    def push(self, s: State, push: Push) -> State | None:
        """The atomic push: stable and lock together or neither. None when a lease does not hold."""
        if self.has("the lock in the push") and (s.lock is None or s.lock.token != push.token):
            return None
        if self.has("the lease on stable") and s.stable != push.before:
            return None
        promotion, broken = push.promotion, s.broken
        if s.stable in (FOREIGN, GONE):
            broken = broken or f"{push.to} was put over another user's change"
        if (end := dict(s.said).get(promotion)) and end != "stuck":
            broken = broken or f"{promotion} wrote {push.to} after its end ({end}) was reported"
        lock = Lock(s.tokens, promotion, push.state, push.holder)
        return replace(s, stable=push.to, lock=lock, tokens=s.tokens + 1, broken=broken)

    def swap(self, s: State, token: int, state: str) -> State | None:
        """Replace the lock under its lease."""
        if s.lock is None or s.lock.token != token:
            return None
        return replace(s, lock=Lock(s.tokens, s.lock.promotion, state, s.lock.holder), tokens=s.tokens + 1)

    def end(self, s: State, who: str, promotion: str, end: str) -> State:
        """Report the end and release the lock if it is ours; stuck keeps it."""
        driver: Driver = getattr(s, who)
        ours = s.lock is not None and s.lock.token == driver.token
        broken = s.broken
        if end == "verified" and s.stable != promotion:
            broken = broken or f"{promotion} was reported as verified, and stable is {s.stable}"
        if end == "rolled back" and s.stable != driver.before:
            broken = broken or f"{promotion} was reported as rolled back, and stable is {s.stable}"
        if end == "unchecked" and s.stable == promotion:
            broken = broken or f"{promotion} was reported as unmoved, and it is there"
        lock = s.lock
        if end != "stuck" and (ours or not self.has("release only one's own")):
            if s.lock and s.lock.promotion != promotion:
                broken = broken or f"the end of {promotion} took the lock of {s.lock.promotion} away"
            lock = None
        said = s.said
        if ours or end in ("verified", "rolled back", "unchecked"):
            said = (*((k, v) for k, v in s.said if k != promotion), (promotion, end))
        return replace(s, **{who: replace(driver, at=f"end: {end}")}, lock=lock, said=tuple(sorted(said)), broken=broken)

    # -- a driver ----------------------------------------------------------------------------------------------------------------------

    def driver(self, s: State, who: str, promotion: str) -> Iterator[tuple[Label, State]]:  # noqa: C901 - one branch a place
        """Everything that this driver may do next."""
        d: Driver = getattr(s, who)

        def at(place: str, state: State = s, **changes: object) -> State:
            return replace(state, **{who: replace(getattr(state, who), at=place, **changes)})

        if d.at == "start" and (s.lock is None or not self.has("one lock")) and s.stable in (OLD, A):
            if s.stable == promotion or (who == "q" and s.p.at == "start"):
                return
            taken = replace(s, lock=Lock(s.tokens, promotion, "prechecking", who), tokens=s.tokens + 1)
            if s.lock and s.stable == A and A not in dict(s.said):
                taken = replace(taken, broken=f"{promotion} was begun over {s.stable}, which is unproven")
            yield "take the lock", at("prechecking", taken, token=s.tokens, before=s.stable)
        elif d.at == "prechecking":
            yield "pre suite fails", self.end(s, who, promotion, "unchecked")
            if authorised := self.swap(s, d.token, "prechecked"):
                yield "authorise the move", at("moving", authorised, token=s.tokens)
            else:
                yield "lock lost", self.end(s, who, promotion, "superseded")
        elif d.at == "moving":
            yield from self.moving(s, who, promotion, at)
        elif d.at == "waiting":
            yield "time is up", at("giving up")
            if s.run_is in ("done", "dead"):
                yield "the run is over", at("looking" if s.run_is == "done" else "giving up")
        elif d.at == "giving up":
            if not self.has("fence before giving up"):
                yield "gives up", at("looking")
            elif fenced := self.swap(s, d.token, "fenced"):
                yield "fence", at("looking", fenced, token=s.tokens)
            else:
                yield "fence refused", at("looking")
            yield "the remote cannot be reached", self.end(s, who, promotion, "stuck")
        elif d.at == "unread":  # the fence keeps the lock's state: the move is known
            if fenced := self.swap(s, d.token, "promoted"):
                yield "fence", at("looking", fenced, token=s.tokens)
            else:
                yield "fence refused", at("looking")
            yield "the remote cannot be reached", self.end(s, who, promotion, "stuck")
        elif d.at == "looking":
            yield from self.looking(s, who, promotion, at)
        elif d.at == "releasing":
            yield "release the lock", self.end(s, who, promotion, "unchecked")
        elif d.at == "promoted":
            yield "not proven", at("rolling back")
            yield "held", self.end(s, who, promotion, "stuck")
            ours = s.stable == promotion and s.lock is not None and s.lock.token == d.token
            if ours or not self.has("the last look"):
                yield "proven", self.end(s, who, promotion, "verified")
            if not ours:
                yield "not ours any more", self.end(s, who, promotion, "superseded")
        elif d.at == "rolling back":
            yield from self.back(s, who, promotion, at)
        elif d.at == "refused back":
            yield from self.second_way(s, who, promotion, at)
        elif d.at == "waiting back":
            yield "time is up", at("giving up back")
            if s.run_is in ("done", "dead"):
                yield "the run is over", at("looking back" if s.run_is == "done" else "giving up back")
        elif d.at == "giving up back":
            if fenced := self.swap(s, d.token, s.lock.state if s.lock else ""):
                yield "fence", at("looking back", fenced, token=s.tokens)
            else:
                yield "fence refused", at("looking back")
            yield "the remote cannot be reached", self.end(s, who, promotion, "stuck")
        elif d.at == "looking back":
            yield from self.looking_back(s, who, promotion, at)
        elif d.at == "proving back":
            yield "not proven back", self.end(s, who, promotion, "stuck")
            if s.stable == d.before and s.lock is not None and s.lock.token == d.token:
                yield "proven back", self.end(s, who, promotion, "rolled back")
            else:
                yield "not ours any more", self.end(s, who, promotion, "superseded")

    def moving(self, s: State, who: str, promotion: str, at: object) -> Iterator[tuple[Label, State]]:
        d: Driver = getattr(s, who)
        wanted = Push(promotion, d.token, d.before, promotion, "promoted", who)
        yield "abandoned before it was tried", at("releasing")  # type: ignore[operator]
        if s.stable != d.before or s.lock is None or s.lock.token != d.token:
            yield "another user was first", self.end(s, who, promotion, "superseded")
        if moved := self.push(s, wanted):
            yield "move the stable tag", at("promoted", moved, token=s.tokens)  # type: ignore[operator]
            yield "move the stable tag", at("unread", moved, token=s.tokens)  # type: ignore[operator]  # and the refs cannot be read back
        else:
            yield "move refused", at("giving up")  # type: ignore[operator]
        if s.late is None:
            yield "move, answer lost", at("giving up", replace(s, late=wanted))  # type: ignore[operator]
        if who == "p":
            yield "dispatch the workflow", at("waiting", replace(s, run=wanted, run_is="queued"))  # type: ignore[operator]

    def looking(self, s: State, who: str, promotion: str, at: object) -> Iterator[tuple[Label, State]]:
        """Our move is known by the lock, which its push wrote; one that another driver holds by now is theirs."""
        d: Driver = getattr(s, who)
        ours = s.lock is not None and (s.lock.promotion, s.lock.holder) == (promotion, who)
        if not self.has("look after giving up"):
            yield "unmoved", self.end(s, who, promotion, "unchecked")
        elif s.lock and ours and s.stable == promotion:
            yield "it was moved after all", at("promoted", token=s.lock.token)  # type: ignore[operator]
        elif s.lock and s.lock.promotion == promotion and s.lock.state == "promoted" and s.stable == d.before:
            if ours:
                yield "put back by hand", at("proving back", token=s.lock.token)  # type: ignore[operator]
            else:
                yield "another user's", self.end(s, who, promotion, "superseded")
        elif s.stable == d.before:
            yield "unmoved", at("releasing")  # type: ignore[operator]
        else:
            yield "another user's", self.end(s, who, promotion, "superseded")

    def back(self, s: State, who: str, promotion: str, at: object) -> Iterator[tuple[Label, State]]:
        d: Driver = getattr(s, who)
        wanted = Push(promotion, d.token, promotion, d.before, "rolling_back", who)
        if moved := self.push(s, wanted):
            yield "move the stable tag back", at("proving back", moved, token=s.tokens)  # type: ignore[operator]
            yield "move back forbidden", at("refused back")  # type: ignore[operator]
        else:
            yield "move back refused", self.end(s, who, promotion, "superseded" if s.stable != promotion else "stuck")
        if s.late is None:
            yield "move back, answer lost", at("looking back", replace(s, late=wanted))  # type: ignore[operator]
            yield "move back, no reply", at("giving up back", replace(s, late=wanted))  # type: ignore[operator]

    def second_way(self, s: State, who: str, promotion: str, at: object) -> Iterator[tuple[Label, State]]:
        """A rule or a missing right keeps this driver from pushing; the workflow's token may do it. A former run may still come later."""
        d: Driver = getattr(s, who)
        yield "no second way", self.end(s, who, promotion, "stuck")
        yield "dispatch refused", at("giving up back")  # type: ignore[operator]
        under_way = s.run_is in ("queued", "running")
        if not under_way or s.late is None:
            wanted = Push(promotion, d.token, promotion, d.before, "rolling_back", who)
            here = replace(s, run=wanted, run_is="queued", late=s.run if under_way else s.late)
            yield "dispatch the rollback", at("waiting back", here)  # type: ignore[operator]

    def looking_back(self, s: State, who: str, promotion: str, at: object) -> Iterator[tuple[Label, State]]:
        d: Driver = getattr(s, who)
        if s.stable == d.before and s.lock and (s.lock.promotion, s.lock.holder) == (promotion, who):
            yield "it is back", at("proving back", token=s.lock.token)  # type: ignore[operator]
        elif s.stable == promotion:
            yield "not back, timed out", self.end(s, who, promotion, "stuck")
            yield "not back yet", at("rolling back") if s.lock and s.lock.token == d.token else self.end(s, who, promotion, "stuck")  # type: ignore[operator]
        else:
            yield "another user's", self.end(s, who, promotion, "superseded")

    # -- everything else ---------------------------------------------------------------------------------------------------------------

    def steps(self, s: State) -> Iterator[tuple[Label, State]]:
        for who, promotion in (("p", A), ("r", A), ("q", B)):
            for label, t in self.driver(s, who, promotion):
                yield f"{who}: {label}", t
        yield from self.death_and_resume(s)
        yield from self.machines(s)
        yield from self.other_users(s)

    def death_and_resume(self, s: State) -> Iterator[tuple[Label, State]]:
        if s.p.at not in ("start", "dead") and not s.p.at.startswith("end"):
            yield "p: kill -9", replace(s, p=replace(s.p, at="dead"))
        if s.r.at == "absent" and s.lock and s.lock.promotion == A:  # from the lock alone; P may still live
            taken = replace(s, lock=replace(s.lock, token=s.tokens, holder="r"), tokens=s.tokens + 1) if self.has("takeover replaces the lock") else s
            token = taken.lock.token if taken.lock else -1
            r = Driver(token=token, before=s.p.before)
            place = "looking back" if s.lock.state == "rolling_back" else "looking"
            yield "r: take the lock over", replace(taken, r=replace(r, at=place))
            if s.stable == A:
                yield "r: abort", replace(taken, r=replace(r, at="rolling back"))

    def machines(self, s: State) -> Iterator[tuple[Label, State]]:
        if s.run_is == "queued":
            yield "run: starts", replace(s, run_is="running")
            yield "run: cancelled", replace(s, run_is="dead")
        if s.run_is == "running" and s.run:
            moved = self.push(s, s.run)
            yield ("run: moves", replace(moved, run_is="done")) if moved else ("run: refused", replace(s, run_is="dead"))
            yield "run: dies", replace(s, run_is="dead")
        if s.late:
            moved = self.push(s, s.late)
            yield ("late push lands", replace(moved, late=None)) if moved else ("late push refused", replace(s, late=None))

    def other_users(self, s: State) -> Iterator[tuple[Label, State]]:
        if s.p.at == "start":
            return
        if s.others == 0 and s.stable in (OLD, A, B):
            yield "another user moves it", replace(s, stable=FOREIGN, others=1)
            yield "another user deletes it", replace(s, stable=GONE, others=1)
            if s.lock:
                yield "another user breaks the lock", replace(s, lock=None, others=2)
        if s.others == 1 and s.stable in (FOREIGN, GONE):
            yield "another user puts the old one back", replace(s, stable=OLD, others=2)

    def plain(self, s: State) -> State:
        """The same situation in its one notation. A token is only ever compared with the lock's, and no lock ever takes a former one again: so it
        is the current one (0) or worth nothing (-1), and a push with one that is worth nothing will be refused."""
        current = s.lock.token if s.lock else None
        lock = s.lock and (s.lock if current == 0 else replace(s.lock, token=0))

        def driver(d: Driver) -> Driver:
            token = 0 if d.token == current and d.at != "dead" and not d.at.startswith("end") else -1
            return d if d.token == token else replace(d, token=token)

        def push(p: Push | None) -> Push | None:
            token = 0 if p and p.token == current else -1
            if p is None or (token == -1 and self.has("the lock in the push")):
                return None
            return p if p.token == token else replace(p, token=token)

        run = push(s.run) if s.run_is in ("queued", "running") else None
        run_is = "dead" if s.run_is in ("queued", "running") and run is None else s.run_is
        return State(s.stable, lock, 1, driver(s.p), driver(s.r), driver(s.q), run, run_is, push(s.late), s.said, s.others, s.broken)

    def search(self, most: int = 2_000_000) -> str:
        """Every state that can be reached. Returns "" when every promise holds, else the shortest way to a broken one."""
        first = State()
        self.seen, queue = {first: None}, deque([first])
        while queue:
            s = queue.popleft()
            following = list(self.steps(s))
            if not following and not all(d.at.startswith("end") or d.at in ("absent", "dead", "start") for d in (s.p, s.r, s.q)):
                return self.way(s, "no way on")
            for label, t in ((label, self.plain(t)) for label, t in following):
                if t in self.seen:
                    continue
                self.seen[t] = (s, label)
                if t.broken:
                    return self.way(t, t.broken)
                queue.append(t)
            assert len(self.seen) < most, "the model has grown too big to be searched"
        return ""

    def edges(self) -> list[list[str]]:
        """What a driver of A can do by itself, whatever the others do: [who, where, label, where then], of everything that was searched."""
        found = set()
        for s in self.seen:
            for who in ("p", "r"):
                for label, t in self.driver(s, who, A):
                    found.add((who, getattr(s, who).at, label, getattr(t, who).at))
            for label, t in self.death_and_resume(s):
                if label.startswith("r: "):
                    found.add(("r", "absent", label.removeprefix("r: "), t.r.at))
        return sorted(map(list, found))

    def way(self, state: State, what: str) -> str:
        labels = []
        at: State | None = state
        while at and (came := self.seen[at]):
            at, label = came
            labels.append(label)
        return f"{what}: " + " → ".join(reversed(labels))
