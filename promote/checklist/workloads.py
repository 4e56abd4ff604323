"""The logic of `workloads-updated`: production down to the pods.

Every workload of an application that belongs to this promotion runs its newest spec.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from promote.argocd.application import Application, Resource
from promote.argocd.client import ArgoCD, Destination
from promote.argocd.resource_health import counted_resources, unhealthy
from promote.checklist.outcome import Undetermined
from promote.checklist.promotion import Promotion
from promote.config.schema import Settings
from promote.config.schema_checklist import AcceptedWorkload
from promote.convergence.application_status import Goal
from promote.convergence.excuse import BATCH, unchanged
from promote.convergence.fleet import select
from promote.core.deadline import Clock, Deadline
from promote.core.errors import PromoteError
from promote.core.model import Evidence
from promote.kube.health import Manifest, health_of, severity
from promote.kube.live import LISTS, Live, ResourceKey, read_live
from promote.kube.ownership import Claims, Ownership
from promote.kube.rollout_status import WORKLOADS, RolloutState, RolloutStatus, rollout_status
from promote.report.words import listed

SPEC = "the live spec, which Argo CD calls Synced at the commit"
PODS = ("", "Pod")


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """One workload of an application, as `status.resources` lists it."""

    application: Application
    resource: Resource
    cluster: str = ""

    @property
    def label(self) -> str:
        """`StatefulSet shop/db of db`, and ` in CLUSTER` where it is not Argo CD's own."""
        where = f" in {self.cluster}" if self.cluster else ""
        return f"{self.resource.kind} {self.resource.namespace}/{self.resource.name} of {self.application.name}{where}"


@dataclass(kw_only=True, slots=True)
class Look:
    """One look at all workloads, each in words: `late` by label; `final`: at least one of them stays so without help.

    `accepted`, `before`, `unchanged`: those tolerated by a rule of promotion.toml, as unhealthy as before the move, and Jobs of applications that
    this promotion left unchanged. `unread`: why the workloads of an application could not be looked at.
    """

    workloads: int = 0
    late: dict[str, str] = field(default_factory=dict)
    final: bool = False
    accepted: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)


def workloads_of(apps: Iterable[Application], cluster: str = "") -> list[Workload]:
    """The workloads of these applications, without hooks and leftovers that git no longer has. All of them deploy to one cluster."""
    return [Workload(application=a, resource=r, cluster=cluster) for a in apps for r in counted_resources(a) if (r.group, r.kind) in WORKLOADS]


def outdated_workloads(promotion: Promotion, evidence: Evidence, clock: Clock | None = None) -> dict[str, str]:
    """Workloads whose pods do not run their newest spec, by "KIND namespace/name of APPLICATION", and " in CLUSTER" where it is not Argo CD's own,
    each with the reason; {} when all do.

    Looks again, for at most `running.timeout`, while pods are still replaced. Raises Undetermined when there is nothing to look at and for objects
    that cannot be read, PromoteError when Argo CD's own cluster cannot be read.
    """
    return find_outdated(promotion.production, promotion.goal, promotion.settings, promotion.applications_before.values(), evidence, clock)


def find_outdated(
    argocd: ArgoCD, goal: Goal, settings: Settings, before: Iterable[Application], evidence: Evidence, clock: Clock | None = None
) -> dict[str, str]:
    """The logic of `outdated_workloads`. `before`: the applications before the move, with the health of their resources."""
    deadline = Deadline(settings.running.timeout, clock or Clock())
    known = {a.key: a for a in before}
    while True:
        apps = [*select(argocd.applications(), goal).values()]
        found = _look(argocd, apps, known, settings.running.in_force(deadline.clock.now().date()))
        if not found.late or found.final or deadline.expired:
            break
        deadline.sleep(settings.argocd.poll_interval)
    evidence("workloads", found.workloads)
    evidence("compared with", SPEC)
    evidence("accepted (running.accept)", found.accepted)
    evidence("as unhealthy as before", found.before)
    evidence("unchanged by this promotion (ignored)", found.unchanged)
    if found.unread and not found.late:
        raise Undetermined(
            f"not every workload can be read: {listed([f'{name}: {why}' for name, why in sorted(found.unread.items())], 6, '; ')}",
            hint="add the cluster to promotion.toml ([[prod.clusters]]), or grant the rights of docs/rbac.md",
        )
    if not found.workloads and not found.late:
        raise Undetermined(
            f"none of the {len(apps)} applications that belong to this promotion deploys a workload, so nothing shows what runs",
            hint='where that is intended: [[checklist.disabled]] with id = "workloads-updated" and a reason',
        )
    return found.late


def _look(argocd: ArgoCD, apps: Sequence[Application], before: Mapping[str, Application], rules: Sequence[AcceptedWorkload]) -> Look:
    """One look in every cluster that these applications deploy to."""
    groups, unread = argocd.by_destination(a for a in apps if workloads_of([a]))
    found = Look(unread={a.name: unread[a.key] for a in apps if a.key in unread})
    for where, members in groups:
        try:
            _look_there(where, workloads_of(members, where.label), before, rules, found)
        except PromoteError as error:
            if not where.label:
                raise
            found.unread |= {a.name: error.what for a in members}
    return found


def _look_there(
    where: Destination, workloads: list[Workload], before: Mapping[str, Application], rules: Sequence[AcceptedWorkload], found: Look
) -> None:
    live = read_live(where.kube.items, {(w.resource.group, w.resource.kind) for w in workloads} | {PODS})
    found.workloads += len(workloads)
    if live.unread:
        found.unread |= {w.application.name: "; ".join(live.unread.values()) for w in workloads}
        return
    pods = _pods_of(workloads, live, where.kube.items)
    for workload in sorted(workloads, key=lambda w: w.label):
        manifest = live.objects.get(workload.resource.key)
        status = rollout_status(manifest, pods.get(workload.resource.key, [])) if manifest else _absent()
        if status.state is RolloutState.UPDATED:
            continue
        resource, app, then = workload.resource, workload.application, before.get(workload.application.key)
        rule = next((r for r in rules if r.covers(app.name, resource.kind, resource.name)), None)
        if rule:
            found.accepted.append(f"{workload.label}: {status.text} (accepted: {rule.reason})")
        elif resource.kind in BATCH and unchanged(app, then):
            found.unchanged.append(f"{workload.label}: {status.text}")
        elif manifest and status.state is not RolloutState.HELD and _as_before(manifest, then, resource):
            found.before.append(f"{workload.label}: {status.text}")
        else:
            found.late[workload.label] = status.text
            # A canary between its steps goes on by itself or by hand; the other designs wait for a person who does not know that we wait.
            found.final |= status.state is RolloutState.FAILED or (status.state is RolloutState.HELD and resource.kind != "Rollout")


def _absent() -> RolloutStatus:
    return RolloutStatus(state=RolloutState.ROLLING, text="does not exist")


def _as_before(manifest: Manifest, then: Application | None, resource: Resource) -> bool:
    """Whether a workload that was unhealthy before the move is at most as unhealthy now. `then`: its application before."""
    now, health = health_of(manifest), unhealthy(then).get(resource.key, "") if then else ""
    return bool(health) and now is not None and severity(now.status) <= severity(health)


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
