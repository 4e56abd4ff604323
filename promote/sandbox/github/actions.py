"""The life of workflow runs: queued → in_progress → completed, one at a time in a concurrency group, with hooks for what goes wrong.

Speaks no HTTP. A run's thread ends with the run; `stop` ends all of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from promote.sandbox.github.workflow_text import Step

OVER = "completed"  # GitHub's status for every end; the conclusion says which
HOLDS = ("queued", "in_progress", "waiting")  # what keeps a concurrency group to itself; `pending` is what waits for it
LOST = "##[error]The hosted runner lost communication with the server."


class Execution(Protocol):
    """A job under way. One that knows its steps also has `steps`."""

    def wait(self) -> tuple[int, str]: ...
    def kill(self) -> None: ...


class Runner(Protocol):
    def start(self, file: str, inputs: Mapping[str, str], run_id: int, api_url: str) -> Execution: ...


@dataclass(kw_only=True, slots=True)
class WorkflowRun:
    """One run. `status`: pending, queued, waiting, in_progress, completed; `created` and `updated` are GitHub's time stamps."""

    id: int
    file: str
    title: str
    name: str
    inputs: Mapping[str, str]
    created: str
    group: str
    head: str
    branch: str = "main"
    number: int = 1
    status: str = "queued"
    conclusion: str | None = None
    log: str = ""
    job: str = "promote"
    environment: str = ""
    timeout_s: float = 6 * 3600.0
    updated: str = ""
    planned: tuple[str, ...] = ()
    steps: list[Step] = field(default_factory=list)
    execution: Execution | None = field(default=None, repr=False)


class Actions:
    """Runs the submitted workflows. `environments`: jobs in these wait for `approve`; "*" is every job."""

    def __init__(self, runner: Runner, api_url: Callable[[], str], queue_s: float) -> None:
        self.queue_s, self._runner, self._api_url = queue_s, runner, api_url
        self.runs: list[WorkflowRun] = []
        self.environments: set[str] = set()
        self.released = threading.Event()
        self.changed = threading.Condition()
        self.before: Callable[[WorkflowRun], None] | None = None
        self.fail_text: str | None = None
        self.hang = self.fail_after = False
        self._threads: list[threading.Thread] = []

    def submit(self, run: WorkflowRun, *, cancels: bool = False) -> None:
        """Queue a run. In a group one run is under way and one is pending: a newer one replaces the pending one, `cancels` also the other."""
        with self.changed:
            for other in [o for o in self.runs if run.group and o.group == run.group and o.status != OVER]:
                # A group holds one pending run: GitHub cancels an older one, whatever cancel-in-progress says.
                if cancels or other.status == "pending":
                    self.cancel(other)
                else:
                    run.status = "pending"
            self.runs.append(run)
            thread = threading.Thread(target=self._live, args=(run,), name=f"run-{run.id}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def cancel(self, run: WorkflowRun) -> bool:
        """End a run as cancelled; False when it had completed."""
        return self._end(run, "cancelled")

    def approve(self) -> None:
        """A reviewer lets the waiting runs go, and those to come."""
        with self.changed:
            self.environments.clear()
            self.changed.notify_all()

    def stop(self) -> None:
        for run in self.runs:
            self.cancel(run)
        self.released.set()
        for thread in self._threads:
            thread.join(10)

    def _end(self, run: WorkflowRun, conclusion: str) -> bool:
        with self.changed:
            if run.status == OVER:
                return False
            run.status, run.conclusion, run.updated = OVER, conclusion, now()
            if run.execution and conclusion in ("cancelled", "timed_out"):
                run.execution.kill()
            group = [o for o in self.runs if run.group and o.group == run.group]
            if not any(o.status in HOLDS for o in group) and (following := next((o for o in group if o.status == "pending"), None)):
                following.status = "queued"
            self.changed.notify_all()
            return True

    def _live(self, run: WorkflowRun) -> None:
        with self.changed:
            self.changed.wait_for(lambda: run.status != "pending")
            self.changed.wait_for(lambda: run.status == OVER, self.queue_s)
            if run.status != OVER and self._asks(run):
                run.status = "waiting"
                self.changed.wait_for(lambda: run.status == OVER or not self._asks(run))
            if run.status == OVER:
                return
            run.status, run.updated = "in_progress", now()
        self._execute(run)

    def _asks(self, run: WorkflowRun) -> bool:
        return "*" in self.environments or run.environment in self.environments

    def _execute(self, run: WorkflowRun) -> None:
        if before := self._take("before"):
            before(run)
        text = self._take("fail_text")
        if text is not None:
            run.log, run.steps = text, [Step(name=run.planned[-1] if run.planned else "Move the tags", conclusion="failure")]
            self._end(run, "failure")
        elif not self._hung(run):
            self._work(run)

    def _hung(self, run: WorkflowRun) -> bool:
        """Hold a run that is to hang until it is released, whatever is asked of it; True when it was ended by then."""
        if self._take("hang"):
            self.released.wait()
        return run.status == OVER

    def _work(self, run: WorkflowRun) -> None:
        execution = self._runner.start(run.file, run.inputs, run.id, self._api_url())
        with self.changed:
            run.execution = execution
            run.steps = getattr(execution, "steps", run.steps)
            if run.status == OVER:
                execution.kill()
        clock = threading.Timer(run.timeout_s, self._end, (run, "timed_out"))
        clock.start()
        code, run.log = execution.wait()
        clock.cancel()
        clock.join()
        if self._take("fail_after"):
            run.log, code = f"{run.log}\n{LOST}", 1
        if code and not run.steps:
            run.steps = [Step(name=run.planned[-1] if run.planned else "Move the tags", conclusion="failure")]
        self._end(run, "failure" if code else "success")

    def _take(self, hook: str) -> Any:
        """A hook's value, once."""
        with self.changed:
            value = getattr(self, hook)
            setattr(self, hook, False if isinstance(value, bool) else None)
            return value


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
