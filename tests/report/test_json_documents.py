"""Every key of every `--json` document is produced by its command and described in docs/commands.md."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from promote.cli.sandbox_session import repository_files
from promote.git.remote import GitRemote
from promote.sandbox.sandbox import Sandbox
from promote.sandbox.scenarios import SCENARIOS
from promote.tags.lock import new_lock, write_lock
from tests.support.json_documents import described, judged, saw_document
from tests.support.options import commands

BIN = Path(sys.executable).parent
PAGES = {page.heading: page for page in described()}
WITHOUT = {"sandbox"}  # its COMMAND prints what it prints
LONE = {"demo"}  # plays in a world of its own


def proofs(*commands: str) -> Callable[[Any], Any]:
    """Declares that the test sees every key of the documents that these commands print, and no others."""
    marks = [mark for page in PAGES.values() if page.commands and page.commands <= {*commands} for mark in page.proofs()]
    return lambda test: reduce(lambda inner, mark: mark(inner), marks, test)


class Typist:
    """Types commands in a clone and looks at their documents."""

    def __init__(self, sandbox: Sandbox, clone: Path) -> None:
        self.sandbox, self.clone = sandbox, clone

    def types(self, *argv: str) -> None:
        done = self.run(sys.executable, "-m", "promote", *argv, "--json")
        saw_document(argv[0], json.loads(done))

    def run(self, *argv: str) -> str:
        done = subprocess.run(
            argv, cwd=self.clone, env=self.sandbox.env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def test_every_command_has_its_document_described() -> None:
    assert {name for page in PAGES.values() for name in page.commands} == set(commands()) - WITHOUT


@proofs(*set(commands()) - WITHOUT - LONE)
@pytest.mark.timeout(300)
def test_a_story_in_which_every_command_prints_its_document(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "world", files=repository_files("git"), act=False, commands=[BIN]) as sandbox:
        typist = Typist(sandbox, sandbox.clone(tmp_path / "clone"))
        typist.types("run", SCENARIOS["good"].prepare(sandbox), "--waive", "events=the node is being replaced")
        typist.types("mark-working")
        typist.types("status")
        typist.types("rollback")
        sandbox.commit(SCENARIOS["smoke-fails"].files, "feat(gitea)!: a break")
        typist.run("git", "pull", "-q", "--ff-only")
        typist.types("next")
        typist.types("plan", "v1.9.0")
        typist.types("checklist")
        typist.types("check", "smoke")
        typist.types("tag-dev", "v2.0.0")
        typist.types("publish", "v2.0.0")
        typist.types("publish", "--action", "rollback")
        typist.types("init")
        typist.types("resume")
        head = typist.run("git", "rev-parse", "HEAD").strip()
        lock = new_lock(request_id="r", version="v9.9.9", candidate=head, stable_before=head, state="prechecking")
        typist.run("git", "push", "-q", "origin", f"{write_lock(GitRemote(typist.clone, 'origin'), lock).oid}:refs/promote/lock")
        typist.types("abort", "--break-lock", "--yes")


@proofs(*LONE)
@pytest.mark.timeout(300)
def test_the_demo_prints_its_document() -> None:
    argv = [sys.executable, "-m", "promote", "demo", "--json", "--via", "git", "--apps", "3"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    saw_document("demo", document)
    for promotion in document["promotions"]:
        saw_document("run", promotion)


def test_a_key_that_is_not_described_is_found() -> None:
    (page,) = (page for page in described() if page.commands == {"next"})
    document = dict.fromkeys(page.keys, "text")
    assert judged(page, document) == (page.keys, set())
    assert judged(page, {**document, "because": ""}) == (page.keys, {"because"})
    with pytest.raises(AssertionError, match="not described"):
        saw_document("next", {**document, "because": ""})
