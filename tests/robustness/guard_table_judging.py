"""The guards that judge: what production shows, which applications, which suites, what may be passed over. Each with the test that must miss it."""

from __future__ import annotations

from tests.robustness.guard import Guard

PREDICATE = "tests/convergence/test_application_status.py"
LOOKS = "tests/convergence/test_evaluator.py"
FLEET = "tests/convergence/test_fleet.py"
READING = "tests/argocd/test_application.py"
AFTER = "tests/checklist/test_post_checks.py"
LOOP = "tests/argocd/test_client.py"
SUITES = "tests/checklist/test_suites.py"
HAND = "tests/checklist/test_suites_by_hand.py"
TRUNK, PROTECTION = "tests/checklist/test_trunk_suites.py", "tests/checklist/test_protection.py"
UNTRUSTED = "tests/promotion/test_untrusted_checkouts.py"
WRITER = "tests/report/test_junit.py"
VERDICT, SESSION, CONCLUSION = (f"promote/checklist/{name}.py" for name in ("suite_verdict", "session", "conclusion"))
JUNIT = "promote/report/junit.py"
ARRIVAL, CONVERGENCE, FLEETS, CONVERGE = (f"promote/convergence/{name}.py" for name in ("application_status", "evaluator", "fleet", "wait"))
MEMBERS, MEMBERSHIP = "promote/convergence/membership.py", "tests/convergence/test_membership.py"
AT_REST, LIFE = (f"promote/convergence/{name}.py" for name in ("at_rest", "sign_of_life"))
RESTING, LIVING = (f"tests/convergence/test_{name}.py" for name in ("at_rest", "sign_of_life"))
FORGOTTEN = "        self._held.pop(app.key, None)\n        since"
LET_GO = "        self._held.pop(app.key, None)\n        self._trouble_since"

ONE_LOOK = (
    Guard("deleting", ARRIVAL, "    if app.deleting:\n", "    if False:\n", PREDICATE),
    Guard("operation in progress", ARRIVAL, "    if app.in_progress:\n", "    if False:\n", PREDICATE),
    Guard(
        "an empty operation is one",
        "promote/argocd/application.py",
        'in_progress=data.get("operation") is not None',
        'in_progress=bool(data.get("operation"))',
        READING,
    ),
    Guard("freshness", ARRIVAL, "    if not refreshed(app, fresh_after):\n", "    if False:\n", PREDICATE),
    Guard("strictly later", ARRIVAL, "app.reconciled > fresh_after)", "app.reconciled >= fresh_after)", PREDICATE),
    Guard("ever looked at", ARRIVAL, "return app.reconciled is not None and (", "return app.reconciled is None or (", PREDICATE),
    Guard("conditions", ARRIVAL, "    if app.errors:\n        kind", "    if False:\n        kind", PREDICATE),
    Guard("revision", ARRIVAL, "    if where:\n", "    if False:\n", PREDICATE),
    Guard("the revision of every source", ARRIVAL, "    for source in app.sources:\n", "    for source in app.sources[:2]:\n", PREDICATE),
    Guard("a revision in its own place", "promote/argocd/source.py", 'shown += [""] *', "shown += shown[:1] *", READING),
    Guard("sync status", ARRIVAL, 'if app.sync != "Synced" or app.out_of_sync:', "if app.out_of_sync:", PREDICATE),
    Guard("resources", ARRIVAL, 'if app.sync != "Synced" or app.out_of_sync:', 'if app.sync != "Synced":', PREDICATE),
    Guard("last sync", ARRIVAL, " or _last_sync(app, goal, t_before, ignore_other_revisions, earlier)", "", PREDICATE),
    Guard(
        "parts of the last sync",
        ARRIVAL,
        'if (operation.phase != "Succeeded" or operation.failed_resources) and',
        'if operation.phase != "Succeeded" and',
        PREDICATE,
    ),
    Guard("tolerated only when over before the move", ARRIVAL, "operation.finished < t_before and", "operation.finished <= t_before and", PREDICATE),
    Guard(
        "a time alone makes no sync of the goal tolerated",
        ARRIVAL,
        "operation.finished < t_before and bool(other)",
        "operation.finished < t_before",
        PREDICATE,
    ),
    Guard(
        "the very sync that was seen before",
        ARRIVAL,
        "(earlier.phase, earlier.started, earlier.finished) == (operation.phase, operation.started, operation.finished)",
        "earlier.phase == operation.phase",
        PREDICATE,
    ),
    Guard(
        "forgiven only when of another commit",
        ARRIVAL,
        "(ignore_other_revisions and bool(other_commit(app, goal)))",
        "ignore_other_revisions",
        PREDICATE,
    ),
    Guard("health seen after the sync", ARRIVAL, "app.reconciled < operation.finished:", "False:", PREDICATE),
    Guard("health", ARRIVAL, '    return app.health == "Healthy" or', "    return True or", PREDICATE),
    Guard(
        "Suspended where it is allowed",
        ARRIVAL,
        'app.health == "Suspended" and suspension_allowed(app, limits.allow_suspended, limits.accept)',
        'app.health == "Suspended"',
        PREDICATE,
    ),
    Guard("worse than it was", ARRIVAL, "return severity(now.health) > severity(before.health)", "return False", PREDICATE),
    Guard(
        "without a status nothing is well",
        "promote/argocd/application.py",
        'health=health.get("status") or "Unknown"',
        'health=health.get("status") or "Healthy"',
        READING,
    ),
)
SEVERAL_LOOKS = (
    Guard("the first look counts for nothing", CONVERGENCE, "(changed or not self._looked)", "changed", LOOKS),
    Guard("another spec, another reconcile", CONVERGENCE, "(changed or not self._looked)", "not self._looked", LOOKS),
    Guard("several looks", CONVERGENCE, "if (seen := self._held[app.key]) >= self.limits.successes:", "if (seen := self._held[app.key]) >= 1:", LOOKS),
    Guard("in a row", CONVERGENCE, LET_GO, LET_GO.replace("        self._held.pop(app.key, None)\n", ""), LOOKS),
    Guard("the grace", CONVERGENCE, "(now - since).total_seconds() >= self.limits.degraded_grace_s", "True", LOOKS),
    Guard("the grace ends", CONVERGENCE, "(now - since).total_seconds() >= self.limits.degraded_grace_s", "False", LOOKS),
    Guard("the root first", CONVERGENCE, "        if not is_root and not children_count:\n", "        if False:\n", LOOKS),
    Guard("the root as it was a look ago", CONVERGENCE, "        children_count = self._root_applied or", "        children_count = True or", LOOKS),
    Guard("there must be a root", CONVERGENCE, "if self.goal.root and root_of(self.present, self.goal) is None:", "if False:", LOOKS),
    Guard("the root is never tolerated", CONVERGENCE, "if before and not is_root and not healthy(before", "if before and not healthy(before", LOOKS),
    Guard("worse is new trouble", CONVERGENCE, " and not worse(app, before):", ":", LOOKS),
    Guard("as before, in a rollback only", CONVERGENCE, "if not self.rollback or before is None or", "if before is None or", LOOKS),
    Guard("as before, when looked at", CONVERGENCE, " or not self.refreshed(app):\n            return False", ":\n            return False", LOOKS),
    Guard("as before, of the same kind", CONVERGENCE, "return then is not None and then.kind is reason.kind", "return True", LOOKS),
    Guard("forgiven in a rollback only", CONVERGENCE, "ignore_other_revisions=self.rollback or self.ignore_other_revisions", "ignore_other_revisions=True", LOOKS),
    Guard("many blind at once", CONVERGENCE, "        if len(blind) < AT_ONCE:\n", "        if True:\n", LOOKS),
)  # fmt: skip
FLEETWIDE = (
    Guard("whose repository", "promote/argocd/source.py", " and source.target in names and source.repository in repository", " and source.target in names", "tests/convergence/test_baseline.py"),
    Guard("what the root lists must exist", FLEETS, "for k, p in wanted.items() if k not in present", "for k, p in {}.items() if k not in present", FLEET),
    Guard("gone, without a change in git", FLEETS, "        if not announced and not _rightly_removed(before[key], present, before, settled):\n", "        if False:\n", FLEET),
    Guard("dropped by a settled root only", FLEETS, "return parent.key not in present or parent.key in settled", "return True", FLEET),
    Guard("to be pruned, and still there", FLEETS, "        elif child and child.pruned:\n", "        elif False:\n", FLEET),
    Guard("dropped, and still there", FLEETS, "            key in listed_before\n", "            False\n", FLEET),
    Guard("a rollback wants all back", FLEETS, "    if all_back:\n", "    if False:\n", FLEET),
    Guard("a rollback wants the added gone", FLEETS, "        if all_back and key not in before:\n", "        if False:\n", FLEET),
    Guard("what the root makes is judged", FLEETS, " or (goal.root and a.managed_by == goal.root)", "", FLEET),
    Guard("and what that makes", FLEETS, "if k not in chosen and _made_by(a, chosen.values())", "if False", FLEET),
    Guard("nothing to look at is no pass", CONVERGE, "        if not proven or any(", "        if any(", f"{LOOP}::test_nothing_to_look_at_is_not_a_pass"),
    Guard("one that is not there is one too many", CONVERGE, " or any(v.state not in CONVERGED for v in verdicts):", ":", "tests/robustness/test_short.py", "R6"),
    Guard("asked before every look whether it is ours", CONVERGE, "                self.guard()\n", "", f"{LOOP}::test_the_guard_ends_the_wait_before_anything_is_written"),
    Guard("a sync is ended in a rollback only", CONVERGE, "if not (self.convergence.rollback and self.settings", "if not (self.settings", f"{LOOP}::test_forward_no_operation_is_ever_ended"),
    Guard("a blind Argo CD is left alone", CONVERGE, "if not judged.unknown_at_once and not self.read_only:", "if not self.read_only:", f"{LOOP}::test_a_blind_repo_server_is_no_failure_of_production_and_nothing_is_done_about_it"),
    Guard("an operation is ended as it was seen", "promote/argocd/client.py", 'body = {"metadata": {"resourceVersion": app.resource_version}, "status"', 'body = {"status"', f"{LOOP}::test_terminate_is_guarded_by_the_resource_version"),
    Guard("no end for what does not run", "promote/argocd/client.py", "        if not app.in_progress:\n            return False\n", "", f"{LOOP}::test_terminate_is_never_sent_without_an_operation"),
    Guard("no sync over another", "promote/argocd/client.py", "        if app.in_progress or app.deleting:\n            return False\n", "", f"{LOOP}::test_a_sync_is_not_requested_over_another"),
    Guard("an unknown beginning is no beginning", "promote/convergence/baseline.py", "*_unknown(apps), ", "", "tests/convergence/test_baseline.py"),
    Guard("a broken beginning is none", "promote/convergence/baseline.py", ", *_too_many_unhealthy(apps, limits, settings.baseline.max_unhealthy)]", "]", "tests/convergence/test_baseline.py"),
    Guard("an application must follow the tag", MEMBERS, "    if not any(goal.tracks(a) for a in members.values()):\n", "    if False:\n", MEMBERSHIP),
    Guard("other teams' pods are advice", "promote/convergence/running.py", "        if owner.ours:\n", "        if True:\n", f"{AFTER}::test_a_pod_of_another_team_is_advice_wherever_it_runs"),
    Guard("a try is not its Job", "promote/kube/current.py", 'return "" if true & {"Failed", "FailureTarget"} or owned.pod.phase == "Pending" else "its Job has tries left"', 'return ""', "tests/kube/test_current.py"),
    Guard("another cluster is not ours", "promote/argocd/client.py", "if wanted in d.names), None)", "), None)", "tests/argocd/test_resource_health.py"),
    Guard("a changed application's Job counts", "promote/convergence/excuse.py", " if unchanged(now, before) else {}", "", LOOKS),
    Guard("no pod is no proof", "promote/checklist/production.py", "    if why := running.nothing:\n", "    if why := \"\":\n", f"{AFTER}::test_no_pod_at_all_proves_nothing"),
    Guard("an unread child is named", MEMBERS, "    hidden = unseen(members, settings.prod.namespaces)\n", "    hidden: dict[str, str] = {}\n", MEMBERSHIP),
    Guard("an unjudged member is named", MEMBERS, "if (why := goal.unclear(a))]", "if not (why := goal.unclear(a))]", MEMBERSHIP),
    Guard("an unread child is waited for", CONVERGENCE, " | self._unseen()\n", "\n", FLEET),
    Guard("an unjudged member is no member that converged", ARRIVAL, "    if why := goal.unclear(app):\n", "    if why := \"\":\n", FLEET),
    Guard("a fork is not ours", "promote/git/addresses.py", "        return own == shown\n", "        return True\n", "tests/git/test_addresses.py"),
    Guard("only a hydrated commit counts", ARRIVAL, "if app.hydration.dry in self.accepted else frozenset()", "", "tests/argocd/test_source.py"),
    Guard("an ApplicationSet is not believed", FLEETS, " or (app.owner and _maker(app, present.values()))", "", FLEET),
)  # fmt: skip
SUITE = (
    Guard("recorder's finish", VERDICT, "    if exit_status is None:\n", "    if False:\n", f"{SUITES}::test_a_suite_that_breaks_off_after_its_last_check_is_no_pass"),
    Guard("required checks", VERDICT, "for name in dict.fromkeys(required) if name not in reported", "for name in () if name not in reported", f"{SUITES}::test_a_conftest_that_ignores_the_check_is_noticed"),
    Guard("pytest's own end", VERDICT, "    if exit_status != 0:\n", "    if False:\n", f"{SUITES}::test_a_session_that_pytest_calls_failed_is_no_pass_though_every_check_passed"),
    Guard("the suite's deadline", "promote/checklist/runner.py", "    if killed:\n", "    if False:\n", f"{SUITES}::test_the_suites_deadline_kills_the_whole_group"),
    Guard("the end of the whole group", "promote/checklist/runner.py", "            _end_session(child.pid)\n", "            child.kill()\n", f"{SUITES}::test_the_suites_deadline_kills_the_whole_group"),
    Guard("what a suite asks stays in its session", "promote/transport/programs.py", '{"process_group": 0}', '{"start_new_session": True}', "tests/checklist/test_stopped_suites.py", "dies_with_it"),
    Guard("options of the environment", "promote/checklist/runner.py", '_HIJACKS = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS",', '_HIJACKS = ("PYTEST_PLUGINS",', f"{SUITES}::test_options_in_the_environment_cannot_deselect"),
    Guard("options of the repository", "promote/checklist/runner.py", '"-c", os.devnull, ', "", f"{SUITES}::test_an_ini_of_the_repository_cannot_deselect"),
    Guard("conftests above the suites", "promote/checklist/runner.py", ', f"--confcutdir={rules}"', "", f"{TRUNK}::test_nothing_is_imported_from_the_clone_or_the_environment"),
    Guard("an isolated interpreter", "promote/checklist/runner.py", '"-I", "-B"', '"-P", "-B"', f"{TRUNK}::test_nothing_is_imported_from_the_clone_or_the_environment"),
    Guard("the trunk's suites", "promote/checklist/trunk_suites.py", "run_suite(name, rules.checks_root /", "run_suite(name, settings.root /", TRUNK),
    Guard("the trunk's settings", "promote/checklist/trunk_suites.py", "settings=rules, **how", "settings=settings, **how", TRUNK),
    Guard("judged before any code", "promote/promotion/precheck.py", "    if refused := _refused(ctx):\n", "    if refused := None:\n", UNTRUSTED),
    Guard("the trunk is confirmed", "promote/checklist/protection.py", '    if default in ("", branch):\n', "    if True:\n", f"{PROTECTION}::test_a_branch_that_names_itself_the_trunk_is_not_the_trunk"),
    Guard("the bytes of a file of the rules", "promote/git/trunk.py", "blob_id(path.read_bytes(), entry.oid) == entry.oid", "True", PROTECTION),
    Guard("links among the rules", "promote/git/trunk.py", "        if (root / above).is_symlink() or not", "        if not", f"{PROTECTION}::test_rules_that_differ_in_this_clone_alone_are_named_and_refused"),
    Guard("verdicts on the disk", "promote/checklist/recorder.py", "            os.fsync(descriptor)\n", "", "tests/promotion/test_journal.py"),
    Guard("the guard", "promote/checklist/outcome.py", "not self.guard.returned", "False", f"{SUITES}::test_a_conftest_cannot_make_a_no_a_pass"),
    Guard("expected to fail is no pass", "promote/checklist/outcome.py", '    if hasattr(report, "wasxfail"):\n', "    if False:\n", SUITES, "only_looks"),
    Guard("what protects the tag", "promote/checklist/registry.py", "return frozenset(r.id for r in CHECKS if r.protected)", "return frozenset()", "tests/checklist/test_waivers.py"),
    Guard("a waiver ends", "promote/checklist/waivers.py", "tuple(w for w in entries if w.until >= today.isoformat())", "tuple(entries)", "tests/checklist/test_waivers.py"),
    Guard("unknown is no pass", "promote/core/model.py", "return Verdict.PASSED if seen == {Verdict.PASSED} else Verdict.ERRORED", "return Verdict.PASSED", SUITES, "only_looks"),
)  # fmt: skip
BY_HAND = (
    Guard("a missing required check ends 5", SESSION, "required = [*known, *own]", "required = []", f"{HAND}::test_a_check_that_did_not_run_makes_it_undetermined"),
    Guard("an own check that was deselected ends 5", SESSION, "required = [*known, *own]", "required = [*known]", f"{HAND}::test_a_check_that_did_not_run_makes_it_undetermined", "own"),
    Guard("pytest ends as the suite does", CONCLUSION, "            session.exitstatus = exit_code(self.results)\n", "            pass\n", f"{HAND}::test_both_ways_to_start_a_suite_say_the_same"),
    Guard("another attempt takes no answer back", SESSION, "        if before and _SEVERITY", "        if False and _SEVERITY", "tests/checklist/test_session.py"),
    Guard("a worker's verdict counts", CONCLUSION, "            self.checks.take(check)\n", "", f"{HAND}::test_github_actions_is_shown_each_check_once_and_is_obeyed_again"),
    Guard("a step obeys commands again", CONCLUSION, '        self._line(f"::{self._token}::")\n', "", f"{HAND}::test_the_step_obeys_commands_again_however_the_session_ends"),
    Guard("pytest's own JUnit file is written over", CONCLUSION, "        self._write_junit(self.results)\n", "", f"{HAND}::test_both_ways_to_start_a_suite_say_the_same"),
    Guard("an old JUnit file answers for no other run", CONCLUSION, "file.unlink(missing_ok=True)", "pass", f"{HAND}::test_a_session_that_dies_leaves_no_green_file"),
    Guard("a session that dies has a JUnit file", CONCLUSION, "            self._write_junit(self.checks.results(usable(self.config), 0))", "            pass", f"{HAND}::test_a_session_that_dies_leaves_no_green_file"),
    Guard("undetermined is an <error>", JUNIT, 'Verdict.ERRORED: "error"', 'Verdict.ERRORED: "failure"', WRITER),
    Guard("waived is no pass in JUnit", JUNIT, 'Verdict.WAIVED: "skipped", ', "", WRITER),
    Guard("a suite's own trouble is in JUnit", JUNIT, "    if result.verdict.blocks and not result.failed:\n", "    if False:\n", WRITER),
    Guard("JUnit holds no secret", JUNIT, "_legal(redact.shown(check.detail))", "_legal(check.detail)", WRITER),
    Guard("JUnit holds no sign that XML forbids", JUNIT, "    return _ILLEGAL.sub(", "    return text or _ILLEGAL.sub(", WRITER),
)  # fmt: skip
PROVABLE = (
    Guard("no start while one is deleted", AT_REST, "    if app.deleting:\n", "    if False:\n", RESTING),
    Guard("no start while one is not reconciled", AT_REST, "    if skipped(manifest):\n", "    if False:\n", RESTING),
    Guard("no start while one is OutOfSync", AT_REST, '    if app.sync == "OutOfSync" and not accepted:\n', "    if False:\n", RESTING),
    Guard("no start when pruning is off", AT_REST, "if option or keeps or not prunes]", "if option or keeps]", RESTING),
    Guard("accepted at the goal alone", AT_REST, " or app.errors or wrong_revision(app, goal):", " or app.errors:", RESTING),
    Guard("accepted as far as it was before", AT_REST, "not now <= leftovers | then", "False", RESTING),
    Guard("accepted after the sync of the goal", AT_REST, 'reason if applied or (now <= leftovers and not app.prune) else ""', "reason", RESTING),
    Guard("the root is never accepted", CONVERGENCE, "if reason and not is_root and (why := self", "if reason and (why := self", LOOKS),
    Guard("accepted when OutOfSync is all that is wrong", CONVERGENCE, "self.limits) if reason.kind is Kind.UNSYNCED else", "self.limits) if True else", LOOKS),
    Guard("a sign of life", LIFE, "if a.refresh_pending and a.reconciled == asked[key].reconciled]", "if False]", LIVING, "does_not_answer"),
    Guard("a lost refresh is repeated", LIFE, "            argocd.refresh(silent)\n", "            pass\n", LIVING, "does_not_answer"),
    Guard("a sign of life just before the move", "promote/promotion/precheck.py", "    if silent := _silent(ctx, result):\n        return silent\n", "", "tests/promotion/test_scenario_ends.py", "controller-stops"),
)  # fmt: skip
JUDGING = (*ONE_LOOK, *SEVERAL_LOOKS, *FLEETWIDE, *SUITE, *BY_HAND, *PROVABLE)
