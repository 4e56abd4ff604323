"""The logic of the checks about the commits between production and the candidate: their tasks, and the version that they ask for."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime

from promote import connect
from promote.candidate import tasks, version_bump
from promote.candidate.commits import Change, change_of
from promote.candidate.tasks import TaskReport
from promote.checklist.promotion import Promotion
from promote.core.deadline import Deadline
from promote.core.errors import NotFound, UsageError
from promote.core.model import Evidence, Task, short
from promote.core.version import Version, parse_version

SHOWN = 8
UNKNOWN_VERSION = "vX.Y.Z"  # stands for a version that cannot be computed


def changes_of(promotion: Promotion) -> list[Change]:
    """The candidate's commits that production lacks, newest first; all of them in a first promotion. Raises NotFound in a shallow clone."""
    from promote.git.objects import history

    return [change_of(c) for c in history(promotion.remote, stable_commit(promotion), promotion.commit)]


def stable_commit(promotion: Promotion) -> str | None:
    """The commit that production runs; None in a first promotion. Raises NotFound when there is no stable tag and `--first` was not given."""
    stable = promotion.target.stable
    if stable is None and promotion.choices.first:
        return None
    if stable is None:
        name = promotion.settings.tags.stable
        raise NotFound(
            "git remote",
            f"{name} does not exist, so there is nothing to compare the candidate with",
            hint=f"create {name} at the commit that production runs, or promote run {promotion.version or UNKNOWN_VERSION} --first",
        )
    return stable.commit


def task_problems(promotion: Promotion, changes: list[Change], evidence: Evidence) -> list[str]:
    """Open tasks that the commits name, and with `tasks.require` commits that name none: indented lines; [] when all tasks are closed.

    Raises UsageError when `tasks.source` is empty, PromoteError when the tracker cannot be read.
    """
    settings = promotion.settings.tasks
    found = report(promotion, changes)
    evidence("tracker", settings.source)
    evidence("tasks", {task.id: task.status for task, _ in found.named.values()})
    evidence("commits that name no task", [c.describe() for c in found.nameless[:20]])
    lines = [
        f"  {task.describe()}\n    named by {', '.join(c.describe() for c in commits[:2])}"
        + (f" and {len(commits) - 2} more" if len(commits) > 2 else "")
        for task, commits in found.still_open(settings.closed_statuses)
    ]
    if settings.require:
        lines += [f"  {c.describe()} names no task" for c in found.nameless[:SHOWN]]
        lines += [f"  and {len(found.nameless) - SHOWN} more"] if len(found.nameless) > SHOWN else []
    return lines


def report(promotion: Promotion, changes: list[Change]) -> TaskReport:
    """The tasks that the commits name, as the configured tracker has them. Raises as `task_problems`."""
    settings, git = promotion.settings, promotion.remote
    if not settings.tasks.source:
        raise UsageError(
            "not configured: tasks.source is empty, so no task was read",
            hint='set tasks.source in promotion.toml to "beads" or "github", or to "none" where there is no tracker',
        )
    if settings.tasks.source == "github":
        find = tasks.hash_ids(connect.slug(settings, git))
        return tasks.report(changes, find, lambda ids: connect.evidence(settings, git).issues(ids), settings.tasks.exempt)
    return tasks.report(changes, tasks.beads_ids(settings.tasks.prefixes), lambda ids: _beads(promotion, ids), settings.tasks.exempt)


def _beads(promotion: Promotion, ids: frozenset[str]) -> Mapping[str, Task]:
    """From `bd` if it is installed, else from the export on the configured branch, else from the export in the candidate."""
    from promote.candidate.beads import ask_bd, read_export

    settings, git = promotion.settings, promotion.remote
    if program := shutil.which("bd"):
        return ask_bd(program, ids, root=settings.root, deadline=Deadline(settings.suites.check_timeout * 0.8))
    commit, branch = promotion.commit, settings.tasks.branch
    if branch:
        ref = git.ref(f"refs/heads/{branch}")
        if ref is None:
            raise NotFound(
                f"git remote {git.remote}",
                f"there is no branch {branch}",
                hint="correct tasks.branch in promotion.toml: the branch that holds the export",
            )
        git.fetch(ref.ref)
        commit = ref.commit
    where = f"{settings.tasks.file} on {branch or 'the candidate'}"
    text = git.file(commit, settings.tasks.file)
    if text is None:
        raise NotFound("beads", f"`bd` is not on PATH, and there is no {where}", hint="install bd, or name the export: tasks.branch and tasks.file")
    known = read_export(text, where=where)
    return {i: known[i] for i in ids if i in known}


def production_version(promotion: Promotion) -> Version | None:
    """The version that production runs: that of the prod tag at the stable tag's object or commit, else the greatest one that its commit contains.

    None when no version was ever promoted. Raises NotFound when production's commit contains no promoted version.
    """
    stable, promoted = promotion.target.stable, promotion.promoted_versions()
    if stable is None or not promoted:
        return None
    for fits in (
        lambda tag: tag.object == stable.object,
        lambda tag: tag.commit == stable.commit,
        lambda tag: promotion.remote.has(tag.commit) and promotion.remote.is_ancestor(tag.commit, stable.commit),
    ):
        if found := next((version for version in sorted(promoted, reverse=True) if fits(promoted[version])), None):
            return found
    template = promotion.settings.tags.prod
    raise NotFound(
        "git remote",
        f"{short(stable.commit)}, which production runs, contains no commit with a tag {template.format(version='vX')}: its version is unknown",
        hint=f"name it once: git tag -a {template.format(version='vX.Y.Z')} {short(stable.commit)} and push that tag",
    )


def version_bump_problem(promotion: Promotion, changes: list[Change], evidence: Evidence) -> str:
    """Text that compares the version's step (major, minor, patch) with the one that the commits ask for, and the command with the right version.

    "" when the step is large enough, in a first promotion, and with `--downgrade`. A calendar version must not lie more than one day ahead. Raises
    UsageError when no commit has a Conventional Commits type, NotFound when production's version is unknown.
    """
    version, today = promotion.version, datetime.now(UTC).date()
    if promotion.settings.version.scheme == "calver":
        evidence("today", today.isoformat())
        return (
            f"{version} lies in the future: today is {today} (UTC), and one day ahead is allowed\ndo   {_next_date(promotion)}"
            if version and version_bump.too_early(version, today)
            else ""
        )
    wanted, old = version_bump.required_bump(changes, default_bump=promotion.settings.version.default_bump), production_version(promotion)
    evidence("production", str(old or "no version was promoted before"))
    if promotion.choices.downgrade:
        evidence("downgrade", "requested: nothing to compare")
        return ""
    if old is None:
        return ""  # no earlier version to compare with
    if wanted is None:
        raise UsageError(
            f"none of {len(changes)} commits has a Conventional Commits type, so it is unknown whether {version} fits",
            hint='write them as "feat: …", "fix: …", "feat!: …", or set what they count as: version.default_bump in promotion.toml',
        )
    level = version_bump.effective_level(wanted.level, old)
    fitting = version_bump.next_available(old, level, promotion.promoted_versions())
    evidence("changes", wanted.why)
    evidence("asks for", level.word())
    evidence("smallest fitting version", fitting)
    evidence("commits without a type", [c.describe() for c in wanted.untyped[:20]])
    if version is None or not changes or version <= old or version_bump.step(old, version) >= level:
        return ""  # version-new reports a version that is not greater at all
    commits = "\n".join(f"  {c.describe()}" for c in wanted.by[:SHOWN]) + (f"\n  and {len(wanted.by) - SHOWN} more" if len(wanted.by) > SHOWN else "")
    return (
        f"{old} → {version} is a step of {version_bump.step(old, version).word()}, expected {level.word()} ({wanted.why})\n{commits}\n"
        f"do   promote run {fitting}"
    )


def bump_suggestion(promotion: Promotion, changes: list[Change]) -> str:
    """The smallest version that fits these changes; vX.Y.Z when it cannot be computed."""
    if promotion.settings.version.scheme == "calver":
        return version_bump.next_calendar_version(list(promotion.promoted_versions()), datetime.now(UTC).date())
    wanted, old = version_bump.required_bump(changes, default_bump=promotion.settings.version.default_bump), production_version(promotion)
    return (
        version_bump.next_available(old, version_bump.effective_level(wanted.level, old), promotion.promoted_versions())
        if wanted and old
        else UNKNOWN_VERSION
    )


def worth_planning(promotion: Promotion, changes: list[Change]) -> str:
    """The version that a migration plan should be for: the given one, or the smallest fitting one where the given one is too small."""
    fitting, wanted = bump_suggestion(promotion, changes), promotion.version
    if wanted is None:
        return fitting
    try:
        return max(wanted, parse_version(fitting, promotion.settings.version.scheme)).text
    except UsageError:  # the fitting version cannot be computed
        return wanted.text


def _next_date(promotion: Promotion) -> str:
    return "promote run " + version_bump.next_calendar_version(list(promotion.promoted_versions()), datetime.now(UTC).date())
