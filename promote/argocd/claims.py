"""Which objects of a cluster Argo CD's Applications list as theirs, for `promote.kube.ownership`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from promote.argocd.application import Application
from promote.kube.live import ResourceKey
from promote.kube.ownership import Claims


def claims(apps: Iterable[Application]) -> Claims:
    """What these applications list, each object with the key of its application. All of them deploy to one cluster.

    An object is listed by `status.resources`, or, as hooks are, by the result of the last operation.
    """
    every = tuple(apps)
    objects: dict[ResourceKey, str] = {key: a.key for a in every for key in (a.operation.touched if a.operation else ())}
    objects |= {r.key: a.key for a in every for r in a.resources}
    named = Counter(a.name for a in every)
    # The tracking annotation and label hold the name alone, or namespace_name for an Application outside of Argo CD's own namespace.
    trackers = {f"{a.namespace}_{a.name}": a.key for a in every} | {a.name: a.key for a in every if named[a.name] == 1}
    return Claims(objects=objects, trackers=trackers, namespaces=frozenset(a.destination_namespace for a in every if a.destination_namespace))
