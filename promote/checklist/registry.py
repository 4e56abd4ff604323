"""Which rows there are, and which must report. It lives in the program, not in the repository: a deleted check file must not look like a pass."""

from __future__ import annotations

from dataclasses import dataclass

from promote.config.schema import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class RowSpec:
    """A registered row. `evidence`: where it comes from, in words. `protected`: it guards the tag itself and always counts.

    `from_tree`: only when the tag is made from the work tree. `versioned`: only when a version was named. `sources`: sections of promotion.toml, of
    which at least one must have a url, or the row is off. `each`: the list in that section of which every entry is a row of its own, `id[name]`.
    `always_decided`: why it cannot be undetermined; "" when it can, and then a test has to show it.
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
    advises: bool = False
    always_decided: str = ""

    def ids(self, settings: Settings) -> tuple[str, ...]:
        """The row's ids in this repository. Where rules are needed and none is there, one row that can only say so."""
        if not self.each:
            return (self.id,)
        (source,) = self.sources
        return tuple(f"{self.id}[{entry.name}]" for entry in getattr(getattr(settings, source), self.each)) or (f"{self.id}[{NO_RULES}]",)

    def limit(self, settings: Settings) -> float:
        """How long it may take, in seconds: what it waits for has a time of its own."""
        waits = settings.functional.timeout if self.id == "tests-passed" else settings.manifests.timeout if self.id in RENDERING else 0
        return settings.suites.row_timeout + 2 * waits

    def off(self, settings: Settings) -> str:
        """Why it is off, "" when it is on."""
        if self.protected:
            return ""
        if self.sources and not any(getattr(settings, source).url for source in self.sources):
            return f"not configured: {' and '.join(f'{source}.url' for source in self.sources)} {'is' if len(self.sources) == 1 else 'are'} empty"
        if self.id == "tasks-closed" and settings.tasks.source == "none":
            return 'tasks.source = "none": there is no tracker'
        return next((o.reason for o in settings.checklist.off if o.id == self.id), "")


NO_RULES = "no rules"
RENDERING = frozenset({"manifests", "breaking-changes", "way-back"})  # whichever comes first renders for all of them
MONITORING = ("prometheus", "alertmanager", "grafana")
# After a rollback they are told and do not count: what has to be back is what was moved, and an alert may ring long after its cause is gone.
TOLD_AFTER_ROLLBACK = frozenset({"promql", "alerts", "grafana"})
ROWS = (
    RowSpec(id="on-the-branch", suite="pre", title="the clone is on the trunk", evidence="this clone", from_tree=True),
    RowSpec(id="clean-tree", suite="pre", title="the work tree is clean", evidence="this clone", from_tree=True),
    RowSpec(id="up-to-date", suite="pre", title="HEAD is the remote trunk's head", evidence="this clone and the remote", from_tree=True),
    RowSpec(id="candidate", suite="pre", title="the candidate is what its dev tag says, on the remote", protected=True),
    RowSpec(id="trunk", suite="pre", title="the candidate is on the trunk and ahead of production", protected=True),
    RowSpec(id="policy-unchanged", suite="pre", title="settings and checks are the trunk's", evidence="this clone and the remote", protected=True),
    RowSpec(id="version-new", suite="pre", title="the version is new and greater", versioned=True),
    RowSpec(id="stable-tag", suite="pre", title="production's tag exists and is not shadowed", protected=True),
    RowSpec(id="no-other-promotion", suite="pre", title="nobody else is promoting", protected=True),
    RowSpec(id="workflow", suite="pre", title="the workflow takes what identifies and fences our run", evidence="the workflow's file on the trunk"),
    RowSpec(
        id="way-back",
        suite="pre",
        title="no rule forbids to move the tag back",
        evidence="the forge's rules for the tag, the remote, the rendered manifests",
        advises=True,
    ),
    RowSpec(id="dev-converged", suite="pre", title="dev runs the candidate", evidence="dev's cluster"),
    RowSpec(
        id="tasks-closed", suite="pre", title="the tasks that the commits name are closed", evidence="commit messages and the tracker (tasks.source)"
    ),
    RowSpec(
        id="tests-passed",
        suite="pre",
        title="the functional tests of this very commit passed",
        evidence="the forge's checks of the commit, a command, a JUnit file",
    ),
    RowSpec(id="documentation", suite="pre", title="what changed is documented", evidence="the candidate's files against production's"),
    RowSpec(
        id="breaking-changes",
        suite="pre",
        title="nothing breaks without a migration plan",
        evidence="commit messages, rendered manifests, the migration plan",
    ),
    RowSpec(
        id="version-bump",
        suite="pre",
        title="the version is a step that fits the changes",
        evidence="commit messages and the remote's tags",
        versioned=True,
    ),
    RowSpec(
        id="manifests",
        suite="pre",
        title="every application of the candidate renders and follows the right ref",
        evidence="the candidate's files, rendered",
    ),
    RowSpec(id="production-baseline", suite="pre", title="production is fit to be promoted from", evidence="production's cluster"),
    RowSpec(id="auto-sync", suite="pre", title="production's applications will follow the tag", evidence="production's cluster"),
    RowSpec(id="sync-windows", suite="pre", title="no sync window denies the promotion or its rollback", evidence="production's AppProjects"),
    RowSpec(
        id="monitoring-ready",
        suite="pre",
        title="what is to prove production afterwards answers now",
        evidence="Prometheus, Alertmanager, Grafana",
        sources=MONITORING,
    ),
    RowSpec(id="dev-tag-created", suite="during", title="the dev tag is at the commit that was checked", protected=True),
    RowSpec(id="workflow-dispatched", suite="during", title="the workflow took our dispatch", evidence="the forge", protected=True),
    RowSpec(id="workflow-succeeded", suite="during", title="our run of it succeeded", evidence="the forge", protected=True),
    RowSpec(id="prod-tags-created", suite="during", title="prod tag and stable tag are one object at the candidate", protected=True),
    RowSpec(id="applications-synced", suite="post", title="every application is at the commit and synced", evidence="production's cluster"),
    RowSpec(
        id="applications-healthy",
        suite="post",
        title="every application is as healthy as before, or better",
        evidence="production's cluster, against the baseline",
    ),
    RowSpec(id="pods-running", suite="post", title="no pod is newly failing", evidence="production's pods, against the baseline"),
    RowSpec(id="events", suite="post", title="no warning keeps repeating", evidence="production's Warning events"),
    RowSpec(
        id="promql",
        suite="post",
        title="production's numbers are as declared",
        evidence="Prometheus, on samples newer than the move",
        sources=("prometheus",),
        each="rules",
    ),
    RowSpec(
        id="alerts",
        suite="post",
        title="no alert fires that did not before",
        evidence="Alertmanager, against the baseline",
        sources=("alertmanager",),
    ),
    RowSpec(id="grafana", suite="post", title="the dashboards people look at are there", evidence="Grafana", sources=("grafana",)),
    RowSpec(id="stable-still-ours", suite="post", title="production's tag is what this promotion left", protected=True),
    RowSpec(id="prod-working-updated", suite="after", title="the tag of the last proven version is this one", protected=True),
)
NO_URL = "smoke-url[not configured]"


NO_TREE = "does not apply, the dev tag is on the remote already"
NO_VERSION = "does not apply, no version was named; the one that fits: promote next"


def required_rows(suite: str, settings: Settings, *, from_tree: bool, versioned: bool = True) -> tuple[str, ...]:
    """The ids that have to report passed for a suite to pass."""
    if suite == "smoke":
        return tuple(f"smoke-url[{u.name}]" for u in settings.smoke.urls)
    beside = beside_the_point(from_tree=from_tree, versioned=versioned)
    rows = [r for r in ROWS if r.suite == suite and r.id not in beside and not r.off(settings)]
    return tuple(row for spec in rows for row in spec.ids(settings))


def off_rows(suite: str, settings: Settings, *, versioned: bool = True) -> dict[str, str]:
    """The rows of a suite that are off, and those without a version to judge, each with why."""
    beside = beside_the_point(from_tree=True, versioned=versioned)
    return {r.id: why for r in ROWS if r.suite == suite and (why := r.off(settings) or beside.get(r.id, ""))}


def protected_rows() -> frozenset[str]:
    """Rows that guard the tag itself: never off, advisory or waived."""
    return frozenset(r.id for r in ROWS if r.protected)


def advising_rows() -> frozenset[str]:
    """Rows that may end as advice of their own accord: where nobody can be asked, they say so and do not block."""
    return frozenset(r.id for r in ROWS if r.advises)


def beside_the_point(*, from_tree: bool, versioned: bool) -> dict[str, str]:
    """Rows that have nothing to judge, each with why: no work tree that the dev tag is made from, no version."""
    return {r.id: NO_TREE for r in ROWS if r.from_tree and not from_tree} | {r.id: NO_VERSION for r in ROWS if r.versioned and not versioned}


def limit_of(row: str, settings: Settings) -> float:
    """How long a row may take, in seconds; one that is not registered as long as any."""
    return next((r.limit(settings) for r in ROWS if r.id == row), settings.suites.row_timeout)
