"""The logic of the checks that read production's cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from promote.argocd.application import Application, parse_application
from promote.argocd.application_sets import synced_in_steps
from promote.argocd.sync_windows import denial
from promote.checklist.outcome import Undetermined
from promote.checklist.promotion import Promotion
from promote.convergence.application_status import Limits, healthy
from promote.convergence.baseline import Baseline, problems
from promote.convergence.excuse import inexcusable, unhealthy_resources
from promote.convergence.fleet import select
from promote.convergence.membership import undetermined_members
from promote.convergence.running import ADVICE, Running, read_running, unreadable
from promote.convergence.wait import CONVERGED, ConvergenceResult
from promote.core.deadline import Clock, Deadline
from promote.core.errors import PromoteError
from promote.core.model import AppState, Evidence, Verdict
from promote.kube.current import Attempt
from promote.kube.workloads import Event, Pod, grouped, log_tail, newly_failing, none_serve, repeats, same_trouble, stem, warnings
from promote.report.words import counted, listed

RECENT = timedelta(minutes=10)
LIVE = ("workloads-updated", "pods-running", "events")  # the checks that read the clusters which applications are deployed to
LOGS = 3  # pods whose last log lines are read: one request each


def kubectl(promotion: Promotion, cluster: str, destination: str = "") -> str:
    """`kubectl` with the options that select a cluster, for the `do` line of a message. `cluster` is "prod" or "dev".

    `destination`: a cluster that production's applications are deployed to, by its name or server in `prod.clusters`; "" for Argo CD's own.
    """
    settings = promotion.settings.prod if cluster == "prod" else promotion.settings.dev
    kubeconfig, context = settings.kubeconfig, settings.context
    if there := next((c for c in promotion.settings.prod.clusters if destination and destination in (c.name, c.server)), None):
        kubeconfig, context = promotion.settings.prod.access(there)
    file = f" --kubeconfig {kubeconfig}" if kubeconfig and (promotion.settings.root / kubeconfig).is_file() else ""
    return f"kubectl{file}" + (f" --context {context}" if context else "")


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
    unseen = unreadable(promotion.production, apps.values()) if not found and not unclear and _pods_count(promotion) else {}
    evidence("applications whose pods cannot be read", sorted(unseen))
    if unseen:
        raise Undetermined(
            f"the workloads, pods and events of {_named(unseen)} could not be read after the move",
            hint=f"add the cluster to promotion.toml ([[prod.clusters]]), or put {', '.join(LIVE)} on checklist.advisory",
        )
    return found + [f"undetermined: {text}" for text in unclear]


def _pods_count(promotion: Promotion) -> bool:
    """Whether a check that reads live objects can block this promotion."""
    checklist = promotion.settings.checklist
    return not {*LIVE} <= {*checklist.advisory, *(entry.id for entry in checklist.disabled)}


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
        raise _no_applications(promotion)
    return found


def _no_applications(promotion: Promotion) -> Undetermined:
    return Undetermined(
        f"no application in {', '.join(promotion.settings.prod.namespaces)} follows {promotion.settings.tags.stable}: there is nothing to judge",
        hint="see production-baseline; prod.namespaces and prod.selector in promotion.toml determine which applications are read",
    )


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


def _running(promotion: Promotion) -> Running:
    """The pods of production's applications. Raises PromoteError, and Undetermined when there is nothing to judge."""
    before, baseline, started = promotion.applications_before, promotion.baseline, promotion.started
    apps = select(promotion.production.applications(), promotion.goal, also=before)
    if not apps:
        raise _no_applications(promotion)
    attempt = Attempt(start=baseline.taken, end=started) if promotion.state == "back" and baseline and started else None
    running = read_running(promotion.production, apps.values(), before=before, attempt=attempt)
    if why := running.nothing:
        raise Undetermined(
            f"{why} ({counted(len(apps), 'application')} looked at)",
            hint=f"{kubectl(promotion, 'prod')} get pods -A: do prod.kubeconfig and prod.context name the cluster that runs them?",
        )
    return running


def _pods_before(baseline: Baseline | None) -> dict[str, Pod]:
    return dict(baseline.pods()) if baseline else {}


def failing_pods(promotion: Promotion, evidence: Evidence, clock: Clock | None = None) -> dict[str, str]:
    """Pods of production's applications that fail now and did not in the baseline: "namespace/name" (and " in CLUSTER" where it is not Argo CD's own)
    → the reason, followed for the first three pods by their last log lines.

    A pod created since the baseline that has restarted is watched for `post.event_window`, because a crashing pod looks healthy between two
    crashes; a workload without any pod that is Ready, for half of `suites.check_timeout`. Raises PromoteError when a cluster cannot be read, and
    Undetermined when nothing fails but some pods could not be judged.
    """
    settings, clock = promotion.settings, clock or Clock()
    running, before = _running(promotion), _pods_before(promotion.baseline)
    restarted = {k: p for k, p in running.pods.items() if p.restarts and k not in before} if promotion.baseline else {}
    crashes = Deadline(min(settings.post.event_window, settings.suites.check_timeout / 2), clock)
    starts = Deadline(settings.suites.check_timeout / 2, clock)
    found = _newly_failing(promotion, running.pods, before, restarted, clock)
    while not found and ((restarted and not crashes.expired) or (none_serve(running.pods, before) and not starts.expired)):
        starts.sleep(min(2.0, settings.argocd.poll_interval))
        running = _running(promotion)
        found = _newly_failing(promotion, running.pods, before, restarted, clock)
    _tell(running, before, evidence)
    evidence("restarted since they were created, stable now", sorted(k for k in restarted if not any(s.startswith(f"{k}: ") for s in found))[:20])
    failing = {}
    for number, sentence in enumerate(found):
        key, _, reason = sentence.partition(": ")
        pod = running.pods[key]
        log = log_tail(running.clusters[pod.cluster], pod, lines=4) if number < LOGS else []
        failing[key] = "\n".join([reason, *(f"    | {line}" for line in log)])
    if not failing:
        _raise_undetermined(promotion, running, before, clock)
    return failing


def _newly_failing(promotion: Promotion, now: Mapping[str, Pod], before: Mapping[str, Pod], restarted: Mapping[str, Pod], clock: Clock) -> list[str]:
    return newly_failing(now, before, at=clock.now(), pending_grace_s=promotion.settings.post.pending_grace) or [
        f"{key}: keeps restarting, {now[key].restarts} times since it was created{now[key].note}"
        for key, pod in sorted(restarted.items())
        if key in now and now[key].restarts > pod.restarts
    ]


def _tell(running: Running, before: Mapping[str, Pod], evidence: Evidence) -> None:
    """The evidence of `failing_pods`; the trouble of other applications' pods is in it, and never a failure."""
    evidence("pods", len(running.pods))
    evidence("applications without workloads", sorted(running.idle))
    evidence("failing before", sorted(p.key for p in before.values() if p.trouble)[:20])
    evidence("not counted", [f"{k}: {p.trouble}: {p.note}" for k, p in sorted(running.left_out.items()) if p.trouble][:20])
    theirs = [f"{k}: {p.trouble}" for k, p in sorted(running.others.items()) if p.trouble and not (k in before and before[k].trouble)]
    evidence(ADVICE, theirs[:20])


def _raise_undetermined(promotion: Promotion, running: Running, before: Mapping[str, Pod], clock: Clock) -> None:
    """Raise Undetermined when pods, or whole applications, could not be judged."""
    grace = promotion.settings.post.pending_grace
    unknown = newly_failing(running.unclear, before, at=clock.now(), pending_grace_s=grace)
    if running.unseen:
        raise Undetermined(f"the pods of {_named(running.unseen)} could not be read", hint="add the cluster to promotion.toml: [[prod.clusters]]")
    if unknown:
        raise Undetermined("; ".join(unknown[:3]), hint="rights needed: docs/rbac.md")
    if late := none_serve(running.pods, before):
        pods = [p for group in late.values() for p in group]
        raise Undetermined(
            f"no pod of its workload is Ready yet: {', '.join(p.key for p in pods[:3])}",
            hint=f"{pod_command(promotion, pods[0].key, 'describe')}; post.pending_grace is {grace:g} s",
        )


def _named(apps: Mapping[str, str]) -> str:
    """Applications by name, with the reason of the first."""
    shown = sorted(apps)
    return f"{listed(shown, 6)} ({apps[shown[0]]})"


def pod_command(promotion: Promotion, pod: str, verb: str) -> str:
    """The kubectl command (`describe`, `logs`) for a pod that `failing_pods` names, in the cluster that runs it."""
    key, _, label = pod.partition(" in ")
    namespace, _, name = key.partition("/")
    return f"{kubectl(promotion, 'prod', label)} -n {namespace} {verb} {'pod ' if verb == 'describe' else ''}{name}"


def repeating_warnings(promotion: Promotion, evidence: Evidence, clock: Clock | None = None) -> list[str]:
    """Warning events that keep repeating, one line each; [] when none does.

    Only reasons listed in `post.event_reasons`, about the workloads of the applications that belong to this promotion; the others are evidence.
    Watches for at most `post.event_window`; a warning last seen longer ago than that does not repeat. Warnings about pods that failed before the
    move do not count. Raises PromoteError when a cluster cannot be read, and Undetermined when nothing repeats but some applications' events
    cannot be read.
    """
    settings, clock = promotion.settings, clock or Clock()
    since, running = promotion.started or clock.now() - RECENT, _running(promotion)
    deadline = Deadline(min(settings.post.event_window, settings.suites.check_timeout / 2), clock)

    def look() -> tuple[tuple[Event, ...], tuple[Event, ...]]:
        """The warnings about this promotion's workloads, and the others."""
        ours, others = list[Event](), list[Event]()
        for label, kube in running.clusters.items():
            try:
                found = warnings(kube, since=since.replace(microsecond=0))
            except PromoteError as error:
                running.lose(label, error)
                continue
            for event in found:
                (ours if running.is_ours(event, label) else others).append(event)
        return grouped(ours), grouped(others)

    (first, others), oldest = look(), clock.now() - timedelta(seconds=deadline.seconds + 1)
    evidence("warnings", [_words(e) for e in first[:20]])
    evidence("warnings about others (advice)", [_words(e) for e in others[:20]])
    failing = [p for p in _pods_before(promotion.baseline).values() if p.trouble]
    before = {f"{p.namespace}/{stem(f'Pod {p.name}')}" for p in failing}
    watched = [
        e for e in first if e.reason in settings.post.event_reasons and e.last and e.last >= oldest and f"{e.namespace}/{stem(e.about)}" not in before
    ]
    again: list[Event] = []
    while watched and not again and not deadline.expired:
        deadline.sleep(min(2.0, settings.argocd.poll_interval))
        seen, _ = look()
        again = [next(e for e in seen if same_trouble(e, f)) for f in watched if repeats(f, seen)]
    if running.unseen and not again:
        raise Undetermined(f"the events of {_named(running.unseen)} could not be read", hint="add the cluster to promotion.toml: [[prod.clusters]]")
    return [f"  {_words(e)}" for e in again]


def _words(event: Event) -> str:
    at = f", last {event.last:%H:%M:%S} UTC" if event.last else ""
    return f"{event.reason} {event.namespace}/{event.about} ({event.count} times{at}): {event.message}"
