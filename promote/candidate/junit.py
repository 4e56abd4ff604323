"""A team's JUnit file as evidence about one commit: how many tests ran, and which failed. Pure text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

LONGEST = 50_000_000  # bytes
DEEPEST = 100  # elements
NAMES = ("commit", "sha", "git.commit")  # JUnit has no standard property for the commit


@dataclass(frozen=True, kw_only=True, slots=True)
class JUnitRun:
    """The contents of the file. `commit` is the commit it names ("" = none). `bad` names the tests that failed or could not run."""

    commit: str
    ran: int
    skipped: int
    bad: tuple[str, ...]


class _Builder(ElementTree.TreeBuilder):
    """Refuses a document type: its entities and default attributes make a large document of a small file."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:  # noqa: ARG002 - the parser names them
        raise ValueError(f"it has a document type ({name}), which no test runner writes")

    def start(self, tag: str, attrs: dict[str, str], /) -> ElementTree.Element:
        self._depth += 1
        if self._depth > DEEPEST:
            raise ValueError(f"its elements are nested deeper than {DEEPEST}")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> ElementTree.Element:
        self._depth -= 1
        return super().end(tag)


def read_junit(data: str | bytes) -> JUnitRun:
    """Parse a JUnit file. Raises ValueError when it is not JUnit, larger than LONGEST, or has a document type."""
    if len(data) > LONGEST:
        raise ValueError(f"it has more than {LONGEST} bytes")
    try:
        root = ElementTree.fromstring(data, ElementTree.XMLParser(target=_Builder()))  # noqa: S314 - entities, the known attack, need a document type
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
    own = sum(int(text) for name in ("failures", "errors") if (text := (element.get(name) or "").strip()).isdecimal() and len(text) < 10)
    return max(own, sum(_counted(inner) for inner in element if inner.tag == "testsuite"))


def _commits(root: ElementTree.Element) -> Iterator[str]:
    for item in root.iter("property"):
        if item.get("name") in NAMES:
            yield (item.get("value") or item.text or "").strip()


def _name(case: ElementTree.Element) -> str:
    return ".".join(filter(None, (case.get("classname"), case.get("name")))) or "a test without a name"
