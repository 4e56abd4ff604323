"""The logic of the checks that read production's cluster."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from promote.argocd.application import Application, parse_application
from promote.argocd.application_sets import synced_in_steps
from promote.argocd.sync_windows import denial
from promote.checklist.outcome import Undetermined
from promote.checklist.promotion import Promotion
from promote.convergence.application_status import Limits, healthy
from promote.convergence.baseline import Baseline, problems
from promote.convergence.excuse import inexcusable, unhealthy_resources
from promote.convergence.membership import undetermined_members
from promote.convergence.wait import CONVERGED, ConvergenceResult
from promote.core.deadline import Clock, Deadline
from promote.core.model import AppState, Evidence, Verdict
from promote.kube.workloads import Event, Pod, grouped, log_tail, newly_failing, parse_pod, repeats, same_trouble, stem, warnings

RECENT = timedelta(minutes=10)
LOGS = 3  # pods whose last log lines are read: one request each


def kubectl(promotion: Promotion, cluster: str) -> str:
    """`kubectl` with the options that select a cluster, for the `do` line of a message. `cluster` is "prod" or "dev"."""
    settings = promotion.settings.prod if cluster == "prod" else promotion.settings.dev
    file = f" --kubeconfig {settings.kubeconfig}" if settings.kubeconfig and (promotion.settings.root / settings.kubeconfig).is_file() else ""
    return f"kubectl{file}" + (f" --context {settings.context}" if settings.context else "")


def describe_applications(promotion: Promotion, names: Iterable[str]) -> str:
    """The kubectl command that shows conditions and last operation of production's Applications: at most six of `names`."""
    return f"{kubectl(promotion, 'prod')} -n {promotion.settings.prod.namespaces[0]} describe applications.argoproj.io {' '.join([*names][:6])}"


def baseline_problems(promotion: Promotion, evidence: Evidence) -> list[str]:
    """Reasons why production is not fit to be promoted from, one sentence each; [] when it is.

    Reports as evidence how many applications follow the stable tag and which are unhealthy. Raises PromoteError when the cluster cannot be read, and
    Undetermined when it was read and an application can still not be judged: its name, the reason and the setting that decides; or when an unhealthy
    application could not be excused after the move, because it is not known which of its resources are unhealthy.
    """
    baseline, settings = promotion.production_read.result(), promotion.settings
    apps = baseline.applications(promotion.goal)
    evidence("applications", len(apps))
    evidence("unhealthy", {a.name: unhealthy_resources(a) for a in apps.values() if a.health != "Healthy"})
    found = problems(baseline, promotion.goal, settings, first=promotion.choices.first)
    unclear, advice = undetermined_members([*map(parse_application, baseline.manifests)], promotion.goal, settings)
    limits = Limits.of(settings)
    late = [] if promotion.choices.first else [a for a in apps.values() if not healthy(a, limits) and a.name != promotion.goal.root]
    if unknown := inexcusable(late, baseline.unread):
        unclear = [*unclear, *(f"{text}: after the move it could not be tolerated" for text in unknown)]
        repair = f"{describe_applications(promotion, [a.name for a in late])}; repair it, or grant the rights of docs/rbac.md"
        advice = "; ".join(filter(None, (advice, repair)))
    if unclear and not found:
        raise Undetermined("\n".join(unclear), hint=advice)
    return found + [f"undetermined: {text}" for text in unclear]


def applications_without_auto_sync(promotion: Promotion) -> list[str]:
    """Names of production's applications whose `spec.syncPolicy.automated` is absent, sorted.

    Without those whose ApplicationSet starts their syncs step by step (RollingSync): its controller took `automated` away. Raises PromoteError when
    the cluster cannot be read, Undetermined when no application follows the tag.
    """
    apps = following(promotion)
    steps = synced_in_steps(promotion.production.kube, apps)
    return sorted(a.name for a in apps if not a.auto_sync and a.key not in steps)


def following(promotion: Promotion) -> list[Application]:
    """Production's applications that follow the stable tag. Raises Undetermined when there is none: a check must not pass over nothing."""
    found = [a for a in promotion.production_read.result().applications(promotion.goal).values() if promotion.goal.tracks(a)]
    if not found:
        raise Undetermined(
            f"no application in {', '.join(promotion.settings.prod.namespaces)} follows {promotion.settings.tags.stable}: there is nothing to judge",
            hint="see production-baseline; prod.namespaces and prod.selector in promotion.toml determine which applications are read",
        )
    return found


def applications_denied_by_windows(promotion: Promotion) -> list[str]:
    """Applications that a sync window denies at some moment before the promotion and its rollback would be finished: "NAME: reason", sorted.

    The end is estimated from the timeouts in promotion.toml. Raises PromoteError when the cluster cannot be read, a project does not exist or a
    window is malformed, Undetermined when no application follows the tag.
    """
    settings = promotion.settings
    apps = following(promotion)
    projects = promotion.production.projects(apps)
    now = Clock().now()
    moving = settings.workflow.timeout + settings.workflow.approval_timeout if settings.promotion.via == "workflow" else 0.0
    total = moving + 2 * (settings.argocd.converge_timeout + 2 * settings.suites.timeout) + settings.post.soak
    end = now + timedelta(seconds=total)
    return sorted(f"{a.name}: {why}" for a in apps if (why := denial(a, projects[a.project], now, end)))


def applications_not_synced(observed: ConvergenceResult) -> dict[str, str]:
    """Applications that have not applied the commit, by name, each with the reason (revision, sync status, operation, refresh); {} when all have.

    Raises Undetermined when the applications could not be read: an unread list would show none that is late.
    """
    return _pending(observed, health=False)


def applications_not_healthy(observed: ConvergenceResult) -> dict[str, str]:
    """Applications that have applied the commit and are not Healthy, by name, each with the reason; {} when all are.

    Applications that were unhealthy before the move are not among them: see `tolerated_applications`. Raises as `applications_not_synced`.
    """
    return _pending(observed, health=True)


def _pending(observed: ConvergenceResult, *, health: bool) -> dict[str, str]:
    if observed.verdict is Verdict.ERRORED:
        raise Undetermined(f"production could not be judged: {observed.reason}", hint="promote status")
    return {a.name: a.reason for a in observed.applications if a.state not in CONVERGED and a.about_health is health}


def tolerated_applications(observed: ConvergenceResult) -> list[str]:
    """Applications that were unhealthy before the move and still are: "NAME: reason". They do not count."""
    return [f"{a.name}: {a.reason}" for a in observed.applications if a.state is AppState.TOLERATED]


def _pods(promotion: Promotion) -> dict[str, Pod]:
    return {p.key: p for p in map(parse_pod, promotion.production.kube.items("/api/v1/pods"))}


def _pods_before(baseline: Baseline | None) -> dict[str, Pod]:
    return dict(baseline.pods()) if baseline else {}


def failing_pods(promotion: Promotion, evidence: Evidence, clock: Clock | None = None) -> dict[str, str]:
    """Pods that fail now and did not in the baseline: "namespace/name" → the reason, followed for the first three pods by their last log lines.

    A pod created since the baseline that has restarted is watched for `post.event_window`, because a crashing pod looks healthy between two
    crashes. Raises PromoteError when the cluster cannot be read.
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
            f"{key}: keeps restarting, {now[key].restarts} times since it was created"
            for key, pod in sorted(restarted.items())
            if key in now and now[key].restarts > pod.restarts
        ]
    evidence("pods", len(now))
    evidence("failing before", sorted(p.key for p in before.values() if p.trouble)[:20])
    evidence("restarted since they were created, stable now", sorted(k for k in restarted if not any(s.startswith(f"{k}: ") for s in found))[:20])
    failing = {}
    for number, sentence in enumerate(found):
        key, _, reason = sentence.partition(": ")
        log = log_tail(promotion.production.kube, now[key], lines=4) if number < LOGS else []
        failing[key] = "\n".join([reason, *(f"    | {line}" for line in log)])
    return failing


def repeating_warnings(promotion: Promotion, evidence: Evidence, clock: Clock | None = None) -> list[str]:
    """Warning events that keep repeating, one line each; [] when none does.

    Only reasons listed in `post.event_reasons`, in the namespaces that this promotion's applications deploy to. Watches
    for at most `post.event_window`; a warning last seen longer ago than that does not repeat. Warnings about pods that failed before the move do
    not count. Raises PromoteError when the cluster cannot be read.
    """
    settings, kube, clock = promotion.settings, promotion.production.kube, clock or Clock()
    since, places = promotion.started or clock.now() - RECENT, _places(promotion)
    deadline = Deadline(min(settings.post.event_window, settings.suites.check_timeout / 2), clock)

    def look() -> tuple[Event, ...]:
        return grouped(e for e in warnings(kube, since=since.replace(microsecond=0)) if e.namespace in places)

    first, oldest = look(), clock.now() - timedelta(seconds=deadline.seconds + 1)
    evidence("warnings", [_words(e) for e in first[:20]])
    failing = [p for p in _pods_before(promotion.baseline).values() if p.trouble]
    before = {f"{p.namespace}/{stem(f'Pod {p.name}')}" for p in failing}
    watched = [
        e for e in first if e.reason in settings.post.event_reasons and e.last and e.last >= oldest and f"{e.namespace}/{stem(e.about)}" not in before
    ]
    again: list[Event] = []
    while watched and not again and not deadline.expired:
        deadline.sleep(min(2.0, settings.argocd.poll_interval))
        seen = look()
        again = [next(e for e in seen if same_trouble(e, f)) for f in watched if repeats(f, seen)]
    return [f"  {_words(e)}" for e in again]


def _places(promotion: Promotion) -> frozenset[str]:
    """The namespaces that the applications which follow the tag deploy to."""
    found = set[str]()
    for manifest in promotion.production.manifests():
        app = parse_application(manifest)
        if promotion.goal.tracks(app):
            found |= {app.destination_namespace, *(r.get("namespace", "") for r in (manifest.get("status") or {}).get("resources") or ())}
    return frozenset(found)


def _words(event: Event) -> str:
    at = f", last {event.last:%H:%M:%S} UTC" if event.last else ""
    return f"{event.reason} {event.namespace}/{event.about} ({event.count} times{at}): {event.message}"
