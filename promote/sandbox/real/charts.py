"""A Helm repository over HTTP: small charts made here, so that the real repo-server has something to fetch and no network is needed."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping

import yaml

from promote.sandbox.http_server import Request, Response, World

_TEMPLATE = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
  labels: {app.kubernetes.io/name: {{ .Release.Name }}, helm.sh/chart: "{{ .Chart.Name }}-{{ .Chart.Version }}"}
spec:
  replicas: 1
  selector: {matchLabels: {app.kubernetes.io/name: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app.kubernetes.io/name: {{ .Release.Name }}}}
    spec: {containers: [{name: main, image: "{{ .Chart.Name }}:{{ .Chart.Version }}"}]}
"""
_CRDS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Chart.Name }}}
data: {version: "{{ .Chart.Version }}"}
"""


class Charts(World):
    """Serves `charts` (name → version).

    Each is one Deployment named after the release, like the embedded world's stand-in; one called NAME-crds is a ConfigMap.
    """

    def __init__(self, charts: Mapping[str, str]) -> None:
        super().__init__("charts")
        self._archives = {f"{name}-{version}.tgz": _archive(name, version) for name, version in charts.items()}
        entries = {
            name: [{"apiVersion": "v2", "name": name, "version": version, "urls": [f"{name}-{version}.tgz"]}] for name, version in charts.items()
        }
        self._index = yaml.safe_dump({"apiVersion": "v1", "entries": entries}).encode()

    def handle(self, request: Request) -> Response:
        name = request.path.rpartition("/")[2]
        if name == "index.yaml":
            return Response(body=self._index, headers={"Content-Type": "text/yaml"})
        found = self._archives.get(name)
        return Response(body=found) if found else Response(status=404, body=b"no such chart\n")


def _archive(name: str, version: str) -> bytes:
    """The chart as `helm package` would lay it out, the same bytes every time."""
    made = io.BytesIO()
    chart = yaml.safe_dump({"apiVersion": "v2", "name": name, "version": version}).encode()
    with gzip.GzipFile(fileobj=made, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for path, content in (("Chart.yaml", chart), ("templates/main.yaml", (_CRDS if name.endswith("-crds") else _TEMPLATE).encode())):
            entry = tarfile.TarInfo(f"{name}/{path}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return made.getvalue()
