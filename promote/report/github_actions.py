"""Check results for GitHub Actions: annotations on the run, and a table in the step's summary.

The text of a check may come from a commit message or a cluster, so it is escaped: it can neither become a workflow command nor break the table.
Facts: a command is a line `::error title=T::message`; in messages %, CR and LF are percent-encoded, in properties also : and , — and GitHub ignores
commands printed between `::stop-commands::TOKEN` and `::TOKEN::`. An older form, `##[error]message`, counts anywhere in a line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

from promote.core.foreign import one_line, visible
from promote.core.model import Verdict

_COMMAND = re.compile(r"^([^\S\n]*):(?=:)", re.MULTILINE)
LONGEST = 4000  # characters of a message; GitHub truncates annotations at 64 KB and shows at most ten of a kind for a step
MARKS = {Verdict.PASSED: "✓", Verdict.FAILED: "✗", Verdict.ERRORED: "?", Verdict.WARNING: "!", Verdict.WAIVED: "~"}
WORDS = {Verdict.PASSED: "passed", Verdict.FAILED: "failed", Verdict.ERRORED: "unknown", Verdict.WARNING: "warning", Verdict.WAIVED: "waived"}
Checks = Sequence[tuple[str, Verdict, str]]


def on_actions() -> bool:
    """Whether this process runs in a step of GitHub Actions, where lines of the log can be workflow commands."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def inert(text: str) -> str:
    """The text without a line that GitHub Actions would obey as a command: `: :error::` and `## [error]` are none."""
    return _COMMAND.sub(r"\1: ", text).replace("##[", "## [")


def inert_json(text: str) -> str:
    """The same JSON value in other letters: no line of a document begins with a colon, and `##[` can stand only inside of a text."""
    return text.replace("##[", "#\\u0023[")


def commands(checks: Checks) -> list[str]:
    """One annotation command for each check that did not pass: an error for failed and for unknown (undetermined) checks, else a warning."""
    lines = []
    for check, verdict, detail in checks:
        if verdict is not Verdict.PASSED:
            what = "unknown, which is not a pass" if verdict is Verdict.ERRORED else WORDS[verdict]
            level = "error" if verdict.blocks else "warning"
            lines.append(f"::{level} title={_property(f'{check}: {what}')}::{_message(detail or 'no detail')}")
    return lines


def summary(title: str, checks: Checks) -> str:
    """Markdown for $GITHUB_STEP_SUMMARY."""
    lines = [f"### {_cell(title)}", "", "| | check | detail |", "|---|---|---|"]
    lines += [f"| {MARKS[verdict]} | `{_cell(check)}` | {_cell(detail)} |" for check, verdict, detail in checks]
    return "\n".join([*lines, "", _count(checks), ""])


def _count(checks: Checks) -> str:
    counts = {verdict: sum(v is verdict for _, v, _ in checks) for verdict in Verdict}
    return ", ".join(_counted(counts.items()))


def _counted(counts: Iterable[tuple[Verdict, int]]) -> Iterable[str]:
    return (f"{n} {WORDS[verdict]}" for verdict, n in counts if n)


def _message(text: str) -> str:
    return visible(text)[:LONGEST].replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def _cell(text: str) -> str:
    """A table cell on one line, without markup, links or mentions of users."""
    flat = " ".join(one_line(" ".join(text.split())).split())[:500]
    for mark in "&<>|`[@!":  # & first: the others become entities
        flat = flat.replace(mark, f"&#{ord(mark)};")
    return flat
