"""The target of a checklist run and the checks' way to the world. Everything connects at its first use, so a git check needs no cluster."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import NoReturn

import pytest

from promote import connect
from promote.argocd.application import Application
from promote.argocd.client import ArgoCD
from promote.checklist.context import SuiteContext
from promote.checklist.judge import CheckWarning
from promote.checklist.policy import Policy, validate
from promote.config.reader import find_settings_file, read_settings
from promote.config.schema import Settings
from promote.convergence.application_status import Goal
from promote.convergence.baseline import Baseline, take_baseline
from promote.core.errors import NotFound, PromoteError
from promote.core.model import Choices, Tag, short
from promote.core.version import Version, parse_version, recorded_version, version_of_tag
from promote.git.remote import GitRemote
from promote.github.rules import TagRules
from promote.monitoring.clients import Alertmanager, Grafana, Prometheus
from promote.tags.lock import read_lock
from promote.tags.publish import TagNames, ref_names
from promote.tags.target import Target, resolve_target


@dataclass(kw_only=True)
class State:
    """What a session checks. With a context (from the driver) the target is given; by hand it is resolved on first use."""

    settings: Settings
    version: Version | None
    context: SuiteContext | None

    @cached_property
    def remote(self) -> GitRemote:
        """The clone, looked at only when a check needs it: what asks production's own services needs none. Raises UsageError."""
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

    def from_tree(self) -> bool:
        return self.context.from_tree if self.context else self.target.from_tree

    def versioned(self) -> bool:
        """Whether a version was named, or HEAD has its dev tag."""
        return (self.context.version if self.context else self.target.version) is not None

    def words(self) -> str:
        if self.context:
            return f"{self.context.version or 'untagged candidate'} at {short(self.context.commit)}"
        return f"{self.target.version or 'untagged candidate'} at {short(self.target.commit)}"

    def header(self) -> list[str]:
        return [f"promote: {self.settings.root / 'promotion.toml'}"]


STATE = pytest.StashKey[State]()


def load_state(config: pytest.Config) -> State:
    """Read options, settings and context. Raises UsageError."""
    file = config.getoption("--promote-config")
    start = Path(config.args[0].partition("::")[0]).absolute() if config.args else config.invocation_params.dir
    settings = read_settings(Path(file) if file else find_settings_file(start if start.is_dir() else start.parent))
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
    """The state, its target settled as far as checks depend on it. Raises pytest.UsageError with one clear sentence."""
    state = state_of(config)
    try:
        state.from_tree()
    except PromoteError as error:
        raise pytest.UsageError(str(error)) from None
    return state


def state_of(config: pytest.Config) -> State:
    """The settings and the target's options, read once. Raises pytest.UsageError with one clear sentence."""
    if STATE not in config.stash:
        try:
            config.stash[STATE] = load_state(config)
        except PromoteError as error:
            raise pytest.UsageError(str(error)) from None
    return config.stash[STATE]


class Promotion:
    """What a check sees of the promotion it belongs to."""

    def __init__(self, state: State, *, choices: Choices | None = None) -> None:
        """`choices`: what a person decided, where no driver tells."""
        self._state = state
        self.settings, self.context = state.settings, state.context
        self._choices = choices or (state.context.choices if state.context else Choices())

    @property
    def remote(self) -> GitRemote:
        return self._state.remote

    @property
    def target(self) -> Target:
        return self._state.target

    @property
    def version(self) -> Version | None:
        return self.target.version

    @property
    def commit(self) -> str:
        return self.target.commit

    @property
    def names(self) -> TagNames:
        return ref_names(self.settings, self.version.text if self.version else "")

    @property
    def choices(self) -> Choices:
        """What the person who started the promotion decided; by hand: nothing."""
        return self._choices

    @property
    def lock(self) -> str:
        """The object id of this promotion's own lock, "" by hand."""
        return self.context.lock if self.context else ""

    @property
    def state(self) -> str:
        """ "before", "after" or "back" under the driver; "alone" by hand."""
        return self.context.state if self.context else "alone"

    @property
    def started(self) -> datetime | None:
        """Our last read of the stable tag's old value, when the driver told us."""
        return datetime.fromisoformat(self.context.t_before) if self.context and self.context.t_before else None

    @cached_property
    def stable(self) -> Tag:
        """The stable tag as the remote has it now, its objects here. Raises NotFound."""
        ref = self.names.stable
        tag = self.remote.ref(ref)
        if tag is None:
            raise NotFound(f"git remote {self.remote.remote}", f"there is no {ref}", hint="create it once at what production runs")
        if not self.remote.has(tag.object):
            self.remote.fetch(ref)
        return tag

    @cached_property
    def goal(self) -> Goal:
        """What production should run: what the stable tag stands for now; before a first promotion, the candidate."""
        if self.choices.first and self.target.stable is None and self.state in ("before", "alone"):
            return Goal.for_tag((self.commit,), self.settings, self.remote.url)
        return Goal.for_tag(self.remote.chain(self.stable.object), self.settings, self.remote.url)

    @cached_property
    def baseline(self) -> Baseline | None:
        return Baseline.read(Path(self.context.baseline_file)) if self.context and self.context.baseline_file else None

    @property
    def applications_before(self) -> Mapping[str, Application]:
        return self.baseline.applications(self.goal) if self.baseline and not self.choices.first else {}

    def policy_paths(self) -> list[str]:
        """What decides the verdicts: the settings, the folders that hold the suites, and what pytest loads on the way there from the top."""
        suites, top = self.settings.suites, PurePosixPath()
        folders = [PurePosixPath(folder) for folder in (suites.pre, suites.post, suites.smoke)]
        whole = dict.fromkeys(folder if folder.parent == top else folder.parent for folder in folders)
        above = dict.fromkeys(parent for folder in whole for parent in folder.parents)
        return ["promotion.toml", *map(str, whole), *(str(folder / name) for folder in above for name in ("conftest.py", "__init__.py"))]

    def promoted_versions(self) -> Mapping[Version, Tag]:
        """Every version with a prod tag on the remote, read once as the target is: the push itself is leased on the prod tag."""
        return self._promoted

    @cached_property
    def _promoted(self) -> Mapping[Version, Tag]:
        template = self.settings.tags.prod
        tags = self.remote.refs(f"refs/tags/{template.format(version='*')}").values()
        return {v: t for t in tags if (v := version_of_tag(t.name, template, self.settings.version.scheme))}

    def other_lock(self) -> str:
        """Who else is promoting, as a sentence; "" when the lock is free or ours."""
        lock = read_lock(self.remote)
        return "" if lock is None or lock.oid == self.lock else lock.sentence()

    def tag_rules(self) -> TagRules:
        """The forge's rules on the stable tag for our account; not known where there is no forge to ask (a plain push to some other remote)."""
        settings = self.settings
        if settings.promotion.via == "git" and not settings.github.repository:
            return TagRules(known=False, why='promotion.via = "git" and no github.repository: there is nobody to ask')
        try:
            return connect.forge(settings, self.remote).tag_rules(settings.tags.stable)
        except PromoteError as error:
            return TagRules(known=False, why=error.what)

    def warn(self, text: str) -> NoReturn:
        """End a check that cannot tell and must not block. Raises CheckWarning."""
        raise CheckWarning(text)

    @cached_property
    def production(self) -> ArgoCD:
        return connect.production(self.settings)

    @cached_property
    def production_read(self) -> Future[Baseline]:
        """Production as it is, read once for all checks before the move; in a thread, so that it goes on while a check waits for dev."""
        return ThreadPoolExecutor(1).submit(take_baseline, self.production)

    @cached_property
    def prometheus(self) -> Prometheus:
        return connect.prometheus(self.settings)

    @cached_property
    def alertmanager(self) -> Alertmanager:
        return connect.alertmanager(self.settings)

    @cached_property
    def grafana(self) -> Grafana:
        return connect.grafana(self.settings)

    @cached_property
    def dev(self) -> ArgoCD:
        return connect.dev(self.settings)
