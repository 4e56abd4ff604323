"""Whatever is wrong on the way is answered by one clear message, the right exit code, and nothing lost. The table is docs/bad-connections.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from promote.cli.sandbox_session import repository_files
from promote.sandbox import seed
from promote.sandbox.sandbox import Sandbox
from tests.support.connection_cases import CASES, FORGE, TLS
from tests.support.connections import BIN, Bench, Case, play, table
from tests.support.tls import untrusted_server

ROOT = Path(__file__).resolve().parents[2]


def world(folder: Path, via: str) -> Iterator[Sandbox]:
    with Sandbox(folder, files=repository_files(via), act=False, commands=[BIN]) as sandbox:
        # velero is healthy here, so that `check post` fails only for the reason of the case.
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
def test_an_untrusted_certificate_is_not_accepted(forge: Sandbox, untrusted: str, tmp_path: Path, case: Case) -> None:
    bench = Bench(forge, forge.clone(tmp_path / "clone"))
    bench.untrusted = untrusted
    play(case, bench)


def test_the_documentation_has_every_case() -> None:
    text = (ROOT / "docs" / "bad-connections.md").read_text()
    assert table({**CASES, **TLS}) in text, "python -m tests.cli.test_bad_connections > docs/bad-connections.md"


HEAD = """# Bad connections: the remote, tokens, GitHub, clusters

Each line is a test (`tests/cli/test_bad_connections.py`) that types the command in an embedded world and verifies from outside: the words of the
output, the exit code, no traceback, no secret printed, no child process left, no lock on the remote, production's tag unchanged. Exit codes:
[endings.md](endings.md).

"""

if __name__ == "__main__":
    print(HEAD + table({**CASES, **TLS}), end="")
