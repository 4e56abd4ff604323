"""Every named scenario, played by a driver process and judged from outside after every command: the bare repository and the cluster's own objects."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from promote.cli.sandbox_session import repository_files
from promote.core.model import End
from promote.sandbox.sandbox import Sandbox
from promote.sandbox.scenarios import SCENARIOS, Play, Scenario
from tests.model.journal import problems
from tests.support.declared import proves, saw
from tests.support.json_documents import saw_document
from tests.support.processes import left, mark

BIN = Path(sys.executable).parent
STABLE, LOCK = "refs/tags/prod-stable", "refs/promote/lock"
OUTCOMES = {0: "verified", 1: "refused", 2: "usage", 3: "rolled_back", 4: "stuck", 5: "unchecked", 6: "superseded", 130: "interrupted"}


@dataclass
class Played:
    """One command as it ended, and the stable tag before and after it."""

    code: int
    said: dict[str, Any]
    progress: str
    before: str
    after: str


@dataclass
class Stage:
    """A running world with its clone, and what can be seen of it without our own code."""

    sandbox: Sandbox
    clone: Path
    name: str
    played: list[Played] = field(default_factory=list)

    def holds(self, ref: str) -> str:
        return self.sandbox.writer.holds(ref)

    def at(self, ref: str) -> str:
        return self.holds(f"{ref}^{{commit}}")

    def play(self, one: Play) -> Played:
        if one.happens:
            one.happens(self.sandbox)
        before, marked = self.holds(STABLE), mark()
        argv = [sys.executable, "-m", "promote", *one.argv, "--json"]
        child = subprocess.Popen(
            argv, cwd=self.clone, env={**self.sandbox.env, **marked}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        if one.stop_when:
            threading.Thread(target=self._stop, args=(child, one.stop_when), daemon=True).start()
        out, progress = child.communicate(timeout=180)
        assert left(marked) == [], f"{one.argv}: children are left"
        assert "Traceback" not in progress + out, progress
        document = json.loads(out)
        assert document.get("exit", child.returncode) == child.returncode
        saw_document(one.argv[0], document)
        saw("scenario", self.name, str(document.get("outcome")))
        self.played.append(Played(child.returncode, document, progress, before, self.holds(STABLE)))
        return self.played[-1]

    def _stop(self, child: subprocess.Popen[str], when: Callable[[Sandbox], bool]) -> None:
        while child.poll() is None and not when(self.sandbox):
            time.sleep(0.02)
        child.send_signal(2)

    def everything_runs(self, commit: str) -> list[str]:
        """Applications of production that do not show the commit, are not synced, or have an operation under way."""
        return [a["metadata"]["name"] for a in self.sandbox.prod.list("Application") if not self._runs(a, commit)]

    def _runs(self, app: dict[str, Any], commit: str) -> bool:
        spec, sync = app["spec"], app["status"]["sync"]
        sources = spec.get("sources") or [spec["source"]]
        shown = sync.get("revisions") or [sync.get("revision")]
        ours = [r for s, r in zip(sources, shown, strict=True) if s["targetRevision"] == "prod-stable"]
        return app.get("operation") is None and sync["status"] == "Synced" and all(r == commit for r in ours)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Callable[[Scenario], Stage]]:
    running: list[Sandbox] = []

    def begin(scenario: Scenario) -> Stage:
        files = repository_files(scenario.via or "git", scenario)
        sandbox = Sandbox(tmp_path / "world", files=files, act=False, commands=[BIN], same_cluster=scenario.same_cluster)
        running.append(sandbox)
        sandbox.start()
        sandbox.wait_settled()
        return Stage(sandbox, sandbox.clone(tmp_path / "clone"), next(name for name, other in SCENARIOS.items() if other is scenario))

    yield begin
    for sandbox in running:
        sandbox.stop()
        assert sandbox.prod.controller.errors == sandbox.prod.api.errors == sandbox.git.errors == []


def _proofs(name: str) -> list[pytest.MarkDecorator]:
    """The scenario is played, and the end that it is about is reached."""
    outcome = SCENARIOS[name].outcome
    return [proves("scenario", name, outcome), proves("ending", outcome, str(End(outcome).exit_code))]


@pytest.mark.parametrize("name", [pytest.param(name, marks=_proofs(name)) for name in sorted(SCENARIOS)])
def test_a_scenario_ends_as_declared_and_the_world_agrees(stage: Callable[[Scenario], Stage], name: str) -> None:
    scenario = SCENARIOS[name]
    here = stage(scenario)
    for one in scenario.plays():
        played = here.play(one)
        assert played.code == one.code, f"{one.argv}\n{played.progress}"
        if one.argv[0] != "status":
            _agrees(here, one, played)
    if name in TELLS:
        TELLS[name](here)


def _agrees(here: Stage, one: Play, played: Played) -> None:
    """What holds for every command, by its reported outcome."""
    outcome, stable = played.said["outcome"], here.at(STABLE)
    if one.argv[0] in ("run", "resume") and not (one.argv[0] == "resume" and played.code == 0):
        assert outcome == OUTCOMES[played.code], "the exit code and the outcome agree"
    stuck = outcome == "stuck" and "--keep" not in one.argv
    given_up = one.argv == ("abort",) and not here.holds("refs/promote/undo")
    assert bool(here.holds(LOCK)) == (stuck and not given_up), "the lock stays exactly when manual action is needed"
    if outcome == "verified":
        assert stable == played.said["commit"] == here.at(f"refs/tags/prod-{played.said['version']}")
        assert here.holds(STABLE) == here.holds("refs/tags/prod-working")
        assert here.everything_runs(stable) == []
    elif outcome == "rolled_back":
        assert stable == played.said["stable_after"]["commit"]
        assert here.everything_runs(stable) == []
        if one.argv[0] == "run" and played.before:
            assert played.after == played.before
    elif outcome in ("refused", "unchecked", "usage", "interrupted"):
        assert played.after == played.before, "nothing was moved"


def _logs_shown(here: Stage) -> None:
    assert "the runner has no network" in here.played[-1].progress


def _late_run_moves_nothing(here: Stage) -> None:
    """The cancellation came too late: the job goes on, and is refused by the lock. Then the instructions are pasted, and work."""
    (run,) = here.sandbox.github.runs
    run.status, run.conclusion = "in_progress", None
    here.sandbox.github.released.set()
    end = time.monotonic() + 30
    while run.execution is None or run.status != "completed":
        assert time.monotonic() < end
        time.sleep(0.05)
    assert run.conclusion == "failure"
    assert "no longer this promotion's: it was deleted" in run.log
    assert here.holds(STABLE) == here.played[-1].before
    text = here.played[-1].progress
    typed = text[text.index("by hand: ") + len("by hand: ") :].partition("; then")[0]
    done = subprocess.run(["bash", "-ec", typed], cwd=here.clone, env=here.sandbox.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert here.at(STABLE) == here.at("refs/tags/prod-v1.8.0") == here.at("refs/heads/main")


def _another_users_value_stays(here: Stage) -> None:
    assert here.at(STABLE) == here.at("refs/tags/prod-v1.7.3")


def _stays_deleted(here: Stage) -> None:
    assert here.holds(STABLE) == ""


def _branch_stays(here: Stage) -> None:
    assert here.holds("refs/heads/prod-stable") in (here.at("refs/heads/main"), here.holds("refs/heads/main~1")), "before or after the record"
    assert "git push origin :refs/heads/prod-stable" in here.played[-1].progress


def _dev_tag_stays(here: Stage) -> None:
    assert here.at("refs/tags/dev-v1.8.3") != here.played[-1].said["commit"]
    assert here.holds("refs/tags/prod-v1.8.3") == ""
    assert here.played[-1].after == here.played[-1].before


def _tag_moved_to_head(here: Stage) -> None:
    assert here.at("refs/tags/dev-v1.8.0") == here.at(STABLE)


def _tagged_one(here: Stage) -> None:
    stopped, promoted = here.played
    assert "--tagged" in stopped.said["hint"]
    assert "--recreate-dev" in stopped.said["hint"]
    assert here.at(STABLE) == here.at("refs/tags/dev-v1.8.0") == promoted.said["commit"]
    assert here.sandbox.writer.git("log", "-1", "--format=%s", promoted.said["commit"]) == "feat(grafana): raise the memory limit"


def _put_back(here: Stage) -> None:
    assert "put back" in here.played[-1].said["reason"]
    assert here.at("refs/tags/prod-v1.8.0") == here.at("refs/tags/dev-v1.8.0"), "what the workflow made stays"


def _undone_wrong_commit(here: Stage) -> None:
    assert "instead of" in here.played[-1].said["reason"] + here.played[-1].progress


def _approver_named(here: Stage) -> None:
    assert "waiting for approval by" in here.played[-1].progress


def _tag_left_by_the_first(here: Stage) -> None:
    stuck, aborted = here.played[1:]
    assert here.at(STABLE) == stuck.said["commit"] == aborted.said["stable_after"]["commit"]
    assert here.holds("refs/tags/prod-working") == ""


def _fell_back(here: Stage) -> None:
    assert here.holds(STABLE) == here.at("refs/tags/dev-v1.0.0~1")


def _hotfix_is_lost_on_purpose(here: Stage) -> None:
    refused, shipped = here.played
    assert "--downgrade" in next(c["detail"] for c in refused.said["checks"] if c["id"] == "trunk")
    live = here.sandbox.prod.get("Deployment", "vault", "vault") or {}
    assert not live["spec"]["template"]["spec"]["containers"][0]["image"].endswith("1.17.9")
    assert "--downgrade" in shipped.progress


def _same_commit_again(here: Stage) -> None:
    first, refused, again = here.played
    assert "--again" in next(c["detail"] for c in refused.said["checks"] if c["id"] == "version-new")
    assert first.said["commit"] == again.said["commit"]


def _said_whether_proven(here: Stage) -> None:
    _, proven, unproven = here.played
    assert "nothing to do" in proven.progress
    assert "already, but production is not proven to run it" in unproven.said["reason"]
    assert {p.after for p in here.played} == {here.holds(STABLE)}


def _held(here: Stage) -> None:
    stuck, refused, kept, fixed = here.played
    assert "the schema migration has no way back" in stuck.progress
    assert stuck.after == refused.after == kept.after == fixed.before
    assert here.at("refs/tags/prod-v2.0.0") != here.at(STABLE)


def _retry_stopped(here: Stage) -> None:
    assert "was still running; stopped it" in here.played[-1].progress


def _pods_shown(here: Stage) -> None:
    assert "fatal: configuration key missing" in here.played[-1].progress


def _hook_named(here: Stage) -> None:
    assert "kubectl -n gitea describe job gitea-migrate" in here.played[1].progress
    assert "promote resume" in here.played[1].progress


def _homepage_is_back(here: Stage) -> None:
    assert "removed: homepage" in here.played[0].progress, "the last line names what the version took away"
    assert here.sandbox.prod.get("Deployment", "homepage", "homepage")


def _wiki_is_gone(here: Stage) -> None:
    assert here.sandbox.prod.get("Application", "argocd", "wiki") is None


def _wiki_was_named(here: Stage) -> None:
    assert "wiki" in here.played[1].said["reason"]
    assert "kubectl -n argocd delete application wiki" in here.played[1].progress
    _wiki_is_gone(here)


def _kept_one_named(here: Stage) -> None:
    assert _failed_checks(here.played[0]) == ["provable"]
    assert "would keep 1 of the objects that the candidate drops" in here.played[0].progress
    assert "homepage: is no longer in git and still exists" in here.played[-1].said["reason"]


def _no_sign_of_life(here: Stage) -> None:
    (played,) = here.played
    assert _failed_checks(played) == ["provable"]
    assert played.said["reason"].startswith("no sign of life from Argo CD for https://kubernetes.default.svc: ")
    assert "before     ✓ " in played.progress, "the suite had passed"
    assert here.holds("refs/tags/dev-v1.8.0") == ""


def _replaced_on_purpose(here: Stage) -> None:
    refused, shipped = here.played
    assert _failed_checks(refused) == ["version-new"]
    assert "--recreate-prod" in refused.progress
    assert here.holds("refs/tags/prod-v1.8.0") == shipped.after


def _sync_started(here: Stage) -> None:
    assert "homepage: sync started" in here.played[-1].progress
    assert [c["id"] for c in here.played[0].said["checks"] if c["verdict"] != "passed"] == ["auto-sync"]


def _window_named(here: Stage) -> None:
    assert [c["id"] for c in here.played[0].said["checks"] if c["verdict"] != "passed"] == ["sync-windows"]


def _dev_stays_on_the_trunk(here: Stage) -> None:
    dev = here.sandbox.prod.get("Application", "argocd", "grafana-dev") or {}
    assert dev["spec"]["sources"][-1]["targetRevision"] == "main"


def _failed_checks(played: Played) -> list[str]:
    return [c["id"] for c in played.said["checks"] if c["verdict"] != "passed"]


def _rule_named(here: Stage) -> None:
    assert _failed_checks(here.played[0]) == ["way-back"]
    assert "protected" in here.played[0].progress


def _rule_stands_in_the_way(here: Stage) -> None:
    stuck, resumed = here.played
    assert stuck.after != stuck.before
    assert "a rule forbids" in stuck.said["reason"]
    assert resumed.after == stuck.before


def _by_the_workflow(here: Stage) -> None:
    (played,) = here.played
    forward, back = here.sandbox.github.runs
    assert (forward.inputs["action"], back.inputs["action"]) == ("promote", "rollback")
    assert forward.inputs["request_id"] in back.inputs["request_id"] != forward.inputs["request_id"], "neither is taken for the other"
    assert "a rule forbids to write refs/tags/prod-stable" in played.progress and f"by the workflow: run {back.id}" in played.progress
    assert [c["id"] for c in played.said["checks"] if c["verdict"] != "passed"] == ["smoke-url[gitea]"], "the checks speak of the promotion's run"
    assert problems([here.clone]) == []


def _refused_to_both(here: Stage) -> None:
    old, stuck, resumed = here.played
    assert old.after == stuck.after != old.before == resumed.after
    assert "a rule forbids to write refs/tags/prod-stable" in old.said["reason"] and "Unexpected inputs provided" in old.said["reason"]
    assert "give promote-prod.yaml on the trunk the input `action`" in old.progress and "promote resume" in old.progress
    reason = stuck.said["reason"]
    assert "a rule forbids to write refs/tags/prod-stable" in reason.partition("nor could the workflow")[0]
    assert "GH013" in reason.partition("nor could the workflow")[2], "the rule's own text, from the run's log"
    assert "let the workflow's token move prod-stable" in stuck.progress and "promote resume" in stuck.progress
    assert [run.inputs.get("action", "promote") for run in here.sandbox.github.runs] == ["promote", "rollback", "rollback"]
    assert problems([here.clone]) == []


def _inputs_named(here: Stage) -> None:
    assert _failed_checks(here.played[0]) == ["workflow"]
    assert "request_id, expected_commit, lock" in here.played[0].progress


TELLS: Mapping[str, Callable[[Stage], None]] = {
    "already-there": _said_whether_proven,
    "again": _same_commit_again,
    "app-degrades": _pods_shown,
    "argo-stuck": _retry_stopped,
    "auto-sync-off": _sync_started,
    "controller-stops": _no_sign_of_life,
    "dev-tag-recreated": _dev_tag_stays,
    "downgrade": _hotfix_is_lost_on_purpose,
    "first-promotion-fails": _tag_left_by_the_first,
    "first-promotion-fallback": _fell_back,
    "legacy-workflow-dies": _put_back,
    "legacy-wrong-commit": _undone_wrong_commit,
    "never-approved": _approver_named,
    "rollback-fails": _hook_named,
    "rollback-by-workflow": _by_the_workflow,
    "rollback-refused-twice": _refused_to_both,
    "rollback-refused": _rule_stands_in_the_way,
    "rules-forbid": _rule_named,
    "workflow-too-old": _inputs_named,
    "root-adds-child": _wiki_is_gone,
    "root-drops-child": _homepage_is_back,
    "root-keeps-child": _wiki_was_named,
    "root-keeps-dropped": _kept_one_named,
    "prod-tag-exists": _replaced_on_purpose,
    "same-cluster": _dev_stays_on_the_trunk,
    "superseded": _another_users_value_stays,
    "superseded-before": _another_users_value_stays,
    "superseded-deleted": _stays_deleted,
    "superseded-shadowed": _branch_stays,
    "tag-exists": _tagged_one,
    "tag-recreated": _tag_moved_to_head,
    "unsafe-rollback": _held,
    "waiting-for-approval": _approver_named,
    "window-denies": _window_named,
    "workflow-fails": _logs_shown,
    "workflow-times-out": _late_run_moves_nothing,
}
