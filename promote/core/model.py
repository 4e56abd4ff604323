"""The words of a promotion as values. No input or output here, and nothing that knows a vendor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum

Evidence = Callable[[str, object], None]  # `evidence(name, value)` remembers what a check observed; value is anything JSON can hold


class Verdict(StrEnum):
    """FAILED: production or the checklist says no. ERRORED: nobody could tell. They are never mixed, and neither is a pass.

    DISABLED (nothing is configured to ask) and WARNING (did not pass, and does not count here) are no pass either: they are listed and do not block.
    So is WAIVED: did not pass, and somebody answers for that with a name and a reason.
    """

    PASSED = "passed"
    FAILED = "failed"
    ERRORED = "errored"
    DISABLED = "disabled"
    WARNING = "warning"
    WAIVED = "waived"

    @property
    def blocks(self) -> bool:
        return self in (Verdict.FAILED, Verdict.ERRORED)

    @staticmethod
    def worst(verdicts: Iterable[Verdict]) -> Verdict:
        """Reduce many to one: any failed is failed, else any errored is errored, else passed. Of nothing at all (or nothing that counts): errored."""
        seen = set(verdicts) - {Verdict.DISABLED, Verdict.WARNING, Verdict.WAIVED}
        if Verdict.FAILED in seen:
            return Verdict.FAILED
        return Verdict.PASSED if seen == {Verdict.PASSED} else Verdict.ERRORED


class End(StrEnum):
    """How a promotion ends; the table is in docs/endings.md."""

    VERIFIED = "verified"
    REFUSED = "refused"
    USAGE = "usage"
    ROLLED_BACK = "rolled_back"
    STUCK = "stuck"
    UNCHECKED = "unchecked"
    SUPERSEDED = "superseded"
    INTERRUPTED = "interrupted"

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self]


EXIT_CODES: Mapping[End, int] = {
    End.VERIFIED: 0,
    End.REFUSED: 1,
    End.USAGE: 2,
    End.ROLLED_BACK: 3,
    End.STUCK: 4,
    End.UNCHECKED: 5,
    End.SUPERSEDED: 6,
    End.INTERRUPTED: 130,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Tag:
    """A ref on the remote. `object` is what the ref holds (what a lease compares), `commit` what it peels to at any depth."""

    ref: str
    object: str
    commit: str

    @property
    def name(self) -> str:
        return self.ref.removeprefix("refs/tags/")


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """What the person decided on the command line of `promote run`: each a flag that changes what the checks accept, and is written into the ledger.

    `fallback` is the commit that a failed first promotion goes back to ("" = there is none).
    """

    recreate_dev: bool = False
    recreate_prod: bool = False
    first: bool = False
    fallback: str = ""
    downgrade: bool = False
    again: bool = False

    def describe(self) -> list[str]:
        """The flags that were given, as they are typed."""
        given = {"--" + f.name.replace("_", "-"): getattr(self, f.name) for f in fields(self) if f.name != "fallback"}
        return [flag for flag, on in given.items() if on] + ([f"--first-fallback {short(self.fallback)}"] if self.fallback else [])


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckResult:
    """One checklist check as it was judged. `detail` is the failure text with its fix; `evidence` what was seen, by name."""

    id: str
    suite: str
    verdict: Verdict
    seconds: float = 0.0
    detail: str = ""
    evidence: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteResult:
    """What one suite said. `verdict` is PASSED only when a finish was recorded and every required check passed."""

    suite: str
    verdict: Verdict
    checks: tuple[CheckResult, ...]
    seconds: float
    reason: str = ""
    junit: str = ""
    log: str = ""

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        return tuple(check for check in self.checks if check.verdict.blocks)


class AppState(StrEnum):
    """Where one application stands on its way to a commit."""

    PROVEN = "proven"
    WAITING = "waiting"
    FAILED = "failed"
    TOLERATED = "excused"  # was unhealthy before the move: reported, not blamed
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class AppVerdict:
    """One application with the named reason why it is not there yet (empty when proven)."""

    name: str
    state: AppState
    reason: str = ""
    about_health: bool = False  # the reason is its health: everything else about it has arrived


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step of the run as the report and `--json` show it."""

    name: str
    verdict: Verdict
    seconds: float
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One task as its tracker has it."""

    id: str
    title: str
    status: str
    url: str = ""

    def describe(self) -> str:
        """`acme-7x2 (in_progress) "raise the limit"`, with its link."""
        return f'{self.id} ({self.status}) "{self.title}"' + (f" {self.url}" if self.url else "")


def short(oid: str) -> str:
    """The first 7 characters of an object id: what people read."""
    return oid[:7]
