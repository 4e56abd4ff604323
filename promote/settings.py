"""What promotion.toml may say, as frozen values. Every key is a field here: name, type, default and meaning in one place.

Reading and checking is `settings_reader.py`; nothing else in the project reads the file or the environment.
Durations are written "90s", "10m", "1h30m" or as a number of seconds, and held in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Any, NewType

Seconds = NewType("Seconds", float)
FILE_NAME = "promotion.toml"


@dataclass(frozen=True, slots=True)
class Choice:
    """The only words a string key may hold."""

    words: tuple[str, ...]


def key(default: Any, doc: str) -> Any:
    """A settings key: its default and what it means (shown by the reference and by `promote init`)."""
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata={"doc": doc})
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    remote: str = key("origin", "the git remote whose tags production follows")
    branch: str = key("main", "the trunk: the branch that dev follows and a candidate must be reachable from")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tags:
    dev: str = key("dev-{version}", "name of the tag at a candidate; {version} is v1.2.3")
    prod: str = key("prod-{version}", "name of the tag that keeps a promoted version")
    stable: str = key("prod-stable", "the tag that production's Argo CD follows")
    working: str = key("prod-working", "the tag at the last proven promotion")


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionScheme:
    scheme: Annotated[str, Choice(("semver", "calver"))] = key("semver", "how versions are read and compared")
    unclassified: Annotated[str, Choice(("", "patch", "minor", "major"))] = key(
        "",
        "what a commit without a Conventional Commits type asks for; empty: a patch, and where not one commit has a type nobody can tell",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Promotion:
    via: Annotated[str, Choice(("workflow", "git"))] = key("workflow", "who pushes the tags: the GitHub workflow, or this program directly")
    allow_unchecked: bool = key(True, "whether `promote publish` may move the tag without a pre suite (marked Prechecked: no)")
    on_unknown: Annotated[str, Choice(("rollback", "hold"))] = key("rollback", "what to do when nobody can tell whether production is well")
    migrations: str = key("migrations", "folder of the migration plans on the branch, VERSION.md; `rollback: unsafe` in one holds a failure")
    records: str = key(".promotions", "folder of the promotion records on the branch")


@dataclass(frozen=True, kw_only=True, slots=True)
class Workflow:
    file: str = key("promote-prod.yaml", "the workflow that calls `promote publish`")
    timeout: Seconds = key(Seconds(600), "how long a run may take, from dispatch to completion")


@dataclass(frozen=True, kw_only=True, slots=True)
class GitHub:
    repository: str = key("", "owner/name; empty: read from the remote's URL")
    api_url: str = key("https://api.github.com", "the REST API, for GitHub Enterprise Server and tests")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProdCluster:
    kubeconfig: str = key(".secrets/prod/kubeconfig-prod", "kubeconfig of production, relative to the repository; empty: $KUBECONFIG")
    context: str = key("", "its context; empty: the current one")
    namespaces: list[str] = key(["argocd"], "namespaces that hold Applications")
    root: str = key("argocd", "the app-of-apps that creates the others; empty: there is none")
    selector: str = key("", "label selector that narrows the applications looked at")


@dataclass(frozen=True, kw_only=True, slots=True)
class DevCluster:
    kubeconfig: str = key(".secrets/dev/kubeconfig-dev", "kubeconfig of the dev cluster, relative to the repository; empty: $KUBECONFIG")
    context: str = key("", "its context; empty: the current one")
    namespaces: list[str] = key(["argocd"], "namespaces that hold Applications")
    selector: str = key("", "label selector that narrows the applications looked at")
    converge_timeout: Seconds = key(Seconds(45), "how long the pre suite waits for dev to show the candidate; keep it below suites.row_timeout")
    soak: Seconds = key(
        Seconds(0), "how long dev must have been healthy at the candidate; too short is refused with the time to come back, not waited for"
    )
    urls: list[SmokeUrl] = key([], "what dev must answer before a promotion: [[dev.urls]] tables, keys as in [[smoke.urls]]")


@dataclass(frozen=True, kw_only=True, slots=True)
class ArgoCD:
    sync: Annotated[str, Choice(("auto", "request"))] = key("auto", "auto: applications sync themselves; request: we start the sync operation")
    converge_timeout: Seconds = key(Seconds(600), "how long production may take to show a moved tag, and again to come back")
    degraded_grace: Seconds = key(Seconds(60), "how long an application may be Degraded on its way before that counts as failed")
    looks: int = key(3, "how many looks in a row must find an application there before it counts as proven")
    look_every: Seconds = key(Seconds(2), "pause between two looks at the cluster")
    refresh_every: Seconds = key(Seconds(5), "how soon an unanswered refresh of one application is asked again")
    terminate_stuck: bool = key(True, "whether a rollback may stop a sync that keeps retrying the bad revision")
    suspended_ok: list[str] = key([], "applications whose health Suspended is as good as Healthy")


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    max_unhealthy: float = key(0.1, "the share of applications that may already be unhealthy before a promotion (0 to 1)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Post:
    soak: Seconds = key(Seconds(0), "how long production must stay well after everything passed")
    pending_grace: Seconds = key(Seconds(120), "how long a pod may be Pending before it counts as failing")
    event_reasons: list[str] = key(
        ["BackOff", "FailedScheduling", "FailedMount", "Unhealthy"], "Warning events that fail the row when they still repeat after Healthy held"
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class SmokeUrl:
    name: str = key("", "what the row is called: smoke-url[name]")
    url: str = key("", "the address asked with GET")
    status: int = key(200, "the status it must answer with")
    contains: str = key("", "text the body must contain")
    within: Seconds = key(Seconds(5), "the slowest answer accepted")
    tries: int = key(3, "how many times it is asked before it counts as failed")
    every: Seconds = key(Seconds(2), "pause between two tries")


@dataclass(frozen=True, kw_only=True, slots=True)
class Smoke:
    urls: list[SmokeUrl] = key([], "what production must answer: [[smoke.urls]] tables")


@dataclass(frozen=True, kw_only=True, slots=True)
class Suites:
    pre: str = key("checks/pre", "folder of the suite that runs before the move")
    post: str = key("checks/post", "folder of the suite that proves production after it")
    smoke: str = key("checks/smoke", "folder of the suite that asks production's own services")
    row_timeout: Seconds = key(Seconds(60), "how long one row may take")
    timeout: Seconds = key(Seconds(600), "how long a whole suite may take")
    plugins: list[str] = key([], "pytest plugins (module names) that your own checks need; no other installed plugin is loaded under the driver")
    reports: str = key("reports", "folder of the JUnit files and logs, relative to the repository")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tasks:
    source: Annotated[str, Choice(("", "beads", "github", "none"))] = key(
        "", "where tasks live: beads, github (its issues), or none, which puts the row off; empty: not decided, and the row is unknown"
    )
    branch: str = key("", "beads: the remote branch that holds `file`, for where `bd` is not on PATH; empty: the candidate's own tree")
    file: str = key(".beads/issues.jsonl", "beads: the export that is read where `bd` is not on PATH")
    prefixes: list[str] = key([], 'beads: how ids begin ("acme"); empty: every word with a hyphen is looked up, and only what exists counts')
    closed: list[str] = key(["closed"], "the statuses that count as closed")
    require: bool = key(False, "whether a commit that names no task fails the row")
    exempt: list[str] = key(["chore(promotion): record *"], "subjects (shell patterns) of commits that need no task; merges never need one")


@dataclass(frozen=True, kw_only=True, slots=True)
class Functional:
    github: bool = key(False, "whether the checks and statuses of the candidate on GitHub are evidence")
    required: list[str] = key(
        [], "names that must have concluded success there; empty: those the branch's rules require, and where there are none, all that are there"
    )
    command: str = key("", "a command that tests the candidate in this clone (words, no shell); exit code 0 passes")
    junit: str = key("", "a JUnit file of the candidate's tests; {commit} in the name, or a property `commit` in it, says of which commit it is")
    timeout: Seconds = key(Seconds(300), "how long pending checks are waited for, and how long the command may take")


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentationRule:
    paths: str = key("", 'files that are documented elsewhere: "apps/{app}/**"; * and {name} stay within a folder, ** does not')
    document: str = key("", 'what documents them: "docs/apps/{app}.md"')


@dataclass(frozen=True, kw_only=True, slots=True)
class Documentation:
    rules: list[DocumentationRule] = key([], "what must change together: [[documentation.rules]] tables; without any the row is unknown")
    links: bool = key(True, "whether the relative links of changed Markdown files must lead to something")
    changelog: str = key("CHANGELOG.md", "the file that needs an entry for the version, where the repository has it; empty: not looked at")


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifests:
    prod: list[str] = key([], "folders that hold production's Application manifests; empty: those where most follow the stable tag")
    dev: list[str] = key([], "folders that hold dev's; empty: those where most follow the trunk")
    unrendered: Annotated[str, Choice(("unknown", "accepted"))] = key(
        "unknown", "what a source of this repository is that cannot be rendered here (a chart, or a kustomization without `kustomize` on PATH)"
    )
    timeout: Seconds = key(Seconds(30), "how long one `kustomize build` may take")


@dataclass(frozen=True, kw_only=True, slots=True)
class Migration:
    sections: list[str] = key(["What breaks", "Steps", "Rollback"], "the headings that a migration plan must have, each with words below it")


@dataclass(frozen=True, kw_only=True, slots=True)
class OffRow:
    id: str = key("", "the row")
    reason: str = key("", "why nobody needs it here")


@dataclass(frozen=True, kw_only=True, slots=True)
class Checklist:
    off: list[OffRow] = key([], "rows that are not asked: [[checklist.off]] tables; listed as off, never as passed")
    advisory: list[str] = key([], "rows that are asked and told, and do not block")


@dataclass(frozen=True, kw_only=True, slots=True)
class WaiverEntry:
    id: str = key("", "the row that may fail")
    reason: str = key("", "why")
    author: str = key("", "who answers for it")
    until: date = key(date.min, "the last day (UTC) it counts: 2026-12-01; afterwards the row is judged as ever")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """One repository's promotion.toml. `root` is the folder that holds it."""

    root: Path
    repository: Repository = Repository()
    tags: Tags = Tags()
    version: VersionScheme = VersionScheme()
    promotion: Promotion = Promotion()
    workflow: Workflow = Workflow()
    github: GitHub = GitHub()
    prod: ProdCluster = ProdCluster()
    dev: DevCluster = DevCluster()
    argocd: ArgoCD = ArgoCD()
    baseline: Baseline = Baseline()
    post: Post = Post()
    smoke: Smoke = Smoke()
    suites: Suites = Suites()
    tasks: Tasks = Tasks()
    functional: Functional = Functional()
    documentation: Documentation = Documentation()
    manifests: Manifests = Manifests()
    migration: Migration = Migration()
    checklist: Checklist = Checklist()
    waivers: list[WaiverEntry] = key([], "rows that may fail for a while: [[waivers]] tables; never the rows that protect the tag")
