"""`promote next`: suggests the smallest version that fits the commits to ship. Prints only the version on stdout, the reason on stderr."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from datetime import UTC, datetime

from promote.candidate import version_bump
from promote.checklist.history import changes_of, production_version
from promote.checklist.promotion import Promotion, State
from promote.cli.bootstrap import open_repository
from promote.config.schema import Settings
from promote.core.errors import NotFound, UsageError
from promote.core.foreign import one_line
from promote.core.model import Choices
from promote.core.version import Version
from promote.promotion.choose_candidate import simply_behind
from promote.report.screen import answer
from promote.report.sink import Sink
from promote.report.words import counted


def main(args: argparse.Namespace) -> int:
    settings, _ = open_repository(args.folder)
    promotion, remark = preview(settings, None)
    version, why = calendar(promotion) if settings.version.scheme == "calver" else semantic(promotion, _forced(args))
    why = "; ".join(filter(None, (why, remark)))
    answer(version, document={"version": version, "why": why, "commit": promotion.commit} if args.json else None)
    if not args.json:
        Sink(sys.stderr).line(one_line(why))
    return 0


def preview(settings: Settings, version: Version | None, choices: Choices | None = None) -> tuple[Promotion, str]:
    """(the promotion that a run would be, a remark when this clone is behind), for `next` and `plan`.

    Its commit is not always HEAD: a run pulls what the trunk has more than a clean clone.
    """
    state = State(settings=settings, version=version, context=None)
    target, branch = state.target, settings.repository.branch
    behind = 0 if version and target.dev_tag else simply_behind(settings, state.remote, target.branch.commit)
    if behind:
        state.target = replace(target, version=version, commit=target.branch.commit, from_tree=True, dev_tag=None)
    remark = f"{branch} is {counted(behind, 'commit')} ahead of this clone: they are in this, for `promote run` pulls them first" if behind else ""
    return Promotion(state, choices=choices or Choices()), remark


def _forced(args: argparse.Namespace) -> version_bump.Level | None:
    return next(
        (level for level in (version_bump.Level.MAJOR, version_bump.Level.MINOR, version_bump.Level.PATCH) if getattr(args, level.word())), None
    )


def calendar(promotion: Promotion) -> tuple[str, str]:
    """(the next calendar version of this month, the reason)."""
    promoted = list(promotion.promoted_versions())
    return version_bump.next_calendar_version(promoted, datetime.now(UTC).date()), f"newest: {max(promoted, default='none')}"


def semantic(promotion: Promotion, forced: version_bump.Level | None) -> tuple[str, str]:
    """(the next semantic version, the reason). Raises UsageError when the bump is undetermined, NotFound when production's version is unknown."""
    old = production_version(promotion)
    if old is None:
        raise NotFound(
            "git remote", "production's commit has no version, so there is none to count from", hint="choose the first one yourself: v1.0.0"
        )
    changes = changes_of(promotion)
    wanted = version_bump.required_bump(changes, default_bump=promotion.settings.version.default_bump)
    if forced is not None:
        return _new(promotion, old, forced, f"{old}, and {forced.word()} as asked")
    if wanted is None:
        raise UsageError(
            f"none of {len(changes)} commits has a Conventional Commits type, so the bump is undetermined",
            hint="choose it: promote next --major, --minor or --patch; or set version.default_bump in promotion.toml",
        )
    level = version_bump.effective_level(wanted.level, old)
    return _new(promotion, old, level, f"{old}, and {level.word()}: {wanted.why}")


def _new(promotion: Promotion, old: Version, level: version_bump.Level, why: str) -> tuple[str, str]:
    """(the next version, the reason). A version is used once, so it skips promoted ones, even if rolled back, and mentions them in the reason."""
    promoted = promotion.promoted_versions()
    version = version_bump.next_available(old, level, promoted)
    passed = "" if version == version_bump.next_version(old, level) else f"; {max(promoted)} was promoted already, and production is not at it"
    return version, why + passed
