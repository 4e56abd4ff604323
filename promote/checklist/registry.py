"""Which rows must report. It lives in the program, not in the repository: a deleted check file must not look like a pass."""

from __future__ import annotations

from dataclasses import dataclass

from promote.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class RowSpec:
    """A registered row. `protected`: it guards the tag itself and can never be waived. `from_tree`: only when the tag is made from the work tree."""

    id: str
    suite: str
    title: str
    protected: bool = False
    from_tree: bool = False

    def off(self, settings: Settings) -> str:
        """Why it is off, "" when it is on."""
        if self.protected:
            return ""
        if self.id == "tasks-closed" and settings.tasks.source == "none":
            return 'tasks.source = "none": there is no tracker'
        return next((o.reason for o in settings.checklist.off if o.id == self.id), "")


ROWS = (
    RowSpec(id="on-the-branch", suite="pre", title="the clone is on the trunk", from_tree=True),
    RowSpec(id="clean-tree", suite="pre", title="the work tree is clean", from_tree=True),
    RowSpec(id="up-to-date", suite="pre", title="HEAD is the remote trunk's head", from_tree=True),
    RowSpec(id="candidate", suite="pre", title="the candidate is what its dev tag says, on the remote", protected=True),
    RowSpec(id="trunk", suite="pre", title="the candidate is on the trunk and ahead of production", protected=True),
    RowSpec(id="policy-unchanged", suite="pre", title="settings and checks are the trunk's", protected=True),
    RowSpec(id="version-new", suite="pre", title="the version is new and greater"),
    RowSpec(id="stable-tag", suite="pre", title="production's tag exists and is not shadowed", protected=True),
    RowSpec(id="no-other-promotion", suite="pre", title="nobody else is promoting", protected=True),
    RowSpec(id="dev-converged", suite="pre", title="dev runs the candidate"),
    RowSpec(id="tasks-closed", suite="pre", title="the tasks that the commits name are closed"),
    RowSpec(id="production-baseline", suite="pre", title="production is fit to be promoted from"),
    RowSpec(id="auto-sync", suite="pre", title="production's applications will follow the tag"),
    RowSpec(id="sync-windows", suite="pre", title="no sync window denies the promotion or its rollback"),
    RowSpec(id="applications-synced", suite="post", title="every application is at the commit and synced"),
    RowSpec(id="applications-healthy", suite="post", title="every application is as healthy as before, or better"),
    RowSpec(id="pods-running", suite="post", title="no pod is newly failing"),
    RowSpec(id="events", suite="post", title="no warning keeps repeating"),
    RowSpec(id="stable-still-ours", suite="post", title="production's tag is what this promotion left", protected=True),
)
NO_URL = "smoke-url[not configured]"


def required_rows(suite: str, settings: Settings, *, from_tree: bool) -> tuple[str, ...]:
    """The ids that have to report passed for a suite to pass."""
    if suite == "smoke":
        return tuple(f"smoke-url[{u.name}]" for u in settings.smoke.urls)
    return tuple(r.id for r in ROWS if r.suite == suite and (from_tree or not r.from_tree) and not r.off(settings))


def off_rows(suite: str, settings: Settings) -> dict[str, str]:
    """The rows of a suite that are off, each with why."""
    return {r.id: why for r in ROWS if r.suite == suite and (why := r.off(settings))}


def protected_rows() -> frozenset[str]:
    """Rows that guard the tag itself: never off, advisory or waived."""
    return frozenset(r.id for r in ROWS if r.protected)


def tree_rows() -> frozenset[str]:
    """Rows that make sense only when the dev tag is made from this work tree."""
    return frozenset(r.id for r in ROWS if r.from_tree)
