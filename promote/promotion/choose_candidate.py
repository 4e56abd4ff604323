"""Which commit a promotion ships: settings, tags and at most one question to a person become a target and its choices.

Changes nothing on the remote.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from promote.config.schema import Settings
from promote.core.errors import PromoteError, Rejected, UsageError
from promote.core.model import Choices, Tag
from promote.core.version import Version
from promote.git.remote import GitRemote
from promote.promotion.context import Dependencies
from promote.tags.names import ref_names
from promote.tags.target import Target, resolve_target

Ask = Callable[[str], str]


def choose(deps: Dependencies, version: Version, choices: Choices, *, tagged: bool, ask: Ask) -> tuple[Target, Choices]:
    """Decide which commit is meant: HEAD, or the commit of the existing dev tag. `ask` puts the one question to a person ("" = no answer).

    Raises UsageError when the dev tag is elsewhere and the answer does not say what that means, NotFound or UsageError for a wrong first promotion.
    """
    git, settings = deps.git, deps.settings
    target = resolve_target(git, settings, version)
    dev = target.dev_tag
    at_head = git.branch() == settings.repository.branch and not (tagged or choices.again or target.in_production)
    if dev and at_head and dev.commit != git.head() and (choices.recreate_dev or not only_records(git, settings, dev)):
        choices = choices if choices.recreate_dev else _decide(deps, dev, choices, ask)
        if choices.recreate_dev:
            target = replace(target, commit=git.head(), from_tree=True)
    elif choices.recreate_dev:
        choices = replace(choices, recreate_dev=False)  # it is where it should be, or there is none
    return _first(deps, target, choices)


def only_records(git: GitRemote, settings: Settings, dev: Tag) -> bool:
    """Whether nothing but records of promotions came to the trunk after the tagged commit: then HEAD and the tag mean the same."""
    changed = git.changed_paths(dev.commit, git.head()) if git.is_ancestor(dev.commit, git.head()) else [""]
    return all(path.startswith(f"{settings.promotion.records}/") for path in changed)


def bring_forward(settings: Settings, git: GitRemote) -> tuple[int, str]:
    """Fast-forward a clean clone that is simply behind the remote's trunk: (by how many commits, the trunk's head as it was then).

    After that the settings may be others, and the trunk may move on: what counts for the clone is that it was up to date at this moment.
    """
    trunk = resolve_target(git, settings).branch.commit
    behind = simply_behind(settings, git, trunk)
    if behind:
        git.fast_forward(trunk)
    return behind, trunk


def simply_behind(settings: Settings, git: GitRemote, trunk: str) -> int:
    """By how many commits a clean clone on the trunk's branch is behind it; 0 when there is anything else about it."""
    if git.branch() != settings.repository.branch or git.dirty() or git.head() == trunk or not git.is_ancestor(git.head(), trunk):
        return 0
    return git.count(f"{git.head()}..{trunk}")


def _decide(deps: Dependencies, dev: Tag, choices: Choices, ask: Ask) -> Choices:
    """The tag exists elsewhere: promote what it marks, move it to HEAD, or stop. Stopping is what an empty answer means."""
    git = deps.git
    there, head = git.describe(dev.commit), git.describe(git.head())
    answer = ask(
        f"{dev.name} exists already at {there}\n  but HEAD is {head}\n"
        "  t  promote the tagged commit (--tagged)\n  r  re-create the tag at HEAD (--recreate-dev)\n  s  stop [default]\n? "
    )
    if answer in ("t", "tagged"):
        return choices
    if answer in ("r", "recreate"):
        return replace(choices, recreate_dev=True)
    raise UsageError(
        f"{dev.name} exists already at {there}, but HEAD is {head}",
        hint="promote the tagged commit with --tagged, put the tag on HEAD with --recreate-dev, or choose a new version",
    )


def _first(deps: Dependencies, target: Target, choices: Choices) -> tuple[Target, Choices]:
    git, settings = deps.git, deps.settings
    name = settings.tags.stable
    if not choices.first:
        return target, choices
    if target.stable:
        raise UsageError(
            f"{name} exists at {git.describe(target.stable.commit)}: this is not the first promotion",
            hint="start again without --first; a failure then goes back to that commit",
        )
    if not choices.fallback:
        return target, choices
    try:
        commit = git.commit_of(choices.fallback)
    except PromoteError as error:
        raise UsageError(
            f"--first-fallback {choices.fallback}: there is no such commit in this clone", hint="name a commit of the trunk; see `git log`"
        ) from error
    if not git.is_ancestor(commit, target.branch.commit):
        raise Rejected("promotion", f"the fallback {git.describe(commit)} is not on {settings.repository.branch}", hint="name a commit of the trunk")
    ref = ref_names(settings, "").stable
    return replace(target, fallback=Tag(ref=ref, object=commit, commit=commit)), replace(choices, fallback=commit)
