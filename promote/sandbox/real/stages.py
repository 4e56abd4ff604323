"""How pods do on kwok's nodes, by the same annotation as in the embedded cluster (workloads.py): stages for pods, nothing about Argo CD.

kwok knows no images and no commands. Without the annotation a pod is ready at once; the pod of a Job completes, unless its annotation makes it wait.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

BEHAVIOUR = '.metadata.annotations["sandbox.promote/behaviour"]'
STUCK = ("never-ready", "crash-loop", "image-pull", "hook-waits")
LATER_MS = 3000  # "crash-later": how long it serves
_ALIVE = {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"}
_IP = '{{ PodIPWith .spec.nodeName (or .spec.hostNetwork false) (or .metadata.uid "") (or .metadata.name "") (or .metadata.namespace "") | Quote }}'
_READY = """
{{ $now := Now }}
conditions:
{{ range $type := (list "Initialized" "Ready" "ContainersReady") }}
- {type: {{ $type }}, status: "True", lastTransitionTime: {{ $now | Quote }}}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: true
  restartCount: 0
  state: {running: {startedAt: {{ $now | Quote }}}}
{{ end }}
hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
podIP: @IP@
phase: Running
startTime: {{ $now | Quote }}
"""
_COMPLETE = """
{{ $now := Now }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: false
  restartCount: 0
  state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }}}}
{{ end }}
phase: Succeeded
"""
_WAITING = """
{{ $now := Now }}
conditions:
{{ range $type := (list "Ready" "ContainersReady") }}
- {type: {{ $type }}, status: "False", lastTransitionTime: {{ $now | Quote }}}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: false
  restartCount: @RESTARTS@
  state: {waiting: {reason: @REASON@, message: "by its annotation"}}
{{ end }}
podIP: @IP@
phase: @PHASE@
startTime: {{ $now | Quote }}
"""


def _stage(name: str, expressions: list[dict[str, Any]], after: dict[str, Any], delay_ms: int = 0) -> dict[str, Any]:
    spec: dict[str, Any] = {"resourceRef": {"apiGroup": "v1", "kind": "Pod"}, "selector": {"matchExpressions": expressions}, "next": after}
    if delay_ms:
        spec["delay"] = {"durationMilliseconds": delay_ms}
    return {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage", "metadata": {"name": name}, "spec": spec}


def _waiting(reason: str, phase: str, restarts: str = "0") -> str:
    return _WAITING.replace("@IP@", _IP).replace("@REASON@", reason).replace("@PHASE@", phase).replace("@RESTARTS@", restarts)


def _behaves(*words: str) -> dict[str, Any]:
    return {"key": BEHAVIOUR, "operator": "In", "values": list(words)}


def _event(reason: str, message: str) -> dict[str, Any]:
    return {"event": {"type": "Warning", "reason": reason, "message": message}}


def configuration(log: Path) -> str:
    """kwok's configuration file: every stage of a pod's life, and one log for every container."""
    fresh = {"key": ".status.podIP", "operator": "DoesNotExist"}
    fine = {"key": BEHAVIOUR, "operator": "NotIn", "values": list(STUCK)}
    running = {"key": ".status.phase", "operator": "In", "values": ["Running"]}
    job = {"key": ".metadata.ownerReferences.[].kind", "operator": "In", "values": ["Job"]}
    crashing = {"key": ".status.containerStatuses.[0].state.waiting.reason", "operator": "In", "values": ["CrashLoopBackOff"]}
    serving = {"key": ".status.containerStatuses.[0].state.running.startedAt", "operator": "Exists"}
    again = "{{ add (index $.status.containerStatuses 0).restartCount 1 }}"
    back_off = _event("BackOff", "Back-off restarting failed container")
    stages = [
        _stage("pod-ready", [_ALIVE, fresh, fine], {"statusTemplate": _READY.replace("@IP@", _IP)}),
        _stage("pod-complete", [_ALIVE, fine, running, job], {"statusTemplate": _COMPLETE}),
        _stage("pod-never-ready", [_ALIVE, fresh, _behaves("never-ready", "hook-waits")],
               {"statusTemplate": _waiting("ContainerCreating", "Pending")}),
        _stage("pod-image-pull", [_ALIVE, fresh, _behaves("image-pull")],
               {"statusTemplate": _waiting("ImagePullBackOff", "Pending"), **_event("Failed", "Failed to pull image")}),
        _stage("pod-crash", [_ALIVE, fresh, _behaves("crash-loop")], {"statusTemplate": _waiting("CrashLoopBackOff", "Running", "1"), **back_off}),
        _stage("pod-crash-again", [_ALIVE, _behaves("crash-loop"), crashing],
               {"statusTemplate": _waiting("CrashLoopBackOff", "Running", again), **back_off}, 2000),
        _stage("pod-crash-later", [_ALIVE, _behaves("crash-later"), serving],
               {"statusTemplate": _waiting("CrashLoopBackOff", "Running", "1"), **back_off}, LATER_MS),
        _stage("pod-delete", [{"key": ".metadata.deletionTimestamp", "operator": "Exists"}], {"finalizers": {"empty": True}, "delete": True}),
    ]  # fmt: skip
    logs = {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterLogs",
        "metadata": {"name": "all"},
        "spec": {"logs": [{"logsFile": str(log), "previousLogsFile": str(log)}]},
    }
    return yaml.safe_dump_all([*stages, logs])
