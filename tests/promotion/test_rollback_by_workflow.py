"""The workflow puts production's tag back where the driver's own push is refused by a rule: real git, GitHub's world, the workflow that is shipped."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promote.cli.sandbox_session import TEMPLATES
from promote.config.schema import Settings
from promote.config.schema import Workflow as WorkflowSettings
from promote.core.deadline import Clock, Deadline
from promote.core.errors import Forbidden, Interrupted, PromoteError, Superseded
from promote.core.model import Tag
from promote.core.retry import PAUSES_S, wait_until
from promote.core.signals import as_interrupts
from promote.core.version import parse_version
from promote.git.remote import GitRemote
from promote.github.workflow_runs import GitHubRuns
from promote.promotion.context import Dependencies, Moved, PromotionContext, Tracked
from promote.promotion.forge.rollback_by_workflow import by_workflow
from promote.promotion.forge.workflow_run import fence_off
from promote.promotion.journal import Journal, read_journal
from promote.promotion.rollback import PUSH_FOR_S, _push_back
from promote.sandbox.git.server import GitServer
from promote.sandbox.git.writer import GitWriter
from promote.sandbox.github.workflow_run import Runner
from promote.sandbox.github.world import GitHubWorld, WorkflowRun
from promote.sandbox.http_server import Fault
from promote.sandbox.seed import Commit
from promote.tags.lock import LOCK, UNDO, acquire, new_lock, read_lock
from promote.tags.publish import Request, move_back, publish
from promote.tags.target import Target
from tests.robustness.harness import silence
from tests.support.repos import bare_machine
from tests.support.silent_report import Silent

SLUG, OURS, BOTS = "acme/gitops", "token-of-ada", "token-of-the-bot"
FILE, STABLE = "promote-prod.yaml", "refs/tags/prod-stable"


class Place:
    """v1.1.0 was just promoted through the workflow's lock, production was at v1.0.0, and only the workflow may move the tag from now on."""

    def __init__(self, folder: Path, timeout_s: float = 30.0) -> None:
        self.folder = folder
        self.git = GitServer(folder / "remote.git", SLUG, tokens=(OURS, BOTS))
        self.git.create()
        self.git.users[BOTS] = "bot"
        self.git.start()
        self.writer = GitWriter(self.git.path)
        files = {f".github/workflows/{FILE}": (TEMPLATES / FILE).read_bytes(), "promotion.toml": f'[github]\nrepository = "{SLUG}"\n'.encode()}
        ada = "Ada <ada@acme.example>"
        self.writer.load([
            Commit("feat: first", ada, "2026-01-01T00:00:00Z", files, ("dev-v1.0.0", "prod-v1.0.0", "prod-stable")),
            Commit("feat: second", ada, "2026-01-02T00:00:00Z", {"two.txt": b"2\n"}, ("dev-v1.1.0",)),
        ])  # fmt: skip
        runner = Runner(folder / "runs", self.git.repository_url, SLUG, bare_machine(folder), token=BOTS, act=None)
        self.github = GitHubWorld(
            SLUG,
            read_workflow=lambda file: self.writer.git("show", f"main:.github/workflows/{file}"),
            head=lambda: self.writer.holds("main"),
            runner=runner,
            token=OURS,
            queue_s=0.02,
        )
        self.github.start()
        self.old = self.writer.holds(STABLE)
        self.end = self.clone("clone")
        self.run = self.promoted(timeout_s)
        self.bad = self.writer.holds(STABLE)
        self.git.protect(STABLE, free="bot")

    def stop(self) -> None:
        self.github.stop()
        self.git.stop()
        assert self.git.errors == self.github.errors == []

    def clone(self, name: str) -> GitRemote:
        url = self.git.repository_url.replace("//", f"//x:{OURS}@", 1)
        subprocess.run(["git", "clone", "-q", url, str(self.folder / name)], check=True)
        return GitRemote(self.folder / name, "origin")

    def promoted(self, timeout_s: float) -> PromotionContext:
        settings = Settings(root=self.end.root, workflow=WorkflowSettings(file=FILE, timeout=timeout_s))  # type: ignore[arg-type]
        nobody: Any = lambda: None  # noqa: E731
        client = GitHubRuns(self.github.url, SLUG, OURS, call_s=5)
        tools = Dependencies(settings=settings, git=self.end, report=Silent(), production=nobody, forge=lambda: client, who="us")
        version, refs = parse_version("v1.1.0"), self.end.refs("refs/heads/main", STABLE)
        target = Target(
            version=version, commit=refs["refs/heads/main"].commit, from_tree=False, dev_tag=None, stable=refs[STABLE], branch=refs["refs/heads/main"]
        )
        run = PromotionContext(
            deps=tools, target=target, version=version, request_id="20260101-120000-abcdef", journal=Journal.open(self.end.git_dir, "r1")
        )
        lock = acquire(
            self.end,
            new_lock(
                request_id=run.request_id, version="v1.1.0", candidate=target.commit, stable_before=self.old, state="prechecked", plan=run.plan()
            ),
        )
        published = publish(self.end, settings, Request(version=version, request_id=run.request_id, promoted_by="us", lock_id=lock.oid))
        run.update(lock=published.lock, stable=published.stable, moved=Moved.YES)
        return run

    def go_back(self, run: PromotionContext | None = None) -> str:
        """As a rollback does: its own push first, then the workflow."""
        run = run or self.run
        assert run.lock and run.stable and run.target.stable
        with pytest.raises(Forbidden, match=r"a rule forbids to write refs/tags/prod-stable.*GH013") as refusal:
            move_back(run.deps.git, run.settings, run.lock, to=run.target.stable.object, replacing=run.stable.object, keep_undo=not run.undo_moves)
        return by_workflow(run, run.target.stable, refusal.value)

    def holds(self, ref: str) -> str:
        return self.writer.holds(ref)

    def effects(self) -> list[str]:
        return [f"{line['name']}: {line['event']}" for line in read_journal(self.run.journal.path) if line["event"] in ("result", "error")]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    it = Place(tmp_path)
    yield it
    it.stop()


def nothing_moved(place: Place) -> None:
    """The tag is where it was, and the lock is ours in a new object, so that no run that was authorised can still move it."""
    lock = read_lock(place.end)
    assert place.holds(STABLE) == place.bad
    assert place.run.lock == lock and lock is not None and lock.state == "promoted"


def test_it_is_back_and_the_run_knows_tag_and_lock(place: Place) -> None:
    assert place.go_back().startswith("by the workflow: run ")
    assert place.holds(STABLE) == place.old == place.holds(UNDO)
    assert place.holds("refs/tags/prod-v1.1.0") == place.bad, "the tried version keeps its name"
    assert place.run.stable and place.run.stable.object == place.old
    assert place.run.lock == read_lock(place.end) and place.run.lock and place.run.lock.state == "rolling_back"
    assert place.effects() == ["dispatch the rollback: result"]
    (run,) = place.github.runs
    assert run.title.startswith("rollback  20260101-120000-abcdef-back-")


def test_a_dispatch_whose_answer_is_lost_is_found_and_not_repeated(place: Place) -> None:
    place.github.fault(Fault(kind="drop_after", path="/dispatches$", method="POST", times=1))
    place.go_back()
    assert place.holds(STABLE) == place.old
    assert [run.inputs["action"] for run in place.github.runs] == ["rollback"]


def test_the_promotions_own_run_is_not_taken_for_that_of_the_rollback(tmp_path: Path) -> None:
    """It is in the list, with the request id that ours begins with, and ours is not: that dispatch was lost on its way."""
    place = Place(tmp_path, timeout_s=1.0)
    place.github.fail_run("the promotion's own run, as it were")
    inputs = {"version": "v1.1.0", "request_id": place.run.request_id}
    place.run.deps.forge().dispatch(FILE, "main", inputs, request_id=place.run.request_id, deadline=Deadline(10))
    place.github.fault(Fault(kind="drop_before", path="/dispatches$", method="POST", times=1))
    with pytest.raises(PromoteError, match="it never appeared in the list of runs"):
        place.go_back()
    assert place.run.workflow_run is None
    assert [run.inputs["action"] for run in place.github.runs] == ["promote"]
    nothing_moved(place)
    place.stop()


def test_a_runner_lost_after_the_move_does_not_hide_that_it_is_back(place: Place) -> None:
    place.github.fail_after_move()
    assert "although" in place.go_back()
    assert place.run.stable and place.run.stable.object == place.holds(STABLE) == place.old
    assert place.effects() == ["dispatch the rollback: result", "fence: error"], "the run had replaced the lock"


def test_refused_to_both_it_reports_both_and_the_state_of_the_tag(place: Place) -> None:
    place.git.protect(STABLE)
    with pytest.raises(PromoteError) as error:
        place.go_back()
    own, _, its = error.value.what.partition("nor could the workflow, so prod-stable is still at")
    assert "a rule forbids" in own and "GH013" in its
    assert "promote resume" in error.value.hint
    nothing_moved(place)


def test_success_of_a_run_that_did_something_else_is_not_believed(place: Place) -> None:
    path = f".github/workflows/{FILE}"
    text, found = re.subn(r"run: promote publish .*", "run: echo done", place.writer.git("show", f"main:{path}"))
    assert found == 1
    place.writer.commit({path: text.encode() + b"\n"}, "ci: our own")
    with pytest.raises(PromoteError, match=r"still at \w{7}: workflow: run \d+ took \d+ s and succeeded"):
        place.go_back()
    nothing_moved(place)


@pytest.mark.parametrize(("status", "words"), [(403, "`actions: write`"), (404, "the input `action`"), (422, "the input `action`")])
def test_a_dispatch_that_is_refused_moves_nothing_and_names_the_next_command(place: Place, status: int, words: str) -> None:
    place.github.fault(Fault(kind="status", path="/dispatches$", method="POST", status=status, body=b'{"message": "no"}'))
    with pytest.raises(PromoteError, match=f"{status} no") as error:
        place.go_back()
    assert words in error.value.hint
    assert place.github.runs == []
    assert place.effects() == ["dispatch the rollback: error", "fence: result"]
    nothing_moved(place)


def test_one_that_hangs_times_out_and_moves_nothing_later(tmp_path: Path) -> None:
    """The cancellation comes too late, and the job goes on after its end was reported: the report stays true."""
    place = Place(tmp_path, timeout_s=1.0)
    place.github.hang_run()
    with pytest.raises(PromoteError, match="prod-stable is still at"):
        place.go_back()
    assert place.effects() == ["dispatch the rollback: result", "fence: result", "cancel the run: result"]
    (run,) = place.github.runs
    run.status, run.conclusion = "in_progress", None
    place.github.released.set()
    wait_until(
        "the late run ends", lambda: run, ready=lambda r: r.status == "completed" and r.execution is not None, deadline=Deadline(30), every_s=0.05
    )
    assert run.conclusion == "failure" and "is no longer this promotion's" in run.log
    nothing_moved(place)
    place.stop()


def test_an_interrupt_finds_it_fenced(place: Place) -> None:
    place.github.hang_run()

    def stop() -> None:
        wait_until("it runs", lambda: place.run.workflow_run, ready=bool, deadline=Deadline(30), every_s=0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=stop, daemon=True).start()
    with as_interrupts(), pytest.raises(Interrupted):
        place.go_back()
    assert place.effects() == ["dispatch the rollback: result", "fence: result", "cancel the run: result"]
    nothing_moved(place)


class Hurry:
    """A clock on which every pause is four minutes."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.clock = Clock(monotonic=lambda: self.passed, sleep=self._sleep)

    def _sleep(self, _: float) -> None:
        self.passed += 240


@pytest.mark.parametrize("act", ["back", "fence"])
def test_a_push_without_reply_or_reading_is_known_again(place: Place, act: str) -> None:
    """Asked again for the same object, not for a new one: else our own push would be called another user's."""
    place.git.protect()
    place.git.weather = silence(over=lambda looks: looks > 2 * len(PAUSES_S))
    if act == "back":
        push_back(place)
        assert place.run.stable and place.run.stable.object == place.holds(STABLE) == place.old
    else:
        fence_off(place.run, Interrupted("SIGINT"), Deadline(60), state="promoted")
        nothing_moved(place)
    assert place.run.lock == read_lock(place.end)


def push_back(place: Place, time: Hurry | None = None) -> None:
    assert place.run.target.stable
    if time:
        place.run.deps = replace(place.run.deps, clock=time.clock)
    _push_back(place.run, place.run.target.stable)


def test_one_that_timed_out_is_looked_after_before_its_result_is_reported(place: Place) -> None:
    """Two minutes of silence, then the remote is there again: the tag is back, and the run knows it."""
    place.git.protect()
    time = Hurry()
    place.git.weather = silence(over=lambda _: time.passed > PUSH_FOR_S and "fence: " in " ".join(lines(place)))
    push_back(place, time)
    assert place.run.stable and place.run.stable.object == place.holds(STABLE) == place.old
    assert place.run.lock == read_lock(place.end) and place.run.moved is Moved.YES


def test_one_without_any_reply_is_reported_as_unknown(place: Place) -> None:
    place.git.protect()
    place.git.weather = silence(over=lambda _: False)
    with pytest.raises(PromoteError, match="was to be put back: .*whether the tag is back is not known"):
        push_back(place, Hurry())
    assert place.run.moved is Moved.UNKNOWN


def test_one_that_never_came_is_fenced_before_it_is_reported_as_unmoved(place: Place) -> None:
    place.git.protect()
    time, before = Hurry(), place.run.lock
    place.git.weather = lambda _: None if time.passed > PUSH_FOR_S and "fence: " in " ".join(lines(place)) else Fault(kind="drop_before")
    with pytest.raises(PromoteError, match="is still at"):
        push_back(place, time)
    nothing_moved(place)
    assert place.run.lock and before and place.run.lock.oid != before.oid


def lines(place: Place) -> list[str]:
    return [f"{line['name']}: {line['event']}" for line in read_journal(place.run.journal.path)]


def meddle(place: Place, act: Callable[[], object]) -> None:
    def before(_: WorkflowRun) -> None:
        act()

    place.github.before_run(before)


def test_a_foreign_move_meanwhile_is_not_overwritten(place: Place) -> None:
    meddle(place, lambda: place.writer.tag("prod-stable", place.holds("main~1"), "hotfix by hand"))
    with pytest.raises(Superseded, match="this promotion did not put it there"):
        place.go_back()
    assert place.holds(STABLE) not in (place.old, place.bad)
    assert "another user or process moved it" in place.github.runs[0].log


def test_a_lock_that_was_taken_over_meanwhile_authorises_nothing(place: Place) -> None:
    meddle(place, lambda: place.writer.git("update-ref", "-d", LOCK))
    with pytest.raises(PromoteError):
        place.go_back()
    assert place.holds(STABLE) == place.bad
    assert "is no longer this promotion's" in place.github.runs[0].log


def asked_for(place: Place, end: GitRemote | None = None) -> PromotionContext:
    """`promote rollback --to v1.0.0` when the promotion is long over: it holds the lock, and has pushed nothing yet."""
    place.git.protect()
    place.writer.git("update-ref", "-d", LOCK)
    place.writer.git("update-ref", "-d", UNDO)
    end = end or place.end
    run, refs = place.run, end.refs(STABLE, "refs/tags/prod-v1.0.0")
    back = refs["refs/tags/prod-v1.0.0"]
    target = Target(
        version=run.version, commit=back.commit, from_tree=False, dev_tag=None, stable=Tag(ref=STABLE, object=back.object, commit=back.commit),
        branch=run.target.branch,
    )  # fmt: skip
    asked = PromotionContext(
        deps=replace(run.deps, git=end), target=target, version=run.version, request_id="rollback-1",
        journal=Journal.open(place.end.git_dir, "rollback-1"), tracked=Tracked(stable=refs[STABLE], moved=Moved.YES), undo_moves=True, asked_rollback=True,
    )  # fmt: skip
    lock = new_lock(
        request_id="rollback-1", version="v1.0.0", candidate=back.commit, stable_before=refs[STABLE].object, state="rolling_back", plan=asked.plan()
    )
    asked.update(lock=acquire(end, lock))
    return asked


def test_a_requested_rollback_goes_to_the_target_in_its_lock_and_can_be_undone(place: Place) -> None:
    asked = asked_for(place)
    place.git.protect(STABLE, free="bot")
    assert asked.target.stable
    place.go_back(asked)
    assert (place.holds(STABLE), place.holds(UNDO)) == (asked.target.stable.object, place.bad)
