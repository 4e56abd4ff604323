"""The installed `promote` with `via = "git"` and a real forge (Gitea) as the remote of the embedded world. The truth is read with `git ls-remote`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from promote.cli.sandbox_session import repository_files
from promote.sandbox.real.gitea import READ, Repository
from promote.sandbox.sandbox import Sandbox
from promote.sandbox.scenarios import SCENARIOS
from promote.sandbox.scenarios.scenario import once_moved
from tests.realstack.forge import NOBODY, READER, listed, with_token
from tests.support.outside import Outside, Told

pytestmark = [pytest.mark.gitea, pytest.mark.timeout(300)]
BIN = Path(sys.executable).parent
STABLE, MAIN = "refs/tags/prod-stable", "refs/heads/main"


@pytest.fixture
def world(repository: Repository, tmp_path: Path) -> Iterator[Outside]:
    """Everything embedded but the remote. git itself has no credentials: they come from the environment that each test sets."""
    with Sandbox(tmp_path / "world", files=repository_files("git"), act=False, commands=[BIN], remote=repository) as sandbox:
        place = Outside(sandbox, tmp_path)
        clone = place.clone("clone")
        place.git(clone, "config", "credential.helper", "")  # forgets the helpers of the person
        yield place


def said(told: Told) -> str:
    return " ".join((told.out + told.err).split())


def test_of_two_promoters_at_once_one_is_verified_and_the_other_gets_its_name(world: Outside, repository: Repository) -> None:
    """One has a token in the environment, the other in the remote's URL."""
    version, clones = SCENARIOS["good"].prepare(world.sandbox), [world.folder / "clone", world.clone("second")]
    world.git(clones[1], "remote", "set-url", "origin", with_token(repository, repository.forge.token("grace")))
    before = listed(repository)
    with ThreadPoolExecutor(2) as pool:
        told = sorted(pool.map(lambda clone: world.promote(clone, "run", version, "--json"), clones), key=lambda one: one.code)
    (winner, loser), seen = told, listed(repository)
    assert (winner.code, loser.code) == (0, 5), [one.err for one in told]
    assert f"has been promoting {version}" in loser.document["reason"] and "promote resume" in said(loser)
    document = winner.document
    assert (document["outcome"], document["warnings"]) == ("verified", []), winner.err
    assert seen[STABLE] == seen["refs/tags/prod-v1.8.0"] == seen["refs/tags/prod-working"] == document["stable_after"]["object"]
    assert seen[f"{STABLE}^{{}}"] == seen["refs/tags/dev-v1.8.0^{}"] == before[MAIN] != seen[MAIN], "the record is on the branch"
    assert seen["refs/promote/undo"] == before[STABLE] and "refs/promote/ledger" in seen and "refs/promote/lock" not in seen
    assert repository.token not in said(winner) + said(loser)


def test_a_protected_branch_costs_the_record_and_nothing_else(world: Outside, repository: Repository) -> None:
    version = SCENARIOS["good"].prepare(world.sandbox)
    repository.protect(MAIN)
    before = listed(repository)
    told = world.promote(world.folder / "clone", "run", version, "--json")
    seen, document = listed(repository), told.document
    assert (told.code, document["outcome"]) == (0, "verified"), told.err
    (warning,) = document["warnings"]
    assert ".promotions/prod-v1.8.0.json was not written" in warning and "Not allowed to push to protected branch main" in warning
    assert seen[MAIN] == before[MAIN] == seen[f"{STABLE}^{{}}"], "the branch is as it was, the tag is not"
    assert seen["refs/tags/prod-working"] == seen[STABLE] and "refs/promote/ledger" in seen and "refs/promote/lock" not in seen


def test_a_protected_tag_refuses_the_move_before_anything_moved(world: Outside, repository: Repository) -> None:
    version = SCENARIOS["good"].prepare(world.sandbox)
    repository.protect("refs/tags/prod-*")
    before = listed(repository)
    told = world.promote(world.folder / "clone", "run", version, "--json")
    seen = listed(repository)
    assert (told.code, told.document["outcome"]) == (1, "refused"), told.err
    assert "Tag prod-stable is protected" in said(told) or "Tag prod-v1.8.0 is protected" in said(told), told.err
    assert "allow this ref for your account" in said(told)
    assert {ref: oid for ref, oid in seen.items() if "dev-v1.8.0" not in ref and "refs/promote/" not in ref} == before
    assert "refs/promote/lock" not in seen and "refs/promote/undo" not in seen


def test_a_tag_protected_after_the_move_leaves_it_stuck_until_the_rule_is_lifted(world: Outside, repository: Repository) -> None:
    version, before = SCENARIOS["smoke-fails"].prepare(world.sandbox), listed(repository)
    once_moved(world.sandbox, lambda: repository.protect(STABLE))
    told = world.promote(world.folder / "clone", "run", version, "--json")
    seen = listed(repository)
    assert (told.code, told.document["outcome"]) == (4, "stuck"), told.err
    assert "Tag prod-stable is protected" in told.document["reason"] and "allow this ref for your account" in said(told)
    assert seen[f"{STABLE}^{{}}"] == seen["refs/tags/prod-v1.9.0^{}"] != before[f"{STABLE}^{{}}"]
    assert "refs/promote/lock" in seen, "kept: manual action is needed"
    repository.protect()
    told = world.promote(world.folder / "clone", "resume", "--json")
    seen = listed(repository)
    assert (told.code, told.document["outcome"]) == (3, "rolled_back"), told.err
    assert seen[STABLE] == before[STABLE] and "refs/promote/lock" not in seen


def test_every_way_to_a_token_leads_to_a_dev_tag(world: Outside, repository: Repository) -> None:
    clone, file, token = world.folder / "clone", world.folder / "token", repository.token
    file.write_text(f"{token}\n")
    file.chmod(0o600)
    none = {"GITHUB_TOKEN": None}
    ways: dict[str, tuple[dict[str, str | None], dict[str, str]]] = {
        "GITHUB_TOKEN": ({}, {}),
        "GH_TOKEN": (none | {"GH_TOKEN": token}, {}),
        "GITHUB_TOKEN_FILE": (none | {"GITHUB_TOKEN_FILE": str(file)}, {}),
        "a credential helper of git": (none, {"credential.helper": f"!printf 'username=x\\npassword={token}\\n'; :"}),
        "the password in the remote's URL": (none, {"remote.origin.url": with_token(repository, token)}),
    }
    for number, (way, (env, config)) in enumerate(ways.items(), 1):
        for key, value in config.items():
            world.git(clone, "config", key, value)
        told = world.promote(clone, "tag-dev", f"v1.8.{number}", env=env)
        assert told.code == 0, f"{way}: {told.err}"
        assert listed(repository)[f"refs/tags/dev-v1.8.{number}^{{}}"] == world.git(clone, "rev-parse", "HEAD"), way
        world.git(clone, "config", "credential.helper", "")


def test_no_token_without_push_rights_changes_anything_and_each_error_names_the_fix(world: Outside, repository: Repository) -> None:
    clone, forge, before = world.folder / "clone", repository.forge, listed(repository)
    cases: dict[str, tuple[str | None, str]] = {
        "none": (None, "could not read Username"),
        "wrong": ("0" * 40, "Authentication failed"),
        "scope read:repository": (forge.token("ada", READ), "403"),
        "write scope of an account that may only read": (forge.token(READER), "User permission denied for writing"),
        "an account that may not see it": (forge.token(NOBODY), "not found"),
    }
    for which, (token, words) in cases.items():
        for command in ("tag-dev", "run"):
            told = world.promote(clone, command, "v1.8.0", env={"GITHUB_TOKEN": token})
            assert told.code == 5, f"{which}, {command}: {told}"
            assert words in said(told) and "credentials" in said(told), f"{which}, {command}: {told}"
            assert "rule" not in said(told) and (not token or token not in said(told)), f"{which}, {command}: {told}"
    assert listed(repository) == before
