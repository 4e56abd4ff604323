"""After the end is known: prod-working, the ledger, the lock, Grafana. A step that fails here is a warning and changes no verdict."""

from __future__ import annotations

from promote import connect
from promote.checklist.monitoring import dashboard_links
from promote.core.errors import PromoteError, os_error_message
from promote.core.model import End, Tag, short
from promote.git.push import Pushed, RefUpdate
from promote.promotion.context import Moved, PromotionContext
from promote.promotion.driver_checks import working_moved, write_report
from promote.tags.lock import LOCK, Lock, lock_at, lock_words, release
from promote.tags.records import write_ledger

AROUND_S = 900  # how much of the time before and after the promotion a link shows


def finalize(ctx: PromotionContext, end: End, entry: dict[str, object]) -> None:
    """Write the records and release the lock. STUCK keeps it, so that the next promotion sees that manual action is needed."""
    entry = {name: ctx.deps.redact.value(value) for name, value in entry.items()}
    try:
        if ctx.moved is not Moved.NO:
            _warn(
                ctx, ctx.journal.effect("write the ledger", {}, lambda: write_ledger(ctx.deps.git, ctx.request_id, entry), best_effort_journal=True)
            )
    except PromoteError as error:
        _warn(ctx, f"{error.what} (do: {error.hint})")
    except OSError as error:
        _warn(ctx, f"the ledger was not written: {os_error_message(error)}")
    try:
        if ctx.lock and (end is not End.STUCK or ctx.release_anyway):
            _release(ctx, end)
    except (PromoteError, OSError) as error:
        why = os_error_message(error) if isinstance(error, OSError) else error.what
        _warn(ctx, f"whether {LOCK} was released is not known: {why} (do: fix that, then `promote resume` releases it)")
    _warn(ctx, annotate(ctx, end))
    _own_checks(ctx)
    ctx.journal.write("state", end.value)
    _warn(ctx, ctx.journal.trouble)


def _release(ctx: PromotionContext, end: End) -> None:
    lock, git = ctx.lock, ctx.deps.git
    assert lock is not None
    here = git.refs(LOCK, ctx.names.working)
    if LOCK in here and here[LOCK].object != lock.oid and (unseen := _our_own(ctx, here[LOCK])):
        lock = unseen
        ctx.update(lock=lock)
    if LOCK not in here or here[LOCK].object != lock.oid:  # not ours to delete, nor is prod-working ours to move
        _warn_of_lost_lock(ctx, end, there=LOCK in here)
        return
    updates: list[RefUpdate] = []
    if end is End.VERIFIED and ctx.stable:
        held = here.get(ctx.names.working)
        if held is None or held.object != ctx.stable.object:
            updates = [RefUpdate(ref=ctx.names.working, new=ctx.stable.object, expected=held.object if held else "")]
            _remark_on(ctx, held)
    result = ctx.journal.effect("release the lock", {"working": bool(updates)}, lambda: release(git, lock, *updates), best_effort_journal=True)
    if result.outcome is not Pushed.DONE and updates:
        _warn(ctx, f"{ctx.settings.tags.working} was not moved: {result.text}")
        result = ctx.journal.effect("release the lock", {"working": False}, lambda: release(git, lock), best_effort_journal=True)
    if end is End.VERIFIED:
        working_moved(ctx)
    if result.outcome is not Pushed.DONE:
        _warn(ctx, f"the lock was not released: {result.text}; by hand: git push --force-with-lease={LOCK}:{lock.oid} {git.remote} :{LOCK}")


def _remark_on(ctx: PromotionContext, working: Tag | None) -> None:
    """Warn when prod-working goes back. Nothing waits for a remark: what it is at may be in no clone but the one that put it there."""
    git, now = ctx.deps.git, ctx.stable
    if working is None or now is None:
        return
    name, at = ctx.settings.tags.working, short(working.commit)
    try:
        if not git.has(working.commit):
            git.fetch(working.ref)
        if not git.is_ancestor(working.commit, now.commit):
            _warn(ctx, f"{name} goes back: it was at {at}, which {ctx.version} does not contain")
    except PromoteError as error:
        _warn(ctx, f"{name} was at {at}; whether {ctx.version} contains that is not known: {error.what}")


def _our_own(ctx: PromotionContext, ref: Tag) -> Lock | None:
    """The lock there, when it was written by this very process: its push landed, and neither its answer nor a look after it came through."""
    try:
        there = lock_at(ctx.deps.git, ref)
    except PromoteError:
        return None
    return there if there and ctx.lock and there.oid == ref.object and there.holder == ctx.lock.holder else None


def _warn_of_lost_lock(ctx: PromotionContext, end: End, *, there: bool) -> None:
    """The lock was taken over, or broken, while this process thought it held it: reported even when all went well, since another process acts now."""
    whose = f"is another user's by now: {lock_words(ctx.deps.git)[1]}" if there else "was deleted meanwhile: nothing keeps others from promoting"
    kept = f"; {ctx.settings.tags.working} was left where it is" if end is End.VERIFIED else ""
    _warn(ctx, f"{LOCK} {whose}{kept}")
    if end is End.VERIFIED:
        working_moved(ctx)


def _own_checks(ctx: PromotionContext) -> None:
    try:
        ctx.driver_junit = write_report(ctx)
    except OSError as error:
        _warn(ctx, f"the JUnit of the driver's own checks could not be written: {error.strerror}")


def _warn(ctx: PromotionContext, warning: str) -> None:
    if warning:
        ctx.warnings.append(warning)


def annotate(ctx: PromotionContext, end: End) -> str:
    """Draw one region over Grafana's dashboards, from the move to the verdict, and show their links. Returns a warning, or ""."""
    settings, start = ctx.settings.grafana, ctx.moved_at or ctx.t_before
    if not settings.url or ctx.moved is Moved.NO or start is None:
        return ""
    now = ctx.deps.clock.now()
    try:
        grafana = connect.grafana(ctx.settings)
        if settings.annotate:
            tags = [*settings.tags, ctx.version.text, end.value]
            text = f"{ctx.version} at {short(ctx.target.commit)}: {end.value.replace('_', ' ')} (request {ctx.request_id}, {ctx.deps.who})"
            ctx.journal.effect("annotate", {"tags": tags}, lambda: grafana.annotate(start=start, end=now, tags=tags, text=text))
        window = f"?from={int((start.timestamp() - AROUND_S) * 1000)}&to={int((now.timestamp() + AROUND_S) * 1000)}"
        for name, link in dashboard_links(ctx.settings, grafana.dashboards() if settings.dashboards else [], grafana.link).items():
            ctx.deps.report.note(f"{name}: {link}{window}" if link else f"{name}: not in Grafana")
        return ""
    except PromoteError as error:
        return f"the promotion was not drawn in Grafana: {error.what} (do: {error.hint})"
