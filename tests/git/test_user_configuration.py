"""A user's git configuration, hooks and environment have no influence on a promotion. Every test has its line in docs/bad-surroundings.md."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.outside import BIN, MARK, Outside, fingerprint, outside, until_gone


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    with outside(tmp_path_factory.mktemp("hostile"), settings=[('degraded_grace = "3s"', 'degraded_grace = "0s"')]) as world:
        yield world


@pytest.fixture
def clone(world: Outside) -> Path:
    return world.clone()


def configure(world: Outside, where: Path, settings: Mapping[str, str]) -> None:
    for key, value in settings.items():
        world.git(where, "config", key, value)


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


# -- configuration -------------------------------------------------------------------------------------------------------------------------

HOSTILE = {
    "tag.gpgSign": {"tag.gpgSign": "true", "tag.forceSignAnnotated": "true", "commit.gpgSign": "true", "gpg.program": "/nonexistent"},
    "push.gpgSign": {"push.gpgSign": "true"},
    "push.followTags": {"push.followTags": "true"},
    "push.default": {"push.default": "matching", "push.autoSetupRemote": "true", "push.useForceIfIncludes": "true"},
    "push.pushOption": {"push.pushOption": "ci.skip"},
    "fetch.prune": {"fetch.prune": "true", "fetch.pruneTags": "true", "remote.origin.tagOpt": "--tags"},
    "core.autocrlf": {"core.autocrlf": "true", "core.safecrlf": "true"},
    "core.fsmonitor": {"core.fsmonitor": "sh -c 'sleep 600'"},
    "colours-and-pagers": {"color.ui": "always", "core.pager": "/nonexistent", "pager.log": "true", "pager.status": "true"},
    "log.showSignature": {"log.showSignature": "true", "gpg.program": "/nonexistent"},
    "log-and-status": {"log.date": "relative", "log.follow": "true", "status.branch": "true", "status.short": "true", "format.pretty": "%b"},
    "i18n": {"i18n.logOutputEncoding": "latin-1", "i18n.commitEncoding": "latin-1"},
    "diff.external": {"diff.external": "/nonexistent", "diff.noprefix": "true", "diff.renames": "copies", "diff.ignoreSubmodules": "all"},
    "editor-and-askpass": {"core.editor": "/nonexistent", "core.askPass": "/nonexistent"},
    "aliases": {f"alias.{verb}": "!false" for verb in ("push", "fetch", "ls-remote", "rev-parse", "mktag", "status", "log")},
    "merge": {"branch.main.mergeOptions": "--squash --no-commit", "merge.ff": "false", "pull.rebase": "true", "rebase.autoStash": "true"},
}


@pytest.mark.parametrize("settings", HOSTILE.values(), ids=list(HOSTILE))
def test_configuration(world: Outside, clone: Path, settings: Mapping[str, str]) -> None:
    """The dev tag, a fast-forward and the whole story of `status` come out as without it, local-only tags and branches included."""
    world.git(clone, "tag", "-m", "mine", "my-own-tag")
    world.git(clone, "branch", "my-own-branch")
    trunk = world.git(clone, "rev-parse", "HEAD")
    configure(world, clone, settings)
    world.tags(clone, "v1.8.0")
    world.git(clone, "reset", "-q", "--hard", "HEAD~2")
    refs = world.refs()
    told = world.promote(clone, "run", "v1.0.0")  # smaller than the promoted one: pulls, looks at everything, and ends before the move
    assert (told.code, "pulled 2 commits" in told.out) == (1, True), told
    assert world.git(clone, "rev-parse", "HEAD", "my-own-tag^{commit}", "my-own-branch").split() == [trunk] * 3
    assert world.refs() == refs


def test_signed_and_accented_commits(world: Outside, clone: Path, tmp_path: Path) -> None:
    """log.showSignature puts gpg's output between the lines of `git log`, i18n.logOutputEncoding writes them in another alphabet."""
    gpg = executable(tmp_path / "gpg", "echo 'gpg: Good signature, as always' >&2\necho '[GNUPG:] GOODSIG 0 Ada'\n")
    configure(world, clone, {"log.showSignature": "true", "gpg.program": str(gpg), "i18n.logOutputEncoding": "latin-1"})
    before = world.refs()
    head, _, message = world.git(clone, "cat-file", "commit", "HEAD").partition("\n\n")
    signed = f"{head}\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n iQ==\n -----END PGP SIGNATURE-----\n\nfix: café\n{message}"
    made = world.sandbox.writer.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=signed.encode())
    world.sandbox.writer.git("update-ref", "refs/heads/main", made)
    try:
        world.git(clone, "pull", "-q", "--rebase")
        assert "as always" in world.git(clone, "log", "-1"), "git alone prints it"
        assert "fix: café" in world.tags(clone, "v1.8.0").out
    finally:
        world.sandbox.writer.git("update-ref", "refs/heads/main", before["refs/heads/main"])


def test_templates_with_hooks(world: Outside, tmp_path: Path) -> None:
    """init.templateDir puts hooks into every new clone."""
    for hook in ("pre-push", "reference-transaction", "post-checkout", "post-merge"):
        executable(tmp_path / "template" / "hooks" / hook, "exit 1")
    where, hooks_off = tmp_path / "clone", "core.hooksPath=/dev/null"
    template = f"init.templateDir={tmp_path / 'template'}"
    world.git(tmp_path, "-c", template, "-c", hooks_off, "clone", "-q", world.sandbox.git.repository_url, str(where))
    assert (where / ".git" / "hooks" / "reference-transaction").exists()
    world.tags(where, "v1.8.0")


@pytest.mark.parametrize("hook", ["pre-push", "reference-transaction", "post-merge", "pre-auto-gc"])
def test_hooks_that_fail(world: Outside, clone: Path, hook: str) -> None:
    executable(clone / ".git" / "hooks" / hook, "echo refused by a hook >&2\nexit 1")
    world.git(clone, "-c", "core.hooksPath=/dev/null", "reset", "-q", "--hard", "HEAD~2")
    told = world.promote(clone, "run", "v1.0.0")
    assert (told.code, "pulled 2 commits" in told.out) == (1, True), told
    world.tags(clone, "v1.8.0")


def test_hooks_path(world: Outside, clone: Path, tmp_path: Path) -> None:
    for hook in ("pre-push", "reference-transaction"):
        executable(tmp_path / "hooks" / hook, "exit 1")
    world.git(clone, "config", "core.hooksPath", str(tmp_path / "hooks"))
    world.tags(clone, "v1.8.0")


def test_a_hook_of_the_remote_refuses(world: Outside, clone: Path) -> None:
    world.sandbox.protect("refs/tags/dev-*")
    try:
        world.refused(clone, "tag-dev", "v1.8.0", code=5, says=["a rule forbids to create dev-v1.8.0", "GH013", "allow this ref"])
    finally:
        world.sandbox.protect()


def test_instead_of(world: Outside, clone: Path) -> None:
    """The address is an abbreviation of the person's own; the applications' address is what it stands for."""
    configure(world, clone, {f"url.{world.sandbox.git.url}/.insteadOf": "work:", "remote.origin.url": "work:acme/gitops.git"})
    world.tags(clone, "v1.8.0")
    told = world.promote(clone, "status", "--json")
    assert len(told.document["applications"]) > 10, told


def test_push_instead_of(world: Outside, clone: Path, tmp_path: Path) -> None:
    """Reading one repository and writing another would move a tag that no application follows."""
    fork = tmp_path / "fork.git"
    world.git(tmp_path, "clone", "-q", "--mirror", world.sandbox.git.repository_url, str(fork))
    before = world.git(fork, "for-each-ref")
    configure(world, clone, {f"url.{fork}.pushInsteadOf": world.sandbox.git.repository_url})
    world.refused(clone, "tag-dev", "v1.8.0", code=2, says=["but pushes to", str(fork), "pushInsteadOf"])
    assert world.git(fork, "for-each-ref") == before


def test_a_second_push_url(world: Outside, clone: Path) -> None:
    configure(world, clone, {"remote.origin.pushurl": "https://ada:s3cr3t-of-ada@git.example.org/ada/fork.git"})
    told = world.refused(
        clone, "tag-dev", "v1.8.0", code=2, says=["but pushes to https://git.example.org/ada/fork.git", "--unset-all remote.origin.pushurl"]
    )
    assert "s3cr3t-of-ada" not in told.err


def test_a_push_url_for_the_same_repository(world: Outside, clone: Path) -> None:
    address = world.sandbox.git.repository_url.replace("127.0.0.1", "localhost")
    configure(world, clone, {"remote.origin.pushurl": address, "http.extraHeader": f"Authorization: Basic {world.basic}"})
    world.tags(clone, "v1.8.0")


def test_replaced_history(world: Outside, clone: Path) -> None:
    """`git replace` changes what this clone believes of a commit; the remote does not know."""
    head = world.git(clone, "rev-parse", "HEAD")
    mine = world.commit(clone)
    world.git(clone, "replace", head, world.git(clone, "commit-tree", f"{head}^{{tree}}", "-p", mine, "-m", "as if mine came before"))
    world.refused(clone, "tag-dev", "v1.8.0", code=2, says=["is not on main of the remote"])


# -- helpers that hang ---------------------------------------------------------------------------------------------------------------------


def hanging(world: Outside, clone: Path, tmp_path: Path) -> Path:
    """A clone whose credential helper opens an invisible window, and a file that records when it does. The remote asks for a password."""
    asked = tmp_path / "asked"
    helper = executable(tmp_path / "helper", f'[ "$1" = get ] || exit 0\ntouch {asked}\nsleep 600 & wait')
    world.git(clone, "config", "credential.helper", "")
    world.git(clone, "config", "--add", "credential.helper", str(helper))
    return asked


def test_a_credential_helper_that_hangs(world: Outside, clone: Path, tmp_path: Path) -> None:
    asked = hanging(world, clone, tmp_path)
    (clone / "promotion.toml").write_text('[repository]\ntimeout = "3s"\n' + (clone / "promotion.toml").read_text())
    world.refused(clone, "tag-dev", "v1.8.0", code=5, says=["could not create dev-v1.8.0", "ended by its deadline"])
    assert asked.exists()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda s: s.name)
def test_stopped_while_a_helper_hangs(world: Outside, clone: Path, tmp_path: Path, stop: signal.Signals) -> None:
    asked, refs, files, mark = hanging(world, clone, tmp_path), world.refs(), fingerprint(clone), f"stopped-{stop.name}"
    env = {**world.sandbox.env, MARK: mark}
    child = subprocess.Popen(
        [str(BIN / "promote"), "tag-dev", "v1.8.0"], cwd=clone, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    end = time.monotonic() + 60
    while not asked.exists():
        assert time.monotonic() < end and child.poll() is None
        time.sleep(0.02)
    child.send_signal(stop)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert f"stopped by {stop.name}" in err and "promote status" in err
    until_gone(mark)
    assert (world.refs(), fingerprint(clone)) == (refs, files)


# -- environment -----------------------------------------------------------------------------------------------------------------------------


def test_git_variables(world: Outside, clone: Path, tmp_path: Path) -> None:
    """What a hook, an alias or `git rebase --exec` would set, pointing at another repository."""
    other = world.clone()
    world.commit(other)
    env = {
        "GIT_DIR": str(other / ".git"), "GIT_WORK_TREE": str(other), "GIT_INDEX_FILE": str(other / ".git" / "index"), "GIT_PREFIX": "apps/",
        "GIT_OBJECT_DIRECTORY": str(other / ".git" / "objects"), "GIT_COMMON_DIR": str(other / ".git"), "GIT_NAMESPACE": "x",
        "GIT_CONFIG_PARAMETERS": "'remote.origin.url'='/nowhere'",
    }  # fmt: skip
    files = fingerprint(other)
    world.tags(clone, "v1.8.0", env=env)
    assert fingerprint(other) == files


def test_called_from_an_alias(world: Outside, clone: Path) -> None:
    world.git(clone, "config", "alias.tagdev", f"!{BIN / 'promote'} tag-dev")
    world.tags(clone, "v1.8.0", shell="cd apps && git tagdev v1.8.0")


def test_called_from_a_hook(world: Outside, clone: Path) -> None:
    """`git push` runs pre-push with GIT_DIR set; promote's output about the clone is the same as outside."""
    executable(clone / ".git" / "hooks" / "pre-push", f"exec {BIN / 'promote'} status --json")
    told = world.promote(clone, shell="git push -q origin HEAD:refs/heads/from-a-hook")
    assert '"production": "failed"' in told.out, told  # one application of this world is not well, and that ends the push
    assert world.sandbox.writer.holds("refs/heads/from-a-hook") == ""


@pytest.mark.parametrize("name", ["GIT_TRACE", "GIT_TRACE2", "GIT_CURL_VERBOSE"])
def test_traces(world: Outside, clone: Path, name: str) -> None:
    """Meant for users; they neither hide git's reason nor show the token."""
    env = {name: "1", "GIT_TRACE_REDACT": "0", "GIT_TRACE_CURL": "1"}
    world.tags(clone, "v1.8.0", env=env)
    world.git(clone, "remote", "set-url", "origin", "http://127.0.0.1:9/acme/gitops.git")
    told = world.refused(clone, "tag-dev", "v1.8.0", code=5, says=["got no answer", "unable to access"], env=env)
    assert "sandbox-token" not in told.err


def test_a_count_that_is_no_number(world: Outside, clone: Path) -> None:
    world.refused(clone, "tag-dev", "v1.8.0", code=2, says=["GIT_CONFIG_COUNT", "'many'"], env={"GIT_CONFIG_COUNT": "many"})


def test_another_language(world: Outside, clone: Path) -> None:
    world.git(clone, "remote", "remove", "origin")
    env = {"LANG": "de_DE.UTF-8", "LANGUAGE": "de"}
    world.refused(clone, "tag-dev", "v1.8.0", code=2, says=["no usable remote 'origin'"], env=env)


def test_broken_configuration(world: Outside, clone: Path) -> None:
    with (clone / ".git" / "config").open("a") as config:
        config.write("[push\n")
    world.refused(clone, "tag-dev", "v1.8.0", code=2, says=["git cannot work in", "bad config line"])
