"""A small HTTP server with fault hooks: the base of every world. Knows no protocol above HTTP."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

DRIP_S = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request; the body is whole and de-chunked. `raw_query` is the query as sent."""

    method: str
    path: str
    query: dict[str, str]
    raw_query: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body or b"null")


@dataclass(kw_only=True, slots=True)
class Response:
    """Bytes are sent with a length, an iterable is streamed in chunks as it comes."""

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    headers: dict[str, str] = field(default_factory=dict)


def json_response(data: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(status=status, body=json.dumps(data).encode(), headers={"Content-Type": "application/json", **(headers or {})})


@dataclass(kw_only=True, slots=True)
class Fault:
    """What goes wrong with matching requests. `times` None = always; drop_after and drip happen after the effect, the others before it."""

    kind: Literal["refuse", "hang", "drip", "drop_before", "drop_after", "status", "stale"]
    path: str = ".*"
    method: str = ".*"
    times: int | None = None
    status: int = 503
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 3600.0


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True
    world: World

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is not an error of ours."""


class World:
    """Subclass it and override `handle`. start() and stop() are idempotent; it is a context manager."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.requests: list[tuple[str, str]] = []
        self.errors: list[str] = []
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._previous: dict[str, Response] = {}
        self.stopping = threading.Event()
        self._server: _Server | None = None
        self.url = ""

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        return json_response({"message": f"{self.name} does not answer {request.method} {request.path}"}, 404)

    def fault(self, fault: Fault) -> Fault:
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear_faults(self) -> None:
        with self._lock:
            self._faults.clear()

    def take_fault(self, request: Request) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.times != 0 and re.fullmatch(fault.method, request.method) and re.search(fault.path, request.path):
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None

    def answer(self, request: Request) -> Response:
        """`handle`, with a crash turned into a 500 that the sandbox remembers."""
        try:
            return self.handle(request)
        except Exception as error:
            self.errors.append(traceback.format_exc())
            return json_response({"message": f"{self.name}: {type(error).__name__}: {error}"}, 500)

    def previous(self, request: Request, response: Response) -> Response | None:
        """The answer to the same GET before this one, for stale reads; remembers this one."""
        if request.method != "GET" or not isinstance(response.body, bytes):
            return None
        key = f"{request.path}?{request.raw_query}"
        with self._lock:
            before = self._previous.get(key)
            self._previous[key] = response
        return before

    def start(self) -> None:
        if self._server is None:
            self.stopping.clear()
            self._server = _Server(("127.0.0.1", 0), _Handler)
            self._server.world = self
            self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
            threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name=self.name, daemon=True).start()

    def stop(self) -> None:
        server, self._server = self._server, None
        self.stopping.set()
        if server is not None:
            server.shutdown()
            server.server_close()

    def __enter__(self) -> World:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    wbufsize = -1
    timeout = 300
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Quiet: `World.requests` is the log."""

    def _serve(self) -> None:
        world, parts = self.server.world, urlsplit(self.path)
        request = Request(
            method=self.command,
            path=unquote(parts.path),
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            raw_query=parts.query,
            headers={k.lower(): v for k, v in self.headers.items()},
            body=self._body(),
        )
        world.requests.append((self.command, self.path))
        fault = world.take_fault(request)
        if fault and fault.kind in ("refuse", "drop_before"):
            return self._drop(reset=fault.kind == "refuse")
        if fault and fault.kind == "hang":
            world.stopping.wait(fault.seconds)
            return self._drop()
        if fault and fault.kind == "status":
            return self._send(Response(status=fault.status, body=fault.body, headers=dict(fault.headers)))
        response = world.answer(request)
        before = world.previous(request, response)
        if fault and fault.kind == "drop_after":
            if not isinstance(response.body, bytes):
                b"".join(response.body)  # the effect happens to its end, only the answer is lost
            return self._drop()
        if fault and fault.kind == "stale" and before:
            response = before
        return self._send(response, drip=bool(fault and fault.kind == "drip"))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815 - the names http.server looks for

    def _body(self) -> bytes:
        if "chunked" not in (self.headers.get("Transfer-Encoding") or ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0].strip() or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _drop(self, *, reset: bool = False) -> None:
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.shutdown(socket.SHUT_RDWR) if not reset else self.connection.close()

    def _send(self, response: Response, *, drip: bool = False) -> None:
        try:
            self.send_response(response.status)
            for name, value in response.headers.items():
                self.send_header(name, value)
            if isinstance(response.body, bytes):
                self.send_header("Content-Length", str(len(response.body)))
                self.end_headers()
                self._write(response.body, drip=drip)
            else:
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.flush()
                for chunk in response.body:
                    if chunk:
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                        self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")
                self.wfile.flush()
        except OSError:
            self.close_connection = True
            close = getattr(response.body, "close", None)
            if close:
                close()

    def _write(self, body: bytes, *, drip: bool) -> None:
        if not drip:
            self.wfile.write(body)
            return self.wfile.flush()
        for i in range(len(body)):
            if self.server.world.stopping.wait(DRIP_S):
                return None
            self.wfile.write(body[i : i + 1])
            self.wfile.flush()
        return None
