"""Whatever a user can get wrong is answered by one clear message, the right exit code, and nothing lost. The table is docs/bad-input.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from promote.commands.world import repository_files
from promote.sandbox import seed
from promote.sandbox.sandbox import Sandbox
from tests.bad import BIN, Bench, Case, play, table
from tests.integration.bad_cases import CASES, FORGE, TLS, shell
from tests.tls import untrusted_server

ROOT = Path(__file__).resolve().parents[2]


def world(folder: Path, via: str) -> Iterator[Sandbox]:
    with Sandbox(folder, files=repository_files(via), act=False, commands=[BIN]) as sandbox:
        # velero is well here, so that `check post` says no only for the reason of the case.
        commit = sandbox.commit({"apps/velero/overlays/prod/deployment.yaml": seed.deployment("velero")}, "fix(velero): new bucket")
        sandbox.writer.tag("prod-stable", commit, "by hand")
        sandbox.commit({"docs/x.md": b"x\n"}, "docs: x")
        sandbox.refresh()
        sandbox.wait_settled()
        yield sandbox


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    yield from world(tmp_path_factory.mktemp("direct"), "git")


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    yield from world(tmp_path_factory.mktemp("forge"), "workflow")


@pytest.mark.parametrize("case", [c for group in CASES.values() if group is not FORGE for c in group], ids=lambda c: c.id)
def test_it_is_answered(direct: Sandbox, tmp_path: Path, case: Case) -> None:
    play(case, Bench(direct, direct.clone(tmp_path / "clone")))


@pytest.mark.parametrize("case", FORGE, ids=lambda c: c.id)
def test_it_is_answered_where_a_workflow_moves_the_tag(forge: Sandbox, tmp_path: Path, case: Case) -> None:
    play(case, Bench(forge, forge.clone(tmp_path / "clone")))


@pytest.fixture(scope="module")
def untrusted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with untrusted_server(tmp_path_factory.mktemp("tls")) as url:
        yield url


@pytest.mark.parametrize("case", [c for group in TLS.values() for c in group], ids=lambda c: c.id)
def test_a_certificate_nobody_vouches_for_is_not_accepted(forge: Sandbox, untrusted: str, tmp_path: Path, case: Case) -> None:
    bench = Bench(forge, forge.clone(tmp_path / "clone"))
    bench.untrusted = untrusted
    play(case, bench)


@pytest.fixture
def bench(direct: Sandbox, tmp_path: Path) -> Bench:
    return Bench(direct, direct.clone(tmp_path / "clone"))


def test_a_pipe_that_is_closed_early_is_no_error_message(bench: Bench) -> None:
    done = shell(bench, "set -o pipefail; promote status | head -1")
    assert done.stdout.startswith("stable ")
    assert done.stderr == ""


def test_a_full_disk_behind_stdout_is_said(bench: Bench) -> None:
    done = shell(bench, "promote status > /dev/full")
    assert done.returncode not in (0, 141)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "environment", [{"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0"}, {"TERM": "dumb"}, {"TERM": "nonsense"}]
)
def test_a_poor_terminal_gets_every_word(bench: Bench, environment: dict[str, str]) -> None:
    bench.env.update(environment)
    done = shell(bench, "promote check pre v1.8.0")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert "may be shipped" in done.stdout + done.stderr


def test_no_colour_without_a_terminal_and_none_when_asked(bench: Bench) -> None:
    bench.env.update(NO_COLOR="1", COLUMNS="40")
    done = shell(bench, "script -qec 'promote check pre v1.8.0' /dev/null")
    assert "may be shipped" in " ".join(done.stdout.split())
    assert "\x1b[3" not in done.stdout, "no colours"
    assert "\x1b" not in shell(bench, "promote check pre v1.8.0 2>&1").stdout


def test_forty_columns_lose_nothing(bench: Bench) -> None:
    bench.env.update(COLUMNS="40", TERM="xterm")
    (bench.clone / "README.md").write_text("changed")
    done = shell(bench, "script -qec 'stty cols 40; promote check pre v1.8.0' /dev/null")
    assert "git stash --include-untracked" in " ".join(done.stdout.split())


def test_the_documentation_has_every_case() -> None:
    text = (ROOT / "docs" / "bad-input.md").read_text()
    assert table({**CASES, **TLS}) in text, "python -m tests.integration.test_bad_input > docs/bad-input.md"


HEAD = """# What can go wrong before anything is moved

Each line is a test (`tests/integration/test_bad_input.py`) that types the command in an embedded world and judges from outside: the words, the exit
code, no traceback, no secret shown, no child process left, no lock on the remote, production's tag untouched. Exit codes: endings.md.

"""

if __name__ == "__main__":
    print(HEAD + table({**CASES, **TLS}), end="")
