"""What the deployed applications answer over HTTP, so that a smoke test asks production and not a script.

GET /APP/anything is answered as production's live ConfigMap APP-service says (keys status, body, delay); without a ready pod of the
Deployment APP it is 503, as a Service without endpoints would be.
"""

from __future__ import annotations

from promote.sandbox.cluster import Cluster
from promote.sandbox.http_world import Request, Response, World


class Services(World):
    def __init__(self, cluster: Cluster) -> None:
        super().__init__("services")
        self.cluster = cluster

    def handle(self, request: Request) -> Response:
        name = request.path.strip("/").partition("/")[0]
        deployments = [d for d in self.cluster.list("Deployment") if d["metadata"]["name"] == name]
        if not deployments:
            return Response(status=404, body=b"no such service\n")
        if not (deployments[0].get("status") or {}).get("readyReplicas"):
            return Response(status=503, body=b"no ready endpoints\n")
        config = self.cluster.get("ConfigMap", deployments[0]["metadata"]["namespace"], f"{name}-service")
        data = (config or {}).get("data") or {}
        self.stopping.wait(float(data.get("delay", 0)))
        return Response(status=int(data.get("status", 200)), body=str(data.get("body", "ok")).encode(), headers={"Content-Type": "text/plain"})
