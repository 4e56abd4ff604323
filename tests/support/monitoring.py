"""A real Prometheus and a real Alertmanager beside an exporter that the test controls."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
import yaml

from promote.sandbox.http_server import Request, Response, World

PROGRAMS = ("prometheus", "prometheus-alertmanager")
RULES = {
    "Watchdog": "vector(1)",
    "OldTrouble": "app_old_trouble > 0",
    "ErrorsRising": "app_errors > 0",
}


class Exporter(World):
    """Gauges by their whole text, like `app_errors` or `app_up{job="a"}`; `down` answers 503."""

    def __init__(self) -> None:
        super().__init__("exporter")
        self.gauges: dict[str, float] = {"app_errors": 0, "app_old_trouble": 1, "app_requests": 100}
        self.down = False
        self._guard = threading.Lock()

    def set(self, **gauges: float) -> None:
        with self._guard:
            self.gauges.update(gauges)

    def handle(self, request: Request) -> Response:
        with self._guard:
            text = "".join(f"{name} {value}\n" for name, value in self.gauges.items())
        return Response(status=503 if self.down else 200, body=text.encode(), headers={"Content-Type": "text/plain; version=0.0.4"})


@dataclass(kw_only=True)
class Monitoring:
    """Where the two are, and the exporter that feeds them."""

    exporter: Exporter
    prometheus: str
    alertmanager: str
    log: list[Path] = field(default_factory=list)

    def firing(self) -> set[str]:
        return {a["labels"]["alertname"] for a in requests.get(f"{self.alertmanager}/api/v2/alerts", timeout=5).json()}

    def value(self, expression: str) -> list[str]:
        answer = requests.get(f"{self.prometheus}/api/v1/query", {"query": expression}, timeout=5).json()
        return [entry["value"][1] for entry in answer["data"]["result"]]

    def until(self, what: str, holds: Callable[[], bool], seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, f"{what}: not within {seconds} s\n" + "\n".join(path.read_text()[-2000:] for path in self.log)
            time.sleep(0.05)


@contextmanager
def monitoring(folder: Path) -> Iterator[Monitoring]:
    """Both programs up, scraping every 0.2 s, with OldTrouble and Watchdog firing already. Skips where they are not installed."""
    for program in PROGRAMS:
        if not shutil.which(program):
            pytest.skip(f"not run: needs {program}")
    with ExitStack() as stack:
        exporter = Exporter()
        stack.enter_context(exporter)
        ports = {name: _free_port() for name in PROGRAMS}
        _configure(folder, exporter.url, ports["prometheus-alertmanager"])
        addresses = [f"--web.listen-address=127.0.0.1:{ports['prometheus']}", f"--web.listen-address=127.0.0.1:{ports['prometheus-alertmanager']}"]
        options: Mapping[str, list[str]] = {
            # It knows its Alertmanagers only after 5 s, and would send what fired before then again after a minute.
            "prometheus": [
                f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}", "--rules.alert.resend-delay=1s", addresses[0],
            ],
            "prometheus-alertmanager": [
                f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'am'}", "--cluster.listen-address=", addresses[1],
            ],
        }  # fmt: skip
        for program in PROGRAMS:
            stack.enter_context(_running([program, *options[program]], folder / f"{program}.log"))
        urls = [f"http://127.0.0.1:{ports[name]}" for name in PROGRAMS]
        here = Monitoring(exporter=exporter, prometheus=urls[0], alertmanager=urls[1], log=[folder / f"{p}.log" for p in PROGRAMS])
        here.until("both are ready", lambda: all(_ready(url) for url in urls))
        here.until("the old trouble fires", lambda: {"OldTrouble", "Watchdog"} <= here.firing())
        yield here


def _configure(folder: Path, target: str, alertmanager: int) -> None:
    rules = [{"alert": name, "expr": expr, "labels": {"severity": "warning"}, "annotations": {"summary": name}} for name, expr in RULES.items()]
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "app", "interval": "200ms", "rules": rules}]}))
    (folder / "alertmanager.yml").write_text(yaml.safe_dump({"route": {"receiver": "none"}, "receivers": [{"name": "none"}]}))
    settings = {
        "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms", "evaluation_interval": "200ms"},
        "rule_files": [str(folder / "rules.yml")],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]},
        "scrape_configs": [{"job_name": "app", "static_configs": [{"targets": [target.removeprefix("http://")]}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))


@contextmanager
def _running(argv: list[str], log: Path) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/-/ready", timeout=2).ok
    except requests.RequestException:
        return False
