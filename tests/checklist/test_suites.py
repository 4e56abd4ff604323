"""Suites in child processes: a pass, and the many ways to look like one without being one."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from promote.checklist.context import SuiteContext
from promote.checklist.runner import run_suite
from promote.config.reader import read_settings
from promote.core.deadline import Deadline
from promote.core.model import CheckResult, SuiteResult, Verdict

SETTINGS = '[[smoke.urls]]\nname = "a"\nurl = "http://127.0.0.1:9/"\n'
QUICK = SETTINGS + 'attempts = 1\ntimeout = "0.5s"\n' + '[suites]\ncheck_timeout = "1s"\n[dev]\nconverge_timeout = "0.5s"\n'
GOOD = """
    import pytest

    @pytest.mark.check("smoke-url[a]")
    def test_a(evidence):
        evidence("seen", 42)
"""


def context(commit: str = "c" * 40, state: str = "after") -> SuiteContext:
    return SuiteContext(
        version="v1.0.0",
        commit=commit,
        from_tree=False,
        dev_tag=None,
        previous=None,
        stable=None,
        request_id="r",
        lock="",
        state=state,
        baseline_file=None,
    )


def judge(
    folder: Path,
    files: dict[str, str],
    *,
    seconds: float = 20,
    settings: str = SETTINGS,
    checks: list[CheckResult] | None = None,
    state: str = "after",
) -> SuiteResult:
    (folder / "promotion.toml").write_text(settings)
    for name, text in files.items():
        target = folder / "checks" / "smoke" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(textwrap.dedent(text))
    return run_suite(
        "smoke",
        folder / "checks" / "smoke",
        context=context(state=state),
        settings=read_settings(folder / "promotion.toml"),
        reports=folder / "reports",
        deadline=Deadline(seconds),
        on_check=(checks if checks is not None else []).append,
    )


def test_a_suite_passes_when_every_required_check_did(tmp_path: Path) -> None:
    checks: list[CheckResult] = []
    result = judge(tmp_path, {"test_a.py": GOOD}, checks=checks)
    assert result.verdict is Verdict.PASSED, Path(result.log).read_text()
    assert [(r.id, r.verdict, dict(r.evidence)) for r in checks] == [("smoke-url[a]", Verdict.PASSED, {"seen": 42})]
    assert 'name="seen" value="42"' in Path(result.junit).read_text()


def test_a_module_at_the_top_of_the_repository_does_not_take_a_librarys_place(tmp_path: Path) -> None:
    """A file left there could answer for what the checks stand on; and a repository may well have a folder of a library's name."""
    (tmp_path / "pytest_timeout.py").write_text("raise RuntimeError('not the library')\n")
    (tmp_path / "yaml.py").write_text("raise RuntimeError('not the library')\n")
    result = judge(tmp_path, {"test_a.py": "import yaml\n" + textwrap.dedent(GOOD)})
    assert result.verdict is Verdict.PASSED, Path(result.log).read_text()


PATIENT = """
    import pytest
    from promote.core.retry import patience_left

    @pytest.mark.check("smoke-url[a]")
    def test_a(evidence):
        evidence("patience", patience_left("a service").seconds)
"""


@pytest.mark.parametrize(("state", "seconds"), [("before", 48.0), ("after", 48.0), ("back", 48.0), ("alone", 15.0)])
def test_a_faulty_read_is_repeated_for_most_of_its_checks_time_and_by_hand_not_as_long(tmp_path: Path, state: str, seconds: float) -> None:
    result = judge(tmp_path, {"test_a.py": PATIENT}, state=state)
    assert [dict(check.evidence) for check in result.checks] == [{"patience": seconds}]


HOSTILE = {
    "all skipped": ("import pytest\n@pytest.mark.check('smoke-url[a]')\n@pytest.mark.skip\ndef test_a(): pass\n", Verdict.ERRORED),
    "skipped inside": ("import pytest\n@pytest.mark.check('smoke-url[a]')\ndef test_a(): pytest.skip('later')\n", Verdict.ERRORED),
    "expected to fail": ("import pytest\n@pytest.mark.check('smoke-url[a]')\n@pytest.mark.xfail\ndef test_a(): assert False\n", Verdict.ERRORED),
    "unexpectedly passing": ("import pytest\n@pytest.mark.check('smoke-url[a]')\n@pytest.mark.xfail\ndef test_a(): pass\n", Verdict.ERRORED),
    "os._exit(0)": ("import os\ndef test_a(): os._exit(0)\n", Verdict.ERRORED),
    "exit after a pass": (textwrap.dedent(GOOD) + "\nimport os\ndef test_b(): os._exit(0)\n", Verdict.ERRORED),
    "pytest.exit": ("import pytest\ndef test_a(): pytest.exit('bye', returncode=0)\n", Verdict.ERRORED),
    "collection error": ("import no_such_module\n", Verdict.ERRORED),
    "no tests": ("x = 1\n", Verdict.ERRORED),
    "the check is gone": ("def test_other(): pass\n", Verdict.ERRORED),
    "fails": ("import pytest\n@pytest.mark.check('smoke-url[a]')\ndef test_a(): assert False, 'nope'\n", Verdict.FAILED),
    "crashes": ("import pytest\n@pytest.mark.check('smoke-url[a]')\ndef test_a(): 1 / 0\n", Verdict.ERRORED),
    "teardown fails": (
        "import pytest\n@pytest.fixture\ndef f():\n    yield\n    1 / 0\n@pytest.mark.check('smoke-url[a]')\ndef test_a(f): pass\n",
        Verdict.ERRORED,
    ),
    "check stands twice": (
        "import pytest\n@pytest.mark.check('smoke-url[a]')\ndef test_a(): pass\n@pytest.mark.check('smoke-url[a]')\ndef test_b(): pass\n",
        Verdict.ERRORED,
    ),
    "check without id": ("import pytest\n@pytest.mark.check()\ndef test_a(): pass\n", Verdict.ERRORED),
    "another check of the user fails": (textwrap.dedent(GOOD) + "\ndef test_mine(): assert False\n", Verdict.FAILED),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_only_looks_like_a_pass_is_none(tmp_path: Path, name: str) -> None:
    text, verdict = HOSTILE[name]
    result = judge(tmp_path, {"test_a.py": text})
    assert result.verdict is verdict, result
    assert result.reason


@pytest.mark.parametrize("ini", ["[pytest]\naddopts = -k nothing\n", "[pytest]\naddopts = --collect-only\n", "[pytest]\ncollect_ignore_glob = *\n"])
def test_an_ini_of_the_repository_cannot_deselect(tmp_path: Path, ini: str) -> None:
    (tmp_path / "pytest.ini").write_text(ini)
    assert judge(tmp_path, {"test_a.py": GOOD}).verdict is Verdict.PASSED


def test_options_in_the_environment_cannot_deselect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "--collect-only")
    assert judge(tmp_path, {"test_a.py": GOOD}).verdict is Verdict.PASSED


def test_a_conftest_that_ignores_the_check_is_noticed(tmp_path: Path) -> None:
    result = judge(tmp_path, {"test_a.py": GOOD, "test_b.py": "def test_b(): pass\n", "conftest.py": "collect_ignore = ['test_a.py']\n"})
    assert (result.verdict, [r.id for r in result.failed]) == (Verdict.ERRORED, ["smoke-url[a]"])


SAYS_NO = "import pytest\n@pytest.mark.check('smoke-url[a]')\ndef test_a(): assert False, 'nope'\n"
CONFTESTS = {
    "patches the report": "import pytest\n@pytest.hookimpl(wrapper=True, tryfirst=True)\ndef pytest_runtest_makereport():\n    r = yield\n    r.outcome = 'passed'\n    return r\n",
    "patches it last": "import pytest\n@pytest.hookimpl(wrapper=True, trylast=True)\ndef pytest_runtest_makereport():\n    r = yield\n    r.outcome = 'passed'\n    return r\n",
    "swallows the failure": "import pytest\n@pytest.hookimpl(wrapper=True)\ndef pytest_pyfunc_call():\n    try:\n        return (yield)\n    except BaseException:\n        return True\n",
    "does not call it": "import pytest\n@pytest.hookimpl(tryfirst=True)\ndef pytest_pyfunc_call(pyfuncitem):\n    return True\n",
    "swallows the call": "import pytest\n@pytest.hookimpl(wrapper=True)\ndef pytest_runtest_call():\n    try:\n        yield\n    except BaseException:\n        pass\n",
    "reports that all is well": "def pytest_sessionfinish(session):\n    session.exitstatus = 0\n    session.testsfailed = 0\n",
    "leaves it out": "def pytest_collection_modifyitems(items):\n    items.clear()\n",
    "ends the run": "import os\ndef pytest_runtest_logreport(report):\n    os._exit(0)\n",
}


@pytest.mark.parametrize("name", CONFTESTS)
def test_a_conftest_cannot_make_a_no_a_pass(tmp_path: Path, name: str) -> None:
    result = judge(tmp_path, {"test_a.py": SAYS_NO, "conftest.py": CONFTESTS[name]})
    assert result.verdict is not Verdict.PASSED, result


def test_a_session_that_pytest_calls_failed_is_no_pass_though_every_check_passed(tmp_path: Path) -> None:
    given_up = "def pytest_runtest_teardown(item):\n    item.session.shouldfail = 'enough'\n"
    result = judge(tmp_path, {"test_a.py": GOOD, "conftest.py": given_up})
    assert result.verdict is Verdict.ERRORED and "every check passed, but pytest ended with" in result.reason


def test_a_plugin_named_in_the_environment_or_the_conftest_cannot_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_PLUGINS", "swallow")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "checks/smoke"))
    named = {"swallow.py": CONFTESTS["swallows the failure"], "conftest.py": "pytest_plugins = ['swallow']\n"}
    result = judge(tmp_path, {"test_a.py": SAYS_NO, **named})
    assert (result.verdict, "nope" in result.checks[0].detail) == (Verdict.FAILED, True)


def test_a_suite_that_breaks_off_after_its_last_check_is_no_pass(tmp_path: Path) -> None:
    broken_off = "import os\nimport pytest\n@pytest.hookimpl(tryfirst=True)\ndef pytest_sessionfinish():\n    os._exit(0)\n"
    result = judge(tmp_path, {"test_a.py": GOOD, "conftest.py": broken_off})
    assert (result.verdict, result.reason) == (Verdict.ERRORED, "the suite did not reach its end")


def test_a_test_that_ends_its_own_group_is_no_pass(tmp_path: Path) -> None:
    text = textwrap.dedent(GOOD) + "\nimport os, signal\ndef test_b(): os.killpg(0, signal.SIGKILL)\n"
    assert judge(tmp_path, {"test_a.py": text}).verdict is Verdict.ERRORED


def test_a_test_that_deletes_the_verdicts_is_no_pass(tmp_path: Path) -> None:
    text = textwrap.dedent(GOOD) + "\nimport pathlib\ndef test_b(request): pathlib.Path(request.config.getoption('--promote-recorder')).unlink()\n"
    assert judge(tmp_path, {"test_a.py": text}).verdict is Verdict.ERRORED


def test_a_check_that_hangs_is_errored_by_its_timeout_and_the_next_one_still_runs(tmp_path: Path) -> None:
    text = """
        import time
        import pytest

        def test_hangs():
            time.sleep(60)

        @pytest.mark.check("smoke-url[a]")
        def test_a():
            pass
    """
    result = judge(tmp_path, {"test_a.py": text}, settings=QUICK)
    assert {r.id.rpartition("::")[2]: r.verdict for r in result.checks} == {"test_hangs": Verdict.ERRORED, "smoke-url[a]": Verdict.PASSED}
    assert result.verdict is Verdict.ERRORED


def test_the_suites_deadline_kills_the_whole_group(tmp_path: Path) -> None:
    marker = tmp_path / "grandchild.pid"
    text = f"""
        import subprocess, time
        import pytest

        @pytest.mark.check("smoke-url[a]")
        @pytest.mark.timeout(0)
        def test_a():
            child = subprocess.Popen(["sleep", "300"])
            open({str(marker)!r}, "w").write(str(child.pid))
            time.sleep(300)
    """
    result = judge(tmp_path, {"test_a.py": text}, seconds=8)
    assert result.verdict is Verdict.ERRORED
    assert "deadline" in result.reason
    assert [(r.id, "ended while it ran" in r.detail) for r in result.failed] == [("smoke-url[a]", True)]
    state = subprocess.run(["ps", "-o", "stat=", "-p", marker.read_text()], capture_output=True, text=True, check=False).stdout.strip()
    assert state[:1] in ("", "Z"), "the grandchild died with its group"


def test_the_check_in_which_the_suite_broke_off_is_distinguished_from_those_it_never_reached(tmp_path: Path) -> None:
    """A timeout's alarm may ring between two steps of a check: pytest then calls it an internal error of its own."""
    alarm = (
        "import pytest\n@pytest.hookimpl(wrapper=True, tryfirst=True)\ndef pytest_runtest_protocol(item):\n    yield\n    pytest.fail('rang late')\n"
    )
    early = "def pytest_runtest_logreport(report):\n    raise RuntimeError('in between')\n"
    for conftest in (alarm, early):
        mine = {"test_0.py": "def test_mine(): pass\n", "test_a.py": GOOD, "conftest.py": conftest}
        result = judge(tmp_path, mine)
        assert result.verdict is Verdict.ERRORED
        told = {r.id.rpartition("::")[2]: r.detail.partition(":")[0] for r in result.failed}
        assert told["smoke-url[a]"] == "did not report", told
    assert told["test_mine"] == "the suite ended while it ran"


def test_stopping_from_outside_ends_it(tmp_path: Path) -> None:
    (tmp_path / "promotion.toml").write_text(SETTINGS)
    folder = tmp_path / "checks"
    folder.mkdir()
    (folder / "test_a.py").write_text("import time\ndef test_a(): time.sleep(60)\n")
    stop = threading.Event()
    stop.set()
    result = run_suite(
        "smoke",
        folder,
        context=context(),
        settings=read_settings(tmp_path / "promotion.toml"),
        reports=tmp_path / "r",
        deadline=Deadline(60),
        stop=stop,
    )
    assert result.verdict is Verdict.ERRORED


def test_a_secret_that_a_check_shows_is_masked_in_the_record_and_in_junit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMOKE_KEY", "very-secret-key")
    text = """
        import pytest

        @pytest.mark.check("smoke-url[a]")
        def test_a(evidence):
            evidence("sent", {"X-Api-Key": "very-secret-key"})
            raise RuntimeError("refused very-secret-key")
    """
    result = judge(tmp_path, {"test_a.py": text}, settings=SETTINGS + 'headers = ["X-Api-Key: ${SMOKE_KEY}"]\n')
    (check,) = result.checks
    assert (check.evidence, check.detail) == ({"sent": {"X-Api-Key": "***"}}, "RuntimeError: refused ***")
    assert "value=\"{'X-Api-Key': '***'}\"" in Path(result.junit).read_text()


def test_a_missing_folder_is_not_a_pass(tmp_path: Path) -> None:
    (tmp_path / "promotion.toml").write_text(SETTINGS)
    result = run_suite(
        "smoke",
        tmp_path / "gone",
        context=context(),
        settings=read_settings(tmp_path / "promotion.toml"),
        reports=tmp_path / "r",
        deadline=Deadline(5),
    )
    assert result.verdict is Verdict.ERRORED


def test_without_settings_pytest_prints_one_clear_sentence(tmp_path: Path) -> None:
    checks = tmp_path / "checks"
    checks.mkdir()
    (checks / "test_a.py").write_text(textwrap.dedent(GOOD))
    done = subprocess.run([sys.executable, "-m", "pytest", "checks"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "no promotion.toml in" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
