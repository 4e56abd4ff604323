"""The runs client against the GitHub world: one dispatch whatever happens to its answer, our own run among others, errors a user can act on."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from promote.core.deadline import Deadline
from promote.core.errors import Denied, NotFound, PromoteError, Rejected, Unreachable
from promote.core.retry import patience, patience_left, wait_until
from promote.github.session import SERVICE
from promote.github.workflow_runs import GitHubRuns, RunState
from promote.sandbox.github.world import GitHubWorld, WorkflowRun
from promote.sandbox.http_server import Fault, Request, Response, json_response

TOKEN = "ghs_0123456789abcdefghijklmnopqrstuvwxyz"
DISPATCHES = "/dispatches$"
WORKFLOW = """
on: {workflow_dispatch: {inputs: {version: {required: true}, request_id: {}}}}
run-name: promote ${{ inputs.version }} (${{ inputs.request_id }})
concurrency: {group: promote}
jobs: {}
"""
INPUTS = {"version": "v1.2.3", "request_id": "rq-1"}


@dataclass
class Job:
    """A job that ends at once, with this exit code and log."""

    code: int = 0
    log: str = "done"
    started: list[dict[str, str]] = field(default_factory=list)

    def start(self, file: str, inputs: dict[str, str], run_id: int, api_url: str) -> Job:
        self.started.append(inputs)
        return self

    def wait(self) -> tuple[int, str]:
        return self.code, self.log

    def kill(self) -> None:
        """It has ended already."""


class Forge(GitHubWorld):
    """The sandbox's GitHub, with the one workflow above, and rulesets where a test gives some."""

    def __init__(self, job: Job) -> None:
        files = {"promote.yaml": WORKFLOW}
        super().__init__("acme/gitops", read_workflow=files.get, head=lambda: "0" * 40, runner=job, token=TOKEN, queue_s=0.02)  # type: ignore[arg-type]
        self.job = job
        self.rulesets: dict[int, dict[str, Any]] | None = None
        self.pending: list[dict[str, Any]] | None = None

    def handle(self, request: Request) -> Response:
        if request.path.endswith("/pending_deployments") and self.pending is not None:
            return json_response(self.pending)
        if "/rulesets" in request.path and self.rulesets is not None:
            number = request.path.rpartition("/")[2]
            keys = ("id", "name", "target", "enforcement")
            listed = [{k: r[k] for k in keys} for r in self.rulesets.values()]
            return json_response(self.rulesets[int(number)] if number.isdigit() else listed)
        return super().handle(request)

    @property
    def posts(self) -> list[str]:
        return [path for method, path in self.requests if method == "POST"]


@pytest.fixture
def forge() -> Iterator[Forge]:
    with Forge(Job()) as world:
        assert isinstance(world, Forge)
        yield world


@pytest.fixture
def client(forge: Forge) -> GitHubRuns:
    return GitHubRuns(forge.url, forge.slug, TOKEN, call_s=1)


def dispatch(client: GitHubRuns, file: str = "promote.yaml", inputs: dict[str, str] | None = None) -> int | None:
    handle = client.dispatch(file, "main", inputs or INPUTS, request_id="rq-1", deadline=Deadline(30))
    return handle.id if handle else None


def follow(client: GitHubRuns, run_id: int | None) -> RunState:
    assert run_id is not None
    return wait_until("the run completes", lambda: client.state(run_id), ready=lambda s: s.status == "completed", deadline=Deadline(10), every_s=0.02)


def earlier(forge: Forge, **changes: Any) -> WorkflowRun:
    """A run that is not ours, already in the list."""
    values = {
        "id": 7000 + len(forge.runs), "file": "promote.yaml", "title": "promote v1.2.3 (rq-0)", "name": "p", "inputs": {}, "group": "",
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "head": "0" * 40, "status": "completed", "conclusion": "success",
    }  # fmt: skip
    forge.runs.append(WorkflowRun(**(values | changes)))
    return forge.runs[-1]


def since() -> datetime:
    return datetime.now(UTC) - timedelta(seconds=1)


class TestReads:
    @pytest.mark.parametrize(
        "fault", [Fault(kind="drop_before", times=3), Fault(kind="status", status=502, times=3), Fault(kind="cut", times=3)], ids=lambda f: f.kind
    )
    def test_are_asked_again_after_a_passing_fault(self, forge: Forge, client: GitHubRuns, fault: Fault) -> None:
        run, before = earlier(forge), len(forge.requests)
        forge.fault(fault)
        assert client.state(run.id).conclusion == "success"
        assert len(forge.requests) - before == 4

    def test_are_asked_only_once_more_after_silence(self, forge: Forge, client: GitHubRuns) -> None:
        run, before = earlier(forge), len(forge.requests)
        forge.fault(Fault(kind="hang", seconds=3))
        with pytest.raises(Unreachable, match="did not answer in time"):
            client.state(run.id)
        assert len(forge.requests) - before == 2


class TestDispatch:
    def test_names_the_run_and_follows_it_to_its_end(self, forge: Forge, client: GitHubRuns) -> None:
        run_id = dispatch(client)
        state = follow(client, run_id)
        assert (state.id, state.conclusion, state.title) == (run_id, "success", "promote v1.2.3 (rq-1)")
        assert state.url.endswith(f"/acme/gitops/actions/runs/{run_id}")
        assert state.created is not None and abs(datetime.now(UTC) - state.created) < timedelta(minutes=1)
        assert forge.job.started == [INPUTS]

    @pytest.mark.parametrize(
        "fault",
        [
            Fault(kind="drop_after", path=DISPATCHES, times=1),
            Fault(kind="cut", path=DISPATCHES, times=1),
            Fault(kind="drop_before", path=DISPATCHES, times=1),
            Fault(kind="refuse", path=DISPATCHES, times=1),
            Fault(kind="status", path=DISPATCHES, times=1, status=502, body=b"<html>Bad gateway</html>"),
            Fault(kind="hang", path=DISPATCHES, times=1, seconds=3),
            Fault(kind="status", path=DISPATCHES, times=1, status=200, body=b"<html>Please log in to the network</html>"),
        ],
        ids=lambda f: f"{f.kind}-{f.status}",
    )
    def test_is_never_repeated_after_an_answer_that_may_hide_an_effect(self, forge: Forge, client: GitHubRuns, fault: Fault) -> None:
        forge.fault(fault)
        assert dispatch(client) is None
        assert len(forge.posts) == 1

    def test_whose_answer_was_lost_is_found_by_its_request_id(self, forge: Forge, client: GitHubRuns) -> None:
        start = since()
        forge.fault(Fault(kind="drop_after", path=DISPATCHES, times=1))
        assert dispatch(client) is None
        earlier(forge)  # newer in the list than ours, same version
        found = client.find("promote.yaml", "rq-1", start)
        assert found is not None and found.title == "promote v1.2.3 (rq-1)"

    def test_that_was_never_sent_is_reported_as_such(self, forge: Forge) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            client = GitHubRuns(f"http://127.0.0.1:{closed.getsockname()[1]}", forge.slug, TOKEN, call_s=1)
            with pytest.raises(Unreachable, match=r"could not dispatch promote.yaml on main: the connection to 127.0.0.1 failed"):
                dispatch(client)

    def test_falls_back_once_where_run_details_are_unknown(self, forge: Forge, client: GitHubRuns) -> None:
        forge.run_details = False
        start = since()
        assert dispatch(client) is None
        assert len(forge.posts) == 2
        assert len(forge.runs) == 1
        found = client.find("promote.yaml", "rq-1", start)
        assert found is not None and found.id == forge.runs[0].id

    def test_of_an_undeclared_input_names_it_and_both_ways_out(self, forge: Forge, client: GitHubRuns) -> None:
        with pytest.raises(Rejected, match=r"422 Unexpected inputs provided: \['lock'\]") as error:
            dispatch(client, inputs={**INPUTS, "lock": "x"})
        assert "must declare these inputs" in error.value.hint and "promotion.via" in error.value.hint
        assert len(forge.posts) == 1
        assert not forge.runs

    def test_of_a_missing_workflow_names_file_and_branch(self, client: GitHubRuns) -> None:
        with pytest.raises(NotFound, match=r"dispatch other.yaml on main in acme/gitops: 404") as error:
            dispatch(client, "other.yaml")
        assert ".github/workflows/other.yaml" in error.value.hint and "repository.branch" in error.value.hint

    def test_is_not_sent_without_time(self, forge: Forge, client: GitHubRuns) -> None:
        with pytest.raises(Unreachable, match="no time is left"):
            client.dispatch("promote.yaml", "main", INPUTS, request_id="rq-1", deadline=Deadline(0))
        assert not forge.requests


class TestFind:
    def test_passes_over_newer_older_and_foreign_runs(self, forge: Forge, client: GitHubRuns) -> None:
        old = (datetime.now(UTC) - timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
        earlier(forge, title="promote v1.2.3 (rq-1)", created=old)  # carries our id, but from before we were
        earlier(forge, title="promote v1.2.3 (rq-2)")
        earlier(forge, title="promote v1.2.3 ()")
        assert client.find("promote.yaml", "rq-1", since()) is None

    def test_asks_again_for_itself_where_a_server_passes_over_the_filter(self, forge: Forge, client: GitHubRuns) -> None:
        old = (datetime.now(UTC) - timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
        earlier(forge, title="promote v1.2.3 (rq-1)", created=old)
        handle = forge.handle
        forge.handle = lambda request: handle(request_without(request, "created"))  # type: ignore[method-assign]
        assert client.find("promote.yaml", "rq-1", since()) is None

    def test_without_an_id_finds_nothing_rather_than_the_latest(self, forge: Forge, client: GitHubRuns) -> None:
        earlier(forge)
        assert client.find("promote.yaml", "", since()) is None


def request_without(request: Request, key: str) -> Request:
    query = {k: v for k, v in request.query.items() if k != key}
    return Request(method=request.method, path=request.path, query=query, raw_query="", headers=request.headers, body=request.body)


class TestWaiting:
    def test_names_who_must_approve(self, forge: Forge, client: GitHubRuns) -> None:
        run = earlier(forge, status="waiting", conclusion=None)
        assert client.state(run.id).waiting_for == ("grace",)

    def test_names_the_environment_of_a_wait_timer(self, forge: Forge, client: GitHubRuns) -> None:
        run = earlier(forge, status="waiting", conclusion=None)
        forge.pending = [{"environment": {"name": "production"}, "wait_timer": 5, "reviewers": []}]
        assert client.state(run.id).waiting_for == ("environment production",)

    def test_is_still_reported_when_the_list_may_not_be_read(self, forge: Forge, client: GitHubRuns) -> None:
        run = earlier(forge, status="waiting", conclusion=None)
        forge.fault(Fault(kind="status", path="/pending_deployments$", status=403, body=b'{"message": "Resource not accessible"}'))
        assert client.state(run.id).waiting_for == ("a reviewer",)


class TestLogs:
    def test_of_a_failed_job_come_without_stamps_and_without_our_token(self, forge: Forge, client: GitHubRuns) -> None:
        forge.fail_run("\n".join(f"line {n}" for n in range(50)))
        state = follow(client, dispatch(client))
        (log,) = client.failed_logs(state.id, lines=3)
        assert (state.conclusion, log.job, log.step) == ("failure", "promote", "Move the tags")
        assert log.lines == ("line 47", "line 48", "line 49")  # the world answers 400 to a signed URL asked with a token

    def test_end_at_the_error_not_at_the_clean_up(self, forge: Forge, client: GitHubRuns) -> None:
        forge.fail_run("one\n\x1b[31mtwo\x1b[0m\x1b]0;title\x07\n##[error]Process completed with exit code 1.\nPost job cleanup.\nbye")
        state = follow(client, dispatch(client))
        (log,) = client.failed_logs(state.id)
        assert log.lines == ("one", "two]0;title", "Process completed with exit code 1.")

    def test_that_cannot_be_had_are_reported_as_missing(self, forge: Forge, client: GitHubRuns) -> None:
        forge.fail_run("text")
        state = follow(client, dispatch(client))
        forge.fault(Fault(kind="status", path="^/signed/", status=410))
        (log,) = client.failed_logs(state.id)
        assert log.lines == ("(no log: could not read the job's log in acme/gitops: 410)",)

    def test_that_break_off_are_reported_as_incomplete(self, forge: Forge, client: GitHubRuns) -> None:
        forge.fail_run("text")
        state = follow(client, dispatch(client))
        forge.fault(Fault(kind="cut", path="^/signed/"))
        (log,) = client.failed_logs(state.id)
        assert log.lines == ("(no log: could not read the job's log: the connection to 127.0.0.1 failed or was cut)",)

    def test_of_good_runs_are_none(self, client: GitHubRuns) -> None:
        assert client.failed_logs(follow(client, dispatch(client)).id) == ()


class TestCancel:
    def test_ends_a_run_under_way_and_is_false_for_one_that_ended(self, forge: Forge, client: GitHubRuns) -> None:
        run = earlier(forge, status="in_progress", conclusion=None)
        assert client.cancel(run.id) is True
        assert client.state(run.id).conclusion == "cancelled"
        assert client.cancel(run.id) is False

    def test_that_is_forbidden_is_not_taken_for_an_ended_run(self, forge: Forge, client: GitHubRuns) -> None:
        run = earlier(forge, status="in_progress", conclusion=None)
        forge.fault(Fault(kind="status", path="/cancel$", status=403, body=b'{"message": "Resource not accessible by integration"}'))
        with pytest.raises(Denied, match="cancel run"):
            client.cancel(run.id)


RULESET = {
    "id": 5, "name": "release tags", "target": "tag", "enforcement": "active", "current_user_can_bypass": "never",
    "conditions": {"ref_name": {"include": ["refs/tags/prod-*"], "exclude": ["refs/tags/prod-working"]}},
    "rules": [{"type": "non_fast_forward"}, {"type": "update"}, {"type": "tag_name_pattern"}],
}  # fmt: skip


class TestRules:
    def test_in_the_way_are_named(self, forge: Forge, client: GitHubRuns) -> None:
        forge.rulesets = {5: RULESET}
        rules = client.tag_rules("prod-stable")
        assert rules.known and rules.denies == ('non_fast_forward (ruleset "release tags")', 'update (ruleset "release tags")')

    @pytest.mark.parametrize(
        ("changes", "tag"),
        [
            ({"current_user_can_bypass": "always"}, "prod-stable"),
            ({"enforcement": "evaluate"}, "prod-stable"),
            ({"target": "branch"}, "prod-stable"),
            ({}, "prod-working"),
            ({}, "dev-v1"),
            ({}, "prod-a/b"),  # `*` stops at a slash
        ],
    )
    def test_that_do_not_concern_us_are_not(self, forge: Forge, client: GitHubRuns, changes: dict[str, Any], tag: str) -> None:
        forge.rulesets = {5: {**RULESET, **changes}}
        rules = client.tag_rules(tag)
        assert rules.known and rules.denies == ()

    def test_those_that_let_the_way_forward_pass_are_distinguished(self, forge: Forge, client: GitHubRuns) -> None:
        forge.rulesets = {5: RULESET, 6: {**RULESET, "id": 6, "name": "no force", "rules": [{"type": "non_fast_forward"}]}}
        rules = client.tag_rules("prod-stable")
        assert rules.back_only == ('non_fast_forward (ruleset "no force")',)
        assert len(rules.denies) == 3

    def test_unknown_is_not_none(self, client: GitHubRuns) -> None:
        rules = client.tag_rules("prod-stable")
        assert not rules.known and "404" in rules.why


class TestErrors:
    def test_a_wrong_token_names_the_variable_and_never_itself(self, forge: Forge) -> None:
        client = GitHubRuns(forge.url, forge.slug, "ghp_wrongwrongwrongwrongwrongwrongwrong")
        with pytest.raises(Denied, match="401 Bad credentials") as error:
            client.state(1)
        assert "GITHUB_TOKEN" in error.value.hint
        assert "ghp_wrong" not in str(error.value)

    def test_a_missing_right_names_the_scopes(self, forge: Forge, client: GitHubRuns) -> None:
        forge.fault(Fault(kind="status", status=403, body=b'{"message": "Resource not accessible by personal access token"}'))
        with pytest.raises(Denied) as error:
            client.state(1)
        assert "actions: write" in error.value.hint and "SSO" in error.value.hint

    def test_a_limit_on_the_dispatch_is_no_refusal_and_had_no_effect(self, forge: Forge, client: GitHubRuns) -> None:
        body = b'{"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}'
        forge.fault(Fault(kind="status", path=DISPATCHES, status=403, headers={"Retry-After": "37"}, body=body))
        with pytest.raises(Unreachable, match="secondary rate limit") as error:
            dispatch(client)
        assert "in 37 s" in error.value.hint
        assert len(forge.posts) == 1

    def test_reading_lasts_over_a_short_trouble(self, forge: Forge, client: GitHubRuns) -> None:
        run = earlier(forge)
        forge.fault(Fault(kind="status", status=502, times=2))
        forge.fault(Fault(kind="drop_before", times=1))
        assert client.state(run.id).conclusion == "success"

    def test_a_throttled_read_is_repeated(self, forge: Forge, client: GitHubRuns) -> None:
        run = earlier(forge)
        forge.fault(Fault(kind="status", status=429, times=2))
        forge.fault(Fault(kind="status", status=429, times=1, headers={"Retry-After": "1"}))
        assert client.state(run.id).conclusion == "success"

    def test_within_a_check_a_read_is_repeated_until_its_deadline_only(self, forge: Forge, client: GitHubRuns) -> None:
        forge.fault(Fault(kind="status", status=429, headers={"Retry-After": "30"}))
        with patience(Deadline(5)), pytest.raises(Unreachable, match="429"):
            client.state(1)
        assert len(forge.requests) == 1

    def test_lasting_trouble_names_its_status(self, forge: Forge, client: GitHubRuns) -> None:
        forge.fault(Fault(kind="status", status=503, body=b"<html>Unicorn!</html>"))
        with pytest.raises(Unreachable, match=r"kept answering with errors \(503\)"):
            client.state(1)

    def test_a_hanging_server_costs_two_calls(self, forge: Forge, client: GitHubRuns) -> None:
        forge.fault(Fault(kind="hang", seconds=5))
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1 did not answer in time"):
            client.state(1)
        assert len(forge.requests) == 2

    def test_a_page_of_a_proxy_is_not_taken_for_an_answer(self, forge: Forge, client: GitHubRuns) -> None:
        page = b"<html><body>Please sign in to the guest network, secret-cookie=1</body></html>"
        forge.fault(Fault(kind="status", status=200, body=page, headers={"Content-Type": "text/html"}))
        with pytest.raises(PromoteError) as error:
            client.state(1)
        assert isinstance(error.value, Unreachable) and "proxy" in error.value.hint
        assert "secret-cookie" not in str(error.value)

    def test_a_name_that_does_not_resolve_is_reported_as_such(self) -> None:
        client = GitHubRuns("http://github.invalid", "acme/gitops", TOKEN, call_s=1)
        with pytest.raises(Unreachable, match=r"the name github\.invalid does not resolve"):
            client.state(1)

    def test_plain_http_where_tls_was_expected_is_a_fault_of_tls(self, forge: Forge) -> None:
        client = GitHubRuns(forge.url.replace("http:", "https:"), forge.slug, TOKEN, call_s=1)
        with pytest.raises(Unreachable, match=re.compile("TLS connection to 127.0.0.1 failed", re.IGNORECASE)) as error:
            client.state(1)
        assert "REQUESTS_CA_BUNDLE" in error.value.hint

    def test_an_untrusted_connection_does_not_use_up_a_checks_time(self, forge: Forge, client: GitHubRuns) -> None:
        assert client.state(earlier(forge).id).conclusion == "success"
        with patience(Deadline(3)):
            with pytest.raises(Unreachable, match="TLS"):
                GitHubRuns(forge.url.replace("http:", "https:"), forge.slug, TOKEN, call_s=1).state(1)
            assert patience_left(SERVICE), "GitHub was not faulty for the check's whole time"
