"""Prometheus' query API over what a cluster looks like now: a world that is scraped, goes stale and knows a small part of PromQL.

Series of the cluster: up and kube_deployment_status_replicas_available for every Deployment, kube_pod_container_status_restarts_total for every pod.
`put` adds others. Timestamps are those of the last scrape; `pause` stops scraping. Like servers before 2.43 it ignores lookback_delta unless
`knows_lookback`.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from urllib.parse import parse_qsl

from promote.sandbox.cluster import Cluster
from promote.sandbox.http_server import Request, Response, World, json_response
from promote.sandbox.monitoring.promql_eval import Evaluation, ParseError, Point

LOOKBACK_S = 300.0  # the default of --query.lookback-delta


class Prometheus(World):
    """Scrapes a cluster every `scrape_s`, lazily: computes only requested series."""

    def __init__(self, cluster: Cluster | None = None, *, scrape_s: float = 0.2, knows_lookback: bool = False) -> None:
        super().__init__("prometheus")
        self.cluster, self.scrape_s, self.knows_lookback = cluster, scrape_s, knows_lookback
        self._put: dict[tuple[str, tuple[tuple[str, str], ...]], tuple[float, float | None]] = {}
        self._frozen: list[Point] | None = None
        self._guard = threading.Lock()

    def put(self, name: str, labels: Mapping[str, str], value: float, *, at: float | None = None) -> None:
        """A series of its own: scraped with the others, or with one sample at a given time."""
        with self._guard:
            self._put[name, tuple(sorted(labels.items()))] = (value, at)

    def forget(self, name: str) -> None:
        with self._guard:
            for key in [k for k in self._put if k[0] == name]:
                del self._put[key]

    def pause(self) -> None:
        """Scraping stops: samples stay as they are and grow old."""
        self._frozen = self.points()

    def resume(self) -> None:
        self._frozen = None

    def points(self) -> list[Point]:
        """The newest sample of every series."""
        if self._frozen is not None:
            return self._frozen
        now = time.time()
        # All series of one scrape have its time.
        at = now - now % self.scrape_s
        with self._guard:
            own = [Point(name, dict(labels), value, at if when is None else when) for (name, labels), (value, when) in self._put.items()]
        return [*own, *self._of_cluster(at)]

    def _of_cluster(self, at: float) -> list[Point]:
        if self.cluster is None:
            return []
        found = []
        for obj in self.cluster.list("Deployment"):
            meta, ready = obj["metadata"], (obj.get("status") or {}).get("availableReplicas", 0)
            found.append(Point("up", {"job": meta["name"], "namespace": meta["namespace"]}, float(bool(ready)), at))
            labels = {"deployment": meta["name"], "namespace": meta["namespace"]}
            found.append(Point("kube_deployment_status_replicas_available", labels, float(ready), at))
        for pod in self.cluster.list("Pod"):
            labels = {"namespace": pod["metadata"]["namespace"], "pod": pod["metadata"]["name"]}
            restarts = sum(c.get("restartCount", 0) for c in (pod.get("status") or {}).get("containerStatuses") or [])
            found.append(Point("kube_pod_container_status_restarts_total", labels, float(restarts), at))
        return found

    def handle(self, request: Request) -> Response:
        if request.path in ("/-/ready", "/-/healthy"):
            return Response(body=b"Prometheus Server is Ready.\n")
        if request.path != "/api/v1/query" or request.method not in ("GET", "POST"):
            return Response(status=404, body=b"404 page not found\n")
        asked = {**request.query, **dict(parse_qsl(request.body.decode()))}
        now = float(asked.get("time") or time.time())
        back = float(asked["lookback_delta"]) if self.knows_lookback and "lookback_delta" in asked else LOOKBACK_S
        try:
            value = Evaluation(asked.get("query", ""), [p for p in self.points() if 0 <= now - p.at <= back], now).result()
        except ParseError as error:
            text = f'invalid parameter "query": {error}'
            return json_response({"status": "error", "errorType": "bad_data", "error": text}, 400)
        if isinstance(value, dict):
            result: list[object] = [{"metric": dict(key), "value": [now, _text(v)]} for key, v in value.items()]
            return json_response({"status": "success", "data": {"resultType": "vector", "result": result}})
        return json_response({"status": "success", "data": {"resultType": "scalar", "result": [now, _text(value)]}})


def _text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return ("+Inf" if value > 0 else "-Inf") if math.isinf(value) else repr(value)
