"""Which checks there are, and which must report. It lives in the program, not in the repository: a deleted check file must not look like a pass."""

from __future__ import annotations

from dataclasses import dataclass

from promote.config.schema import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """A registered check. `evidence`: where it comes from, in words. `protected`: it guards the tag itself and always counts.

    `from_tree`: only when the tag is made from the work tree. `versioned`: only when a version was named. `sources`: sections of promotion.toml, of
    which at least one must have a url; otherwise the check is disabled. `each`: the list in that section of which every entry is a check of its
    own, `id[name]`. `may_warn`: may end with a warning, which does not block. `on_undetermined`: what follows when it stays undetermined after the
    move: "hold" for an observer of production, which is not production; "warning": it is advice, failed or undetermined; "" as promotion.on_unknown.
    """

    id: str
    suite: str
    title: str
    evidence: str = "the remote"
    protected: bool = False
    from_tree: bool = False
    versioned: bool = False
    sources: tuple[str, ...] = ()
    each: str = ""
    may_warn: bool = False
    on_undetermined: str = ""
    always_decided: str = ""

    def ids(self, settings: Settings) -> tuple[str, ...]:
        """The check's ids in this repository. Where rules are needed and none is there, one check that can only say so."""
        if not self.each:
            return (self.id,)
        (source,) = self.sources
        return tuple(f"{self.id}[{entry.name}]" for entry in getattr(getattr(settings, source), self.each)) or (f"{self.id}[{NO_RULES}]",)

    def limit(self, settings: Settings) -> float:
        """How long it may take, in seconds: what it waits for has a time of its own."""
        waits = {
            "tests-passed": 2 * settings.tests.timeout,
            "workloads-updated": settings.running.timeout,
            **dict.fromkeys(RENDERING, 2 * settings.manifests.timeout),
        }
        answer = settings.argocd.refresh_timeout if self.id == "provable" else 0
        return settings.suites.check_timeout + waits.get(self.id, 0) + answer

    def disabled_reason(self, settings: Settings) -> str:
        """Why the check is disabled; "" when it is enabled."""
        if self.protected:
            return ""
        if self.sources and not any(getattr(settings, source).url for source in self.sources):
            return f"not configured: {' and '.join(f'{source}.url' for source in self.sources)} {'is' if len(self.sources) == 1 else 'are'} empty"
        if self.id == "tasks-closed" and settings.tasks.source == "none":
            return 'tasks.source = "none": there is no tracker'
        return next((o.reason for o in settings.checklist.disabled if o.id == self.id), "")


NO_RULES = "no rules"
RENDERING = frozenset({"manifests", "breaking-changes", "way-back", "provable"})  # whichever comes first renders for all of them
MONITORING = ("prometheus", "alertmanager", "grafana")
# After a rollback these are reported and do not count: the tag has to be back, and an alert may fire long after its cause is gone.
INFORMATIVE_AFTER_ROLLBACK = frozenset({"promql", "alerts", "grafana"})
CHECKS = (
    Check(id="on-the-branch", suite="pre", title="the clone is on the trunk", evidence="this clone", from_tree=True),
    Check(id="clean-tree", suite="pre", title="the work tree is clean", evidence="this clone", from_tree=True),
    Check(id="up-to-date", suite="pre", title="HEAD is the remote trunk's head", evidence="this clone and the remote", from_tree=True),
    Check(id="candidate", suite="pre", title="the candidate is what its dev tag says, on the remote", protected=True),
    Check(id="trunk", suite="pre", title="the candidate is on the trunk and ahead of production", protected=True),
    Check(id="policy-unchanged", suite="pre", title="settings and checks are the trunk's", evidence="this clone and the remote", protected=True),
    Check(id="version-new", suite="pre", title="the version is new and greater", versioned=True),
    Check(id="stable-tag", suite="pre", title="production's tag exists and is not shadowed", protected=True),
    Check(id="no-other-promotion", suite="pre", title="no other promotion is running", protected=True),
    Check(id="workflow", suite="pre", title="the workflow takes what identifies and fences our run", evidence="the workflow's file on the trunk"),
    Check(
        id="way-back",
        suite="pre",
        title="no rule forbids to move the tag back",
        evidence="the forge's rules for the tag, the remote, the rendered manifests",
        may_warn=True,
    ),
    Check(id="dev-converged", suite="pre", title="dev runs the candidate", evidence="dev's cluster"),
    Check(
        id="tasks-closed", suite="pre", title="the tasks that the commits name are closed", evidence="commit messages and the tracker (tasks.source)"
    ),
    Check(
        id="tests-passed",
        suite="pre",
        title="the functional tests of this very commit passed",
        evidence="the forge's checks of the commit, a command, a JUnit file",
    ),
    Check(id="documentation", suite="pre", title="what changed is documented", evidence="the candidate's files against production's"),
    Check(
        id="breaking-changes",
        suite="pre",
        title="nothing breaks without a migration plan",
        evidence="commit messages, rendered manifests, the migration plan",
    ),
    Check(
        id="version-bump",
        suite="pre",
        title="the version is a step that fits the changes",
        evidence="commit messages and the remote's tags",
        versioned=True,
    ),
    Check(
        id="manifests",
        suite="pre",
        title="every application of the candidate renders and follows the right ref",
        evidence="the candidate's files, rendered",
    ),
    Check(id="production-baseline", suite="pre", title="production is fit to be promoted from", evidence="production's cluster"),
    Check(id="auto-sync", suite="pre", title="production's applications will follow the tag", evidence="production's cluster"),
    Check(id="sync-windows", suite="pre", title="no sync window denies the promotion or its rollback", evidence="production's AppProjects"),
    Check(
        id="provable",
        suite="pre",
        title="a promotion and its rollback can be proven",
        evidence="production's cluster and Argo CD's answer, the rendered manifests",
    ),
    Check(
        id="monitoring-ready",
        suite="pre",
        title="what is to prove production afterwards answers now",
        evidence="Prometheus, Alertmanager, Grafana",
        sources=MONITORING,
    ),
    Check(id="dev-tag-created", suite="during", title="the dev tag is at the commit that was checked", protected=True),
    Check(id="workflow-dispatched", suite="during", title="the workflow took our dispatch", evidence="the forge", protected=True),
    Check(id="workflow-succeeded", suite="during", title="our run of it succeeded", evidence="the forge", protected=True),
    Check(id="prod-tags-created", suite="during", title="prod tag and stable tag are one object at the candidate", protected=True),
    Check(id="applications-synced", suite="post", title="every application is at the commit and synced", evidence="production's cluster"),
    Check(
        id="applications-healthy",
        suite="post",
        title="every application is as healthy as before, or better",
        evidence="production's cluster, against the baseline",
    ),
    Check(
        id="workloads-updated",
        suite="post",
        title="every workload runs its newest spec, down to the pods",
        evidence="production's workloads and pods",
    ),
    Check(id="pods-running", suite="post", title="no pod is newly failing", evidence="production's pods, against the baseline"),
    Check(id="events", suite="post", title="no warning keeps repeating", evidence="production's Warning events", on_undetermined="hold"),
    Check(
        id="promql",
        suite="post",
        title="production's numbers are as declared",
        evidence="Prometheus, on samples newer than the move",
        sources=("prometheus",),
        each="queries",
        on_undetermined="hold",
    ),
    Check(
        id="alerts",
        suite="post",
        title="no alert fires that did not before",
        evidence="Alertmanager, against the baseline",
        sources=("alertmanager",),
        on_undetermined="hold",
    ),
    Check(
        id="grafana",
        suite="post",
        title="the dashboards people look at are there",
        evidence="Grafana",
        sources=("grafana",),
        on_undetermined="warning",
    ),
    Check(id="stable-still-ours", suite="post", title="production's tag is what this promotion left", protected=True),
    Check(id="prod-working-updated", suite="after", title="the tag of the last proven version is this one", protected=True),
)
NO_URL = "smoke-url[not configured]"


NO_TREE = "does not apply, the dev tag is on the remote already"
NO_VERSION = "does not apply, no version was named; the one that fits: promote next"


def required_checks(suite: str, settings: Settings, *, from_tree: bool, versioned: bool = True) -> tuple[str, ...]:
    """The ids that have to report passed for a suite to pass."""
    if suite == "smoke":
        return tuple(f"smoke-url[{u.name}]" for u in settings.smoke.urls)
    beside = not_applicable(from_tree=from_tree, versioned=versioned)
    checks = [r for r in CHECKS if r.suite == suite and r.id not in beside and not r.disabled_reason(settings)]
    return tuple(check for spec in checks for check in spec.ids(settings))


def disabled_checks(suite: str, settings: Settings, *, versioned: bool = True) -> dict[str, str]:
    """The disabled checks of a suite, and those without a version to judge, each with why."""
    beside = not_applicable(from_tree=True, versioned=versioned)
    return {r.id: why for r in CHECKS if r.suite == suite and (why := r.disabled_reason(settings) or beside.get(r.id, ""))}


def protected_checks() -> frozenset[str]:
    """Checks that guard the tag itself: never disabled, advisory or waived."""
    return frozenset(r.id for r in CHECKS if r.protected)


def warning_checks() -> frozenset[str]:
    """Checks that may end with a warning of their own: when no system can answer, they report that and do not block."""
    return frozenset(r.id for r in CHECKS if r.may_warn)


def not_applicable(*, from_tree: bool, versioned: bool) -> dict[str, str]:
    """Checks that have nothing to judge, each with why: no work tree that the dev tag is made from, no version."""
    return {r.id: NO_TREE for r in CHECKS if r.from_tree and not from_tree} | {r.id: NO_VERSION for r in CHECKS if r.versioned and not versioned}


def on_undetermined(check: str, settings: Settings) -> str:
    """What follows when a check stays undetermined after the move: "rollback", "hold" or "warning"."""
    plain = check.partition("[")[0]
    given = {entry.id: entry.action for entry in settings.checklist.on_undetermined}
    usual = next((spec.on_undetermined for spec in CHECKS if spec.id == plain), "")
    return given.get(check) or given.get(plain) or usual or settings.promotion.on_unknown


def advice(settings: Settings) -> frozenset[str]:
    """Checks that never count: what they watch is no part of production. A [[checklist.on_undetermined]] entry makes one count."""
    return frozenset(spec.id for spec in CHECKS if spec.on_undetermined == "warning" == on_undetermined(spec.id, settings))


def limit_of(check: str, settings: Settings) -> float:
    """How long a check may take, in seconds; one that is not registered as long as any."""
    return next((r.limit(settings) for r in CHECKS if r.id == check), settings.suites.check_timeout)
