"""What a push's porcelain and stderr mean. The texts are those that git 2.39 and the forges gave (docs/testing.md lists those that were seen)."""

from __future__ import annotations

import pytest

from promote.git.process import Done
from promote.git.push import Pushed, RefUpdate, read_push

OLD, NEW = "7ed4268350f57ad977b744f346448c65749caec3", "d6a447ef83207b94e19d63c0b6e4eb319083650c"
UPDATES = [
    RefUpdate(ref="refs/tags/prod-stable", new=NEW, expected=OLD),
    RefUpdate(ref="refs/tags/prod-v1.1.0", new=NEW, expected=""),
    RefUpdate(ref="refs/promote/undo", new=OLD, expected=""),
    RefUpdate(ref="refs/promote/lock", new=NEW, expected=OLD),
]
URL = "http://127.0.0.1:59729/acme/gitops.git"


def declined(words: str, url: str = URL) -> Done:
    """A push whose hook printed `words` on Gitea 1.26: every ref gets the same summary, whichever is meant."""
    lines = [f"!\t{u.new}:{u.ref}\t[remote rejected] (pre-receive hook declined)" for u in UPDATES]
    frame = f"remote: \nremote: error:        \nremote: error: {words}        \nremote: error:        \n"
    return Done(code=1, out="\n".join([f"To {url}", *lines, "Done", ""]), err=f"{frame}error: failed to push some refs to '{url}'\n")


@pytest.mark.parametrize("words", ["Tag prod-stable is protected", "Not allowed to push to protected branch main"])
def test_a_rule_of_gitea_is_reported_in_its_words_and_nothing_else(words: str) -> None:
    result = read_push(declined(words), UPDATES)
    assert (result.outcome, result.text) == (Pushed.RULE, f"{words} [remote rejected] (pre-receive hook declined)")


def test_a_long_address_and_many_refs_do_not_push_the_rule_out_of_the_text() -> None:
    url = "https://git.platform.example.org/infrastructure-and-operations/" + "a-repository-with-a-very-long-name" * 6
    assert "Tag prod-stable is protected" in read_push(declined("Tag prod-stable is protected", url), UPDATES).text


def test_an_account_without_write_access_is_denied_despite_the_text_of_a_hook() -> None:
    result = read_push(declined("User permission denied for writing."), UPDATES)
    assert (result.outcome, result.text) == (Pushed.DENIED, "User permission denied for writing. [remote rejected] (pre-receive hook declined)")


@pytest.mark.parametrize(
    "words",
    [
        "Internal Server Connection Error",  # Gitea 1.26, seen
        "Internal Server Error (no message for end users)",  # Gitea 1.26, its source
        "Gitea: Internal Server Error",  # older ones, as people report it
        "GitLab: Internal API unreachable",
        "GitLab: API is not accessible",
    ],
)
def test_a_hook_that_does_not_reach_its_server_is_no_rule(words: str) -> None:
    result = read_push(declined(words), UPDATES)
    assert result.outcome is Pushed.UNKNOWN and words in result.text


def test_a_push_that_lost_inside_the_server_is_stale() -> None:
    """Seen on Gitea: both leases held when they were looked at."""
    lines = [f"!\t{u.new}:{u.ref}\t[remote rejected] (atomic transaction failed)" for u in UPDATES]
    err = f"remote: error: cannot lock ref 'refs/tags/prod-stable': is at {NEW} but expected {OLD}        \nerror: failed to push some refs to '{URL}'\n"
    result = read_push(Done(code=1, out="\n".join([f"To {URL}", *lines, "Done", ""]), err=err), UPDATES)
    assert result.outcome is Pushed.STALE and "cannot lock ref 'refs/tags/prod-stable'" in result.text


DENIED = {
    "a wrong token": f"remote: Failed to authenticate user\nfatal: Authentication failed for '{URL}/'\n",
    "a token for reading": f"remote: Forbidden\nfatal: unable to access '{URL}/': The requested URL returned error: 403\n",
    "an archived repository": "remote: This repo is archived. You can view files and clone it, but cannot push or open issues/pull-requests.\n"
    f"fatal: unable to access '{URL}/': The requested URL returned error: 403\n",
    "no HTTP at all": f"remote: Interacting with repositories by HTTP protocol is not allowed\nfatal: unable to access '{URL}/': "
    "The requested URL returned error: 403\n",
    "no token": "fatal: could not read Username for 'http://127.0.0.1:59729': terminal prompts disabled\n",
}


@pytest.mark.parametrize("which", DENIED)
def test_denied_before_anything_was_sent(which: str) -> None:
    assert read_push(Done(code=128, out="", err=DENIED[which]), UPDATES).outcome is Pushed.DENIED


def test_a_rule_of_github_is_one() -> None:
    err = (
        "remote: error: GH013: Repository rule violations found for refs/tags/prod-stable.        \nremote: \n"
        "remote: - Cannot update this protected ref.        \nremote: \nerror: failed to push some refs to 'https://github.com/acme/gitops'\n"
    )
    out = f"!\t{NEW}:refs/tags/prod-stable\t[remote rejected] (push declined due to repository rule violations)\n"
    result = read_push(Done(code=1, out=out, err=err), UPDATES[:1])
    assert result.outcome is Pushed.RULE and result.text.startswith("GH013: Repository rule violations found for refs/tags/prod-stable. - Cannot")


@pytest.mark.parametrize("name", ["protected-infra", "not allowed", "GH006", "Permission"])
def test_the_name_of_a_repository_decides_nothing(name: str) -> None:
    out = "".join(f"!\t{u.new}:{u.ref}\t[rejected] (stale info)\n" for u in UPDATES)
    done = Done(code=1, out=out, err=f"error: failed to push some refs to 'https://git.example.org/{name}/gitops.git'\n")
    assert read_push(done, UPDATES).outcome is Pushed.STALE
    lost = Done(code=128, out="", err=f"fatal: unable to access 'https://git.example.org/{name}/': Failed to connect\n")
    assert read_push(lost, UPDATES).outcome is Pushed.UNKNOWN


def test_done_is_what_changed_every_ref() -> None:
    flags = {"refs/tags/prod-stable": "+\t{}\t7ed4268...d6a447e (forced update)", "refs/tags/prod-v1.1.0": "*\t{}\t[new tag]"}
    out = "".join(line.format(f"{NEW}:{ref}") + "\n" for ref, line in flags.items())
    err = "remote: ... Processing 2 references        \nremote: Processed 2 references in total        \n"
    assert read_push(Done(code=0, out=out, err=err), UPDATES[:2]).outcome is Pushed.DONE
    assert read_push(Done(code=0, out=out.replace("*\t", "=\t"), err=err), UPDATES[:2]).outcome is Pushed.UNKNOWN, "another push made it"
