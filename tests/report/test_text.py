"""Words, redaction and the JSON document: small values in, exact text out."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from promote.core.model import AppState, AppVerdict, CheckResult, End, Step, Tag, Verdict
from promote.core.redact import Redactor
from promote.report.document import run_document
from promote.report.plain import Reporter
from promote.report.words import clock, counted, duration, local_time, spoken
from tests.support.silent_report import Silent

TOKEN = "s3cr3t/t0ken+x"


@pytest.mark.parametrize(
    ("seconds", "column", "sentence", "face"),
    [
        (0, "0.0 s", "0 s", "00:00"),
        (4.13, "4.1 s", "4 s", "00:04"),
        (9.97, "10 s", "10 s", "00:09"),
        (59.7, "1:00", "1 min", "00:59"),
        (101, "1:41", "1 min 41 s", "01:41"),
        (3600, "1:00:00", "1 h", "1:00:00"),
        (7530, "2:05:30", "2 h 5 min", "2:05:30"),
        (90_000, "25:00:00", "1 day", "25:00:00"),
        (3 * 86400, "72:00:00", "3 days", "72:00:00"),
    ],
)
def test_durations(seconds: float, column: str, sentence: str, face: str) -> None:
    assert (duration(seconds), spoken(seconds), clock(seconds)) == (column, sentence, face)


def test_times_are_local_and_name_their_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    script = "from datetime import *; from promote.report.words import local_time; print(local_time(datetime(2026, 1, 5, 13, 2, 31, tzinfo=UTC)))"
    monkeypatch.setenv("TZ", "XYZ-2")
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "15:02:31 XYZ\n"
    assert local_time(datetime.now(UTC)).count(":") == 2


def test_counts() -> None:
    assert [counted(n, "commit") for n in (0, 1, 2)] == ["0 commits", "1 commit", "2 commits"]


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        (f"git wrote {TOKEN}!", "git wrote ***!"),
        ("https://x/?t=s3cr3t%2Ft0ken%2Bx", "https://x/?t=***"),
        (f"header {base64.b64encode(TOKEN.encode()).decode()}", "header ***"),
        (f"Basic {base64.b64encode(f'x-access-token:{TOKEN}'.encode()).decode()}", "Basic ***"),
        ("fatal: https://ada:pw@git.acme.dev/x.git", "fatal: https://***@git.acme.dev/x.git"),
        ("fatal: https://:pw@git.acme.dev/x.git", "fatal: https://***@git.acme.dev/x.git"),
        ("https://onlytoken@git.acme.dev/x.git", "https://***@git.acme.dev/x.git"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ('{"authorization": "Basic YWRhOnB3"}', '{"authorization": "Basic ***"}'),
        ("Authorization: token abcdef, next", "Authorization: token ***, next"),
        ("found ghp_0123456789abcdefghijABCDEFGHIJ012345 in env", "found *** in env"),
        ("github_pat_11ABCDEFG0123456789_abcdefghij", "***"),
    ],
)
def test_a_secret_is_masked_in_every_form(text: str, safe: str) -> None:
    assert Redactor([TOKEN]).text(text) == safe


@pytest.mark.parametrize(
    "text",
    [
        "ssh://git@github.com/acme/gitops.git",
        "git@github.com:acme/gitops.git",
        "https://github.com/acme/gitops: see ada@example.org",
        "run https://github.com/acme/gitops/actions/runs/8123",
        "1f70a0c9 → 4f0a9b1 \"grafana: raise memory limit\"",
        "the bearer of bad news",
    ],
)  # fmt: skip
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert Redactor(["", "pw", TOKEN]).text(text) == text


def test_secrets_learnt_later_and_within_each_other_are_masked_whole() -> None:
    redactor = Redactor(["abcdef"])
    redactor.add("abcdefghij", "abcdef")
    assert redactor.text("abcdefghij abcdef") == "*** ***"


def test_values_are_masked_at_any_depth() -> None:
    document = {"a": [{"b": f"x{TOKEN}"}, 1, None, True], f"k{TOKEN}": ("y",)}
    assert Redactor([TOKEN]).value(document) == {"a": [{"b": "x***"}, 1, None, True], "k***": ["y"]}


def test_the_document_has_every_key_and_is_json() -> None:
    tag = Tag(ref="refs/tags/prod-stable", object="77ab", commit="9c1d")
    document = run_document(
        end=End.ROLLED_BACK, reason="smoke failed", version="v1.8.0", commit="4f0a", stable_before=tag, stable_after=None,
        steps=[Step(name="smoke", verdict=Verdict.FAILED, seconds=20.4, detail="1 of 9")],
        checks=[CheckResult(id="smoke-url[web]", suite="smoke", verdict=Verdict.FAILED, seconds=2.0, detail="503", evidence={"status": 503})],
        applications=[AppVerdict(name="grafana", state=AppState.FAILED, reason="Degraded")],
        junit=["reports/smoke.xml"], record=".promotions/prod-v1.8.0.json", warnings=["w"], request_id="rq-1",
    )  # fmt: skip
    assert json.loads(json.dumps(document)) == {
        "outcome": "rolled_back",
        "exit": 3,
        "reason": "smoke failed",
        "version": "v1.8.0",
        "commit": "4f0a",
        "stable_before": {"object": "77ab", "commit": "9c1d"},
        "stable_after": None,
        "steps": [{"name": "smoke", "verdict": "failed", "seconds": 20.4, "detail": "1 of 9"}],
        "checks": [{"id": "smoke-url[web]", "suite": "smoke", "verdict": "failed", "seconds": 2.0, "detail": "503", "evidence": {"status": 503}}],
        "applications": [{"name": "grafana", "verdict": "failed", "reason": "Degraded"}],
        "junit": ["reports/smoke.xml"],
        "record": ".promotions/prod-v1.8.0.json",
        "warnings": ["w"],
        "request_id": "rq-1",
        "waivers": [],
    }


def test_a_silent_reporter_keeps_all_reports() -> None:
    kept = Silent()
    report: Reporter = kept
    report.note("one")
    report.undo(["back"])
    report.end(End.STUCK, ["true now"])
    report.document({"outcome": "stuck"})
    assert (kept.notes, kept.undone_by, kept.ended, kept.documents) == (["one"], ["back"], (End.STUCK, ("true now",)), [{"outcome": "stuck"}])


def test_plain_reports_do_not_load_the_terminal_library() -> None:
    script = "import sys, promote.report.screen, promote.report.document; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
