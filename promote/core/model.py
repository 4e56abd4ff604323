"""The values of a promotion: verdicts, ends, tags, results. No I/O, and nothing that depends on a vendor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum

Evidence = Callable[[str, object], None]  # `evidence(name, value)` remembers what a check observed; value is anything JSON can hold


class Verdict(StrEnum):
    """The outcome of a check, a suite or a step.

    PASSED: proven. FAILED: a requirement is not met. ERRORED: undetermined, a check could not run. FAILED and ERRORED are never mixed, and neither is
    a pass. DISABLED (not configured), WARNING (did not pass, advisory only) and WAIVED (did not pass, accepted by a named owner with a reason) are
    listed and do not block.
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
        """Reduce many to one: FAILED if any failed, else ERRORED if any errored, else PASSED. ERRORED when none blocks or passes: no evidence is no
        pass."""
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
    """A ref on the remote. `object` is the id the ref holds (a lease compares this one), `commit` the commit it peels to at any depth."""

    ref: str
    object: str
    commit: str

    @property
    def name(self) -> str:
        return self.ref.removeprefix("refs/tags/")


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """The user's decisions on the command line of `promote run`: each is a flag that changes which states the checks accept; the ledger records it.

    `fallback` is the commit that a failed first promotion rolls back to ("" = there is none).
    """

    recreate_dev: bool = False
    recreate_prod: bool = False
    first: bool = False
    fallback: str = ""
    downgrade: bool = False
    again: bool = False

    def describe(self) -> list[str]:
        """The given flags, spelled as on the command line."""
        given = {"--" + f.name.replace("_", "-"): getattr(self, f.name) for f in fields(self) if f.name != "fallback"}
        return [flag for flag, on in given.items() if on] + ([f"--first-fallback {short(self.fallback)}"] if self.fallback else [])


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckResult:
    """The result of one checklist check. `detail` is the failure text with its fix; `evidence` maps names to observed values."""

    id: str
    suite: str
    verdict: Verdict
    seconds: float = 0.0
    detail: str = ""
    evidence: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteResult:
    """The result of one suite. `verdict` is PASSED only when the suite recorded its end and every required check passed."""

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
    """The state of one application on its way to a commit."""

    PROVEN = "proven"
    WAITING = "waiting"
    FAILED = "failed"
    TOLERATED = "tolerated"  # already unhealthy before the move: reported, and ignored in the verdict
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class AppVerdict:
    """One application's state, with the reason why it has not converged yet ("" when proven)."""

    name: str
    state: AppState
    reason: str = ""
    about_health: bool = False  # only its health is still missing


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step of a promotion as the report and `--json` show it."""

    name: str
    verdict: Verdict
    seconds: float
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One task as its tracker records it."""

    id: str
    title: str
    status: str
    url: str = ""

    def describe(self) -> str:
        """`acme-7x2 (in_progress) "raise the limit"`, with its link."""
        return f'{self.id} ({self.status}) "{self.title}"' + (f" {self.url}" if self.url else "")


def short(oid: str) -> str:
    """The first 7 characters of an object id, for display."""
    return oid[:7]
