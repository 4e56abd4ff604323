"""Text from outside has one door in and one door out: held over the sources, so that no module opens another one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The sandbox is the embedded world of tests and demos: it reads what it wrote itself.
SPLITS = {path.relative_to(ROOT).as_posix() for path in (ROOT / "promote" / "sandbox").rglob("*.py")}


def calls(path: Path) -> Iterator[str]:
    """The name of every function that a module calls, by its last part."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def callers(name: str, *folders: str) -> set[str]:
    return {path.relative_to(ROOT).as_posix() for folder in folders for path in (ROOT / folder).rglob("*.py") if name in calls(path)}


def test_no_text_is_split_at_characters_that_a_line_may_hold() -> None:
    """`str.splitlines` splits at U+2028, U+0085 and six more: `split_lines` of core/foreign.py at line feeds alone."""
    assert callers("splitlines", "promote", "checks") <= SPLITS
    assert len(callers("split_lines", "promote")) > 15
