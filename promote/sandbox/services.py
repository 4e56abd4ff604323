"""What the deployed applications answer over HTTP, so that a smoke test asks production and not a script.

The answer to GET /APP/anything comes from production's live ConfigMap APP-service: keys status, body, redirect (a URL), delay (seconds).
Where no Deployment APP has a ready pod it is 503, as an ingress answers for a Service without endpoints.
"""

from __future__ import annotations

from promote.sandbox.cluster import AnyCluster
from promote.sandbox.http_server import Request, Response, World


class Services(World):
    """One front door for every application of a cluster."""

    def __init__(self, cluster: AnyCluster) -> None:
        super().__init__("services")
        self.cluster = cluster

    def handle(self, request: Request) -> Response:
        name = request.path.strip("/").partition("/")[0]
        if not name:
            return Response(status=404, body=b"default backend - 404\n")
        ready = [d for d in self.cluster.list("Deployment") if d["metadata"]["name"] == name and (d.get("status") or {}).get("readyReplicas")]
        if not ready:
            return Response(status=503, body=b"no ready endpoints\n")
        config = self.cluster.get("ConfigMap", ready[0]["metadata"]["namespace"], f"{name}-service") or {}
        return self._answer(config.get("data") or {})

    def _answer(self, data: dict[str, str]) -> Response:
        self.stopping.wait(float(data.get("delay", 0)))
        headers = {"Content-Type": "text/plain"} | ({"Location": data["redirect"]} if "redirect" in data else {})
        status = int(data.get("status", 302 if "redirect" in data else 200))
        return Response(status=status, body=str(data.get("body", "ok")).encode(), headers=headers)
