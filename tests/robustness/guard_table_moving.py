"""The guards of the move itself: leases, fence, lock, journal, signs of life, the forge's runs, the flow. Each with the test that must miss it."""

from __future__ import annotations

from tests.robustness.guard import Guard

PUBLISHING = "tests/tags/test_publish.py"
ORDER = "tests/robustness/test_stateful.py"
FLOW = "tests/robustness/test_flow_stories.py"
CLOSING = "tests/promotion/test_finalize.py"
HEART = "tests/tags/test_heartbeat.py"
RESUMING = "tests/promotion/test_resume.py"
RUNS = "tests/github/test_workflow_runs.py"
UNHEARD = "tests/promotion/test_lost_replies.py"
TAKEN = "tests/promotion/test_takeover.py"
AGAIN = "tests/transport/test_retried_reads.py"
JOURNAL = "tests/promotion/test_journal.py"
TABLE = "tests/promotion/test_state_machine.py"
MODEL = "tests/model/test_protocol.py"
BETWEEN = "tests/tags/test_between_read_and_push.py"
OBSERVATION, OUTCOME = "promote/tags/observation.py", "promote/promotion/outcome.py"
BACK, WAY_BACK = "promote/promotion/forge/rollback_by_workflow.py", "tests/promotion/test_rollback_by_workflow.py"
PUSH, REMOTE, LOCK, PUBLISH = "promote/git/push.py", "promote/git/remote.py", "promote/tags/lock.py", "promote/tags/publish.py"
LEASED = "RefUpdate(ref=LOCK, new=following.oid, expected=expected[-1])"

UNDETERMINED = "tests/promotion/test_undetermined.py"
TAGS = (
    Guard("the lease", PUSH, "        *leases,\n", '        "--force",\n', BETWEEN, "foreign_move and advertised"),
    Guard("all or nothing", PUSH, '        "--atomic",\n', "", PUBLISHING),
    Guard("up to date is not done", PUSH, '_CHANGED_FLAGS = " +*-"', '_CHANGED_FLAGS = " +*-="', f"{PUBLISHING}::test_a_push_of_the_same_object_is_not_taken_for_ours"),
    Guard("re-read after an unclear push", REMOTE, '        return all(u.is_done(seen) for u in updates), result, seen\n', "        return False, result, seen\n", ORDER),
    Guard("all refs of an unclear push", REMOTE, "return all(u.is_done", "return any(u.is_done", f"{PUBLISHING}::test_a_push_of_which_only_a_part_is_there_is_not_done"),
    Guard("absent is believed of a repository only", REMOTE, "        if not held and not self._listed():\n", "        if False:\n", "tests/cli/test_bad_connections.py", "git-html"),
    Guard("the fence", OBSERVATION, "    if expected.lock is not None and _object(seen.lock) != expected.lock:\n", "    if expected.lock is not None and not seen.lock:\n", PUBLISHING, "fenced"),
    Guard("a lock at all", OBSERVATION, "    if expected.lock is not None and _object(seen.lock) != expected.lock:\n", "    if expected.lock is not None and seen.lock and _object(seen.lock) != expected.lock:\n", PUBLISHING, "lock_was_broken"),
    Guard("expected_commit", PUBLISH, "    if request.expected_commit and dev.commit != request.expected_commit:\n", "    if False:\n", PUBLISHING, "re_created"),
    Guard("the fence of a rollback's run", OUTCOME, "                fence_off(ctx, error, patience, state=state)\n", "                pass\n", WAY_BACK, "hangs"),
    Guard("the look after a rollback's run", BACK, "        if still := read_outcome(ctx, Direction.BACK).problem:\n", '        if still := "":\n', WAY_BACK, "something_else"),
    Guard("the old value of the lock", PUBLISH, "    require(git, classify(seen, Kept(stable=lock.stable_before)))\n", "", PUBLISHING, "foreign"),
    Guard("the lease on the lock's content", PUBLISH, "RefUpdate(ref=seen.names.stable, new=tag, expected=lock.stable_before)", "RefUpdate(ref=seen.names.stable, new=tag, expected=now.object if (now := git.ref(seen.names.stable)) else '')", BETWEEN, "foreign_move and looked"),
    Guard("the branch of the tag's name", OBSERVATION, "    if expected.shadow and seen.shadow:\n", "    if False:\n", PUBLISHING, "branch"),
    Guard("a prod tag is made once", PUBLISH, "    if prod and not request.recreate_prod and (", "    if False and (", PUBLISHING, "existing_prod"),
    Guard("a lock by hand too", PUBLISH, "    lock = acquire(git, lock)  #", "    lock = read_lock(git) or acquire(git, lock)  #", PUBLISHING, "by_hand"),
    Guard("the undo ref goes along", PUBLISH, "        *undo_update(seen.undo, lock.stable_before),\n", "", PUBLISHING, "one_push"),
    Guard("back under a branch of the tag's name too", PUBLISH, "Kept(stable=replacing, shadow=False)", "Kept(stable=replacing)", PUBLISHING, "hides_the_tag"),
    Guard("the lease of the way back", PUBLISH, "RefUpdate(ref=names.stable, new=to, expected=replacing)", "RefUpdate(ref=names.stable, new=to, expected=now.object if (now := git.ref(names.stable)) else '')", BETWEEN, "foreign_move and looked"),
    Guard("back over our own only", PUBLISH, "        require(git, classify(seen, Kept(stable=replacing, shadow=False)))\n", "", PUBLISHING, "rolled_back_over"),
)  # fmt: skip
LOCKS = (
    Guard("a lock authorises its own move", PUBLISH, "    if (lock.state, lock.version, lock.candidate) != (", "    if False and (", PUBLISHING, "only_the_move"),
    Guard("a move by hand is looked for", LOCK, "        moved = _landed(git, lock, silence)\n", "        _leave(git, lock, silence)\n        raise\n", UNHEARD, "looked_for"),
    Guard("the local refs follow", REMOTE, "        if here and there and all(u.is_done(seen) for u in there) and", "        if False and", UNHEARD, "kept_here"),
    Guard("a stop request hides no answer", "promote/core/signals.py", "        _State.deferred = kept\n    _raise_pending()\n", "        _State.deferred = kept\n        _raise_pending()\n", UNHEARD, "held_block"),
    Guard("a new owner beats at once", "promote/tags/heartbeat.py", "stop.wait(0 if at_once else every_s)", "stop.wait(every_s)", TAKEN, "counts_as_alive"),
    Guard("the lock's lease", LOCK, LEASED, "RefUpdate(ref=LOCK, new=following.oid, expected=git.ref(LOCK).object)", PUBLISHING, "lease_alone"),
    Guard("the lock's lease, in any order of events", LOCK, LEASED, "RefUpdate(ref=LOCK, new=following.oid, expected=now.object if (now := git.ref(LOCK)) else '')", ORDER),
    Guard("the lock is taken when it is free", LOCK, 'new=lock.oid, expected="")', "new=lock.oid, expected=now.object if (now := git.ref(LOCK)) else '')", PUBLISHING, "only_one"),
    Guard("the lock is released when it is ours", LOCK, 'RefUpdate(ref=LOCK, new="", expected=lock.oid))\n    # All', "RefUpdate(ref=LOCK, new='', expected=now.object if (now := git.ref(LOCK)) else lock.oid))\n    # All", PUBLISHING, "does_not_release"),
    Guard("a lock that changes while it is read", LOCK, "        if not git.has(ref.object):\n            ref = git.ref(ref.ref)\n", "", AGAIN, "lock_that_changes"),
    Guard("an unreadable lock is not a free one", LOCK, "        raise UnreadableLock(\n            f\"{LOCK} on the remote", "        return None\n        raise UnreadableLock(\n            f\"{LOCK} on the remote", RESUMING, "unreadable_lock"),
    Guard("when a state was entered", LOCK, '    if changes.get("state", lock.state) != lock.state:\n', "    if True:\n", CLOSING, "written_into_the_lock"),
    Guard("who took it over", LOCK, "advance(git, lock, owner=owner, host=host,", "advance(git, lock,", CLOSING, "written_into_the_lock"),
    Guard("a lock taken over is not ours again", OBSERVATION, "    if not held:\n", "    if False:\n", CLOSING, "not_ours_again"),
    Guard("a foreign lock stays at the end", "promote/promotion/finalize.py", "    if LOCK not in here or here[LOCK].object != lock.oid:", "    if LOCK not in here:", CLOSING),
    Guard("the lock stays while manual action is needed", "promote/promotion/finalize.py", "(end is not End.STUCK or ctx.release_anyway)", "True", FLOW, "never and refreshes"),
    Guard("the plan in the lock", "promote/promotion/precheck.py", "        plan=ctx.plan(),\n", "", f"{RESUMING}::test_another_machine_releases_a_promotion_that_stopped_before_the_move"),
    Guard("a lock without a plan needs manual action", "promote/promotion/recovery/takeover.py", "    if not plan:\n", "    if False:\n", CLOSING, "by_hand"),
    Guard("a living process keeps its promotion", "promote/promotion/recovery/takeover.py", "    if lines and is_open_elsewhere(journal.path):\n", "    if False:\n", RESUMING, "living_process"),
    Guard("a living owner elsewhere too", "promote/promotion/recovery/takeover.py", "    if age < MISSED * every:\n", "    if False:\n", RESUMING, "living_process"),
    Guard("its own run may replace the lock meanwhile", "promote/promotion/recovery/takeover.py", "            if tries == TRIES or not _has_it_still(deps, lock):\n", "            if True:\n", TAKEN, "own_run"),
    Guard("another user may not", "promote/promotion/recovery/takeover.py", "            if tries == TRIES or not _has_it_still(deps, lock):\n", "            if tries == TRIES:\n", TAKEN, "another_user_may_not"),
    Guard("an owner that wakes up keeps it", "promote/promotion/recovery/takeover.py", "            found = _left_over(deps, orphaned_s)\n", "            found = _left_over(deps, orphaned_s if tries == 1 else 0.0)\n", TAKEN, "wakes_up"),
    Guard("only what this promotion did is resumed", OBSERVATION, "        return seen.made_by == expected.request_id\n", "        return True\n", RESUMING, "foreign_change_meanwhile"),
    Guard("the heartbeat's lease", "promote/tags/heartbeat.py", "RefUpdate(ref=HEARTBEAT, new=new, expected=known)", "RefUpdate(ref=HEARTBEAT, new=new, expected=now.object if (now := git.ref(HEARTBEAT)) else '')", HEART),
    Guard("the last beat of a former owner", "promote/tags/heartbeat.py", "        if holds not in ours | {known}:\n", "        if False:\n", HEART),
    Guard("whose heartbeat", "promote/tags/heartbeat.py", '            if request_id == lock.request_id:\n', "            if True:\n", HEART),
    Guard("silence by our own clock", "promote/tags/heartbeat.py", " or sign_of(git, lock).objects != first.objects", "", HEART),
)  # fmt: skip
MEMORY = (
    Guard("intent before the act", "promote/promotion/journal.py", '        self.write("intent", name', '        result = act()\n        self.write("intent", name', JOURNAL),
    Guard("no act without memory", "promote/promotion/journal.py", '            if event == "intent" and not fields.get("best_effort_journal"):\n', "            if False:\n", JOURNAL),
    Guard("back even without memory", "promote/promotion/journal.py", '            if event == "intent" and not fields.get("best_effort_journal"):\n', '            if event == "intent":\n', JOURNAL),
    Guard("memory on the disk", "promote/promotion/journal.py", "            os.fsync(descriptor)\n", "", JOURNAL),
    Guard("a torn line", "promote/promotion/journal.py", "        except ValueError:\n            continue\n", "        except KeyError:\n            continue\n", JOURNAL),
    Guard("memory for its owner only", "promote/promotion/journal.py", "os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)", "os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)", JOURNAL),
    Guard("no secret in the memory", "promote/promotion/journal.py", "**_pairs(self._redact, plain)", "**plain", JOURNAL),
    Guard("the journal is a path of the model", "tests/model/journal.py", "        if not places:\n            return f", "        if False:\n            return f", MODEL, "journals"),
    Guard("and ends as the model does", "tests/model/journal.py", '    if end and f"end: {end}" not in', '    if False and f"end: {end}" not in', MODEL, "journals"),
    Guard("the table of the journals is the model's", "tests/model/edges.json", '["p", "looking", "unmoved", "releasing"],\n', "", MODEL, "every_promise or journals"),
)  # fmt: skip
READS = (
    Guard("a read is asked again", "promote/core/retry.py", "        if not passing(answer):\n", "        if True:\n", "tests/transport/test_retry.py"),
    Guard("within its deadline", "promote/core/retry.py", "        if deadline.left <= pause:\n", "        if False:\n", "tests/transport/test_retry.py", "past_its_deadline"),
    Guard("not before the server allows", "promote/core/retry.py", "max(usual, wait_s(answer))", "usual", "tests/transport/test_retry.py", "asks_for"),
    Guard("as long as the check has time", "promote/core/retry.py", "chain(PAUSES_S, repeat(LATER_S)) if patient else PAUSES_S", "PAUSES_S", "tests/transport/test_retry.py", "whole_time"),
    Guard("a check's own time is what a faulty read has", "promote/checklist/plugin.py", "with patience(Deadline(", "with patience(Deadline(0 * ", "tests/checklist/test_suites.py", "most_of_its_checks"),
    Guard("a throttled read is asked again", "promote/core/retry.py", "frozenset({429, ", "frozenset({", AGAIN, "429"),
    Guard("an untrusted certificate is not asked about again", "promote/github/session.py", "patience_left(SERVICE) if broken_off else None", "patience_left(SERVICE)", RUNS, "untrusted"),
    Guard("an answer that broke off is asked for again", "promote/github/session.py", 'request.method == "GET" and isinstance', "False and isinstance", RUNS, "asked_again_after"),
    Guard("a write's is not", "promote/github/session.py", 'request.method == "GET" and isinstance', "isinstance", RUNS, "TestDispatch and cut"),
    Guard("git's answer that broke off", "promote/git/process.py", "transfer closed|", "", AGAIN, "cut"),
    Guard("a whole answer's deadline", "promote/transport/http_deadline.py", "time.monotonic() + times * silence_s", "time.monotonic() + 900", "tests/monitoring/test_clients.py", "dripping"),
    Guard("a write of the cluster goes out once", "promote/kube/client.py", "self._with_retries if repeatable else", "self._with_retries if True else", AGAIN, "write"),
    Guard("a push goes out once", "promote/git/process.py", "    reads = bool(args) and args[0] in _READS\n", "    reads = True\n", AGAIN, "push"),
    Guard("a dispatch goes out once", "promote/github/session.py", 'allowed_methods={"GET", "HEAD"}', 'allowed_methods={"GET", "HEAD", "POST"}', RUNS, "never_repeated"),
    Guard("whose run it is", "promote/github/workflow_runs.py", ' if request_id in (run.display_title or "")', "", RUNS, "passes_over"),
    Guard("without an id no run", "promote/github/workflow_runs.py", "        if not request_id:\n            return None\n", "", RUNS, "without_an_id"),
    Guard("an unclear dispatch may have happened", "promote/github/workflow_runs.py", "            if may_have_happened(error.__cause__):\n", "            if False:\n", RUNS, "answer_was_lost"),
)  # fmt: skip
ENDS = (
    Guard("a known move stays known behind its fence", OUTCOME, '"promoted" if ctx.moved is Moved.YES else "fenced"', '"fenced"', UNHEARD, "undid"),
    Guard("an observer is not production", "promote/promotion/steps.py", 'all(on_undetermined(check, settings) != "rollback" for check in undetermined)', "False", UNDETERMINED, "observer"),
    Guard("nor does production's own check hold beside one", "promote/promotion/steps.py", 'all(on_undetermined(check, settings) != "rollback"', 'any(on_undetermined(check, settings) != "rollback"', UNDETERMINED, "own_checks"),
    Guard("nothing is decided before patience is over", "promote/promotion/steps.py", "result.verdict is Verdict.ERRORED and not patience.expired", "False", UNDETERMINED, "determined or until"),
    Guard("whose move it was", OBSERVATION, "    if not ours or not (put_back or", "    if not (put_back or", CLOSING, "another_promotion"),
    Guard("both tags are one object", OBSERVATION, "    if prod is None:\n        return False\n", "    if expected.sign is Sign.PROD_TAG:\n        return True\n", CLOSING, "without_its_prod_tag"),
    Guard("failed after the move goes back", "promote/promotion/state_machine.py", "        if moved is Moved.YES:\n", "        if False:\n", TABLE),
    Guard("unknown needs manual action", "promote/promotion/state_machine.py", "        if moved is Moved.UNKNOWN:\n", "        if False:\n", TABLE),
    Guard("whatever escapes is no pass", "promote/promotion/state_machine.py", "        ctx.journal.write(\"note\", \"unexpected\", traceback=traceback.format_exc())\n        return StepResult(\n            status=StepStatus.ERRORED", "        ctx.journal.write(\"note\", \"unexpected\", traceback=traceback.format_exc())\n        return StepResult(\n            status=StepStatus.PASSED", TABLE),
    Guard("the pre suite must pass", "promote/promotion/precheck.py", "    if result.verdict is not Verdict.PASSED:\n        return", "    if False:\n        return", FLOW, "checks and fail"),
    Guard("the suites must pass", "promote/promotion/verify.py", "        if result.verdict is not Verdict.PASSED:\n", "        if False:\n", FLOW, "post and fails and must"),
    Guard("a last look", "promote/promotion/verify.py", "        found = _look(ctx) or watch.look()\n", "        found = watch.look()\n", FLOW, "breaks and proven"),
    Guard("the last look asks whose tag it is", "promote/promotion/verify.py", "        guard=ctx.still_ours,\n", "", FLOW, "taken and over"),
    Guard("back must be proven", "promote/promotion/rollback.py", "    if converged.verdict is not Verdict.PASSED:\n", "    if False:\n", FLOW, "never and refreshes"),
    Guard("time for the proof", "promote/promotion/precheck.py", "    if left >= wanted:\n", "    if True:\n", FLOW, "may_not_take"),
    Guard("the promotion's own deadline", "promote/promotion/verify.py", "        if not found and ctx.ends.expired:\n", "        if False:\n", FLOW, "takes_too_long"),
    Guard("the way back has its time", "promote/promotion/context.py", "seconds if going_back else min(seconds, self.ends.left)", "min(seconds, self.ends.left)", FLOW, "takes_too_long"),
    Guard("by hand, one's own lock only", LOCK, "here if here and here.holder == lock.holder else None", "here", CLOSING, "own_lock_only"),
    Guard("a record is named when it was read", "promote/promotion/move.py", 'path if there else ""', "path", "tests/promotion/test_recording.py"),
    Guard("our own lock is known again", "promote/promotion/finalize.py", " and there.holder == ctx.lock.holder else None", " else None", CLOSING, "named_and_keeps"),
    Guard("our own push is known again", LOCK, "retry_until(push, on=Unreachable, deadline=patience)", "retry_until((lambda: advance(git, lock, *others, **changes)) if patience else push, on=Unreachable, deadline=patience)", WAY_BACK, "known_again"),
    Guard("a silent way back is looked after", "promote/promotion/rollback.py", "    except (Unreachable, Rejected) as unclear:\n", "    except ZeroDivisionError as unclear:\n", WAY_BACK, "timed_out_is"),
    Guard("back, and the suites pass", "promote/promotion/rollback.py", "        if (verdict := _proven_back(ctx, name, result)) is not Verdict.PASSED:\n", "        if False:\n", FLOW, "way and back and too"),
    Guard("back, and still ours", "promote/promotion/rollback.py", "    ctx.still_ours()\n    return StepResult", "    return StepResult", FLOW, "way and back and hidden"),
    Guard("still our tag", OBSERVATION, "    if expected.stable is not None and _object(seen.stable) != expected.stable:\n", "    if False:\n", FLOW, "moved and way and back"),
    Guard("still our lock", OBSERVATION, "    if expected.lock is not None and _object(seen.lock) != expected.lock:\n", "    if False:\n", FLOW, "taken and over"),
    Guard("no branch over it", OBSERVATION, "    if expected.shadow and seen.shadow:\n", "    if False:\n", FLOW, "hidden and branch"),
)  # fmt: skip
MOVING = (*TAGS, *LOCKS, *MEMORY, *READS, *ENDS)
