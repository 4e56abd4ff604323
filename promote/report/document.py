"""The JSON document of a run, printed by `--json` and kept in the ledger. Its reference is docs/commands.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from promote.core.model import AppVerdict, CheckResult, End, Step, SuiteResult, Tag


def run_document(
    *,
    end: End,
    reason: str,
    version: str,
    commit: str,
    stable_before: Tag | None,
    stable_after: Tag | None,
    steps: Sequence[Step],
    checks: Sequence[CheckResult],
    applications: Sequence[AppVerdict],
    junit: Sequence[str],
    record: str,
    warnings: Sequence[str],
    request_id: str,
    code: int | None = None,
    waivers: Sequence[Mapping[str, object]] = (),
) -> dict[str, object]:
    """The document of a promotion or rollback. Every key is always present; unknown values are null or empty. `code`: overrides the end's exit
    code."""
    return {
        "outcome": end.value,
        "exit": end.exit_code if code is None else code,
        "reason": reason,
        "version": version,
        "commit": commit,
        "stable_before": _pair(stable_before),
        "stable_after": _pair(stable_after),
        "steps": [{"name": s.name, "verdict": s.verdict.value, "seconds": s.seconds, "detail": s.detail} for s in steps],
        "checks": [_check(check) for check in checks],
        "applications": [{"name": a.name, "verdict": a.state.value, "reason": a.reason} for a in applications],
        "junit": list(junit),
        "record": record,
        "warnings": list(warnings),
        "request_id": request_id,
        "waivers": list(waivers),
    }


def check_document(end: End, result: SuiteResult, *, commit: str, version: str) -> dict[str, object]:
    """The JSON document of one suite that was run on its own."""
    return {
        "outcome": result.verdict.value,
        "exit": end.exit_code,
        "suite": result.suite,
        "version": version,
        "commit": commit,
        "reason": result.reason,
        "checks": [_check(check) for check in result.checks],
        "junit": result.junit,
        "log": result.log,
    }


def _check(check: CheckResult) -> dict[str, object]:
    """One check. `detail` is the failure text with its fix, "" for a check that passed."""
    judged = {"id": check.id, "suite": check.suite, "verdict": check.verdict.value, "seconds": check.seconds}
    return {**judged, "detail": check.detail, "evidence": dict(check.evidence)}


def _pair(tag: Tag | None) -> dict[str, str] | None:
    return {"object": tag.object, "commit": tag.commit} if tag else None
