"""Bad weather between promote and everything it talks to: what a seed lets fail, at the worlds themselves."""

from __future__ import annotations

import threading
from collections import Counter

from promote.sandbox.http_server import Fault, Request
from tests.robustness.harness import dice

SHARE = 0.2
PAGE = b"<html>bad gateway</html>"
FAILED = (
    Fault(kind="status", status=502, body=PAGE), Fault(kind="status", status=503, body=PAGE), Fault(kind="drop_before"), Fault(kind="cut"),
)  # fmt: skip
LOST = (Fault(kind="drop_after"), Fault(kind="cut"))


class Weather:
    """Which reads fail and, in a storm, which writes lose their answers; counts them."""

    def __init__(self, seed: int, *, storm: bool) -> None:
        self._dice, self._guard, self._storm = dice(seed), threading.Lock(), storm
        self.seen: Counter[str] = Counter()

    def __call__(self, request: Request) -> Fault | None:
        service = request.query.get("service", "") or request.path.rpartition("/")[2]
        push, read = service == "git-receive-pack", service == "git-upload-pack"
        runner = "x-runner" in request.headers or (read and "authorization" in request.headers)  # its clone has the checkout's credentials
        if runner or (read and request.method != "GET"):  # a fetch has had its chance to fail at its first request
            return None
        if self._storm and request.method != "GET":
            return self._lost()
        if request.method != "GET" or push:
            return None
        with self._guard:
            self.seen["reads"] += 1
            if self._dice.random() >= SHARE:
                return None
            self.seen["failed reads"] += 1
            return self._dice.choice(FAILED)

    def _lost(self) -> Fault | None:
        with self._guard:
            self.seen["writes"] += 1
            if self._dice.random() >= SHARE:
                return None
            self.seen["lost answers"] += 1
            return self._dice.choice(LOST)
