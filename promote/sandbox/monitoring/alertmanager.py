"""Alertmanager's API v2: alerts that tests fire and resolve, silences, inhibition, matchers as filters.

A Deployment of the cluster that exceeded its progress deadline fires KubeDeploymentRolloutStuck by itself; Watchdog always fires.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from promote.sandbox.cluster import Cluster
from promote.sandbox.http_server import Request, Response, World, json_response
from promote.sandbox.monitoring.promql_eval import matches

_MATCHER = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"?((?:\\.|[^"])*)"?\s*')
Labels = dict[str, str]


class Alertmanager(World):
    """Alerts by fingerprint, without resolved ones."""

    def __init__(self, cluster: Cluster | None = None) -> None:
        super().__init__("alertmanager")
        self.cluster = cluster
        self._fired: dict[str, tuple[Labels, Labels, datetime]] = {}
        self._silences: dict[str, list[tuple[str, str, str]]] = {}
        self._inhibited: dict[str, str] = {}
        self._guard = threading.Lock()

    def fire(self, name: str, summary: str = "", **labels: str) -> str:
        """An alert begins, or goes on. Returns its fingerprint."""
        full = {"alertname": name, "severity": "warning", **labels}
        mark = _fingerprint(full)
        with self._guard:
            self._fired.setdefault(mark, (full, {"summary": summary or f"{name} fires"}, datetime.now(UTC)))
        return mark

    def resolve(self, fingerprint: str) -> None:
        with self._guard:
            self._fired.pop(fingerprint, None)

    def silence(self, *matchers: str) -> str:
        """Matching alerts are suppressed. Returns the silence's id."""
        parsed = [_parse(text) for text in matchers]
        with self._guard:
            number = f"silence-{len(self._silences) + 1}"
            self._silences[number] = [m for m in parsed if m]
        return number

    def expire(self, silence: str) -> None:
        with self._guard:
            self._silences.pop(silence, None)

    def inhibit(self, fingerprint: str, by: str) -> None:
        """One alert keeps another quiet, as an inhibit rule would."""
        self._inhibited[fingerprint] = by

    def handle(self, request: Request) -> Response:
        if request.path == "/-/ready":
            return Response(body=b"OK")
        if request.path != "/api/v2/alerts" or request.method != "GET":
            return json_response({"code": 404, "message": f"path {request.path} was not found"}, 404)
        texts = [value for name, value in parse_qsl(request.raw_query) if name == "filter"]
        matchers = [_parse(text) for text in texts]
        if None in matchers:
            return json_response(f"bad matcher format: {texts[matchers.index(None)]}", 400)
        return json_response([a for a in self._alerts() if matches(a["labels"], [m for m in matchers if m])])

    def _alerts(self) -> list[dict[str, Any]]:
        with self._guard:
            fired, silences = dict(self._fired), dict(self._silences)
        for labels, notes in self._of_cluster():
            fired.setdefault(_fingerprint(labels), (labels, notes, datetime.now(UTC)))
        return [self._shown(mark, *alert, silences, set(fired)) for mark, alert in sorted(fired.items())]

    def _of_cluster(self) -> list[tuple[Labels, Labels]]:
        found = [({"alertname": "Watchdog", "severity": "none"}, {"summary": "always fires"})]
        for obj in self.cluster.list("Deployment") if self.cluster else []:
            if any(c.get("reason") == "ProgressDeadlineExceeded" for c in (obj.get("status") or {}).get("conditions") or []):
                meta = obj["metadata"]
                labels = {
                    "alertname": "KubeDeploymentRolloutStuck",
                    "severity": "warning",
                    "namespace": meta["namespace"],
                    "deployment": meta["name"],
                }
                found.append((labels, {"summary": f"the rollout of {meta['name']} is not progressing"}))
        return found

    def _shown(
        self, mark: str, labels: Labels, notes: Labels, since: datetime, silences: Mapping[str, list[tuple[str, str, str]]], alive: set[str]
    ) -> dict[str, Any]:
        silenced = [name for name, matchers in silences.items() if matches(labels, matchers)]
        # An alert that is resolved inhibits no other.
        inhibited = [by for by in [self._inhibited.get(mark)] if by in alive]
        state = {"state": "suppressed" if silenced or inhibited else "active", "silencedBy": silenced, "inhibitedBy": inhibited, "mutedBy": []}
        now = datetime.now(UTC)
        times = {"startsAt": since.isoformat(), "updatedAt": now.isoformat(), "endsAt": (now + timedelta(minutes=4)).isoformat()}
        return {
            "labels": labels, "annotations": notes, "fingerprint": mark, "status": state, "receivers": [{"name": "default"}], "generatorURL": "",
            **times,
        }  # fmt: skip


def _fingerprint(labels: Labels) -> str:
    return hashlib.sha256(json.dumps(labels, sort_keys=True).encode()).hexdigest()[:16]


def _parse(text: str) -> tuple[str, str, str] | None:
    match = _MATCHER.fullmatch(text)
    return (match[1], match[2], match[3]) if match else None
