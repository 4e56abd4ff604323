"""The logic of `workloads-updated`: production down to the pods.

Every workload of an application that belongs to this promotion runs its newest spec.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from promote.argocd.application import Application, Resource
from promote.argocd.client import ArgoCD
from promote.argocd.resource_health import counted_resources, elsewhere, unhealthy
from promote.checklist.outcome import Undetermined
from promote.checklist.promotion import Promotion
from promote.config.schema import Settings
from promote.config.schema_checklist import AcceptedWorkload
from promote.convergence.application_status import Goal
from promote.convergence.fleet import select
from promote.core.deadline import Clock, Deadline
from promote.core.model import Evidence
from promote.kube.client import Kube
from promote.kube.health import Manifest, health_of, severity
from promote.kube.live import LISTS, Live, ResourceKey, read_live
from promote.kube.ownership import Claims, Ownership
from promote.kube.rollout_status import WORKLOADS, RolloutState, RolloutStatus, rollout_status

SPEC = "the live spec, which Argo CD calls Synced at the commit"
PODS = ("", "Pod")


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """One workload of an application, as `status.resources` lists it."""

    application: Application
    resource: Resource

    @property
    def label(self) -> str:
        """`StatefulSet shop/db of db`."""
        return f"{self.resource.kind} {self.resource.namespace}/{self.resource.name} of {self.application.name}"


@dataclass(kw_only=True, slots=True)
class Look:
    """One look at all workloads, each in words: `late` by label; `final`: at least one of them stays so without help. `accepted`, `before`: tolerated
    by a rule of promotion.toml, or as unhealthy as before the move."""

    late: dict[str, str] = field(default_factory=dict)
    final: bool = False
    accepted: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)


def workloads_of(apps: Iterable[Application]) -> list[Workload]:
    """The workloads of these applications, without hooks and without what is no longer in git."""
    return [Workload(application=a, resource=r) for a in apps for r in counted_resources(a) if (r.group, r.kind) in WORKLOADS]


def outdated_workloads(promotion: Promotion, evidence: Evidence, clock: Clock | None = None) -> dict[str, str]:
    """Workloads whose pods do not run their newest spec, by "KIND namespace/name of APPLICATION", each with the reason; {} when all do.

    Looks again, for at most `running.timeout`, while pods are still replaced. Raises Undetermined when there is nothing to look at and for objects
    that cannot be read, PromoteError when the cluster cannot be read.
    """
    return find_outdated(promotion.production, promotion.goal, promotion.settings, promotion.applications_before.values(), evidence, clock)


def find_outdated(
    argocd: ArgoCD, goal: Goal, settings: Settings, before: Iterable[Application], evidence: Evidence, clock: Clock | None = None
) -> dict[str, str]:
    """The logic of `outdated_workloads`. `before`: the applications before the move, with the health of their resources."""
    deadline = Deadline(settings.running.timeout, clock or Clock())
    troubles = {key: health for a in before for key, health in unhealthy(a).items()}
    while True:
        apps, unreadable = _members(argocd, goal)
        workloads = workloads_of(apps)
        found = _look(argocd.kube, workloads, troubles, settings.running.in_force(deadline.clock.now().date())) if workloads else Look()
        if not found.late or found.final or deadline.expired:
            break
        deadline.sleep(settings.argocd.poll_interval)
    evidence("workloads", len(workloads))
    evidence("compared with", SPEC)
    evidence("accepted (running.accept)", found.accepted)
    evidence("as unhealthy as before", found.before)
    if unreadable and not found.late:
        raise Undetermined(f"not judged: {'; '.join(unreadable[:6])}", hint="verify these by hand, or disable the check with a reason")
    if not workloads:
        raise Undetermined(
            f"none of the {len(apps)} applications that belong to this promotion deploys a workload, so nothing shows what runs",
            hint='where that is intended: [[checklist.disabled]] with id = "workloads-updated" and a reason',
        )
    return found.late


def _members(argocd: ArgoCD, goal: Goal) -> tuple[list[Application], list[str]]:
    """The applications whose workloads can be read here, and why others cannot be."""
    members = select(argocd.applications(), goal).values()
    far = {a.key: why for a in members if (why := elsewhere(a, argocd.kube.host))}
    return [a for a in members if a.key not in far], [f"{a.name}: {far[a.key]}" for a in members if a.key in far]


def _look(kube: Kube, workloads: list[Workload], troubles: Mapping[ResourceKey, str], rules: Sequence[AcceptedWorkload]) -> Look:
    live = read_live(kube.items, {(w.resource.group, w.resource.kind) for w in workloads} | {PODS})
    if live.unread:
        raise Undetermined(f"not every workload can be read: {'; '.join(live.unread.values())}", hint="grant the rights of docs/rbac.md")
    pods = _pods_of(workloads, live, kube.items)
    found = Look()
    for workload in sorted(workloads, key=lambda w: w.label):
        manifest = live.objects.get(workload.resource.key)
        status = rollout_status(manifest, pods.get(workload.resource.key, [])) if manifest else _absent()
        if status.state is RolloutState.UPDATED:
            continue
        resource = workload.resource
        rule = next((r for r in rules if r.covers(workload.application.name, resource.kind, resource.name)), None)
        if rule:
            found.accepted.append(f"{workload.label}: {status.text} (accepted: {rule.reason})")
        elif manifest and status.state is not RolloutState.HELD and _as_before(manifest, troubles.get(workload.resource.key, "")):
            found.before.append(f"{workload.label}: {status.text}")
        else:
            found.late[workload.label] = status.text
            # A canary between its steps goes on by itself or by hand; the other designs wait for a person who does not know that we wait.
            found.final |= status.state is RolloutState.FAILED or (status.state is RolloutState.HELD and workload.resource.kind != "Rollout")
    return found


def _absent() -> RolloutStatus:
    return RolloutStatus(state=RolloutState.ROLLING, text="does not exist")


def _as_before(manifest: Manifest, then: str) -> bool:
    """Whether a workload that was unhealthy before the move is at most as unhealthy now. `then`: its health before, "" when it was healthy."""
    now = health_of(manifest)
    return bool(then) and now is not None and severity(now.status) <= severity(then)


def _pods_of(workloads: list[Workload], live: Live, items: Callable[[str], Iterable[Manifest]]) -> Mapping[ResourceKey, list[Manifest]]:
    """The pods of each workload, by the chain of their owners."""
    lists = {(w.resource.group, w.resource.kind) for w in workloads}
    claims = Claims(objects={w.resource.key: w.application.key for w in workloads})
    read = {LISTS[kind]: live.of(kind) for kind in live.kinds}
    owners = Ownership(claims, lambda path: read[path] if path in read else items(path))
    found: dict[ResourceKey, list[Manifest]] = {}
    for pod in live.of(PODS):
        root = owners.of(pod).root
        if root is not None and root[:2] in lists:
            found.setdefault(root, []).append(pod)
    return found
