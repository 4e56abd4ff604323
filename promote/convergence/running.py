"""The pods of production's applications, read in the clusters that these are deployed to, apart from pods of others and of attempts that are over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from promote.argocd.application import Application
from promote.argocd.claims import claims
from promote.argocd.client import ArgoCD, Destination
from promote.convergence.excuse import BATCH, unchanged
from promote.core.errors import PromoteError
from promote.kube.client import Kube
from promote.kube.current import Attempt, OwnedPod, outdated
from promote.kube.live import ResourceKey
from promote.kube.ownership import Claims, Ownership, is_custom
from promote.kube.workloads import Event, Pod, parse_pod, stem
from promote.report.words import counted

ADVICE = "pods of others in trouble (advice)"  # the name of the evidence; the driver notes it once
SERVING = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Rollout", "Pod"})


@dataclass(kw_only=True)
class Running:
    """What production's clusters run for some applications.

    `pods`: theirs, by key. `others`: those of others. `left_out`: theirs that do not count, `unclear`: those that may be theirs, or may
    count; the note of each has the reason. `unseen`: applications whose cluster cannot be read, by name, each with the reason. `idle`: applications
    that list no workload. `serving`: how many listed workloads should have pods.
    """

    pods: dict[str, Pod] = field(default_factory=dict)
    others: dict[str, Pod] = field(default_factory=dict)
    left_out: dict[str, Pod] = field(default_factory=dict)
    unclear: dict[str, Pod] = field(default_factory=dict)
    unseen: dict[str, str] = field(default_factory=dict)
    lost: PromoteError | None = None  # how a cluster that is named failed to answer; its applications are `unseen`
    idle: list[str] = field(default_factory=list)
    serving: int = 0
    clusters: dict[str, Kube] = field(default_factory=dict)
    _claims: dict[str, Claims] = field(default_factory=dict)
    _unchanged: set[str] = field(default_factory=set)
    _members: dict[str, list[str]] = field(default_factory=dict)

    def lose(self, cluster: str, error: PromoteError) -> None:
        """Note that a named cluster did not answer. Raises the error again when it is Argo CD's own."""
        if not cluster:
            raise error
        self.unseen |= dict.fromkeys(self._members[cluster], error.what)
        self.lost = error

    @property
    def nothing(self) -> str:
        """Why no pod was found, which shows nothing; "" when one was, or when a cluster was not read."""
        if self.pods or self.left_out or self.unclear or self.unseen:
            return ""
        return f"none of {counted(self.serving, 'workload')} has a pod" if self.serving else "no application deploys anything that has pods now"

    def is_ours(self, event: Event, cluster: str) -> bool:
        """Whether an event is about a workload of these applications that counts: one of them, or an object that it owns."""
        namespace, name, kind = event.namespace, str(event.object.get("name", "")), str(event.object.get("kind", ""))
        if kind == "Pod":
            key = f"{namespace}/{name}" + (f" in {cluster}" if cluster else "")
            if any(key in group for group in (self.pods, self.others, self.left_out, self.unclear)):
                return key in self.pods
        group = str(event.object.get("apiVersion", "")).rpartition("/")[0]
        return any(self._counts(cluster, key) for key in ((group, kind, namespace, name), *_makers(kind, namespace, name)))

    def _counts(self, cluster: str, key: ResourceKey) -> bool:
        app = self._claims[cluster].objects.get(key, "")
        return bool(app) and not (key[1] in BATCH and app in self._unchanged)


def _makers(kind: str, namespace: str, name: str) -> list[ResourceKey]:
    """The workloads that an object which is gone, or is no pod, can belong to, by its name."""
    base, last = stem(f"Pod {name}").removeprefix("Pod ").removesuffix("-*"), name.rpartition("-")[0]
    if kind == "Pod":
        return [("apps", k, namespace, base) for k in ("Deployment", "StatefulSet", "DaemonSet")] + [("argoproj.io", "Rollout", namespace, base)]
    if kind == "ReplicaSet":
        return [("apps", "Deployment", namespace, last), ("argoproj.io", "Rollout", namespace, last)]
    if kind == "Job":
        return [("batch", "CronJob", namespace, last)]
    # The claim of a StatefulSet's pod is called TEMPLATE-STATEFULSET-NUMBER.
    parts = last.split("-") if kind == "PersistentVolumeClaim" else []
    return [("apps", "StatefulSet", namespace, "-".join(parts[n:])) for n in range(1, len(parts))]


def read_running(
    argocd: ArgoCD,
    apps: Iterable[Application],
    *,
    before: Mapping[str, Application],
    attempt: Attempt | None = None,
) -> Running:
    """The pods of these applications, with one list of pods for each cluster. Raises what the client of Argo CD's own cluster raises.

    `before`: the applications before the move, by key; the pods of the Jobs of one that is unchanged since do not count. `attempt`: the version that
    was rolled back: what it started and left behind does not count.
    """
    every = tuple(apps)
    groups, unread = argocd.by_destination(every)
    unseen = {a.name: unread[a.key] for a in every if a.key in unread and _may_run(a)}
    running = Running(idle=[a.name for a in every if not _may_run(a)], unseen=unseen)
    for where, members in groups:
        running.serving += sum(r.kind in SERVING for a in members for r in a.resources)
        running._members[where.label] = [a.name for a in members if _may_run(a)]
        try:
            _read_cluster(running, where, members, {a.key for a in members if unchanged(a, before.get(a.key))}, attempt)
        except PromoteError as error:
            running.lose(where.label, error)
    return running


def _read_cluster(running: Running, where: Destination, apps: Sequence[Application], same: set[str], attempt: Attempt | None) -> None:
    kube = where.kube
    ownership = Ownership(claims(apps), kube.items)
    running._unchanged |= same
    names, owned = {a.key: a.name for a in apps}, list[OwnedPod]()
    for manifest in kube.items("/api/v1/pods"):
        pod, owner = parse_pod({**manifest, "cluster": where.label}), ownership.of(manifest)
        if owner.ours:
            note = f" ({names[owner.application]} is unchanged by this promotion)" if owner.application in same else ""
            owned.append(OwnedPod(pod=replace(pod, note=note), manifest=manifest, owner=owner))
        elif owner.unclear:
            running.unclear[pod.key] = replace(pod, note=f": unknown whether it belongs to this promotion: {owner.unclear}")
        else:
            running.others[pod.key] = pod
    over, unclear = outdated(owned, ownership, attempt)
    running.clusters[where.label], running._claims[where.label] = kube, ownership.claims
    for one in owned:
        pod, key = one.pod, one.pod.key
        if one.owner.application in same and one.owner.through(*BATCH):
            running.left_out[key] = replace(pod, note=f"{names[one.owner.application]} is unchanged by this promotion, so its Jobs do not count")
        elif key in over:
            running.left_out[key] = replace(pod, note=over[key])
        elif key in unclear:
            running.unclear[key] = replace(pod, note=f": {unclear[key]}")
        else:
            running.pods[key] = pod


def _may_run(app: Application) -> bool:
    """Whether the application lists anything that may have pods: a workload, or a custom resource."""
    touched: tuple[ResourceKey, ...] = app.operation.touched if app.operation else ()
    return any(key[1] in SERVING | BATCH or is_custom(key[0], key[1]) for key in (*(r.key for r in app.resources), *touched))


def readable_pods(argocd: ArgoCD, apps: Iterable[Application]) -> list[dict[str, Any]]:
    """The manifests of all pods of Argo CD's own cluster and of the named clusters that these applications are deployed to, each with its cluster.

    Without the tries that are over: one that failed before must not excuse one that fails later. A named cluster that cannot be read has none, so it
    excuses nothing; `unreadable` names its applications. Raises what the client of Argo CD's own cluster raises.
    """
    clusters: dict[str, tuple[Kube, list[Application]]] = {"": (argocd.kube, [])}
    clusters |= {where.label: (where.kube, members) for where, members in argocd.by_destination(apps)[0]}
    found: list[dict[str, Any]] = []
    for label, (kube, members) in clusters.items():
        try:
            found += _current_pods(kube, members, label)
        except PromoteError:
            if not label:
                raise
    return found


def _current_pods(kube: Kube, apps: Sequence[Application], label: str) -> list[dict[str, Any]]:
    manifests, ownership = kube.items("/api/v1/pods"), Ownership(claims(apps), kube.items)
    owned = [OwnedPod(pod=parse_pod({**m, "cluster": label}), manifest=m, owner=ownership.of(m)) for m in manifests]
    over, _ = outdated((o for o in owned if o.owner.ours), ownership, None)
    return [{**o.manifest, **({"cluster": label} if label else {})} for o in owned if o.pod.key not in over]


def unreadable(argocd: ArgoCD, apps: Iterable[Application]) -> dict[str, str]:
    """Applications whose cluster no settings name, or whose pods cannot be listed there: name → the reason."""
    running = [a for a in apps if _may_run(a)]
    groups, unread = argocd.by_destination(running)
    for where, members in groups:
        if why := _problem(where):
            unread |= dict.fromkeys((a.key for a in members), why)
    return {a.name: unread[a.key] for a in running if a.key in unread}


def _problem(where: Destination) -> str:
    try:
        where.kube.get("/api/v1/pods?limit=1")
    except PromoteError as error:
        return error.what
    return ""
