"""The command line's options as docs/commands.md lists them: `python -m tests.support.options` writes them there."""

from __future__ import annotations

import argparse
from pathlib import Path

from promote.cli.main import parser

PAGE = Path(__file__).resolve().parents[2] / "docs" / "commands.md"
BEGIN, END = "<!-- options: made by `python -m tests.support.options` -->\n", "<!-- options: end -->\n"
SHARED = ("--help", "--json", "-C")  # every command has them


def commands() -> dict[str, argparse.ArgumentParser]:
    """Every command's parser by its name."""
    (choices,) = (action.choices for action in parser()._actions if action.dest == "command")
    return dict(choices or {})


def options(command: argparse.ArgumentParser) -> list[argparse.Action]:
    """What a command takes beside the options that every command has."""
    return [action for action in command._actions if not {*SHARED} & {*action.option_strings}]


def as_typed(action: argparse.Action) -> str:
    """The option or argument as typed."""
    value = action.metavar or ("{" + ",".join(map(str, action.choices)) + "}" if action.choices else "")
    return " ".join([", ".join(action.option_strings), *([str(value)] if value and action.nargs != 0 else [])]).strip()


def page() -> str:
    """The section of docs/commands.md."""
    common = [action for action in next(iter(commands().values()))._actions if {*SHARED} & {*action.option_strings}]
    parts = ["### every command", *_table(common)]
    for name, command in commands().items():
        if options(command):
            parts += [f"### `promote {name}`", *_table(options(command))]
    return "\n".join(parts) + "\n"


def _table(actions: list[argparse.Action]) -> list[str]:
    lines = [f"| `{as_typed(action)}` | {action.help or ''} |" for action in actions]
    return ["", "| option | meaning |", "|---|---|", *lines, ""]


def section(text: str) -> tuple[str, str, str]:
    """The page before the options, the options, and the page after them."""
    before, _, rest = text.partition(BEGIN)
    made, _, after = rest.partition(END)
    return before, made, after


if __name__ == "__main__":
    start, _, rest = section(PAGE.read_text())
    PAGE.write_text(start + BEGIN + page() + END + rest)
