"""Check results for GitHub Actions: annotations on the run, and a table in the step's summary.

The text of a check may come from a commit message or a cluster, so it is escaped: it can neither become a workflow command nor break the table.
Facts: a command is a line `::error title=T::message`; in messages %, CR and LF are percent-encoded, in properties also : and , — and GitHub ignores
commands printed between `::stop-commands::TOKEN` and `::TOKEN::`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from promote.core.model import Verdict

LONGEST = 4000  # characters of a message; GitHub truncates annotations at 64 KB and shows at most ten of a kind for a step
MARKS = {Verdict.PASSED: "✓", Verdict.FAILED: "✗", Verdict.ERRORED: "?", Verdict.WARNING: "!", Verdict.WAIVED: "~"}
WORDS = {Verdict.PASSED: "passed", Verdict.FAILED: "failed", Verdict.ERRORED: "unknown", Verdict.WARNING: "warning", Verdict.WAIVED: "waived"}
Checks = Sequence[tuple[str, Verdict, str]]


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
    return text[:LONGEST].replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def _cell(text: str) -> str:
    """A table cell on one line, without markup, links or mentions of users."""
    flat = " ".join(text.split())[:500]
    for mark in "&<>|`[@!":  # & first: the others become entities
        flat = flat.replace(mark, f"&#{ord(mark)};")
    return flat
