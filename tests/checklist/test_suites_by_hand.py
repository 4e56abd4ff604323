"""`pytest checks/SUITE`: the exit code, the summary and the JUnit file that `promote check SUITE` would give, whatever options and plugins leave out."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from promote.checklist.runner import run_suite
from promote.config.reader import read_settings
from promote.core.deadline import Deadline
from promote.core.model import Verdict
from tests.checklist.test_suites import context
from tests.support.junit import outcomes, read

SETTINGS = '[[smoke.urls]]\nname = "a"\nurl = "http://127.0.0.1:9/"\n[[smoke.urls]]\nname = "b"\nurl = "http://127.0.0.1:9/"\n'
WAIVED = SETTINGS + '[[waivers]]\nid = "smoke-url[a]"\nreason = "ticket 12"\nauthor = "Ada"\nuntil = 2999-01-01\n'
A, B, OWN = "smoke-url[a]", "smoke-url[b]", "checks/smoke/test_own.py::test_own"
CODES = {Verdict.PASSED: 0, Verdict.FAILED: 1, Verdict.ERRORED: 5}


def check(name: str, body: str = "pass") -> str:
    return f"import pytest\n@pytest.mark.check('smoke-url[{name}]')\ndef test_{name}():\n    {body}\n"


FILES = {"checks/smoke/test_a.py": check("a"), "checks/smoke/test_b.py": check("b")}
LEAVES_OUT = "def pytest_collection_modifyitems(items):\n    items[:] = items[:1]\n"
SPLITS = "def pytest_collection_modifyitems(config, items):\n    config.hook.pytest_deselected(items=items[1:])\n    items[:] = items[:1]\n"
# As pytest-rerunfailures does it: the protocol again, with the failures of the first attempt reported as "rerun".
RUNS_AGAIN = """
    from _pytest.runner import runtestprotocol

    def pytest_runtest_protocol(item, nextitem):
        for last in (False, True):
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
            again = not last and any(report.failed for report in reports)
            for report in reports:
                if again and report.failed:
                    report.outcome = "rerun"
                item.ihook.pytest_runtest_logreport(report=report)
            if not again:
                return True
"""
FAILS_ONCE = (
    "import pathlib\n    mark = pathlib.Path('mark')\n    first = not mark.exists()\n    mark.touch()\n    assert not first, 'the first answer'"
)


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    junit: Path


def place(folder: Path, files: Mapping[str, str] = {}, settings: str = SETTINGS) -> Path:
    for name, text in {"promotion.toml": settings, **FILES, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(textwrap.dedent(text) if text.startswith("\n") else text)
    context().write(folder / "context.json")
    return folder


def by_hand(folder: Path, *options: str, what: str = "checks/smoke", **environment: str) -> Ended:
    """pytest as a developer starts it, all plugins included; the target comes from a file, so that no repository has to be asked."""
    argv = [sys.executable, "-m", "pytest", *([what] if what else []), "--promote-context=context.json", "--junitxml=out/smoke.xml", *options]
    done = subprocess.run(argv, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    return Ended(done.returncode, done.stdout + done.stderr, folder / "out" / "smoke.xml")


SAME = {
    "all pass": ({}, SETTINGS, 0, {A: "passed", B: "passed"}),
    "one says no": ({"checks/smoke/test_a.py": check("a", "assert 0, 'nope'")}, SETTINGS, 1, {A: "failure", B: "passed"}),
    "one breaks in its call": ({"checks/smoke/test_a.py": check("a", "1 / 0")}, SETTINGS, 5, {A: "error", B: "passed"}),
    "one is skipped": ({"checks/smoke/test_a.py": check("a", "pytest.skip('later')")}, SETTINGS, 5, {A: "error", B: "passed"}),
    "one is expected to fail": ({"checks/smoke/test_a.py": check("a", "pytest.xfail('known')")}, SETTINGS, 5, {A: "error", B: "passed"}),
    "one is waived": ({"checks/smoke/test_a.py": check("a", "assert 0, 'nope'")}, WAIVED, 0, {A: "skipped", B: "passed"}),
    "a no counts more than an unknown": (
        {"checks/smoke/test_a.py": check("a", "1 / 0"), "checks/smoke/test_b.py": check("b", "assert 0")}, SETTINGS, 1, {A: "error", B: "failure"},
    ),
    "two have one id": ({"checks/smoke/test_c.py": check("b")}, SETTINGS, 5, {A: "passed", B: "error"}),
    "one file has no check": ({"checks/smoke/test_b.py": "x = 1\n"}, SETTINGS, 5, {A: "passed", B: "error"}),
    "a conftest leaves one out": ({"checks/smoke/conftest.py": LEAVES_OUT}, SETTINGS, 5, {A: "passed", B: "error"}),
    "a second attempt passes": (
        {"checks/smoke/test_a.py": check("a", FAILS_ONCE), "checks/smoke/conftest.py": RUNS_AGAIN}, SETTINGS, 1, {A: "failure", B: "passed"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_both_ways_to_start_a_suite_say_the_same(tmp_path: Path, name: str) -> None:
    files, settings, code, said = SAME[name]
    place(tmp_path, files, settings)
    ended = by_hand(tmp_path, "-p", "no:cacheprovider")
    assert (ended.code, outcomes(ended.junit, "smoke")) == (code, said), ended.out
    (tmp_path / "mark").unlink(missing_ok=True)
    result = run_suite(
        "smoke", tmp_path / "checks" / "smoke", context=context(), settings=read_settings(tmp_path / "promotion.toml"), reports=tmp_path / "reports",
        deadline=Deadline(60),
    )  # fmt: skip
    assert (CODES[result.verdict], outcomes(result.junit, "smoke")) == (code, said), result


CONFTEST = "checks/smoke/conftest.py"
LEFT_OUT = {
    "-k": ({}, ["-k", "test_a"], {B}),
    "--deselect": ({}, ["--deselect", "checks/smoke/test_b.py::test_b"], {B}),
    "--ignore": ({}, ["--ignore", "checks/smoke/test_b.py"], {B}),
    "-k of nothing": ({}, ["-k", "nothing"], {A, B}),
    "addopts": ({"pytest.ini": "[pytest]\naddopts = -k test_a\n"}, [], {B}),
    "--collect-only": ({}, ["--collect-only", "-q"], {A, B}),
    "--setup-only": ({}, ["--setup-only"], set()),
    "-x": ({"checks/smoke/test_a.py": check("a", "1 / 0")}, ["-x"], {B}),
    "a plugin splits": ({CONFTEST: SPLITS}, [], {B}),
    "pytest.exit(0)": ({"checks/smoke/test_a.py": check("a", "pytest.exit('bye', returncode=0)")}, [], {A, B}),
    "a file that does not import": ({"checks/smoke/test_b.py": "import no_such_module\n"}, [], {A, B}),
    "it goes on without that file": ({"checks/smoke/test_b.py": "import no_such_module\n"}, ["--continue-on-collection-errors"], {B}),
    "an own test of the team": ({"checks/smoke/test_own.py": "def test_own(): pass\n"}, ["--deselect", OWN], {OWN}),
    "workers": ({}, ["-n", "2", "-k", "test_a"], {B}),
    "a worker dies": ({"checks/smoke/test_a.py": check("a", "import os; os._exit(0)")}, ["-n", "1", "--max-worker-restart=0"], {A, B}),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_check_that_did_not_run_makes_it_undetermined(tmp_path: Path, name: str) -> None:
    files, options, missing = LEFT_OUT[name]
    ended = by_hand(place(tmp_path, files), *options)
    assert ended.code == 5, ended.out
    found = outcomes(ended.junit, "smoke")
    assert {
        i for i in found if "did not report" in read(ended.junit)["smoke"][i].text or "ended while it ran" in read(ended.junit)["smoke"][i].text
    } == missing
    assert {A, B} <= {*found}
    assert [i for i in missing if found[i] != "error"] == []
    if missing:
        (line,) = [line for line in ended.out.splitlines() if line.startswith("? not run: ")]
        assert set(line.removeprefix("? not run: ").split(", ")) == missing
        assert "do   pytest checks/smoke   for the whole answer" in ended.out
    assert ended.out.count("smoke undetermined") == 1, ended.out


def test_a_single_check_and_the_last_failed_ones_are_not_the_suite(tmp_path: Path) -> None:
    place(tmp_path, {"checks/smoke/test_a.py": check("a", "assert 0, 'nope'")})
    assert by_hand(tmp_path, what="checks/smoke/test_b.py::test_b").code == 5
    assert by_hand(tmp_path).code == 1
    (tmp_path / "checks/smoke/test_a.py").write_text(check("a"))
    ended = by_hand(tmp_path, "--lf")
    assert (ended.code, outcomes(ended.junit, "smoke")) == (5, {A: "passed", B: "error"}), ended.out
    ended = by_hand(tmp_path, what="checks")
    assert (ended.code, [*read(ended.junit)]) == (5, ["pre", "post", "smoke"]), "a folder above asks for every suite in it, and two are not there"
    assert by_hand(tmp_path).code == 0


def test_a_file_that_cannot_be_imported_is_in_the_junit_with_its_reason(tmp_path: Path) -> None:
    ended = by_hand(place(tmp_path, {"checks/smoke/test_b.py": "import no_such_module\n"}))
    case = read(ended.junit)["smoke"]["checks/smoke/test_b.py"]
    assert (case.outcome, "no_such_module" in case.message) == ("error", True)


def test_a_person_who_stops_it_ends_it_as_pytest_does(tmp_path: Path) -> None:
    ended = by_hand(place(tmp_path, {"checks/smoke/test_b.py": check("b", "raise KeyboardInterrupt")}))
    assert ended.code == pytest.ExitCode.INTERRUPTED, ended.out
    assert outcomes(ended.junit, "smoke") == {A: "passed", B: "error"}
    assert "smoke undetermined: interrupted" in ended.out


@pytest.mark.parametrize("where", ["in a check", "while it is collected"])
def test_a_session_that_dies_leaves_no_green_file(tmp_path: Path, where: str) -> None:
    """`os._exit(0)` ends with 0 and nothing can prevent that from inside; the file of the run before must not answer for it."""
    good = by_hand(place(tmp_path))
    assert (good.code, outcomes(good.junit, "smoke")) == (0, {A: "passed", B: "passed"})
    dies = check("b", "import os; os._exit(0)") if where == "in a check" else "import os\nos._exit(0)\n"
    ended = by_hand(place(tmp_path, {"checks/smoke/test_b.py": dies}))
    if where == "in a check":
        assert outcomes(ended.junit, "smoke") == {A: "error", B: "error"}
    else:
        assert not ended.junit.exists()


def test_an_end_that_only_pytest_sees_is_in_the_file(tmp_path: Path) -> None:
    given_up = "def pytest_runtest_teardown(item, nextitem):\n    if nextitem is None:\n        item.session.shouldfail = 'enough'\n"
    ended = by_hand(place(tmp_path, {CONFTEST: given_up}))
    found = outcomes(ended.junit, "smoke")
    assert (ended.code, found) == (5, {A: "passed", B: "passed", "the suite itself": "error"}), ended.out
    assert "every check passed, but pytest ended with" in ended.out


def test_listing_fixtures_is_no_run(tmp_path: Path) -> None:
    ended = by_hand(place(tmp_path), "--fixtures", "-q")
    assert (ended.code, "undetermined" in ended.out, "smoke-url" in ended.junit.read_text()) == (0, False, False), ended.out


def test_a_run_of_the_teams_own_tests_is_left_alone(tmp_path: Path) -> None:
    """From the top of the repository, with the checks deselected: pytest's own codes and file."""
    place(tmp_path, {"tests/test_mine.py": "def test_mine(): pass\n"})
    ended = by_hand(tmp_path, "-k", "test_mine", what="", GITHUB_ACTIONS="true")
    assert (ended.code, "checklist" in ended.out, "stop-commands" in ended.out) == (0, False, False), ended.out
    assert 'testsuite name="pytest"' in ended.junit.read_text()
    ended = by_hand(tmp_path, "-k", "test_mine or test_a", what="")
    assert ended.code == 5, "it runs a check, so it counts for the suite"
    found = read(ended.junit)
    assert {i: c.outcome for i, c in found["smoke"].items()} == {A: "passed", B: "error"}
    assert [c.outcome for c in found["other"].values()] == ["passed"]


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "with workers"])
def test_github_actions_is_shown_each_check_once_and_is_obeyed_again(tmp_path: Path, workers: list[str]) -> None:
    evil = "import sys; sys.__stdout__.write('\\n::set-output name=a::b\\n'); print('::error::mine'); assert 0, '::error::yours'"
    place(tmp_path, {"checks/smoke/test_a.py": check("a", evil)})
    page = tmp_path / "page.md"
    ended = by_hand(tmp_path, "-ra", *workers, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(page))
    assert ended.code == 1, ended.out
    lines = ended.out.splitlines()
    (opened,) = [i for i, line in enumerate(lines) if line.startswith("::stop-commands::")]
    (closed,) = [i for i, line in enumerate(lines) if line == f"::{lines[opened].removeprefix('::stop-commands::')}::"]
    assert [line.partition("::")[0] for line in lines[:opened] if "::" in line] == []
    assert [line for line in lines[closed + 1 :] if line] == ["::error title=smoke-url[a]%3A failed::%3A%3Aerror%3A%3Ayours".replace("%3A%3A", "::")]
    assert page.read_text().count("### checklist") == 1
    assert [line.split("|")[1].strip() for line in page.read_text().splitlines() if "smoke-url" in line] in (["✗", "✓"], ["✓", "✗"])
    assert [ended.out.count(f"\n{sign}") for sign in ("✗ smoke-url[a]", "✓ smoke-url[b]")] == [1, 1], "the summary stands once"


@pytest.mark.parametrize("options", [[], ["--no-summary"], ["-k", "nothing"], ["-p", "broken"]])
def test_the_step_obeys_commands_again_however_the_session_ends(tmp_path: Path, options: list[str]) -> None:
    place(tmp_path, {"broken.py": "def pytest_runtestloop():\n    raise RuntimeError('an internal error')\n"})
    ended = by_hand(tmp_path, *options, GITHUB_ACTIONS="true", PYTHONPATH=str(tmp_path))
    lines = ended.out.splitlines()
    (token,) = [line.removeprefix("::stop-commands::") for line in lines if line.startswith("::stop-commands::")]
    assert lines.count(f"::{token}::") == 1, ended.out
    assert ended.code == (5 if {"-k", "broken"} & {*options} else 0)


def test_workers_bring_evidence_and_text_home(tmp_path: Path) -> None:
    """Also what the channel between the processes could not carry as it is: half a surrogate pair, a value of the check's own."""
    seen = "import pytest, pathlib\n@pytest.mark.check('smoke-url[a]')\ndef test_a(evidence):\n    evidence('file', pathlib.Path('x'))\n    evidence('name', 'a\\udc80')\n    assert 0, 'no'\n"
    ended = by_hand(place(tmp_path, {"checks/smoke/test_a.py": seen}), "-n", "2")
    case = read(ended.junit)["smoke"][A]
    assert (ended.code, case.outcome, case.properties["file"], case.properties["name"]) == (1, "failure", "x", "a\\udc80"), ended.out
