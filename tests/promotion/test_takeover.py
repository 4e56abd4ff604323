"""Reports about a promotion that is read again, resumed or aborted, after any change meanwhile: real git over HTTP."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from promote.cli.summary import final_lines
from promote.convergence.baseline import Baseline
from promote.convergence.baseline_ref import BASELINE
from promote.core.deadline import Deadline
from promote.core.errors import PromoteError, Superseded, Unconfirmed, Unreachable, UsageError
from promote.core.model import End
from promote.git.push import Pushed, RefUpdate
from promote.git.remote import GitRemote
from promote.promotion.context import Moved, PromotionContext, StepStatus
from promote.promotion.finalize import finalize
from promote.promotion.journal import Journal, read_journal
from promote.promotion.move import confirm
from promote.promotion.outcome import Direction, read_outcome
from promote.promotion.recovery.resume import locate, resume
from promote.promotion.recovery.takeover import take_over_promotion
from promote.promotion.state_machine import State, next_state, run_promotion, run_transition
from promote.sandbox.http_server import Fault
from promote.sandbox.http_server import Request as HttpRequest
from promote.tags.heartbeat import HEARTBEAT, beating
from promote.tags.lock import LOCK, Lock, advance, new_lock, read_lock, release, take_over, write_lock
from promote.tags.publish import Request, publish
from tests.promotion.test_interrupts import until
from tests.robustness.harness import STABLE, silence
from tests.support.prechecked import PROD, VERSION, Make, Place
from tests.support.repos import git


def _no_cluster() -> Any:
    raise Unreachable("cluster", "no answer", hint="")


def look(run: PromotionContext) -> str:
    """What is wrong with a move forward, as read from the refs; "" when it is as asked for."""
    return read_outcome(run, Direction.FORWARD).problem


def stands(run: PromotionContext) -> State | End:
    """Where a promotion that was taken over goes on."""
    result = run_transition(resume, run)
    return next_state(State.RESUMING, result.status, run.moved, hold=bool(run.hold), is_back=run.is_back)


def older_workflow(place: Place, commit: str = "") -> None:
    """It tags and moves in its own words, with a tag of its own for each name."""
    for ref in (PROD, STABLE):
        name = ref.removeprefix("refs/tags/")
        git(
            place.remote.server.path, "-c", "user.name=ci", "-c", "user.email=ci@x", "tag", "-f", "-am", name, name, commit or place.run.target.commit
        )


def test_a_rollback_by_hand_while_the_run_ended_counts_as_moved(make: Make) -> None:
    place = make()
    place.publish()
    place.remote.put(STABLE, place.remote.start)
    assert "put back" in look(place.run)
    assert (place.run.moved, place.run.stable) == (Moved.YES, place.run.target.stable), "its proof is still owed"


def test_a_first_promotion_whose_tag_was_deleted_was_moved(make: Make) -> None:
    place = make(first=True)
    assert "nothing was moved" in look(place.run)
    place.publish()
    place.remote.put(STABLE, "")
    with pytest.raises(Superseded, match="this promotion did not put it there"):
        look(place.run)
    with pytest.raises(Superseded, match="prod-stable is absent"):
        locate(place.taken_up())


def test_an_older_workflows_move_that_was_written_down_unheard_is_ours(make: Make) -> None:
    place = make(legacy=True)
    older_workflow(place)
    place.remote.server.weather = silence(lambda met: met > 8)
    with pytest.raises(Unreachable):
        look(place.run)
    place.remote.server.weather = None
    assert (look(place.run), place.run.moved) == ("", Moved.YES)
    assert place.run.lock and place.run.lock.oid == place.remote.holds(LOCK)


def test_an_older_workflows_tag_that_was_put_back_unheard_is_back(make: Make) -> None:
    place = make(legacy=True)
    place.remote.put(STABLE, "")
    place.remote.server.weather = silence(lambda met: met > 8)
    with pytest.raises(Unreachable):
        look(place.run)
    place.remote.server.weather = None
    assert "nothing was moved" in look(place.run)
    assert place.remote.holds(STABLE) == place.remote.start


def test_a_lock_that_was_taken_over_during_an_older_workflow_is_not_ours(make: Make) -> None:
    place = make(legacy=True)
    older_workflow(place)
    assert place.run.lock
    there = place.remote.clones[1]
    there.fetch(LOCK)
    take_over(there, place.run.lock)
    with pytest.raises(Superseded, match="is no longer this promotion's"):
        look(place.run)


def test_aborted_with_a_moved_tag_it_is_reported_as_moved(make: Make) -> None:
    place = make()
    place.publish()
    run = place.taken_up()
    end, result = run_promotion(run, State.LEAVING)
    lines = "\n".join(final_lines(run, end, result))
    assert end is End.STUCK and "was moved by this promotion and stays so" in lines and "was not moved" not in lines, lines


def test_aborted_with_an_unmoved_tag_it_is_reported_as_unmoved(make: Make) -> None:
    run = make().taken_up()
    end, result = run_promotion(run, State.LEAVING)
    assert (end, run.moved, run.release_anyway) == (End.STUCK, Moved.NO, True)
    assert "was not moved" in "\n".join(final_lines(run, end, result))


def test_aborted_with_a_foreign_tag_it_is_reported_as_foreign(make: Make) -> None:
    place = make()
    place.remote.put(STABLE, place.remote.commits["v1.1.0"])
    assert run_promotion(place.taken_up(), State.LEAVING)[0] is End.SUPERSEDED


def test_aborted_no_claim_is_made_about_an_older_workflow_that_may_still_run(make: Make) -> None:
    run = make(legacy=True).taken_up()
    end, result = run_promotion(run, State.LEAVING)
    assert (end, run.moved) == (End.STUCK, Moved.UNKNOWN)
    assert "may still be moved" in "\n".join(final_lines(run, end, result))


def test_it_is_not_taken_back_from_another_machine_that_lives(make: Make) -> None:
    """Its journal is in this clone, and another machine has resumed it by now."""
    place = make()
    place.dies()
    there = place.remote.clones[1]
    lock = read_lock(there)
    assert lock
    theirs = take_over(there, replace(lock, at=(datetime.now(UTC) - timedelta(hours=1)).isoformat()))
    beat(place, there, theirs)
    with pytest.raises(UsageError, match="it gave its last sign of life"):
        take_over_promotion(place.deps())
    assert place.remote.holds(LOCK) == theirs.oid


def test_it_is_resumed_where_it_died_again_and_again(make: Make) -> None:
    place = make()
    first = place.taken_up()
    assert first.journal._held is not None
    os.close(first.journal._held)
    again = take_over_promotion(place.deps())
    assert again and again.lock and first.lock and again.lock.holder != first.lock.holder


def test_its_own_run_may_move_the_tag_while_the_lock_is_taken_over(make: Make) -> None:
    place = make()
    place.dies()
    place.remote.server.moment, place.remote.server.meddle = "git-receive-pack", place.publish
    run = take_over_promotion(place.deps())
    assert run and run.lock and place.run.lock
    assert (run.lock.state, place.remote.holds(LOCK)) == ("promoted", run.lock.oid)
    assert run.lock.holder != place.run.lock.holder and run.t_before == datetime.fromisoformat(run.lock.at)
    assert (stands(run), run.moved) == (State.PROMOTED, Moved.YES)


def test_what_it_handed_over_meanwhile_is_read(make: Make) -> None:
    """A lock that was read before production was looked at knows no baseline; the push that replaces it brings one."""
    place = make()
    place.dies()
    server, end, lock = place.remote.server, place.remote.clones[1], place.run.lock
    assert lock
    end.fetch(LOCK)
    was = Baseline(taken=datetime.now(UTC), manifests=(), pod_manifests=(), smoke_passed=("smoke-url[a]",))
    text = json.dumps({"request_id": "r1", "baseline": json.loads(was.to_json())})
    update = RefUpdate(ref=BASELINE, new=end.commit_file(None, "baseline.json", text, "as it was"), expected="")
    server.moment, server.meddle = "git-receive-pack", lambda: advance(end, lock, update, state="promoted")
    run = take_over_promotion(place.deps())
    assert run and run.baseline == was
    notes = [line for line in read_journal(run.journal.path) if line["name"] == "baseline"]
    assert [note["smoke_passed"] for note in notes] == [["smoke-url[a]"]], "who takes it up again reads it here"


def test_an_owner_that_wakes_up_in_that_moment_keeps_its_promotion(make: Make) -> None:
    """It had been silent for long; its next step replaces the lock while we take it."""
    place = make()
    place.dies()
    there, lock = place.remote.clones[1], place.run.lock
    assert lock
    old = advance(there, lock, at=(datetime.now(UTC) - timedelta(hours=2)).isoformat())
    server = place.remote.server
    server.moment, server.meddle = "git-receive-pack", lambda: advance(there, old, state="promoted")
    place.settings = replace(place.settings, lock=replace(place.settings.lock, heartbeat=0.1))
    assert take_over_promotion(place.deps(), orphaned_s=60) is None
    assert place.remote.holds(LOCK) not in (lock.oid, old.oid)


def test_another_user_may_not(make: Make) -> None:
    place = make()
    place.dies()
    lock, there = place.run.lock, place.remote.clones[1]
    assert lock
    there.fetch(LOCK)
    place.remote.server.moment, place.remote.server.meddle = "git-receive-pack", lambda: take_over(there, lock)
    with pytest.raises(Superseded, match="no longer this promotion's"):
        take_over_promotion(place.deps())


def beat(place: Place, there: GitRemote, lock: Lock) -> None:
    said = {"request_id": lock.request_id, "at": datetime.now(UTC).isoformat(timespec="seconds")}
    place.remote.put(HEARTBEAT, "")
    new = there.make_tag(name="promote-heartbeat", commit=lock.candidate, message=json.dumps(said))
    assert there.push_and_look(RefUpdate(ref=HEARTBEAT, new=new, expected=""))[0]


def grown_old(place: Place, **changes: Any) -> Lock:
    """The lock as its owner wrote it an hour ago, and its other fields."""
    there, lock, then = place.remote.clones[1], place.run.lock, datetime.now(UTC) - timedelta(hours=1)
    assert lock
    there.fetch(LOCK)
    old = write_lock(there, replace(lock, at=then.isoformat(), since=then.isoformat(), **changes))
    assert there.push(RefUpdate(ref=LOCK, new=old.oid, expected=lock.oid)).outcome is Pushed.DONE
    return old


def test_the_new_owner_counts_as_alive_from_the_takeover_on(make: Make) -> None:
    """The lock still has the time of its former owner: the first beat cannot wait."""
    place = make()
    grown_old(place)
    taken = take_over_promotion(place.deps(1))
    assert taken
    with beating(taken.deps.git, lambda: taken.lock, every_s=3600, at_once=True):
        until(lambda: place.remote.holds(HEARTBEAT) != "")
    place.dies()
    place.run.journal.path.unlink()  # so that this clone is a stranger
    with pytest.raises(UsageError, match="last sign of life"):
        take_over_promotion(place.deps(0))


def test_a_plan_of_a_newer_version_is_named_as_that(make: Make) -> None:
    place = make()
    assert place.run.lock
    grown_old(place, plan={**place.run.lock.plan, "choices": {"from_the_future": True}})
    with pytest.raises(PromoteError, match="its plan is not one that this version") as unread:
        take_over_promotion(place.deps(1))
    assert "newer" in unread.value.hint


def test_an_id_that_would_lead_out_of_the_journals_folder_is_no_id(make: Make) -> None:
    place = make()
    grown_old(place, request_id="../../outside")
    with pytest.raises(PromoteError, match="not a lock this version can read"):
        take_over_promotion(place.deps(1))


def test_a_rollback_that_was_decided_on_and_not_begun_is_no_reason_in_the_verified_end(make: Make) -> None:
    place = make()
    place.publish()
    place.run.journal.write("note", "transition", state="promoted", status="failed", reason="smoke failed", moved="yes", next="rolling_back")
    taken = place.taken_up()
    assert (taken.cause, stands(taken), taken.cause) == ("smoke failed", State.PROMOTED, "")


def test_a_journal_of_another_user_is_named_as_that(make: Make) -> None:
    place = make()
    place.dies()
    path = place.run.journal.path
    path.unlink()
    path.mkdir()  # what root cannot read either
    with pytest.raises(PromoteError, match="the journal cannot be read"):
        take_over_promotion(place.deps(0))


def test_two_at_once_in_one_clone_are_distinguished(make: Make) -> None:
    place = make()
    with pytest.raises(PromoteError, match="another process of this clone works on this promotion already"):
        Journal.open(place.remote.clones[0].git_dir, "r1").hold()


def test_a_requested_rollback_that_has_pushed_is_proven_despite_the_plan_of_its_version(make: Make) -> None:
    """That one speaks of going back from this version; production goes back to it. Nothing but the proof is left, and no prompt appears here."""
    place = make()
    end, run = place.remote.clones[0], place.run
    planned = end.commit_file(run.target.commit, f"migrations/{VERSION}.md", "rollback: unsafe it drops a table\n", "docs: the plan")
    assert run.lock and run.target.stable
    end.push_and_look(RefUpdate(ref="refs/heads/planned", new=planned, expected=""), RefUpdate(ref=LOCK, new="", expected=run.lock.oid))
    run.target, run.asked_rollback = replace(run.target, commit=planned), True
    asked = new_lock(request_id="r1", version=VERSION, candidate=planned, stable_before="0" * 40, state="rolling_back", plan=run.plan())
    place.dies()
    place.take(asked)
    taken = place.taken_up()
    taken.deps = replace(taken.deps, production=_no_cluster)
    result = run_promotion(taken, State.ABORTING)[1]
    assert "unsafe" not in result.reason and result.reason == "cluster: no answer", result


def test_a_release_without_reply_is_not_reported_as_failed_when_the_next_promoter_was_quick(make: Make) -> None:
    place = make()
    place.publish()
    assert look(place.run) == ""
    lock, server = place.run.lock, place.remote.server
    assert lock
    theirs = write_lock(place.remote.clones[0], replace(lock, request_id="r2", holder="hers"))
    place.remote.clones[0].push(RefUpdate(ref="refs/heads/brings-it", new=theirs.oid, expected=""))
    git(server.path, "update-ref", "refs/hidden", theirs.oid)

    def weather(request: HttpRequest) -> Fault | None:
        if not (request.method == "POST" and request.path.endswith("/git-receive-pack")):
            return None
        server.weather, server.moment = None, "git-upload-pack"
        server.meddle = lambda: place.remote.put(LOCK, theirs.oid)
        return Fault(kind="drop_after")

    server.weather = weather
    place.run.update(moved=Moved.NO)  # so that no ledger is written before
    finalize(place.run, End.VERIFIED, {})
    assert place.remote.holds("refs/tags/prod-working") == place.remote.holds(STABLE), "it did land"
    assert (place.run.warnings, place.remote.holds(LOCK)) == ([], theirs.oid)


def test_a_move_by_hand_whose_lock_may_be_left_names_what_takes_it_away(make: Make) -> None:
    place = make()
    end, lock = place.remote.clones[0], place.run.lock
    assert lock
    release(end, lock)
    place.remote.server.weather = silence(lambda met: met > 8)
    with pytest.raises(Unreachable) as silent:
        publish(end, place.settings, Request(version=place.run.version, request_id="r9", promoted_by="ada"))
    place.remote.server.weather = None
    assert place.remote.holds(LOCK)
    with pytest.raises(UsageError, match="does not say what it was about"):
        take_over_promotion(place.deps())
    assert "--break-lock" in silent.value.hint and "resume" not in silent.value.hint


def test_no_record_is_named_that_an_older_workflow_never_writes(make: Make) -> None:
    place = make(legacy=True)
    older_workflow(place)
    assert confirm(place.run, Deadline(10.0), "run 1").status is StepStatus.PASSED
    assert place.run.record == ""


def test_a_release_whose_working_tag_another_process_moved_first_is_made_without_it(make: Make) -> None:
    """`promote mark-working` put it where it was to go: as wanted, and the lock is still ours."""
    place = make()
    place.publish()
    assert look(place.run) == ""
    server = place.remote.server
    server.moment, server.meddle = "git-receive-pack", lambda: place.remote.put("refs/tags/prod-working", place.remote.holds(STABLE))
    place.run.update(moved=Moved.NO)
    finalize(place.run, End.VERIFIED, {})
    assert place.remote.holds(LOCK) == ""
    assert place.remote.holds("refs/tags/prod-working") == place.remote.holds(STABLE)


class TestALockOfAnotherMachine:
    """On another machine than it began on, a lock is a hint: anyone who may push a branch may have written it."""

    def seize(self, place: Place) -> PromotionContext:
        place.dies()
        run = take_over_promotion(place.deps(1))
        assert run
        return run

    def rewrite(self, place: Place, **changes: Any) -> None:
        """As a stranger would: the lock replaced by one of the same promotion, long silent, with other content."""
        lock = read_lock(place.remote.clones[0])
        assert lock
        past = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="seconds")
        end = place.remote.clones[0]
        git(end.root, "push", "-q", "-f", "origin", f"{write_lock(end, replace(lock, at=past, **changes)).oid}:{LOCK}")
        place.remote.put(HEARTBEAT, "")

    def refused(self, place: Place, words: str) -> None:
        before, lock = place.remote.holds(STABLE), place.remote.holds(LOCK)
        place.dies()
        with pytest.raises(Unconfirmed, match=words):
            take_over_promotion(place.deps(1))
        assert (place.remote.holds(STABLE), place.remote.holds(LOCK)) == (before, lock), "nothing was touched"

    def test_what_it_replaced_confirms_it(self, make: Make) -> None:
        place = make()
        place.publish()
        self.rewrite(place)
        assert stands(self.seize(place)) is State.PROMOTED

    def test_a_rollback_that_only_a_lock_asks_for_is_not_followed(self, make: Make) -> None:
        place = make()
        place.publish()
        plan = {**place.run.plan(), "asked_rollback": True}
        self.rewrite(place, state="rolling_back", plan=plan, stable_before=place.remote.holds(STABLE))
        self.refused(place, "only the lock shows that a user asked for it")

    def test_a_way_back_to_something_else_is_not_followed(self, make: Make) -> None:
        place = make()
        place.publish()
        other = place.remote.commits["v1.1.0"]
        plan = {**place.run.plan(), "stable": {"ref": STABLE, "object": other, "commit": other}}
        self.rewrite(place, plan=plan, state="rolling_back")
        self.refused(place, "it would go back to .*, but prod-stable replaced")

    def test_a_lock_without_a_way_back_disarms_nothing(self, make: Make) -> None:
        place = make()
        place.publish()
        self.rewrite(place, plan={**place.run.plan(), "stable": None})
        self.refused(place, "it would go back to nothing")

    def test_a_proven_promotion_is_not_undone_by_a_lock(self, make: Make) -> None:
        place = make()
        place.publish()
        place.remote.put("refs/tags/prod-working", place.remote.holds(STABLE))
        self.rewrite(place, state="rolling_back")
        self.refused(place, r"v1\.1\.0 was proven: this lock does not undo it")

    def test_waivers_count_only_where_they_were_typed(self, make: Make) -> None:
        place = make()
        place.publish()
        waiver = {"id": "pods-running", "reason": "x", "author": "eve", "until": ""}
        self.rewrite(place, plan={**place.run.plan(), "waivers": [waiver]})
        run = self.seize(place)
        assert (run.waivers, stands(run)) == ((), State.PROMOTED)
        assert "waivers are confirmed only where they were typed" in run.hold

    def test_an_unmoved_promotion_moves_nothing(self, make: Make) -> None:
        place = make()
        self.rewrite(place, state="rolling_back")
        run = self.seize(place)
        run_transition(resume, run)
        assert place.remote.holds(STABLE) == place.remote.start
