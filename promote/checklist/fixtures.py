"""The fixtures of check files. Session-wide where reading twice would only cost time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from promote.argocd.application import Application
    from promote.candidate.commits import Change
    from promote.checklist.promotion import Promotion
    from promote.convergence.wait import ConvergenceResult
    from promote.git.remote import GitRemote
    from promote.manifests.compare import Comparison
    from promote.transport.http_probe import HttpClient

__all__ = ["applications", "changes", "comparison", "http", "observed", "promotion", "remote"]


@pytest.fixture(scope="session")
def promotion(pytestconfig: pytest.Config) -> Promotion:
    """The promotion under check: settings, target, tags, clusters. Connects to each part at its first use."""
    from promote.checklist.promotion import Promotion, state_of

    return Promotion(state_of(pytestconfig))


@pytest.fixture(scope="session")
def remote(promotion: Promotion) -> GitRemote:
    """The remote repository: refs as they are now, objects, history."""
    return promotion.remote


@pytest.fixture(scope="session")
def changes(promotion: Promotion) -> list[Change]:
    """The commits that this promotion would bring to production, newest first."""
    from promote.checklist.history import changes_of

    return changes_of(promotion)


@pytest.fixture(scope="session")
def comparison(promotion: Promotion) -> Comparison:
    """The candidate's manifests against production's: what renders, what follows the wrong ref, what would be removed."""
    from promote.checklist.candidate import comparison

    return comparison(promotion)


@pytest.fixture(scope="session")
def observed(promotion: Promotion) -> ConvergenceResult:
    """Production after a refresh, every application judged against the stable tag; read once for all checks."""
    from promote.convergence.probe import observe

    return observe(
        promotion.production,
        promotion.goal,
        promotion.settings,
        seconds=promotion.settings.suites.check_timeout * 0.6,  # the rest is for the last look's own patience and what stands around it
        baseline=promotion.applications_before,
        t_before=promotion.started,
        rollback=promotion.state == "back",
        baseline_complete=promotion.context is None or promotion.context.baseline_complete,
    )


@pytest.fixture(scope="session")
def applications(promotion: Promotion) -> dict[str, Application]:
    """Production's applications that follow the stable tag, as they are now, by name: `applications["gitea"].health`."""
    return {a.name: a for a in promotion.production.applications() if promotion.goal.tracks(a)}


@pytest.fixture(scope="session")
def http() -> HttpClient:
    """Requests with a deadline and without exceptions: `http.get(url, timeout=2)` returns status, body, json(), seconds and error."""
    from promote.transport.http_probe import HttpClient

    return HttpClient()
