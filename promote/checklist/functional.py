"""The logic of `tests-passed`: every configured source of evidence about this very commit returns failures, or raises when it cannot tell."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from promote import connect
from promote.candidate.junit import LONGEST, read_junit
from promote.checklist.promotion import Promotion
from promote.core.deadline import Deadline
from promote.core.errors import NotFound, PromoteError, Unreachable, UsageError
from promote.core.foreign import split_lines
from promote.core.model import Evidence, short
from promote.transport.programs import run_program

if TYPE_CHECKING:
    from promote.github.evidence import CheckState

LOOK_S = 5.0
FAILURES = frozenset({"failure", "error", "timed_out", "action_required", "startup_failure"})
NEUTRAL = frozenset({"skipped", "neutral"})


def failed_tests(promotion: Promotion, evidence: Evidence) -> list[str]:
    """Failed tests of the candidate commit, one indented line each; [] when every configured source reports success.

    Waits up to `tests.timeout` for each source. Raises UsageError when no source is configured, PromoteError when no source reports a failure
    and one of them cannot tell (pending, missing, skipped, unreachable).
    """
    wanted = promotion.settings.tests
    sources: list[Callable[[Promotion, Evidence], list[str]]] = []
    sources += [_github] if wanted.github else []
    sources += [_command] if wanted.command else []
    sources += [_junit] if wanted.junit else []
    if not sources:
        raise UsageError(
            "not configured: no source reports whether the tests of this commit passed",
            hint="set tests.github = true, tests.command or tests.junit in promotion.toml; or disable the check with a reason",
        )
    found, unknown = [], []
    for source in sources:
        try:
            found += source(promotion, evidence)
        except PromoteError as error:
            unknown.append(error)
    if unknown and not found:  # a failure is more important than an unknown
        raise unknown[0]
    return [*found, *(f"  and unknown: {error.what}" for error in unknown)]


def _github(promotion: Promotion, evidence: Evidence) -> list[str]:
    """Checks and statuses of the commit. Waits for pending and missing ones; those that do not finish in time are unknown."""
    settings, deadline = promotion.settings, Deadline(promotion.settings.tests.timeout)
    api = connect.evidence(settings, promotion.remote)
    required = tuple(settings.tests.required) or api.required_checks(settings.repository.branch)
    ours = connect.ci_run()
    while True:
        seen = [
            c
            for c in api.checks(promotion.commit, not_of=settings.workflow.file)
            if not any(fnmatchcase(c.name, pattern) for pattern in settings.tests.ignore) and not (ours and f"/actions/runs/{ours}/" in c.url)
        ]
        counted = [c for c in seen if c.name in required] if required else seen
        no = [c for c in counted if c.state in FAILURES]
        missing = [name for name in required if name not in {c.name for c in counted}]
        pending = [c for c in counted if c.state == "pending"]
        if no or not (missing or pending) or deadline.expired:
            break
        deadline.sleep(LOOK_S)
    evidence("checks", {c.name: c.state for c in counted})
    evidence("required", list(required) or "none named: all count")
    if no:
        return [f"  {c.describe()}" for c in no]
    _unless_known(promotion, counted, missing, pending, strict=bool(required))
    return []


def _unless_known(promotion: Promotion, counted: Sequence[CheckState], missing: list[str], pending: Sequence[CheckState], *, strict: bool) -> None:
    """Raise Unreachable for anything that is not a success, NotFound when there is nothing at all."""
    at, waited = short(promotion.commit), promotion.settings.tests.timeout
    if missing:
        raise NotFound(
            "github",
            f"{', '.join(missing)}: required of {at}, and missing after {waited:.0f} s",
            hint="run the commit's CI, or correct tests.required",
        )
    if pending:
        raise Unreachable(
            "github",
            f"{', '.join(c.describe() for c in pending[:4])}: still running after {waited:.0f} s",
            hint="start again when it has finished",
        )
    odd = [c for c in counted if c.state != "success" and (strict or c.state not in NEUTRAL)]
    if odd:
        raise Unreachable("github", f"{', '.join(c.describe() for c in odd[:4])}: neither passed nor failed", hint="run it again on this commit")
    if not any(c.state == "success" for c in counted):
        raise NotFound("github", f"no check or status of {at} succeeded: it was not tested", hint="run the commit's CI, or name another source")


def _command(promotion: Promotion, evidence: Evidence) -> list[str]:
    """The team's own command, in this clone, which must be the candidate without changes: otherwise it would test something else."""
    settings, remote = promotion.settings, promotion.remote
    argv = shlex.split(settings.tests.command)
    records = f"{settings.promotion.records}/"
    head, changed = remote.head(), [p for p in remote.changed_in_tree(promotion.commit) if not p.startswith(records)]
    evidence("command", settings.tests.command)
    if changed:
        raise UsageError(
            f"tests.command would test {'a changed tree' if head == promotion.commit else short(head)}, not {short(promotion.commit)}:"
            f" {len(changed)} files differ ({', '.join(changed[:3])})",
            hint=f"git switch --detach {short(promotion.commit)} in a clean clone, and start again",
        )
    done = run_program(argv, cwd=settings.root, seconds=settings.tests.timeout, together=True)
    evidence("exit code", done.code)
    tail = [f"    | {line}" for line in split_lines(done.out)[-8:]]
    return [f"  `{settings.tests.command}` ended with {done.code}", *tail] if done.code else []


def _junit(promotion: Promotion, evidence: Evidence) -> list[str]:
    """A JUnit file that names its commit: in the file's name or in a property."""
    settings, commit = promotion.settings, promotion.commit
    path = settings.root / settings.tests.junit.replace("{commit}", commit)
    try:
        with path.open("rb") as file:
            run = read_junit(file.read(LONGEST + 1))
    except FileNotFoundError:
        raise NotFound("tests.junit", f"there is no {path.name} for {short(commit)} in {path.parent}", hint="run the tests that write it") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not a JUnit file: {error}", hint="tests.junit in promotion.toml names it") from None
    about = run.commit or (commit if "{commit}" in settings.tests.junit else "")
    evidence("junit", {"file": path.name, "ran": run.ran, "skipped": run.skipped, "bad": list(run.bad[:20])})
    if about != commit:
        found = f"it is about {about[:12]}" if about else "it names no commit"
        raise NotFound(
            "tests.junit",
            f"{path.name}: {found}, expected {short(commit)}",
            hint='write the commit into a property "commit", or into the file name with {commit}',
        )
    if not run.ran:
        raise NotFound("tests.junit", f"{path.name}: no test ran ({run.skipped} skipped)", hint="correct the command that writes it")
    return [f"  {path.name}: {len(run.bad)} of {run.ran} tests did not pass: {', '.join(run.bad[:4])}"] if run.bad else []
