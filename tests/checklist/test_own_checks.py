"""The example of docs/own-checks.md, taken from the page, in a fresh repository: it passes, it fails, and it is undetermined, in every report."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from promote.cli.sandbox_session import repository_files
from promote.sandbox.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PAGE = (ROOT / "docs" / "own-checks.md").read_text()
OPEN = {"state": "open"}
CLOSED = {"state": "maintenance", "until": "14:00"}


class Shop:
    """A shop on loopback. `payments` and `order` are what it answers; an order of None is a 503."""

    def __init__(self) -> None:
        self.payments: dict[str, str] = OPEN
        self.order: dict[str, str] | None = {"id": "A-17", "state": "accepted"}
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = {"/payments/status": shop.payments, "/checkout": shop.order}
                answer = known.get(self.path.partition("?")[0])
                body = json.dumps(answer).encode() if answer else b"no answer from the database"
                self.send_response(200 if answer else 503)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    shop = Shop()
    thread = threading.Thread(target=shop.server.serve_forever)
    thread.start()
    yield shop
    shop.server.shutdown()
    thread.join()
    shop.server.server_close()


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, shop: Shop) -> Iterator[tuple[Sandbox, Path]]:
    """A repository as promote fills it, and the page's example in it."""
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (place,) = set(re.findall(r"Copy it to `([^`]+)`", PAGE))
    files = {**repository_files("git"), place: example.encode()}
    with Sandbox(tmp_path_factory.mktemp("world"), files=files, act=False, commands=[BIN]) as world:
        world.env["SHOP_URL"] = shop.url
        yield world, world.clone(tmp_path_factory.mktemp("clone") / "gitops")


def run(clone: tuple[Sandbox, Path]) -> tuple[int, dict[str, Any], ET.Element, str]:
    """`promote check smoke`: its exit code, the check in the JSON document and in JUnit, and the screen."""
    world, folder = clone
    argv = [sys.executable, "-m", "promote", "check", "smoke", "--json"]
    done = subprocess.run(argv, cwd=folder, env=world.env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    document = json.loads(done.stdout)
    assert "checks" in document, done.stderr
    others = {c["id"]: c["verdict"] for c in document["checks"] if c["id"] != "checkout"}
    assert others and set(others.values()) == {"passed"}, others
    (check,) = [c for c in document["checks"] if c["id"] == "checkout"]
    cases = [case for case in ET.parse(document["junit"]).iter("testcase") if properties(case).get("check") == "checkout"]
    assert len(cases) == 1
    return done.returncode, check, cases[0], done.stderr


def properties(case: ET.Element) -> dict[str | None, str | None]:
    return {p.get("name"): p.get("value") for p in case.iter("property")}


def printed(mark: str) -> list[str]:
    """The page's block of output that begins with this mark, without its margin."""
    (block,) = re.findall(rf"^    {re.escape(mark)} checkout: .*\n(?:      .*\n)*", PAGE, re.MULTILINE)
    return [line.removeprefix("    ") for line in block.splitlines()]


def shown(screen: str, mark: str) -> list[str]:
    """The lines of the screen about the check: from its mark on, as many as the page prints."""
    lines = [line.removeprefix("smoke").strip() for line in screen.splitlines()]
    start = next(number for number, line in enumerate(lines) if line.startswith(f"{mark} checkout: "))
    return lines[start : start + len(printed(mark))]


def test_it_passes_with_its_evidence(clone: tuple[Sandbox, Path], shop: Shop) -> None:
    shop.payments, shop.order = OPEN, {"id": "A-17", "state": "accepted"}
    code, check, case, _ = run(clone)
    assert (code, check["verdict"], check["evidence"]["order"]) == (0, "passed", "A-17")
    assert (case.find("failure"), case.find("error"), case.find("skipped")) == (None, None, None)
    assert properties(case)["order"] == "A-17" and "200 after " in str(properties(case)["payment provider"])


def test_it_fails_with_its_fix_and_its_evidence(clone: tuple[Sandbox, Path], shop: Shop) -> None:
    shop.payments, shop.order = OPEN, {"id": "A-17", "state": "rejected"}
    code, check, case, screen = run(clone)
    assert (code, check["verdict"], check["evidence"]["order"]) == (1, "failed", "A-17")
    assert check["detail"].splitlines()[0] == "order A-17 for the test article"
    assert check["detail"].splitlines()[-1] == "do   kubectl -n shop rollout restart deployment/checkout"
    failure = case.find("failure")
    assert failure is not None and case.find("error") is None
    assert "kubectl -n shop rollout restart deployment/checkout" in ET.tostring(case, encoding="unicode")
    assert "got       rejected" in ET.tostring(failure, encoding="unicode") and properties(case)["order"] == "A-17"
    assert shown(screen, "✗") == [line.strip() for line in printed("✗")], "the page shows the output"


def test_it_fails_when_the_checkout_does_not_answer(clone: tuple[Sandbox, Path], shop: Shop) -> None:
    shop.payments, shop.order = OPEN, None
    code, check, _, _ = run(clone)
    assert (code, check["verdict"]) == (1, "failed")
    assert "503 after " in check["evidence"]["checkout"] and "no answer from the database" in check["detail"]


def test_it_is_undetermined_while_its_source_is_unreadable(clone: tuple[Sandbox, Path], shop: Shop) -> None:
    shop.payments, shop.order = CLOSED, None
    code, check, case, screen = run(clone)
    assert (code, check["verdict"]) == (5, "errored")
    assert "in maintenance until 14:00" in check["detail"] and "do   start again after 14:00" in check["detail"]
    assert "maintenance" in check["evidence"]["payment provider"]
    error = case.find("error")
    assert error is not None and case.find("failure") is None
    assert "in maintenance until 14:00" in ET.tostring(error, encoding="unicode")
    assert shown(screen, "?") == [line.strip() for line in printed("?")], "the page shows the output"


def test_it_is_on_the_checklist_and_can_be_waived_by_its_id(clone: tuple[Sandbox, Path], shop: Shop) -> None:
    world, folder = clone
    shop.payments, shop.order = OPEN, None
    argv = [sys.executable, "-m", "promote", "checklist", "--json"]
    lines = json.loads(subprocess.run(argv, cwd=folder, env=world.env, capture_output=True, text=True, check=True).stdout)
    assert [(line["suite"], line["evidence"]) for line in lines if line["id"] == "checkout"] == [("smoke", "checks/smoke/test_checkout.py")]
    argv = [sys.executable, "-m", "promote", "check", "smoke", "--waive", "checkout=the shop moves today", "--json"]
    done = subprocess.run(argv, cwd=folder, env=world.env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    assert {c["id"]: c["verdict"] for c in json.loads(done.stdout)["checks"]}["checkout"] == "waived"
