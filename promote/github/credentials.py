"""Sources of the forge's token when the environment has none: a file, `gh`, git's credential helpers. No prompts, and no secret on a command line.

Facts it relies on: `gh auth token --hostname H` prints the token of a stored login; `git credential fill` reads `key=value` lines and answers with
`password=…`, and with GIT_TERMINAL_PROMPT=0 and no askpass program it fails instead of prompting (gitcredentials(7)).
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from promote.core.errors import UsageError
from promote.core.foreign import split_lines
from promote.transport.programs import apart, kill_and_collect, kill_group

PROGRAM_S = 10.0  # a keychain may take a moment; a prompt to the user gets no answer


def from_file(path: str) -> str:
    """The first line of a file. Raises UsageError when the file cannot be read or is empty."""
    try:
        text = Path(path).expanduser().read_text(errors="replace").strip()
    except OSError as error:
        raise UsageError(f"GITHUB_TOKEN_FILE: {path}: cannot be read: {error.strerror}", hint="name a readable file that holds the token") from error
    if not text:
        raise UsageError(f"GITHUB_TOKEN_FILE: {path} is empty", hint="name a file that holds the token")
    return split_lines(text)[0].strip()


def from_gh(host: str, environ: Mapping[str, str]) -> str:
    """The token of the GitHub CLI's login; "" without the program, a login or an answer in time."""
    return _output(["gh", "auth", "token", "--hostname", host], {**environ, "GH_PROMPT_DISABLED": "1"}).strip()


def from_git(host: str, environ: Mapping[str, str]) -> str:
    """The password that git's credential helpers return for the forge's host, or ""."""
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "SSH_ASKPASS": "true", "GCM_INTERACTIVE": "never"}
    answer = _output(["git", "credential", "fill"], {**environ, **quiet}, f"protocol=https\nhost={host}\n\n")
    fields = dict(line.partition("=")[::2] for line in split_lines(answer))
    return fields.get("password", "")


def _output(argv: list[str], environ: Mapping[str, str], stdin: str = "") -> str:
    """The program's stdout if it succeeds within PROGRAM_S, else ""; its descendants die with it."""
    try:
        child = subprocess.Popen(argv, env=dict(environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **apart())
    except OSError:
        return ""
    try:
        out, _ = child.communicate(stdin.encode(), timeout=PROGRAM_S)
    except subprocess.TimeoutExpired:  # or it has ended, and a daemon that it started holds its pipe
        out, _ = kill_and_collect(child)
    finally:
        kill_group(child.pid)
    return out.decode(errors="replace") if child.returncode == 0 else ""
