"""The tables of promotion.toml for the checks of the pre suite, and which checks count."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from typing import Annotated

from promote.config.field import Choice, Seconds, key


@dataclass(frozen=True, kw_only=True, slots=True)
class Tasks:
    source: Annotated[str, Choice(("", "beads", "github", "none"))] = key(
        "", "task tracker: beads, github (issues), or none, which disables the check; empty: the check is undetermined"
    )
    branch: str = key("", "beads: remote branch that holds `file`, read when `bd` is not on PATH; empty: the candidate's tree")
    file: str = key(".beads/issues.jsonl", "beads: the export to read when `bd` is not on PATH")
    prefixes: list[str] = key([], 'beads: prefixes of task ids ("acme"); empty: every word with a hyphen is looked up, and only existing tasks count')
    closed_statuses: list[str] = key(["closed"], "statuses that count as closed")
    require: bool = key(False, "whether a commit that names no task fails the check")
    exempt: list[str] = key(["chore(promotion): record *"], "subjects (shell patterns) of commits that need no task; merge commits never need one")


@dataclass(frozen=True, kw_only=True, slots=True)
class CandidateTests:
    github: bool = key(False, "whether to read the candidate's checks and statuses on GitHub")
    required: list[str] = key(
        [], "names of checks that must have succeeded on GitHub; empty: those that the branch's rules require, or all when they require none"
    )
    ignore: list[str] = key(["promote*"], "names (shell patterns) of checks that do not test the candidate, such as this checklist's own job")
    command: str = key("", "command that tests the candidate in this clone (split into words, no shell); exit code 0 passes")
    junit: str = key("", "JUnit file of the candidate's tests; {commit} in its name or a property `commit` in it identifies the commit")
    timeout: Seconds = key(Seconds(300), "longest wait for pending checks, and longest time for the command")


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentationRule:
    paths: str = key("", 'files that need documentation: "apps/{app}/**"; * and {name} match within one folder, ** across folders', required=True)
    document: str = key("", 'the document for them: "docs/apps/{app}.md"', required=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Documentation:
    rules: list[DocumentationRule] = key(
        [], "files that must change together with a document: [[documentation.rules]] tables; without one the check is undetermined"
    )
    links: bool = key(True, "whether relative links in changed Markdown files must resolve")
    changelog: str = key("CHANGELOG.md", "file that needs an entry for the version, if the repository has it; empty: no changelog is checked")


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifests:
    prod: list[str] = key([], "folders of production's Application manifests; empty: folders where most Applications follow the stable tag")
    dev: list[str] = key([], "folders of dev's Application manifests; empty: folders where most Applications follow the trunk")
    on_unrendered: Annotated[str, Choice(("unknown", "accepted"))] = key(
        "unknown",
        "verdict for what cannot be rendered here: a chart of this repository, an ApplicationSet, a kustomization without `kustomize` on PATH",
    )
    timeout: Seconds = key(Seconds(30), "longest time for one `kustomize build`")


@dataclass(frozen=True, kw_only=True, slots=True)
class Migration:
    sections: list[str] = key(["What breaks", "Steps", "Rollback"], "headings that a migration plan must have, each with text below it")


@dataclass(frozen=True, kw_only=True, slots=True)
class AcceptedWorkload:
    application: str = key("", "name of its Application (shell pattern)", required=True)
    kind: str = key("", "its kind: Deployment, StatefulSet, DaemonSet, ReplicaSet, Rollout, Job or Pod", required=True)
    name: str = key("", "its name (shell pattern)", required=True)
    reason: str = key("", "why its pods may run an older spec", required=True)
    expires: date = key(date.max, "last day (UTC) of the acceptance: 2026-12-01; afterwards it fails again")

    def covers(self, application: str, kind: str, name: str) -> bool:
        """Whether the rule is about this workload."""
        return kind == self.kind and fnmatchcase(application, self.application) and fnmatchcase(name, self.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    timeout: Seconds = key(Seconds(120), "longest wait of the check workloads-updated for pods that are still replaced")
    rollout_timeout: Seconds = key(
        Seconds(120), "longest wait for a Rollout that pauses between its steps, after argocd.converge_timeout has passed and nothing else is missing"
    )
    on_paused: Annotated[str, Choice(("hold", "rollback"))] = key(
        "hold", "what to do with a Rollout that pauses still: hold (the tag stays, a person decides about the canary) or roll back"
    )
    accept: list[AcceptedWorkload] = key(
        [], "workloads whose pods may run an older spec (OnDelete, partition, paused, a canary between its steps): [[running.accept]] tables"
    )

    def in_force(self, today: date) -> tuple[AcceptedWorkload, ...]:
        """The rules that have not expired."""
        return tuple(rule for rule in self.accept if today <= rule.expires)


@dataclass(frozen=True, kw_only=True, slots=True)
class DisabledCheck:
    id: str = key("", "the id of the disabled check", required=True)
    reason: str = key("", "why the check is not needed in this repository", required=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class OnUndetermined:
    id: str = key("", "the id of a check of the post or the smoke suite")
    action: Annotated[str, Choice(("rollback", "hold", "warning"))] = key(
        "hold", "rollback; hold: leave the tag in place, the end is stuck; warning: report it, the check does not count"
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Checklist:
    disabled: list[DisabledCheck] = key([], "checks that do not run: [[checklist.disabled]] tables; reported as disabled, never as passed")
    advisory: list[str] = key([], "ids of checks that run and are reported, but do not block")
    on_undetermined: list[OnUndetermined] = key(
        [],
        "what follows when a check stays undetermined after the move: [[checklist.on_undetermined]] tables; otherwise promotion.on_unknown for "
        "production's own checks, hold for events, promql and alerts, and warning for grafana",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class WaiverEntry:
    id: str = key("", "the check that may fail", required=True)
    reason: str = key("", "why it may fail", required=True)
    author: str = key("", "the person responsible for the waiver", required=True)
    until: date = key(date.min, "last day (UTC) of the waiver: 2026-12-01; afterwards a failure blocks again", required=True)
