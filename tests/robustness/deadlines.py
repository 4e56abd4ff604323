"""R8: every endpoint refuses, is a black hole, is silent or drips: the command ends within its deadline, leaves no child, names the endpoint.

The troubles are sockets: nobody listening, a listener whose queue is full (packets vanish), one that accepts and says nothing, one that answers
correctly and for ever, a byte at a time.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from promote.commands.world import repository_files
from promote.sandbox.sandbox import Sandbox
from tests.connections import BIN, Bench, executable
from tests.processes import left, mark
from tests.robustness.harness import STABLE, Figures, scratch

DEADLINE_S, GRACE_S = 110.0, 5.0
TROUBLES = ("refuse", "black hole", "hang", "drip")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\r\n"


class Trouble:
    """An address at which one kind of trouble waits."""

    def __init__(self, kind: str) -> None:
        self._kind, self._open = kind, [socket.socket()]
        listener = self._open[0]
        listener.bind(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._stopping = threading.Event()
        if kind == "refuse":
            return
        listener.listen(0 if kind == "black hole" else 64)
        if kind == "black hole":
            for _ in range(4):  # fill the queue: from then on nobody gets an answer to his SYN
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
                self._open.append(filler)
            return
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                taken, _ = self._open[0].accept()
            except OSError:
                return
            self._open.append(taken)
            if self._kind == "drip":
                threading.Thread(target=self._drip, args=(taken,), daemon=True).start()

    def _drip(self, taken: socket.socket) -> None:
        try:
            taken.recv(65536)
            taken.sendall(HEAD)
            while not self._stopping.wait(0.05):
                taken.sendall(b" ")
        except OSError:
            return

    def stop(self) -> None:
        self._stopping.set()
        for one in self._open:
            one.close()


SOONER = {  # a setting as the sandbox has it → one that fits in the deadline
    '[dev]\n': '[dev]\nconverge_timeout = "6s"\n', 'wait = "10s"': 'wait = "4s"', 'timeout = "20s"': 'timeout = "8s"', "tries = 2\n": 'tries = 2\nwithin = "3s"\n',
}  # fmt: skip


def _hasten(path: Path) -> None:
    text = path.read_text()
    for old, new in SOONER.items():
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(f'{text}\n[repository]\ntimeout = "4s"\n[suites]\nrow_timeout = "55s"\ntimeout = "{DEADLINE_S:.0f}s"\n')


def _set(key: str) -> Callable[[Bench, Trouble], None]:
    """Point a URL of the settings there: `[section] url` or the first smoke URL."""

    def put(bench: Bench, trouble: Trouble) -> None:
        path = bench.clone / "promotion.toml"
        text = path.read_text()
        section, _, name = key.rpartition(".")
        changed = re.sub(rf'(\[{re.escape(section)}\]+\n(?:[^\[\n].*\n)*?{name} = ")https?://[^/"]+', rf"\g<1>{trouble.url}", text, count=1)
        assert changed != text, key
        path.write_text(changed)

    return put


def _git(bench: Bench, trouble: Trouble) -> None:
    bench.git("remote", "set-url", "origin", f"{trouble.url}/acme/gitops.git")


def _cluster(name: str) -> Callable[[Bench, Trouble], None]:
    def put(bench: Bench, trouble: Trouble) -> None:
        places = {"prod": bench.sandbox.prod.url, "dev": bench.sandbox.dev.url, name: trouble.url}
        bench.kubeconfig(prod=places["prod"], token="t")
        path = Path(bench.env["KUBECONFIG"])
        path.write_text(path.read_text().replace(bench.sandbox.dev.url, places["dev"]))

    return put


PLUGINS = {  # the same troubles as a program has them
    "refuse": "echo please log in >&2; exit 3",
    "black hole": "exec 3<>/dev/tcp/127.0.0.1/$PORT; cat <&3",
    "hang": "sleep 600",
    "drip": "while :; do printf ' '; sleep 0.05; done",
}


def _plugin(kind: str) -> Callable[[Bench, Trouble], None]:
    def put(bench: Bench, trouble: Trouble) -> None:
        text = f"#!/bin/bash\nPORT={trouble.port}\n{PLUGINS[kind]}\n"
        program = executable(bench.clone.parent / f"{bench.clone.name}-plugin", text)
        bench.kubeconfig(exec={"apiVersion": "client.authentication.k8s.io/v1", "command": str(program), "interactiveMode": "Never"})

    return put


@dataclass(frozen=True)
class Endpoint:
    """What is typed, and the word that names it."""

    argv: tuple[str, ...]
    word: str
    point: Callable[[Bench, Trouble], None] | None = None  # None: the exec plugin, which depends on the kind


ENDPOINTS = {
    "git remote": Endpoint(("status",), "git remote origin", _git),
    "git remote, in a suite": Endpoint(("check", "pre"), "git remote origin", _git),
    "GitHub": Endpoint(("check", "pre"), "GitHub", _set("github.api_url")),
    "prod cluster": Endpoint(("check", "post"), "cluster prod", _cluster("prod")),
    "prod cluster, asked for status": Endpoint(("status",), "cluster prod", _cluster("prod")),
    "dev cluster": Endpoint(("check", "pre"), "cluster dev", _cluster("dev")),
    "exec plugin": Endpoint(("check", "post"), "plugin"),
    "smoke URL": Endpoint(("check", "smoke"), "smoke-url[grafana]", _set("[smoke.urls].url")),
    "Prometheus": Endpoint(("check", "post"), "Prometheus", _set("prometheus.url")),
    "Alertmanager": Endpoint(("check", "post"), "Alertmanager", _set("alertmanager.url")),
    "Grafana": Endpoint(("check", "post"), "Grafana", _set("grafana.url")),
}


def _typed(argv: tuple[str, ...], clone: Path, env: dict[str, str]) -> tuple[int, str]:
    """Exit code and what was said; a command that does not end is ended, and tells."""
    with tempfile.TemporaryFile() as said:  # a file: a pipe would wait for children that were left behind
        child = subprocess.Popen(
            [str(BIN / "promote"), *argv], cwd=clone, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )
        try:
            child.wait(DEADLINE_S * 2)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        said.seek(0)
        return child.returncode, " ".join(said.read().decode(errors="replace").split())


def one(sandbox: Sandbox, folder: Path, name: str, kind: str, number: int) -> Figures:
    """One endpoint in one kind of trouble."""
    figures, endpoint = Figures("R8 deadlines"), ENDPOINTS[name]
    bench, marked = Bench(sandbox, sandbox.clone(folder / f"clone-{number}")), mark()
    _hasten(bench.clone / "promotion.toml")
    trouble = Trouble(kind)
    try:
        (endpoint.point or _plugin(kind))(bench, trouble)
        started = time.monotonic()
        code, said = _typed(endpoint.argv, bench.clone, {**sandbox.env, **bench.env, **marked})
        took = time.monotonic() - started
        behind = left(marked)
    finally:
        trouble.stop()
    figures.counts["cases"] += 1
    figures.notes.append(f"{took:5.1f} s  {name}: {kind}")
    wrong = []
    if took > DEADLINE_S + GRACE_S:
        wrong.append(f"took {took:.1f} s")
    if behind:
        wrong.append(f"left {behind}")
    if endpoint.word.lower() not in said.lower():
        wrong.append(f"does not name {endpoint.word!r}: {said}")
    if code not in (1, 2, 5):
        wrong.append(f"exit {code}")
    if "Traceback" in said:
        wrong.append("shows a traceback")
    if wrong:
        figures.breach(number, f"{name}: {kind}: {'; '.join(wrong)}")
    return figures


@contextmanager
def world() -> Iterator[tuple[Sandbox, Path]]:
    with scratch() as folder, Sandbox(folder / "world", files=repository_files("git"), act=False, commands=[BIN]) as sandbox:
        yield sandbox, folder


def run(seed: int, count: int, figures: Figures, *, workers: int = 12, only: str = "") -> None:
    """`count` cases from the table on, beginning with case `seed`; 0 means all of them."""
    cases = [(n, name, kind) for n, (name, kind) in enumerate(product(ENDPOINTS, TROUBLES), start=1) if only in f"{name}: {kind}"]
    with world() as (sandbox, folder), ThreadPoolExecutor(workers) as pool:
        before = sandbox.writer.holds(STABLE)
        chosen = cases[seed - 1 : seed - 1 + count] if count else cases
        for got in pool.map(lambda case: one(sandbox, folder, case[1], case[2], case[0]), chosen):
            figures.add(got)
        if sandbox.writer.holds(STABLE) != before:
            figures.breaches.append("the stable tag was moved")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first case")
    parser.add_argument("--count", type=int, default=0, help="how many cases (default: all)")
    parser.add_argument("--full", action="store_true", help="all, which is the default too")
    parser.add_argument("--only", default="", help="cases whose words hold this")
    args = parser.parse_args()
    figures = Figures("R8 deadlines")
    run(args.seed, args.count, figures, only=args.only)
    if not figures.notes:
        parser.error(f"nothing was tried: no words hold {args.only!r}")
    print(figures.line())
    for line in (*figures.breaches[:30], f"the longest: {max(figures.notes)}"):
        print(f"  {line}")
    return 1 if figures.breaches else 0


if __name__ == "__main__":
    sys.exit(main())
