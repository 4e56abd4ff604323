"""The judges' verdicts against the truth, as a table for people. Measures nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.realstack.waits.judges import Said

NAMES = {"argocd": "`argocd app wait --sync --health`", "naive": "Synced, Healthy, the revision", "promote": "promote"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A judge's verdict; `held`: production was there just then; `left`: what it lacked at some look from then on; `lacking`: what in the end."""

    said: Said
    held: bool
    left: str
    lacking: str

    @property
    def wrong(self) -> str:
        """In which way the judge was wrong, "" when it was right.

        "There" is right only if production was there at the verdict and at every look from then on. "Not there": if it was not there in the end.
        """
        if not self.said.there:
            return "" if self.lacking else "was there"
        if not self.held:
            return "not there" if self.lacking else "too early"
        return f"did not last: {self.left}" if self.left else ""

    @property
    def cell(self) -> str:
        word = f"{'there' if self.said.there else 'not there'}, {self.said.seconds:.1f} s"
        return f"**WRONG** ({self.wrong}): {word}" if self.wrong else word


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One race, with what each judge found."""

    name: str
    what: str
    said: dict[str, Found] = field(default_factory=dict)

    @property
    def end(self) -> str:
        """How it was in the end; twice where promote acted in a race of its own."""
        alone, acted = (f"not there ({lacking})" if (lacking := self.said[judge].lacking) else "there" for judge in ("naive", "promote"))
        return alone if alone == acted else f"{alone}; with promote: {acted}"


def wrong(rows: Sequence[Row], judge: str) -> int:
    return sum(bool(row.said[judge].wrong) for row in rows)


def page(rows: Sequence[Row], head: str, tail: str) -> str:
    """The document, a table with a line for each race and one of sums."""
    lines = [head, "", "| situation | in the end | " + " | ".join(NAMES.values()) + " |", "|---|---|" + "---|" * len(NAMES)]
    lines += [f"| {row.what} | {row.end} | " + " | ".join(row.said[judge].cell for judge in NAMES) + " |" for row in rows]
    sums = [f"**{wrong(rows, judge)} wrong of {len(rows)}**" for judge in NAMES]
    lines += ["| **all** | | " + " | ".join(sums) + " |", "", tail]
    return "\n".join(lines) + "\n"


def plain(row: Row) -> str:
    """One line for the terminal."""
    return f"{row.name}: in the end {row.end}; " + "; ".join(f"{judge} {row.said[judge].cell.replace('**', '')}" for judge in NAMES)
