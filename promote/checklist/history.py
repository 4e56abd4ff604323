"""What the rows ask of the commits between production and the candidate: which they are, and whether their tasks are closed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping

from promote import connect, tasks
from promote.changes import Change, change_of
from promote.checklist.promotion import Promotion
from promote.deadline import Deadline
from promote.errors import NotFound, UsageError
from promote.tasks import Task, TaskReport

Evidence = Callable[[str, object], None]
SHOWN = 8


def changes_of(promotion: Promotion) -> list[Change]:
    """The candidate's commits that production has not, newest first. Raises NotFound without a stable tag or in a shallow clone."""
    from promote.clients.git_objects import history

    return [change_of(c) for c in history(promotion.remote, stable_commit(promotion), promotion.commit)]


def stable_commit(promotion: Promotion) -> str:
    """What production runs. Raises NotFound before a first promotion: there is nothing to compare with."""
    stable = promotion.target.stable
    if stable is None:
        name = promotion.settings.tags.stable
        raise NotFound(
            "git remote", f"{name} does not exist, so there is nothing to compare the candidate with", hint=f"waive this row once, or create {name}"
        )
    return stable.commit


def task_problems(promotion: Promotion, changes: list[Change], evidence: Evidence) -> list[str]:
    """Open tasks, and with `tasks.require` commits that name none. Raises when the tracker cannot be read, or none was decided on."""
    settings = promotion.settings.tasks
    found = report(promotion, changes)
    evidence("tracker", settings.source)
    evidence("tasks", {task.id: task.status for task, _ in found.named.values()})
    evidence("commits that name no task", [c.words() for c in found.nameless[:20]])
    lines = [
        f"  {task.words()}\n    named by {', '.join(c.words() for c in commits[:2])}" + (f" and {len(commits) - 2} more" if len(commits) > 2 else "")
        for task, commits in found.still_open(settings.closed)
    ]
    if settings.require:
        lines += [f"  {c.words()} names no task" for c in found.nameless[:SHOWN]]
        lines += [f"  and {len(found.nameless) - SHOWN} more"] if len(found.nameless) > SHOWN else []
    return lines


def report(promotion: Promotion, changes: list[Change]) -> TaskReport:
    settings, git = promotion.settings, promotion.remote
    if not settings.tasks.source:
        raise UsageError(
            "not configured: tasks.source is empty, so nobody looked at a task",
            hint='set tasks.source in promotion.toml to "beads" or "github", or to "none" where there is no tracker',
        )
    if settings.tasks.source == "github":
        find = tasks.hash_ids(connect.slug(settings, git))
        return tasks.report(changes, find, lambda ids: connect.evidence(settings, git).issues(ids), settings.tasks.exempt)
    return tasks.report(changes, tasks.beads_ids(settings.tasks.prefixes), lambda ids: _beads(promotion, ids), settings.tasks.exempt)


def _beads(promotion: Promotion, ids: frozenset[str]) -> Mapping[str, Task]:
    """From `bd` where it is, else from the export on the configured branch, else from the export in the candidate."""
    from promote.clients.beads import ask_bd, read_export

    settings, git = promotion.settings, promotion.remote
    if program := shutil.which("bd"):
        return ask_bd(program, ids, root=settings.root, deadline=Deadline(settings.suites.row_timeout * 0.8))
    commit, branch = promotion.commit, settings.tasks.branch
    if branch:
        ref = git.ref(f"refs/heads/{branch}")
        if ref is None:
            raise NotFound(
                f"git remote {git.remote}", f"there is no branch {branch}", hint="tasks.branch in promotion.toml names where the export lies"
            )
        git.fetch(ref.ref)
        commit = ref.commit
    where = f"{settings.tasks.file} on {branch or 'the candidate'}"
    text = git.file(commit, settings.tasks.file)
    if text is None:
        raise NotFound("beads", f"`bd` is not on PATH, and there is no {where}", hint="install bd, or name the export: tasks.branch and tasks.file")
    known = read_export(text, where=where)
    return {i: known[i] for i in ids if i in known}
