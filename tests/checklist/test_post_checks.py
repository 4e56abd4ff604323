"""The post suite check by check: exactly one fails when its own thing is wrong, and its check is unknown when its source cannot be asked."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from promote import connect
from promote.checklist.context import SuiteContext
from promote.checklist.runner import run_suite
from promote.cli.sandbox_session import repository_files
from promote.config.reader import read_settings
from promote.convergence.baseline import take_baseline
from promote.convergence.running import ADVICE
from promote.core.deadline import Deadline
from promote.core.model import CheckResult, SuiteResult, Verdict
from promote.sandbox.http_server import Fault, World
from promote.sandbox.kube.store import stamp
from promote.sandbox.sandbox import Sandbox
from tests.support.declared import base_id, proves, proves_verdicts, saw_verdicts
from tests.support.production import kubeconfig


@dataclass(kw_only=True)
class Post:
    """A settled production with a baseline, and its post suite."""

    sandbox: Sandbox
    clone: Path
    reports: Path
    context: SuiteContext

    def run(self, **changes: object) -> SuiteResult:
        result = run_suite(
            "post",
            self.clone / "checks" / "post",
            context=replace(self.context, **changes),  # type: ignore[arg-type]
            settings=read_settings(self.clone / "promotion.toml"),
            reports=self.reports,
            deadline=Deadline(120),
        )
        saw_verdicts((check.id, check.verdict) for check in result.checks)
        return result

    def changed(self, *names: str) -> str:
        """A copy of the baseline before the last sync of these applications."""
        data = json.loads(Path(str(self.context.baseline_file)).read_text())
        for manifest in data["applications"]:
            if manifest["metadata"]["name"] in names:
                manifest["status"]["operationState"]["startedAt"] = "2026-01-01T00:00:00Z"
        path = self.reports.parent / "changed.json"
        path.write_text(json.dumps(data))
        return str(path)

    def without(self, path: Path, *names: str) -> str:
        """A copy of the baseline in which these applications were healthy."""
        data = json.loads(Path(str(self.context.baseline_file)).read_text())
        for manifest in data["applications"]:
            if manifest["metadata"]["name"] in names:
                manifest["status"]["health"] = {"status": "Healthy"}
        path.write_text(json.dumps(data))
        return str(path)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, Path]]:
    folder = tmp_path_factory.mktemp("post")
    files = repository_files("git")
    text = files["promotion.toml"].replace(b'sample_timeout = "10s"', b'sample_timeout = "2s"')
    head, _, tail = text.partition(b"[dev]\n")
    files["promotion.toml"] = head + b'[dev]\nconverge_timeout = "5s"\n' + tail + b'\n[suites]\ncheck_timeout = "15s"\n[running]\ntimeout = "3s"\n'
    files["promotion.toml"] += b'[[checklist.on_undetermined]]\nid = "grafana"\naction = "rollback"\n'  # as it is by default, it is advice
    with Sandbox(folder / "world", files=files, act=False) as sandbox:
        yield sandbox, sandbox.clone(folder / "clone")


@pytest.fixture
def post(world: tuple[Sandbox, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Post:
    sandbox, clone = world
    for name, value in sandbox.env.items():
        monkeypatch.setenv(name, value)
    settings = read_settings(clone / "promotion.toml")
    baseline = tmp_path / "baseline.json"
    baseline.write_text(take_baseline(connect.production(settings), connect.alerts_reader(settings)).to_json())
    stable = {"object": sandbox.writer.holds("refs/tags/prod-stable"), "commit": sandbox.writer.holds("refs/tags/prod-stable^{commit}")}
    context = SuiteContext(
        version="v1.7.4", commit=stable["commit"], from_tree=False, dev_tag=None, previous=None, stable=stable, request_id="r", lock="",
        state="after", baseline_file=str(baseline), t_before=(datetime.now(UTC) - timedelta(seconds=20)).isoformat(),
    )  # fmt: skip
    return Post(sandbox=sandbox, clone=clone, reports=tmp_path / "reports", context=context)


def verdicts(result: SuiteResult, verdict: Verdict) -> set[str]:
    return {check.id for check in result.checks if check.verdict is verdict}


def check(result: SuiteResult, name: str) -> CheckResult:
    return next(r for r in result.checks if r.id == name)


def test_a_well_production_passes_every_check_with_evidence(post: Post) -> None:
    result = post.run()
    assert result.verdict is Verdict.PASSED, result.reason + Path(result.log).read_text()
    wanted = {"applications-synced", "applications-healthy", "workloads-updated", "pods-running", "events", "stable-still-ours", "alerts", "grafana"}
    assert verdicts(result, Verdict.PASSED) == wanted | {"promql[scraped]", "promql[restarts]"}
    assert check(result, "promql[scraped]").evidence["values"] == {"{}": 1.0}
    assert check(result, "alerts").evidence["watchdog"] == "Watchdog"
    known = check(result, "alerts").evidence["firing before"]
    assert any("KubeDeploymentRolloutStuck" in text and "velero" in text for text in known), known  # type: ignore[attr-defined]
    assert set(check(result, "grafana").evidence["links"]) == {"Kubernetes / Cluster", "Kubernetes / Applications"}  # type: ignore[call-overload]


@contextmanager
def frozen(post: Post) -> Iterator[dict[str, object]]:
    post.sandbox.prod.freeze()
    yield {}
    post.sandbox.prod.thaw()


@contextmanager
def blamed(post: Post) -> Iterator[dict[str, object]]:
    yield {"baseline_file": post.without(post.reports.parent / "other.json", "velero")}


def side(status: dict[str, object], **meta: object) -> dict[str, object]:
    """A further pod of the application gitea, as its Deployment would create it."""
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "gitea-5ide", "uid": "1", "controller": True}
    own = {"labels": {"pod-template-hash": "5ide"}, "ownerReferences": [owner]}
    spec = {"containers": [{"name": "gitea", "image": GITEA}]}
    return {"kind": "Pod", "metadata": {"name": "gitea-side", "namespace": "gitea", **own, **meta}, "spec": spec, "status": status}


GITEA = "registry.example/gitea:1.0.0"  # as the stable tag has it
CRASHES: dict[str, object] = {
    "phase": "Running",
    "containerStatuses": [{"name": "main", "restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}],
}


@contextmanager
def old_pod(post: Post) -> Iterator[dict[str, object]]:
    """A pod of an older ReplicaSet lives on beside the new ones."""
    pod = next(p for p in post.sandbox.prod.list("Pod", "gitea") if p["metadata"]["name"].startswith("gitea-"))
    old = {
        **pod,
        "metadata": {**pod["metadata"], "name": "gitea-old", "resourceVersion": ""},
        "spec": {"containers": [{"name": "gitea", "image": "gitea:0"}]},
    }
    post.sandbox.prod.apply(old)
    yield {}
    post.sandbox.prod.delete("Pod", "gitea", "gitea-old")


@contextmanager
def crashing_pod(post: Post) -> Iterator[dict[str, object]]:
    post.sandbox.prod.apply(side(CRASHES))
    yield {}
    post.sandbox.prod.delete("Pod", "gitea", "gitea-side")


def running(restarts: int) -> dict[str, object]:
    """A pod that runs at the moment, and how often it was restarted."""
    status = {"phase": "Running", "containerStatuses": [{"name": "main", "restartCount": restarts, "state": {"running": {}}}]}
    return side(status)


@contextmanager
def pod_between_two_crashes(post: Post) -> Iterator[dict[str, object]]:
    over = threading.Event()
    post.sandbox.prod.apply(running(1))

    def crash() -> None:
        count = 1
        while not over.wait(0.4):
            post.sandbox.prod.apply(running(count := count + 1))

    thread = threading.Thread(target=crash)
    thread.start()
    yield {}
    over.set()
    thread.join()
    post.sandbox.prod.delete("Pod", "gitea", "gitea-side")


@contextmanager
def repeating_event(post: Post) -> Iterator[dict[str, object]]:
    over = threading.Event()

    def happen() -> None:
        count = 1
        while not over.wait(0.1):
            post.sandbox.prod.workloads.event("gitea", "gitea-x.unhealthy", "Pod", "gitea-5d6f7c8b9d-x2k4z", "Unhealthy", "probe failed", count)
            count += 1

    thread = threading.Thread(target=happen)
    thread.start()
    yield {}
    over.set()
    thread.join()
    post.sandbox.prod.delete("Event", "gitea", "gitea-x.unhealthy")


@contextmanager
def bad_number(post: Post) -> Iterator[dict[str, object]]:
    post.sandbox.prometheus.put("kube_pod_container_status_restarts_total", {"pod": "x"}, 1000)
    yield {}
    post.sandbox.prometheus.forget("kube_pod_container_status_restarts_total")


@contextmanager
def new_alert(post: Post) -> Iterator[dict[str, object]]:
    mark = post.sandbox.alertmanager.fire("ErrorsRising", "5 % of requests fail", namespace="gitea")
    yield {}
    post.sandbox.alertmanager.resolve(mark)


@contextmanager
def no_dashboard(post: Post) -> Iterator[dict[str, object]]:
    lost = post.sandbox.grafana.dashboards.pop()
    yield {}
    post.sandbox.grafana.dashboards.append(lost)


@contextmanager
def foreign_tag(post: Post) -> Iterator[dict[str, object]]:
    yield {"stable": {"object": "f" * 40, "commit": "f" * 40}}


Breaking = Callable[[Post], AbstractContextManager[dict[str, object]]]
# A check by its id, with a word behind a slash where it stands for several ways.
BREAKS: dict[str, tuple[Breaking, str]] = {
    "applications-synced": (frozen, "not reconciled"),
    "applications-healthy": (blamed, "velero: Degraded"),
    "workloads-updated": (old_pod, "Deployment gitea/gitea of gitea: 1 pod of an older spec: gitea-old runs gitea:0, not registry.example/gitea:"),
    "pods-running": (crashing_pod, "1 pod newly failing\n    gitea/gitea-side: CrashLoopBackOff, 4 restarts"),
    "pods-running/between two crashes": (pod_between_two_crashes, "gitea/gitea-side: keeps restarting"),
    "events": (repeating_event, "Unhealthy gitea/Pod gitea-5d6f7c8b9d-x2k4z"),
    "promql[restarts]": (bad_number, "expected  < 50"),
    "alerts": (new_alert, 'ErrorsRising{namespace="gitea", severity="warning"} since'),
    "grafana": (no_dashboard, "Kubernetes / Applications"),
    "stable-still-ours": (foreign_tag, "another process moved it"),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=proves("check", base_id(name.partition("/")[0]), "failed")) for name in BREAKS])
def test_exactly_the_check_that_is_about_it_fails(post: Post, name: str) -> None:
    (breaking, said), name = BREAKS[name], name.partition("/")[0]
    with breaking(post) as changes:
        result = post.run(**changes)
    assert (verdicts(result, Verdict.FAILED), verdicts(result, Verdict.ERRORED)) == ({name}, set()), "\n".join(
        f"{r.id}: {r.detail}" for r in result.failed
    )
    assert said in check(result, name).detail
    assert re.search(r"\n\s*do\b", check(result, name).detail), "the next command is printed"
    assert result.verdict is Verdict.FAILED


def api(post: Post) -> World:
    return post.sandbox.prod.api


DOWN: dict[str, tuple[Callable[[Post], World], str, set[str]]] = {
    "applications": (api, "applications", {"applications-synced", "applications-healthy", "workloads-updated", "pods-running", "events"}),
    "pods": (api, "/api/v1/pods", {"pods-running", "workloads-updated", "events"}),
    "workloads": (api, "/apis/apps/v1/deployments", {"workloads-updated", "applications-healthy", "applications-synced"}),
    "events": (api, "/api/v1/events", {"events"}),
    "prometheus": (lambda post: post.sandbox.prometheus, ".*", {"promql[scraped]", "promql[restarts]"}),
    "alertmanager": (lambda post: post.sandbox.alertmanager, ".*", {"alerts"}),
    "grafana": (lambda post: post.sandbox.grafana, ".*", {"grafana"}),
    "remote": (
        lambda post: post.sandbox.git,
        ".*",
        {"applications-synced", "applications-healthy", "workloads-updated", "pods-running", "events", "stable-still-ours"},
    ),
}


@pytest.mark.parametrize(
    "source", [pytest.param(name, marks=proves_verdicts(dict.fromkeys(checks, "errored"))) for name, (_, _, checks) in DOWN.items()]
)
def test_a_check_whose_source_is_down_is_unknown(post: Post, source: str) -> None:
    where, path, checks = DOWN[source]
    where(post).fault(Fault(kind="status", path=path, status=503))
    try:
        result = post.run()
    finally:
        where(post).clear_faults()
    seen = (verdicts(result, Verdict.FAILED), verdicts(result, Verdict.ERRORED))
    assert seen == (set(), checks), f"{result.reason}\n{[(r.id, r.detail) for r in result.failed]}\n{Path(result.log).read_text()[-4000:]}"
    assert result.verdict is Verdict.ERRORED


PASSES = {
    "pods": (api, Fault(kind="status", path="/api/v1/pods", status=429, headers={"Retry-After": "1"}, times=1)),
    "applications": (api, Fault(kind="status", path="applications", status=500, body=b"etcdserver: leader changed", times=1)),
    "prometheus": (lambda post: post.sandbox.prometheus, Fault(kind="status", status=503, times=7)),  # more than a read outside of a check
}


@pytest.mark.parametrize("source", PASSES)
def test_a_fault_that_passes_within_a_checks_time_is_no_trouble(post: Post, source: str) -> None:
    where, fault = PASSES[source]
    where(post).fault(fault)
    try:
        result = post.run()
    finally:
        where(post).clear_faults()
    assert result.verdict is Verdict.PASSED, [(r.id, r.detail) for r in result.failed]


@contextmanager
def no_series(post: Post) -> Iterator[dict[str, object]]:
    post.sandbox.prometheus.cluster, cluster = None, post.sandbox.prometheus.cluster
    yield {}
    post.sandbox.prometheus.cluster = cluster


@contextmanager
def old_samples(post: Post) -> Iterator[dict[str, object]]:
    post.sandbox.prometheus.pause()
    yield {"t_before": (datetime.now(UTC) + timedelta(seconds=0.2)).isoformat()}
    post.sandbox.prometheus.resume()


@contextmanager
def not_a_number(post: Post) -> Iterator[dict[str, object]]:
    post.sandbox.prometheus.put("kube_pod_container_status_restarts_total", {"pod": "x"}, float("nan"))
    yield {}
    post.sandbox.prometheus.forget("kube_pod_container_status_restarts_total")


@contextmanager
def no_watchdog(post: Post) -> Iterator[dict[str, object]]:
    silent = Fault(kind="status", status=200, body=b"[]")
    post.sandbox.alertmanager.fault(silent)
    yield {}
    post.sandbox.alertmanager.clear_faults()


@contextmanager
def no_pods(post: Post) -> Iterator[dict[str, object]]:
    api(post).fault(Fault(kind="status", status=200, path="/api/v1/pods", body=b'{"metadata": {}, "items": []}'))
    yield {}
    api(post).clear_faults()


@contextmanager
def no_workloads(post: Post) -> Iterator[dict[str, object]]:
    """Applications that list nothing with pods; Argo CD does not look at them meanwhile."""
    prod = post.sandbox.prod
    prod.freeze()
    before = prod.list("Application", "argocd")
    for app in before:
        kept = [r for r in app["status"].get("resources") or () if r["kind"] in ("ConfigMap", "Application")]
        prod.patch("Application", "argocd", app["metadata"]["name"], {"status": {"resources": kept, "operationState": None}})
    yield {}
    for app in before:
        prod.patch("Application", "argocd", app["metadata"]["name"], {"status": app["status"]})
    prod.thaw()


@contextmanager
def no_baseline(post: Post) -> Iterator[dict[str, object]]:
    data = json.loads(Path(str(post.context.baseline_file)).read_text())
    other = post.reports.parent / "other.json"
    other.write_text(json.dumps({**data, "alerts": None}))
    yield {"baseline_file": str(other)}


UNKNOWN: dict[str, tuple[Breaking, set[str], str]] = {
    "no data": (no_series, {"promql[scraped]", "promql[restarts]"}, "no data: no series for up"),
    "samples older than the move": (old_samples, {"promql[scraped]", "promql[restarts]"}, "have no sample since the move"),
    "NaN": (not_a_number, {"promql[restarts]"}, "not a number"),
    "no Prometheus reports to Alertmanager": (no_watchdog, {"alerts"}, "the alert Watchdog, which always fires, does not"),
    "no baseline of the alerts": (no_baseline, {"alerts"}, "the alerts were not read before the move"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_check_that_the_monitoring_cannot_answer_is_unknown(post: Post, name: str) -> None:
    breaking, checks, said = UNKNOWN[name]
    with breaking(post) as changes:
        result = post.run(**changes)
    assert (verdicts(result, Verdict.FAILED), verdicts(result, Verdict.ERRORED)) == (set(), checks), [(r.id, r.detail) for r in result.failed]
    assert said in check(result, max(checks)).detail


def test_no_pod_at_all_proves_nothing(post: Post) -> None:
    with no_pods(post):
        result = post.run()
    assert (verdicts(result, Verdict.FAILED), verdicts(result, Verdict.ERRORED)) == (set(), {"pods-running", "events"})
    assert re.search(r"none of \d+ workloads has a pod \(\d+ applications looked at\)", check(result, "pods-running").detail)


def test_applications_without_workloads_prove_nothing_about_what_runs(post: Post) -> None:
    with no_workloads(post):
        result = post.run()
    for name in ("workloads-updated", "pods-running", "events"):
        assert check(result, name).verdict is Verdict.ERRORED, check(result, name).detail
    assert "no application deploys anything that has pods now" in check(result, "events").detail


def test_silenced_and_inhibited_alerts_are_reported_and_do_not_fail(post: Post) -> None:
    manager = post.sandbox.alertmanager
    quiet, source, kept = manager.fire("Quiet", namespace="gitea"), manager.fire("Source"), manager.fire("Kept")
    silence = manager.silence('alertname="Quiet"')
    manager.inhibit(kept, by=source)
    second = manager.silence('alertname="Source"')
    try:
        result = post.run()
    finally:
        for mark in (quiet, source, kept):
            manager.resolve(mark)
        manager.expire(silence)
        manager.expire(second)
    assert result.verdict is Verdict.PASSED, result.reason
    muted = str(check(result, "alerts").evidence["muted"])
    assert "Quiet" in muted
    assert f"inhibited by alert {source}" in muted


def test_a_new_pod_that_restarted_and_came_to_rest_is_evidence_only(post: Post) -> None:
    post.sandbox.prod.apply(running(1))
    result = post.run()
    post.sandbox.prod.delete("Pod", "gitea", "gitea-side")
    assert result.verdict is Verdict.PASSED, result.reason
    assert check(result, "pods-running").evidence["restarted since they were created, stable now"] == ["gitea/gitea-side"]


def theirs(name: str, status: dict[str, object], namespace: str = "ops") -> dict[str, object]:
    """A pod that no Application lists."""
    return {"kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "status": status}


def failed(reason: str = "Error", **more: object) -> dict[str, object]:
    state = {"terminated": {"exitCode": 1, "reason": reason}}
    return {"phase": "Failed", "containerStatuses": [{"name": "main", "restartCount": 0, "state": state}], **more}


@contextmanager
def applied(post: Post, *manifests: dict[str, object]) -> Iterator[None]:
    for manifest in manifests:
        post.sandbox.prod.apply(manifest)
    yield
    for manifest in manifests:
        meta = manifest["metadata"]
        post.sandbox.prod.delete(str(manifest["kind"]), meta["namespace"], meta["name"])  # type: ignore[index]


def test_a_pod_of_another_team_is_advice_wherever_it_runs(post: Post) -> None:
    with applied(post, theirs("backup-29384720-x", failed()), theirs("debug", CRASHES, "gitea")):
        result = post.run()
    assert result.verdict is Verdict.PASSED, result.reason
    assert check(result, "pods-running").evidence[ADVICE] == ["gitea/debug: CrashLoopBackOff", "ops/backup-29384720-x: Error"]


def test_a_warning_about_another_team_is_advice(post: Post) -> None:
    over = threading.Event()

    def happen() -> None:
        count = 1
        while not over.wait(0.1):
            post.sandbox.prod.workloads.event("gitea", "debug.backoff", "Pod", "debug", "BackOff", "restarting", count := count + 1)

    thread = threading.Thread(target=happen)
    thread.start()
    result = post.run()
    over.set()
    thread.join()
    post.sandbox.prod.delete("Event", "gitea", "debug.backoff")
    assert result.verdict is Verdict.PASSED, result.reason
    assert "BackOff gitea/Pod debug" in str(check(result, "events").evidence["warnings about others (advice)"])


def job(name: str, *conditions: str, **meta: object) -> dict[str, object]:
    """A hook Job of the application gitea."""
    tracked = {"annotations": {"argocd.argoproj.io/tracking-id": f"gitea:batch/Job:gitea/{name}", "argocd.argoproj.io/hook": "PreSync"}}
    status = {"conditions": [{"type": c, "status": "True"} for c in conditions]}
    return {"kind": "Job", "metadata": {"name": name, "namespace": "gitea", **tracked, **meta}, "status": status}


def attempt_of(post: Post, name: str, status: dict[str, object]) -> dict[str, object]:
    """A pod of a Job that is there."""
    made = post.sandbox.prod.get("Job", "gitea", name)
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": made["metadata"]["uid"] if made else "gone", "controller": True}
    return {"kind": "Pod", "metadata": {"name": f"{name}-x", "namespace": "gitea", "ownerReferences": [owner]}, "status": status}


@pytest.mark.parametrize(
    ("conditions", "verdict", "words"),
    [
        (("SuccessCriteriaMet", "Complete"), Verdict.PASSED, "its Job succeeded"),
        ((), Verdict.PASSED, "its Job has tries left"),
        (("FailureTarget", "Failed"), Verdict.FAILED, "gitea/migrate-x: Error, 0 restarts"),
    ],
    ids=["a Job that succeeded later", "a Job with tries left", "a Job that failed"],
)
def test_a_failed_try_counts_only_when_its_job_failed(post: Post, conditions: tuple[str, ...], verdict: Verdict, words: str) -> None:
    changed = post.changed("gitea")
    with applied(post, job("migrate", *conditions)), applied(post, attempt_of(post, "migrate", failed())):
        result = post.run(baseline_file=changed)
    assert check(result, "pods-running").verdict is verdict, check(result, "pods-running").detail
    said = check(result, "pods-running")
    assert words in said.detail + str(said.evidence["not counted"])


def test_the_job_of_an_application_that_this_promotion_left_as_it_was_does_not_count(post: Post) -> None:
    with applied(post, job("migrate", "Failed")), applied(post, attempt_of(post, "migrate", failed())):
        result = post.run()
    assert result.verdict is Verdict.PASSED, result.reason
    assert "gitea is unchanged by this promotion" in str(check(result, "pods-running").evidence["not counted"])


def test_the_deployment_of_an_application_that_this_promotion_left_as_it_was_counts_and_the_report_names_it_unchanged(post: Post) -> None:
    with applied(post, side(CRASHES)):
        result = post.run()
    assert "gitea/gitea-side: CrashLoopBackOff, 4 restarts (gitea is unchanged by this promotion)" in check(result, "pods-running").detail


def test_what_the_failed_attempt_left_cannot_keep_a_rollback_from_being_proven(post: Post) -> None:
    changed = post.changed("gitea")
    with applied(post, job("migrate", "Failed")), applied(post, attempt_of(post, "migrate", failed())):
        forward = post.run(baseline_file=changed)
        back = post.run(baseline_file=changed, state="back", t_before=(datetime.now(UTC) + timedelta(seconds=1)).isoformat())
    assert verdicts(forward, Verdict.FAILED) == {"pods-running"}
    assert "left by the version that was rolled back" in str(check(back, "pods-running").evidence["not counted"])
    assert check(back, "pods-running").verdict is Verdict.PASSED


def test_an_evicted_pod_counts_until_another_takes_its_place(post: Post) -> None:
    evicted = side({"phase": "Failed", "reason": "Evicted"})
    with applied(post, evicted):
        alone = post.run()
        time.sleep(1.1)  # creation times have whole seconds
        successor = side(
            {"phase": "Running", "containerStatuses": [{"name": "main", "ready": True, "restartCount": 0, "state": {}}]}, name="gitea-new"
        )
        with applied(post, successor):
            replaced = post.run()
    assert "gitea/gitea-side: Evicted" in check(alone, "pods-running").detail
    assert replaced.verdict is Verdict.PASSED, replaced.reason
    assert "Evicted, replaced by gitea-new" in str(check(replaced, "pods-running").evidence["not counted"])


def test_jobs_that_may_not_be_listed_leave_the_pods_of_a_job_undetermined(post: Post) -> None:
    changed, api = post.changed("gitea"), post.sandbox.prod.api
    with applied(post, job("migrate", "Complete")), applied(post, attempt_of(post, "migrate", failed())):
        api.forbid = lambda verb, resource, _: resource == "jobs"
        result = post.run(baseline_file=changed)
        api.forbid = lambda *_: False
    assert (verdicts(result, Verdict.FAILED), verdicts(result, Verdict.ERRORED)) == (set(), {"pods-running"})
    assert 'cannot list resource "jobs"' in check(result, "pods-running").detail


def test_applications_of_a_cluster_that_no_settings_name_are_undetermined_by_name(post: Post) -> None:
    with moved_to(post, "gitea", "https://10.1.2.3:6443"):
        result = post.run()
    for name, words in {"workloads-updated": "gitea: ", "pods-running": "the pods of gitea (", "events": "the events of gitea ("}.items():
        assert check(result, name).verdict is Verdict.ERRORED
        assert f"{words}it deploys to https://10.1.2.3:6443, which no entry of prod.clusters names" in check(result, name).detail


def test_a_declared_cluster_is_judged_with_its_own_pods(post: Post) -> None:
    """Here the declared cluster is the same API server under another address."""
    file = post.clone / "promotion.toml"
    text = file.read_text()
    file.write_text(text + '\n[[prod.clusters]]\nserver = "https://10.1.2.3:6443"\nname = "far"\n')
    try:
        with moved_to(post, "gitea", "https://10.1.2.3:6443"), applied(post, side(CRASHES)):
            result = post.run()
    finally:
        file.write_text(text)
    assert "gitea/gitea-side in far: CrashLoopBackOff, 4 restarts" in check(result, "pods-running").detail
    assert check(result, "workloads-updated").verdict is Verdict.PASSED, check(result, "workloads-updated").detail


def test_a_declared_cluster_that_cannot_be_reached_leaves_its_applications_undetermined_by_name(post: Post) -> None:
    file = post.clone / "promotion.toml"
    text = file.read_text()
    closed = kubeconfig(post.reports.parent, "http://127.0.0.1:9")
    file.write_text(text + f'\n[[prod.clusters]]\nserver = "https://10.1.2.3:6443"\nname = "far"\nkubeconfig = "{closed}"\n')
    try:
        with moved_to(post, "gitea", "https://10.1.2.3:6443"):
            result = post.run()
    finally:
        file.write_text(text)
    for name in ("workloads-updated", "pods-running", "events"):
        assert check(result, name).verdict is Verdict.ERRORED
        assert re.search(r"\bgitea\b.*cluster prod.clusters far", check(result, name).detail), check(result, name).detail


@contextmanager
def moved_to(post: Post, name: str, server: str) -> Iterator[None]:
    """The application has another destination, which Argo CD here does not look at."""
    prod = post.sandbox.prod
    prod.freeze()
    before = prod.get("Application", "argocd", name)
    assert before
    prod.patch("Application", "argocd", name, {"spec": {"destination": {"server": server}}})
    yield
    prod.patch("Application", "argocd", name, {"spec": before["spec"]})
    prod.thaw()


def test_a_warning_that_came_to_rest_is_evidence_only(post: Post) -> None:
    post.sandbox.prod.workloads.event("gitea", "gitea-x.unhealthy", "Pod", "gitea-5d6f7c8b9d-x2k4z", "Unhealthy", "probe failed", 3)
    elsewhere = {
        "kind": "Event",
        "metadata": {"name": "x", "namespace": "default"},
        "involvedObject": {"kind": "Node", "name": "n", "namespace": "default"},
    }
    post.sandbox.prod.apply({**elsewhere, "type": "Warning", "reason": "FailedMount", "message": "m", "count": 1, "lastTimestamp": stamp()})
    result = post.run()
    post.sandbox.prod.delete("Event", "gitea", "gitea-x.unhealthy")
    post.sandbox.prod.delete("Event", "default", "x")
    assert result.verdict is Verdict.PASSED, result.reason
    said = check(result, "events").evidence["warnings"]
    assert "Unhealthy gitea/Pod gitea-5d6f7c8b9d-x2k4z (3 times" in str(said)
    assert "FailedMount" not in str(said), "not about an application of this promotion"


def test_while_a_rollback_is_proven_the_monitoring_is_reported_and_does_not_count(post: Post) -> None:
    mark = post.sandbox.alertmanager.fire("StillRinging")
    post.sandbox.grafana.fault(Fault(kind="refuse"))
    post.sandbox.prometheus.put("kube_pod_container_status_restarts_total", {"pod": "x"}, 1000)
    try:
        result = post.run(state="back")
    finally:
        post.sandbox.alertmanager.resolve(mark)
        post.sandbox.grafana.clear_faults()
        post.sandbox.prometheus.forget("kube_pod_container_status_restarts_total")
    assert result.verdict is Verdict.PASSED, result.reason
    assert verdicts(result, Verdict.WARNING) == {"alerts", "grafana", "promql[restarts]"}
    assert "StillRinging" in check(result, "alerts").detail


def test_rows_without_a_source_are_listed_as_off(post: Post, tmp_path: Path) -> None:
    text = (post.clone / "promotion.toml").read_text()
    bare = text[: text.index("# Monitoring:")] + text[text.index("[suites]") :]
    clone = tmp_path / "clone"
    post.sandbox.clone(clone)
    (clone / "promotion.toml").write_text(bare)
    result = replace_clone(post, clone).run()
    assert result.verdict is Verdict.PASSED, result.reason
    assert verdicts(result, Verdict.DISABLED) == {"promql", "alerts", "grafana"}
    assert check(result, "alerts").detail == "not configured: alertmanager.url is empty"
    (clone / "checks" / "post" / "test_signals.py").unlink()
    (clone / "promotion.toml").write_text(text)
    result = replace_clone(post, clone).run()
    assert verdicts(result, Verdict.ERRORED) == {"promql[scraped]", "promql[restarts]", "alerts", "grafana"}, "configured, and no check reported"


def replace_clone(post: Post, clone: Path) -> Post:
    return Post(sandbox=post.sandbox, clone=clone, reports=post.reports, context=post.context)


def ready(post: Post, folder: Path, change: tuple[str, str] = ("", "")) -> CheckResult:
    """The pre check about the monitoring, with a changed promotion.toml."""
    clone = post.sandbox.clone(folder / "clone")
    text = (clone / "promotion.toml").read_text()
    assert change[0] in text
    (clone / "promotion.toml").write_text(text.replace(*change))
    for path in (clone / "checks" / "pre").glob("test_*.py"):
        if path.name != "test_monitoring.py":
            path.unlink()
    settings = read_settings(clone / "promotion.toml")
    result = run_suite(
        "pre", clone / "checks" / "pre", context=replace(post.context, state="before"), settings=settings, reports=post.reports, deadline=Deadline(60)
    )
    saw_verdicts((check.id, check.verdict) for check in result.checks)
    return check(result, "monitoring-ready")


def test_monitoring_that_can_prove_something_afterwards_is_ready(post: Post, tmp_path: Path) -> None:
    found = ready(post, tmp_path)
    assert found.verdict is Verdict.PASSED, found.detail
    assert found.evidence["promql[scraped]"] == {"{}": 1.0}


RULE = 'min(up{job=~"grafana|gitea|vault"})'
NOT_READY: dict[str, tuple[tuple[str, str], str, Verdict]] = {
    "a misspelt metric": ((RULE, "min(upp)"), "promql[scraped]: min(upp) has no data now", Verdict.FAILED),
    "a constant": ((RULE, "vector(1)"), "vector(1) reads no current series", Verdict.FAILED),
    "no expression": ((RULE, "min(up"), "parse error", Verdict.ERRORED),
    "no such dashboard": (('"Kubernetes / Cluster"', '"Kubernetes / Clusters"'), "Grafana has no dashboard 'Kubernetes / Clusters'", Verdict.FAILED),
    "no such watchdog": (('"Watchdog"', '"Watchcat"'), "the alert Watchcat, which always fires, does not", Verdict.ERRORED),
    "no credentials": (("GRAFANA_TOKEN", "GRAFANA_TOKENS"), "the headers name GRAFANA_TOKENS, which the environment does not have", Verdict.ERRORED),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=proves("check", "monitoring-ready", verdict)) for name, (*_, verdict) in NOT_READY.items()]
)
def test_monitoring_that_could_prove_nothing_is_found_out_before_the_move(post: Post, tmp_path: Path, name: str) -> None:
    change, words, verdict = NOT_READY[name]
    found = ready(post, tmp_path, change)
    assert found.verdict is verdict, found.detail
    assert words in found.detail


@pytest.mark.parametrize("source", ["prometheus", "alertmanager", "grafana"])
def test_monitoring_that_does_not_answer_is_unknown_before_the_move(post: Post, tmp_path: Path, source: str) -> None:
    world = getattr(post.sandbox, source)
    world.fault(Fault(kind="refuse"))
    found = ready(post, tmp_path)
    world.clear_faults()
    assert found.verdict is Verdict.ERRORED, found.detail
    assert f"{source} http://127.0.0.1" in found.detail
