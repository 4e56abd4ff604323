"""Places at which one kind of trouble waits: addresses, and programs. Every kind has several forms; a seed decides which, and where or how quickly."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from collections.abc import Iterator
from itertools import repeat

KINDS = ("refuse", "black hole", "hang", "drip")
FORMS = {
    "refuse": ("closed port", "reset when taken", "closed without an answer"),
    "black hole": ("packets vanish",),
    "hang": ("never taken", "silent", "silent in the header", "silent in the body"),
    "drip": ("the body drips", "a header drips", "interim answers without end"),
}
PLUGINS = {  # the same kinds, as a program has them
    "refuse": {"prints why": "echo please log in >&2; exit 3", "prints nothing": "exit 3", "is killed": "kill -9 $$"},
    "black hole": {"asks one": "exec 3<>/dev/tcp/127.0.0.1/$PORT; cat <&3"},
    "hang": {
        "sleeps": "sleep 600",
        "closes its output": "exec >&- 2>&-; sleep 600",
        "is deaf to SIGTERM": "trap '' TERM; while :; do sleep 1; done",
        "leaves a child at its output": "sleep 600 & exit 0",
    },
    "drip": {"to its output": "while :; do printf ' '; sleep $PAUSE; done", "to its errors": "while :; do printf . >&2; sleep $PAUSE; done"},
}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\r\n"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER, no seconds


class Trouble:
    """An address on loopback at which a form of trouble waits until `stop`."""

    def __init__(self, form: str, dice: random.Random) -> None:
        self._form, self._open = form, [socket.socket()]
        self.pause_s = dice.uniform(0.02, 0.3)
        self._cut = dice.randrange(1, len(HEAD) - 2)
        self._stopping = threading.Event()
        listener = self._open[0]
        listener.bind(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        if form == "closed port":
            return
        listener.listen(0 if form == "packets vanish" else 64)
        if form == "packets vanish":
            for _ in range(4):  # fill the queue: from then on no SYN gets an answer
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
                self._open.append(filler)
        elif form != "never taken":
            threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._open[0].shutdown(socket.SHUT_RDWR)  # wakes who waits in accept
        for one in self._open:
            one.close()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            try:
                taken, _ = self._open[0].accept()
            except OSError:
                return
            self._open.append(taken)
            threading.Thread(target=self._treat, args=(taken,), daemon=True).start()

    def _treat(self, taken: socket.socket) -> None:
        try:
            if self._form == "reset when taken":
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                taken.close()
                return
            taken.recv(65536)
            for piece in self._pieces():
                taken.sendall(piece)
                if self._stopping.wait(self.pause_s):
                    return
            if self._form.startswith("closed"):
                taken.close()
        except OSError:
            return

    def _pieces(self) -> Iterator[bytes]:
        """What it answers; then it is silent."""
        if self._form == "silent in the header":
            yield HEAD[: self._cut]
        elif self._form == "silent in the body":
            yield HEAD + b'{"items": ['
        elif self._form == "the body drips":
            yield HEAD
            yield from repeat(b" ")
        elif self._form == "a header drips":
            yield HEAD[: HEAD.index(b"\r\n")] + b"\r\nX-Slow: "
            yield from repeat(b"a")
        elif self._form.startswith("interim"):
            yield from repeat(b"HTTP/1.1 100 Continue\r\n\r\n")


@contextlib.contextmanager
def address(form: str, seed: int = 1) -> Iterator[str]:
    """The URL of such a place, for as long as the block runs."""
    trouble = Trouble(form, random.Random(seed))
    try:
        yield trouble.url
    finally:
        trouble.stop()
