"""A team's JUnit file as evidence about one commit: how many tests ran, and which failed. Pure text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

NAMES = ("commit", "sha", "git.commit")  # JUnit has no standard property for the commit


@dataclass(frozen=True, kw_only=True, slots=True)
class JUnitRun:
    """The contents of the file. `commit` is the commit it names ("" = none). `bad` names the tests that failed or could not run."""

    commit: str
    ran: int
    skipped: int
    bad: tuple[str, ...]


def read_junit(text: str) -> JUnitRun:
    """Parse a JUnit file. Raises ValueError when it is not JUnit or defines XML entities, which no test runner writes."""
    if "<!ENTITY" in text:
        raise ValueError("it defines entities")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - entities, the known attack, are refused above
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from None
    if root.tag not in ("testsuites", "testsuite"):
        raise ValueError(f"its root is <{root.tag}>, not <testsuites>")
    cases = list(root.iter("testcase"))
    skipped = [c for c in cases if c.find("skipped") is not None]
    bad = tuple(_name(c) for c in cases if c.find("failure") is not None or c.find("error") is not None)
    unnamed = _counted(root) - len(bad)  # errors outside of a test, and results missing from a truncated file, stand in the totals only
    bad += (f"{unnamed} that the file counts and does not name",) if unnamed > 0 else ()
    return JUnitRun(commit=next(_commits(root), ""), ran=len(cases) - len(skipped), skipped=len(skipped), bad=bad)


def _counted(element: ElementTree.Element) -> int:
    """The number of failures and errors in the totals: a suite's own or the sum of its inner suites, whichever is greater."""
    own = sum(int(text) for name in ("failures", "errors") if (text := (element.get(name) or "").strip()).isdecimal())
    return max(own, sum(_counted(inner) for inner in element if inner.tag == "testsuite"))


def _commits(root: ElementTree.Element) -> Iterator[str]:
    for item in root.iter("property"):
        if item.get("name") in NAMES:
            yield (item.get("value") or item.text or "").strip()


def _name(case: ElementTree.Element) -> str:
    return ".".join(filter(None, (case.get("classname"), case.get("name")))) or "a test without a name"
