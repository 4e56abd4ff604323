"""The embedded worlds, spoken to by the programs that people use: kubectl and git. The driver's own clients have tests of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from promote.cli.sandbox_session import repository_files
from promote.sandbox import seed
from promote.sandbox.http_server import Fault, Request, Response, World
from promote.sandbox.kube.store import Store, field_selector, label_selector, merge
from promote.sandbox.sandbox import TOKEN, Sandbox

BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("world"), files=repository_files("git"), act=False, commands=[BIN]) as world:
        yield world


def run(sandbox: Sandbox, *argv: str, cwd: Path | None = None, ok: bool = True, **env: str) -> str:
    done = subprocess.run(argv, cwd=cwd, env={**sandbox.env, **env}, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode == 0) is ok, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def kubectl(sandbox: Sandbox) -> Callable[..., str]:
    if not shutil.which("kubectl"):
        pytest.skip("not run: needs kubectl")
    return lambda *args, ok=True: run(sandbox, "kubectl", *args, ok=ok)


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_kubectl_lists_applications_with_their_columns(kubectl: Callable[..., str]) -> None:
    lines = kubectl("-n", "argocd", "get", "applications").splitlines()
    assert lines[0].split() == ["NAME", "SYNC", "STATUS", "HEALTH", "STATUS"]
    assert ["velero", "Synced", "Degraded"] in [line.split() for line in lines]
    assert len(lines) == len(seed.names(12)) + 2


def test_the_seeds_two_lines_about_pods_and_events_work(kubectl: Callable[..., str]) -> None:
    assert "grafana-" in kubectl("get", "pods", "-A")
    kubectl("get", "events", "-A", "--sort-by=.lastTimestamp")


def test_kubectl_pages_selects_and_reads_yaml(kubectl: Callable[..., str]) -> None:
    names = json.loads(kubectl("-n", "argocd", "get", "applications", "--chunk-size=3", "-l", "team=platform", "-o", "json"))["items"]
    assert len(names) == len(seed.names(12))
    assert "targetRevision: prod-stable" in kubectl("-n", "argocd", "get", "application", "argocd", "-o", "yaml")
    assert 'applications.argoproj.io "nope" not found' in kubectl("-n", "argocd", "get", "application", "nope", ok=False)


def test_an_annotation_asks_for_a_refresh_and_its_removal_is_the_receipt(sandbox: Sandbox, kubectl: Callable[..., str]) -> None:
    before = (sandbox.prod.get("Application", "argocd", "vault") or {})["status"]["reconciledAt"]
    until(lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) > before)
    kubectl("-n", "argocd", "annotate", "application", "vault", "argocd.argoproj.io/refresh=normal")

    def answered() -> bool:
        app = sandbox.prod.get("Application", "argocd", "vault") or {}
        return "argocd.argoproj.io/refresh" not in (app["metadata"].get("annotations") or {}) and app["status"]["reconciledAt"] > before

    until(answered)


def test_the_seeds_forced_sync_patch_starts_an_operation(sandbox: Sandbox, kubectl: Callable[..., str]) -> None:
    started = (sandbox.prod.get("Application", "argocd", "homepage") or {})["status"]["operationState"]["startedAt"]
    until(lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) > started)
    kubectl(
        "-n",
        "argocd",
        "patch",
        "application",
        "homepage",
        "--type",
        "merge",
        "-p",
        '{"operation": {"initiatedBy": {"username": "admin"}, "sync": {}}}',
    )

    def over() -> bool:
        app = sandbox.prod.get("Application", "argocd", "homepage") or {}
        state = app["status"]["operationState"]
        return "operation" not in app and state["phase"] == "Succeeded" and state["startedAt"] > started

    until(over)


def test_git_needs_the_token_to_push_and_none_to_read(sandbox: Sandbox, tmp_path: Path) -> None:
    url = sandbox.git.repository_url
    assert "refs/tags/prod-stable" in run(sandbox, "git", "ls-remote", url)
    clone = sandbox.clone(tmp_path / "clone")
    wrong = url.replace("://", "://x:wrong@")
    assert "Authentication failed" in run(sandbox, "git", "-c", "credential.helper=", "push", wrong, "HEAD:refs/heads/x", cwd=clone, ok=False)
    run(sandbox, "git", "push", "-q", "origin", "HEAD:refs/heads/x", cwd=clone)
    assert sandbox.writer.holds("refs/heads/x") == sandbox.writer.holds("refs/heads/main")


def test_a_protected_ref_is_refused_with_the_rules_text(sandbox: Sandbox, tmp_path: Path) -> None:
    clone = sandbox.clone(tmp_path / "clone")
    sandbox.git.protect("refs/heads/guarded-*")
    said = run(sandbox, "git", "push", "origin", "HEAD:refs/heads/guarded-1", cwd=clone, ok=False)
    sandbox.git.protect()
    assert "GH013" in said
    assert sandbox.writer.holds("refs/heads/guarded-1") == ""


def test_a_push_whose_answer_is_lost_has_landed(sandbox: Sandbox, tmp_path: Path) -> None:
    clone = sandbox.clone(tmp_path / "clone")
    sandbox.git.fault(Fault(kind="drop_after", path="git-receive-pack$", method="POST", times=1))
    run(sandbox, "git", "push", "origin", "HEAD:refs/heads/lost-answer", cwd=clone, ok=False)
    sandbox.git.clear_faults()
    assert sandbox.writer.holds("refs/heads/lost-answer") != ""


def test_the_seeded_tags_are_as_they_lie_in_the_field(sandbox: Sandbox) -> None:
    types = sandbox.writer.git("for-each-ref", "--format=%(refname:short) %(objecttype) %(*objecttype)", "refs/tags").splitlines()
    assert "prod-v1.7.0 tag tag" in types, "a nested one"
    assert "prod-stable tag commit" in types


def test_services_answer_as_production_deployed(sandbox: Sandbox) -> None:
    done = subprocess.run([sys.executable, "-c", f"import urllib.request as u; print(u.urlopen('{sandbox.services.url}/gitea/healthz').read())"],
                          capture_output=True, text=True, check=True, env={**os.environ})  # fmt: skip
    assert "ok" in done.stdout


def test_the_token_is_in_no_argv_of_the_world(sandbox: Sandbox) -> None:
    seen = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert TOKEN not in seen


class Echo(World):
    def __init__(self) -> None:
        super().__init__("echo")
        self.effects = 0

    def handle(self, request: Request) -> Response:
        self.effects += 1
        return Response(body=f"answer {self.effects}".encode())


@pytest.mark.parametrize(("kind", "effects"), [("refuse", 0), ("drop_before", 0), ("drop_after", 1)])
def test_a_dropped_request_has_an_effect_only_when_declared(kind: str, effects: int) -> None:
    import requests

    with Echo() as world:
        assert isinstance(world, Echo)
        world.fault(Fault(kind=kind, times=1))  # type: ignore[arg-type]
        with pytest.raises(requests.ConnectionError):
            requests.get(world.url, timeout=5)
        assert world.effects == effects
        assert requests.get(world.url, timeout=5).status_code == 200


def test_status_stale_and_hang_faults() -> None:
    import requests

    with Echo() as world:
        world.fault(Fault(kind="status", status=502, body=b"<html>", times=1))
        assert (requests.get(world.url, timeout=5).status_code, requests.get(world.url, timeout=5).text) == (502, "answer 1")
        world.fault(Fault(kind="stale", times=1))
        assert requests.get(world.url, timeout=5).text == "answer 1"
        world.fault(Fault(kind="hang", times=1))
        with pytest.raises(requests.Timeout):
            requests.get(world.url, timeout=0.3)


def test_merge_patch_and_selectors() -> None:
    assert merge({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": None}, "d": [2]}) == {"a": {"c": 2}, "d": [2]}
    obj = {"metadata": {"labels": {"a": "1"}}, "type": "Warning", "involvedObject": {"name": "x"}}
    assert [label_selector(t)(obj) for t in ("a=1", "a!=1", "a", "!a", "a in (1,2)", "a notin (1)", "b=2")] == [
        True,
        False,
        True,
        False,
        True,
        False,
        False,
    ]
    assert [field_selector(t)(obj) for t in ("type=Warning,involvedObject.name=x", "type!=Warning")] == [True, False]


def test_an_equal_object_changes_no_version() -> None:
    store = Store()
    first = store.put({"kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n"}, "data": {"k": "v"}})
    again = store.put({"kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n"}, "data": {"k": "v"}})
    assert first["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]
