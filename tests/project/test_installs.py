"""Both ways to install promote, editable and from a wheel: each brings the checks to a repository and to the embedded world, and the wheel its licence."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.installed import ROOT, imported_by
from tests.support.repos import git

CHECKS = {f"checks/{p.relative_to(ROOT / 'checks').as_posix()}": p.read_bytes() for p in (ROOT / "checks").rglob("*.py")}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that a release would publish."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("gitops_promote-*.whl")
    return built


@pytest.fixture(scope="session")
def from_wheel(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python whose promote is the wheel's; the libraries are those of the tests."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    venv.create(folder / "python", symlinks=True)
    (site,) = (folder / "python").glob("lib/python*/site-packages")
    # The second folder holds a .pth that leads to the tree; Python does not read it, since it only reads those of its own site-packages.
    (site / "wheel.pth").write_text(f"{folder / 'site'}\n{sysconfig.get_path('purelib')}\n")
    python = folder / "python" / "bin" / "python"
    assert imported_by(python) == folder / "site" / "promote"
    return python


@pytest.fixture(params=["editable", "wheel"])
def python(request: pytest.FixtureRequest) -> Path:
    if request.param == "wheel":
        found: Path = request.getfixturevalue("from_wheel")
        return found
    return Path(sys.executable)


def promote(python: Path, folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    argv = [str(python), "-m", "promote", *args]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, timeout=110, stdin=subprocess.DEVNULL)


def test_init_writes_the_checks(python: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "remote.git")
    git(tmp_path, "clone", "-q", "remote.git", str(clone))
    git(clone, "commit", "-q", "--allow-empty", "-m", "chore: begin")
    git(clone, "push", "-q", "origin", "HEAD:main")
    done = promote(python, clone, "init")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {p.relative_to(clone).as_posix(): p.read_bytes() for p in (clone / "checks").rglob("*.py")} == CHECKS


def test_the_sandbox_holds_the_checks(python: Path, tmp_path: Path) -> None:
    done = promote(python, tmp_path, "sandbox", "--apps", "2", "--", "git", "ls-files", "checks")
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == set(CHECKS)


def test_the_demo_of_a_wheel_runs_the_checks(from_wheel: Path, tmp_path: Path) -> None:
    """The one scenario that its pre suite refuses for the content of the repository alone; the editable install plays all of them in test_whole_promotions."""
    done = promote(from_wheel, tmp_path, "demo", "--scenario", "workflow-too-old", "--json")
    assert done.returncode == 1, done.stderr
    verdicts = [check["verdict"] for check in json.loads(done.stdout)["checks"]]
    assert verdicts.count("failed") == 1
    assert verdicts.count("passed") > 10


def test_the_wheel_holds_its_licence_the_checks_once_and_nothing_of_the_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        licences = {n: archive.read(n) for n in names if "/licenses/" in n}
    assert list(licences.values()) == [(ROOT / "LICENSE").read_bytes()]
    assert {n.removeprefix("promote/templates/") for n in names if "checks/" in n} == set(CHECKS)
    assert {n.split("/")[0] for n in names if ".dist-info/" not in n} == {"promote"}
