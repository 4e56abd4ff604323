"""What the rows ask of production: each function one look, and sentences for what is not as it should be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from promote.baseline import Baseline, problems, take_baseline
from promote.checklist.promotion import Promotion
from promote.clients.workloads import Event, Pod, log_tail, newly_failing, parse_pod, warnings
from promote.converge import THERE, ConvergenceResult
from promote.deadline import Clock
from promote.model import AppState
from promote.sync_windows import denial

RECENT = timedelta(minutes=10)


def baseline_problems(promotion: Promotion, evidence: Callable[[str, object], None]) -> list[str]:
    """Why production is no ground to promote from. An unreadable or Unknown application raises: nobody can tell."""
    baseline = take_baseline(promotion.production)
    apps = baseline.applications(promotion.goal)
    evidence("applications", len(apps))
    evidence("unhealthy", sorted(a.name for a in apps.values() if a.health != "Healthy"))
    return problems(baseline, promotion.goal, promotion.settings, first=promotion.choices.first)


def without_auto_sync(promotion: Promotion) -> list[str]:
    apps = promotion.production.applications()
    return sorted(a.name for a in apps if promotion.goal.tracks(a) and not a.auto_sync)


def denied_by_windows(promotion: Promotion) -> list[str]:
    """Applications that a window denies at some moment until everything, the rollback included, would be through. Raises BadWindow."""
    settings = promotion.settings
    apps = [a for a in promotion.production.applications() if promotion.goal.tracks(a)]
    windows = promotion.production.sync_windows((a.namespace, a.project) for a in apps)
    now = Clock().now()
    moving = settings.workflow.timeout + settings.workflow.approval_timeout if settings.promotion.via == "workflow" else 0.0
    total = moving + 2 * (settings.argocd.converge_timeout + 2 * settings.suites.timeout) + settings.post.soak
    end = now + timedelta(seconds=total)
    return sorted(f"{a.name}: {why}" for a in apps if (why := denial(a, windows.get(a.project, []), now, end)))


def not_there(observed: ConvergenceResult, *, health: bool) -> list[str]:
    """Applications that are not there, told apart by whether only their health is missing."""
    return [f"  {a.name}: {a.reason}" for a in observed.applications if a.state not in THERE and a.about_health is health]


def excused(observed: ConvergenceResult) -> list[str]:
    return [f"{a.name}: {a.reason}" for a in observed.applications if a.state is AppState.EXCUSED]


def _pods(promotion: Promotion) -> dict[str, Pod]:
    return {p.key: p for p in map(parse_pod, promotion.production.kube.items("/api/v1/pods"))}


def _pods_before(baseline: Baseline | None) -> dict[str, Pod]:
    return dict(baseline.pods()) if baseline else {}


def failing_pods(promotion: Promotion) -> list[str]:
    """Pods newly failing against the baseline, each followed by the last lines it wrote."""
    now = _pods(promotion)
    found = newly_failing(now, _pods_before(promotion.baseline), at=Clock().now(), pending_grace_s=promotion.settings.post.pending_grace)
    lines = []
    for sentence in found:
        pod = now[sentence.partition(": ")[0]]
        lines += [f"  {sentence}", *(f"    | {line}" for line in log_tail(promotion.production.kube, pod, lines=4))]
    return lines


def repeating_warnings(promotion: Promotion, evidence: Callable[[str, object], None]) -> list[str]:
    """Warnings of a listed reason whose count still rises between two looks, about something that was not in trouble before."""
    settings, kube = promotion.settings, promotion.production.kube
    since = promotion.started or Clock().now() - RECENT
    first = {(e.namespace, e.about, e.reason): e for e in warnings(kube, since=since)}
    evidence("warnings", [_words(e) for e in list(first.values())[:10]])
    before = {f"{p.namespace}/Pod {p.name}" for p in _pods_before(promotion.baseline).values() if p.trouble}
    watched = {k: e for k, e in first.items() if e.reason in settings.post.event_reasons and f"{e.namespace}/{e.about}" not in before}
    if not watched:
        return []
    Clock().sleep(min(5.0, 3 * settings.argocd.look_every))
    again = {(e.namespace, e.about, e.reason): e for e in warnings(kube, since=since)}
    return [f"  {_words(again[k])}" for k, e in watched.items() if k in again and again[k].count > e.count]


def _words(event: Event) -> str:
    return f"{event.reason} {event.namespace}/{event.about} ({event.count} times): {event.message}"
