"""Every command and every option: documented, and refused with a clear error where it cannot work. The cases come from the parser itself."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from promote.cli.main import main
from tests.support.declared import proves, saw
from tests.support.json_documents import described, saw_document
from tests.support.options import BEGIN, END, PAGE, as_typed, commands, options, page, section
from tests.support.repos import Repos, git, make_repos

EVERY = [(name, action) for name, command in commands().items() for action in command._actions]
# Options that take text of any kind: a value that each of them refuses, and the arguments that belong to it.
REFUSED: dict[tuple[str, str], tuple[list[str], str]] = {
    ("run", "--first-fallback"): (["v1.1.0", "--first-fallback", "no-such-commit"], "no-such-commit"),
    ("run", "--waive"): (["v1.1.0", "--waive", "trunk"], "trunk"),
    ("check", "--waive"): (["pre", "--waive", "trunk"], "trunk"),
    ("rollback", "--to"): (["--to", "yesterday"], "'yesterday'"),
    ("resume", "--if-orphaned"): (["--if-orphaned", "soon"], "'soon'"),
    ("publish", "--request-id"): (["v1.1.0", "--request-id", "a\nb"], "--request-id"),
    ("publish", "--expected-commit"): (["v1.1.0", "--expected-commit", "HEAD"], "--expected-commit 'HEAD'"),
    ("publish", "--lock"): (["v1.1.0", "--lock", "mine"], "--lock 'mine'"),
    ("init", "--remote"): (["--remote", "elsewhere"], "elsewhere"),
    ("demo", "--scenario"): (["--scenario", "none"], "'none'"),
    ("sandbox", "--scenario"): (["--scenario", "none"], "'none'"),
}


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The command ends with 2 and one message with the fault and the next command, on stderr and as a document; the error's text."""
    assert main([*argv, "--json"] if argv[-1:] != ("--",) else argv) == 2
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    saw_document(argv[0], document)
    saw("ending", document["outcome"], "2")
    assert document["outcome"] == "usage"
    assert document["hint"]
    assert shown.err.startswith(f"promote: {document['error'].splitlines()[0]}")
    return str(document["error"])


def needed(command: argparse.ArgumentParser) -> list[str]:
    """Values for the arguments that a command cannot do without."""
    return ["v1.1.0" for action in command._actions if not action.option_strings and action.nargs is None]


def takes_text(action: argparse.Action) -> bool:
    return bool(action.option_strings) and action.nargs != 0 and action.choices is None and action.type is None


REFUSAL = [mark for page in described() if not page.commands for mark in page.proofs()]


@pytest.mark.parametrize("name", [pytest.param(name, marks=[*REFUSAL, proves("ending", "usage", "2")]) for name in commands()])
def test_every_command_refuses_to_work_where_there_is_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str) -> None:
    """The commands of the embedded world need no clone; what they refuse is a scenario that is not there."""
    command = commands()[name]
    if any("--scenario" in action.option_strings for action in command._actions):
        assert "'none'" in refused(capsys, name, "--scenario", "none")
    else:
        assert str(tmp_path / "none") in refused(capsys, name, *needed(command), "-C", str(tmp_path / "none"))


@pytest.mark.parametrize("name", commands())
def test_every_command_refuses_an_option_that_it_does_not_have(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert "--no-such-option" in refused(capsys, name, "--no-such-option", *needed(commands()[name]))


@pytest.mark.parametrize(("name", "action"), [pytest.param(n, a, id=f"{n} {as_typed(a)}") for n, a in EVERY if a.option_strings])
def test_every_option_refuses_a_value_of_the_wrong_form(capsys: pytest.CaptureFixture[str], name: str, action: argparse.Action) -> None:
    """A flag takes no value, any other option needs one, and a choice or a number is checked."""
    option, before = action.option_strings[-1], needed(commands()[name])
    if action.nargs == 0:
        assert option in refused(capsys, name, *before, f"{option}=value")
        return
    assert main([name, *before, option]) == 2
    assert f"{option}: expected one argument" in capsys.readouterr().err
    if action.choices or action.type in (int, float):
        assert option in refused(capsys, name, *before, option, "no-such-value")


@pytest.mark.parametrize(("name", "action"), [pytest.param(n, a, id=f"{n} {as_typed(a)}") for n, a in EVERY if not a.option_strings])
def test_every_argument_that_is_needed_or_one_of_a_few_is_checked(capsys: pytest.CaptureFixture[str], name: str, action: argparse.Action) -> None:
    if action.nargs is None:
        assert str(action.metavar) in refused(capsys, name)
    elif action.choices:
        assert "no-such-value" in refused(capsys, name, "no-such-value")


@pytest.fixture
def repos(tmp_path: Path) -> Repos:
    """A clone as before a first promotion."""
    repos = make_repos(tmp_path)
    git(repos.clone, "push", "-q", "origin", ":refs/tags/prod-stable")
    repos.commit("promotion.toml", '[promotion]\nvia = "git"\n')
    return repos


def test_every_option_with_a_text_has_a_text_that_it_refuses() -> None:
    shared = {"-C"}  # a folder: test_every_command_refuses_to_work_where_there_is_nothing
    assert {(n, a.option_strings[-1]) for n, a in EVERY if takes_text(a) and not shared & {*a.option_strings}} == set(REFUSED)


@pytest.mark.parametrize(("name", "option"), REFUSED)
def test_an_option_with_a_text_refuses_what_it_cannot_use(capsys: pytest.CaptureFixture[str], repos: Repos, name: str, option: str) -> None:
    argv, named = REFUSED[name, option]
    assert option in argv
    assert named in refused(capsys, name, *argv, "-C", str(repos.clone))


def test_every_option_is_documented_with_a_meaning() -> None:
    text = PAGE.read_text()
    assert BEGIN in text and END in text
    assert section(text)[1] == page(), "python -m tests.support.options"
    assert [f"{name} {as_typed(action)}" for name, command in commands().items() for action in options(command) if not action.help] == []
