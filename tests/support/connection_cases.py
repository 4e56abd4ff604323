"""The table of what can be wrong between this machine and the remote, GitHub and the clusters."""

from __future__ import annotations

from promote.sandbox.http_server import Fault
from tests.support.connections import SECRET, Bench, Case, executable
from tests.support.production import oidc_user

STATUS, CHECK, TAG = ("status",), ("check", "pre"), ("tag-dev", "v1.8.0")


def _ours(b: Bench, kind: str, **more: object) -> Fault:
    return b.sandbox.prod.api.fault(Fault(kind=kind, **more))  # type: ignore[arg-type]


def _prod_well(b: Bench) -> None:
    b.sandbox.prod.api.clear_faults()


def _plugin(text: str) -> object:
    def begin(b: Bench) -> None:
        program = executable(b.clone.parent / f"{b.clone.name}-plugin", text)
        b.kubeconfig(exec={"apiVersion": "client.authentication.k8s.io/v1", "command": str(program), "interactiveMode": "Never"})

    return begin


POST = ("check", "post")
CLUSTER = (
    Case(
        id="no-kubeconfig",
        situation="the kubeconfig does not exist",
        argv=POST,
        code=5,
        words=("kubeconfig",),
        begin=lambda b: b.env.update(KUBECONFIG="/nonexistent/kubeconfig"),
    ),
    Case(
        id="empty-kubeconfig",
        situation="an empty kubeconfig",
        argv=POST,
        code=5,
        words=("kubeconfig",),
        begin=lambda b: ((b.clone.parent / "empty").write_text(""), b.env.update(KUBECONFIG=str(b.clone.parent / "empty"))),
    ),
    Case(
        id="broken-kubeconfig",
        situation="a kubeconfig that is not YAML",
        argv=POST,
        code=5,
        words=("kubeconfig",),
        begin=lambda b: ((b.clone.parent / "broken").write_text("{[}"), b.env.update(KUBECONFIG=str(b.clone.parent / "broken"))),
    ),
    Case(
        id="unknown-context",
        situation="a context that is not in the kubeconfig",
        argv=POST,
        code=5,
        words=("has no context 'prd'", "to one of: dev, prod"),
        begin=lambda b: b.merged('context = "prod"', 'context = "prd"'),
    ),
    Case(
        id="plugin-absent",
        situation="the exec plugin is not installed",
        argv=POST,
        code=5,
        words=("nonexistent-plugin",),
        begin=lambda b: b.kubeconfig(
            exec={"apiVersion": "client.authentication.k8s.io/v1", "command": "nonexistent-plugin", "interactiveMode": "Never"}
        ),
    ),
    Case(
        id="plugin-fails",
        situation="the exec plugin fails",
        argv=POST,
        code=5,
        words=("plugin",),
        begin=_plugin("#!/bin/sh\necho please log in >&2\nexit 3\n"),
    ),
    Case(id="plugin-hangs", situation="the exec plugin hangs", argv=POST, code=5, words=("plugin",), begin=_plugin("#!/bin/sh\nsleep 600\n")),
    Case(
        id="plugin-hangs-status",
        situation="the exec plugin hangs: promote ends it",
        argv=STATUS,
        code=5,
        words=("plugin",),
        begin=_plugin("#!/bin/sh\nsleep 600\n"),
    ),
    Case(
        id="issuer-away",
        situation="the token of an auth provider (OpenID Connect) has expired, and its issuer is unreachable",
        argv=POST,
        code=5,
        words=("auth provider oidc", "log in again"),
        begin=lambda b: b.kubeconfig(**oidc_user("http://127.0.0.1:1")),
    ),
    Case(
        id="refused",
        situation="no server listens at the API server's address",
        argv=POST,
        code=5,
        words=("prod",),
        begin=lambda b: _ours(b, "refuse"),
        lift=_prod_well,
    ),
    Case(
        id="unauthorized",
        situation="the cluster rejects the token (401)",
        argv=POST,
        code=5,
        words=("401",),
        begin=lambda b: _ours(b, "status", status=401),
        lift=_prod_well,
    ),
    Case(
        id="forbidden",
        situation="the right to list applications is missing (403)",
        argv=POST,
        code=5,
        words=("forbidden", "applications"),
        begin=lambda b: setattr(b.sandbox.prod.api, "forbid", lambda verb, plural, _: (verb, plural) == ("list", "applications")),
        lift=lambda b: setattr(b.sandbox.prod.api, "forbid", lambda *_: False),
    ),
    Case(
        id="no-crd",
        situation="the cluster has no Argo CD (404)",
        argv=POST,
        code=5,
        words=("applications",),
        begin=lambda b: _ours(b, "status", path="/applications", status=404, body=b"404 page not found"),
        lift=_prod_well,
    ),
    Case(
        id="html",
        situation="a proxy answers with an HTML page",
        argv=POST,
        code=5,
        words=("prod",),
        begin=lambda b: _ours(b, "status", status=200, body=b"<html>log in</html>"),
        lift=_prod_well,
    ),
    Case(
        id="no-application",
        situation="no application follows the tag of this repository",
        argv=CHECK,
        code=5,
        words=("no application", "follows"),
        begin=lambda b: b.merged('root_app = "argocd"', 'root_app = "argocd"\nselector = "team=absent"'),
    ),
)


def _forge(b: Bench, kind: str, **more: object) -> object:
    return b.sandbox.github.fault(Fault(kind=kind, **more))  # type: ignore[arg-type]


def _forge_well(b: Bench) -> None:
    b.sandbox.github.clear_faults()


def _git_fault(b: Bench, kind: str, **more: object) -> object:
    return b.sandbox.git.fault(Fault(kind=kind, **more))  # type: ignore[arg-type]


def _git_well(b: Bench) -> None:
    b.sandbox.git.clear_faults()


REMOTE = (
    Case(
        id="git-refused",
        situation="no server listens at the remote's address",
        argv=STATUS,
        code=5,
        words=("git remote origin", "git ls-remote"),
        begin=lambda b: b.git("remote", "set-url", "origin", "http://127.0.0.1:9/acme/gitops.git"),
    ),
    Case(
        id="git-dns",
        situation="the remote's name does not resolve",
        argv=STATUS,
        code=5,
        words=("git remote origin", "git ls-remote"),
        begin=lambda b: b.git("remote", "set-url", "origin", "http://git.nowhere.invalid/acme/gitops.git"),
    ),
    Case(
        id="git-503",
        situation="the remote answers 503",
        argv=STATUS,
        code=5,
        words=("git remote origin", "503"),
        begin=lambda b: _git_fault(b, "status", status=503),
        lift=_git_well,
    ),
    Case(
        id="git-html",
        situation="a proxy answers git with an HTML page",
        argv=STATUS,
        code=5,
        words=("answered without a single ref", "a proxy's page?"),
        begin=lambda b: _git_fault(b, "status", status=200, body=b"<html>log in</html>"),
        lift=_git_well,
    ),
    Case(
        id="git-cut",
        situation="the connection breaks",
        argv=STATUS,
        code=5,
        words=("git remote origin",),
        begin=lambda b: _git_fault(b, "drop_before"),
        lift=_git_well,
    ),
    Case(
        id="git-proxy",
        situation="the configured proxy does not exist",
        argv=STATUS,
        code=5,
        words=("git remote origin",),
        begin=lambda b: b.env.update(http_proxy="http://127.0.0.1:9"),
    ),
    Case(
        id="git-password",
        situation="a password in the remote's URL is never printed",
        argv=STATUS,
        code=5,
        words=("git remote origin",),
        begin=lambda b: b.git("remote", "set-url", "origin", f"http://me:{SECRET}@127.0.0.1:9/acme/gitops.git"),
    ),
    Case(
        id="wrong-token",
        situation="a wrong token for pushing",
        argv=TAG,
        code=5,
        words=("not allowed to create dev-v1.8.0",),
        begin=lambda b: b.env.update(GIT_CONFIG_GLOBAL="/dev/null", GITHUB_TOKEN=SECRET),
    ),
    Case(
        id="read-only-token",
        situation="a read-only token",
        argv=TAG,
        code=5,
        words=("not allowed to create dev-v1.8.0",),
        begin=lambda b: (setattr(b.sandbox.git, "read_only", (SECRET,)), b.env.update(GIT_CONFIG_GLOBAL="/dev/null", GITHUB_TOKEN=SECRET)),
        lift=lambda b: setattr(b.sandbox.git, "read_only", ()),
    ),
)

SHIP = ("run", "v1.8.0")


def _gone(b: Bench) -> None:
    _forge_well(b)
    for ref in ("refs/tags/dev-v1.8.0",):
        if b.sandbox.writer.holds(ref):
            b.sandbox.writer.git("update-ref", "-d", ref)


FORGE = (
    Case(
        id="no-token",
        situation="no token for GitHub",
        argv=SHIP,
        code=2,
        words=("no GitHub token in the environment", "gh auth token"),
        begin=lambda b: b.env.update(GITHUB_TOKEN="-"),
        lift=_gone,
    ),
    Case(
        id="expired-token",
        situation="an expired token (401)",
        argv=SHIP,
        code=5,
        words=("401",),
        begin=lambda b: _forge(b, "status", status=401, body=b'{"message": "Bad credentials"}'),
        lift=_gone,
    ),
    Case(
        id="scope",
        situation="a token without the right to dispatch (403)",
        argv=SHIP,
        code=1,
        words=("403", "Resource not accessible"),
        begin=lambda b: _forge(b, "status", path="dispatches", status=403, body=b'{"message": "Resource not accessible by personal access token"}'),
        lift=_gone,
    ),
    Case(
        id="api-html",
        situation="a proxy answers API requests with an HTML page",
        argv=SHIP,
        code=5,
        words=("GitHub",),
        begin=lambda b: _forge(b, "status", status=200, body=b"<html>log in</html>"),
        lift=_gone,
    ),
    Case(
        id="no-workflow",
        situation="the workflow file is missing",
        argv=SHIP,
        code=1,
        words=("ship.yaml is not on main", "workflow.file"),
        begin=lambda b: b.merged("[workflow]", '[workflow]\nfile = "ship.yaml"'),
        lift=_gone,
    ),
)


def _pushed(b: Bench, old: str, new: str) -> None:
    """A change of promotion.toml that is on the trunk, so that the policy check agrees."""
    b.settings(old, new)
    b.git("commit", "-qam", "chore: settings")
    b.git("push", "-q", "origin", "HEAD:main")


TLS = {
    "Certificates that do not verify": (
        Case(
            id="tls-git",
            situation="the remote's",
            argv=STATUS,
            code=5,
            words=("git remote origin", "certificate"),
            begin=lambda b: b.git("remote", "set-url", "origin", f"{b.untrusted}/acme/gitops.git"),
        ),
        Case(
            id="tls-cluster",
            situation="the cluster's",
            argv=POST,
            code=5,
            words=("certificate", "prod"),
            begin=lambda b: b.kubeconfig(prod=b.untrusted, token=SECRET),
        ),
        Case(
            id="tls-forge",
            situation="GitHub's",
            argv=SHIP,
            code=5,
            words=("GitHub", "certificate"),
            begin=lambda b: _pushed(b, f'api_url = "{b.sandbox.github.url}"', f'api_url = "{b.untrusted}"'),
            lift=lambda b: (_gone(b), _pushed(b, f'api_url = "{b.untrusted}"', f'api_url = "{b.sandbox.github.url}"')),
        ),
    ),
}


CASES = {
    "The remote, the network and tokens": REMOTE,
    'GitHub (with `via = "workflow"`)': FORGE,
    "The cluster": CLUSTER,
}

__all__ = ["CASES", "FORGE", "TLS"]
