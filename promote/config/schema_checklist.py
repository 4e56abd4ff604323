"""The sections of promotion.toml that checks of the pre suite ask for, and which checks count."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated

from promote.config.field import Choice, Seconds, key


@dataclass(frozen=True, kw_only=True, slots=True)
class Tasks:
    source: Annotated[str, Choice(("", "beads", "github", "none"))] = key(
        "", "where tasks live: beads, github (its issues), or none, which disables the check; empty: not decided, and the check is unknown"
    )
    branch: str = key("", "beads: the remote branch that holds `file`, for where `bd` is not on PATH; empty: the candidate's own tree")
    file: str = key(".beads/issues.jsonl", "beads: the export that is read where `bd` is not on PATH")
    prefixes: list[str] = key([], 'beads: how ids begin ("acme"); empty: every word with a hyphen is looked up, and only what exists counts')
    closed_statuses: list[str] = key(["closed"], "the statuses that count as closed")
    require: bool = key(False, "whether a commit that names no task fails the check")
    exempt: list[str] = key(["chore(promotion): record *"], "subjects (shell patterns) of commits that need no task; merges never need one")


@dataclass(frozen=True, kw_only=True, slots=True)
class CandidateTests:
    github: bool = key(False, "whether the checks and statuses of the candidate on GitHub are evidence")
    required: list[str] = key(
        [], "names that must have concluded success there; empty: those the branch's rules require, and where there are none, all that are there"
    )
    ignore: list[str] = key(["promote*"], "names (shell patterns) of checks that are no tests of the candidate: this checklist's own job above all")
    command: str = key("", "a command that tests the candidate in this clone (words, no shell); exit code 0 passes")
    junit: str = key("", "a JUnit file of the candidate's tests; {commit} in the name, or a property `commit` in it, says of which commit it is")
    timeout: Seconds = key(Seconds(300), "how long pending checks are waited for, and how long the command may take")


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentationRule:
    paths: str = key("", 'files that are documented elsewhere: "apps/{app}/**"; * and {name} stay within a folder, ** does not')
    document: str = key("", 'what documents them: "docs/apps/{app}.md"')


@dataclass(frozen=True, kw_only=True, slots=True)
class Documentation:
    rules: list[DocumentationRule] = key([], "what must change together: [[documentation.rules]] tables; without any the check is unknown")
    links: bool = key(True, "whether the relative links of changed Markdown files must lead to something")
    changelog: str = key("CHANGELOG.md", "the file that needs an entry for the version, where the repository has it; empty: not looked at")


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifests:
    prod: list[str] = key([], "folders that hold production's Application manifests; empty: those where most follow the stable tag")
    dev: list[str] = key([], "folders that hold dev's; empty: those where most follow the trunk")
    on_unrendered: Annotated[str, Choice(("unknown", "accepted"))] = key(
        "unknown",
        "what cannot be rendered here is: a chart of this repository, what an ApplicationSet makes, a kustomization without `kustomize` on PATH",
    )
    timeout: Seconds = key(Seconds(30), "how long one `kustomize build` may take")


@dataclass(frozen=True, kw_only=True, slots=True)
class Migration:
    sections: list[str] = key(["What breaks", "Steps", "Rollback"], "the headings that a migration plan must have, each with words below it")


@dataclass(frozen=True, kw_only=True, slots=True)
class DisabledCheck:
    id: str = key("", "the id of the disabled check")
    reason: str = key("", "why nobody needs it here")


@dataclass(frozen=True, kw_only=True, slots=True)
class Checklist:
    disabled: list[DisabledCheck] = key([], "checks that are not asked: [[checklist.disabled]] tables; listed as disabled, never as passed")
    advisory: list[str] = key([], "checks that are asked and told, and do not block")


@dataclass(frozen=True, kw_only=True, slots=True)
class WaiverEntry:
    id: str = key("", "the check that may fail")
    reason: str = key("", "why it may fail")
    author: str = key("", "who answers for it")
    until: date = key(date.min, "the last day (UTC) it counts: 2026-12-01; afterwards the check is judged as ever")
