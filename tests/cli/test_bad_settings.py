"""Versions, settings, command lines and places to write to that are wrong. Every test has its line in docs/bad-surroundings.md."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from promote.sandbox.scenarios import SCENARIOS
from tests.support.outside import BIN, Outside, outside


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    with outside(tmp_path_factory.mktemp("settings")) as world:
        yield world


@pytest.fixture
def clone(world: Outside) -> Path:
    return world.clone()


# -- versions ------------------------------------------------------------------------------------------------------------------------------

VERSIONS = {
    "nonsense": ("latest", "'latest' is not a semver version"),
    "two-numbers": ("v1.2", "'v1.2' is not a semver version"),
    "leading-zero": ("v1.02.3", "'v1.02.3' is not a semver version"),
    "leading-zero-in-prerelease": ("v1.2.3-rc.01", "'v1.2.3-rc.01' is not a semver version"),
    "build-metadata": ("v1.2.3+b7", "Build metadata (+...) has no order"),
    "unicode-digits": ("v１.２.３", "'v１.２.３' is not a semver version"),
    "shell": ("v1.2.3; rm -rf", "'v1.2.3; rm -rf' is not a semver version"),
    "line-break": ("v1.2.3\nPrechecked: yes", r"'v1.2.3\nPrechecked: yes' is not a semver version"),
    "escape-sequence": ("v1.2.3\x1b[2J", r"'v1.2.3\x1b[2J' is not a semver version"),
    "spaces": (" v1.2.3 ", "' v1.2.3 ' is not a semver version"),
    "empty": ("", "'' is not a semver version"),
    "git-would-refuse": ("v1.2.3-a.lock", "git allows no tag whose name ends with .lock"),
    "path": ("../../heads/main", "'../../heads/main' is not a semver version"),
    "endless": ("v" + "9" * 5000 + ".0.0", "is not a version: 5005 characters, at most 100 are allowed"),
}


@pytest.mark.parametrize(("text", "message"), VERSIONS.values(), ids=list(VERSIONS))
def test_versions(world: Outside, clone: Path, text: str, message: str) -> None:
    world.refused(clone, "run", text, code=2, says=[message])


@pytest.mark.parametrize("verb", ["tag-dev", "publish"])
def test_versions_are_read_alike_everywhere(world: Outside, clone: Path, verb: str) -> None:
    world.refused(clone, verb, "v1.2.3+b7", code=2, says=["Build metadata", "v1.2.3"])


def test_a_version_of_an_option_to_go_back_to(world: Outside, clone: Path) -> None:
    world.refused(clone, "rollback", "--to", "yesterday", code=2, says=["'yesterday' is not a semver version"])


# -- the command line ------------------------------------------------------------------------------------------------------------------------


def test_an_option_where_the_version_belongs(world: Outside, clone: Path) -> None:
    world.refused(clone, "run", "--force", code=2, says=["VERSION", "promote run --help"])
    world.refused(clone, "run", "--", "--force", code=2, says=["'--force' is not a semver version"])


def test_an_unknown_option(world: Outside, clone: Path) -> None:
    world.refused(clone, "run", "v1.8.0", "--yolo", code=2, says=["--yolo", "promote --help"])


def test_an_unknown_command(world: Outside, clone: Path) -> None:
    world.refused(clone, "deploy", code=2, says=["'deploy'", "status", "promote --help"])


def test_a_usage_error_as_json(world: Outside, clone: Path) -> None:
    told = world.promote(clone, "run", "--json")
    assert (told.code, told.document["outcome"]) == (2, "usage")
    assert "VERSION" in told.document["error"]


PUBLISH = {
    "commit-by-name": ("--expected-commit=HEAD", "--expected-commit 'HEAD' is not a full object id"),
    "commit-abbreviated": ("--expected-commit=4f0a9b1", "'4f0a9b1' is not a full object id"),
    "lock-of-nonsense": ("--lock=--force", "--lock '--force' is not a full object id"),
    "request-id-with-a-trailer": ("--request-id=x\nPrechecked: yes", "is not an id"),
}


@pytest.mark.parametrize(("option", "message"), PUBLISH.values(), ids=list(PUBLISH))
def test_what_the_workflow_passes_on(world: Outside, clone: Path, option: str, message: str) -> None:
    world.refused(clone, "publish", option, "v1.7.4", code=2, says=[message])


# -- promotion.toml --------------------------------------------------------------------------------------------------------------------------

SETTINGS = {
    "unknown-key": (b'[prod]\nkubecnfig = "x"\n', ["prod.kubecnfig: unknown key; did you mean kubeconfig?"]),
    "unknown-table": (b"[argo]\nsuccesses = 2\n", ["argo: unknown key; did you mean argocd?"]),
    "wrong-type": (b'[argocd]\nsuccesses = "three"\n', ["argocd.successes: 'three' is not a whole number"]),
    "wrong-duration": (b'[workflow]\ntimeout = "ten minutes"\n', ["'ten minutes' is not a duration"]),
    "value-for-a-table": (b"prod = 1\n", ["prod: 1 is not a table"]),
    "wrong-choice": (b'[promotion]\nvia = "email"\n', ["'email' is not one of workflow, git"]),
    "several-at-once": (b'[prod]\nx = 1\n[dev]\ny = 2\n[tags]\nstable = "a b"\n', ["prod.x", "dev.y"]),
    "impossible-combination": (b'[dev]\nconverge_timeout = "2m"\n', ["must be shorter than suites.check_timeout"]),
    "one-name-for-two-tags": (b'[tags]\nworking = "prod-stable"\n', ["two of them have the same name"]),
    "tag-without-version": (b'[tags]\ndev = "dev"\n', ["tags.dev: 'dev' has no {version}"]),
    "tag-with-an-unknown-word": (b'[tags]\nprod = "{env}-{version}"\n', ["tags.prod: '{env}-v1.2.3' is no name that git allows"]),
    "tag-git-refuses": (b'[tags]\nstable = "prod stable"\n', ["tags.stable: 'prod stable' is no name that git allows"]),
    "remote-like-an-option": (b'[repository]\nremote = "--upload-pack=x"\n', ["repository.remote: '--upload-pack=x' is no name"]),
    "no-pause": (b"[argocd]\npoll_interval = 0\n", ["argocd.poll_interval: must be longer than nothing"]),
    "share-over-one": (b"[baseline]\nmax_unhealthy = 10\n", ["baseline.max_unhealthy: 10.0 is not between 0 and 1"]),
    "not-a-number": (b"[baseline]\nmax_unhealthy = nan\n", ["baseline.max_unhealthy: nan is not between 0 and 1"]),
    "not-toml": (b"[prod\n", ["not TOML", "line 1"]),
    "nested-without-end": (b"a = " + b"[" * 20000, ["nested too deep"]),
    "latin-1": ("[prod]\ncontext = 'caf\xe9'\n".encode("latin-1"), ["byte 21 is not UTF-8", "save the file as UTF-8"]),
    "utf-16": ("[prod]\n".encode("utf-16"), ["byte 0 is not UTF-8"]),
}


@pytest.mark.parametrize(("content", "words"), SETTINGS.values(), ids=list(SETTINGS))
def test_settings(world: Outside, clone: Path, content: bytes, words: list[str]) -> None:
    (clone / "promotion.toml").write_bytes(content)
    world.refused(clone, "status", code=2, says=[*words, "promotion.toml"])


def test_settings_missing(world: Outside, clone: Path) -> None:
    (clone / "promotion.toml").unlink()
    world.refused(clone, "status", code=2, says=[f"no promotion.toml in {clone} or above it"])


def test_settings_that_are_a_folder(world: Outside, clone: Path) -> None:
    (clone / "promotion.toml").unlink()
    (clone / "promotion.toml").mkdir()
    world.refused(clone, "status", code=2, says=["no promotion.toml in", "it is a folder"])


def test_settings_that_are_a_dead_link(world: Outside, clone: Path) -> None:
    (clone / "promotion.toml").unlink()
    (clone / "promotion.toml").symlink_to("/nowhere/promotion.toml")
    world.refused(clone, "status", code=2, says=["it is a link to nothing"])


def test_settings_that_are_a_pipe(world: Outside, clone: Path) -> None:
    (clone / "promotion.toml").unlink()
    os.mkfifo(clone / "promotion.toml")
    world.refused(clone, "status", code=2, says=["it is neither file nor folder"])


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file that even root cannot read")
def test_settings_that_cannot_be_read(world: Outside, clone: Path) -> None:
    (clone / "promotion.toml").unlink()
    (clone / "promotion.toml").symlink_to("/proc/self/mem")
    world.refused(clone, "status", code=2, says=["promotion.toml: cannot be read: Input/output error"])


def test_settings_with_a_byte_order_mark_and_dos_lines(world: Outside, clone: Path) -> None:
    path = clone / "promotion.toml"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    told = world.promote(clone, "tag-dev", "v1.8.0")
    assert told.code == 0, told
    world.sandbox.writer.git("update-ref", "-d", "refs/tags/dev-v1.8.0")


# -- places to write to ----------------------------------------------------------------------------------------------------------------------


def test_journal_folder_cannot_be_made(world: Outside, clone: Path) -> None:
    (clone / ".git" / "promote").write_text("a file where the folder should be")
    world.refused_late(clone, "run", "v1.8.0", code=5, says=["the journal folder cannot be made", "nothing was changed"])


def test_journal_folder_is_read_only(world: Outside, clone: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere; the file in place of the folder stands for it")
    folder = clone / ".git" / "promote" / "journal"
    folder.mkdir(parents=True)
    folder.chmod(0o500)
    world.stopped(clone, "run", "v1.8.0", code=5, says=["cannot be written: Permission denied"])


def test_reports_folder_cannot_be_made(world: Outside, clone: Path) -> None:
    (clone / "reports").write_text("a file where the folder should be")
    (clone / ".git" / "info" / "exclude").write_text("reports\n")
    world.stopped(
        clone, "run", "v1.8.0", code=5, says=["reports: cannot be made: File exists", "suites.reports in promotion.toml must be a writable folder"]
    )


@pytest.mark.parametrize("blocks", [0, 2, 8])
def test_disk_full(world: Outside, clone: Path, blocks: int) -> None:
    """No file may grow past a few blocks: first the journal cannot be begun, then git cannot write, then the suites cannot."""
    refs = world.refs()
    told = world.promote(clone, shell=f"ulimit -f {blocks}; exec promote run v1.8.0")
    assert told.code == 5, told
    assert ("nothing was moved" if blocks else "`git fetch` failed: ended by SIGXFSZ") in told.out + told.err
    assert world.refs() == refs


def test_disk_full_while_tagging(world: Outside, clone: Path) -> None:
    world.refused(clone, code=5, says=["SIGXFSZ"], shell="ulimit -f 0; exec promote tag-dev v1.8.0")


def test_journal_lost_after_the_move(tmp_path: Path) -> None:
    """The disk fails when the tag has moved: production still goes back, the lock is released, and the gap in the journal is reported."""
    with outside(tmp_path) as world:
        version = SCENARIOS["smoke-fails"].prepare(world.sandbox)
        clone = world.clone()
        old = world.sandbox.writer.holds("refs/tags/prod-stable")

        def lose() -> None:
            if world.sandbox.writer.holds("refs/tags/prod-stable") != old:
                for path in (clone / ".git" / "promote" / "journal").glob("*.jsonl"):
                    if path.is_file():
                        path.unlink()
                        path.mkdir()

        world.sandbox.git.after_push.append(lose)
        told = world.promote(clone, "run", version)
        assert told.code == 3, told
        assert "cannot be written: Is a directory" in told.out
        assert world.sandbox.writer.holds("refs/tags/prod-stable") == old
        assert world.sandbox.writer.holds("refs/promote/lock") == ""


def test_temporary_folder_is_missing(world: Outside, clone: Path) -> None:
    world.tags(clone, "v1.8.0", env={"TMPDIR": "/nowhere", "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"})
