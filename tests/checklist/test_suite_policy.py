"""Suites whose checks were waived, made warnings or disabled: what the driver takes from them, and what JUnit and the screen show."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from promote.checklist.runner import run_suite
from promote.checklist.waivers import Waiver
from promote.config.reader import read_settings
from promote.core.deadline import Deadline
from promote.core.model import Verdict
from tests.checklist.test_suites import SETTINGS, context
from tests.support.processes import left, mark

FAILS = 'import pytest\n@pytest.mark.check("smoke-url[a]")\ndef test_a(evidence):\n    evidence("seen", 503)\n    assert False, "answers 503"\n'
HANGS = 'import pytest, time\n@pytest.mark.check("smoke-url[a]")\n@pytest.mark.timeout(1, method="signal")\ndef test_a():\n    time.sleep(60)\n'
SETUP = '@pytest.fixture\ndef broken():\n    raise RuntimeError("no answer")\n@pytest.mark.check("smoke-url[a]")\ndef test_a(broken): ...\n'
OTHER = "def test_other(): pass\n"
WAIVER = Waiver(id="smoke-url[a]", reason="known, ticket 12", author="Ada")


def judge(folder: Path, text: str, *waivers: Waiver, settings: str = "") -> tuple[dict[str, tuple[Verdict, str]], Verdict, str]:
    (folder / "promotion.toml").write_text(SETTINGS + settings)
    (folder / "checks" / "smoke").mkdir(parents=True)
    (folder / "checks" / "smoke" / "test_a.py").write_text("import pytest\n" + text)
    (folder / "checks" / "smoke" / "test_b.py").write_text(OTHER)
    result = run_suite(
        "smoke", folder / "checks" / "smoke", context=replace(context(), waivers=waivers), settings=read_settings(folder / "promotion.toml"),
        reports=folder / "reports", deadline=Deadline(20),
    )  # fmt: skip
    return {r.id: (r.verdict, r.detail) for r in result.checks}, result.verdict, Path(result.junit).read_text()


@pytest.mark.parametrize(("text", "message"), [(FAILS, "answers 503"), (HANGS, "Timeout"), (SETUP, "no answer"), (OTHER, "did not report")])
def test_a_waived_check_may_fail_hang_break_or_be_missing(tmp_path: Path, text: str, message: str) -> None:
    checks, verdict, junit = judge(tmp_path, text, WAIVER)
    assert checks["smoke-url[a]"][0] is Verdict.WAIVED
    assert "waived by Ada for this promotion: known, ticket 12" in checks["smoke-url[a]"][1]
    assert message in checks["smoke-url[a]"][1]
    assert verdict is Verdict.PASSED
    if text is not OTHER:
        assert 'skipped="1"' in junit and "known, ticket 12" in junit and 'failures="0"' in junit and 'errors="0"' in junit


@pytest.mark.parametrize("text", [FAILS, HANGS, SETUP, OTHER])
def test_without_the_waiver_it_blocks(tmp_path: Path, text: str) -> None:
    checks, verdict, _ = judge(tmp_path, text)
    assert checks["smoke-url[a]"][0].blocks and verdict.blocks


def test_a_waiver_does_not_stand_for_a_suite_in_which_nothing_passed(tmp_path: Path) -> None:
    (tmp_path / "promotion.toml").write_text(SETTINGS)
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "test_a.py").write_text(FAILS)
    result = run_suite(
        "smoke", tmp_path / "checks", context=replace(context(), waivers=(WAIVER,)), settings=read_settings(tmp_path / "promotion.toml"),
        reports=tmp_path / "reports", deadline=Deadline(20),
    )  # fmt: skip
    assert result.verdict is Verdict.ERRORED


def test_a_warning_is_reported_and_does_not_block(tmp_path: Path) -> None:
    checks, verdict, junit = judge(tmp_path, FAILS, settings='[checklist]\nadvisory = ["smoke-url"]\n')
    assert checks["smoke-url[a]"] == (Verdict.WARNING, "answers 503")
    assert verdict is Verdict.PASSED and 'failures="0"' in junit


def test_by_hand_a_declared_waiver_counts_and_is_reported(tmp_path: Path) -> None:
    (tmp_path / "promotion.toml").write_text('[[waivers]]\nid = "mine"\nreason = "later"\nauthor = "Ada"\nuntil = 2999-01-01\n')
    (tmp_path / "checks" / "smoke").mkdir(parents=True)
    (tmp_path / "checks" / "smoke" / "test_a.py").write_text(FAILS.replace("smoke-url[a]", "mine"))
    (tmp_path / "checks" / "smoke" / "test_b.py").write_text(OTHER)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "checks/smoke", "--promote-config", "promotion.toml"]
    done = subprocess.run([*argv, "--promote-context", _context(tmp_path)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "~ mine: waived by Ada until 2999-01-01: later" in done.stdout


def _context(folder: Path) -> str:
    return str(replace(context(), version=None).write(folder / "context.json"))


def test_what_a_check_started_ends_with_its_suite(tmp_path: Path) -> None:
    """A team's own tests run in a group of their own; the suite's deadline must not leave them behind."""
    seen = mark()
    text = (
        "from pathlib import Path\nfrom promote.transport.programs import run_program\n"
        '@pytest.mark.check("smoke-url[a]")\ndef test_a():\n'
        f"    run_program(['env', 'PROMOTE_TEST_MARK={seen['PROMOTE_TEST_MARK']}', 'sh', '-c', 'sleep 600 & sleep 601'], cwd=Path('.'), seconds=500)\n"
    )
    (tmp_path / "promotion.toml").write_text(SETTINGS)
    (tmp_path / "checks" / "smoke").mkdir(parents=True)
    (tmp_path / "checks" / "smoke" / "test_a.py").write_text("import pytest\n" + text)
    result = run_suite(
        "smoke", tmp_path / "checks" / "smoke", context=context(), settings=read_settings(tmp_path / "promotion.toml"), reports=tmp_path / "reports",
        deadline=Deadline(3),
    )  # fmt: skip
    assert result.verdict is Verdict.ERRORED and "ended by its deadline" in result.reason
    assert left(seen) == []
