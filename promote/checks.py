"""The public interface for check files in users' repositories.

A check file (`checks/pre`, `checks/post` or `checks/smoke`) imports this module, pytest, and nothing else of promote. The names in `__all__`, their
parameters and what they return follow semantic versioning: an incompatible change of one of them raises the major version of promote (while that
is 0: the minor version), and every other module of promote may change at any time. docs/own-checks.md has a complete example.

A check is a test function with the marker `@pytest.mark.check("my-id", fix="the command that repairs it")`:

- it passes when it returns;
- it fails (production or the candidate is wrong) with an `assert` or `pytest.fail`; the text should name the fault, the expected and the found
  value, and end with a line `do   COMMAND`. Without such a line, the marker's `fix` is appended;
- it is undetermined (nothing is known, which is not a pass) when it raises `Undetermined` or anything else, is skipped, or runs out of time.

Fixtures, by name, with the type that each has:

| fixture | type | meaning |
|---|---|---|
| `promotion` | `Promotion` | the promotion under check: settings, version, commit, tags, clusters, monitoring; connects to each at its first use |
| `remote` | `GitRemote` | the remote repository: refs as they are now, commits and files |
| `changes` | `list[Change]` | the commits that production would receive, newest first |
| `comparison` | `Comparison` | the candidate's manifests against production's |
| `observed` | `ConvergenceResult` | production's applications after a refresh, each judged against the stable tag |
| `applications` | `dict[str, Application]` | production's applications that follow the stable tag, by name, as they are now |
| `http` | `HttpClient` | requests with a timeout and without exceptions |
| `evidence` | `Evidence` | `evidence(name, value)` adds what was observed to the report, the record and the JUnit file; secrets are masked |
| `smoke_url` | `SmokeUrl` or None | one entry of `[[smoke.urls]]`; the check runs once for each, and once with None when there is none |
| `promql_query` | `PromqlQuery` or None | one entry of `[[prometheus.queries]]`, in the same way |

Functions ending in `_problem` return one text for a failure, "" when nothing is wrong; functions ending in `_problems` return one text for each
finding, [] when nothing is wrong. All of them raise PromoteError (whose subclass is Undetermined) when they cannot tell.
"""

from __future__ import annotations

from promote.argocd.application import Application
from promote.candidate.commits import Change
from promote.checklist.candidate import breaking_change_problem, documentation_problems, manifest_problems, not_restored_by_rollback
from promote.checklist.dev import (
    dev_failure,
    dev_soak_problem,
    failing_dev_urls,
    nothing_to_validate_in_dev,
    rendered_only_in_production,
    wait_for_dev,
)
from promote.checklist.functional import failed_tests
from promote.checklist.history import task_problems, version_bump_problem
from promote.checklist.monitoring import missing_dashboards, missing_promql_queries, monitoring_problems, new_alerts, promql_problem
from promote.checklist.outcome import Undetermined
from promote.checklist.production import (
    applications_denied_by_windows,
    applications_not_healthy,
    applications_not_synced,
    applications_without_auto_sync,
    baseline_problems,
    describe_applications,
    failing_pods,
    kubectl,
    pod_command,
    repeating_warnings,
    tolerated_applications,
)
from promote.checklist.promotion import Promotion
from promote.checklist.protection import candidate_problem, policy_problem, trunk_problem
from promote.checklist.provable import unprovable
from promote.checklist.smoke import smoke_url_problem
from promote.checklist.workflow_file import workflow_can_roll_back, workflow_problem
from promote.checklist.workloads import outdated_workloads
from promote.config.schema import PromqlQuery, SmokeUrl
from promote.convergence.wait import ConvergenceResult
from promote.core.errors import PromoteError
from promote.core.model import Evidence
from promote.git.remote import GitRemote
from promote.manifests.compare import Comparison
from promote.report.words import counted
from promote.transport.http_probe import HttpClient, HttpRequest, HttpResponse

__all__ = [
    "Application",
    "Change",
    "Comparison",
    "ConvergenceResult",
    "Evidence",
    "GitRemote",
    "HttpClient",
    "HttpRequest",
    "HttpResponse",
    "PromoteError",
    "Promotion",
    "PromqlQuery",
    "SmokeUrl",
    "Undetermined",
    "applications_denied_by_windows",
    "applications_not_healthy",
    "applications_not_synced",
    "applications_without_auto_sync",
    "baseline_problems",
    "breaking_change_problem",
    "candidate_problem",
    "counted",
    "describe_applications",
    "dev_failure",
    "dev_soak_problem",
    "documentation_problems",
    "failed_tests",
    "failing_dev_urls",
    "failing_pods",
    "kubectl",
    "manifest_problems",
    "missing_dashboards",
    "missing_promql_queries",
    "monitoring_problems",
    "new_alerts",
    "not_restored_by_rollback",
    "nothing_to_validate_in_dev",
    "outdated_workloads",
    "pod_command",
    "policy_problem",
    "promql_problem",
    "rendered_only_in_production",
    "repeating_warnings",
    "smoke_url_problem",
    "task_problems",
    "tolerated_applications",
    "trunk_problem",
    "unprovable",
    "version_bump_problem",
    "wait_for_dev",
    "workflow_can_roll_back",
    "workflow_problem",
]
