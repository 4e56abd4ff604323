"""The record that a promotion leaves on the branch: named as there only after it was read there. Whatever is the matter with it is a warning."""

from __future__ import annotations

from promote.core.errors import PromoteError
from promote.promotion.context import PromotionContext
from promote.tags.publish import Published, Request
from promote.tags.records import has_record, record_path, write_record


def record_directly(ctx: PromotionContext, request: Request, published: Published) -> None:
    """Write it, where this process has moved the tag itself."""
    if warning := ctx.journal.effect(
        "write the record", {}, lambda: write_record(ctx.deps.git, ctx.settings, request, published), best_effort_journal=True
    ):
        ctx.warnings.append(warning)
    else:
        ctx.record = record_path(ctx.settings, ctx.version.text)


def look_for_record(ctx: PromotionContext) -> bool | None:
    """Whether the branch has the record of this very promotion; None, and a warning, when that cannot be read."""
    path, branch = record_path(ctx.settings, ctx.version.text), ctx.settings.repository.branch
    try:
        there = has_record(ctx.deps.git, ctx.settings, ctx.request_id, ctx.version.text)
    except PromoteError as error:
        ctx.warnings.append(f"whether {path} is on {branch} is not known: {error.what}")
        return None
    ctx.record = path if there else ""
    return there


def expect_record(ctx: PromotionContext) -> None:
    """Look for it where the workflow should have written it, which a rule of the branch may have refused."""
    if look_for_record(ctx) is False:
        path, branch = record_path(ctx.settings, ctx.version.text), ctx.settings.repository.branch
        ctx.warnings.append(f"{path} is not on {branch}: the log of the workflow's run says why; the promotion itself is not affected")


def record_after_all(ctx: PromotionContext) -> None:
    """See to the record of a move that was cut short before it: an older workflow writes none, and ours may not have been allowed to."""
    if ctx.settings.promotion.via == "git":
        catch_up_record(ctx)
    elif not ctx.legacy:
        expect_record(ctx)


def catch_up_record(ctx: PromotionContext) -> None:
    """Write it after all, where a move that was made directly was cut short before it."""
    if ctx.stable and look_for_record(ctx) is False:
        request = Request(version=ctx.version, request_id=ctx.request_id, promoted_by=ctx.deps.who)
        previous = ctx.target.stable.object if ctx.target.stable else ""
        record_directly(ctx, request, Published(stable=ctx.stable, previous=previous, lock=ctx.lock))
