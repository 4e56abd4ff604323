"""What our own refs hold when another user wrote it: read, or refused by name; never a traceback, and the lock can always be broken."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promote.cli.main import main
from promote.cli.status import last
from promote.convergence.application_status import Limits
from promote.convergence.baseline import Baseline
from promote.convergence.baseline_ref import BASELINE, FILE, read_baseline
from promote.core.model import Tag
from promote.git.remote import GitRemote
from promote.promotion.verify_current import tolerated_then, with_troubles_then
from promote.tags.heartbeat import HEARTBEAT, sign_of
from promote.tags.lock import LOCK, Lock, UnreadableLock, acquire, new_lock, read_lock
from promote.tags.names import LEDGER
from promote.tags.records import read_ledger, write_ledger
from promote.tags.shapes import beat_fields, check_plan, entry_fields, lock_fields, record_request
from tests.support.manifests import SETTINGS, T0, goal, manifest
from tests.support.repos import Repos, git, make_repos

OID = "0123456789012345678901234567890123456789"
LOCKED = {
    "request_id": "r1", "state": "prechecked", "version": "v1.1.0", "candidate": OID, "stable_before": OID, "owner": "ada", "host": "box",
    "since": "2026-11-28T08:00:00+00:00", "prechecked": "no", "replaces": "", "run": "", "at": "2026-11-28T08:00:00+00:00", "holder": "a1",
    "plan": {"version": "v1.1.0"}, "nonce": "1",
}  # fmt: skip
NAME = "20261128T080000Z-r1.json"
ENTRY = {
    "request_id": "r1", "outcome": "verified", "version": "v1.1.0", "stable_after": {"object": OID, "commit": OID}, "stable_before": None,
    "applications": [{"name": "a", "verdict": "proven", "reason": ""}],
}  # fmt: skip
POD = {"metadata": {"name": "p", "namespace": "n"}, "status": {"phase": "Running"}}
BEFORE = {
    "taken": T0.isoformat(), "applications": [manifest("app1")], "pods": [POD], "smoke_passed": ["smoke-url[web]"],
    "alerts": [{"labels": {"alertname": "x"}, "status": {"state": "active"}, "fingerprint": "1", "annotations": {}}],
    "troubles": {"argocd/app1": [{"group": "", "kind": "Pod", "namespace": "n", "name": "p", "health": "Degraded"}]}, "unread": {"argocd/app1": "why"},
}  # fmt: skip
DEEP = "[" * 100_000
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["\n::error::x", "a\u2028b", "--all", "\ud800", "\0", ""])
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6)


def changed(value: Any) -> st.SearchStrategy[Any]:
    """The same value with any one part replaced by something else, left out, or doubled."""
    if isinstance(value, dict) and value:
        inner = st.sampled_from(sorted(value)).flatmap(lambda key: changed(value[key]).map(lambda new: {**value, key: new}))
        less = st.sampled_from(sorted(value)).map(lambda key: {k: v for k, v in value.items() if k != key})
        more = st.tuples(st.text(max_size=8), values).map(lambda pair: {**value, pair[0]: pair[1]})
        return st.one_of(inner, less, more, values)
    if isinstance(value, list) and value:
        return st.one_of(changed(value[0]).map(lambda new: [new, *value[1:]]), values.map(lambda new: [*value, new]), values)
    return values


def one_line(*texts: str) -> bool:
    return all(len(text.splitlines()) <= 1 for text in texts)


@given(changed(LOCKED) | changed({**LOCKED, "plan": BEFORE}))
def test_a_lock_is_read_or_refused(value: Any) -> None:
    try:
        fields: dict[str, Any] = lock_fields(json.dumps(value))
        lock = Lock(**{**fields, "oid": OID})
    except (ValueError, TypeError):  # as `lock_at`: TypeError is a field that is missing, or of another version
        return
    assert one_line(lock.describe(), lock.prechecked, lock.run, lock.holder) and "\x1b" not in lock.describe()
    assert isinstance(lock.plan, dict)


TAG = {"ref": "refs/tags/prod-stable", "object": OID, "commit": OID}
PLAN = {
    "version": "v1.1.0", "commit": OID, "from_tree": False, "dev_tag": None, "stable": TAG, "fallback": None, "prod_tag": None,
    "branch": {**TAG, "ref": "refs/heads/main"}, "choices": {}, "waivers": [{"id": "x", "reason": "y", "author": "ada", "until": ""}],
    "undo_moves": False, "asked_rollback": False, "pid": 5,
}  # fmt: skip


def test_a_plan_that_promote_wrote_is_taken() -> None:
    check_plan(PLAN)


@given(changed(PLAN))
def test_a_plan_is_taken_or_refused(value: Any) -> None:
    if not isinstance(value, dict):
        return  # a lock whose plan is no object is refused as a lock
    try:
        check_plan(value)
    except ValueError:
        return
    for name in ("dev_tag", "stable", "fallback", "prod_tag", "branch"):
        if value.get(name):
            assert all(isinstance(value[name][part], str) for part in TAG)
    assert all(isinstance(value[name], bool) for name in ("from_tree", "undo_moves", "asked_rollback"))


@given(changed({"request_id": "r1", "at": LOCKED["at"]}))
def test_a_beat_is_read_or_refused(value: Any) -> None:
    with contextlib.suppress(ValueError):
        assert one_line(*beat_fields(json.dumps(value)))


@given(changed(ENTRY))
def test_a_ledger_entry_is_read_or_refused(value: Any) -> None:
    try:
        entry = entry_fields(json.dumps(value), NAME)
    except ValueError:
        return
    assert one_line(last(entry))
    assert all(isinstance(name, str) for name in tolerated_then(entry, Tag(ref="refs/tags/prod-stable", object=OID, commit=OID)))


@given(changed({"request_id": "r1", "version": "v1.1.0"}))
def test_a_record_is_read_or_refused(value: Any) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(record_request(json.dumps(value)), str)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(changed(BEFORE))
def test_a_baseline_is_read_whole_or_refused(value: Any) -> None:
    try:
        found = Baseline.of(json.loads(json.dumps(value))).checked()
    except ValueError:
        return
    found.applications(goal())
    found.unhealthy(goal(), Limits.of(SETTINGS))
    found.slim(goal()).to_json()
    Baseline.from_json(found.to_json())


@given(st.text() | st.sampled_from([DEEP, '{"a":' * 900, "\ud800", "NaN", "1e999"]))
def test_text_that_is_no_json_is_refused(text: str) -> None:
    for read in (lock_fields, beat_fields, record_request, lambda text: entry_fields(text, NAME)):
        try:
            read(text)
        except ValueError:
            continue
        raise AssertionError(read)


@pytest.fixture
def repos(tmp_path: Path) -> Repos:
    made = make_repos(tmp_path)
    (made.clone / "promotion.toml").write_text("")
    return made


def tag_with(repos: Repos, message: str) -> str:
    head = git(repos.clone, "rev-parse", "HEAD")
    text = f"object {head}\ntype commit\ntag promote-lock\ntagger a <a@b> 1700000000 +0000\n\n{message}\n"
    command = ["git", "hash-object", "-t", "tag", "-w", "--literally", "--stdin"]
    return (
        subprocess.run(command, cwd=repos.clone, input=text.encode("utf-8", "surrogatepass"), capture_output=True, check=True).stdout.decode().strip()
    )


BROKEN: dict[str, Callable[[Repos], str]] = {
    "a blob": lambda repos: git(repos.clone, "rev-parse", "HEAD:file.txt"),
    "a tree": lambda repos: git(repos.clone, "rev-parse", "HEAD^{tree}"),
    "a commit": lambda repos: git(repos.clone, "rev-parse", "HEAD"),
    "no json": lambda repos: tag_with(repos, "garbage \u2028 \x85 {"),
    "deep json": lambda repos: tag_with(repos, DEEP),
    "a list": lambda repos: tag_with(repos, "[1, 2]"),
    "numbers": lambda repos: tag_with(repos, json.dumps({**LOCKED, "owner": 5, "since": 7, "version": ["v1"]})),
    "no candidate": lambda repos: tag_with(repos, json.dumps({**LOCKED, "candidate": "--upload-pack=x"})),
    "no time": lambda repos: tag_with(repos, json.dumps({**LOCKED, "at": "yesterday"})),
    "a plan that is a list": lambda repos: tag_with(repos, json.dumps({**LOCKED, "plan": [1]})),
    "surrogates": lambda repos: tag_with(repos, json.dumps({**LOCKED, "version": "v\ud800"})),
    "too long": lambda repos: tag_with(repos, json.dumps({**LOCKED, "owner": "x" * 300_000})),
    "a field of another version": lambda repos: tag_with(repos, json.dumps({**LOCKED, "mood": "good"})),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_every_lock_can_be_broken(repos: Repos, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    git(repos.clone, "push", "-q", "origin", f"{BROKEN[kind](repos)}:{LOCK}")
    with pytest.raises(UnreadableLock):
        read_lock(GitRemote(repos.clone, "origin"))
    assert main(["abort", "--break-lock", "--yes", "-C", str(repos.clone)]) == 0
    assert "is gone" in capsys.readouterr().out and not repos.holds(LOCK)


def test_a_lock_with_text_in_its_fields_is_shown_on_one_line_and_broken(repos: Repos, capsys: pytest.CaptureFixture[str]) -> None:
    evil = {**LOCKED, "owner": "eve\n::error::production was deleted\x1b[2J", "host": "h\u202e"}
    git(repos.clone, "push", "-q", "origin", f"{tag_with(repos, json.dumps(evil))}:{LOCK}")
    assert main(["abort", "--break-lock", "--yes", "-C", str(repos.clone)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("eve\\n::error::production was deleted\\x1b[2J@h\\u202e has been promoting v1.1.0") and not repos.holds(LOCK)


def test_a_beat_that_is_none_is_no_evidence(repos: Repos) -> None:
    remote = GitRemote(repos.clone, "origin")
    lock = acquire(remote, new_lock(request_id="r1", version="v1.1.0", candidate=remote.head(), stable_before="", state="prechecked"))
    alone = sign_of(remote, lock)
    for content in (DEEP, "[]", '{"request_id": "r1", "at": 5}', '{"request_id": "r1", "at": "0001-01-01T00:00:00+14:00"}'):
        git(repos.clone, "push", "-q", "-f", "origin", f"{tag_with(repos, content)}:{HEARTBEAT}")
        assert sign_of(remote, lock) == alone
    git(repos.clone, "push", "-q", "-f", "origin", f"HEAD^{{tree}}:{HEARTBEAT}")
    assert sign_of(remote, lock) == alone


def entry(repos: Repos, name: str, text: str) -> None:
    blob = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], cwd=repos.clone, input=text, capture_output=True, text=True, check=True
    ).stdout.strip()
    tree = subprocess.run(
        ["git", "mktree"], cwd=repos.clone, input=f"100644 blob {blob}\t{name}\n", capture_output=True, text=True, check=True
    ).stdout.strip()
    git(repos.clone, "push", "-q", "-f", "origin", f"{git(repos.clone, 'commit-tree', '-m', 'x', tree)}:{LEDGER}")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (NAME, DEEP),
        (NAME, "[5]"),
        (NAME, json.dumps({**ENTRY, "applications": [5]})),
        (NAME, json.dumps({**ENTRY, "outcome": "verified\nproduction runs it"})),
        (NAME, json.dumps({**ENTRY, "stable_after": "x"})),
        (NAME, json.dumps({k: v for k, v in ENTRY.items() if k != "request_id"})),
        ("99991231T000000Z-other.json", json.dumps(ENTRY)),
        ("z", json.dumps(ENTRY)),
    ],
    ids=["deep", "a list", "numbers for applications", "two lines", "a text for a tag", "no request", "another promotion's name", "no name of ours"],
)
def test_a_damaged_ledger_is_reported_and_not_believed(repos: Repos, name: str, text: str) -> None:
    entry(repos, name, text)
    found, why = read_ledger(GitRemote(repos.clone, "origin"))
    assert found == {} and why.startswith(f"damaged: {LEDGER} is not as promote writes it") and one_line(why)


def test_a_ledger_that_is_no_commit_is_reported(repos: Repos) -> None:
    git(repos.clone, "push", "-q", "origin", f"{git(repos.clone, 'rev-parse', 'HEAD:file.txt')}:{LEDGER}")
    assert read_ledger(GitRemote(repos.clone, "origin"))[1].startswith("damaged")


def test_an_entry_that_promote_wrote_is_read_back(repos: Repos) -> None:
    remote = GitRemote(repos.clone, "origin")
    assert read_ledger(remote) == ({}, "")
    assert write_ledger(remote, "r1", ENTRY) == ""
    assert read_ledger(remote) == (ENTRY, "")


@pytest.mark.parametrize("text", [DEEP, "[]", '{"request_id": "r1"}', '{"request_id": "r1", "baseline": {"taken": 5}}', '{"baseline": {}}', "x"])
def test_a_damaged_baseline_is_none(repos: Repos, text: str) -> None:
    commit = repos.commit(FILE, text)
    git(repos.clone, "push", "-q", "origin", f"{commit}:{BASELINE}")
    remote = GitRemote(repos.clone, "origin")
    assert read_baseline(remote, "r1") is None and read_baseline(remote, "") is None
    now = Baseline(taken=T0, manifests=(), pod_manifests=())
    assert with_troubles_then(remote, {}, now) is now


def test_a_baseline_that_promote_wrote_is_read_back(repos: Repos) -> None:
    commit = repos.commit(FILE, json.dumps({"request_id": "r1", "baseline": BEFORE}))
    git(repos.clone, "push", "-q", "origin", f"{commit}:{BASELINE}")
    found = read_baseline(GitRemote(repos.clone, "origin"), "r1")
    assert found is not None and json.loads(found.to_json()) == BEFORE
