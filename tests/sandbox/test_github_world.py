"""The GitHub world, by PyGithub itself, running real workflows over a real repository: with act and without, whatever happens to a run."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from github import Auth, Github, GithubException
from github.Repository import Repository
from github.Workflow import Workflow

from promote.sandbox.git.server import GitServer
from promote.sandbox.git.writer import GitWriter
from promote.sandbox.github.actions import WorkflowRun
from promote.sandbox.github.workflow_run import Runner
from promote.sandbox.github.world import GitHubWorld
from promote.sandbox.http_server import Fault
from promote.sandbox.seed import Commit
from tests.support.repos import bare_machine

SLUG, TOKEN, LOOK_ONLY = "acme/gitops", "ghs_sandbox_token", "ghs_look_only"
BIN = Path(sys.executable).parent
ACT = shutil.which("act", path=str(BIN)) or shutil.which("act")
FORMS = [pytest.param(None, id="plain"), pytest.param(ACT, id="act", marks=pytest.mark.skipif(not ACT, reason="not run: needs act"))]

PROMOTE = r"""
name: Promote to Production
run-name: promote ${{ inputs.version }} ${{ inputs.request_id }}
on:
  workflow_dispatch:
    inputs:
      version: {required: true, type: string}
      request_id: {required: false, type: string, default: ""}
      action: {required: false, type: choice, options: [promote, rollback], default: promote}
permissions: {contents: write}
concurrency: {group: promote-prod, cancel-in-progress: false}
jobs:
  promote:
    runs-on: ubuntu-latest
    timeout-minutes: 10
    steps:
      - name: Check out
        uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8
        with: {fetch-depth: 0, persist-credentials: false}
      - name: Look around
        env: {ACTOR: "${{ github.actor }}", RUN: "${{ github.run_id }}", REPOSITORY: "${{ github.repository }}", PACKAGE: "${{ vars.NONE || 'fallback' }}"}
        run: |
          echo "actor=$ACTOR run=$RUN=$GITHUB_RUN_ID repository=$REPOSITORY=$GITHUB_REPOSITORY package=$PACKAGE"
          echo "server=$GITHUB_SERVER_URL api=$GITHUB_API_URL actions=$GITHUB_ACTIONS branch=$(git rev-parse --abbrev-ref HEAD)"
          echo "without-token=[$GITHUB_TOKEN] helper=[$(git config credential.helper)] name=[$(git config user.name)]"
      - name: Move the tags
        env: {GITHUB_TOKEN: "${{ github.token }}", VERSION: "${{ inputs.version }}"}
        run: |
          echo "moving $VERSION with $GITHUB_TOKEN"
          commit=$(git rev-parse --verify "refs/tags/dev-$VERSION^{commit}") || { echo "::error::Tag dev-$VERSION does not exist"; exit 3; }
          git -c user.name=bot -c user.email=bot@acme.example tag -a -m promoted "prod-$VERSION" "$commit"
          git push -q "${GITHUB_SERVER_URL/:\/\//://x-access-token:$GITHUB_TOKEN@}/$GITHUB_REPOSITORY.git" "refs/tags/prod-$VERSION"
"""
SECONDS = str(100_000 + os.getpid())  # so that this process knows its sleepers whatever their parent is by then
SLEEPY = """
on: workflow_dispatch
jobs: {sleep: {runs-on: ubuntu-latest, steps: [{name: Sleep, run: "trap '' HUP; echo asleep; sleep SECONDS & wait"}]}}
""".replace("SECONDS", SECONDS)
QUICK = """
name: Quick
on: {workflow_dispatch: {inputs: {version: {}}}}
concurrency: one
jobs: {quick: {runs-on: ubuntu-latest, environment: production, steps: [{name: Do, run: "true"}]}}
"""
FILES = {"promote.yaml": PROMOTE, "sleepy.yaml": SLEEPY, "quick.yaml": QUICK, "push.yaml": "on: push\njobs: {}\n"}


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


@dataclasses.dataclass
class Forge:
    git: GitServer
    writer: GitWriter
    world: GitHubWorld

    def repository(self, token: str = TOKEN) -> Repository:
        pause: dict[str, Any] = {"seconds_between_requests": None, "seconds_between_writes": None}
        return Github(auth=Auth.Token(token), base_url=self.world.url, timeout=20, retry=None, **pause).get_repo(SLUG)

    def workflow(self, file: str = "promote.yaml", token: str = TOKEN) -> Workflow:
        return self.repository(token).get_workflow(file)

    def dispatch(self, file: str = "promote.yaml", **inputs: str) -> WorkflowRun:
        made: Any = self.workflow(file).create_dispatch("main", inputs, throw=True, return_run_details=True)
        return next(r for r in self.world.runs if r.id == made.id)

    def over(self, run: WorkflowRun) -> str:
        until(lambda: run.status == "completed")
        return str(run.conclusion)

    def log(self, run: WorkflowRun) -> str:
        """As a browser gets it: the redirect's address, without the token."""
        (job,) = self.repository().get_workflow_run(run.id).jobs()
        return requests.get(job.logs_url(), timeout=5).text


def refs_of(writer: GitWriter) -> dict[str, tuple[str, str]]:
    lines = writer.git("for-each-ref", "--format=%(refname) %(objecttype) %(objectname)").splitlines()
    return {name: (kind, oid) for name, kind, oid in map(str.split, lines)}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Forge]]:
    running: list[Forge] = []

    def begin(act: str | None = None) -> Forge:
        git = GitServer(tmp_path / "remote.git", SLUG, tokens=(TOKEN,), private=True)
        git.create()
        git.start()
        writer = GitWriter(git.path)
        files = {f".github/workflows/{name}": text.encode() for name, text in FILES.items()}
        writer.load([Commit("feat: first", "Ada <ada@acme.example>", "2026-01-01T00:00:00Z", files, ("dev-v1.0.0",))])
        runner = Runner(tmp_path / "runs", git.repository_url, SLUG, bare_machine(tmp_path), token=TOKEN, act=act)
        world = GitHubWorld(
            SLUG, read_workflow=FILES.get, head=lambda: writer.holds("refs/heads/main"), refs=lambda: refs_of(writer), runner=runner, token=TOKEN,
            read_only=(LOOK_ONLY,), queue_s=0.05,
        )  # fmt: skip
        world.start()
        running.append(Forge(git, writer, world))
        return running[-1]

    yield begin
    for forge in running:
        forge.world.stop()
        forge.git.stop()
        assert forge.world.errors == forge.git.errors == []
    assert not list((tmp_path / "runs").glob("*")), "every run cleans up after itself"


@pytest.fixture
def forge(start: Callable[..., Forge]) -> Forge:
    return start()


@pytest.mark.parametrize("act", FORMS)
class TestRunsOfTheRepositorysOwnFile:
    def test_do_as_the_file_declares(self, start: Callable[..., Forge], act: str | None) -> None:
        forge = start(act)
        run = forge.dispatch(version="v1.0.0", request_id="rq-7")
        assert forge.over(run) == "success", run.log
        assert forge.writer.holds("refs/tags/prod-v1.0.0^{commit}") == forge.writer.holds("refs/tags/dev-v1.0.0^{commit}")
        seen = forge.repository().get_workflow_run(run.id)
        assert (seen.display_title, seen.name, seen.event, seen.status) == (
            "promote v1.0.0 rq-7",
            "Promote to Production",
            "workflow_dispatch",
            "completed",
        )
        assert (seen.head_branch, seen.head_sha, seen.run_attempt) == ("main", forge.writer.holds("refs/heads/main"), 1)
        (job,) = seen.jobs()
        assert [(s.number, s.name, s.conclusion) for s in job.steps] == [
            (1, "Check out", "success"), (2, "Look around", "success"), (3, "Move the tags", "success"),
        ]  # fmt: skip

    def test_see_what_github_would_set_and_no_secret_they_are_not_given(self, start: Callable[..., Forge], act: str | None) -> None:
        forge = start(act)
        run = forge.dispatch(version="v1.0.0")
        forge.over(run)
        log = forge.log(run)
        assert f"actor=ada run={run.id}={run.id} repository={SLUG}={SLUG} package=fallback" in log
        assert f"server={forge.git.url} api={forge.world.url} actions=true branch=main" in log
        assert "without-token=[] helper=[] name=[]" in log
        assert "moving v1.0.0 with ***" in log and TOKEN not in log

    def test_that_fail_name_step_and_reason(self, start: Callable[..., Forge], act: str | None) -> None:
        forge = start(act)
        for _ in range(4 if act else 1):  # under load act loses what a step writes right before its end (seen): it is run again then
            run = forge.dispatch(version="v9.9.9")
            assert forge.over(run) == "failure"
            if "does not exist" in forge.log(run):
                break
        (job,) = forge.repository().get_workflow_run(run.id).jobs()
        assert [(s.name, s.conclusion) for s in job.steps][-1] == ("Move the tags", "failure")
        assert "##[error]Tag dev-v9.9.9 does not exist" in forge.log(run)
        assert "##[error]Process completed with exit code 3" in forge.log(run)

    def test_take_inputs_as_text_only(self, start: Callable[..., Forge], act: str | None, tmp_path: Path) -> None:
        forge = start(act)
        run = forge.dispatch(version=f"v1; touch {tmp_path}/injected; $(touch {tmp_path}/injected)")
        assert forge.over(run) == "failure"
        assert not (tmp_path / "injected").exists()

    def test_end_with_all_they_started_when_cancelled(self, start: Callable[..., Forge], act: str | None) -> None:
        forge = start(act)
        run = forge.dispatch("sleepy.yaml")
        until(sleepers)
        assert forge.repository().get_workflow_run(run.id).cancel() is True
        assert forge.over(run) == "cancelled"
        until(lambda: not sleepers())

    def test_end_when_the_world_stops(self, start: Callable[..., Forge], act: str | None) -> None:
        forge = start(act)
        run = forge.dispatch("sleepy.yaml")
        until(lambda: "asleep" in "\n".join(getattr(run.execution, "lines", [])))
        forge.world.stop()
        assert not sleepers()
        assert not [t for t in threading.enumerate() if t.name.startswith(("run-", "job"))]


def sleepers() -> list[str]:
    """What the steps of sleepy.yaml started and has not ended."""
    found = subprocess.run(["ps", "-A", "-o", "args="], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in found if line.split() == ["sleep", SECONDS]]


class TestDispatch:
    def test_without_details_answers_nothing(self, forge: Forge) -> None:
        assert forge.workflow("quick.yaml").create_dispatch("main", {}) is True
        assert len(forge.world.runs) == 1

    def test_on_an_old_server_refuses_the_field_and_makes_no_run(self, forge: Forge) -> None:
        forge.world.run_details = False
        with pytest.raises(GithubException, match="return_run_details") as error:
            forge.dispatch("quick.yaml")
        assert error.value.status == 422 and not forge.world.runs

    @pytest.mark.parametrize(
        ("file", "ref", "inputs", "text"),
        [
            ("promote.yaml", "main", {"version": "v1", "lock": "x"}, "Unexpected inputs provided"),
            ("promote.yaml", "main", {}, "Required input 'version' not provided"),
            ("promote.yaml", "main", {"version": "v1", "action": "dance"}, "not in the list of allowed values"),
            ("promote.yaml", "nowhere", {"version": "v1"}, "No ref found for: nowhere"),
            ("push.yaml", "main", {}, "does not have 'workflow_dispatch' trigger"),
        ],
    )
    def test_that_cannot_be_is_a_422_in_githubs_words(self, forge: Forge, file: str, ref: str, inputs: dict[str, str], text: str) -> None:
        with pytest.raises(GithubException, match=text) as error:
            forge.workflow(file).create_dispatch(ref, inputs, throw=True)
        assert error.value.status == 422 and not forge.world.runs

    def test_on_a_tag_is_possible(self, forge: Forge) -> None:
        forge.workflow("quick.yaml").create_dispatch("dev-v1.0.0", {}, throw=True)
        assert forge.world.runs[0].branch == "dev-v1.0.0"

    def test_whose_answer_is_lost_has_made_a_run(self, forge: Forge) -> None:
        workflow = forge.workflow("quick.yaml")
        forge.world.fault(Fault(kind="drop_after", path="/dispatches$", times=1))
        with pytest.raises(requests.ConnectionError):
            workflow.create_dispatch("main", {}, throw=True)
        assert len(forge.world.runs) == 1


class TestTokens:
    def test_a_wrong_one_is_401(self, forge: Forge) -> None:
        with pytest.raises(GithubException, match="Bad credentials") as error:
            forge.workflow(token="wrong")
        assert error.value.status == 401

    def test_one_that_may_only_look_is_403_on_dispatch(self, forge: Forge) -> None:
        with pytest.raises(GithubException, match="Resource not accessible by personal access token") as error:
            forge.workflow("quick.yaml", token=LOOK_ONLY).create_dispatch("main", {}, throw=True)
        assert error.value.status == 403 and not forge.world.runs

    def test_belongs_to_its_user(self, forge: Forge) -> None:
        github = Github(auth=Auth.Token(TOKEN), base_url=forge.world.url, retry=None)
        assert github.get_user().login == "ada"
        assert github.get_rate_limit().rate.limit == 5000


class TestConcurrency:
    def test_one_runs_one_waits_and_a_newer_one_takes_its_place(self, forge: Forge) -> None:
        forge.world.hang_run()
        first = forge.dispatch("quick.yaml")
        until(lambda: first.status == "in_progress")
        second, third = forge.dispatch("quick.yaml"), forge.dispatch("quick.yaml")
        assert [r.status for r in (first, second, third)] == ["in_progress", "completed", "pending"]
        assert second.conclusion == "cancelled"
        forge.world.released.set()
        assert [forge.over(r) for r in (first, third)] == ["success", "success"]

    def test_another_group_does_not_wait(self, forge: Forge) -> None:
        forge.world.hang_run()
        held = forge.dispatch("quick.yaml")
        until(lambda: held.status == "in_progress")
        assert forge.over(forge.dispatch("promote.yaml", version="v1.0.0")) == "success"
        assert held.status == "in_progress"


class TestWhatGoesWrong:
    def test_a_run_can_fail_before_it_does_anything(self, forge: Forge) -> None:
        forge.world.fail_run("No space left on device")
        run = forge.dispatch(version="v1.0.0")
        assert forge.over(run) == "failure"
        assert "No space left" in forge.log(run)
        assert forge.writer.holds("refs/tags/prod-v1.0.0") == ""

    def test_a_run_can_fail_after_it_did_everything(self, forge: Forge) -> None:
        forge.world.fail_after_move()
        run = forge.dispatch(version="v1.0.0")
        assert forge.over(run) == "failure"
        assert forge.writer.holds("refs/tags/prod-v1.0.0") != ""
        assert "lost communication" in forge.log(run)

    def test_something_can_happen_before_the_job_and_once(self, forge: Forge) -> None:
        seen: list[tuple[int, str]] = []
        forge.world.before_run(lambda run: seen.append((run.id, run.status)))
        runs = [forge.dispatch("quick.yaml"), forge.dispatch("promote.yaml", version="v1.0.0")]
        assert [forge.over(r) for r in runs] == ["success", "success"]
        assert len(seen) == 1 and seen[0][1] == "in_progress"

    def test_a_job_that_takes_too_long_is_timed_out(self, forge: Forge) -> None:
        forge.world.before_run(lambda run: setattr(run, "timeout_s", 0.3))
        run = forge.dispatch("sleepy.yaml")
        assert forge.over(run) == "timed_out"
        until(lambda: not sleepers())

    def test_a_job_may_wait_for_approval(self, forge: Forge) -> None:
        forge.world.ask_approval("production")
        run = forge.dispatch("quick.yaml")
        until(lambda: run.status == "waiting")
        repository = forge.repository()
        _, pending = repository.requester.requestJsonAndCheck("GET", f"{repository.url}/actions/runs/{run.id}/pending_deployments")
        assert pending[0]["environment"]["name"] == "production" and pending[0]["reviewers"][0]["reviewer"]["login"] == "grace"
        forge.world.approve()
        assert forge.over(run) == "success"

    def test_what_has_ended_cannot_be_cancelled(self, forge: Forge) -> None:
        run = forge.dispatch("quick.yaml")
        forge.over(run)
        assert forge.repository().get_workflow_run(run.id).cancel() is False

    def test_a_log_is_had_after_the_end_and_not_with_the_token(self, forge: Forge) -> None:
        forge.world.hang_run()
        run = forge.dispatch("quick.yaml")
        until(lambda: run.status == "in_progress")
        with pytest.raises(GithubException):
            forge.log(run)
        forge.world.released.set()
        forge.over(run)
        (job,) = forge.repository().get_workflow_run(run.id).jobs()
        assert requests.get(job.logs_url(), headers={"Authorization": f"Bearer {TOKEN}"}, timeout=5).status_code == 400


class TestLists:
    def test_are_paged_and_newest_first(self, forge: Forge) -> None:
        for n in range(65):
            forge.world.runs.append(past(n))
        ids = [run.id for run in forge.workflow("quick.yaml").get_runs()]
        assert ids == [7000 + n for n in reversed(range(65))]
        assert len([r for r in forge.world.requests if "/runs?" in r[1] or r[1].endswith("/runs")]) == 3
        assert forge.repository().get_workflow_runs().totalCount == 65

    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            ({"status": "in_progress"}, [7001]),
            ({"status": "failure"}, [7000]),
            ({"branch": "other"}, [7002]),
            ({"event": "push"}, []),
            ({"created": ">=2026-01-02T00:00:00Z"}, [7002, 7001]),
            ({"created": "<2026-01-02"}, [7000]),
            ({"created": "2026-01-01..2026-01-02"}, [7001, 7000]),
            ({"created": "2026-01-03"}, [7002]),
        ],
    )
    def test_are_filtered(self, forge: Forge, filters: dict[str, str], expected: list[int]) -> None:
        forge.world.runs += [
            past(0, created="2026-01-01T00:00:00Z", conclusion="failure"),
            past(1, created="2026-01-02T12:00:00Z", status="in_progress", conclusion=None),
            past(2, created="2026-01-03T00:00:00Z", branch="other"),
        ]
        assert [run.id for run in forge.repository().get_workflow_runs(**filters)] == expected  # type: ignore[arg-type]

    def test_of_refs_show_tags_as_they_are(self, forge: Forge) -> None:
        repository = forge.repository()
        assert repository.get_git_ref("tags/dev-v1.0.0").object.type == "tag"
        assert [r.ref for r in repository.get_git_matching_refs("tags/dev-")] == ["refs/tags/dev-v1.0.0"]
        with pytest.raises(GithubException) as error:
            _ = repository.get_git_ref("tags/none").object
        assert error.value.status == 404

    def test_of_rulesets_can_be_unknown_to_a_server(self, forge: Forge) -> None:
        repository = forge.repository()
        ask = repository.requester.requestJsonAndCheck
        assert ask("GET", f"{repository.url}/rulesets")[1] == []
        rule = {"type": "pull_request"}
        forge.world.rulesets = {
            4: {"id": 4, "name": "trunk", "target": "branch", "enforcement": "active", "rules": [rule],
                "conditions": {"ref_name": {"include": ["refs/heads/main"], "exclude": []}}},
        }  # fmt: skip
        assert ask("GET", f"{repository.url}/rules/branches/main")[1] == [{"type": "pull_request", "ruleset_id": 4}]
        assert ask("GET", f"{repository.url}/rules/branches/other")[1] == []
        assert ask("GET", f"{repository.url}/rulesets/4")[1]["name"] == "trunk"
        forge.world.rulesets = None
        with pytest.raises(GithubException):
            ask("GET", f"{repository.url}/rulesets")

    def test_a_workflow_is_found_by_file_and_by_id(self, forge: Forge) -> None:
        workflow = forge.workflow()
        assert (workflow.name, workflow.path) == ("Promote to Production", ".github/workflows/promote.yaml")
        assert forge.repository().get_workflow(workflow.id).name == workflow.name
        assert forge.repository().default_branch == "main"


def past(number: int, **changes: Any) -> WorkflowRun:
    created = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
    run = WorkflowRun(
        id=7000 + number, file="quick.yaml", title="t", name="n", inputs={}, created=created, group="", head="0" * 40, status="completed",
        conclusion="success",
    )  # fmt: skip
    return dataclasses.replace(run, **changes)
