"""The tables of promotion.toml as frozen dataclasses: each key is a field with its type, default and meaning.

A duration is written "90s", "10m", "1h30m" or as a number of seconds; its field holds seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from promote.config.field import Choice, Seconds, key
from promote.config.schema_checklist import CandidateTests, Checklist, Documentation, Manifests, Migration, Running, Tasks, WaiverEntry

__all__ = ["FILE_NAME", "Choice", "Seconds", "Settings"]
FILE_NAME = "promotion.toml"


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    remote: str = key("origin", "the git remote whose tags production follows")
    branch: str = key("main", "the trunk: the branch that dev follows and a candidate must be reachable from")
    timeout: Seconds = key(Seconds(60), "longest time for one git command, including a credential helper's prompt")
    addresses: list[str] = key(
        [], "further addresses of this repository that Applications may name: an alias of the host, a mirror, an in-cluster name; spelling is ignored"
    )
    foreign: list[str] = key([], "addresses of other repositories whose refs have the name of our stable tag; their Applications are not ours")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tags:
    dev: str = key("dev-{version}", "the tag at a candidate; {version} stands for v1.2.3")
    prod: str = key("prod-{version}", "the tag that keeps a promoted version")
    stable: str = key("prod-stable", "the tag that production's Argo CD follows")
    working: str = key("prod-working", "the tag at the last proven promotion")


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionScheme:
    scheme: Annotated[str, Choice(("semver", "calver"))] = key("semver", "how versions are read and compared")
    default_bump: Annotated[str, Choice(("", "patch", "minor", "major"))] = key(
        "",
        "version bump for a commit without a Conventional Commits type; empty: patch, and undetermined when no commit at all has a type",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Promotion:
    via: Annotated[str, Choice(("workflow", "git"))] = key("workflow", "workflow: the GitHub workflow pushes the tags; git: this program pushes them")
    allow_unchecked: bool = key(True, "whether `promote publish` may move the tag without a pre suite (marked Prechecked: no); false needs via = git")
    on_unknown: Annotated[str, Choice(("rollback", "hold"))] = key(
        "rollback", "what to do when production's state cannot be determined: roll back, or hold and leave the tag in place"
    )
    patience: Seconds = key(
        Seconds(300),
        "how long a check that stays undetermined after the move is asked again before anything is decided; 0s: not at all",
    )
    timeout: Seconds = key(
        Seconds(7200),
        "longest time for a promotion, from its first check to its last poll, whatever the limits of its parts; a rollback has its own time",
    )
    migrations: str = key(
        "migrations", "folder of the migration plans (VERSION.md) on the branch; a plan with `rollback: unsafe` turns a rollback into a hold"
    )
    records: str = key(".promotions", "folder of the promotion records on the branch")

    def plan_file(self, version: object) -> str:
        """The path of a version's migration plan, relative to the repository."""
        return f"{self.migrations}/{version}.md"


@dataclass(frozen=True, kw_only=True, slots=True)
class LockSettings:
    store: Annotated[str, Choice(("remote", "local"))] = key(
        "remote",
        "where refs/promote/* are stored. remote: on the git remote, for every machine. local: only in this clone, for an account that may push "
        'tags and no other refs; needs promotion.via = "git", and only the lease on the stable tag then separates two concurrent promotions',
    )
    heartbeat: Seconds = key(
        Seconds(60),
        "interval of a running promotion's heartbeat (refs/promote/heartbeat); after three missed beats another machine may take the promotion over",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Workflow:
    file: str = key("promote-prod.yaml", "the workflow that calls `promote publish`")
    timeout: Seconds = key(Seconds(600), "longest time for a run, from dispatch to completion; waiting for an approval does not count")
    approval_timeout: Seconds = key(Seconds(1800), "longest wait for the approval that the run's environment requires")
    legacy: bool = key(
        False, "true: an older workflow whose only input is `version`; its guarantees are reduced, and a promotion prints which before the move"
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class GitHub:
    repository: str = key("", "owner/name; empty: read from the remote's URL")
    api_url: str = key("https://api.github.com", "base URL of the REST API; another one for GitHub Enterprise Server")


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetCluster:
    server: str = key("", "its address in Argo CD (destination.server)")
    name: str = key("", "its name in Argo CD (destination.name); a server, a name, or both")
    kubeconfig: str = key("", "kubeconfig of this cluster, relative to the repository; empty: prod.kubeconfig")
    context: str = key("", "its context; empty: that of prod when the kubeconfig is prod's, else the current one")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProdCluster:
    kubeconfig: str = key(".secrets/prod/kubeconfig-prod", "kubeconfig of production, relative to the repository; empty: $KUBECONFIG")
    context: str = key("", "its context; empty: the current one")
    namespaces: list[str] = key(["argocd"], "namespaces that hold Applications")
    root_app: str = key("argocd", "name of the root Application (app of apps) that creates the others; empty: there is none")
    selector: str = key("", "label selector for the Applications to observe; empty: all")
    clusters: list[TargetCluster] = key(
        [], "clusters besides Argo CD's own that Applications are deployed to, to read their workloads, pods and events: [[prod.clusters]] tables"
    )

    def access(self, cluster: TargetCluster) -> tuple[str, str]:
        """The kubeconfig and the context with which one of `clusters` is read."""
        own = cluster.kubeconfig in ("", self.kubeconfig)
        return cluster.kubeconfig or self.kubeconfig, cluster.context or (self.context if own else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class DevCluster:
    kubeconfig: str = key(".secrets/dev/kubeconfig-dev", "kubeconfig of the dev cluster, relative to the repository; empty: $KUBECONFIG")
    context: str = key("", "its context; empty: the current one")
    namespaces: list[str] = key(["argocd"], "namespaces that hold Applications")
    selector: str = key("", "label selector for the Applications to observe; empty: all")
    converge_timeout: Seconds = key(Seconds(45), "longest wait of the pre suite until dev runs the candidate; shorter than suites.check_timeout")
    soak: Seconds = key(
        Seconds(0), "how long dev must have been healthy at the candidate; a shorter time fails the check, which names the time to try again"
    )
    urls: list[SmokeUrl] = key([], "requests that dev must answer before a promotion: [[dev.urls]] tables, with the keys of [[smoke.urls]]")


@dataclass(frozen=True, kw_only=True, slots=True)
class AcceptedOutOfSync:
    application: str = key("", "name of the Application")
    reason: str = key("", "why it may be OutOfSync")


@dataclass(frozen=True, kw_only=True, slots=True)
class ArgoCD:
    namespace: str = key("", "namespace of Argo CD itself in production, which holds AppProjects and argocd-cm; empty: the first of prod.namespaces")
    sync: Annotated[str, Choice(("auto", "request"))] = key("auto", "auto: Applications sync automatically; request: the promotion starts each sync")
    converge_timeout: Seconds = key(Seconds(600), "longest wait until production runs the moved tag, and again for a rollback")
    degraded_grace: Seconds = key(Seconds(60), "how long an Application may be Degraded while it converges before it counts as failed")
    successes: int = key(3, "consecutive polls that must find an Application synced, healthy and at the commit", unit="polls")
    poll_interval: Seconds = key(Seconds(2), "pause between two polls of the cluster")
    refresh_interval: Seconds = key(Seconds(5), "pause before an unanswered refresh of an Application is requested again")
    terminate_stuck: bool = key(True, "whether a rollback may terminate a sync operation that keeps retrying the bad revision")
    refresh_timeout: Seconds = key(Seconds(30), "longest wait before the move for Argo CD's answer to a refresh; shorter than suites.timeout")
    allow_suspended: list[str] = key(
        [], "names of Applications whose health Suspended counts as Healthy; an application with a Rollout needs [[running.accept]] instead"
    )
    accept_out_of_sync: list[AcceptedOutOfSync] = key(
        [],
        "Applications that may be OutOfSync, before and after a move: by the resources that were OutOfSync before it, and by resources that "
        "are no longer in git and are not pruned: [[argocd.accept_out_of_sync]] tables",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    max_unhealthy: float = key(0.1, "share of Applications that may already be unhealthy before a promotion (0 to 1)", unit="share")


@dataclass(frozen=True, kw_only=True, slots=True)
class Post:
    soak: Seconds = key(
        Seconds(0), "how long production must stay healthy after every check passed; applications, pods and alerts are polled throughout"
    )
    pending_grace: Seconds = key(Seconds(120), "how long a pod may be Pending, or run without being Ready, before it counts as failing")
    event_window: Seconds = key(Seconds(15), "time window for Warning events: one that occurs again within it still repeats")
    event_reasons: list[str] = key(
        ["BackOff", "FailedScheduling", "FailedMount", "Unhealthy"],
        "reasons of Warning events that fail the check when they repeat after every application was Healthy",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class SmokeUrl:
    name: str = key("", "name in the check's id: smoke-url[name]", required=True)
    url: str = key("", "the URL to request", required=True)
    method: Annotated[str, Choice(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))] = key(
        "GET", "HTTP method; only GET, HEAD and OPTIONS are repeated (attempts)"
    )
    headers: list[str] = key([], 'request headers, "Name: value"; ${VARIABLE} in a value comes from the environment and is masked in all output')
    body: str = key("", "request body; set its Content-Type in headers")
    status: int = key(200, "expected status; redirects are followed unless it is a 3xx", unit="HTTP status")
    redirect: str = key("", "expected target of a 3xx (its Location as an absolute URL)")
    contains: str = key("", "text that the body must contain")
    json: list[str] = key([], "assertions on the JSON body: 'database == \"ok\"', 'checks.0.ok == true', 'queue < 100', or a path that must exist")
    min_tls_days: int = key(0, "days that the TLS certificate must still be valid; 0: only an expired certificate fails", unit="days")
    timeout: Seconds = key(Seconds(5), "longest time for one answer")
    warn_after: Seconds = key(Seconds(0), "a slower answer passes with a warning; 0: never")
    attempts: int = key(3, "requests before the check fails", unit="attempts")
    interval: Seconds = key(Seconds(2), "pause between two attempts")


@dataclass(frozen=True, kw_only=True, slots=True)
class Smoke:
    urls: list[SmokeUrl] = key([], "requests that production must answer: [[smoke.urls]] tables")


@dataclass(frozen=True, kw_only=True, slots=True)
class PromqlQuery:
    name: str = key("", "name in the check's id: promql[name]", required=True)
    query: str = key(
        "",
        "PromQL expression that always has a value (compare in expect, not here); ranges are limited to the time since the move, $since is that time",
        required=True,
    )
    expect: str = key("", 'comparison that every value of the result must satisfy: "< 0.01", ">= 1", "== 0"', required=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Prometheus:
    url: str = key("", "URL of Prometheus or of a server with its API; empty: the promql checks are disabled")
    headers: list[str] = key([], 'request headers, "Name: value"; ${VARIABLE} in a value comes from the environment and is masked in all output')
    queries: list[PromqlQuery] = key([], "values to check after the move: [[prometheus.queries]] tables")
    sample_timeout: Seconds = key(
        Seconds(45), "longest wait for samples newer than the move; longer than the scrape interval, shorter than suites.check_timeout"
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Alertmanager:
    url: str = key("", "URL of Alertmanager; empty: the check alerts is disabled")
    headers: list[str] = key([], 'request headers, "Name: value"; ${VARIABLE} in a value comes from the environment and is masked in all output')
    matchers: list[str] = key([], "Alertmanager matchers that select the alerts: 'cluster=\"prod\"', 'severity=~\"critical|warning\"'")
    ignore_labels: list[str] = key(
        ["pod", "pod_name", "uid", "container_id", "replicaset"],
        "labels that change with every rollout; an alert that differs from one of the baseline in these labels only is the same alert",
    )
    watchdog: str = key(
        "", 'name of an alert that always fires ("Watchdog"); when it does not, no alerts reach Alertmanager and the check is undetermined'
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Grafana:
    url: str = key("", "URL of Grafana; empty: the check grafana is disabled")
    headers: list[str] = key(
        [], "request headers, usually 'Authorization: Bearer ${GRAFANA_TOKEN}'; the variable comes from the environment and is masked in all output"
    )
    dashboards: list[str] = key([], "dashboards to link after a promotion, by title, folder / title or uid; each must exist")
    annotate: bool = key(True, "whether to annotate the dashboards with a region from the move to the verdict")
    tags: list[str] = key(["promotion"], "tags of the annotation, in addition to version and outcome")


@dataclass(frozen=True, kw_only=True, slots=True)
class Suites:
    pre: str = key("checks/pre", "folder of the suite that runs before the move")
    post: str = key("checks/post", "folder of the suite that checks production after the move")
    smoke: str = key("checks/smoke", "folder of the suite that requests production's services")
    check_timeout: Seconds = key(Seconds(60), "longest time for one check")
    timeout: Seconds = key(Seconds(600), "longest time for a suite")
    plugins: list[str] = key([], "pytest plugins (module names) that your own checks need; no other installed plugin is loaded under the driver")
    reports: str = key("reports", "folder of the JUnit files and logs, relative to the repository")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """One repository's promotion.toml. `root` is the folder that holds it, `code` the private folder with the trunk's suites, where one is used."""

    root: Path
    code: Path = Path()
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
    running: Running = Running()
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
    waivers: list[WaiverEntry] = key([], "checks that may fail until a day: [[waivers]] tables; the checks that protect the tag cannot be waived")

    @property
    def checks_root(self) -> Path:
        """The folder that the suites' folders are relative to."""
        return self.root / self.code
