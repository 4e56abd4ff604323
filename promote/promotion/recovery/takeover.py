"""Taking over a promotion that was cut short: whose it is, whether its owner still lives, and the promotion rebuilt from its journal here or from the
lock alone.

Taking over replaces the lock under its lease, so the former owner, should it still live, can write nothing any more.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from promote.checklist.waivers import Waiver
from promote.convergence.baseline import Baseline
from promote.convergence.baseline_ref import read_baseline
from promote.core.errors import PromoteError, Superseded, UsageError
from promote.core.model import Choices, Tag
from promote.core.signals import allow_signals
from promote.core.version import recorded_version
from promote.promotion.context import Dependencies, Moved, PromotionContext, Tracked
from promote.promotion.journal import Journal, is_open_elsewhere, read_journal
from promote.promotion.recovery.confirm import confirm
from promote.promotion.state_machine import State
from promote.promotion.steps import keep_baseline
from promote.tags.heartbeat import MISSED, sign_of, silent
from promote.tags.lock import TRIES, Lock, read_lock, take_over
from promote.tags.names import ref_names
from promote.tags.shapes import check_plan
from promote.tags.target import Target

Lines = list[dict[str, Any]]


def take_over_promotion(deps: Dependencies, *, orphaned_s: float | None = None) -> PromotionContext | None:
    """The promotion that holds the lock, with the lock taken over; None when the lock is free.

    It is rebuilt from its journal in this clone or, anywhere else, from the lock alone. With `orphaned_s` also None while its owner was heard of in
    the last so many seconds, or is heard of while we watch.
    Raises UsageError when its owner still lives or the lock contains too little, Superseded when another process took it over first. Called with stop
    requests held: one that comes while the lock is taken over is for what follows to answer.
    """
    for tries in count(1):
        with allow_signals():  # looking and watching take nothing: who stops here leaves all as it was
            found = _left_over(deps, orphaned_s)
        if found is None:
            return None
        ctx, lock, here = found
        try:
            _take(ctx, lock, here)
            return ctx
        except Superseded:  # perhaps by its own workflow run, which moved the tag just now: then all is looked at again
            if tries == TRIES or not _has_it_still(deps, lock):
                raise
            ctx.journal.release_anyway()
    raise AssertionError


def _take(ctx: PromotionContext, lock: Lock, here: bool) -> None:
    git, holder = ctx.deps.git, secrets.token_hex(4)
    ctx.update(moved=Moved.UNKNOWN)  # until the refs were read: whatever stops us before, "nothing was moved" is not reported
    ctx.remember()
    ctx.journal.write("note", "taken over", lock=lock.oid, state=lock.state, here=here)
    taken = ctx.journal.effect("take the lock over", {"lock": lock.oid, "holder": holder}, lambda: take_over(git, lock, holder))
    ctx.update(lock=taken)


def _has_it_still(deps: Dependencies, lock: Lock) -> bool:
    now = read_lock(deps.git)
    return now is not None and (now.request_id, now.holder) == (lock.request_id, lock.holder)


def _left_over(deps: Dependencies, orphaned_s: float | None) -> tuple[PromotionContext, Lock, bool] | None:
    """(the promotion that may be taken over, its lock, whether its journal is in this clone)."""
    lock = read_lock(deps.git)
    if lock is None:
        return None
    journal = Journal.open(deps.git.git_dir, lock.request_id, deps.redact)
    lines: Lines = read_journal(journal.path) if journal.path.exists() else []
    plan = {k: v for k, v in (_last(lines, "plan") or lock.plan).items() if k not in ("schema", "at", "event", "name")}
    if not plan:
        raise UsageError(
            f"{lock.describe()}: this lock does not say what it was about (a move by hand with `promote publish`)",
            hint="when that is over or dead: `promote abort --break-lock`",
        )
    if lines and is_open_elsewhere(journal.path):
        if orphaned_s is not None:
            _not_orphaned(deps, f"{lock.describe()}: it is still running here")
            return None
        raise UsageError(f"{lock.describe()}: it is still running (process {plan.get('pid')})", hint="wait for it, or stop it with ^C or SIGTERM")
    if orphaned_s is not None:
        if not _is_orphaned(deps, lock, orphaned_s):
            return None
    elif not any(line.get("holder") == lock.holder for line in lines):  # no process of this clone has it, even if one began it
        _refuse_a_living_owner(deps, lock)
    try:
        ctx = _rebuild(deps, lock, journal, plan, lines)
    except (KeyError, TypeError, ValueError) as error:
        raise PromoteError(
            f"{lock.describe()}: its plan is not one that this version of promote can read ({type(error).__name__}: {error})",
            hint="resume or abort it with the version it was begun with, or a newer one",
        ) from error
    confirm(ctx, lock, lines)
    return ctx, lock, bool(lines)


def _refuse_a_living_owner(deps: Dependencies, lock: Lock) -> None:
    """From another machine only its silence shows that a process is gone. Taking over a living one would be safe, and still be rude."""
    every = deps.settings.lock.heartbeat
    age = sign_of(deps.git, lock).age(deps.clock.now()).total_seconds()
    if age < MISSED * every:
        raise UsageError(
            f"{lock.describe()}: it gave its last sign of life {age:.0f} s ago",
            hint=f"stop it there, or try again in {MISSED * every - age:.0f} s if that machine is gone (or now: `promote abort --break-lock`)",
        )


def _is_orphaned(deps: Dependencies, lock: Lock, after_s: float) -> bool:
    """Silent for so long by its own clock, and by ours while we watch for longer than a beat takes."""
    age = sign_of(deps.git, lock).age(deps.clock.now()).total_seconds()
    if age < after_s:
        _not_orphaned(deps, f"{lock.describe()}: it gave a sign of life {age:.0f} s ago")
        return False
    watch = min(2 * deps.settings.lock.heartbeat, after_s)
    deps.report.note(f"{lock.describe()}: not heard of for {age:.0f} s; watching for {watch:.0f} s whether it lives")
    if silent(deps.git, lock, seconds=watch, clock=deps.clock, every_s=max(1.0, watch / 10)):
        return True
    _not_orphaned(deps, f"{lock.describe()}: it lives")
    return False


def _not_orphaned(deps: Dependencies, text: str) -> None:
    deps.report.note(f"{text}: not an orphan")


def _last(lines: Lines, name: str) -> Mapping[str, Any]:
    return next((line for line in reversed(lines) if line.get("name") == name and line.get("event") == "note"), {})


def _rebuild(deps: Dependencies, lock: Lock, journal: Journal, plan: Mapping[str, Any], lines: Lines) -> PromotionContext:
    def tag(name: str) -> Tag | None:
        return Tag(**plan[name]) if plan.get(name) else None

    check_plan(plan)
    version = recorded_version(plan["version"], deps.settings.version.scheme)
    names = ref_names(deps.settings, version.text)
    branch = deps.git.ref(names.branch) or tag("branch")  # as the remote has it: its checks judge, and a plan may name any commit
    deps.git.fetch(names.branch)
    assert branch is not None
    target = Target(
        version=version, commit=plan["commit"], from_tree=plan["from_tree"], dev_tag=tag("dev_tag"), stable=tag("stable"), branch=branch,
        prod_tag=tag("prod_tag"), fallback=tag("fallback"),
    )  # fmt: skip
    ctx = PromotionContext(
        deps=deps,
        target=target,
        version=version,
        request_id=lock.request_id,
        journal=journal,
        choices=Choices(**plan["choices"]),
        waivers=tuple(Waiver(**waiver) for waiver in plan.get("waivers") or ()),
        tracked=Tracked(lock=lock),
        undo_moves=plan["undo_moves"],
        asked_rollback=plan["asked_rollback"],
        workflow_run=_last(lines, "run").get("id"),
        cause=next(
            (str(line["reason"]) for line in reversed(lines) if line.get("name") == "transition" and line.get("next") == State.ROLLING_BACK), ""
        ),
    )
    before = "" if lock.state == "rolling_back" else _last(lines, "t_before").get("at")
    if at := before or (lock.at if lock.state in ("promoted", "rolling_back") else ""):
        ctx.t_before = datetime.fromisoformat(at)
    _baseline(ctx, _last(lines, "baseline"))
    return ctx


def _baseline(ctx: PromotionContext, known: Mapping[str, Any]) -> None:
    """Production as it was: from the file of this clone, else as it was handed over on the remote. Without either nothing is tolerated."""
    if known and Path(known["file"]).is_file():
        ctx.baseline_file = Path(known["file"])
        ctx.baseline = Baseline.read(ctx.baseline_file)
        ctx.smoke_before = frozenset(known["smoke_passed"]) if known.get("smoke_passed") is not None else None
    elif handed := read_baseline(ctx.deps.git, ctx.request_id):
        keep_baseline(ctx, handed, smoke_passed=frozenset(handed.smoke_passed))
