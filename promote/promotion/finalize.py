"""After the end is known: prod-working, the ledger, the lock. A step that fails here is a warning and changes no verdict."""

from __future__ import annotations

from promote.core.errors import PromoteError, machine_words
from promote.core.model import End, Tag, short
from promote.git.push import Pushed, RefUpdate
from promote.promotion.annotation import annotate
from promote.promotion.context import Moved, Run
from promote.promotion.driver_checks import working_moved, write_junit
from promote.tags.lock import LOCK, Lock, lock_at, lock_words, release
from promote.tags.records import write_ledger


def close(run: Run, end: End, entry: dict[str, object]) -> None:
    """Write what lasts and let go of the lock (kept when STUCK: the next one must see that a person is needed)."""
    entry = {name: run.tools.redact.value(value) for name, value in entry.items()}
    try:
        if run.moved is not Moved.NO:
            _warn(run, run.journal.effect("write the ledger", {}, lambda: write_ledger(run.tools.git, run.request_id, entry), putting_back=True))
    except PromoteError as error:
        _warn(run, f"{error.what} (do: {error.hint})")
    except OSError as error:
        _warn(run, f"the ledger was not written: {machine_words(error)}")
    try:
        if run.lock and (end is not End.STUCK or run.let_go):
            _let_go(run, end)
    except (PromoteError, OSError) as error:
        why = machine_words(error) if isinstance(error, OSError) else error.what
        _warn(run, f"whether {LOCK} was released is not known: {why} (do: when that is mended, `promote resume` lets it go)")
    _warn(run, annotate(run, end))
    _own_checks(run)
    run.journal.write("state", end.value)
    _warn(run, run.journal.trouble)


def _let_go(run: Run, end: End) -> None:
    lock, git = run.lock, run.tools.git
    assert lock is not None
    here = git.refs(LOCK, run.names.working)
    if LOCK in here and here[LOCK].object != lock.oid and (unseen := _our_own(run, here[LOCK])):
        run.lock = lock = unseen
    if LOCK not in here or here[LOCK].object != lock.oid:  # not ours to delete, nor is prod-working ours to move
        _say_who_has_it(run, end, there=LOCK in here)
        return
    updates: list[RefUpdate] = []
    if end is End.VERIFIED and run.stable:
        held = here.get(run.names.working)
        if held is None or held.object != run.stable.object:
            updates = [RefUpdate(ref=run.names.working, new=run.stable.object, expected=held.object if held else "")]
            _remark_on(run, held)
    result = run.journal.effect("release the lock", {"working": bool(updates)}, lambda: release(git, lock, *updates), putting_back=True)
    if result.outcome is not Pushed.DONE and updates:
        _warn(run, f"{run.settings.tags.working} was not moved: {result.text}")
        result = run.journal.effect("release the lock", {"working": False}, lambda: release(git, lock), putting_back=True)
    if end is End.VERIFIED:
        working_moved(run)
    if result.outcome is not Pushed.DONE:
        _warn(run, f"the lock was not released: {result.text}; by hand: git push --force-with-lease={LOCK}:{lock.oid} {git.remote} :{LOCK}")


def _remark_on(run: Run, working: Tag | None) -> None:
    """Warn when prod-working goes back. Nothing waits for a remark: what it is at may be in no clone but the one that put it there."""
    git, now = run.tools.git, run.stable
    if working is None or now is None:
        return
    name, at = run.settings.tags.working, short(working.commit)
    try:
        if not git.has(working.commit):
            git.fetch(working.ref)
        if not git.is_ancestor(working.commit, now.commit):
            _warn(run, f"{name} goes back: it was at {at}, which {run.version} does not contain")
    except PromoteError as error:
        _warn(run, f"{name} was at {at}; whether {run.version} contains that is not known: {error.what}")


def _our_own(run: Run, ref: Tag) -> Lock | None:
    """The lock there, when it was written by this very process: its push landed, and neither its answer nor a look after it came through."""
    try:
        there = lock_at(run.tools.git, ref)
    except PromoteError:
        return None
    return there if there and run.lock and there.oid == ref.object and there.holder == run.lock.holder else None


def _say_who_has_it(run: Run, end: End, *, there: bool) -> None:
    """The lock was taken over, or broken, while we thought it ours: said even when all went well, for somebody else acts here now."""
    whose = f"is somebody else's by now: {lock_words(run.tools.git)[1]}" if there else "was deleted meanwhile: nothing keeps others from promoting"
    kept = f"; {run.settings.tags.working} was left where it is" if end is End.VERIFIED else ""
    _warn(run, f"{LOCK} {whose}{kept}")
    if end is End.VERIFIED:
        working_moved(run)


def _own_checks(run: Run) -> None:
    try:
        run.driver_junit = write_junit(run)
    except OSError as error:
        _warn(run, f"the JUnit of the driver's own checks could not be written: {error.strerror}")


def _warn(run: Run, warning: str) -> None:
    if warning:
        run.warnings.append(warning)
