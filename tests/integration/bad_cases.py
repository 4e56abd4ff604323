"""The table of what a user can get wrong."""

from __future__ import annotations

import shutil
import subprocess

from promote.sandbox.http_world import Fault
from tests.bad import SECRET, Bench, Case, executable

STATUS, CHECK, TAG = ("status",), ("check", "pre"), ("tag-dev", "v1.8.0")


def _no_repository(b: Bench) -> None:
    b.cwd = b.clone.parent / f"{b.clone.name}-plain"
    b.cwd.mkdir()
    shutil.copy(b.clone / "promotion.toml", b.cwd)
    b.env["GIT_CEILING_DIRECTORIES"] = str(b.cwd.parent)


def _no_remote(b: Bench) -> None:
    b.git("remote", "remove", "origin")


def _bare(b: Bench) -> None:
    b.cwd = b.clone.parent / f"{b.clone.name}.git"
    b.git("clone", "-q", "--bare", b.sandbox.git.repository_url, str(b.cwd))


def _commit_here(b: Bench, name: str = "only-here.txt") -> None:
    (b.clone / name).write_text("x")
    b.git("add", name)
    b.git("commit", "-qm", "only here")


def _shallow(b: Bench) -> None:
    b.cwd = b.clone.parent / f"{b.clone.name}-shallow"
    b.git("clone", "-q", "--depth", "1", b.sandbox.git.repository_url, str(b.cwd), cwd=b.clone.parent)


def _worktree(b: Bench) -> None:
    b.cwd = b.clone.parent / f"{b.clone.name}-tree"
    b.git("checkout", "-q", "--detach")
    b.git("worktree", "add", "-q", str(b.cwd), "main")


def _accents(b: Bench) -> None:
    b.cwd = b.clone.parent / f"dépôt de l'été {b.clone.name}"
    b.git("clone", "-q", b.sandbox.git.repository_url, str(b.cwd), cwd=b.clone.parent)


def _submodule(b: Bench) -> None:
    other = b.clone.parent / f"{b.clone.name}-other"
    b.git("init", "-q", str(other), cwd=b.clone.parent)
    b.git("-C", str(other), "commit", "-q", "--allow-empty", "-m", "x")
    b.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other), "vendored")
    b.git("submodule", "deinit", "-f", "vendored")
    b.git("reset", "-q", "--hard")  # what is asked for is only that its presence does no harm
    b.git("config", "submodule.vendored.url", str(other))


def _lfs(b: Bench) -> None:
    (b.clone / ".git" / "info").mkdir(exist_ok=True)
    (b.clone / ".git" / "info" / "attributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    b.git("config", "filter.lfs.clean", "git-lfs clean -- %f")
    b.git("config", "filter.lfs.process", "git-lfs filter-process")
    b.git("config", "filter.lfs.required", "true")


REPOSITORY = (
    Case(
        id="no-repository",
        situation="a folder with a promotion.toml that is no git repository",
        argv=STATUS,
        code=2,
        words=("is not in a git repository",),
        begin=_no_repository,
    ),
    Case(
        id="no-settings",
        situation="a folder without promotion.toml",
        argv=STATUS,
        code=2,
        words=("no promotion.toml in", "promote init"),
        begin=lambda b: (b.clone / "promotion.toml").unlink(),
    ),
    Case(
        id="no-remote",
        situation="a repository without the remote",
        argv=STATUS,
        code=2,
        words=("no usable remote 'origin'", "git remote -v"),
        begin=_no_remote,
    ),
    Case(id="bare", situation="a bare repository", argv=STATUS, code=2, words=("is a bare repository", "git clone"), begin=_bare),
    Case(
        id="detached",
        situation="HEAD is detached, and there is no dev tag yet",
        argv=CHECK,
        code=1,
        words=("the clone is on a detached HEAD, not on main", "git switch main"),
        begin=lambda b: b.git("checkout", "-q", "--detach"),
    ),
    Case(
        id="dirty",
        situation="a changed file",
        argv=CHECK,
        code=1,
        words=("1 paths are changed or untracked: README.md", "git stash"),
        begin=lambda b: (b.clone / "README.md").write_text("x"),
    ),
    Case(
        id="ahead",
        situation="a commit that was not pushed",
        argv=CHECK,
        code=1,
        words=("is not on main of the remote", "HEAD is 1 commits ahead of and 0 behind"),
        begin=_commit_here,
    ),
    Case(
        id="behind-dirty",
        situation="behind the remote, with a changed file: it is not pulled",
        argv=("run", "v1.8.9"),
        code=1,
        words=("HEAD is 0 commits ahead of and 1 behind", "git pull --ff-only"),
        begin=lambda b: (b.git("reset", "-q", "--hard", "HEAD~1"), (b.clone / "README.md").write_text("x")),
    ),
    Case(
        id="diverged",
        situation="a local commit, and one that others pushed",
        argv=CHECK,
        code=1,
        words=("HEAD is 1 commits ahead of and 1 behind",),
        begin=lambda b: (b.git("reset", "-q", "--hard", "HEAD~1"), _commit_here(b)),
    ),
    Case(
        id="shallow",
        situation="a shallow clone: history cannot be judged",
        argv=CHECK,
        code=5,
        words=("this clone is shallow", "git fetch --unshallow"),
        begin=_shallow,
    ),
    Case(id="worktree", situation="a second work tree of the clone", argv=CHECK, code=0, words=("may be shipped",), begin=_worktree),
    Case(id="accents", situation="a path with spaces, accents and a quote", argv=CHECK, code=0, words=("may be shipped",), begin=_accents),
    Case(
        id="submodule",
        situation="a submodule that is configured and not checked out",
        argv=CHECK,
        code=0,
        words=("may be shipped",),
        begin=_submodule,
    ),
    Case(id="lfs", situation="LFS filters, and no git-lfs on this machine", argv=CHECK, code=0, words=("may be shipped",), begin=_lfs),
)


def _config(*lines: str) -> object:
    def begin(b: Bench) -> None:
        for line in lines:
            key, _, value = line.partition("=")
            b.git("config", key, value)

    return begin


def _hook(name: str, text: str = "#!/bin/sh\necho refused by a hook >&2\nexit 1\n") -> object:
    return lambda b: executable(b.clone / ".git" / "hooks" / name, text)


def _hooks_path(b: Bench) -> None:
    folder = b.clone.parent / f"{b.clone.name}-hooks"
    for name in ("pre-push", "reference-transaction", "post-checkout"):
        executable(folder / name, "#!/bin/sh\nexit 1\n")
    b.git("config", "core.hooksPath", str(folder))


def _git_variables(b: Bench) -> None:
    b.env |= {"GIT_DIR": "/nonexistent", "GIT_WORK_TREE": "/", "GIT_INDEX_FILE": "/nonexistent/index", "GIT_OBJECT_DIRECTORY": "/nonexistent"}


def _untag(b: Bench) -> None:
    b.sandbox.writer.git("update-ref", "-d", "refs/tags/dev-v1.8.0")


MADE = ("dev-v1.8.0 →",)
GIT = (
    Case(
        id="gpg-sign",
        situation="tag.gpgSign and commit.gpgSign without a key",
        argv=TAG,
        code=0,
        words=MADE,
        begin=_config("tag.gpgSign=true", "commit.gpgSign=true", "gpg.program=/nonexistent"),
        lift=_untag,
    ),
    Case(
        id="follow-tags",
        situation="push.followTags, push.default = matching, push.gpgSign",
        argv=TAG,
        code=0,
        words=MADE,
        begin=_config("push.followTags=true", "push.default=matching", "push.gpgSign=if-asked"),
        lift=_untag,
    ),
    Case(id="hooks-path", situation="core.hooksPath with hooks that fail", argv=TAG, code=0, words=MADE, begin=_hooks_path, lift=_untag),
    Case(id="pre-push", situation="a pre-push hook that fails", argv=TAG, code=0, words=MADE, begin=_hook("pre-push"), lift=_untag),
    Case(
        id="alias",
        situation="aliases with the names of git's own commands",
        argv=TAG,
        code=0,
        words=MADE,
        begin=_config("alias.push=!false", "alias.fetch=!false", "alias.ls-remote=!false"),
        lift=_untag,
    ),
    Case(
        id="colours",
        situation="colours, a pager and porcelain turned on for everything",
        argv=TAG,
        code=0,
        words=MADE,
        begin=_config(
            "color.ui=always", "core.pager=false", "status.short=true", "log.showSignature=true", "diff.noprefix=true", "diff.external=false"
        ),
        lift=_untag,
    ),
    Case(
        id="prune",
        situation="fetch.prune, fetch.pruneTags and a refspec that renames tags",
        argv=TAG,
        code=0,
        words=MADE,
        begin=_config("fetch.prune=true", "fetch.pruneTags=true", "remote.origin.tagOpt=--no-tags"),
        lift=_untag,
    ),
    Case(
        id="git-dir",
        situation="GIT_DIR, GIT_WORK_TREE, GIT_INDEX_FILE set by somebody",
        argv=TAG,
        code=0,
        words=MADE,
        begin=_git_variables,
        lift=_untag,
    ),
    Case(
        id="instead-of",
        situation="url.*.insteadOf sends the remote somewhere else",
        argv=TAG,
        code=5,
        words=("git remote origin", "git ls-remote"),
        begin=lambda b: b.git("config", "url.http://127.0.0.1:9/.insteadOf", b.sandbox.git.url),
    ),
    Case(
        id="askpass",
        situation="no credentials, and a program that would ask for them",
        argv=TAG,
        code=5,
        words=("not allowed to create dev-v1.8.0", "credentials"),
        begin=lambda b: b.env.update(GIT_CONFIG_GLOBAL="/dev/null", GITHUB_TOKEN="-", GIT_ASKPASS="/bin/false", SSH_ASKPASS="/bin/false"),
    ),
)

VERSIONS = tuple(
    Case(id=name, situation=situation, argv=("run", *([text] if not text.startswith("--") else ["--", text])), code=2, words=words)
    for name, situation, text, words in (
        ("nonsense", "a word for a version", "banana", ("'banana' is not a semver version", "write it like v1.2.3")),
        ("two-numbers", "two numbers", "v1.2", ("'v1.2' is not a semver version",)),
        ("leading-zero", "a leading zero", "v1.02.3", ("'v1.02.3' is not a semver version",)),
        ("build", "build metadata", "v1.2.3+build", ("Build metadata (+...) has no order",)),
        ("unicode", "digits that are not ASCII", "v1.٢.3", ("is not a semver version",)),
        ("option-like", "something that looks like an option", "--force", ("'--force' is not a semver version",)),
        ("injection", "a shell command in the version", "v1.2.3; rm -rf", ("'v1.2.3; rm -rf' is not a semver version",)),
        ("newline", "a line break in the version", "v1.2.3\n", ("is not a semver version",)),
        ("empty", "an empty version", "", ("'' is not a semver version",)),
    )
)


def _write(content: bytes) -> object:
    return lambda b: (b.clone / "promotion.toml").write_bytes(content)


def _toml_folder(b: Bench) -> None:
    (b.clone / "promotion.toml").unlink()
    (b.clone / "promotion.toml").mkdir()


SETTINGS = (
    Case(
        id="unknown-key",
        situation="a key that does not exist",
        argv=STATUS,
        code=2,
        words=("prod.kubecnfig: unknown key; did you mean kubeconfig?",),
        begin=_write(b'[prod]\nkubecnfig = "x"\n'),
    ),
    Case(
        id="unknown-table",
        situation="a table that does not exist",
        argv=STATUS,
        code=2,
        words=("unknown", "did you mean workflow?"),
        begin=_write(b'[workflows]\nfile = "x"\n'),
    ),
    Case(
        id="wrong-type",
        situation="a list where a duration belongs",
        argv=STATUS,
        code=2,
        words=("workflow.timeout", "is not a duration"),
        begin=_write(b"[workflow]\ntimeout = [1]\n"),
    ),
    Case(
        id="several",
        situation="several mistakes at once: all are named",
        argv=STATUS,
        code=2,
        words=("2 problems", "prod.x", "promotion.via"),
        begin=_write(b'[prod]\nx = 1\n[promotion]\nvia = "ftp"\n'),
    ),
    Case(
        id="impossible",
        situation="a combination that cannot be: a row that ends before it has waited",
        argv=STATUS,
        code=2,
        words=("dev.converge_timeout", "suites.row_timeout"),
        begin=_write(b'[dev]\nconverge_timeout = "10m"\n'),
    ),
    Case(id="not-toml", situation="not TOML", argv=STATUS, code=2, words=("not TOML", "line 1"), begin=_write(b"[prod\n")),
    Case(id="not-utf8", situation="not UTF-8", argv=STATUS, code=2, words=("is not UTF-8", "save the file as UTF-8"), begin=_write(b"\xff\xfe")),
    Case(id="a-folder", situation="promotion.toml is a folder", argv=STATUS, code=2, words=("no promotion.toml in",), begin=_toml_folder),
)


def _full(b: Bench) -> None:
    """A file size limit stands for a disk that is full: the write fails with the same kind of error."""
    (b.clone / ".git" / "promote").mkdir()
    (b.clone / ".git" / "promote" / "journal").symlink_to("/dev/full")


PLACES = (
    Case(
        id="journal-no-folder",
        situation="the journal's folder cannot be made",
        argv=("run", "v1.8.0"),
        code=5,
        words=("the journal folder cannot be made", "nothing was changed"),
        begin=lambda b: (b.clone / ".git" / "promote").write_text("a file"),
    ),
    Case(
        id="journal-full",
        situation="the journal cannot be written (disk full)",
        argv=("run", "v1.8.0"),
        code=5,
        words=("journal", "cannot be"),
        begin=_full,
    ),
    Case(
        id="reports-no-folder",
        situation="the reports' folder cannot be made",
        argv=("run", "v1.8.0"),
        code=5,
        words=("cannot be made", "suites.reports in promotion.toml must be a writable folder"),
        begin=lambda b: (b.clone / "reports").write_text("a file"),
    ),
    Case(
        id="no-checks",
        situation="the checks' folder is gone",
        argv=CHECK,
        code=5,
        words=("there is no folder",),
        begin=lambda b: shutil.rmtree(b.clone / "checks" / "pre"),
    ),
)


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
        begin=lambda b: b.settings('context = "prod"', 'context = "prd"'),
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
        situation="the exec plugin hangs: it is ended",
        argv=STATUS,
        code=5,
        words=("plugin",),
        begin=_plugin("#!/bin/sh\nsleep 600\n"),
    ),
    Case(
        id="refused",
        situation="nobody listens at the API server's address",
        argv=POST,
        code=5,
        words=("prod",),
        begin=lambda b: _ours(b, "refuse"),
        lift=_prod_well,
    ),
    Case(
        id="unauthorized",
        situation="the cluster does not know the token (401)",
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
        situation="there is no Argo CD in that cluster (404)",
        argv=POST,
        code=5,
        words=("applications",),
        begin=lambda b: _ours(b, "status", path="/applications", status=404, body=b"404 page not found"),
        lift=_prod_well,
    ),
    Case(
        id="html",
        situation="a proxy answers with a page",
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
        code=1,
        words=("no application", "follows"),
        begin=lambda b: b.settings('root = "argocd"', 'root = "argocd"\nselector = "team=nobody"'),
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
        situation="nobody listens at the remote's address",
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
        situation="the remote is out of order",
        argv=STATUS,
        code=5,
        words=("git remote origin", "503"),
        begin=lambda b: _git_fault(b, "status", status=503),
        lift=_git_well,
    ),
    Case(
        id="git-html",
        situation="a proxy answers git with a page",
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
        situation="a proxy that is not there",
        argv=STATUS,
        code=5,
        words=("git remote origin",),
        begin=lambda b: b.env.update(http_proxy="http://127.0.0.1:9"),
    ),
    Case(
        id="git-password",
        situation="a password in the remote's URL: it is never shown",
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
        situation="a token that may only read",
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
        code=1,
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
        situation="a proxy answers for the API with a page",
        argv=SHIP,
        code=5,
        words=("GitHub",),
        begin=lambda b: _forge(b, "status", status=200, body=b"<html>log in</html>"),
        lift=_gone,
    ),
    Case(
        id="no-workflow",
        situation="the workflow is not there",
        argv=SHIP,
        code=1,
        words=("ship.yaml is not on main", "workflow.file"),
        begin=lambda b: b.settings("[workflow]", '[workflow]\nfile = "ship.yaml"'),
        lift=_gone,
    ),
)


def _pushed(b: Bench, old: str, new: str) -> None:
    """A change of promotion.toml that is on the trunk, so that the policy row agrees."""
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


def shell(bench: Bench, line: str) -> subprocess.CompletedProcess[str]:
    """A line typed in a shell, in the clone."""
    env = {k: v for k, v in {**bench.sandbox.env, **bench.env}.items() if v != "-"}
    return subprocess.run(["bash", "-c", line], cwd=bench.clone, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


CASES = {
    "The repository": REPOSITORY,
    "git's configuration, hooks and variables": GIT,
    "The version": VERSIONS,
    "promotion.toml": SETTINGS,
    "Places to write to": PLACES,
    "The remote, the network and tokens": REMOTE,
    'GitHub (with `via = "workflow"`)': FORGE,
    "The cluster": CLUSTER,
}

__all__ = ["CASES", "FORGE", "TLS", "shell"]
