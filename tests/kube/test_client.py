"""How a cluster can be unusable, and the error for the user: the class decides the hint, the text has the values and no secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from promote.config.schema import ProdCluster, Settings
from promote.connect import own_kubeconfig, production
from promote.core.errors import Denied, NotFound, PromoteError, Rejected, Unreachable, UsageError
from promote.core.retry import PAUSES_S
from promote.kube.client import Kube, connect
from promote.kube.errors import Conflict, error_of
from promote.sandbox.http_server import Fault, Request, Response, World, json_response
from tests.robustness.troubles import address
from tests.support.production import kubeconfig, oidc_user
from tests.support.repos import git

APPLICATIONS = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications"
PLUGIN = "client.authentication.k8s.io/v1"


class Echo(World):
    """Answers a list of what it was sent."""

    def handle(self, request: Request) -> Response:
        return json_response({"items": [{"authorization": request.headers.get("authorization")}], "metadata": {}})


@pytest.fixture
def world() -> Iterator[Echo]:
    with Echo("api") as started:
        yield started


@pytest.fixture
def kube(world: Echo, tmp_path: Path) -> Kube:
    return connect("prod", kubeconfig(tmp_path, world.url), "")


def status(code: int, message: str) -> Fault:
    return Fault(kind="status", status=code, body=json.dumps({"kind": "Status", "message": message}).encode())


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (status(401, "Unauthorized"), Denied, "credentials were not accepted"),
        (status(403, 'applications is forbidden: User "ci" cannot list'), Denied, 'User "ci" cannot list'),
        (status(404, "the server could not find the requested resource"), NotFound, "no Argo CD here"),
        (Fault(kind="status", status=404, body=b"404 page not found\n"), NotFound, "no Argo CD here"),
        (status(404, 'applications "web" not found'), NotFound, 'applications "web" not found'),
        (status(409, "the object has been modified"), Conflict, "modified"),
        (status(422, "spec is invalid"), Rejected, "spec is invalid"),
        (status(429, "slow down"), Unreachable, "429: slow down"),
        (Fault(kind="status", status=502, body=b"<html>secret-cookie</html>"), Unreachable, "answered 502"),
        (Fault(kind="status", status=200, body=b"<html>please log in</html>"), Unreachable, "not JSON"),
        (Fault(kind="status", status=200, body=b"[]"), Unreachable, "not a JSON object"),
        (Fault(kind="drop_before"), Unreachable, "GET /apis/argoproj.io"),
        (Fault(kind="drop_after"), Unreachable, "GET /apis/argoproj.io"),
    ],
    ids=lambda value: getattr(value, "__name__", "") or (f"{value.kind}-{value.status}" if isinstance(value, Fault) else ""),
)
def test_what_an_answer_means(world: Echo, kube: Kube, fault: Fault, error: type[PromoteError], message: str):
    world.fault(fault)
    with pytest.raises(error) as caught:
        kube.items(APPLICATIONS)
    assert message in str(caught.value)
    assert "cluster prod" in str(caught.value)
    assert caught.value.hint
    assert "secret" not in str(caught.value)


def test_a_read_in_lasting_trouble_is_retried_a_few_times_and_then_reported(world: Echo, kube: Kube):
    world.fault(status(503, "x"))
    with pytest.raises(Unreachable):
        kube.items(APPLICATIONS)
    assert len(world.requests) == len(PAUSES_S) + 1


def test_silence_ends(world: Echo, tmp_path: Path):
    world.fault(Fault(kind="hang"))
    hurried = Kube("prod", connect("prod", kubeconfig(tmp_path, world.url), "")._api, call_s=0.2)
    with pytest.raises(Unreachable, match=r"no complete answer in time \(limits: 0.2 s of silence, 45 s in total\)"):
        hurried.items(APPLICATIONS)


def test_a_closed_port(tmp_path: Path):
    with pytest.raises(Unreachable, match="GET /api"):
        connect("prod", kubeconfig(tmp_path, "http://127.0.0.1:1"), "").items("/api/v1/pods")


def test_messages_are_cut():
    long = json.dumps({"kind": "Status", "message": "x" * 5000}).encode()
    assert len(str(error_of("cluster prod", "GET", "/api/v1/pods", 422, long))) < 600


def test_the_file_is_not_there(tmp_path: Path):
    with pytest.raises(UsageError, match="the kubeconfig .* does not exist") as caught:
        connect("prod", tmp_path / "none", "")
    assert "prod.kubeconfig" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["", "a: [", "hello", "[]", "contexts: 3", "\x00"], ids=["empty", "no YAML", "a word", "a list", "a number", "a control"]
)
def test_the_file_is_no_kubeconfig(tmp_path: Path, text: str):
    (tmp_path / "bad").write_text(text)
    with pytest.raises(UsageError, match=r"prod: .*bad"):
        connect("prod", tmp_path / "bad", "")


def test_an_unknown_context_names_the_known(tmp_path: Path, world: Echo):
    with pytest.raises(UsageError, match="no context 'prodd'") as caught:
        connect("prod", kubeconfig(tmp_path, world.url), "prodd")
    assert "one of: prod" in caught.value.hint


def test_without_a_file_the_environment_is_asked(tmp_path: Path, world: Echo, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, world.url)))
    assert connect("prod", None, "", default=own_kubeconfig()).items("/api/v1/pods") == [{"authorization": "Bearer secret-token"}]


@pytest.mark.parametrize("named", [True, False])
def test_a_forgotten_export_is_not_called_a_missing_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool):
    if named:
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    else:
        monkeypatch.delenv("KUBECONFIG", raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(
        UsageError, match="names .*none, which does not exist" if named else "KUBECONFIG is not set, and ~/.kube/config does not exist"
    ) as caught:
        connect("prod", None, "prod", default=own_kubeconfig())
    assert "export KUBECONFIG" in caught.value.hint


def plugin(folder: Path, script: str) -> dict[str, object]:
    path = folder / "plugin"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {"exec": {"apiVersion": PLUGIN, "command": str(path)}}


@pytest.mark.parametrize(
    "script", ["echo secret-password >&2; exit 1", "echo not JSON", f'echo \'{{"apiVersion": "{PLUGIN}", "kind": "E", "status": {{}}}}\'']
)
def test_a_plugin_that_gives_no_credentials(tmp_path: Path, world: Echo, script: str, capfd: pytest.CaptureFixture[str]):
    with pytest.raises(Denied, match="returned no credentials") as caught:
        connect("prod", kubeconfig(tmp_path, world.url, plugin(tmp_path, script)), "")
    assert "secret" not in str(caught.value) + "".join(capfd.readouterr())


@pytest.mark.parametrize("link", [False, True])
def test_a_kubeconfig_of_the_repository_starts_no_program(tmp_path: Path, world: Echo, link: bool):
    """The author of a branch writes it, and `promote status` in that branch must not run it."""
    file = kubeconfig(tmp_path, world.url, plugin(tmp_path, f"touch {tmp_path}/ran"))
    git(tmp_path, "init", "-q", ".")
    git(tmp_path, "add", file.name)
    if link:
        (tmp_path / "link").symlink_to(file)
    settings = Settings(root=tmp_path, prod=ProdCluster(kubeconfig="link" if link else file.name))
    with pytest.raises(UsageError, match="is a file of the repository, and its exec plugin .* would run"):
        production(settings)
    assert not (tmp_path / "ran").exists()
    git(tmp_path, "rm", "-q", "--cached", file.name)
    with pytest.raises(Denied, match="returned no credentials"):
        production(settings)
    assert (tmp_path / "ran").exists(), "one that git does not track is the user's own"


def test_a_plugin_without_a_command(tmp_path: Path, world: Echo):
    with pytest.raises(Denied, match="returned no credentials"):
        connect("prod", kubeconfig(tmp_path, world.url, {"exec": {"apiVersion": PLUGIN}}), "")


def test_an_auth_provider_whose_issuer_is_away_is_reported(tmp_path: Path, world: Echo):
    with pytest.raises(Denied, match="the auth provider oidc failed: MaxRetryError") as caught:
        connect("prod", kubeconfig(tmp_path, world.url, oidc_user("http://127.0.0.1:1")), "")
    assert "log in again" in caught.value.hint


def test_a_mistake_in_the_file_is_no_failed_login(tmp_path: Path, world: Echo):
    file = kubeconfig(tmp_path, world.url, oidc_user(world.url))
    file.write_text(file.read_text().replace('"id-token"', '"unused"'))
    with pytest.raises(UsageError, match="id-token") as caught:
        connect("prod", file, "")
    assert "auth-provi" not in str(caught.value), "the entry holds secrets"


def test_an_auth_provider_whose_issuer_is_silent_times_out(tmp_path: Path, world: Echo):
    with address("silent") as url, pytest.raises(Denied, match="the auth provider oidc did not end within 20 s"):
        connect("prod", kubeconfig(tmp_path, world.url, oidc_user(url)), "")


def test_a_plugin_whose_token_ran_out_is_asked_again(tmp_path: Path, world: Echo):
    answer = {"apiVersion": PLUGIN, "kind": "ExecCredential", "status": {"token": "t", "expirationTimestamp": "2020-01-01T00:00:00Z"}}
    count = tmp_path / "count"
    client = connect("prod", kubeconfig(tmp_path, world.url, plugin(tmp_path, f"echo x >> {count}; echo '{json.dumps(answer)}'")), "")
    limited = client._api.configuration.refresh_api_key_hook
    for _ in range(2):
        assert client.items("/api/v1/pods") == [{"authorization": "Bearer t"}]
        assert client._api.configuration.refresh_api_key_hook is limited
    assert len(count.read_text().split()) == 3
