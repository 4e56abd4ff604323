"""Reports are for their owner alone, whatever the umask of the user or the files of an older version."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from promote.core.model import CheckResult, SuiteResult, Verdict
from promote.core.private import private_folder, write_private
from promote.core.redact import Redactor
from promote.promotion.journal import Journal
from promote.report.junit import write_junit


@pytest.fixture(autouse=True)
def open_to_all() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> str:
    return f"{path.stat().st_mode & 0o777:o}"


def test_folders_that_are_made_are_private(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    private_folder(tmp_path / "reports" / "v1.8.0" / "pre")
    assert [mode(tmp_path / name) for name in ("reports", "reports/v1.8.0", "reports/v1.8.0/pre")] == ["777", "700", "700"]
    private_folder(tmp_path / "reports" / "v1.8.0" / "pre")


def test_a_file_is_private_also_when_it_was_not(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("longer than before")
    for name in ("old", "new"):
        write_private(tmp_path / name, b"data")
        assert (mode(tmp_path / name), (tmp_path / name).read_bytes()) == ("600", b"data")


def test_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "theirs")
    with pytest.raises(OSError):
        write_private(tmp_path / "link", b"data")
    assert (tmp_path / "theirs").read_text() == "kept"


def test_a_junit_file_and_a_journal_are_private(tmp_path: Path) -> None:
    check = CheckResult(id="x", suite="pre", verdict=Verdict.PASSED)
    write_junit(tmp_path / "reports" / "pre.xml", [SuiteResult(suite="pre", verdict=Verdict.PASSED, checks=(check,), seconds=0)], Redactor())
    journal = Journal.open(tmp_path / "git", "r1")
    journal.write("note", "x")
    assert [mode(path) for path in (tmp_path / "reports", tmp_path / "reports" / "pre.xml", journal.path.parent, journal.path)] == [
        "700",
        "600",
        "700",
        "600",
    ]
