"""Grafana's HTTP API as far as a promotion uses it: health, dashboards, annotations. Keeps its state: a reader sees all earlier writes.

Written from Grafana's HTTP API reference (12.x); no real Grafana was at hand. Without a token it answers 401, with a viewer's token writing is 403.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from promote.sandbox.http_server import Request, Response, World, json_response

VERSION = "12.1.0"


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard in a folder; "" is the General folder."""

    uid: str
    title: str
    folder: str = ""

    @property
    def path(self) -> str:
        return f"/d/{self.uid}/{self.title.lower().replace(' ', '-').replace('/', '-')}"


class Grafana(World):
    """One organisation. `tokens` maps a service account's token to its role (Viewer, Editor); `sub_path` is where it is served below."""

    def __init__(self, *dashboards: Dashboard, tokens: dict[str, str] | None = None, sub_path: str = "") -> None:
        super().__init__("grafana")
        self.dashboards = list(dashboards)
        self.tokens, self.sub_path, self.database = tokens or {}, sub_path, "ok"
        self.annotations: list[dict[str, Any]] = []
        self._guard = threading.Lock()

    def handle(self, request: Request) -> Response:
        if not request.path.startswith(self.sub_path):
            return json_response({"message": "Not found"}, 404)
        path = request.path.removeprefix(self.sub_path)
        if path == "/api/health":
            well = self.database == "ok"
            return json_response({"commit": "sandbox", "database": self.database, "version": VERSION}, 200 if well else 503)
        role = self.tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "), "" if self.tokens else "Editor")
        if not role:
            return json_response({"message": "Invalid API key"}, 401)
        if path == "/api/search" and request.method == "GET":
            return json_response(self._search(request))
        if path == "/api/annotations" and request.method == "GET":
            return json_response(self._found(request))
        if path == "/api/annotations" and request.method == "POST":
            return self._annotate(request, role)
        return json_response({"message": "Not found"}, 404)

    def _search(self, request: Request) -> list[dict[str, Any]]:
        wanted, limit, page = request.query.get("query", "").lower(), int(request.query.get("limit", 1000)), int(request.query.get("page", 1))
        found = [d for d in sorted(self.dashboards, key=lambda d: d.title) if wanted in d.title.lower()]
        return [
            {"uid": d.uid, "title": d.title, "type": "dash-db", "url": self.sub_path + d.path, "uri": f"db/{d.uid}", "tags": []}
            | ({"folderTitle": d.folder, "folderUid": d.folder.lower()} if d.folder else {})
            for d in found[(page - 1) * limit : page * limit]
        ]

    def _found(self, request: Request) -> list[dict[str, Any]]:
        tags = {value for name, value in parse_qsl(request.raw_query) if name == "tags"}
        start, end = int(request.query.get("from", 0)), int(request.query.get("to", 1 << 62))
        with self._guard:
            return [a for a in self.annotations if tags <= set(a["tags"]) and a["time"] <= end and a["timeEnd"] >= start]

    def _annotate(self, request: Request, role: str) -> Response:
        if role not in ("Editor", "Admin"):
            return json_response(
                {"message": "You'll need additional permissions to perform this action. Permissions needed: annotations:create"}, 403
            )
        body = request.json()
        if not body.get("text"):
            return json_response({"message": "Failed to save annotation", "error": "text field should not be empty"}, 400)
        with self._guard:
            number, start = len(self.annotations) + 1, int(body.get("time") or 0)
            self.annotations.append(
                {
                    "id": number,
                    "time": start,
                    "timeEnd": int(body.get("timeEnd") or start),
                    "text": body["text"],
                    "tags": list(body.get("tags") or []),
                }
            )
        return json_response({"message": "Annotation added", "id": number})
