"""Whole promotions in one process: the real flow over real git, on a clock that jumps, against the cluster of `cluster.py`; every end is judged.

The truth is read from the bare repository and from the objects that the cluster really runs. ARCHITECTURE's promises are held against each end: success only
after evidence newer than the move, rolled back means proven, never over another user's change, unknown is no pass.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from promote.config.schema import ArgoCD, Post, ProdCluster, Promotion, Settings
from promote.core.errors import Interrupted, PromoteError
from promote.core.model import CheckResult, End, SuiteResult, Verdict
from promote.core.retry import PAUSES_S
from promote.core.version import parse_version
from promote.git.remote import GitRemote
from promote.promotion.context import Dependencies, PromotionContext, StepResult
from promote.promotion.finalize import finalize
from promote.promotion.journal import Journal, read_journal
from promote.promotion.recovery.takeover import take_over_promotion
from promote.promotion.state_machine import State, run_promotion
from promote.sandbox.http_server import Fault
from promote.tags.lock import LOCK, read_lock, take_over
from promote.tags.target import resolve_target
from tests.model.journal import problem
from tests.robustness.cluster import ROOT, Cluster, Time, Ways
from tests.robustness.harness import STABLE, Remote, silence
from tests.support.silent_report import Silent

VERSIONS, SHADOW, WORKING = 12, "refs/heads/prod-stable", "refs/tags/prod-working"
GONE_S = 600.0  # a promoter that has been silent for so long may be taken over
PASSED = Verdict.PASSED


class Killed(BaseException):
    """kill -9: nothing of ours runs any more."""


@dataclass(frozen=True)
class Weather:
    """What happens during one promotion. A deed's time is in seconds from its beginning, or the suite at whose beginning it happens; `broken`: how one application takes this version."""

    ways: tuple[Ways, Ways, Ways]
    broken: tuple[str, str, str]
    suites: Mapping[str, Verdict]
    deeds: tuple[tuple[float | str, str], ...]
    soak: float
    timeout: float = 7200.0


@dataclass
class Here:
    """The truth during one promotion, recorded by its actors."""

    before: str  # the stable tag's object when it began
    weather: Weather
    theirs: str | None = None  # the value that another user put into the stable tag ("": deleted); None: no such change
    shadowed: bool = False
    lock_taken: bool = False
    lock_broken: bool = False  # it is taken again by a promotion that has moved the tag
    done: list[str] = field(default_factory=list)
    at_suites: dict[str, Callable[[], None]] = field(default_factory=dict)


class Game:
    """One world after another promotion: `ship` and `pick_up` play one and judge it; `ended` is how it ended, `seen` counts that."""

    def __init__(self, there: Remote, *, skew: float = 0.0, degraded: bool = False, seen: Counter[str] | None = None) -> None:
        self.there, self.seen = there, Counter[str]() if seen is None else seen
        self.there.fresh()
        for ref in (SHADOW, WORKING):
            self.there.put(ref, "")
        self.time, self.next = Time(), 1
        self.left: Here | None = None  # a promotion that was cut short
        self.ended = self.reason = ""
        for journal in _journals(there):
            journal.unlink()
        self.cluster = Cluster(
            self.time, there.clones[0].url, lambda: there.holds(f"{STABLE}^{{commit}}"),
            {ROOT: Ways(), "web": Ways(), "db": Ways(degraded=degraded)}, skew=skew,
        )  # fmt: skip

    # -- what promoters do -------------------------------------------------------------------------------------------------------------

    def ship(self, who: int, weather: Weather) -> None:
        if self.next > VERSIONS or self.there.holds(SHADOW) or not self.there.holds(STABLE):
            self._mend()
            return
        if self.left and self.there.holds(LOCK):
            self.take_over_promotion(who, {})
        version, self.next = f"v1.{self.next}.0", self.next + 1
        here = Here(before=self.there.holds(STABLE), weather=weather)
        held, commit = self.there.holds(LOCK), self.there.commits[version]
        for part, ways, how in zip(self.cluster.parts.values(), weather.ways, weather.broken, strict=True):
            breaks = {**part.ways.breaks, **({commit: how} if how else {})}
            part.ways = replace(ways, breaks=breaks, degraded=part.ways.degraded)
        self._plan(here, who)
        run = self._run(who, version, here)
        self._drive(run, lambda: run_promotion(run), here, held=held)

    def take_over_promotion(self, who: int, suites: Mapping[str, Verdict]) -> None:
        """`promote resume` in either clone, long after the other fell silent."""
        lock = self.there.holds(LOCK)
        here = self.left or Here(before=self.there.holds(STABLE), weather=Weather((Ways(),) * 3, ("",) * 3, {}, (), 0.0))
        here.weather, here.lock_taken, here.lock_broken = Weather(here.weather.ways, here.weather.broken, suites, (), here.weather.soak), False, False
        self.time.passed += GONE_S
        self.there.server.clear_faults()
        try:
            run = take_over_promotion(self._tools(who, here))
        except PromoteError as no:
            raise AssertionError(f"the lock could not be taken over: {no.what}") from no
        assert (run is None) is not bool(lock)
        if run is None:
            return
        self.seen["resumed"] += 1
        held = run.target.stable
        here.before = held.object if held else ""
        self._drive(run, lambda: run_promotion(run, State.RESUMING), here, held="")

    def _drive(self, run: PromotionContext, act: Callable[[], tuple[End, StepResult]], here: Here, *, held: str) -> None:
        try:
            end, result = act()
            finalize(run, end, {"outcome": end.value, "version": run.version.text})
        except Killed:
            self.seen["killed"] += 1
            self.left, self.ended = here, "killed"
            return
        finally:
            self._release(run)
            self.time.events.clear()
            self.there.server.clear_faults()
            self.there.server.weather = None
        self.seen[end.value] += 1
        self.ended, self.reason = end.value, result.reason
        self.left = here if self.there.holds(LOCK) else None
        said = f"{end.value}: {result.reason} (deeds: {here.done})"
        self._judge(run, end, here, said, held)
        assert problem(read_journal(run.journal.path)) == "", said

    def _release(self, run: PromotionContext) -> None:
        """The system drops a dead process's hold on its journal."""
        if run.journal._held is not None:
            with contextlib.suppress(OSError):
                os.close(run.journal._held)

    def _tools(self, who: int, here: Here) -> Dependencies:
        git: GitRemote = self.there.clones[who]
        nobody: Any = lambda: None  # noqa: E731
        return Dependencies(
            settings=_settings(git, here.weather), git=git, report=Silent(), production=self.cluster.argocd, forge=nobody, who=f"promoter {who}",
            clock=self.time.clock(), run_suite=self._suite(here),
        )  # fmt: skip

    def _run(self, who: int, version: str, here: Here) -> PromotionContext:
        deps = self._tools(who, here)
        parsed = parse_version(version)
        target = resolve_target(deps.git, deps.settings, parsed)
        request_id = f"request-{version}"
        run = PromotionContext(deps=deps, target=target, version=parsed, request_id=request_id, journal=Journal.open(deps.git.git_dir, request_id))
        run.remember()
        return run

    def _suite(self, here: Here) -> Callable[..., SuiteResult]:
        def run_suite(name: str, _folder: Path, *, context: Any, **_rest: Any) -> SuiteResult:
            if name != "smoke":  # smoke runs beside it, in a thread
                here.at_suites.pop(f"{name} {context.state}", bool)()
                self.time.sleep(5.0)
            verdict = here.weather.suites.get(f"{name} {context.state}", PASSED)
            return SuiteResult(
                suite=name, verdict=verdict, checks=(CheckResult(id=f"{name}-check", suite=name, verdict=verdict),), seconds=5.0, reason="played"
            )

        return run_suite

    # -- what the world does meanwhile -------------------------------------------------------------------------------------------------

    def _plan(self, here: Here, who: int) -> None:
        def later(deed: str) -> Callable[[], None]:
            return lambda: self._happens(here, deed, who)

        self.time.events = [(self.time.passed + at, later(deed)) for at, deed in here.weather.deeds if isinstance(at, float)]
        here.at_suites = {at: later(deed) for at, deed in here.weather.deeds if isinstance(at, str)}

    def _happens(self, here: Here, deed: str, who: int) -> None:
        here.done.append(deed)
        if deed == "crash":
            raise Killed
        if deed == "^C":
            raise Interrupted("SIGINT")
        if deed == "lose an answer":
            self.there.server.fault(Fault(kind="drop_after", method="POST", path="git-receive-pack", times=1))
        elif deed == "lose it and the network":  # for longer than one look is asked again
            self.there.server.weather = silence(over=lambda looks: looks > 2 * len(PAUSES_S))
        elif deed == "take over":
            other = self.there.clones[1 - who]
            if lock := read_lock(other):
                take_over(other, lock)
                here.lock_taken = True
        elif deed == "it breaks":
            part = self.cluster.parts["web"]
            part.ways = replace(part.ways, breaks={**part.ways.breaks, part.runs: "Degraded"})
        elif deed == "break the lock":
            here.lock_broken, here.lock_taken = here.lock_broken or here.lock_taken or bool(self.there.holds(LOCK)), False
            self.there.put(LOCK, "")
        elif deed == "a branch":
            self.there.put(SHADOW, self.there.commits["v1.0.0"])
            here.shadowed = True
        else:
            self._at_the_tag(here, {"a move": self.there.commits["v1.2.0"], "a deletion": "", "put back": here.before}[deed])

    def _at_the_tag(self, here: Here, value: str) -> None:
        if self.there.holds(STABLE) == value:
            return
        self.there.put(STABLE, value)
        here.theirs = value

    def _mend(self) -> None:
        """A user tidies up."""
        self.there.put(SHADOW, "")
        if not self.there.holds(STABLE):
            self.there.put(STABLE, self.there.start)

    # -- what must hold ----------------------------------------------------------------------------------------------------------------

    def _judge(self, run: PromotionContext, end: End, here: Here, said: str, held: str) -> None:
        now, prod = self.there.holds(STABLE), self.there.holds(run.names.prod)
        if here.theirs is not None:
            assert now == here.theirs, f"overwritten: {said}"
        if end is End.VERIFIED:
            self._is_proven(run, here, said)
            assert now == prod == run.stable.object if run.stable else False, said
            assert here.theirs is None and not here.shadowed and not here.lock_taken, said
        elif end is End.ROLLED_BACK:
            assert run.target.stable is not None
            assert now == run.target.stable.object, said
            assert not here.shadowed and not here.lock_taken, said
            self._is_back(run, run.target.stable.commit, here, said)
        elif end is End.SUPERSEDED:
            assert here.theirs is not None or here.shadowed or here.lock_taken or here.lock_broken, f"no other user was there: {said}"
        elif end in (End.REFUSED, End.UNCHECKED, End.INTERRUPTED):
            assert here.theirs is not None or now == here.before, f"it was moved: {said}"
            assert held or here.done or here.weather.suites.get("pre before", PASSED) is not PASSED or self.left is None, said
        if end not in (End.STUCK, End.REFUSED) and not here.lock_taken and not held:
            assert not self.there.holds(LOCK), f"the lock stayed: {said}"
        if end is End.STUCK:
            assert self.there.holds(LOCK) or here.lock_taken or here.lock_broken, f"the lock is gone: {said}"

    def _is_proven(self, run: PromotionContext, here: Here, said: str) -> None:
        assert run.target.commit == self.there.holds(f"{STABLE}^{{commit}}"), said
        self._runs(run.target.commit, _passed(self.time, run.moved_at or run.t_before), said)
        for name in ("post after", "smoke after"):
            assert here.weather.suites.get(name, PASSED) is PASSED, f"{name}: {said}"
        assert self.there.holds(WORKING) == self.there.holds(STABLE), said

    def _is_back(self, run: PromotionContext, commit: str, here: Here, said: str) -> None:
        self._runs(commit, _passed(self.time, run.t_before), said)
        assert here.weather.suites.get("post back", PASSED) is PASSED, said
        assert here.weather.suites.get("smoke back", PASSED) is PASSED, said

    def _runs(self, commit: str, since: float, said: str) -> None:
        """The commit really runs, it is healthy (or was degraded all along), and each looked at the tag after it had moved."""
        for part in self.cluster.parts.values():
            assert part.runs == commit, f"{part.name} runs {part.runs[:7]}, not {commit[:7]}: {said}"
            assert part.seen_at >= since, f"{part.name} looked {since - part.seen_at:.0f} s before the move: {said}"
            assert self.cluster.well(part) or part.ways.degraded, f"{part.name} is not well: {said}"


def _passed(time: Time, at: datetime | None) -> float:
    return (at - time.begun).total_seconds() if at else 0.0


def _settings(git: GitRemote, weather: Weather) -> Settings:
    return Settings(
        root=git.root, prod=ProdCluster(root_app=ROOT),
        promotion=Promotion(via="git", timeout=weather.timeout), post=Post(soak=weather.soak),  # type: ignore[arg-type]
        argocd=ArgoCD(successes=2, poll_interval=2.0, refresh_interval=5.0, converge_timeout=120.0, degraded_grace=10.0),  # type: ignore[arg-type]
    )  # fmt: skip


def _journals(there: Remote) -> list[Path]:
    return [path for clone in there.clones for path in clone.git_dir.glob("promote/journal/*.jsonl")]
