"""The assembled world: its seeds, its environment, how services follow production, and that nothing is left of it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from promote.cli.sandbox_session import repository_files
from promote.sandbox import seed
from promote.sandbox.argocd.compare import Revisions
from promote.sandbox.github.processes import descendants
from promote.sandbox.sandbox import TOKEN, Sandbox
from promote.sandbox.scenarios import SCENARIOS
from tests.support.repos import git as plain_git

BIN = Path(sys.executable).parent
PLACES = {"places.txt": b"@GITHUB_API@ @REPOSITORY_URL@ @SERVICES_URL@ @KUBECONFIG@"}


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """For tests that only look."""
    with Sandbox(tmp_path_factory.mktemp("world"), files=repository_files("git") | PLACES, act=False, commands=[BIN]) as world:
        yield world


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Sandbox]:
    """For tests that change something."""
    with Sandbox(tmp_path / "world", files=repository_files("git"), act=False, commands=[BIN]) as world:
        yield world


def git(sandbox: Sandbox, folder: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=folder, env=sandbox.env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def ask(sandbox: Sandbox, path: str) -> tuple[int, str]:
    answer = requests.get(sandbox.services.url + path, timeout=10, allow_redirects=False)
    return answer.status_code, answer.text.strip()


def move_stable(sandbox: Sandbox, commit: str) -> None:
    """What a promotion does to production, without the driver: the tag, and a refresh of everything."""
    sandbox.writer.tag("prod-stable", commit)
    for app in sandbox.prod.list("Application"):
        name = app["metadata"]["name"]
        sandbox.prod.store.patch("Application", "argocd", name, {"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}})


class TestSeed:
    def test_prod_runs_the_tag_and_dev_the_trunk(self, shared: Sandbox) -> None:
        stable, trunk = shared.writer.holds("refs/tags/prod-stable^{commit}"), shared.writer.holds("refs/heads/main")
        assert stable != trunk
        assert {revision for app in shared.prod.list("Application") for revision in revisions(app)} == {stable}
        assert {revision for app in shared.dev.list("Application") for revision in revisions(app)} == {trunk}

    def test_applications_are_of_every_shape(self, shared: Sandbox) -> None:
        specs = {a["metadata"]["name"]: a["spec"] for a in shared.prod.list("Application")}
        assert set(specs) == {*seed.NAMED, "argocd"} and len(seed.NAMED) >= 12
        assert [n for n, s in specs.items() if "chart" in s.get("source", {})] == ["cert-manager"]
        assert {n: len(s["sources"]) for n, s in specs.items() if "sources" in s} == {"grafana": 2, "loki": 3}
        assert specs["external-dns"]["source"]["path"] == "apps/external-dns"
        assert all(s["syncPolicy"]["automated"] == {"prune": True, "selfHeal": True} for s in specs.values())

    def test_one_is_degraded_from_the_start_and_in_prod_only(self, shared: Sandbox) -> None:
        degraded = {
            c.name: [a["metadata"]["name"] for a in c.list("Application") if a["status"]["health"]["status"] != "Healthy"] for c in both(shared)
        }
        assert degraded == {"prod": ["velero"], "dev": []}

    def test_tags_are_as_they_lie_in_the_field(self, shared: Sandbox) -> None:
        commit = {
            t: shared.writer.holds(f"refs/tags/{t}^{{commit}}") for t in ("dev-v1.7.4", "prod-v1.7.4", "prod-stable", "prod-working", "prod-v1.7.2")
        }
        assert commit["dev-v1.7.4"] == commit["prod-v1.7.4"] == commit["prod-stable"]
        assert commit["prod-working"] == commit["prod-v1.7.2"] != commit["prod-stable"]
        kinds = shared.writer.git("for-each-ref", "--format=%(refname:short)=%(objecttype)=%(*objecttype)", "refs/tags").splitlines()
        assert "prod-v1.7.0=tag=tag" in kinds and all("=tag=" in kind for kind in kinds)

    def test_history_is_that_of_a_team_and_the_same_everywhere(self, shared: Sandbox) -> None:
        lines = shared.writer.git("log", "--format=%an|%cI|%s", "main").splitlines()
        assert 10 <= len(lines) <= 20 and len({line.split("|")[0] for line in lines}) == 3
        assert lines[0] == "Linus|2026-11-09T16:00:00+00:00|fix(traefik): access log"
        assert int(shared.writer.git("rev-list", "--count", "prod-stable..main")) >= 3

    def test_more_applications_can_be_asked_for(self) -> None:
        assert len(seed.names(200)) == 200
        assert len(seed.names(3)) == len(seed.NAMED)


def both(sandbox: Sandbox) -> tuple[Any, Any]:
    return sandbox.prod, sandbox.dev


def revisions(app: dict[str, Any]) -> list[str]:
    sync = app["status"]["sync"]
    return [r for r in sync.get("revisions") or [sync["revision"]] if len(r) == 40]


class TestEnvironment:
    def test_placeholders_of_the_given_files_are_filled_in(self, shared: Sandbox) -> None:
        words = shared.writer.git("show", "main:places.txt").split()
        assert words == [shared.github.url, shared.git.repository_url, shared.services.url, shared.env["KUBECONFIG"]]

    def test_a_clone_is_on_the_trunk_and_can_push(self, shared: Sandbox, tmp_path: Path) -> None:
        clone = shared.clone(tmp_path / "clone")
        assert git(shared, clone, "branch", "--show-current") == "main"
        git(shared, clone, "commit", "-q", "--allow-empty", "-m", "x")
        git(shared, clone, "push", "-q", "origin", "HEAD:refs/heads/pushed")
        assert git(shared, clone, "log", "-1", "--format=%an %ce", "origin/pushed") == "Ada ada@acme.example"
        assert TOKEN not in (clone / ".git" / "config").read_text()

    def test_one_kubeconfig_leads_to_both_clusters(self, shared: Sandbox) -> None:
        config = yaml.safe_load(Path(shared.env["KUBECONFIG"]).read_text())
        assert config["current-context"] == "prod"
        assert {c["name"]: c["context"]["namespace"] for c in config["contexts"]} == {"prod": "argocd", "dev": "argocd"}
        servers = {c["name"]: c["cluster"]["server"] for c in config["clusters"]}
        path = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/grafana"
        tracked = {n: requests.get(s + path, timeout=5).json()["spec"]["sources"][1]["targetRevision"] for n, s in servers.items()}
        assert tracked == {"prod": "prod-stable", "dev": "main"}

    def test_a_colleague_pushes_and_deletes(self, own: Sandbox) -> None:
        commit = own.commit({"docs/new.md": b"new\n", "docs/velero.md": None}, "docs: tidy")
        assert own.writer.holds("refs/heads/main") == commit
        assert own.writer.git("diff", "--name-status", f"{commit}^", commit).splitlines() == ["A\tdocs/new.md", "D\tdocs/velero.md"]

    def test_a_protected_tag_is_refused_and_its_rule_is_shown(self, own: Sandbox, tmp_path: Path) -> None:
        clone = own.clone(tmp_path / "clone")
        own.protect("refs/tags/prod-*")
        done = subprocess.run(["git", "push", "origin", "HEAD:refs/tags/prod-x"], cwd=clone, env=own.env, capture_output=True, text=True, check=False)
        assert "GH013" in done.stderr
        shown = requests.get(f"{own.github.url}/repos/acme/gitops/rulesets/1", headers={"Authorization": f"token {TOKEN}"}, timeout=5).json()
        assert shown["conditions"]["ref_name"]["include"] == ["refs/tags/prod-*"]
        own.protect()
        git(own, clone, "push", "-q", "origin", "HEAD:refs/tags/prod-x")


class TestServices:
    def test_answer_as_deployed(self, shared: Sandbox) -> None:
        assert ask(shared, "/gitea/healthz") == (200, '{"status": "ok"}')
        assert ask(shared, "/external-dns/") == (200, '{"status": "ok"}')

    def test_without_an_application_or_a_ready_pod_do_not(self, shared: Sandbox) -> None:
        assert ask(shared, "/")[0] == 404
        assert ask(shared, "/nothing/here") == (503, "no ready endpoints")
        assert ask(shared, "/velero/") == (503, "no ready endpoints")

    def test_follow_production_not_the_trunk(self, own: Sandbox) -> None:
        files = {
            "apps/gitea/overlays/prod/service.yaml": b"{apiVersion: v1, kind: ConfigMap, metadata: {name: gitea-service}, data: {status: '418', body: tea}}",
            "apps/vault/overlays/prod/service.yaml": b"{apiVersion: v1, kind: ConfigMap, metadata: {name: vault-service}, data: {redirect: /gitea/}}",
        }
        commit = own.commit(files, "feat: tea")
        assert ask(own, "/gitea/")[0] == 200
        move_stable(own, commit)
        until(lambda: ask(own, "/gitea/") == (418, "tea") and ask(own, "/vault/")[0] == 302)


class TestScenarios:
    @pytest.mark.parametrize("name", ["good", "smoke-fails", "precheck-fails", "superseded"])
    def test_are_there(self, name: str) -> None:
        assert name in SCENARIOS

    def test_smoke_fails_in_production_only_once_it_is_promoted(self, own: Sandbox) -> None:
        assert SCENARIOS["smoke-fails"].prepare(own) == "v1.9.0"
        assert ask(own, "/gitea/healthz")[0] == 200
        move_stable(own, own.writer.holds("refs/heads/main"))
        until(lambda: ask(own, "/gitea/healthz") == (503, "db migration pending"))

    def test_precheck_fails_because_dev_degrades(self, own: Sandbox) -> None:
        SCENARIOS["precheck-fails"].prepare(own)
        own.dev.store.patch("Application", "argocd", "homepage", {"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}})
        until(lambda: (own.dev.get("Application", "argocd", "homepage") or {})["status"]["health"]["status"] == "Degraded")

    def test_superseded_moves_the_tag_once_after_the_first_push(self, own: Sandbox, tmp_path: Path) -> None:
        SCENARIOS["superseded"].prepare(own)
        clone = own.clone(tmp_path / "clone")
        git(own, clone, "push", "-q", "origin", "HEAD:refs/heads/something")
        before = own.writer.holds("refs/tags/prod-stable")
        git(own, clone, "tag", "-f", "-a", "prod-stable", "-m", "ours")
        git(own, clone, "push", "-q", "-f", "origin", "refs/tags/prod-stable")
        ours = git(own, clone, "rev-parse", "prod-stable")
        assert ours != before
        until(lambda: own.writer.holds("refs/tags/prod-stable") != ours)
        until(lambda: "another user" not in [t.name for t in threading.enumerate()])
        theirs = own.writer.holds("refs/tags/prod-stable")
        assert own.writer.holds("refs/tags/prod-stable^{commit}") == own.writer.holds("refs/tags/prod-v1.7.3^{commit}")
        git(own, clone, "push", "-q", "-f", "origin", "refs/tags/prod-stable")
        assert "another user" not in [t.name for t in threading.enumerate()], "once is enough"
        assert own.writer.holds("refs/tags/prod-stable") == ours != theirs


class TestStop:
    def test_leaves_no_thread_no_process_and_no_socket(self, tmp_path: Path) -> None:
        threads, sockets, children = set(threading.enumerate()), open_sockets(), set(descendants(os.getpid()))
        with Sandbox(tmp_path / "world", files=repository_files("workflow"), act=False, commands=[BIN]) as world:
            ended: list[bool] = []
            world.meanwhile(lambda: ended.append(world.git.stopping.wait(60) and not threading.Event().wait(0.3)))
            session = requests.Session()
            for url in (world.github.url, world.services.url, world.prod.url, world.dev.url, world.git.url):
                session.get(url, timeout=5)
            watching = session.get(f"{world.prod.url}/api/v1/pods?watch=true", stream=True, timeout=30)
            assert set(threading.enumerate()) > threads
        watching.close()
        session.close()
        assert ended == [True], "a pending callback is waited for"
        assert set(threading.enumerate()) <= threads
        assert open_sockets() == sockets
        assert set(descendants(os.getpid())) <= children

    def test_is_possible_when_the_start_failed(self, tmp_path: Path) -> None:
        threads = set(threading.enumerate())
        (tmp_path / "world").mkdir()
        (tmp_path / "world" / "kubeconfig").mkdir()  # in the way
        with pytest.raises(IsADirectoryError), Sandbox(tmp_path / "world", files={}, act=False):
            pass
        assert set(threading.enumerate()) <= threads


def open_sockets() -> int:
    """Sockets this process has open, where the system lists them (Linux)."""
    folder = Path("/proc/self/fd")
    return sum(1 for fd in folder.iterdir() if fd.is_symlink() and str(fd.readlink()).startswith("socket:")) if folder.is_dir() else 0


def test_an_address_that_is_used_again_is_another_repository(tmp_path: Path) -> None:
    """The worlds of two tests may get the same port, one after the other."""
    url, paths = "http://127.0.0.1:1/acme/gitops.git", dict[str, Path]()
    revisions = Revisions(paths, ttl=600)
    for name in ("first", "second"):
        folder = tmp_path / name
        plain_git(tmp_path, "init", "-q", "-b", "main", str(folder))
        plain_git(folder, "-c", "user.name=a", "-c", "user.email=a@x", "commit", "-q", "--allow-empty", "-m", name)
        paths[url] = folder / ".git"
        assert revisions.resolve(url, "main", since=None) == plain_git(folder, "rev-parse", "HEAD")
