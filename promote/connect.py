"""Creates all clients from the settings: the remote, the forge, the two clusters. The only reader of environment variables.

Exceptions (listed in tests/project/test_architecture.py): a module that starts a child program passes the environment on, and a few variables belong
to git and the terminal. Dev and production are two clients with two kubeconfigs or contexts, never a process-wide default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from promote.config.expressions import filled, variables
from promote.config.schema import DevCluster, ProdCluster, Settings
from promote.core.errors import UsageError
from promote.core.redact import Redactor, learn
from promote.git.process import forget_local_variables, run_git
from promote.git.remote import GitRemote
from promote.report import github_actions

if TYPE_CHECKING:
    from promote.argocd.client import ArgoCD, Destination
    from promote.github.evidence import GitHubEvidence
    from promote.github.workflow_runs import GitHubRuns
    from promote.kube.client import Kube
    from promote.monitoring.clients import Alertmanager, Grafana, Prometheus

TOKEN_VARIABLES = ("GITHUB_TOKEN", "GH_TOKEN")
TOKEN_FILE = "GITHUB_TOKEN_FILE"
_SECRET_NAME = re.compile(r"(?i)(?:token|secret|password|passwd|api_?key|credentials?)$")
_SLUG = re.compile(r"[/:]([^/:]+/[^/]+?)(?:\.git)?/?$")


def token() -> str:
    """The forge's token from the environment, or "". git uses it after its own credential helpers."""
    given = next((os.environ[name] for name in TOKEN_VARIABLES if os.environ.get(name)), "")
    if not given and os.environ.get(TOKEN_FILE):
        from promote.github.credentials import from_file

        given = _keep(from_file(os.environ[TOKEN_FILE]))
    return given


def forge_token(settings: Settings) -> str:
    """The token for the forge's API: from the environment, a file, the GitHub CLI or git's credential helpers, in this order.

    Stores a token it found in this process's environment: later calls and the suites find it there, and it is never on a command line.
    Raises UsageError when no source has one.
    """
    if found := token():
        return found
    from promote.github.credentials import from_gh, from_git

    host = (urlsplit(settings.github.api_url).hostname or "").removeprefix("api.")
    if found := from_gh(host, os.environ) or from_git(host, os.environ):
        return _keep(found)
    raise UsageError(
        f"no GitHub token in the environment, and neither gh nor git's credential helpers have one for {host}",
        hint=f'export GITHUB_TOKEN="$(gh auth token)", or {TOKEN_FILE}=PATH, or gh auth login; promotion.via = "git" pushes the tags without the API',
    )


def _keep(found: str) -> str:
    os.environ[TOKEN_VARIABLES[0]] = found
    learn(found)
    return found


def secrets() -> tuple[str, ...]:
    """The values that must never be shown or written."""
    return tuple(value for name in TOKEN_VARIABLES if (value := os.environ.get(name)))


def unexpected_secrets() -> tuple[str, ...]:
    """The values to mask in the text of an unexpected error: `secrets`, and every variable with a name like a secret's, as settings may not be read
    yet."""
    return (*secrets(), *(value for name, value in os.environ.items() if _SECRET_NAME.search(name)))


def keep_secret(settings: Settings) -> Settings:
    """Make every redactor of this process mask the values that the settings take from the environment; returns `settings`."""
    learn(*header_secrets(settings))
    return settings


def redactor(settings: Settings) -> Redactor:
    """A redactor that masks every secret of this process, for everything that is written to files."""
    return Redactor((*secrets(), *header_secrets(settings)))


def on_actions() -> bool:
    """Whether this process runs in a step of GitHub Actions, where lines of the log can be workflow commands."""
    return github_actions.on_actions()


def ci_run() -> str:
    """The id of the GitHub Actions run that this process belongs to; "" elsewhere."""
    return os.environ.get("GITHUB_RUN_ID", "")


def ci_actor() -> str:
    """The user who started the GitHub Actions run that this process belongs to; "" elsewhere."""
    return os.environ.get("GITHUB_ACTOR", "")


def own_kubeconfig() -> str:
    """$KUBECONFIG, which may name several files; "" when it is not set."""
    return os.environ.get("KUBECONFIG", "")


def cache_folder() -> Path:
    """The folder of this user's caches."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def step_summary() -> Path | None:
    """The file whose Markdown GitHub Actions shows as the step's summary; None elsewhere."""
    return Path(name) if on_actions() and (name := os.environ.get("GITHUB_STEP_SUMMARY")) else None


def remote(settings: Settings) -> GitRemote:
    """The remote whose tags production follows. Runs no git command yet: a smoke suite started by hand needs no repository."""
    forget_local_variables(os.environ)
    where = settings.repository
    keeps = "refs/promote/" if settings.lock.store == "local" else ""
    return GitRemote(settings.root, where.remote, token=token() or None, timeout_s=where.timeout, keeps=keeps, learn=learn)


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
    from promote.github.workflow_runs import GitHubRuns

    return GitHubRuns(settings.github.api_url, slug(settings, git), forge_token(settings))


def prometheus(settings: Settings) -> Prometheus:
    """Raises UsageError when a header names a variable that is not set."""
    from promote.monitoring.clients import Prometheus

    return Prometheus("prometheus", settings.prometheus.url, headers("prometheus", settings.prometheus.headers))


def alertmanager(settings: Settings) -> Alertmanager:
    """Raises UsageError when a header names a variable that is not set."""
    from promote.monitoring.clients import Alertmanager

    return Alertmanager("alertmanager", settings.alertmanager.url, headers("alertmanager", settings.alertmanager.headers))


def grafana(settings: Settings) -> Grafana:
    """Raises UsageError when a header names a variable that is not set."""
    from promote.monitoring.clients import Grafana

    return Grafana("grafana", settings.grafana.url, headers("grafana", settings.grafana.headers))


def alerts_reader(settings: Settings) -> Callable[[], list[dict[str, Any]]] | None:
    """A function that reads the firing alerts; None when no Alertmanager is configured."""
    return (lambda: alertmanager(settings).alerts(settings.alertmanager.matchers)) if settings.alertmanager.url else None


def headers(where: str, lines: list[str]) -> dict[str, str]:
    """The configured headers with the environment's values inserted. Raises UsageError that names a variable which is not set."""
    try:
        return filled(lines, os.environ)
    except LookupError as error:
        raise UsageError(
            f"{where}: the headers name {error.args[0]}, which the environment does not have", hint=f"export {error.args[0]}=…"
        ) from None


def header_secrets(settings: Settings) -> tuple[str, ...]:
    """The values that headers take from the environment."""
    lists = [settings.prometheus.headers, settings.alertmanager.headers, settings.grafana.headers, *(u.headers for u in settings.smoke.urls)]
    return tuple(value for lines in lists for name in variables(lines) if (value := os.environ.get(name)))


def evidence(settings: Settings, git: GitRemote) -> GitHubEvidence:
    """The client for GitHub's data on commits and issues. Raises UsageError without a token."""
    from promote.github.evidence import GitHubEvidence

    return GitHubEvidence(settings.github.api_url, slug(settings, git), forge_token(settings))


def production(settings: Settings) -> ArgoCD:
    """Production's Argo CD, and the clusters of `prod.clusters`, each connected at its first use."""
    from promote.argocd.client import Destination, server_address

    own = [
        Destination(
            label=c.name or c.server,
            names=frozenset(server_address(text) for text in (c.server, c.name) if text),
            connect=partial(_kube, f"prod.clusters {c.name or c.server}", settings, *settings.prod.access(c)),
        )
        for c in settings.prod.clusters
    ]
    return _argocd("prod", settings, settings.prod, own, namespace=settings.argocd.namespace)


def dev(settings: Settings) -> ArgoCD:
    """The dev cluster's Argo CD."""
    return _argocd("dev", settings, settings.dev)


def _argocd(
    name: str, settings: Settings, cluster: ProdCluster | DevCluster, destinations: Iterable[Destination] = (), *, namespace: str = ""
) -> ArgoCD:
    from promote.argocd.client import ArgoCD

    return ArgoCD(_kube(name, settings, cluster.kubeconfig, cluster.context), cluster.namespaces, cluster.selector, destinations, namespace=namespace)


def _kube(name: str, settings: Settings, kubeconfig: str, context: str) -> Kube:
    from promote.kube.client import connect

    file = settings.root / kubeconfig if kubeconfig else None
    kube = connect(name, file, context, default=own_kubeconfig(), programs=file is None or not _in_repository(settings.root, file))
    learn(*kube.secrets)
    return kube


def _in_repository(root: Path, path: Path) -> bool:
    """Whether git tracks this file, itself or as the target of a link: then it changes with the branch that is checked out."""
    files = {file for file in (path.absolute(), path.resolve()) if file.is_file()}
    return any(run_git(root, "ls-files", "--error-unmatch", "--", str(file)).code == 0 for file in files)
