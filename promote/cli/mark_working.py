"""`promote mark-working`: put prod-working on what production's tag holds, after the proof that production runs it."""

from __future__ import annotations

import argparse
import secrets as random
from datetime import UTC, datetime

from promote.cli.bootstrap import open_repository, tools
from promote.connect import secrets
from promote.core.errors import NotFound, Rejected, UsageError
from promote.core.model import End, Tag, short
from promote.core.version import UNVERSIONED, recorded_version
from promote.git.push import RefUpdate, refused
from promote.promotion.context import Dependencies, PromotionContext
from promote.promotion.describe import describe_stable, version_carried
from promote.promotion.journal import Journal
from promote.promotion.state_machine import State, run_promotion
from promote.report.screen import reporter
from promote.tags.lock import LOCK, lock_words
from promote.tags.names import ref_names
from promote.tags.target import Target


def main(args: argparse.Namespace) -> int:
    settings, git = open_repository(args.folder)
    with reporter(json=args.json, secrets=secrets()) as report:
        deps = tools(settings, git, report)
        ctx, working = _prepare(deps, force=args.force)
        end, result = run_promotion(ctx, State.CURRENT)
        words = _mark(ctx, working) if end is End.VERIFIED else f"{settings.tags.working} stays where it is: {result.reason}"
        report.end(end, [words, *([f"do: {result.hint}"] if result.hint and end is not End.VERIFIED else [])])
        if args.json:
            after = git.ref(ctx.names.working)
            document = {"outcome": end.value, "exit": end.exit_code, "reason": words, "working": after.object if after else None}
            report.document(document)
    return end.exit_code


def _prepare(deps: Dependencies, *, force: bool) -> tuple[PromotionContext, Tag | None]:
    git, settings = deps.git, deps.settings
    names = ref_names(settings, "")
    refs = git.refs(names.stable, names.working, names.branch, LOCK)
    if refs.pop(LOCK, None):  # in its soak all may look proven, and go back all the same
        hint = f"wait for it to end: it moves {settings.tags.working} itself; if it was cut short: `promote resume`"
        raise Rejected("lock", f"{lock_words(git)[1]}: {settings.tags.working} is that promotion's to move", hint=hint)
    stable, working, branch = refs.get(names.stable), refs.get(names.working), refs.get(names.branch)
    if stable is None or branch is None:
        missing = names.stable if stable is None else names.branch
        raise NotFound(f"git remote {git.remote}", f"there is no {missing}", hint="see what there is: `promote status`")
    git.fetch(*refs)
    if working and not force and not git.is_ancestor(working.commit, stable.commit):
        raise UsageError(
            f"{settings.tags.working} is at {git.describe(working.commit)}, which {settings.tags.stable} ({short(stable.commit)}) does not contain: "
            "it would go back",
            hint="if that is meant: --force",
        )
    deps.report.headline(f"mark-working · {describe_stable(deps, stable, branch.commit)}")
    version = recorded_version(version_carried(deps, stable) or UNVERSIONED.text, settings.version.scheme)
    request_id = f"mark-{datetime.now(UTC):%Y%m%d-%H%M%S}-{random.token_hex(3)}"
    target = Target(version=version, commit=stable.commit, from_tree=False, dev_tag=None, stable=stable, branch=branch)
    return PromotionContext(
        deps=deps, target=target, version=version, request_id=request_id, journal=Journal.open(git.git_dir, request_id, deps.redact)
    ), working


def _mark(ctx: PromotionContext, working: Tag | None) -> str:
    """Leased on the value that was judged. Raises what a refused push means."""
    git, name, stable = ctx.deps.git, ctx.settings.tags.working, ctx.stable
    assert stable is not None
    if working and working.object == stable.object:
        return f"{name} is there already: {git.describe(stable.commit)}, proven now"
    update = RefUpdate(ref=ctx.names.working, new=stable.object, expected=working.object if working else "")
    done, result, _ = ctx.journal.effect("move the working tag", {"to": stable.object}, lambda: git.push_and_look(update))
    if not done:
        raise refused(git.remote, result, f"move {name}")
    return f"{name} → {git.describe(stable.commit)}: proven now" + (f"; it was at {short(working.commit)}" if working else "")
