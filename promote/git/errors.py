"""Converts git's error output into this project's errors: an unreachable remote, missing credentials, a wrong address."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from promote.core.errors import Denied, ServiceError, Unreachable, UsageError
from promote.git.process import Done

_PASSWORD = re.compile(r"(?<=://)[^/@\s]+@")
_DENIED = re.compile(r"Authentication failed|could not read Username|\b403\b|Permission denied")
_UNREACHABLE = re.compile(r"unable to access|Could not resolve|timed out|Connection|early EOF|hung up|RPC failed")


def mask(text: str) -> str:
    """Remove user and password from every URL in a text."""
    return _PASSWORD.sub("", text)


def excerpt(stderr: str, most: int = 256) -> str:
    """Git's error output on one line of at most `most` characters, without passwords."""
    # Cut from the first "fatal:" or "error:": git often prints advice after it, so the end of the text is less useful.
    text = " ".join(mask(stderr).split())
    at = next((found.start() for found in [re.search(r"\b(?:fatal|error): ", text)] if found), 0)
    return text[at : at + most] if len(text) > most else text


def git_error(done: Done, what: str, *, remote: str, root: Path, timeout_s: float, in_repository: Callable[[], bool]) -> Exception:
    """The error for a failed git command in the clone `root`. `what`: the first words of its arguments; `remote`: the remote's name."""
    text, where = excerpt(done.err) or done.why, f"git remote {remote}"
    if done.killed:
        return Unreachable(
            where,
            f"`git {what}` did not end within {timeout_s:g} s",
            hint="check the network, the remote, and git's credential helper (it may be waiting for input); a longer limit: repository.timeout",
        )
    if "not a git repository" in text:
        return UsageError(f"{root} is not in a git repository", hint="go to the clone of your GitOps repository")
    if "does not appear to be a git repository" in text or "No such remote" in text:
        if not in_repository():
            return UsageError(f"{root} is not in a git repository", hint="go to the clone of your GitOps repository")
        return UsageError(f"git has no usable remote {remote!r}: {text}", hint="see `git remote -v`; the name is repository.remote in promotion.toml")
    if re.search(r"fatal: repository '[^'\n]*' not found", done.err):
        hint = f"check the address (git remote get-url {remote}) and the credentials: a forge also answers this for a repository they may not read"
        return Denied(where, f"`git {what}` was not allowed: {text}", hint=hint)
    if _DENIED.search(done.unquoted_err):
        hint = "check the credentials git uses for this remote (try `git ls-remote`)"
        if "could not read Username" in done.unquoted_err:
            hint = "git has no credentials for this remote: give it a credential helper, or a token in GITHUB_TOKEN (try `git ls-remote`)"
        return Denied(where, f"`git {what}` was not allowed: {text}", hint=hint)
    if _UNREACHABLE.search(done.unquoted_err):
        return Unreachable(where, f"`git {what}` got no answer: {text}", hint="check the network (try `git ls-remote`), then try again")
    return ServiceError("git", f"`git {what}` failed: {text}", hint="run the command by hand to see more")
