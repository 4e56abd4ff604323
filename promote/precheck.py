"""START → PRECHECKED: take the lock, remember production as it is, run the pre suite, and only then create the dev tag."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

from promote.baseline import Baseline, take_baseline
from promote.clients.git_push import RefUpdate
from promote.connect import alerts_reader
from promote.deadline import Deadline
from promote.errors import Rejected
from promote.lock import acquire, advance, new_lock
from promote.model import SuiteResult, Verdict, short
from promote.run import Result, Run, Said
from promote.signals import held
from promote.steps import suite


def precheck(run: Run) -> Result:
    """The transition. Nothing but the lock and, at the end, the dev tag is written."""
    _take_lock(run)
    run.tools.report.step_started("before")
    deadline = Deadline(run.settings.suites.timeout, run.tools.clock)
    stop = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        try:
            # Side by side: all only read. The smoke suite as it passes now is what a rollback has to bring back.
            baseline = pool.submit(take_baseline, run.tools.production(), alerts_reader(run.settings))
            smoke = pool.submit(suite, run, "smoke", "before", deadline, quiet=True, stop=stop)
            result = suite(run, "pre", "before", deadline)
            _keep_baseline(run, baseline.result(), smoke.result())
        except BaseException:
            stop.set()
            raise
    run.step("before", result.verdict, deadline.elapsed, result.reason)
    if result.verdict is not Verdict.PASSED:
        return Result(said=Said(result.verdict.value), reason=f"the pre suite did not pass: {result.reason}", hint=_what_to_do(result))
    _candidate(run, result)
    return Result(said=Said.PASSED)


def _take_lock(run: Run) -> None:
    target = run.target
    lock = new_lock(
        request_id=run.request_id,
        version=run.version.text,
        candidate=target.commit,
        stable_before=target.stable.object if target.stable else "",
        state="prechecking",
    )
    with held():
        run.lock = run.journal.effect("take the lock", {"stable_before": lock.stable_before}, lambda: acquire(run.tools.git, lock))
    if target.stable is None:
        raise Rejected(
            "promotion",
            f"{run.settings.tags.stable} does not exist on the remote: there is nothing to go back to",
            hint=f"create it once at what production runs: git tag -a {run.settings.tags.stable} COMMIT && git push {run.settings.repository.remote} "
            f"{run.settings.tags.stable}",
        )


def _keep_baseline(run: Run, baseline: Baseline, smoke: SuiteResult) -> None:
    run.smoke_before = frozenset(row.id for row in smoke.rows if row.verdict is Verdict.PASSED)
    run.baseline = baseline
    run.reports.mkdir(parents=True, exist_ok=True)
    run.baseline_file = run.reports / "baseline.json"
    run.baseline_file.write_text(baseline.to_json())
    run.journal.write("note", "baseline", file=str(run.baseline_file), smoke_passed=sorted(run.smoke_before))


def _what_to_do(result: SuiteResult) -> str:
    names = ", ".join(row.id for row in result.failed[:5])
    return f"correct {names or 'what the log says'} and start again; all rows by hand: pytest checks/pre (log: {result.log})"


def _candidate(run: Run, result: SuiteResult) -> None:
    """Create the dev tag at the checked commit (if it is not there) in the same push that renews the lock, then read the branch again."""
    git, target = run.tools.git, run.target
    assert run.lock is not None
    verdict_id = hashlib.sha256(repr([(r.id, r.verdict.value) for r in result.rows]).encode() + target.commit.encode()).hexdigest()[:12]
    updates, name = [], run.names.dev.removeprefix("refs/tags/")
    if target.dev_tag is None:
        tag = git.make_tag(name=name, commit=target.commit, message=f"Dev release {run.version}")
        updates = [RefUpdate(ref=run.names.dev, new=tag, expected="")]
    lock = run.lock
    with held():
        run.lock = run.journal.effect(
            "authorise the move",
            {"dev_tag": name, "commit": target.commit, "prechecked": verdict_id},
            lambda: advance(git, lock, *updates, state="prechecked", prechecked=verdict_id),
        )
    made = "created and pushed" if updates else "was there already"
    run.step("candidate", Verdict.PASSED, 0.0, f"{name} → {git.describe(target.commit)} (tag {made})")
    head = git.refs(run.names.branch).get(run.names.branch)
    if head is not None and head.commit != target.branch.commit:
        git.fetch(run.names.branch)
        if not git.is_ancestor(target.commit, head.commit):
            raise Rejected(
                "promotion",
                f"{run.settings.repository.branch} was rewritten during the checks: {short(target.commit)} is no longer on it",
                hint="look at the branch, then start again",
            )
