"""From a folder to the things a command works with: settings, the remote, clients. The only reader of the environment besides the pytest plugin."""

from __future__ import annotations

import getpass
import os
import re
import socket
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from promote.clients.git_process import forget_local_variables
from promote.clients.git_remote import GitRemote
from promote.errors import UsageError
from promote.settings import Settings
from promote.settings_reader import find_settings_file, read_settings

if TYPE_CHECKING:
    from promote.clients.argocd import ArgoCD
    from promote.clients.github_runs import GitHubRuns
    from promote.report.events import Reporter
    from promote.run import Tools

TOKEN_VARIABLES = ("GITHUB_TOKEN", "GH_TOKEN")
_SLUG = re.compile(r"[/:]([^/:]+/[^/]+?)(?:\.git)?/?$")


def token() -> str:
    """The forge token of the environment, or ""."""
    return next((os.environ[name] for name in TOKEN_VARIABLES if os.environ.get(name)), "")


def open_repository(folder: Path) -> tuple[Settings, GitRemote]:
    """Find promotion.toml at or above `folder` and the git remote it speaks of. Raises UsageError."""
    forget_local_variables(os.environ)
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint="name the clone of your GitOps repository")
    settings = read_settings(find_settings_file(folder.resolve()))
    return settings, GitRemote(settings.root, settings.repository.remote, token=token() or None)


def slug(settings: Settings, git: GitRemote) -> str:
    """owner/name of the repository on GitHub: configured, or read from the remote's URL."""
    if settings.github.repository:
        return settings.github.repository
    match = _SLUG.search(git.url)
    if match is None:
        raise UsageError(f"no owner/name in the remote's URL {git.url}", hint="set github.repository in promotion.toml")
    return match[1]


def production(settings: Settings) -> ArgoCD:
    """Production's Argo CD."""
    from promote.clients.argocd import ArgoCD
    from promote.clients.kube import connect

    prod = settings.prod
    return ArgoCD(connect("prod", settings.root / prod.kubeconfig if prod.kubeconfig else None, prod.context), prod.namespaces, prod.selector)


def forge(settings: Settings, git: GitRemote) -> GitHubRuns:
    """The forge's workflow runs. Raises UsageError without a token."""
    from promote.clients.github_runs import GitHubRuns

    if not token():
        raise UsageError(
            "no GitHub token in the environment",
            hint='export GITHUB_TOKEN="$(gh auth token)", or set promotion.via = "git" to push the tags directly',
        )
    return GitHubRuns(settings.github.api_url, slug(settings, git), token())


def who() -> str:
    """Who asks, for the tag and the record: the CI actor and run, or user@host."""
    if os.environ.get("GITHUB_ACTIONS"):
        return f"{os.environ.get('GITHUB_ACTOR', 'unknown')} (run {os.environ.get('GITHUB_RUN_ID', '?')})"
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        return f"unknown@{socket.gethostname()}"


def tools(settings: Settings, git: GitRemote, report: Reporter) -> Tools:
    """What a promotion reaches the world through; clients connect at their first use."""
    from promote.run import Tools

    return Tools(
        settings=settings,
        git=git,
        report=report,
        who=who(),
        production=cache(lambda: production(settings)),
        forge=cache(lambda: forge(settings, git)),
    )
