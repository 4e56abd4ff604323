"""The workflow that is shipped, run as GitHub would: by act over a real remote, and step by step where act is absent. Who may harm whom, and who not."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from promote.cli.sandbox_session import TEMPLATES
from promote.sandbox.git.server import GitServer
from promote.sandbox.git.writer import GitWriter
from promote.sandbox.github.workflow_run import Execution, Runner
from promote.sandbox.http_server import Request, Response
from promote.sandbox.seed import Commit

SLUG, TOKEN, LOOK_ONLY = "acme/gitops", "ghs_sandbox_token", "ghs_look_only"
BIN = Path(sys.executable).parent
ACT = shutil.which("act", path=str(BIN)) or shutil.which("act")
FORMS = [pytest.param(None, id="plain"), pytest.param(ACT, id="act", marks=pytest.mark.skipif(not ACT, reason="not run: needs act"))]
BEST = pytest.mark.parametrize("place", FORMS[1:] if ACT else FORMS[:1], indirect=True)  # for the content of the file, not for its runner
FILE = "promote-prod.yaml"


class Remote(GitServer):
    """A remote on which a colleague pushes to main just before a push to main arrives, once; `meeting`: who pushes first waits there for the others."""

    colleague: GitWriter | None = None
    meeting: threading.Barrier | None = None

    def handle(self, request: Request) -> Response:
        if self.meeting and request.method == "POST" and request.path.endswith("git-receive-pack"):
            with contextlib.suppress(threading.BrokenBarrierError):
                self.meeting.wait(30)
            self.meeting = None
        if self.colleague and request.method == "POST" and request.path.endswith("git-receive-pack") and b" refs/heads/main" in request.body:
            writer, self.colleague = self.colleague, None
            writer.commit({"theirs.txt": b"x\n"}, "feat: meanwhile")
        return super().handle(request)


@dataclass
class Place:
    """A remote with two versions waiting, and machines that run its workflow."""

    folder: Path
    git: Remote
    writer: GitWriter
    act: str | None

    def begin(self, version: str, *, token: str = TOKEN, number: int = 1, **inputs: str) -> Execution:
        home = self.folder / f"home-{number}"
        home.mkdir(exist_ok=True)
        (home / "gitconfig").touch()
        env = {"PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
               "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}  # fmt: skip
        runner = Runner(self.folder / "runs", self.git.repository_url, SLUG, env, token=token, act=self.act)
        given = {"action": "promote", "version": version, "request_id": "", "expected_commit": "", "lock": "", **inputs}
        return runner.start(FILE, given, number, "http://127.0.0.1:9")

    def run(self, version: str, **how: str) -> tuple[int, str]:
        return self.begin(version, **how).wait()  # type: ignore[arg-type]

    def refs(self) -> dict[str, str]:
        return dict(line.split(" ") for line in self.writer.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines())

    def at(self, ref: str) -> str:
        return self.writer.holds(f"{ref}^{{commit}}")


@pytest.fixture(params=FORMS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    git = Remote(tmp_path / "remote.git", SLUG, tokens=(TOKEN,), read_only=(LOOK_ONLY,), private=True)
    git.create()
    git.start()
    writer = GitWriter(git.path)
    files = {f".github/workflows/{FILE}": (TEMPLATES / FILE).read_bytes(), "promotion.toml": f'[github]\nrepository = "{SLUG}"\n'.encode()}
    ada = "Ada <ada@acme.example>"
    writer.load([
        Commit("feat: first", ada, "2026-01-01T00:00:00Z", files, ("dev-v1.0.0", "prod-v1.0.0", "prod-stable")),
        Commit("feat: second", ada, "2026-01-02T00:00:00Z", {"two.txt": b"2\n"}, ("dev-v1.1.0",)),
        Commit("feat: third", ada, "2026-01-03T00:00:00Z", {"three.txt": b"3\n"}, ("dev-v1.2.0",)),
    ])  # fmt: skip
    yield Place(tmp_path, git, writer, request.param)
    git.stop()
    assert git.errors == []


def test_a_version_is_moved_in_one_object_and_recorded(place: Place) -> None:
    code, log = place.run("v1.1.0")
    assert code == 0, log
    refs = place.refs()
    assert refs["refs/tags/prod-stable"] == refs["refs/tags/prod-v1.1.0"]
    assert place.at("refs/tags/prod-stable") == place.at("refs/tags/dev-v1.1.0")
    record = json.loads(place.writer.git("show", "main:.promotions/prod-v1.1.0.json"))
    assert record["version"] == "v1.1.0"
    assert "refs/promote/lock" not in refs and TOKEN not in log


def test_rollback_by_hand_restores_the_replaced_or_the_named_version(place: Place) -> None:
    """From the Actions page, with nothing but the action; then with a version."""
    old = place.refs()["refs/tags/prod-stable"]
    code, log = place.run("v1.1.0")
    assert code == 0, log
    code, log = place.run("", action="rollback", number=2)
    assert code == 0, log
    assert place.refs()["refs/tags/prod-stable"] == old
    code, log = place.run("v1.2.0", number=3)
    assert code == 0, log
    newest = place.refs()["refs/tags/prod-stable"]
    code, log = place.run("v1.1.0", action="rollback", number=4)
    assert code == 0, log
    refs = place.refs()
    assert (refs["refs/tags/prod-stable"], refs["refs/promote/undo"]) == (refs["refs/tags/prod-v1.1.0"], newest)
    code, log = place.run("v1.2.0", action="rollback", number=5)
    assert code == 1 and "a rollback never goes forward" in log
    refs = place.refs()
    assert "refs/promote/lock" not in refs and TOKEN not in log


def test_a_version_without_a_dev_tag_lists_those_there_are(place: Place) -> None:
    before = place.refs()
    code, log = place.run("v1.9.0")
    assert code != 0
    assert "dev-v1.9.0" in log and "v1.1.0" in log and "v1.2.0" in log, log
    assert place.refs() == before


@BEST
@pytest.mark.parametrize(
    "version",
    [
        "v1.1.0; touch PWNED",
        'v1.1.0"; touch PWNED; "',
        "$(touch PWNED)",
        "`touch PWNED`",
        "v1.1.0\ntouch PWNED",
        "v1.1.0 --recreate-prod",
        "--recreate-prod",
        "--folder=/tmp",
        "../../heads/main",
        "v1.1.0:refs/heads/main",
        "v1.1.0^{commit}",
        "${{ github.token }}",
        "$GITHUB_TOKEN",
        "v1.1.0'||touch PWNED||'",
        "v1.1.0\n::add-mask::x",
        "v1.1.0\N{ZERO WIDTH SPACE}",
    ],
)
def test_a_typed_version_is_never_more_than_text(place: Place, version: str) -> None:
    is_only_text(place, version)


@BEST
@pytest.mark.parametrize(
    "version", ["$(touch PWNED)", 'v1.0.0"; touch PWNED; "', "--action=promote", "../stable", "stable", "v1.0.0\n--recreate-prod"]
)
def test_nor_as_a_version_to_go_back_to(place: Place, version: str) -> None:
    is_only_text(place, version, action="rollback")


def is_only_text(place: Place, version: str, **inputs: str) -> None:
    folder, pwned = place.folder, "PWNED"
    version = version.replace(pwned, str(folder / pwned))
    before = place.refs()
    code, log = place.run(version, **inputs)
    assert code != 0, log
    assert place.refs() == before
    assert not list(folder.rglob(pwned)) and TOKEN not in log


@BEST
@pytest.mark.parametrize("field", ["action", "request_id", "expected_commit", "lock"])
def test_nor_are_the_other_fields(place: Place, field: str) -> None:
    before = place.refs()
    for text in (f'"; touch {place.folder}/PWNED; "', f"$(touch {place.folder}/PWNED)", "x\nPrechecked: 0000", "--folder=/tmp"):
        code, log = place.run("v1.1.0", **{field: text})
        assert code != 0, log
        assert "Move the tags" in log and place.refs() == before
    assert not (place.folder / "PWNED").exists()


def test_two_runs_at_once_leave_one_whole_state(place: Place) -> None:
    """Also where no concurrency group keeps them apart: the lock and the leases do."""
    place.git.meeting = threading.Barrier(2)
    both = [place.begin(version, number=n) for n, version in enumerate(("v1.1.0", "v1.2.0"), 1)]
    ended = {version: execution.wait() for version, execution in zip(("v1.1.0", "v1.2.0"), both, strict=True)}
    refs = place.refs()
    moved = [version for version, (code, _) in ended.items() if code == 0]
    assert moved, ended
    for version, (code, log) in ended.items():
        assert (f"refs/tags/prod-{version}" in refs) == (code == 0), log
        assert code == 0 or "  do: " in log, "the refused one names the next command"
    assert refs["refs/tags/prod-stable"] in [refs[f"refs/tags/prod-{version}"] for version in moved]
    assert "refs/promote/lock" not in refs
    records = place.writer.git("ls-tree", "--name-only", "main", ".promotions/").split()
    assert sorted(records) == sorted(f".promotions/prod-{version}.json" for version in moved), "no record was lost to the other"


def test_a_promotion_and_a_rollback_at_once_leave_one_whole_state(place: Place) -> None:
    """v1.1.0 is in production: one run moves on to v1.2.0, the other puts v1.0.0 back."""
    assert place.run("v1.1.0", number=3)[0] == 0
    place.git.meeting = threading.Barrier(2)
    on, back = place.begin("v1.2.0", number=1), place.begin("v1.0.0", number=2, action="rollback")
    (promoted, its_log), (put_back, log) = on.wait(), back.wait()
    refs = place.refs()
    ends = [refs.get(f"refs/tags/prod-{v}") for v, code in (("v1.2.0", promoted), ("v1.0.0", put_back)) if code == 0]
    assert ends and refs["refs/tags/prod-stable"] in ends, (its_log, log)
    assert ("refs/tags/prod-v1.2.0" in refs) == (promoted == 0), its_log
    assert all(code == 0 or "  do: " in said for code, said in ((promoted, its_log), (put_back, log)))
    assert "refs/promote/lock" not in refs and refs["refs/promote/undo"] != refs["refs/tags/prod-stable"]


def test_the_same_version_twice_at_once_is_moved_once(place: Place) -> None:
    place.git.meeting = threading.Barrier(2)
    both = [place.begin("v1.1.0", number=n) for n in (1, 2)]
    ended = sorted((e.wait() for e in both), key=lambda told: told[0])
    assert [code == 0 for code, _ in ended] == [True, False], ended
    assert "  do: " in ended[1][1]
    assert place.at("refs/tags/prod-stable") == place.at("refs/tags/dev-v1.1.0")
    assert place.refs()["refs/tags/prod-stable"] == place.refs()["refs/tags/prod-v1.1.0"]
    assert "refs/promote/lock" not in place.refs()


def test_a_branch_that_moves_under_the_record_loses_neither(place: Place) -> None:
    place.git.colleague = place.writer
    code, log = place.run("v1.1.0")
    assert (code, place.git.colleague) == (0, None), log
    subjects = place.writer.git("log", "--format=%s", "main").splitlines()
    assert "feat: meanwhile" in subjects
    assert json.loads(place.writer.git("show", "main:.promotions/prod-v1.1.0.json"))["version"] == "v1.1.0"
    assert place.writer.git("show", "main:theirs.txt") == "x"


def test_a_read_only_token_moves_nothing_and_the_missing_right_is_named(place: Place) -> None:
    before = place.refs()
    code, log = place.run("v1.1.0", token=LOOK_ONLY)
    assert code != 0
    assert place.refs() == before
    assert "  do: " in log and "403" in log and LOOK_ONLY not in log, log
    assert "Traceback" not in log
    assert place.run("v1.1.0", number=2)[0] == 0
    before = place.refs()
    code, log = place.run("", token=LOOK_ONLY, action="rollback", number=3)
    assert code != 0 and place.refs() == before
    assert "  do: " in log and "403" in log and LOOK_ONLY not in log and "Traceback" not in log, log
