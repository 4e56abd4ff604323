"""What promotion.toml may say, as frozen values. Every key is a field here: name, type, default and meaning in one place.

Reading and checking is `settings_reader.py`.
Durations are written "90s", "10m", "1h30m" or as a number of seconds, and held in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from promote.config.field import Choice, Seconds, key
from promote.config.schema_checklist import CandidateTests, Checklist, Documentation, Manifests, Migration, Tasks, WaiverEntry

__all__ = ["FILE_NAME", "Choice", "Seconds", "Settings"]
FILE_NAME = "promotion.toml"


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    remote: str = key("origin", "the git remote whose tags production follows")
    branch: str = key("main", "the trunk: the branch that dev follows and a candidate must be reachable from")
    timeout: Seconds = key(Seconds(60), "how long one git command may take, a credential helper's question included")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tags:
    dev: str = key("dev-{version}", "name of the tag at a candidate; {version} is v1.2.3")
    prod: str = key("prod-{version}", "name of the tag that keeps a promoted version")
    stable: str = key("prod-stable", "the tag that production's Argo CD follows")
    working: str = key("prod-working", "the tag at the last proven promotion")


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionScheme:
    scheme: Annotated[str, Choice(("semver", "calver"))] = key("semver", "how versions are read and compared")
    default_bump: Annotated[str, Choice(("", "patch", "minor", "major"))] = key(
        "",
        "what a commit without a Conventional Commits type asks for; empty: a patch, and where not one commit has a type nobody can tell",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Promotion:
    via: Annotated[str, Choice(("workflow", "git"))] = key("workflow", "who pushes the tags: the GitHub workflow, or this program directly")
    allow_unchecked: bool = key(True, "whether `promote publish` may move the tag without a pre suite (marked Prechecked: no)")
    on_unknown: Annotated[str, Choice(("rollback", "hold"))] = key("rollback", "what to do when nobody can tell whether production is well")
    timeout: Seconds = key(
        Seconds(7200),
        "how long a promotion may take from its first check to its last look, whatever its parts may take; a rollback is not cut short by it",
    )
    migrations: str = key("migrations", "folder of the migration plans on the branch, VERSION.md; `rollback: unsafe` in one holds a failure")
    records: str = key(".promotions", "folder of the promotion records on the branch")


@dataclass(frozen=True, kw_only=True, slots=True)
class LockSettings:
    store: Annotated[str, Choice(("remote", "local"))] = key(
        "remote",
        'where refs/promote/* live: on the remote, for everybody; or "local": in this clone alone, where the account may push tags and nothing else '
        '(promotion.via = "git" only: nothing then keeps two people apart but the lease on the stable tag)',
    )
    heartbeat: Seconds = key(
        Seconds(60),
        "how often a running promotion shows that it lives (refs/promote/heartbeat); silent for three of them, another machine may take it over",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Workflow:
    file: str = key("promote-prod.yaml", "the workflow that calls `promote publish`")
    timeout: Seconds = key(Seconds(600), "how long a run may take, from dispatch to completion; waiting for an approval is not counted")
    approval_timeout: Seconds = key(Seconds(1800), "how long a run may wait for the approval that its environment asks for")
    legacy: bool = key(False, "the workflow takes only `version` and moves the tags its own way: reduced guarantees, announced before the move")


@dataclass(frozen=True, kw_only=True, slots=True)
class GitHub:
    repository: str = key("", "owner/name; empty: read from the remote's URL")
    api_url: str = key("https://api.github.com", "the REST API, for GitHub Enterprise Server and tests")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProdCluster:
    kubeconfig: str = key(".secrets/prod/kubeconfig-prod", "kubeconfig of production, relative to the repository; empty: $KUBECONFIG")
    context: str = key("", "its context; empty: the current one")
    namespaces: list[str] = key(["argocd"], "namespaces that hold Applications")
    root_app: str = key("argocd", "the app-of-apps that creates the others; empty: there is none")
    selector: str = key("", "label selector that narrows the applications looked at")


@dataclass(frozen=True, kw_only=True, slots=True)
class DevCluster:
    kubeconfig: str = key(".secrets/dev/kubeconfig-dev", "kubeconfig of the dev cluster, relative to the repository; empty: $KUBECONFIG")
    context: str = key("", "its context; empty: the current one")
    namespaces: list[str] = key(["argocd"], "namespaces that hold Applications")
    selector: str = key("", "label selector that narrows the applications looked at")
    converge_timeout: Seconds = key(Seconds(45), "how long the pre suite waits for dev to show the candidate; keep it below suites.check_timeout")
    soak: Seconds = key(
        Seconds(0), "how long dev must have been healthy at the candidate; too short is refused with the time to come back, not waited for"
    )
    urls: list[SmokeUrl] = key([], "what dev must answer before a promotion: [[dev.urls]] tables, keys as in [[smoke.urls]]")


@dataclass(frozen=True, kw_only=True, slots=True)
class ArgoCD:
    sync: Annotated[str, Choice(("auto", "request"))] = key("auto", "auto: applications sync themselves; request: we start the sync operation")
    converge_timeout: Seconds = key(Seconds(600), "how long production may take to show a moved tag, and again to come back")
    degraded_grace: Seconds = key(Seconds(60), "how long an application may be Degraded on its way before that counts as failed")
    successes: int = key(3, "how many looks in a row must find an application there before it counts as proven", unit="polls")
    poll_interval: Seconds = key(Seconds(2), "pause between two looks at the cluster")
    refresh_interval: Seconds = key(Seconds(5), "how soon an unanswered refresh of one application is asked again")
    terminate_stuck: bool = key(True, "whether a rollback may stop a sync that keeps retrying the bad revision")
    allow_suspended: list[str] = key([], "applications whose health Suspended is as good as Healthy")


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    max_unhealthy: float = key(0.1, "the share of applications that may already be unhealthy before a promotion (0 to 1)", unit="share")


@dataclass(frozen=True, kw_only=True, slots=True)
class Post:
    soak: Seconds = key(Seconds(0), "how long production must stay well after everything passed: applications, pods and alerts, looked at throughout")
    pending_grace: Seconds = key(Seconds(120), "how long a pod may be Pending before it counts as failing")
    event_window: Seconds = key(
        Seconds(15), "how long a warning of a listed reason is watched to see whether it still repeats; one that was silent that long does not"
    )
    event_reasons: list[str] = key(
        ["BackOff", "FailedScheduling", "FailedMount", "Unhealthy"], "Warning events that fail the check when they still repeat after Healthy held"
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class SmokeUrl:
    name: str = key("", "what the check is called: smoke-url[name]")
    url: str = key("", "the address asked")
    method: Annotated[str, Choice(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))] = key(
        "GET", "how it is asked; anything but GET, HEAD and OPTIONS is asked once, whatever attempts says"
    )
    headers: list[str] = key([], '"Name: value" lines; ${VARIABLE} in a value is taken from the environment and never shown')
    body: str = key("", "what is sent with it; say its Content-Type in headers")
    status: int = key(200, "the status it must answer with; redirects are followed unless this is a 3xx", unit="HTTP status")
    redirect: str = key("", "the address a 3xx must lead to (its Location, made absolute)")
    contains: str = key("", "text the body must contain")
    json: list[str] = key([], "what the JSON body must say: 'database == \"ok\"', 'checks.0.ok == true', 'queue < 100', or a path that must be there")
    min_tls_days: int = key(0, "how many days its certificate must still be valid; 0: not looked at (an expired one never passes)", unit="days")
    timeout: Seconds = key(Seconds(5), "the slowest answer accepted")
    warn_after: Seconds = key(Seconds(0), "an answer slower than this passes with a warning; 0: none")
    attempts: int = key(3, "how many times it is asked before it counts as failed", unit="attempts")
    interval: Seconds = key(Seconds(2), "pause between two attempts")


@dataclass(frozen=True, kw_only=True, slots=True)
class Smoke:
    urls: list[SmokeUrl] = key([], "what production must answer: [[smoke.urls]] tables")


@dataclass(frozen=True, kw_only=True, slots=True)
class PromqlQuery:
    name: str = key("", "what the check is called: promql[name]")
    query: str = key(
        "",
        "a PromQL expression that always has a value (compare in expect, not here); ranges are cut to the time since the move, $since stands for it",
    )
    expect: str = key("", 'what every value of the answer must be: "< 0.01", ">= 1", "== 0"')


@dataclass(frozen=True, kw_only=True, slots=True)
class Prometheus:
    url: str = key("", "where Prometheus (or what speaks its API) is; empty: the checks promql are disabled")
    headers: list[str] = key([], '"Name: value" lines sent along; ${VARIABLE} in a value is taken from the environment and never shown')
    queries: list[PromqlQuery] = key([], "what its numbers must be after the move: [[prometheus.queries]] tables")
    sample_timeout: Seconds = key(
        Seconds(45), "how long samples newer than the move are waited for (longer than your scrape interval, shorter than suites.check_timeout)"
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Alertmanager:
    url: str = key("", "where Alertmanager is; empty: the check alerts is disabled")
    headers: list[str] = key([], '"Name: value" lines sent along; ${VARIABLE} in a value is taken from the environment and never shown')
    matchers: list[str] = key([], "which alerts are looked at, as Alertmanager's matchers: 'cluster=\"prod\"', 'severity=~\"critical|warning\"'")
    ignore_labels: list[str] = key(
        ["pod", "pod_name", "uid", "container_id", "replicaset"],
        "labels that change with every rollout: an alert that differs from one of the baseline only in them is the same trouble",
    )
    watchdog: str = key("", 'an alert that always fires ("Watchdog"): without it nobody tells Alertmanager anything, and the check is unknown')


@dataclass(frozen=True, kw_only=True, slots=True)
class Grafana:
    url: str = key("", "where Grafana is; empty: the check grafana is disabled")
    headers: list[str] = key([], "\"Name: value\" lines, as a rule 'Authorization: Bearer ${GRAFANA_TOKEN}'; the variable's value is never shown")
    dashboards: list[str] = key([], "dashboards people look at after a promotion: title, folder / title, or uid; each must exist")
    annotate: bool = key(True, "whether the promotion is drawn over the dashboards, as a region from the move to the verdict")
    tags: list[str] = key(["promotion"], "tags of that annotation, beside the version and the outcome")


@dataclass(frozen=True, kw_only=True, slots=True)
class Suites:
    pre: str = key("checks/pre", "folder of the suite that runs before the move")
    post: str = key("checks/post", "folder of the suite that proves production after it")
    smoke: str = key("checks/smoke", "folder of the suite that asks production's own services")
    check_timeout: Seconds = key(Seconds(60), "how long one check may take")
    timeout: Seconds = key(Seconds(600), "how long a whole suite may take")
    plugins: list[str] = key([], "pytest plugins (module names) that your own checks need; no other installed plugin is loaded under the driver")
    reports: str = key("reports", "folder of the JUnit files and logs, relative to the repository")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """One repository's promotion.toml. `root` is the folder that holds it."""

    root: Path
    repository: Repository = Repository()
    tags: Tags = Tags()
    version: VersionScheme = VersionScheme()
    promotion: Promotion = Promotion()
    lock: LockSettings = LockSettings()
    workflow: Workflow = Workflow()
    github: GitHub = GitHub()
    prod: ProdCluster = ProdCluster()
    dev: DevCluster = DevCluster()
    argocd: ArgoCD = ArgoCD()
    baseline: Baseline = Baseline()
    post: Post = Post()
    smoke: Smoke = Smoke()
    prometheus: Prometheus = Prometheus()
    alertmanager: Alertmanager = Alertmanager()
    grafana: Grafana = Grafana()
    suites: Suites = Suites()
    tasks: Tasks = Tasks()
    tests: CandidateTests = CandidateTests()
    documentation: Documentation = Documentation()
    manifests: Manifests = Manifests()
    migration: Migration = Migration()
    checklist: Checklist = Checklist()
    waivers: list[WaiverEntry] = key([], "checks that may fail for a while: [[waivers]] tables; never the checks that protect the tag")
