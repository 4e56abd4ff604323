"""What the checks ask of production: each function one look, and sentences for what is not as it should be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from promote.argocd.application import Application, parse_application
from promote.argocd.sync_windows import denial
from promote.checklist.promotion import Promotion
from promote.convergence.baseline import Baseline, problems
from promote.convergence.wait import CONVERGED, ConvergenceResult
from promote.core.deadline import Clock, Deadline
from promote.core.errors import PromoteError
from promote.core.model import AppState, Verdict
from promote.kube.workloads import Event, Pod, grouped, log_tail, newly_failing, parse_pod, repeats, same_trouble, stem, warnings

RECENT = timedelta(minutes=10)
LOGS = 3  # pods whose last lines are asked for: each is a request


def baseline_problems(promotion: Promotion, evidence: Callable[[str, object], None]) -> list[str]:
    """Why production is no ground to promote from. An unreadable or Unknown application raises: nobody can tell."""
    baseline = promotion.production_read.result()
    apps = baseline.applications(promotion.goal)
    evidence("applications", len(apps))
    evidence("unhealthy", sorted(a.name for a in apps.values() if a.health != "Healthy"))
    return problems(baseline, promotion.goal, promotion.settings, first=promotion.choices.first)


def without_auto_sync(promotion: Promotion) -> list[str]:
    return sorted(a.name for a in _following(promotion) if not a.auto_sync)


def _following(promotion: Promotion) -> list[Application]:
    return [a for a in promotion.production_read.result().applications(promotion.goal).values() if promotion.goal.tracks(a)]


def denied_by_windows(promotion: Promotion) -> list[str]:
    """Applications that a window denies at some moment until everything, the rollback included, would be through. Raises BadWindow."""
    settings = promotion.settings
    apps = _following(promotion)
    windows = promotion.production.sync_windows((a.namespace, a.project) for a in apps)
    now = Clock().now()
    moving = settings.workflow.timeout + settings.workflow.approval_timeout if settings.promotion.via == "workflow" else 0.0
    total = moving + 2 * (settings.argocd.converge_timeout + 2 * settings.suites.timeout) + settings.post.soak
    end = now + timedelta(seconds=total)
    return sorted(f"{a.name}: {why}" for a in apps if (why := denial(a, windows.get(a.project, []), now, end)))


def not_there(observed: ConvergenceResult, *, health: bool) -> list[str]:
    """Applications that are not there, told apart by whether only their health is missing.

    Raises PromoteError when nobody could tell: a list that could not be read has nobody on it who is late.
    """
    if observed.verdict is Verdict.ERRORED:
        raise PromoteError(f"production could not be judged: {observed.reason}", hint="kubectl -n argocd get applications (production's context)")
    return [f"  {a.name}: {a.reason}" for a in observed.applications if a.state not in CONVERGED and a.about_health is health]


def tolerated(observed: ConvergenceResult) -> list[str]:
    return [f"{a.name}: {a.reason}" for a in observed.applications if a.state is AppState.TOLERATED]


def _pods(promotion: Promotion) -> dict[str, Pod]:
    return {p.key: p for p in map(parse_pod, promotion.production.kube.items("/api/v1/pods"))}


def _pods_before(baseline: Baseline | None) -> dict[str, Pod]:
    return dict(baseline.pods()) if baseline else {}


def failing_pods(promotion: Promotion, evidence: Callable[[str, object], None], clock: Clock | None = None) -> list[str]:
    """Pods newly failing against the baseline, in one paged read, a text for each; the first few with the last lines they wrote.

    A pod made since the baseline that has restarted is looked at again, for as long as `post.event_window`: between two crashes it looks well.
    """
    now, before, clock = _pods(promotion), _pods_before(promotion.baseline), clock or Clock()
    grace = promotion.settings.post.pending_grace
    found = newly_failing(now, before, at=clock.now(), pending_grace_s=grace)
    restarted = {k: p for k, p in now.items() if p.restarts and k not in before} if promotion.baseline else {}
    deadline = Deadline(min(promotion.settings.post.event_window, promotion.settings.suites.check_timeout / 2), clock)
    while restarted and not found and not deadline.expired:
        deadline.sleep(min(2.0, promotion.settings.argocd.poll_interval))
        now = _pods(promotion)
        found = newly_failing(now, before, at=clock.now(), pending_grace_s=grace) or [
            f"{key}: restarts again and again, {now[key].restarts} times since it was made"
            for key, pod in sorted(restarted.items())
            if key in now and now[key].restarts > pod.restarts
        ]
    evidence("pods", len(now))
    evidence("failing before", sorted(p.key for p in before.values() if p.trouble)[:20])
    evidence("restarted since they were made, and at rest", sorted(k for k in restarted if not any(s.startswith(f"{k}: ") for s in found))[:20])
    told = []
    for number, sentence in enumerate(found):
        pod = now[sentence.partition(": ")[0]]
        log = log_tail(promotion.production.kube, pod, lines=4) if number < LOGS else []
        told.append("\n".join([f"  {sentence}", *(f"    | {line}" for line in log)]))
    return told


def repeating_warnings(promotion: Promotion, evidence: Callable[[str, object], None], clock: Clock | None = None) -> list[str]:
    """Warnings of a listed reason about this promotion's applications that were seen after Healthy held and are seen again.

    Watched for as long as `post.event_window`; a warning that was silent for that long already does not repeat.
    """
    settings, kube, clock = promotion.settings, promotion.production.kube, clock or Clock()
    since, places = promotion.started or clock.now() - RECENT, _places(promotion)
    deadline = Deadline(min(settings.post.event_window, settings.suites.check_timeout / 2), clock)

    def look() -> tuple[Event, ...]:
        return grouped(e for e in warnings(kube, since=since.replace(microsecond=0)) if e.namespace in places)

    first, silent = look(), clock.now() - timedelta(seconds=deadline.seconds + 1)
    evidence("warnings", [_words(e) for e in first[:20]])
    sick = [p for p in _pods_before(promotion.baseline).values() if p.trouble]
    before = {f"{p.namespace}/{stem(f'Pod {p.name}')}" for p in sick}
    watched = [
        e for e in first if e.reason in settings.post.event_reasons and e.last and e.last >= silent and f"{e.namespace}/{stem(e.about)}" not in before
    ]
    again: list[Event] = []
    while watched and not again and not deadline.expired:
        deadline.sleep(min(2.0, settings.argocd.poll_interval))
        seen = look()
        again = [next(e for e in seen if same_trouble(e, f)) for f in watched if repeats(f, seen)]
    return [f"  {_words(e)}" for e in again]


def _places(promotion: Promotion) -> frozenset[str]:
    """The namespaces that the applications following the tag put something into."""
    found = set[str]()
    for manifest in promotion.production.manifests():
        app = parse_application(manifest)
        if promotion.goal.tracks(app):
            found |= {app.destination_namespace, *(r.get("namespace", "") for r in (manifest.get("status") or {}).get("resources") or ())}
    return frozenset(found)


def _words(event: Event) -> str:
    at = f", last {event.last:%H:%M:%S} UTC" if event.last else ""
    return f"{event.reason} {event.namespace}/{event.about} ({event.count} times{at}): {event.message}"
