"""`promote check` and `promote mark-working`, by a driver process in the embedded world."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from promote.cli.sandbox_session import repository_files
from promote.git.remote import GitRemote
from promote.sandbox import seed
from promote.sandbox.http_server import Fault
from promote.sandbox.sandbox import Sandbox
from promote.tags.lock import acquire, new_lock, remove_lock
from tests.support.json_documents import read_document
from tests.support.junit import outcomes

BIN = Path(sys.executable).parent
WORKING, STABLE = "refs/tags/prod-working", "refs/tags/prod-stable"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    files = repository_files("git")
    with Sandbox(tmp_path_factory.mktemp("world"), files=files, act=False, commands=[BIN]) as world:
        well = {"apps/velero/overlays/prod/deployment.yaml": seed.deployment("velero")}
        commit = world.commit(well, "fix(velero): new bucket")
        world.writer.tag("prod-stable", commit, "by hand")
        world.refresh()
        world.wait_settled()
        yield world


@pytest.fixture
def clone(sandbox: Sandbox, tmp_path: Path) -> Path:
    return sandbox.clone(tmp_path / "clone")


def promote(sandbox: Sandbox, clone: Path, *args: str) -> tuple[int, dict[str, Any], str]:
    argv = [sys.executable, "-m", "promote", *args, "--json"]
    done = subprocess.run(argv, cwd=clone, env=sandbox.env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, read_document(args[0], done.stdout), done.stderr


@pytest.mark.parametrize(
    ("wrong", "code"),
    [("", 0), ("the work tree", 1), ("the clusters", 5)],
    ids=["passes", "says no", "is undetermined"],
)
def test_by_hand_the_suite_ends_with_the_same_code_and_file(sandbox: Sandbox, clone: Path, tmp_path: Path, wrong: str, code: int) -> None:
    if wrong == "the work tree":
        (clone / "README.md").write_text("changed")
    env = {**sandbox.env, "PYTHONDONTWRITEBYTECODE": "1"} | ({"KUBECONFIG": str(tmp_path / "none")} if wrong == "the clusters" else {})
    argv = [sys.executable, "-m", "pytest", "checks/pre", "-q", "-p", "no:cacheprovider", f"--junitxml={tmp_path / 'pre.xml'}"]
    by_hand = subprocess.run(argv, cwd=clone, env=env, capture_output=True, text=True, check=False)
    argv = [sys.executable, "-m", "promote", "check", "pre", "--json"]
    done = subprocess.run(argv, cwd=clone, env=env, capture_output=True, text=True, check=False)
    assert (by_hand.returncode, done.returncode) == (code, code), by_hand.stdout + done.stderr
    assert outcomes(tmp_path / "pre.xml", "pre") == outcomes(json.loads(done.stdout)["junit"], "pre")


def test_can_this_be_shipped(sandbox: Sandbox, clone: Path) -> None:
    code, said, progress = promote(sandbox, clone, "check")
    assert (code, said["outcome"], said["suite"]) == (0, "passed", "pre"), progress
    assert "may be shipped" in progress
    off = {c["id"]: c["detail"] for c in said["checks"] if c["verdict"] == "disabled"}
    assert set(off) == {"version-new", "version-bump"} and "no version was named" in off["version-bump"], "an unasked check has not passed"
    (clone / "README.md").write_text("changed")
    code, said, progress = promote(sandbox, clone, "check", "pre", "v1.8.0")
    assert (code, [c["id"] for c in said["checks"] if c["verdict"] != "passed"]) == (1, ["clean-tree"]), progress
    assert sandbox.writer.holds("refs/promote/lock") == ""


def test_a_cluster_that_cannot_be_asked_is_not_a_no(sandbox: Sandbox, clone: Path) -> None:
    sandbox.prod.api.fault(Fault(kind="status", status=503))
    try:
        code, said, progress = promote(sandbox, clone, "check", "post")
    finally:
        sandbox.prod.api.clear_faults()
    assert (code, said["outcome"]) == (5, "errored"), progress


def test_prod_working_follows_proven_commits_only(sandbox: Sandbox, clone: Path) -> None:
    before = sandbox.writer.holds(WORKING)
    sandbox.services.fault(Fault(kind="status", path="/gitea", status=503))
    try:
        code, said, progress = promote(sandbox, clone, "mark-working")
    finally:
        sandbox.services.clear_faults()
    assert (code, sandbox.writer.holds(WORKING)) == (1, before), progress
    code, said, progress = promote(sandbox, clone, "mark-working")
    assert (code, said["outcome"]) == (0, "verified"), progress
    assert sandbox.writer.holds(WORKING) == sandbox.writer.holds(STABLE)


def test_prod_working_never_goes_back_silently(sandbox: Sandbox, clone: Path) -> None:
    ahead = sandbox.writer.tag("prod-working", sandbox.commit({"docs/x.md": b"x"}, "docs: ahead"))
    code, said, _ = promote(sandbox, clone, "mark-working")
    assert (code, said["outcome"], sandbox.writer.holds(WORKING)) == (2, "usage", ahead)
    code, _, progress = promote(sandbox, clone, "mark-working", "--force")
    assert (code, sandbox.writer.holds(WORKING)) == (0, sandbox.writer.holds(STABLE)), progress


def test_prod_working_is_left_to_a_promotion_that_runs(sandbox: Sandbox, clone: Path) -> None:
    before, end = sandbox.writer.holds(WORKING), GitRemote(clone, "origin", token=sandbox.git.token)
    here = sandbox.writer.holds(f"{STABLE}^{{commit}}")
    lock = acquire(end, new_lock(request_id="r1", version="v1.9.0", candidate=here, stable_before="", state="promoted"))
    code, said, progress = promote(sandbox, clone, "mark-working", "--force")
    assert remove_lock(end, lock.oid) == ""
    assert (code, sandbox.writer.holds(WORKING)) == (5, before), progress
    assert "has been promoting v1.9.0" in said["error"]


def test_a_rollback_that_moved_nothing_names_what_production_still_has(sandbox: Sandbox, clone: Path) -> None:
    here = sandbox.writer.holds(f"{STABLE}^{{commit}}")
    sandbox.protect(STABLE)
    code, said, progress = promote(sandbox, clone, "rollback", "--to", "v1.7.3")
    sandbox.protect()
    assert (code, said["outcome"], sandbox.writer.holds(f"{STABLE}^{{commit}}")) == (5, "unchecked", here), progress
    (line,) = [line for line in progress.splitlines() if "nothing was moved" in line]
    assert f"is still prod-stable ({here[:7]})" in line and "another user" not in line


@pytest.mark.parametrize("lacking", ["address", "variable"])
def test_what_could_not_be_proven_afterwards_is_not_begun(tmp_path: Path, lacking: str) -> None:
    files = repository_files("git")
    head, *urls = files["promotion.toml"].split(b"[[smoke.urls]]\n")
    without = [url.partition(b"\n[")[1] + url.partition(b"\n[")[2] for url in urls]
    asked = b'[[smoke.urls]]\nheaders = ["Authorization: Bearer ${NOT_SET}"]\n' + urls[0]
    files["promotion.toml"] = head + (b"".join(without) if lacking == "address" else asked + b"".join(without[1:]))
    with Sandbox(tmp_path / "world", files=files, act=False, commands=[BIN]) as world:
        before = world.writer.holds(STABLE)
        code, said, progress = promote(world, world.clone(tmp_path / "clone"), "run", "v1.8.0")
        assert (code, said["outcome"]) == (5, "unchecked"), progress
        assert "smoke suite could prove nothing after a move: smoke-url[" in said["reason"]
        assert ("NOT_SET" if lacking == "variable" else "no smoke URL is configured") in said["reason"]
        assert (world.writer.holds(STABLE), world.writer.holds("refs/tags/dev-v1.8.0"), world.writer.holds("refs/promote/lock")) == (before, "", "")


def test_a_rollback_to_what_no_version_names_is_done_whatever_the_scheme(tmp_path: Path) -> None:
    files = repository_files("git")
    files["promotion.toml"] = files["promotion.toml"].replace(b"[version]\n", b'[version]\nscheme = "calver"\n')
    with Sandbox(tmp_path / "world", files=files, act=False, commands=[BIN]) as world:
        before = world.writer.tag("before-promote", world.writer.holds("refs/tags/prod-v1.7.3^{commit}"))
        world.writer.git("update-ref", "refs/promote/undo", before)
        code, said, progress = promote(world, world.clone(tmp_path / "clone"), "rollback")
        assert (code, said["outcome"], said["version"], world.writer.holds(STABLE)) == (0, "rolled_back", "", before), progress
        assert "v0.0.0" not in progress and f"production runs prod-stable ({said['commit'][:7]})" in progress
