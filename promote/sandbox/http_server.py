"""A small HTTP server with fault hooks: the base of every world. Knows no protocol above HTTP."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

DRIP_S = 0.05
STOP_S = 5.0


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
    """What goes wrong with matching requests. `times` None = always; drop_after, cut (half of the answer comes) and drip happen after the effect, the
    others before it."""

    kind: Literal["refuse", "hang", "drip", "drop_before", "drop_after", "cut", "status", "stale"]
    path: str = ".*"
    method: str = ".*"
    times: int | None = None
    status: int = 503
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 3600.0


class _Server(ThreadingHTTPServer):
    """Knows its open connections and their threads, so that stopping ends them: a kept-alive one would stay for minutes."""

    daemon_threads = True  # a world that was not stopped must not keep its process alive
    request_queue_size = 256  # a hundred clients may connect at once; five, the default, would make them wait
    allow_reuse_address = True

    def __init__(self, world: World) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.world = world
        self._open: dict[socket.socket, threading.Thread] = {}
        self._guard = threading.Lock()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._open[request] = threading.current_thread()
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._guard:
                self._open.pop(request, None)

    def hang_up(self) -> None:
        with self._guard:
            left = list(self._open.items())
        for connection, _ in left:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for _, thread in left:
            thread.join(STOP_S)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is not an error of ours."""


class World:
    """Subclass it and override `handle`. start() and stop() are idempotent; it is a context manager."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.requests: list[tuple[str, str]] = []
        self.errors: list[str] = []
        self._faults: list[Fault] = []
        self.weather: Callable[[Request], Fault | None] | None = None  # asked last, from the threads of all requests
        self._lock = threading.Lock()
        self._previous: dict[str, Response] = {}
        self.stopping = threading.Event()
        self._server: _Server | None = None
        self._accepting: threading.Thread
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
        return self.weather(request) if self.weather else None

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
            self._server = _Server(self)
            self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
            self._accepting = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name=self.name, daemon=True)
            self._accepting.start()

    def stop(self) -> None:
        """Ends every connection and thread; a request under way loses its answer."""
        server, self._server = self._server, None
        self.stopping.set()
        if server is not None:
            server.shutdown()
            self._accepting.join()
            server.hang_up()
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
    disable_nagle_algorithm = True  # else a body may wait 40 ms for the delayed ACK of its head

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Quiet: `World.requests` is the log."""

    def _serve(self) -> None:
        world, parts, body = self.server.world, urlsplit(self.path), self._body()
        if body is None:
            return self._drop()  # the client went away in the middle of it: nothing was asked
        request = Request(
            method=self.command,
            path=unquote(parts.path),
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            raw_query=parts.query,
            headers={k.lower(): v for k, v in self.headers.items()},
            body=body,
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
        if fault and fault.kind in ("drop_after", "cut"):
            body = response.body if isinstance(response.body, bytes) else b"".join(response.body)  # the effect happens to its end
            return self._cut(response, body) if fault.kind == "cut" and body and self.command != "HEAD" else self._drop()
        if fault and fault.kind == "stale" and before:
            response = before
        return self._send(response, drip=bool(fault and fault.kind == "drip"))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815 - the names http.server looks for

    def _body(self) -> bytes | None:
        """The whole body, None when the client stopped sending before its end."""
        if "chunked" not in (self.headers.get("Transfer-Encoding") or ""):
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            return body if len(body) == length else None
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0].strip() or b"-1", 16):
            part = self.rfile.read(size) if size > 0 else b""
            if len(part) != size:
                return None
            parts.append(part)
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _drop(self, *, reset: bool = False) -> None:
        self.close_connection = True
        if reset:  # with a linger time of 0, closing sends RST in place of FIN
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.shutdown(socket.SHUT_RDWR) if not reset else self.connection.close()

    def _head(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)

    def _cut(self, response: Response, body: bytes) -> None:
        """The head, half of the body, and the connection is gone."""
        self._head(response)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self._write(body[: len(body) // 2], drip=False)
        self._drop()

    def _send(self, response: Response, *, drip: bool = False) -> None:
        try:
            self._head(response)
            if isinstance(response.body, bytes):
                self._whole(response.status, response.body, drip=drip)
            else:
                self._stream(response.body, drip=drip)
        except OSError:
            self.close_connection = True
        finally:
            if close := getattr(response.body, "close", None):
                close()

    def _whole(self, status: int, body: bytes, *, drip: bool) -> None:
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self._write(body, drip=drip)

    def _stream(self, chunks: Iterable[bytes], *, drip: bool) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        for chunk in chunks:
            for piece in _bytes_of(chunk) if drip else [chunk]:
                if piece:
                    self._write(b"%x\r\n%s\r\n" % (len(piece), piece), drip=False)
                if drip and self.server.world.stopping.wait(DRIP_S):
                    return
        self._write(b"0\r\n\r\n", drip=False)

    def _write(self, body: bytes, *, drip: bool) -> None:
        for piece in _bytes_of(body) if drip else [body]:
            self.wfile.write(piece)
            self.wfile.flush()
            if drip and self.server.world.stopping.wait(DRIP_S):
                return


def _bytes_of(body: bytes) -> list[bytes]:
    return [body[i : i + 1] for i in range(len(body))]
