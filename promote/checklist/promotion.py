"""The target of a checklist run, and the checks' access to git, clusters and monitoring, each connected at its first use."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import pytest

from promote import connect
from promote.argocd.application import Application
from promote.argocd.client import ArgoCD
from promote.checklist.context import SuiteContext
from promote.checklist.outcome import CheckWarning
from promote.checklist.policy import Policy, validate
from promote.checklist.protection import Proposal, policy_folders
from promote.config.reader import find_settings_file, read_settings
from promote.config.schema import Settings
from promote.convergence.application_status import Goal
from promote.convergence.baseline import Baseline, take_baseline
from promote.convergence.membership import known_goal
from promote.core.errors import NotFound, PromoteError
from promote.core.model import Choices, Tag, short
from promote.core.version import Version, parse_version, recorded_version, version_of_tag
from promote.git.addresses import our_addresses
from promote.git.remote import GitRemote
from promote.git.url import Addresses
from promote.github.rules import TagRules
from promote.monitoring.clients import Alertmanager, Grafana, Prometheus
from promote.tags.lock import read_lock
from promote.tags.names import TagNames, ref_names
from promote.tags.target import Target, resolve_target


@dataclass(kw_only=True)
class State:
    """The target of one pytest session. With a context (from the driver) the target is given; by hand it is resolved at its first use."""

    settings: Settings
    version: Version | None
    context: SuiteContext | None

    @cached_property
    def remote(self) -> GitRemote:
        """The clone, opened only when a check needs it: smoke checks need none. Raises UsageError."""
        return connect.remote(self.settings)

    @cached_property
    def target(self) -> Target:
        target = resolve_target(self.remote, self.settings, self.version)
        if self.context is None or target.commit == self.context.commit:
            return target
        # The driver's target counts: the tree of this clone may have moved on meanwhile.
        return Target(
            version=target.version, commit=self.context.commit, from_tree=self.context.from_tree, dev_tag=target.dev_tag,
            stable=target.stable, branch=target.branch, prod_tag=target.prod_tag,
        )  # fmt: skip

    @cached_property
    def policy(self) -> Policy:
        """Which checks count."""
        told = self.context
        return Policy.of(self.settings, told.waivers, back=told.state == "back") if told else Policy.of(self.settings)

    @property
    def alone(self) -> bool:
        """Whether the session belongs to no promotion: `promote check`, or pytest by hand."""
        return self.context is None or self.context.state == "alone"

    def from_tree(self) -> bool:
        return self.context.from_tree if self.context else self.target.from_tree

    def versioned(self) -> bool:
        """Whether a version was named, or HEAD has its dev tag."""
        return (self.context.version if self.context else self.target.version) is not None

    def describe(self) -> str:
        if self.context:
            return f"{self.context.version or 'untagged candidate'} at {short(self.context.commit)}"
        return f"{self.target.version or 'untagged candidate'} at {short(self.target.commit)}"

    def header(self) -> list[str]:
        where = f"promote: {self.settings.root / 'promotion.toml'}"
        return [where] if self.context else [f"{where} and the checks of this work tree: a trial; `promote run` and `promote check` use the trunk's"]


STATE = pytest.StashKey[State]()


def load_state(config: pytest.Config) -> State:
    """Read options, settings and context. Raises UsageError."""
    file = config.getoption("--promote-config")
    start = Path(config.args[0].partition("::")[0]).absolute() if config.args else config.invocation_params.dir
    settings = read_settings(config.invocation_params.dir / file if file else find_settings_file(start if start.is_dir() else start.parent))
    if root := config.getoption("--promote-root"):
        settings = replace(settings, root=Path(root), code=settings.root)
    context_file = config.getoption("--promote-context")
    context = SuiteContext.read(Path(context_file)) if context_file else None
    if context is None or context.state == "before":
        validate(settings, context.waivers if context else ())
    asked, told = config.getoption("--promote-version"), context.version if context else None
    return State(
        settings=settings,
        version=parse_version(asked, settings.version.scheme) if asked else recorded_version(told, settings.version.scheme) if told else None,
        context=context,
    )


def usable(config: pytest.Config) -> State:
    """The state, with its target resolved as far as the selection of checks depends on it. Raises pytest.UsageError with one sentence."""
    state = state_of(config)
    try:
        state.from_tree()
    except PromoteError as error:
        raise pytest.UsageError(str(error)) from None
    return state


def state_of(config: pytest.Config) -> State:
    """The settings and the target's options, read once. Raises pytest.UsageError with one sentence."""
    if STATE not in config.stash:
        try:
            config.stash[STATE] = load_state(config)
        except PromoteError as error:
            raise pytest.UsageError(str(error)) from None
    return config.stash[STATE]


class Promotion:
    """The promotion under check. Everything connects at its first use, and raises PromoteError when it cannot.

    `settings` holds promotion.toml; `context` the driver's own facts about this promotion, None when pytest was started by hand.
    """

    def __init__(self, state: State, *, choices: Choices | None = None) -> None:
        """`choices`: the flags of the command line, for use without a driver."""
        self._state = state
        self.settings, self.context = state.settings, state.context
        self._choices = choices or (state.context.choices if state.context else Choices())

    @property
    def remote(self) -> GitRemote:
        """The remote repository and this clone of it."""
        return self._state.remote

    @property
    def target(self) -> Target:
        """What is to be promoted, with the refs as they were when it was resolved: version, commit, dev tag, stable tag, trunk."""
        return self._state.target

    @property
    def version(self) -> Version | None:
        """The version to promote; None when none was given and HEAD has no dev tag."""
        return self.target.version

    @property
    def commit(self) -> str:
        """The full id of the candidate commit."""
        return self.target.commit

    @property
    def names(self) -> TagNames:
        """The full names of this promotion's refs: `names.stable` is `refs/tags/prod-stable` with the default settings."""
        return ref_names(self.settings, self.version.text if self.version else "")

    @property
    def choices(self) -> Choices:
        """The flags that `promote run` was started with (`choices.downgrade`, …); all off when pytest was started by hand."""
        return self._choices

    @property
    def lock(self) -> str:
        """The object id of this promotion's own lock; "" when pytest was started by hand."""
        return self.context.lock if self.context else ""

    @property
    def state(self) -> str:
        """ "before" the move, "after" it, "back" while a rollback is verified; "alone" when pytest was started by hand."""
        return self.context.state if self.context else "alone"

    @property
    def started(self) -> datetime | None:
        """When the stable tag's old value was last read (UTC), so before the move; None before the move and by hand."""
        return datetime.fromisoformat(self.context.t_before) if self.context and self.context.t_before else None

    @cached_property
    def stable(self) -> Tag:
        """The stable tag as the remote had it at the first use, its objects fetched. Raises NotFound when there is none."""
        ref = self.names.stable
        tag = self.remote.ref(ref)
        if tag is None:
            raise NotFound(f"git remote {self.remote.remote}", f"there is no {ref}", hint="create it once at what production runs")
        if not self.remote.has(tag.object):
            self.remote.fetch(ref)
        return tag

    @cached_property
    def goal(self) -> Goal:
        """The state that production should reach: the stable tag's commit; before a first promotion, the candidate."""
        first = self.choices.first and self.target.stable is None and self.state in ("before", "alone")
        chain = (self.commit,) if first else self.remote.chain(self.stable.object)
        seen = self.baseline or self.production_read.result()
        plan = self.remote.file(self.commit, self.settings.promotion.plan_file(self.version)) if self.version else None
        return known_goal(Goal.for_tag(chain, self.settings, self.addresses), self.remote, seen.manifests, plan=plan)

    @cached_property
    def addresses(self) -> Addresses:
        """The addresses of the remote repository that Applications may name."""
        return our_addresses(self.remote, self.settings.repository)

    @cached_property
    def baseline(self) -> Baseline | None:
        """Production as it was before the move (applications, pods, alerts); None before the move and by hand."""
        return Baseline.read(Path(self.context.baseline_file)) if self.context and self.context.baseline_file else None

    @property
    def applications_before(self) -> Mapping[str, Application]:
        """The baseline's applications that follow the stable tag, by `namespace/name`; {} without a baseline and in a first promotion."""
        return self.baseline.applications(self.goal) if self.baseline and not self.choices.first else {}

    def policy_paths(self) -> list[str]:
        """The paths that decide the verdicts: promotion.toml, the suites' folders, and the conftest.py and __init__.py files above them."""
        folders, (settings, *above) = policy_folders(self.settings)
        return [settings, *folders, *above]

    @property
    def proposal(self) -> Proposal:
        """The candidate as the driver judges it before any check runs: for `candidate_problem`, `trunk_problem` and `policy_problem`."""
        return Proposal(git=self.remote, settings=self.settings, target=self.target, choices=self.choices)

    def promoted_versions(self) -> Mapping[Version, Tag]:
        """Every version that has a prod tag on the remote, with that tag. Read once: the push itself has a lease on the prod tag."""
        return self._promoted

    @cached_property
    def _promoted(self) -> Mapping[Version, Tag]:
        template = self.settings.tags.prod
        tags = self.remote.refs(f"refs/tags/{template.format(version='*')}").values()
        return {v: t for t in tags if (v := version_of_tag(t.name, template, self.settings.version.scheme))}

    def other_lock(self) -> str:
        """One sentence about the promotion that holds the lock; "" when the lock is free or this promotion's own."""
        lock = read_lock(self.remote)
        return "" if lock is None or lock.oid == self.lock else lock.describe()

    def tag_rules(self) -> TagRules:
        """The forge's rules on the stable tag for this account; `known` is False where no forge can be queried (a plain push to another remote)."""
        settings = self.settings
        if settings.promotion.via == "git" and not settings.github.repository:
            return TagRules(known=False, why='promotion.via = "git" and no github.repository: no forge to query')
        try:
            return connect.forge(settings, self.remote).tag_rules(settings.tags.stable)
        except PromoteError as error:
            return TagRules(known=False, why=error.what)

    def warn(self, text: str) -> NoReturn:
        """End the check with a warning that does not block. Only shipped checks that are registered for it may; others end as ERRORED."""
        raise CheckWarning(text)

    @cached_property
    def production(self) -> ArgoCD:
        """Production's Argo CD: `applications()` lists its Applications as they are now. Raises PromoteError when it cannot be reached."""
        return connect.production(self.settings)

    @cached_property
    def production_read(self) -> Future[Baseline]:
        """Production as it is, read once for all checks before the move; in a thread, so that the read continues while a check waits for dev."""
        return ThreadPoolExecutor(1).submit(take_baseline, self.production)

    @cached_property
    def prometheus(self) -> Prometheus:
        """The Prometheus of [prometheus]. Raises UsageError when it is not configured."""
        return connect.prometheus(self.settings)

    @cached_property
    def alertmanager(self) -> Alertmanager:
        """The Alertmanager of [alertmanager]. Raises UsageError when it is not configured."""
        return connect.alertmanager(self.settings)

    @cached_property
    def grafana(self) -> Grafana:
        """The Grafana of [grafana]. Raises UsageError when it is not configured."""
        return connect.grafana(self.settings)

    @cached_property
    def dev(self) -> ArgoCD:
        """Dev's Argo CD, as `production`."""
        return connect.dev(self.settings)
