"""What one promotion has at hand (`Tools`) and what it knows so far (`Run`). The transitions read and fill a Run; the report is made from it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from promote.checklist.trunk_suites import run_trunk_suite
from promote.checklist.waivers import Waiver
from promote.config.schema import Settings
from promote.core.deadline import Clock, Deadline
from promote.core.model import AppVerdict, CheckResult, Choices, Step, SuiteResult, Tag, Verdict
from promote.core.redact import Redactor
from promote.core.version import Version
from promote.git.remote import GitRemote
from promote.promotion.journal import Journal
from promote.tags.lock import LOCK, Lock, advance, lock_lost
from promote.tags.names import TagNames, ref_names
from promote.tags.observation import Kept, RefState, classify, observe, require
from promote.tags.target import Target

if TYPE_CHECKING:
    from promote.argocd.client import ArgoCD
    from promote.convergence.baseline import Baseline
    from promote.github.workflow_runs import GitHubRuns
    from promote.report.plain import Reporter


class StepStatus(StrEnum):
    """How a transition ended; the transition table reads it."""

    PASSED = "passed"
    FAILED = "failed"
    ERRORED = "errored"
    INTERRUPTED = "interrupted"
    SUPERSEDED = "superseded"

    @classmethod
    def of(cls, verdict: Verdict) -> StepStatus:
        """Of a step that was judged: a suite or the wait for convergence passes, fails or is undetermined, and nothing else."""
        return {Verdict.PASSED: cls.PASSED, Verdict.FAILED: cls.FAILED, Verdict.ERRORED: cls.ERRORED}[verdict]

    @property
    def verdict(self) -> Verdict:
        """How a step that ended so is shown: one that was cut short is undetermined."""
        return {StepStatus.PASSED: Verdict.PASSED, StepStatus.FAILED: Verdict.FAILED}.get(self, Verdict.ERRORED)


class Moved(StrEnum):
    """Whether the stable tag was moved by us. UNKNOWN from before a push or a dispatch (or from taking the promotion over) until the refs were read,
    and for good where a run that could not be fenced off may still do it."""

    NO = "no"
    YES = "yes"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class StepResult:
    """The result of a transition: its status, why in one sentence, and what to do. `hold`: whether an undetermined one leaves the tag in place; None:
    as promotion.on_unknown decides."""

    status: StepStatus
    reason: str = ""
    hint: str = ""
    hold: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Tracked:
    """What a promotion knows of the refs it moves: whether it moved the stable tag, what that tag holds by its doing, and its lock."""

    moved: Moved = Moved.NO
    stable: Tag | None = None
    lock: Lock | None = None


class Changes(TypedDict, total=False):
    """The fields of `Tracked` that become known."""

    moved: Moved
    stable: Tag | None
    lock: Lock | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Dependencies:
    """Everything a promotion reaches the world through. `production` and `forge` connect on first call: settings errors stay instant.

    `run_suite`: how a suite is run and judged; a program that drives promotions without child processes has its own.
    """

    settings: Settings
    git: GitRemote
    report: Reporter
    production: Callable[[], ArgoCD]
    forge: Callable[[], GitHubRuns]
    who: str
    clock: Clock = field(default_factory=Clock)
    run_suite: Callable[..., SuiteResult] = run_trunk_suite
    redact: Redactor = field(default_factory=Redactor)  # for whatever is written down

    @property
    def reports(self) -> Path:
        return self.settings.root / self.settings.suites.reports


@dataclass(kw_only=True, slots=True)
class PromotionContext:
    """One promotion in progress."""

    deps: Dependencies
    target: Target
    version: Version
    request_id: str
    journal: Journal
    choices: Choices = Choices()
    trunk_seen: str = ""  # the remote trunk's head when this clone was found up to date with it
    tracked: Tracked = Tracked()  # written by `update` alone
    baseline: Baseline | None = None
    baseline_file: Path | None = None
    t_before: datetime | None = None
    workflow_run: int | None = None  # the forge's run that moves the tag for us, as soon as it is known
    hold: str = ""  # why this promotion must not be rolled back automatically; "" when it may
    unconfirmed: str = ""  # why a promotion taken over from another machine is not rolled back automatically; "" when it may
    moved_at: datetime | None = None  # when the first move of this promotion was begun
    cause: str = ""  # why production has to go back
    asked_rollback: bool = False  # `promote rollback`: target.stable is where it goes, not what was before
    release_anyway: bool = False  # give the lock up although the end is STUCK: a person asked for it
    undo_moves: bool = False  # an asked-for move to a named version: the undo ref takes what it replaces
    checks: list[CheckResult] = field(default_factory=list)
    suites: list[SuiteResult] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    applications: tuple[AppVerdict, ...] = ()
    proven_at: datetime | None = None  # when all of them were last seen to be there
    removed: tuple[str, ...] = ()  # the applications of before that are gone
    smoke_before: frozenset[str] | None = None  # smoke checks that passed before the move; None: not looked at (an asked-for rollback)
    waivers: tuple[Waiver, ...] = ()  # typed for this promotion: --waive
    warnings: list[str] = field(default_factory=list)
    advised: set[str] = field(default_factory=set)  # pods of others in trouble, each noted once
    record: str = ""
    driver_junit: str = ""  # the JUnit file of the driver's own checks
    bad_since: datetime | None = None  # when production was first seen to be bad
    taken_up: bool = False  # by `resume` or `abort`: present evidence decides, and no earlier verdict
    ends: Deadline = field(init=False)  # of the way forward; a resumed promotion has its whole time again

    def __post_init__(self) -> None:
        self.ends = Deadline(self.settings.promotion.timeout, self.deps.clock)

    @property
    def settings(self) -> Settings:
        return self.deps.settings

    @property
    def moved(self) -> Moved:
        return self.tracked.moved

    @property
    def stable(self) -> Tag | None:
        """What the stable tag holds by this promotion's doing; before that, or where it is to be replaced, what was found there."""
        return self.tracked.stable

    @property
    def lock(self) -> Lock | None:
        return self.tracked.lock

    def update(self, **changes: Unpack[Changes]) -> None:
        """Write down what became known of the refs: the only writer of `moved`, `stable` and `lock`."""
        self.tracked = replace(self.tracked, **changes)

    @property
    def legacy(self) -> bool:
        """Whether an older workflow moves the tags: it takes only a version and does not read the lock."""
        return self.settings.workflow.legacy and self.settings.promotion.via == "workflow"

    @property
    def is_back(self) -> bool:
        """Whether the stable tag holds what a rollback restores, as far as this promotion knows."""
        return self.stable is not None and self.stable == self.target.back

    @property
    def baseline_complete(self) -> bool:
        """Whether the set of applications of before the move is known: a rollback brings exactly these back.

        Not so in a first promotion, in a rollback that a person asked for (the baseline is of the version that goes), and when the baseline is lost.
        """
        return self.baseline is not None and not self.choices.first and not self.asked_rollback

    @property
    def names(self) -> TagNames:
        return ref_names(self.settings, self.version.text)

    @property
    def reports(self) -> Path:
        return self.deps.reports / self.version.text

    def deadline(self, seconds: float) -> Deadline:
        """So long from now and, on the way forward, no longer than the promotion may take. The way back always has its whole time."""
        going_back = bool(self.cause) or self.asked_rollback
        return Deadline(seconds if going_back else min(seconds, self.ends.left), self.deps.clock)

    def plan(self) -> dict[str, object]:
        """What this promotion is about: all that `promote resume` and `promote abort` need in another process, here or on another machine."""
        target = self.target
        return {
            "version": self.version.text,
            "commit": target.commit,
            "from_tree": target.from_tree,
            "dev_tag": _fields(target.dev_tag),
            "stable": _fields(target.stable),
            "fallback": _fields(target.fallback),
            "prod_tag": _fields(target.prod_tag),
            "branch": _fields(target.branch),
            "choices": asdict(self.choices),
            "waivers": [asdict(waiver) for waiver in self.waivers],
            "undo_moves": self.undo_moves,
            "asked_rollback": self.asked_rollback,
            "pid": os.getpid(),
        }

    def remember(self) -> None:
        """Write the plan down before anything is done."""
        self.journal.hold()
        self.journal.write("note", "plan", **self.plan())

    def step(self, name: str, verdict: Verdict, seconds: float, detail: str = "") -> None:
        """Remember a finished step and show it."""
        step = Step(name=name, verdict=verdict, seconds=round(seconds, 2), detail=detail)
        self.steps.append(step)
        self.deps.report.step_finished(step)

    def still_ours(self) -> None:
        """Raise Superseded unless the remote's stable tag and lock are what this promotion made them and no branch hides the tag.

        A lock that was deleted while the tag is ours is taken again.
        """
        expected = Kept(stable=self.stable.object if self.stable else None, lock=self.lock.oid if self.lock else None)
        reading = classify(observe(self.deps.git, self.names), expected)
        if reading.state is RefState.LOCK_LOST and reading.seen.lock is None and self.moved is Moved.YES:
            self.retake_lock()
        else:
            require(self.deps.git, reading)

    def retake_lock(self) -> None:
        """Make the deleted lock again: an account that may push a branch may delete it, and that must not end a promotion which has moved the tag.

        Raises Superseded when another process has it meanwhile, or has ended this promotion as proven.
        """
        git, lock = self.deps.git, self.lock
        assert lock is not None
        working = git.ref(self.names.working)
        if working and self.stable and working.object == self.stable.object and not (self.is_back or self.asked_rollback):
            raise lock_lost(f"it was deleted, and {self.settings.tags.working} is at this version: another process has ended this promotion")
        self.update(lock=self.journal.effect("take the deleted lock again", {"lock": lock.oid}, lambda: advance(git, lock, retake=True)))
        warning = f"{LOCK} was deleted while this promotion ran; it was taken again, and the promotion went on"
        if warning not in self.warnings:
            self.warnings.append(warning)
            self.deps.report.note(warning)


def _fields(tag: Tag | None) -> dict[str, str] | None:
    return asdict(tag) if tag else None
