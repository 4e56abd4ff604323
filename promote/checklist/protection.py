"""The checks that protect the tag before a move: which commit it is, whether the trunk has it, and whether the rules here are the trunk's.

The driver judges them in its own process before any code of the repository runs; the rows of the pre suite call the same functions.
"""

from __future__ import annotations

import shlex
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from promote.config.schema import FILE_NAME, Settings
from promote.core.errors import PromoteError, UsageError
from promote.core.model import CheckResult, Choices, Evidence, Tag, Verdict, short
from promote.git.remote import GitRemote
from promote.git.trunk import Differences, default_branch, differences, entries
from promote.report.words import counted, listed
from promote.tags.target import Target

SHOWN = 6
TRUNK_KEY = "promote.trunk"  # git's configuration of one clone, which no push can change


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """What is judged: the target with the refs as the remote had them, and the user's decisions about it."""

    git: GitRemote
    settings: Settings
    target: Target
    choices: Choices = Choices()


def candidate_problem(it: Proposal, tag: Tag | None, began_with: str | None, evidence: Evidence) -> str:
    """Why the commit under check is not that of its dev tag `tag`; "" when it is, or there is none yet.

    `began_with`: the dev tag's object when this promotion began.
    """
    git, commit, version = it.git, it.target.commit, it.target.version
    evidence("commit", commit)
    evidence("dev tag", tag.name if tag else "none yet")
    if not git.has(commit):
        return f"commit {commit} is not in this clone\ndo   git fetch {git.remote}"
    if tag and it.choices.recreate_dev:
        evidence("re-created, was at", tag.commit)
        if tag.object != began_with:
            return f"{tag.name} changed again since this promotion began\ndo   start again: promote run {version} --recreate-dev"
    elif tag and tag.commit != commit:
        return (
            f"{tag.name} is at {short(tag.commit)} now, expected {short(commit)}: the dev tag was re-created\ndo   start again: promote run {version}"
        )
    return ""


def trunk_problem(it: Proposal, evidence: Evidence) -> str:
    """Why the candidate is not on the remote's trunk, or lacks commits that production runs; "" when it is on it and lacks none.

    Raises UsageError in a shallow clone, whose history cannot be judged.
    """
    git, settings, target, commit = it.git, it.settings, it.target, it.target.commit
    trunk, branch = target.branch.commit, settings.repository.branch
    if git.is_shallow():
        raise UsageError("this clone is shallow, so history cannot be judged", hint="git fetch --unshallow")
    evidence("trunk", trunk)
    if wrong := not_the_trunk(git, branch):
        return wrong
    if not git.is_ancestor(commit, trunk):
        return f"{git.describe(commit)} is not on {branch} of the remote ({short(trunk)})\ndo   {_how_to_merge(it)}"
    if stable := target.stable:
        lost = git.count(f"{commit}..{stable.commit}")
        evidence("new commits", git.count(f"{stable.commit}..{commit}"))
        evidence("commits production would lose", lost)
        if lost and not it.choices.downgrade:
            return (
                f"production runs {short(stable.commit)}, which has {counted(lost, 'commit')} that {short(commit)} lacks: this would be a downgrade\n"
                "do   promote a newer commit; to go back: promote rollback; to leave these commits behind on purpose: --downgrade"
            )
    return ""


def _how_to_merge(it: Proposal) -> str:
    git, branch = it.git, it.settings.repository.branch
    if it.target.dev_tag is None:
        return f"git push {git.remote} HEAD:{branch}"
    return f"have it reviewed and merged into {branch}; the tag {it.target.dev_tag.name} alone ships nothing"


def not_the_trunk(git: GitRemote, branch: str) -> str:
    """Why this branch is not the trunk; "" when it is, and when the remote has no default branch.

    promotion.toml of a checkout may name any branch, also its own, so the remote's default branch decides.
    """
    default = default_branch(git)
    if default in ("", branch):
        return ""
    git.fetch(f"refs/heads/{default}")
    text = git.file(f"refs/promote-remote/heads/{default}", FILE_NAME) or ""
    try:
        named = str(tomllib.loads(text).get("repository", {}).get("branch", "main")) if text else ""
    except (tomllib.TOMLDecodeError, AttributeError):
        named = ""
    if branch in (named, git.git("config", "--local", "--get", TRUNK_KEY).out.strip()):
        return ""
    says = f"whose {FILE_NAME} names {named} as the trunk" if named else f"which has no {FILE_NAME} that names the trunk"
    return (
        f"{FILE_NAME} here names {branch} as the trunk (repository.branch); the remote's default branch is {default}, {says}\n"
        "why  a checkout may name any branch as its trunk, also one that was never reviewed\n"
        f"do   git switch {named or default}; if {branch} really is the trunk: git config {TRUNK_KEY} {branch} in this clone"
    )


def policy_folders(settings: Settings) -> tuple[list[str], list[str]]:
    """The paths that decide the verdicts: (folders with everything in them, single files).

    Folders: those of the suites, with what lies beside them. Files: promotion.toml, and the conftest.py and __init__.py above the folders, which
    pytest loads. Raises UsageError for a suite outside of the repository.
    """
    suites, top = settings.suites, PurePosixPath()
    folders = [PurePosixPath(folder) for folder in (suites.pre, suites.post, suites.smoke)]
    if out := [str(folder) for folder in folders if folder.is_absolute() or ".." in folder.parts]:
        raise UsageError(
            f"suites: {listed(out)} is outside of the repository, so the trunk cannot vouch for it", hint="name a folder below promotion.toml"
        )
    whole = dict.fromkeys(folder if folder.parent == top else folder.parent for folder in folders)
    above = dict.fromkeys(parent for folder in whole for parent in folder.parents)
    return [str(folder) for folder in whole], [FILE_NAME, *(str(folder / name) for folder in above for name in ("conftest.py", "__init__.py"))]


def policy_differences(it: Proposal, evidence: Evidence) -> Differences:
    """The files of this work tree that decide verdicts and differ from the trunk's, compared byte for byte."""
    folders, files = policy_folders(it.settings)
    there = entries(it.git, it.target.branch.commit, *folders, *files)
    evidence("trees", {e.path: e.oid for e in there if e.path in {*folders, *files}})
    return differences(it.settings.root, there, folders, files, besides=[it.settings.suites.reports])


def differing(it: Proposal) -> str:
    """The files of `policy_differences` on one line; "" when there are none, and when that is not known."""
    try:
        return listed(policy_differences(it, lambda *_: None).paths, SHOWN)
    except PromoteError:
        return ""


def policy_problem(it: Proposal, evidence: Evidence) -> str:
    """Which settings and checks differ from the trunk's, and how to undo it; "" when none does."""
    found = policy_differences(it, evidence)
    if not found.paths:
        return ""
    kinds = (("changed", found.changed), ("only here", found.added), ("missing", found.missing))
    return (
        f"differ from {it.settings.repository.branch} of the remote: "
        + "; ".join(f"{kind}: {listed(paths, SHOWN)}" for kind, paths in kinds if paths)
        + f"\ndo   undo it: {_how_to_undo(it, found)}; or have it reviewed and merged first"
    )


def _how_to_undo(it: Proposal, found: Differences) -> str:
    folders, files = policy_folders(it.settings)
    tracked = [*found.changed, *found.missing]
    back = [shlex.quote(top) for top in (*folders, *files) if any(path == top or path.startswith(f"{top}/") for path in tracked)]
    listing = it.git.git("ls-files", "-v", "-z", "--", *tracked).out.split("\0") if tracked else []
    steps = []
    # Behind these flags git itself would see no change to undo; `ls-files -v` shows them as a lower-case letter and as S.
    for option, flagged in (("--no-assume-unchanged", str.islower), ("--no-skip-worktree", lambda mark: mark in ("S", "s"))):
        if hidden := [shlex.quote(line[2:]) for line in listing if flagged(line[:1])]:
            steps.append(f"git update-index {option} {' '.join(hidden[:SHOWN])}")
    steps += [f"git restore --source {short(it.target.branch.commit)} -- {' '.join(back)}"] if back else []
    steps += [f"rm {' '.join(shlex.quote(path) for path in found.added[:SHOWN])}"] if found.added else []
    return "; ".join(steps)


_WHYS = {
    "candidate": "the tag may have been re-created in the meantime",
    "trunk": "what is not on the trunk was not reviewed, and leaving out what production runs would remove it",
    "policy-unchanged": "checks that were weakened only in one clone do not count",
}


def judge_candidate(it: Proposal) -> tuple[CheckResult, ...]:
    """The verdicts of `candidate`, `trunk` and `policy-unchanged`, in this process; never raises PromoteError."""
    target = it.target
    began_with = target.dev_tag.object if target.dev_tag else None
    return (
        _judged("candidate", lambda evidence: candidate_problem(it, target.dev_tag, began_with, evidence)),
        _judged("trunk", lambda evidence: trunk_problem(it, evidence)),
        _judged("policy-unchanged", lambda evidence: policy_problem(it, evidence)),
    )


def judge_policy(it: Proposal) -> CheckResult:
    """The verdict of `policy-unchanged` where no candidate is judged, so this branch is first confirmed to be the trunk."""
    branch = it.settings.repository.branch
    return _judged("policy-unchanged", lambda evidence: not_the_trunk(it.git, branch) or policy_problem(it, evidence))


def _judged(check: str, judge: Callable[[Evidence], str]) -> CheckResult:
    seen: dict[str, object] = {}
    began = time.monotonic()
    try:
        problem = judge(seen.__setitem__)
        verdict = Verdict.FAILED if problem else Verdict.PASSED
    except PromoteError as error:
        problem, verdict = str(error), Verdict.ERRORED
    if verdict is Verdict.FAILED and "\nwhy  " not in problem:
        facts, do, rest = problem.partition("\ndo   ")
        problem = f"{facts}\nwhy  {_WHYS[check]}{do}{rest}"
    return CheckResult(id=check, suite="pre", verdict=verdict, seconds=round(time.monotonic() - began, 3), detail=problem, evidence=seen)
