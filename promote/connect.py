"""From settings to clients: the remote, the forge, the two clusters. With `commands.wiring` the only reader of the environment.

Dev and production are two clients with two kubeconfigs or contexts, never a process-wide default.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from promote.clients.git_process import forget_local_variables
from promote.clients.git_remote import GitRemote
from promote.errors import UsageError
from promote.settings import DevCluster, ProdCluster, Settings

if TYPE_CHECKING:
    from promote.clients.argocd import ArgoCD
    from promote.clients.github_evidence import GitHubEvidence
    from promote.clients.github_runs import GitHubRuns

TOKEN_VARIABLES = ("GITHUB_TOKEN", "GH_TOKEN")
_SLUG = re.compile(r"[/:]([^/:]+/[^/]+?)(?:\.git)?/?$")


def token() -> str:
    """The forge token of the environment, or ""."""
    return next((os.environ[name] for name in TOKEN_VARIABLES if os.environ.get(name)), "")


def secrets() -> tuple[str, ...]:
    """What must never be shown or written."""
    return tuple(value for name in TOKEN_VARIABLES if (value := os.environ.get(name)))


def remote(settings: Settings) -> GitRemote:
    """The remote whose tags production follows."""
    forget_local_variables(os.environ)
    return GitRemote(settings.root, settings.repository.remote, token=token() or None)


def slug(settings: Settings, git: GitRemote) -> str:
    """owner/name of the repository on GitHub: configured, or read from the remote's URL."""
    if settings.github.repository:
        return settings.github.repository
    match = _SLUG.search(git.url)
    if match is None:
        raise UsageError(f"no owner/name in the remote's URL {git.url}", hint="set github.repository in promotion.toml")
    return match[1]


def forge(settings: Settings, git: GitRemote) -> GitHubRuns:
    """The forge's workflow runs. Raises UsageError without a token."""
    from promote.clients.github_runs import GitHubRuns

    if not token():
        raise UsageError(
            "no GitHub token in the environment",
            hint='export GITHUB_TOKEN="$(gh auth token)", or set promotion.via = "git" to push the tags directly',
        )
    return GitHubRuns(settings.github.api_url, slug(settings, git), token())


def evidence(settings: Settings, git: GitRemote) -> GitHubEvidence:
    """What GitHub knows of commits and issues. Raises UsageError without a token."""
    from promote.clients.github_evidence import GitHubEvidence

    if not token():
        raise UsageError("no GitHub token in the environment", hint='export GITHUB_TOKEN="$(gh auth token)"')
    return GitHubEvidence(settings.github.api_url, slug(settings, git), token())


def production(settings: Settings) -> ArgoCD:
    """Production's Argo CD."""
    return _argocd("prod", settings, settings.prod)


def dev(settings: Settings) -> ArgoCD:
    """The dev cluster's Argo CD."""
    return _argocd("dev", settings, settings.dev)


def _argocd(name: str, settings: Settings, cluster: ProdCluster | DevCluster) -> ArgoCD:
    from promote.clients.argocd import ArgoCD
    from promote.clients.kube import connect

    kubeconfig = settings.root / cluster.kubeconfig if cluster.kubeconfig else None
    return ArgoCD(connect(name, kubeconfig, cluster.context), cluster.namespaces, cluster.selector)
