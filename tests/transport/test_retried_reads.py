"""Reads of git and of a cluster over real connections: a passing fault is passed over, a lasting one is reported, writes go out once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from promote.core.deadline import Deadline
from promote.core.errors import ServiceError, Unreachable
from promote.core.retry import PAUSES_S
from promote.core.version import parse_version
from promote.git.push import Pushed, RefUpdate
from promote.git.remote import GitRemote
from promote.kube.client import Kube, connect
from promote.sandbox.http_server import Fault, Request, Response, World, json_response
from promote.tags.lock import LOCK, Lock, acquire, advance, read_lock, release
from promote.tags.publish import Request as MoveRequest
from promote.tags.publish import publish
from tests.robustness.harness import STABLE, Remote, lock_of, remote, settings, silence
from tests.support.repos import git as run_git

PASSING = {
    "429": Fault(kind="status", status=429), "502": Fault(kind="status", status=502), "503": Fault(kind="status", status=503), "lost": Fault(kind="drop_before"), "cut": Fault(kind="cut"),
}  # fmt: skip
TRIES = len(PAUSES_S) + 1


def _times(fault: Fault, times: int | None, **where: str) -> Fault:
    return Fault(kind=fault.kind, status=fault.status, times=times, **where)


class Api(World):
    """Answers every request with an empty list."""

    def handle(self, request: Request) -> Response:
        return json_response({"items": []})


@pytest.fixture
def api() -> Iterator[Api]:
    with Api("kube") as world:
        assert isinstance(world, Api)
        yield world


def _kube(api: Api, folder: Path) -> Kube:
    named: dict[str, Any] = {"clusters": {"cluster": {"server": api.url}}, "users": {"user": {"token": "t"}}}
    named["contexts"] = {"context": {"cluster": "c", "user": "c"}}
    document = {"apiVersion": "v1", "kind": "Config", "current-context": "c", **{k: [{"name": "c", **v}] for k, v in named.items()}}
    (folder / "kubeconfig").write_text(yaml.safe_dump(document))
    return connect("prod", folder / "kubeconfig", "")


@pytest.mark.parametrize("kind", PASSING)
def test_a_cluster_is_read_again(api: Api, tmp_path: Path, kind: str) -> None:
    api.fault(_times(PASSING[kind], 2))
    assert _kube(api, tmp_path).get("/api/v1/pods") == {"items": []}
    assert [method for method, _ in api.requests] == ["GET"] * 3


@pytest.mark.parametrize("kind", PASSING)
def test_a_cluster_in_lasting_trouble_is_reported(api: Api, tmp_path: Path, kind: str) -> None:
    api.fault(_times(PASSING[kind], None))
    with pytest.raises(Unreachable, match="cluster prod"):
        _kube(api, tmp_path).get("/api/v1/pods")
    assert len(api.requests) == TRIES


@pytest.mark.parametrize("kind", PASSING)
def test_a_write_goes_out_once(api: Api, tmp_path: Path, kind: str) -> None:
    api.fault(_times(PASSING[kind], None))
    with pytest.raises(ServiceError):
        _kube(api, tmp_path).merge_patch("/api/v1/pods/a", {})
    assert [method for method, _ in api.requests] == ["PATCH"]


@pytest.mark.parametrize("kind", PASSING)
def test_one_that_is_as_good_twice_goes_out_again(api: Api, tmp_path: Path, kind: str) -> None:
    api.fault(_times(PASSING[kind], 2))
    _kube(api, tmp_path).merge_patch("/api/v1/pods/a", {"metadata": {"annotations": {"a": "b"}}}, repeatable=True)
    assert [method for method, _ in api.requests] == ["PATCH"] * 3


@pytest.mark.parametrize(("text", "asked"), [("etcdserver: leader changed", 2), ("nil pointer", 1)])
def test_of_the_500s_only_a_passing_one_is_asked_again(api: Api, tmp_path: Path, text: str, asked: int) -> None:
    api.fault(Fault(kind="status", status=500, times=1, body=f'{{"kind": "Status", "message": "{text}"}}'.encode()))
    with nullcontext() if asked == 2 else pytest.raises(Unreachable, match=text):
        _kube(api, tmp_path).get("/api/v1/pods")
    assert len(api.requests) == asked


def test_a_refusal_is_not_asked_again(api: Api, tmp_path: Path) -> None:
    api.fault(Fault(kind="status", status=403))
    with pytest.raises(ServiceError):
        _kube(api, tmp_path).get("/api/v1/pods")
    assert len(api.requests) == 1


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Remote]:
    with remote(tmp_path, clones=1, versions=1) as made:
        yield made


def _asked(there: Remote, before: int) -> int:
    return sum(method == "GET" for method, _ in there.server.requests[before:])


@pytest.mark.parametrize("kind", PASSING)
def test_the_remotes_refs_are_read_again(there: Remote, kind: str) -> None:
    git, before = there.clones[0], len(there.server.requests)
    there.server.fault(_times(PASSING[kind], 2, method="GET"))
    assert _object(git) == there.start
    assert _asked(there, before) == 3


@pytest.mark.parametrize("kind", PASSING)
def test_a_fetch_is_done_again(there: Remote, kind: str) -> None:
    there.server.fault(_times(PASSING[kind], 1, method="GET"))
    there.server.fault(_times(PASSING[kind], 1, method="POST", path="git-upload-pack"))
    there.clones[0].fetch(STABLE)
    assert there.clones[0].commit_of("refs/promote-remote/tags/prod-stable") == there.holds(f"{STABLE}^{{commit}}")


def test_a_remote_in_lasting_trouble_is_reported(there: Remote) -> None:
    before = len(there.server.requests)
    there.server.fault(_times(PASSING["502"], None))
    with pytest.raises(Unreachable, match="502"):
        there.clones[0].refs(STABLE)
    assert _asked(there, before) == TRIES


@pytest.mark.parametrize("kind", ["502", "503"])
def test_a_push_goes_out_once(there: Remote, kind: str) -> None:
    """Whether it landed is read from the refs, never tried out by pushing again. (After a lost connection curl itself may send the same bytes again;
    the lease is in them.)"""
    git, before = there.clones[0], len(there.server.requests)
    there.server.fault(_times(PASSING[kind], None, method="POST"))
    update = RefUpdate(ref=STABLE, new=there.commits["v1.1.0"], expected=there.start)
    assert git.push(update).outcome is Pushed.UNKNOWN
    assert sum(method == "POST" for method, _ in there.server.requests[before:]) == 1
    assert there.holds(STABLE) == there.start


@pytest.mark.parametrize(
    ("plan", "way"), [({"version": "v1.1.0"}, "`promote resume`"), ({}, "`promote abort --break-lock`")], ids=["planned", "by hand"]
)
def test_a_lock_that_may_have_been_taken_is_reported_as_such(there: Remote, plan: dict[str, object], way: str) -> None:
    there.server.weather = silence(over=lambda _: False)
    with pytest.raises(Unreachable, match=f"may have been taken all the same: .*{way}"):
        acquire(there.clones[0], replace(lock_of(0, "v1.1.0", there.commits["v1.1.0"], there.start), plan=plan))
    assert there.holds(LOCK), "it was"


@pytest.mark.parametrize("lost", [2, 3], ids=["the move", "the release"])
def test_a_move_by_hand_over_a_bad_connection_is_reported_as_it_is(there: Remote, lost: int) -> None:
    """The push lands, its answer and the looks after it do not arrive. It used to report that it could not write, and left its lock."""
    end = there.clones[0]
    request = MoveRequest(version=parse_version("v1.1.0"), request_id="by-hand", promoted_by="ada")
    there.server.weather = silence(over=lambda looks: looks > 2 * len(PAUSES_S), push=lost)
    published = publish(end, settings(end), request, patience=Deadline(60))
    assert there.holds(STABLE) == published.stable.object
    assert there.holds(LOCK) == ""
    assert ("may be left" in published.left) is (lost == 3), "the release could not be read back"


def test_a_move_by_hand_that_cannot_clean_up_names_the_leftovers(there: Remote) -> None:
    end = there.clones[0]
    request = MoveRequest(version=parse_version("v1.1.0"), request_id="by-hand", promoted_by="ada")
    there.server.weather = silence(over=lambda _: False, push=2)
    with pytest.raises(Unreachable, match=r"whether the tag was moved is not known.* may be left: `promote abort --break-lock`"):
        publish(end, settings(end), request)
    assert there.holds(LOCK)


@pytest.mark.parametrize("replaced", [True, False], ids=["replaced", "deleted"])
def test_a_lock_that_changes_between_being_listed_and_fetched_is_read_as_it_is_now(there: Remote, tmp_path: Path, replaced: bool) -> None:
    """Seen in races (seeds 309, 662): it was called unreadable, with the advice to break it."""
    owner, now = there.clones[0], list[Lock]()
    lock = acquire(owner, lock_of(0, "v1.1.0", there.commits["v1.1.0"], there.start))
    run_git(tmp_path, "clone", "-q", owner._read("remote", "get-url", "origin"), "elsewhere")

    def change() -> None:
        if replaced:
            now.append(advance(owner, lock, state="prechecked"))
        else:
            release(owner, lock)

    def at_the_next_listing() -> None:  # the first is that of the refs, the next that of the fetch
        there.server.meddle, there.server.moment = change, "git-upload-pack"  # type: ignore[assignment]

    there.server.meddle, there.server.moment = at_the_next_listing, "git-upload-pack"  # type: ignore[assignment]
    assert read_lock(GitRemote(tmp_path / "elsewhere", "origin")) == (now[0] if replaced else None)
    assert there.server.moment == "", "it did change in between"


def _object(git: GitRemote) -> str:
    tag = git.ref(STABLE)
    return tag.object if tag else ""
